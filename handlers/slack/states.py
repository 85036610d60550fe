"""What became of a request, in words: the lines that every surface shows once a request is decided, and before.

Pure. Signoff's own voice: people are mentioned by id, times are in the reader's zone, and what a person or an agent
wrote stands apart in a bar or a frame.
"""

from datetime import datetime

from bot.drawings import Drawing
from bot.durations import render_duration
from bot.halted import PAUSED
from bot.lifecycle import State, state_of
from bot.policy import FORBIDDEN
from bot.revocation import RESTORED
from handlers.slack.blocks import Block, context, frame, quote, section
from handlers.slack.corrections import OVERRIDE_SIGNS, corrections, forced_votes
from handlers.slack.pauses import paused
from handlers.slack.quorum import approvals, joined
from handlers.slack.remembered import changed_call, is_changed
from handlers.slack.text import barred, date, excerpt, how_many, mrkdwn, user_mention
from store.tables import DeciderKind, OverrideKind, Request, Status

MAX_NOTE_CHARACTERS = 900
MAX_NOTE_LINES = 12
MAX_REASONS = 3
MAX_REASON_CHARACTERS = 300
MAX_REASON_LINES = 4

WORDS: dict[State, tuple[str, str]] = {
    State.PENDING: ("⏳", "Waiting"),
    State.DENIED: ("⛔", "Denied"),
    State.EXPIRED: ("⌛", "Expired"),
    State.CANCELLED: ("🚫", "Cancelled"),
    State.OPEN: ("✅", "Approved"),
    State.REVOKED: ("🔙", "Revoked"),
    State.LAPSED: ("⌛", "Approved, not used"),
    State.CONSUMED: ("✅", "Approved, in use"),
    State.OVERDUE: ("🚨", "Approved, never finished"),
    State.SUCCEEDED: ("✅", "Approved, succeeded"),
    State.FAILED: ("❌", "Approved, failed"),
}
"""A sign and a word or two for each state."""


_BEFORE_USED = ", before it was used."
_WHY_REVOKED: dict[str | None, str] = {
    FORBIDDEN: f"{_BEFORE_USED} The configuration no longer allows it.",
    RESTORED: ": the database was restored from a backup, and it may have been used in between.",
}


def state_sign(request: Request, *, is_reported: bool = False) -> str:
    return OVERRIDE_SIGNS[OverrideKind.REPORTED] if is_reported else WORDS[state_of(request)][0]


def state_word(request: Request, *, is_reported: bool = False) -> str:
    """Say how a request stands; and where a person reported its approval, that too: it looks right no longer."""
    word = "Denied: approved with changes" if is_changed(request) else WORDS[state_of(request)][1]
    return f"{word}, reported as wrong" if is_reported else word


def history(drawing: Drawing) -> list[str]:
    """Tell in mrkdwn what happened to a request since it was made, one line each, oldest first."""
    request, state = drawing.request, state_of(drawing.request)
    if state is State.PENDING:
        return []
    lines = [_decision(drawing)]
    if state is State.OPEN and request.expires_at:
        until = date(request.expires_at)
        lines.append(f"Not used yet. {'Its time ends' if drawing.pauses else 'It may be used until'} {until}.")
    if state is State.LAPSED and request.expires_at:
        lines.append(f"Not used until {date(request.expires_at)}; the approval is void.")
    if state is State.REVOKED and request.revoked_at and not _is_revoked_by_person(drawing):
        lines.append(f"Revoked {date(request.revoked_at)}{_WHY_REVOKED.get(request.revoked_code, _BEFORE_USED)}")
    if request.consumed_at:
        lines.append(f"The agent took the approval {date(request.consumed_at)}.")
    if request.overdue_at:
        within = f" within {render_duration(drawing.rule.execution_timeout)}" if drawing.rule else ""
        lines.append(f"No outcome came{within}.")
    if request.outcome and request.outcome_at:
        lines.append(f"The agent says it *{request.outcome.value}*, {date(request.outcome_at)}.")
    return lines


def _is_revoked_by_person(drawing: Drawing) -> bool:
    """Whether the override tells it, with the name and the reason."""
    return any(one.kind is OverrideKind.REVOKED for one in drawing.overrides)


def _decision(drawing: Drawing) -> str:
    request, state = drawing.request, state_of(drawing.request)
    when = f" {date(request.decided_at)}" if request.decided_at else ""
    if state is State.EXPIRED:
        return f"⌛ *Expired*{when}: nobody decided in time. Nothing was approved."
    if state is State.CANCELLED:
        return f"🚫 *Cancelled*{when} {decided_by(request)}."
    if is_changed(request):
        return f"⛔ *Denied: approved with changes* {decided_by(request)}{',' if when else ''}{when}."
    word = "⛔ *Denied*" if state is State.DENIED else "✅ *Approved*"
    by = decided_by(request) if state is State.DENIED else _approved_by(drawing)
    return f"{word} {by}{',' if when else ''}{when}."


