"""The part of ``signoff check`` that reads calendars of who is on call, and looks up whom they name.

It reads them as the service would. Their addresses are in no finding: feeds are often open to whoever knows them.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from bot.calendars import Expanded
from bot.config import OnCall
from bot.named_secrets import NamedSecrets
from handlers.calendar_feeds import CalendarReader, FeedTrouble, expand_within
from handlers.outbound import OperatorOutbound, Outbound
from handlers.slack.text import how_many, visible
from handlers.slack.trouble import SlackTrouble, UnknownPerson

if TYPE_CHECKING:
    from handlers.check_slack import Workspace

AHEAD = timedelta(days=7)
_MOST_SHOWN = 5
_MOST_ADDRESSES = 100
_NOBODY = "see that its events have the members of this workspace as attendees, or their addresses as summaries"


async def check_calendars(workspace: "Workspace", secrets: NamedSecrets) -> None:
    """See that each calendar can be read, and names somebody for the next week whom Slack knows."""
    reader = CalendarReader(OperatorOutbound(), Outbound(), secrets)
    for oncall in workspace.settings.oncall.values():
        if oncall.is_calendar:
            await _check_calendar(workspace, oncall, reader)


async def _check_calendar(workspace: "Workspace", oncall: OnCall, reader: CalendarReader) -> None:
    report, part = workspace.report, f"oncall {oncall.name}"
    try:
        calendar = await expand_within(await reader.read(oncall), workspace.now)
    except FeedTrouble as trouble:
        report.fault(part, f"its calendar cannot be read: {trouble.code}", "see docs/operations.md, Who is on call")
        return
    if calendar.unreadable:
        report.warning(
            part, f"{how_many(calendar.unreadable, 'event')} could not be read", "put them right in the calendar"
        )
    addresses = _addresses(calendar, workspace)
    if not addresses:
        report.fault(part, "its calendar names nobody for the next week", _NOBODY)
        return
    known, unknown = 0, []
    for address in addresses:
        try:
            why_not = workspace.why_not(await workspace.person_of(address))
        except UnknownPerson:
            why_not = "unknown"
        except SlackTrouble as trouble:
            remedy = "compare its scopes with `signoff manifest`"
            report.fault("slack", f"users.lookupByEmail is refused: {trouble.code}", remedy)
            return
        known += why_not is None
        unknown += [] if why_not is None else [f"{visible(address)}: {why_not}"]
    if not known:
        who = ", ".join(unknown[:_MOST_SHOWN])
        report.fault(part, f"its calendar names no member of this workspace for the next week ({who})", _NOBODY)
        return
    report.ok(part, f"its calendar can be read, and names {how_many(known, 'member')} for the next week")
    for one in unknown[:_MOST_SHOWN]:
        report.warning(part, f"its calendar names somebody who is not reached ({one})", _NOBODY)


def _addresses(calendar: Expanded, workspace: "Workspace") -> list[str]:
    """Whom the calendar names for the next week, soonest first."""
    end = workspace.now + AHEAD
    ahead = [shift for shift in calendar.shifts if shift.end > workspace.now and shift.start < end]
    return list(dict.fromkeys(address for shift in ahead for address in shift.addresses))[:_MOST_ADDRESSES]
