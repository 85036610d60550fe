"""What Signoff says in words: to slash commands, to refused clicks, to an agent's owners and to the admins. Pure.

Answers carry no buttons that decide: an ephemeral message is no card of ours, and clicks count on those alone.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from bot.drawings import Drawing
from bot.expiries import Expired
from bot.notices import Fact, NoticeKind
from bot.overriding import REPORTED
from bot.queries import Seen
from handlers.manifest import COMMAND
from handlers.slack.blocks import Block, Message, context, line, said, section
from handlers.slack.call_parts import (
    card_call,
    claim,
    decider_groups,
    facts,
    hidden_copies,
    warning,
    where_it_is,
)
from handlers.slack.cards import headline, notification
from handlers.slack.comparison import compared
from handlers.slack.corrections import corrections
from handlers.slack.pauses import paused
from handlers.slack.quorum import joined, needs, still_needed, votes_so_far
from handlers.slack.reasons import in_words
from handlers.slack.states import render_state
from handlers.slack.text import date, how_many, mrkdwn, name_in_mrkdwn, user_mention, visible
from store.tables import Request, Status

MAX_FAULT = 500
MAX_TOOL = 80


def render_show(seen: Seen) -> Message:
    """Show one request as it stands."""
    drawing = seen.drawing
    request = drawing.request
    where = [where[0].upper() + where[1:]] if (where := where_it_is(seen.cards)) else []
    return Message(
        notification(drawing),
        [
            line(headline(drawing), "head"),
            *card_call(drawing),
            *compared(drawing),
            *hidden_copies(drawing),
            *warning(request),
            *claim(request),
            context([*facts(drawing), _may_decide(drawing), *where], "facts"),
            *(render_state(drawing) or [*votes_so_far(drawing), *paused(drawing)]),
        ],
    )


def render_help(commands: Mapping[str, str]) -> Message:
    """List the commands: what is typed after ours, and what it does."""
    lines = ["*Signoff* asks people before an agent acts."]
    lines += [f"`{COMMAND} {usage}` {does}" for usage, does in commands.items()]
    lines.append("What waits for you is on my Home tab.")
    return Message(f"Signoff: {', '.join(commands)}", [section("\n".join(lines), "help")])


def render_unknown(word: str, suggestions: Sequence[str], known: Sequence[str]) -> Message:
    """Say that there is no such command, and which was meant; where nothing is near, which there are."""
    near = f"Did you mean {' or '.join(f'`{mrkdwn(one)}`' for one in suggestions)}?"
    there = near if suggestions else f"The commands are {joined(known)}."
    return _plain(f"There is no command “{mrkdwn(word[:40])}”. {there} Try `{COMMAND} help`.")


def render_hidden(reference: str) -> Message:
    """Say that a request is not to be seen: the same words whether it is hidden or was never made."""
    return _plain(f"There is no request “{mrkdwn(reference[:40])}” that you can see.")


def render_refusal_text(message: str, drawing: Drawing | None = None) -> Message:
    """Tell somebody why they could not do what they tried, and how the request stands."""
    blocks: list[Block] = [line([said(visible(message))], "why")]
    if drawing is not None:
        blocks += [line(headline(drawing), "head"), *(render_state(drawing, on_card=True) or still_needed(drawing))]
    return Message(mrkdwn(message), blocks)


def render_owner_notice(drawing: Drawing, reason_code: str) -> Message:
    """Tell an agent's owner what went wrong with a request of it."""
    request = drawing.request
    if reason_code == "overdue":
        words = "was approved and taken, and no outcome came. Look whether it ran."
    elif reason_code == REPORTED:
        words = "was reported as wrong after the agent had taken its approval."
    else:
        words = f"could not be shown where its rule says: {in_words(reason_code)}."
    text = f"#{request.number} of {mrkdwn(request.agent)} {words}"
    return _about(drawing, text)


def render_forced(drawing: Drawing) -> Message:
    """Tell somebody who could have decided that admins did."""
    request = drawing.request
    done = "approved" if request.status is Status.APPROVED else "denied"
    text = (
        f"#{request.number} of {mrkdwn(request.agent)} was {done} by an admin, past its reviewers. You are one of them."
    )
    return _about(drawing, text)


def _about(drawing: Drawing, text: str) -> Message:
    """A notice of a request, with what people did about it. The lock screen has ``text`` alone."""
    blocks = [section(text, "notice"), line(headline(drawing), "head"), context(facts(drawing), "facts")]
    return Message(text, [*blocks, *corrections(drawing, "notice")])


def render_expired(expired: Expired, links: Mapping[int, str]) -> Message:
    """Tell an agent's owner of requests that nobody decided in time. ``links`` lead to cards, by request number."""
    agent = mrkdwn(expired.agent)
    if expired.count == 1 and expired.newest:
        text = f"#{expired.newest[0].number} of {agent} expired: nobody decided in time. Nothing was approved."
    else:
        text = f"{how_many(expired.count, 'request')} of {agent} expired: nobody decided in time. Nothing was approved."
    lines = [
        f"{_linked(request, links)} · {name_in_mrkdwn(request.tool[:MAX_TOOL])} · asked {date(request.created_at)}"
        for request in expired.newest
    ]
    if (rest := expired.count - len(expired.newest)) > 0:
        lines.append(f"and {rest:,} earlier")
    return Message(text, [section(f"⌛ {text}", "notice"), *([context(lines, "expired")] if lines else [])])


def _linked(request: Request, links: Mapping[int, str]) -> str:
    link = links.get(request.number, "")
    is_link = link.startswith("https://") and not set(link) & set("<>| \n")
    return f"<{link}|#{request.number}>" if is_link else f"#{request.number}"


