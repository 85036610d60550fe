"""What people corrected about a request, in words: who revoked, reported, reversed or forced it, when and why. Pure.

A person's reason stands behind a bar. Approving with changes is told by ``handlers.slack.remembered``, which shows the
changed call.
"""

from collections.abc import Iterator

from bot.drawings import Drawing
from bot.forcing import admins_needed, counts
from bot.lifecycle import State
from handlers.slack.blocks import Block, context, quote, section
from handlers.slack.remembered import vote_ahead
from handlers.slack.text import ago, date, excerpt, how_many, user_mention
from store.tables import Override, OverrideKind, Status, Vote, VoteKind

MAX_TOLD = 3
"""So many are told on a card, the newest; Details has them all."""
MAX_REASON_CHARACTERS = 300
MAX_REASON_LINES = 4

OVERRIDE_SIGNS = {
    OverrideKind.CHANGED: "📝",
    OverrideKind.REVOKED: "🔙",
    OverrideKind.REVERSED: "🔄",
    OverrideKind.REPORTED: "🚩",
    OverrideKind.FORCED: "⚡",
}

_SINCE_APPROVED = {
    State.OPEN: "",
    State.REVOKED: ", revoked",
    State.LAPSED: ", not used",
    State.CONSUMED: ", in use",
    State.OVERDUE: ", overdue",
    State.SUCCEEDED: ", succeeded",
    State.FAILED: ", failed",
}

_WHEN_REPORTED = {
    State.CONSUMED: "before an outcome came",
    State.OVERDUE: "before an outcome came",
    State.SUCCEEDED: "after it had succeeded",
    State.FAILED: "after it had failed",
}


def words_of(override: Override) -> str:
    """Say in mrkdwn who did what and when, without the reason."""
    who, when, sign = user_mention(override.user_id), date(override.at), OVERRIDE_SIGNS[override.kind]
    match override.kind:
        case OverrideKind.CHANGED:
            return f"{sign} *Approved with changes* by {who}, {when}."
        case OverrideKind.REVOKED:
            return f"{sign} *Revoked* by {who}, {when}, before it was used:"
        case OverrideKind.REPORTED:
            return f"{sign} *Reported as wrong* by {who}, {when}, {_WHEN_REPORTED[State(override.displaced)]}:"
        case OverrideKind.REVERSED:
            return f"{sign} *Reversed* by {who}, {when}:"
        case OverrideKind.FORCED:
            return f"{sign} *Forced* by admin {who}, past the reviewers, {when}:"


def was(displaced: str, whose: str) -> str:
    """Say how a request stands, or stood: a state, as approved or denied ``whose`` (" by" somebody, or nothing).

    Whoever approved a call did not make it succeed, so that their name stands beside the approval.
    """
    since = next((words for state, words in _SINCE_APPROVED.items() if state == displaced), None)
    return f"{displaced}{whose}" if since is None else f"approved{whose}{since}"


def corrections(drawing: Drawing, block_id: str) -> list[Block]:
    """Tell the newest overrides of a request, oldest of them first; nothing where there is none."""
    told = [one for one in drawing.overrides if one.kind is not OverrideKind.CHANGED]
    blocks: list[Block] = []
    if len(told) > MAX_TOLD:
        blocks.append(context([f"{how_many(len(told) - MAX_TOLD, 'earlier act')}: see Details."], f"{block_id}_acts"))
    for one in told[-MAX_TOLD:]:
        blocks += _told(one, drawing, f"{block_id}_act_{one.id}")
    return blocks


def _told(override: Override, drawing: Drawing, block_id: str) -> Iterator[Block]:
    yield section(words_of(override), block_id)
    yield from _reason(override.reason, block_id)
    standing = next((one for one in drawing.granted if one.id == override.standing_id), None)
    if standing is not None:
        yield context([vote_ahead(standing)], f"{block_id}_ahead")


# --- forced, and not enough yet ---------------------------------------------------------------------------


def forced_votes(drawing: Drawing) -> list[Vote]:
    """The forced approvals that stand, oldest first. Who is an admin today is judged at the decision."""
    return [vote for vote in drawing.votes if vote.kind is VoteKind.APPROVE and counts(vote)]


def forced_so_far(drawing: Drawing) -> list[Block]:
    """Tell of a pending request which admins want it forced, and how many it takes; nothing while none does."""
    forced = forced_votes(drawing)
    if not forced or drawing.rule is None or drawing.request.status is not Status.PENDING:
        return []
    far = f"{len(forced)} of {admins_needed(drawing.rule)} admins"
    blocks: list[Block] = [
        section(f"{OVERRIDE_SIGNS[OverrideKind.FORCED]} *{far}* would approve this past its reviewers:", "forced")
    ]
    for vote in forced:
        blocks.append(context([f"{user_mention(vote.user_id)}, {ago(vote.cast_at)}:"], f"forced_{vote.id}"))
        blocks += _reason(vote.note, f"forced_{vote.id}")
    return blocks


def _reason(reason: str | None, block_id: str) -> Iterator[Block]:
    """Somebody's reason behind a bar, cut where it is long, which is said."""
    if not reason:
        return
    part = excerpt(reason, MAX_REASON_CHARACTERS, MAX_REASON_LINES)
    yield quote(part.shown, f"{block_id}_reason")
    if part.left_out:
        yield context([f"{how_many(part.left_out, 'more character')} of it: see Details."], f"{block_id}_rest")
