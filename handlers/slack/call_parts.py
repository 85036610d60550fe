"""The parts that every drawing of a request is put together from: what is wanted, the call, the claim, the facts.

Pure. Each part is a list of blocks. What a part cannot hold it says it leaves out, and where to see it.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from bot.config_rules import Seat
from bot.config_tables import ReviewerGroup
from bot.drawings import Drawing
from bot.durations import render_duration
from handlers.slack.blocks import Block, Part, context, frame, framed, line, said, section, sign
from handlers.slack.comparison import call_outline
from handlers.slack.lookalikes import Oddity, oddities
from handlers.slack.marks import CHANGED, OLD_VALUES_CHARACTERS, UNMARKED, Line, draw
from handlers.slack.outline import Entry, Outline, outline
from handlers.slack.quorum import joined, seat_name, terms_in_full, terms_in_short
from handlers.slack.sent import decode, strings_in
from handlers.slack.text import (
    barred,
    channel_mention,
    date,
    excerpt,
    how_many,
    mrkdwn,
    user_mention,
    usergroup_mention,
    visible,
)
from store.tables import Card, CardState, Place, Request, Status

CARD_CHARACTERS = 2400
CARD_LINES = 40
"""The largest outline that a card shows whole: some three screens of a phone."""
NAME_CHARACTERS = 300
PART_CHARACTERS = 1600
PART_LINES = 24
ENTRY_CHARACTERS = 300
ENTRY_LINES = 5
"""How much a card shows of a call that does not fit, and of each of its arguments."""
CLAIM_CHARACTERS = 700
CLAIM_LINES = 12
MAX_MENTIONS = 20
_REMEMBERED_CALLS, _REMEMBERED_CHARACTERS = 1_000, 4_000
_FITTING: dict[tuple[str, str | None, str], bool] = {}


def fits_card(request: Request, call: Outline | None = None) -> bool:
    """Whether a card shows the whole call. Depends on the call alone, so that it never changes between redraws.

    ``call``: its outline, where there is one already; marks make no difference. The answer is remembered for a while:
    whoever presses has a card before them that was drawn a moment ago.
    """
    key = request.tool, request.server, request.arguments
    fits = _FITTING.get(key)
    if fits is None:
        call = outline(request.arguments) if call is None else call
        fits = names_fit(request) and call.size <= CARD_CHARACTERS and len(call.lines) <= CARD_LINES
        if len(request.arguments) <= _REMEMBERED_CHARACTERS:
            if len(_FITTING) >= _REMEMBERED_CALLS:
                _FITTING.clear()
            _FITTING[key] = fits
    return fits


def names_fit(request: Request) -> bool:
    """Whether tool and server stand whole in the first line. Only names of code points are too long for that."""
    return all(len(visible(name)) <= NAME_CHARACTERS for name in (request.tool, request.server or ""))


# --- the call ---------------------------------------------------------------------------------------------


def wanted(request: Request) -> list[Part]:
    """One line of what is wanted: agent, tool, server."""
    return [said(visible(request.agent), bold=True), said(" wants to run "), *tool_and_server(request)]


def tool_and_server(request: Request) -> list[Part]:
    """Name what is called. A name too long for a line says how much of it is missing."""
    parts = _name(request.tool)
    return parts if request.server is None else [*parts, said(" on "), *_name(request.server)]


def _name(name: str) -> list[Part]:
    shown = visible(name)
    rest = len(shown) - NAME_CHARACTERS
    if rest <= 0:
        return [framed(shown)]
    return [framed(shown[:NAME_CHARACTERS]), said(f" (and {how_many(rest, 'more character')}: see Details)", bold=True)]


def names_in_full(request: Request) -> list[Block]:
    """Tool and server in frames of their own, where the first line cannot hold them."""
    if names_fit(request):
        return []
    named = [("Tool", request.tool), ("Server", request.server)]
    return [block for label, name in named if name for block in (line([said(label, bold=True)]), frame(visible(name)))]


def card_call(drawing: Drawing) -> list[Block]:
    """The call as a card shows it: every argument if it fits, else their beginnings and how much is missing."""
    if drawing.request.forgotten_at is not None:
        return forgotten(drawing.request)
    call = call_outline(drawing)
    if not fits_card(drawing.request, call):
        shown, size = _beginnings(call)
        words = (
            f":warning: *This is not the whole call.* {size:,} of {how_many(call.size, 'character')} are shown here. "
            "*Review* shows all; approving is on its last page."
        )
        return [_call_frame(shown, call), *order(call), section(words, "missing")]
    if not call.entries:
        return [context(["The call has no arguments."], "arguments")]
    return [_call_frame(call.lines, call), *order(call)]


def forgotten(request: Request) -> list[Block]:
    """Say that what was written is not kept any more; nothing while it is."""
    if request.forgotten_at is None:
        return []
    words = (
        f"Arguments, notes and reasons were removed {date(request.forgotten_at)}, as the configuration has it. "
        "The record still commits to them."
    )
    return [context([words], "arguments")]


def order(call: Outline, where: str = "Details") -> list[Block]:
    """Say so where the arguments do not stand in the order sent, and where they do."""
    return [context([f"Short arguments stand first; the order sent: {where}."], "order")] if call.is_reordered else []


def _call_frame(lines: Sequence[Line], call: Outline) -> Block:
    return frame(draw(lines, gutter=call.is_marked, old_values=OLD_VALUES_CHARACTERS), "arguments")


def _beginnings(call: Outline) -> tuple[list[Line], int]:
    """The first lines of each argument, as many arguments as there is room for, and how many characters that is."""
    shown: list[Line] = []
    size = 0
    for at, entry in enumerate(call.entries):
        lines, length = _beginning(entry)
        if size + length > PART_CHARACTERS or len(shown) + len(lines) > PART_LINES:
            rest = call.entries[at:]
            words = f"… {how_many(len(rest), 'more argument')} not shown here"
            shown.append(Line(words, _mark_of(line for entry in rest for line in entry.lines)))
            break
        shown += lines
        size += length
    return shown, size


def _beginning(entry: Entry) -> tuple[list[Line], int]:
    """The first lines of an argument and their length. A line of our own begins with ``…``, and none of theirs does."""
    kept: list[Line] = []
    size = 0
    for one in entry.lines:
        if len(kept) == ENTRY_LINES or size + len(one.text) + 1 > ENTRY_CHARACTERS:
            break
        kept.append(one)
        size += len(one.text) + 1
    rest = entry.lines[len(kept) :]
    if not rest:
        return kept, size
    if len(kept) < 2 and len(rest[0].text) > ENTRY_CHARACTERS:  # one huge line tells more than none
        kept.append(Line(rest[0].text[: ENTRY_CHARACTERS - size], rest[0].mark))
        size = ENTRY_CHARACTERS
    words = f"… {how_many(entry.size - size, 'more character')} not shown here"
    return [*kept, Line(words, _mark_of(rest))], size


def _mark_of(lines: Iterable[Line]) -> str:
    """The mark of a line that stands for others: something in them differs, or nothing does."""
    return CHANGED if any(line.mark != UNMARKED for line in lines) else UNMARKED


@lru_cache(maxsize=64)
def _warned(arguments: str, *others: str) -> tuple[Oddity, ...]:
    return tuple(oddities([*others, *strings_in(decode(arguments))]))


def warning(request: Request, block_id: str = "warning") -> list[Block]:
    """What is odd about the letters of the call; nothing for most."""
    if request.forgotten_at is not None:
        return []
    return _warning(_warned(request.arguments, request.tool, request.server or ""), block_id)


def hidden_copies(drawing: Drawing, block_id: str = "copies") -> list[Block]:
    """Say so where more is hidden than the rule hides: an agent may hide anything by repeating it in a hidden place."""
    if not drawing.copies:
        return []
    words = (
        f":warning: *Hidden beyond what the rule hides: {how_many(drawing.copies, 'place')}* where a hidden value is "
        "repeated. Equal marks stand for equal values."
    )
    return [section(words, block_id)]


def _warning(found: Iterable[Oddity], block_id: str) -> list[Block]:
    parts: list[Part] = []
    for odd in found:
        parts += [said("\n")] if parts else []
        parts += [sign("warning"), said(" ")]
        parts += [framed(odd.sample), said(f" {odd.words}")] if odd.sample else [said(odd.words)]
    return [line(parts, block_id)] if parts else []


# --- what the agent says ----------------------------------------------------------------------------------


def claim(request: Request) -> list[Block]:
    """The agent's reasoning, apart and labelled; how much of it, and of its context, is not shown."""
    blocks: list[Block] = []
    if request.agent_reasoning is not None:
        part = excerpt(request.agent_reasoning, CLAIM_CHARACTERS, CLAIM_LINES)
        read = request.agent_reasoning[: len(request.agent_reasoning) - part.left_out]
        label = [said("The agent's claim", bold=True), said(", not checked:")]
        blocks += [line(label, "claim_label"), frame(barred(part.shown) or "(empty)", "claim")]
        blocks += _warning(oddities([read]), "claim_warning")
        if part.left_out:
            blocks.append(
                context([f"{how_many(part.left_out, 'more character')} of the claim: see Details."], "claim_rest")
            )
    if request.context is not None:
        sent = how_many(len(request.context), "character")
        blocks.append(context([f"The agent also sent context ({sent}): see Details."], "context_rest"))
    return blocks


