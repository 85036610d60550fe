"""The gathered notice of what a rule approved by itself: from the stored state to blocks.

Pure. It counts and names, and shows nothing of a call but its tool. Its one button stops the rule, or lifts that: in
the same place, so that what a slow thumb meets is a form that asks why, in either case.
"""

from bot.digests import Gathered
from handlers.manifest import COMMAND
from handlers.slack.blocks import Block, Message, actions, button, context, line, quote, said, section
from handlers.slack.quorum import joined
from handlers.slack.text import date, excerpt, how_many, mrkdwn, name_in_mrkdwn, plain_date, user_mention
from store.tables import Digest

DIGEST_EVENT = "signoff_digest"
"""The type of the metadata by which a gathered notice is found again."""
STOP = "digest_stop"
LIFT = "digest_lift"

MOST_TOOLS = 6
_NAME = 80
_REASON = 300
_REASON_LINES = 4


def digest_metadata(digest: Digest) -> dict[str, object]:
    """Mark a notice's message, so that it is recognised in Slack when the answer to its posting was lost."""
    return {"event_type": DIGEST_EVENT, "event_payload": {"digest_id": digest.id, "key": digest.key}}


def render_digest(told: Gathered) -> Message:
    """Draw a gathered notice as it stands."""
    digest = told.digest
    calls = how_many(digest.count, "call")
    rule = mrkdwn(digest.rule)
    head = [said(f"Rule {digest.rule} approved {calls} by itself", bold=True)]
    blocks: list[Block] = [
        line(head, "head"),
        section("\n".join(_tools(told)), "tools"),
        context([*_newest(told), f"`{COMMAND} show {digest.last_number}` shows the last of them."], "newest"),
        *_stopped(told),
    ]
    if told.stop is not None:
        blocks.append(actions([button("Let it approve again…", LIFT, str(digest.id))], "act"))
    elif told.is_there:
        blocks.append(actions([button("Stop this rule…", STOP, str(digest.id), "danger")], "act"))
    return Message(f"Rule {rule} approved {calls} by itself, until {plain_date(digest.created_at)}", blocks)


def _tools(told: Gathered) -> list[str]:
    lines = [f"*{mrkdwn(one.agent)}* · {_short(one.tool)} · {one.calls:,}" for one in told.tools[:MOST_TOOLS]]
    if rest := told.tools[MOST_TOOLS:]:
        lines.append(f"{how_many(len(rest), 'more tool')} · {sum(one.calls for one in rest):,}")
    return lines


def _newest(told: Gathered) -> list[str]:
    if not told.newest:
        return []
    newest, *others = told.newest
    before = f"; before it {joined([f'#{request.number}' for request in others])}" if others else ""
    return [f"The newest: #{newest.number}, {date(newest.created_at)}{before}"]


def _short(name: str) -> str:
    part = excerpt(name, _NAME, 1)
    shown = name_in_mrkdwn(name[: len(name) - part.left_out])
    return f"{shown} (and {how_many(part.left_out, 'more character')})" if part.left_out else shown


def _stopped(told: Gathered) -> list[Block]:
    stop = told.stop
    if stop is None:
        return []
    what = "it asks people" if told.can_ask else "it denies, as it names nobody to ask"
    if told.external:  # as with pauses on cards, another company hears nothing of who and why
        return [section(f"🛑 *Stopped* {date(stop.at)}: {what}.", "stopped")]
    part = excerpt(stop.reason, _REASON, _REASON_LINES)
    rest = [context([f"{how_many(part.left_out, 'more character')} of it."])] if part.left_out else []
    words = f"🛑 *Stopped* by {user_mention(stop.user_id)}, {date(stop.at)}: {what}."
    return [section(words, "stopped"), quote(part.shown, "reason"), *rest]
