"""The subcommands ``oncall``, ``away`` and ``back``: who is on call, and who is told in place of whom.

Only members of the workspace are answered. Times are shown in the reader's own zone, and read in it. Where a calendar
is kept is never said: its address may be a secret.
"""

import asyncio
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.absences import Absences, Whereabouts
from bot.clock import Clock
from bot.errors import FactsUnavailable, NotAMember, UnfitStandIn
from bot.oncall import OnCallNext, OnCallNow, OnCallSource, OnCallTrouble
from bot.people import Directory, Facts, zone_of
from bot.policy import barred
from bot.when import EXAMPLES, parse_when
from handlers.manifest import COMMAND
from handlers.oncall import CalendarState, OnCallSources
from handlers.slack.answers import render_refusal_text
from handlers.slack.blocks import Block, Message, context, section
from handlers.slack.commands import Subcommand
from handlers.slack.payloads import Command
from handlers.slack.quorum import joined
from handlers.slack.text import date, how_many, mrkdwn, user_mention, usergroup_mention

ON_A_PAGE = 10
_MOST_SHOWN = 15  # people of one answer
_MOST_ADDRESSES = 4
_MENTION = re.compile(r"<@([UW][A-Z0-9]{2,31})(?:\|[^<>]*)?>")

_TROUBLES = {
    OnCallTrouble.NO_ONE: "Nobody is on call now.",
    OnCallTrouble.CALENDAR_UNAVAILABLE: "The calendar could not be read.",
    OnCallTrouble.GROUP_UNAVAILABLE: "Slack does not say who is in the user group.",
    OnCallTrouble.PERSON_UNKNOWN: "Not everybody whom the calendar names is a member here.",
    OnCallTrouble.PEOPLE_UNAVAILABLE: "Slack could not be asked whose the calendar's e-mail addresses are.",
    OnCallTrouble.UNKNOWN_NAME: "The configuration has no such name any more.",
}


@dataclass(frozen=True, slots=True)
class Duty:
    """What is known under one name of the configuration."""

    name: str
    now: OnCallNow
    next: OnCallNext | None = None
    calendar: CalendarState | None = None