# --- facts ------------------------------------------------------------------------------------------------


def facts(drawing: Drawing) -> list[str]:
    """Number, deadline, agent, instance, rule, in small print; one mrkdwn line each."""
    request = drawing.request
    is_open = request.status is Status.PENDING
    rule = f" · rule {mrkdwn(drawing.rule.name)}" if drawing.rule else ""
    return [
        f"#{request.number} · "
        + (f"decide by *{date(request.deadline_at)}*" if is_open else f"asked {date(request.created_at)}"),
        f"{mrkdwn(request.agent)}, instance {mrkdwn(drawing.instance.name)}{_made_for(drawing)}{rule}",
        *(terms_in_short(drawing.rule, is_open=is_open) if drawing.rule else []),
    ]


def _made_for(drawing: Drawing) -> str:
    return f" for {user_mention(drawing.instance.person)}" if drawing.instance.person else ""


def facts_in_full(drawing: Drawing) -> list[str]:
    """The same and the rest of it, one mrkdwn line each."""
    request, rule = drawing.request, drawing.rule
    lines = [
        f"*Request* #{request.number}, {mrkdwn(request.id)}",
        f"*Agent* {mrkdwn(request.agent)}",
        f"*Instance* {mrkdwn(drawing.instance.name)}{_made_for(drawing)}, {mrkdwn(drawing.instance.id)}",
        f"*Asked* {date(request.created_at)}, for {mrkdwn(request.timeout)}",
        f"*Deadline* {date(request.deadline_at)}",
    ]
    if rule is None:
        return [*lines, "*Rule* none matched"]
    return [
        *lines,
        f"*Rule* {mrkdwn(rule.name)}, version {request.rule_id}",
        f"*An approval* may be used for {render_duration(rule.validity)}",
        *terms_in_full(rule),
    ]


