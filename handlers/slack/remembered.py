"""What was decided before and bears on a request: votes cast ahead, denials that are remembered, near repeats.

Pure. What an agent wrote stands in a frame, with what differs marked as on a card (``handlers.slack.marks``). Old
values are shown only of a request under the same wording of the rule, as in ``handlers.slack.comparison``.
"""

from collections.abc import Collection, Sequence

from bot.changed_calls import changed_call_in
from bot.drawings import Drawing
from bot.redaction_marks import AS_SENT
from handlers.slack.blocks import Block, Message, actions, button, context, frame, line, quote, said, section
from handlers.slack.marks import OLD_VALUES_CHARACTERS, UNMARKED, Line, draw
from handlers.slack.outline import outline
from handlers.slack.sent import decode
from handlers.slack.text import date, excerpt, how_many, mrkdwn, name_in_mrkdwn, user_mention
from store.tables import DeciderKind, OverrideKind, Request, StandingVote, Status

REOPEN = "reopen"
GONE = "-"
"""Marks a line of the other call that this one has not; beside the marks of ``handlers.slack.marks``."""
MOST_LINES = 12
MOST_CHARACTERS = 900
_REASON_CHARACTERS = 300
_REASON_LINES = 4


# --- a near repeat ----------------------------------------------------------------------------------------


def near_repeat(drawing: Drawing, pings: Collection[str] | None = None) -> list[Block]:
    """Tell that nearly the same call was denied before, and what differs; nothing if it was not.

    ``pings`` as for ``handlers.slack.comparison.compared``.
    """
    request, denied = drawing.request, drawing.near_denial
    if denied is None:
        return []
    tells = denied.rule_id == request.rule_id
    by = _by(denied.decided_by, pings)
    when = f" {date(denied.decided_at)}" if denied.decided_at else ""
    words = f":warning: *Like #{denied.number}, denied{by}{when}*, but for one argument:"
    lines = differing(request.arguments, denied.arguments, tells=tells)
    blocks = [section(words, "near"), *_differences(lines, "near_difference")]
    return blocks if tells else [*blocks, context(["Its value is not shown: the rule had another wording then."])]


def differing(arguments: str, other: str, *, tells: bool = True) -> list[Line]:
    """Return the lines of a call that differ from another's, and those that only the other has.

    ``tells``: with the values of the other.
    """
    call = outline(arguments, other)
    gone = [Line(one, GONE) for one in call.gone] if tells else []
    if not tells:
        call = call.without_old_values()
    return [*(line for line in call.lines if line.mark != UNMARKED), *gone]


def _differences(lines: Sequence[Line], block_id: str) -> list[Block]:
    """Frame marked lines, as many as a card has room for, and tell how many it has not."""
    shown: list[Line] = []
    size = 0
    for one in lines:
        size += len(one.text) + 1
        if len(shown) == MOST_LINES or size > MOST_CHARACTERS:
            break
        shown.append(one)
    rest = len(lines) - len(shown)
    drawn = draw(shown, gutter=True, old_values=OLD_VALUES_CHARACTERS)
    left_out = f"{how_many(rest, 'more line')} of it: see Details."
    return [*([frame(drawn, block_id)] if shown else []), *([context([left_out], f"{block_id}_rest")] if rest else [])]


# --- approved with changes --------------------------------------------------------------------------------


def is_changed(request: Request) -> bool:
    """Whether a request was denied by somebody who approved a changed call in its place."""
    return _changed_arguments(request) is not None


def _changed_arguments(request: Request) -> str | None:
    if request.status is not Status.DENIED or request.decided_by_kind is not DeciderKind.PERSON:
        return None
    arguments = changed_call_in(request.note)
    try:
        return arguments if arguments is not None and decode(arguments) is not None else None
    except (ValueError, TypeError):  # then the note is shown as any other
        return None


def changed_call(drawing: Drawing, block_id: str = "changed") -> list[Block]:
    """Show what somebody changed, and what has become of their vote for it; nothing if nobody did."""
    shown = what_changed(drawing, block_id)
    if not shown:
        return []
    reversals = {one.standing_id for one in drawing.overrides if one.kind is OverrideKind.REVERSED}
    changed = [one for one in drawing.granted if one.id not in reversals]
    granted = (_granted(one, f"{block_id}_{at}") for at, one in enumerate(changed))
    return [*shown, *(block for blocks in granted for block in blocks)]