Facts = Mapping[str, Fact]

_LISTS = {
    "rules_added": "Rules added",
    "rules_changed": "Rules changed",
    "rules_removed": "Rules removed",
    "rules_reordered": "Rules in another order",
    "agents_added": "Agents added",
    "agents_changed": "Agents changed",
    "agents_removed": "Agents removed",
    "groups_added": "Groups added",
    "groups_changed": "Groups changed",
    "groups_removed": "Groups removed",
    "plans_added": "Plans added",
    "plans_changed": "Plans changed",
    "plans_removed": "Plans removed",
    "oncall_added": "On call added",
    "oncall_changed": "On call changed",
    "oncall_removed": "On call removed",
    "pagers_added": "Pagers added",
    "pagers_changed": "Pagers changed",
    "pagers_removed": "Pagers removed",
    "tables_changed": "Tables changed",
    "admins_added": "Admins added",
    "admins_removed": "Admins removed",
}


_NOT_THEM = "If it was not them, somebody else may be using their Slack account: ask them."


def render_admin_notice(kind: str, given: Facts) -> Message:
    """Tell an admin what happened (``bot.notices``). A kind without words of its own is shown as it is."""
    title, lines = _NOTICES.get(kind, _unworded)(kind, given)
    small = [context(lines, "facts")] if lines else []
    return Message(title, [section(title, "notice"), *small])


def _config_reloaded(kind: str, given: Facts) -> tuple[str, list[str]]:
    lines = [f"{label}: {mrkdwn(str(given[name]))}" for name, label in _LISTS.items() if given.get(name)]
    lines = lines or ["Nothing that it says differs."]
    for name, done in (("cancelled", "cancelled"), ("revoked", "revoked")):
        if count := given.get(name):
            lines.append(f"{how_many(int(count), 'request')} {done}: the new configuration forbids them.")
    return "Signoff took a changed configuration.", [*lines, *_digest(given, "Digest of the file")]


def _config_refused(kind: str, given: Facts) -> tuple[str, list[str]]:
    lines = [f"{how_many(int(given['faults']), 'fault')} in the file."] if given.get("faults") else []
    if first := given.get("first_fault"):
        lines.append(f"First: {mrkdwn(str(first)[:MAX_FAULT])}")
    lines.append("`signoff check` on the host says all that is wrong.")
    title = "Signoff was given a changed configuration and refused it. It goes on with the one before."
    return title, [*lines, *_digest(given, "Digest of the one in use")]


def _passcode_locked(kind: str, given: Facts) -> tuple[str, list[str]]:
    minutes = f" for {how_many(int(given['minutes']), 'minute')}" if given.get("minutes") else ""
    title = f"The passcode of {_person(given)} is locked{minutes}, after wrong ones in a row."
    return title, [_NOT_THEM]


def _passcode_enrolled(kind: str, given: Facts) -> tuple[str, list[str]]:
    again = " The one before it no longer works." if given.get("again") else ""
    title = f"{_person(given)} set up a device for passcodes.{again}"
    return title, ["If it was not them: run `signoff enroll` and hand them the code. Their new device ends this one."]


def _enrolment_ended(kind: str, given: Facts) -> tuple[str, list[str]]:
    tries = f" after {given['tries']} wrong tries" if given.get("tries") else ""
    title = f"{_person(given)} tried to set up a device for passcodes; that was ended{tries}."
    return title, [_NOT_THEM]


def _database_restored(kind: str, given: Facts) -> tuple[str, list[str]]:
    at = f", made {date(datetime.fromisoformat(str(given['copied_at'])))}" if given.get("copied_at") else ""
    lines = [
        f"{_count_of(given, 'revoked', 'open approval')} revoked: the agents may have used them since.",
        f"{_count_of(given, 'lifted', 'vote')} cast ahead ended, for the same reason.",
        f"{_count_of(given, 'pending', 'request')} waiting, of which some may have been decided since.",
        "What was revoked, paused or set up since the backup is not known any more: do it again.",
    ]
    return f"Signoff was restored from a backup{at}. What happened after that is lost.", lines


def _count_of(given: Facts, name: str, noun: str) -> str:
    return how_many(int(given.get(name, 0)), noun)


def _unworded(kind: str, given: Facts) -> tuple[str, list[str]]:
    facts_given = [f"{mrkdwn(name)}: {mrkdwn(str(value))}" for name, value in sorted(given.items())]
    return f"Signoff reports: {mrkdwn(kind)}", facts_given


_NOTICES: dict[str, Callable[[str, Facts], tuple[str, list[str]]]] = {
    NoticeKind.CONFIG_RELOADED: _config_reloaded,
    NoticeKind.CONFIG_REFUSED: _config_refused,
    NoticeKind.PASSCODE_LOCKED: _passcode_locked,
    NoticeKind.PASSCODE_ENROLLED: _passcode_enrolled,
    NoticeKind.ENROLMENT_ENDED: _enrolment_ended,
    NoticeKind.DATABASE_RESTORED: _database_restored,
}


def _digest(given: Facts, label: str) -> list[str]:
    return [f"{label}: {mrkdwn(str(given['digest']))}"] if given.get("digest") else []


def _person(given: Facts) -> str:
    return user_mention(str(given.get("user", "")))


def _may_decide(drawing: Drawing) -> str:
    rule = drawing.rule
    return f"Needs {needs(rule)}" if rule and rule.people_needed > 1 else f"May decide: {decider_groups(drawing)}"


def _plain(text: str) -> Message:
    return Message(text, [section(text, "answer")])