def where_it_is(cards: Iterable[Card]) -> str:
    """Say in mrkdwn where a request stands that others may see, on a card or on a queue card; empty if nowhere."""
    for card in cards:
        if card.state is CardState.LIVE and card.place not in (Place.DM, Place.THREAD) and card.channel is not None:
            return f"{'on the list' if card.place is Place.QUEUE else 'card'} in {channel_mention(card.channel)}"
    return ""


def deciders(drawing: Drawing) -> list[str]:
    """Mention everybody who may decide, those whose own business it is left out; each a mrkdwn piece."""
    return _mentions(drawing, drawing.rule.groups) if drawing.rule else []


def _mentions(drawing: Drawing, groups: Sequence[ReviewerGroup]) -> list[str]:
    barred = drawing.parties.barred_by(drawing.rule) if drawing.rule else frozenset[str]()
    users = [user for group in groups for user in group.users if user not in barred]
    usergroups = [usergroup for group in groups for usergroup in group.usergroups]
    return list(dict.fromkeys([*map(user_mention, users), *map(usergroup_mention, usergroups)]))


def asked(drawing: Drawing) -> str:
    """Ask those who may decide, seat by seat where there are several; at most some ``MAX_MENTIONS`` are named."""
    seats = drawing.rule.seats if drawing.rule else ()
    if len(seats) < 2:
        return f"May decide: {some_of(deciders(drawing)) or 'nobody'}"
    most = MAX_MENTIONS // len(seats)
    return f"Needs {joined([f'{seat.quorum} of {seat_name(seat)} ({_seat(drawing, seat, most)})' for seat in seats])}"


def _seat(drawing: Drawing, seat: Seat, most: int) -> str:
    return some_of(_mentions(drawing, seat.reviewers), most=max(most, 1)) or "nobody"


def pinged(drawing: Drawing) -> list[str]:
    """Whom ``asked`` mentions."""
    seats = drawing.rule.seats if drawing.rule else ()
    most = max(MAX_MENTIONS // max(len(seats), 1), 1)
    return [mention for seat in seats for mention in _mentions(drawing, seat.reviewers)[:most]]


def decider_groups(drawing: Drawing) -> str:
    """Name the groups of reviewers, without pinging anybody."""
    return some_of([mrkdwn(group.name) for group in drawing.rule.groups], ", ") if drawing.rule else "nobody"


def some_of(pieces: list[str], between: str = " ", most: int = MAX_MENTIONS) -> str:
    """Join mentions or names; those beyond ``most`` are counted."""
    rest = len(pieces) - most
    return between.join(pieces[:most]) + (f" and {rest} more, see Details" if rest > 0 else "")


def in_sections(pieces: Iterable[str], limit: int) -> Iterator[str]:
    """Join mrkdwn pieces into texts of at most ``limit`` characters, none dropped."""
    text = ""
    for piece in pieces:
        if text and len(text) + 1 + len(piece) > limit:
            yield text
            text = piece
        else:
            text = f"{text} {piece}" if text else piece
    if text:
        yield text