def what_changed(drawing: Drawing, block_id: str = "changed") -> list[Block]:
    """Show the changed call against the one that was asked for; nothing if nobody changed it."""
    arguments = _changed_arguments(drawing.request)
    if arguments is None:
        return []
    lines = [one for one in differing(arguments, drawing.request.arguments) if not _is_hidden(one)]
    return [line([said("As it was changed:", bold=True)], f"{block_id}_label"), *_differences(lines, block_id)]


def _is_hidden(changed: Line) -> bool:
    """Whether a line stands for a value that a rule hides, and that nobody could change."""
    # No text of an agent is drawn so that it could be taken for a mark (``handlers.slack.text``).
    return f'"{AS_SENT}"' in changed.text and changed.was.startswith("[redacted ")


def vote_ahead(standing: StandingVote) -> str:
    """Say in mrkdwn what has become of a vote that was left for a call."""
    who = user_mention(standing.user_id)
    if standing.taken_at is not None:
        return f"{who}'s approval was counted on #{standing.taken_by}, {date(standing.taken_at)}."
    if standing.lifted_at is not None:
        return (
            f"{who}'s approval of it ended {date(standing.lifted_at)}: it was lifted, or a newer vote took its place."
        )
    return f"{who}'s approval waits for exactly that call, until {date(standing.expires_at)}."


def _granted(standing: StandingVote, block_id: str) -> list[Block]:
    told: list[Block] = [context([vote_ahead(standing)], block_id)]
    if standing.note:
        part = excerpt(standing.note, _REASON_CHARACTERS, _REASON_LINES)
        rest = f"{how_many(part.left_out, 'more character')} of it: see Details."
        told += [quote(part.shown, f"{block_id}_reason"), *([context([rest])] if part.left_out else [])]
    return told


def cast_ahead(drawing: Drawing, pings: Collection[str] | None = None) -> list[Block]:
    """Tell which of the votes on a request were cast ahead, and when; nothing if none was. ``pings`` as above."""
    lines = [
        f"{_who(one.user_id, pings)} approved exactly this call ahead, {date(one.granted_at)},"
        f" on #{one.request_number}."
        for one in drawing.taken
    ]
    return [context(lines, "ahead")] if lines else []


# --- a denial that is remembered --------------------------------------------------------------------------


def memory(drawing: Drawing) -> list[Block]:
    """Tell that the same call is denied again without asking, and let a reviewer end that; nothing if it is not."""
    request = drawing.request
    if request.reopened_at is not None:
        words = f"🔓 *Reopened* by {user_mention(request.reopened_by)}, {date(request.reopened_at)}:"
        return [section(f"{words} people are asked again about the next such call.", "memory")]
    if drawing.remembered_until is None:
        return []
    until = f"until {date(drawing.remembered_until)}"
    waits = any(
        one.taken_at is None and one.lifted_at is None and one.digest == request.digest for one in drawing.granted
    )
    same = "But for that approval, the same call" if waits else "The same call"
    return [
        context([f"{same} is denied again without asking, {until} or until a reviewer reopens it."], "memory"),
        actions([button("Reopen", REOPEN, str(request.number))], "reopen"),
    ]


def render_tries(drawing: Drawing) -> Message:
    """The one reply under a denied request's card that counts how often the agent asked again."""
    request, times = drawing.request, drawing.tries
    often = "once" if times == 1 else f"{times:,} times"
    last = f", last {date(drawing.last_try_at)}" if drawing.last_try_at else ""
    why = "denied for the same reason" if times == 1 else "denied each time for the same reason"
    words = f"🔁 *Asked again {often}*{last}; {why}. Nobody was asked."
    if request.reopened_at is not None:
        words += f"\nReopened {date(request.reopened_at)}: people are asked again about the next such call."
    agent, tool = mrkdwn(request.agent), name_in_mrkdwn(request.tool)
    return Message(f"Asked again {often}: {agent}, {tool} · #{request.number}", [section(words, "tries")])


# --- people -----------------------------------------------------------------------------------------------


def _by(user_id: str | None, pings: Collection[str] | None) -> str:
    """Name who decided, unless that would ping somebody whom the card does not ask."""
    mention = user_mention(user_id)
    return f" by {mention}" if user_id is not None and (pings is None or mention in pings) else ""


def _who(user_id: str, pings: Collection[str] | None) -> str:
    mention = user_mention(user_id)
    return mention if pings is None or mention in pings else "A reviewer"