def _approved_by(drawing: Drawing) -> str:
    """Name everybody whose approval made the decision, the deciding one last."""
    request = drawing.request
    if request.decided_by_kind is DeciderKind.ADMIN:
        users: list[str | None] = [vote.user_id for vote in forced_votes(drawing)]
        users = users or [request.decided_by]
        return f"by {'admins' if len(users) > 1 else 'admin'} {joined([user_mention(user) for user in users])}"
    if request.decided_by_kind is not DeciderKind.PERSON:
        return decided_by(request)
    others = [vote.user_id for vote in approvals(drawing) if vote.user_id != request.decided_by]
    return f"by {joined([user_mention(user) for user in [*others, request.decided_by]])}"


def decided_by(request: Request) -> str:
    """Say in mrkdwn by whom or what a request was decided."""
    if request.decision_code == PAUSED:
        return "by a pause"  # its rule would have asked, or approved
    match request.decided_by_kind:
        case DeciderKind.PERSON:
            return f"by {user_mention(request.decided_by)}"
        case DeciderKind.ADMIN:
            return f"by admin {user_mention(request.decided_by)}"
        case DeciderKind.RULE:
            return f"by rule {mrkdwn(request.decided_by)}" if request.decided_by else "because no rule allows it"
        case DeciderKind.MEMORY:
            return f"without asking, as #{request.repeats} was before" if request.repeats else "without asking"
        case DeciderKind.AGENT:
            return "by the agent"
        case DeciderKind.OPERATOR:
            if request.decision_code == FORBIDDEN:
                return "because the configuration no longer allows it"
            return "because the agent's access was revoked"
        case _:
            return "by the clock"


def render_state(drawing: Drawing, block_id: str = "decision", *, on_card: bool = False) -> list[Block]:
    """Draw what became of a request: who, when, why, and what the agent made of it. Empty while it is pending.

    ``on_card``: see ``handlers.slack.pauses``.
    """
    lines = history(drawing)
    if not lines:
        return []
    request = drawing.request
    blocks = [section("\n".join(lines[:1]), block_id)]
    if is_changed(request):
        blocks += changed_call(drawing, f"{block_id}_changed")
    else:
        blocks += _reasons(drawing, block_id)
    if lines[1:]:
        blocks.append(section("\n".join(lines[1:]), f"{block_id}_after"))
    blocks += paused(drawing, f"{block_id}_paused", on_card=on_card)
    if request.outcome_note:
        blocks += _claim(request.outcome_note, f"{block_id}_outcome")
    return [*blocks, *corrections(drawing, block_id)]


def _reasons(drawing: Drawing, block_id: str) -> list[Block]:
    """The note of the decision; where several people gave reasons for an approval, each with its name."""
    request = drawing.request
    if any(one.kind is OverrideKind.FORCED for one in drawing.overrides):
        return []  # the admins' reasons are told with what they did
    given = [vote for vote in approvals(drawing) if vote.note and vote.user_id != request.decided_by]
    if request.status is not Status.APPROVED or not given:
        return _note(request.note, f"{block_id}_note") if request.note else []
    blocks: list[Block] = []
    for at, vote in enumerate(given[:MAX_REASONS]):
        part = excerpt(vote.note or "", MAX_REASON_CHARACTERS, MAX_REASON_LINES)
        blocks.append(context([f"{user_mention(vote.user_id)} gave the reason:"], f"{block_id}_by_{at}"))
        blocks += [quote(part.shown, f"{block_id}_reason_{at}"), *_left_out(part.left_out, f"{block_id}_cut_{at}")]
    if len(given) > MAX_REASONS:
        blocks.append(
            context([f"{how_many(len(given) - MAX_REASONS, 'more reason')}: see Details."], f"{block_id}_more")
        )
    if request.note:
        blocks.append(context([f"{user_mention(request.decided_by)} gave the reason:"], f"{block_id}_by"))
        blocks += _note(request.note, f"{block_id}_note")
    return blocks


def _note(note: str, block_id: str) -> list[Block]:
    part = excerpt(note, MAX_NOTE_CHARACTERS, MAX_NOTE_LINES)
    return [quote(part.shown, block_id), *_left_out(part.left_out, f"{block_id}_rest")]


def _claim(note: str, block_id: str) -> list[Block]:
    part = excerpt(note, MAX_NOTE_CHARACTERS, MAX_NOTE_LINES)
    return [
        context(["The agent's own words about it:"], f"{block_id}_label"),
        frame(barred(part.shown), block_id),
        *_left_out(part.left_out, f"{block_id}_rest"),
    ]


def _left_out(count: int, block_id: str) -> list[Block]:
    return [context([f"{how_many(count, 'more character')} not shown here: see Details."], block_id)] if count else []


def is_over(request: Request, now: datetime) -> bool:
    """Whether nothing can be decided any more: it was, or the deadline has passed and the sweep is about to say so."""
    return state_of(request) is not State.PENDING or now >= request.deadline_at