class OnCallCommands:
    """Answers the three subcommands."""

    def __init__(self, sources: OnCallSources, absences: Absences, directory: Directory, clock: Clock) -> None:
        self._sources = sources
        self._absences = absences
        self._directory = directory
        self._clock = clock

    def subcommands(self) -> list[Subcommand]:
        return [
            Subcommand("oncall", "oncall [NAME]", "who is on call now and next", self._oncall),
            Subcommand("away", "away [until TIME @PERSON]", "have what is meant for you go to somebody else as well, "
                       f"such as `{COMMAND} away until Monday 9:00 @bob`; alone: how that stands", self._away),
            Subcommand("back", "back", "end your being away", self._back),
        ]  # fmt: skip

    async def _oncall(self, command: Command, rest: str) -> Message:
        await self._member(command.user_id)
        names = sorted(self._sources.names())
        if not names:
            return render_refusal_text("Nobody is on call: the configuration has no [oncall.NAME].")
        page, instead = 1, ""
        if rest in names:
            names = [rest]
        elif number := re.fullmatch(r"(?:page )?([1-9][0-9]{0,3})", rest, re.ASCII | re.IGNORECASE):
            page = int(number[1])
        elif rest:
            near = _nearest(rest, names)
            if near is None:
                are = "The names are" if len(names) > 1 else "The only name is"
                return render_refusal_text(f"There is no “{rest[:60]}”. {are} {joined(names)}.")
            instead, names = rest, [near]
        pages = -(-len(names) // ON_A_PAGE)
        page = min(page, pages)
        shown = names[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]
        at = self._clock()
        duties = await asyncio.gather(*(self._duty(name, at) for name in shown))
        return render_duties(duties, page, pages, instead)

    async def _duty(self, name: str, at: datetime) -> Duty:
        now, following = await asyncio.gather(self._sources.on_call(name, at), self._sources.next_on_call(name, at))
        return Duty(name, now, following, self._sources.calendars().get(name))

    async def _away(self, command: Command, rest: str) -> Message:
        if not rest:
            await self._member(command.user_id)
            return render_whereabouts(await self._absences.whereabouts_of(command.user_id))
        people = list(dict.fromkeys(_MENTION.findall(rest)))
        facts = await self._member(command.user_id, *people)
        if len(people) != 1:
            raise UnfitStandIn(
                f"Name one person who is told in your place, as in {COMMAND} away until Monday 9:00 @bob."
                + (" Pick them from Slack's list while you type." if "@" in rest and not people else "")
            )
        zone = zone_of(facts.people[command.user_id])
        until = parse_when(_MENTION.sub(" ", rest), self._clock(), zone)
        known = await self._absences.say(command.user_id, people[0], until, facts)
        return render_whereabouts(known, just_said=True)

    async def _back(self, command: Command, rest: str) -> Message:
        ended = await self._absences.end(command.user_id)
        if ended is None:
            return render_refusal_text("You were not away.")
        return _plain(f"You are back. {user_mention(ended.stand_in)} is no longer told what is meant for you.")

    async def _member(self, user: str, *others: str) -> Facts:
        """Look people up. Raises ``NotAMember`` unless ``user`` is a member of the workspace."""
        try:
            facts = await self._directory.load_facts({user, *others}, ())
        except FactsUnavailable as error:
            raise FactsUnavailable("Slack could not be asked who you are. Try again.") from error
        no = barred(user, facts, self._clock())
        if no is not None:
            raise NotAMember("Only members of this workspace are told who is on call or away.", code=no.code)
        return facts


def _nearest(typed: str, names: Sequence[str]) -> str | None:
    """The name that was meant, if it is plain which."""
    word = typed.lower()
    starting = [name for name in names if name.startswith(word)]
    if starting:
        return starting[0] if len(starting) == 1 or word == starting[0] else None
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return close[0] if close else None


# --- words ---


def render_duties(duties: Sequence[Duty], page: int = 1, pages: int = 1, instead_of: str = "") -> Message:
    """Say who is on call under each name."""
    blocks: list[Block] = []
    if instead_of:
        blocks.append(context([f"There is no “{mrkdwn(instead_of[:60])}”; this is the nearest."], "instead"))
    for number, duty in enumerate(duties):
        blocks.append(section("\n".join(_sentences(duty)), f"duty_{number}"))
        blocks.append(context([" ".join(_grounds(duty))], f"grounds_{number}"))
    if pages > 1:
        more = f" `{COMMAND} oncall page {page + 1}` shows the next." if page < pages else ""
        blocks.append(context([f"Page {page} of {pages}.{more}"], "page"))
    return Message(f"Who is on call: {', '.join(duty.name for duty in duties)}", blocks)


def _sentences(duty: Duty) -> list[str]:
    now = duty.now
    sentences = [f"*{mrkdwn(duty.name)}*"]
    if now.trouble is OnCallTrouble.CALENDAR_UNAVAILABLE and now.is_old:
        sentences.append(":warning: *This is old: the calendar was last read more than a day ago.*")
    elif now.trouble is not None and (now.trouble is not OnCallTrouble.NO_ONE or not now.users):
        sentences.append(f":warning: {_TROUBLES[now.trouble]}")
    if now.users:
        until = f", until {date(now.until)}" if now.until else ""
        sentences.append(f"Now: {_people(now.users)}{until}")
    if now.unknown:
        sentences.append(f"Nobody here has the address {_addresses(now.unknown)}.")
    if duty.next is not None:
        until = f" until {date(duty.next.until)}" if duty.next.until else ""
        who = _people(duty.next.users) if duty.next.users else _addresses(duty.next.unknown)
        sentences.append(f"Next: {who} from {date(duty.next.start)}{until}")
    return sentences


def _grounds(duty: Duty) -> list[str]:
    """Where it is known from, and how old that knowledge is."""
    now, calendar = duty.now, duty.calendar
    read = "" if now.age is None else f", read {_age(now.age)}"
    if now.source is OnCallSource.USERGROUP:
        return [f"From the user group {' '.join(map(usergroup_mention, now.usergroups))}{read}."]
    if now.source is OnCallSource.USERS:
        return ["From the configuration."]
    if now.source is not OnCallSource.CALENDAR:
        return ["Not known."]
    grounds = [f"From a calendar{read}." if now.age is not None else "From a calendar, which was never read."]
    if calendar is not None and calendar.failure is not None:
        grounds.append(f"The last try failed: {mrkdwn(calendar.failure)}.")
    if calendar is not None and calendar.unreadable:
        grounds.append(f"{how_many(calendar.unreadable, 'event')} could not be read.")
    if calendar is not None and calendar.unpeopled:
        grounds.append(f"{how_many(calendar.unpeopled, 'event')} near now without people.")
    return grounds


def render_whereabouts(known: Whereabouts, *, just_said: bool = False) -> Message:
    """Say how it stands with somebody's being away."""
    sentences = []
    own = known.own
    if own is not None:
        stand_in = user_mention(own.stand_in)
        sentences.append(
            f"You are away until {date(own.until)}. What is meant for you goes to {stand_in} as well, "
            "who may decide what they may decide anyway, and nothing more."
        )
        if known.of_stand_in is not None:
            sentences.append(
                f":warning: {stand_in} is away too, until {date(known.of_stand_in.until)}. "
                "Who stands in for them is not told in your place; name somebody else if you like."
            )
        sentences.append(f"`{COMMAND} back` ends it.")
    elif not just_said:
        sentences.append(f"You are not away. `{COMMAND} away until Monday 9:00 @bob` says that you are.")
        sentences.append(f"Times are as in {EXAMPLES}.")
    sentences += [
        f"You stand in for {user_mention(absence.user_id)} until {date(absence.until)}."
        for absence in known.stands_in_for[:_MOST_SHOWN]
    ]
    return _plain("\n".join(sentences))


def _addresses(unknown: Sequence[str]) -> str:
    more = f" and {len(unknown) - _MOST_ADDRESSES} more" if len(unknown) > _MOST_ADDRESSES else ""
    return ", ".join(map(mrkdwn, unknown[:_MOST_ADDRESSES])) + more


def _people(users: Iterable[str]) -> str:
    shown = list(users)
    more = f" and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    return ", ".join(map(user_mention, shown[:_MOST_SHOWN])) + more


def _age(age: timedelta) -> str:
    minutes = age // timedelta(minutes=1)
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{how_many(minutes, 'minute')} ago"
    hours = minutes // 60
    return f"{how_many(hours, 'hour')} ago" if hours < 48 else f"{how_many(hours // 24, 'day')} ago"


def _plain(text: str) -> Message:
    return Message(text, [section(text, "answer")])
