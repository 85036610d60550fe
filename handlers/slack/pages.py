"""Long requests in pages: the whole call for the review, and everything there is for the details.

Pure. Nothing is dropped between pages: they are consecutive pieces of the same text. Where a page of the review ends
depends on the call alone, which never changes, so that page 3 is the same page 3 at the next press. Only the page
asked for is drawn: an agent may send a megabyte.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bot.drawings import Drawing
from bot.redaction import MARK_SIGN
from handlers.slack.blocks import SECTION_CHARACTERS, Block, context, frame, frames, line, quote, said, section
from handlers.slack.call_parts import (
    deciders,
    facts_in_full,
    forgotten,
    hidden_copies,
    in_sections,
    names_in_full,
    order,
    wanted,
    warning,
)
from handlers.slack.comparison import call_outline, compared
from handlers.slack.corrections import words_of
from handlers.slack.marks import Line, draw, fill
from handlers.slack.pauses import paused
from handlers.slack.quorum import votes_so_far, what_lacks
from handlers.slack.remembered import cast_ahead, changed_call, near_repeat
from handlers.slack.states import history
from handlers.slack.steps import done_so_far
from handlers.slack.text import barred, date, how_many, mrkdwn, user_mention, visible
from store.tables import FullView, StepUp, Vote, VoteKind

PAGE_FRAMES = 4
PAGE_CHARACTERS = 8000
"""Characters of the original text on a page. Shown as code points they take nine times the room, and still fit."""
_OLD_VALUES_CHARACTERS = 150  # in each frame, beyond the room that its lines take
_EARLIER_BREAK = 500  # a page may end this much earlier where a line ends


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a modal. ``index`` counts from 0."""

    index: int
    count: int
    blocks: list[Block]

    @property
    def is_last(self) -> bool:
        return self.index == self.count - 1


# --- review -----------------------------------------------------------------------------------------------


def review_page(drawing: Drawing, index: int) -> Page:
    """Draw a page of the whole call; beyond the ends the nearest."""
    contents = _call_frames(drawing)
    at = min(max(index, 0), len(contents) - 1)
    blocks = [
        *_draw_frames(drawing, contents[at]),
        *order(call_outline(drawing)),
        *compared(drawing),
        *hidden_copies(drawing),
    ]
    return Page(at, len(contents), [*(names_in_full(drawing.request) if at == 0 else []), *blocks])


def _call_frames(drawing: Drawing) -> list[list[list[Line]]]:
    """The lines of each frame of each page."""
    filled = fill(call_outline(drawing).lines)
    return [filled[at : at + PAGE_FRAMES] for at in range(0, len(filled), PAGE_FRAMES)] or [[]]


def _draw_frames(drawing: Drawing, shown: list[list[Line]]) -> list[Block]:
    if not shown:
        return [context(["The call has no arguments."])]
    marked = call_outline(drawing).is_marked
    return [frame(draw(lines, gutter=marked, old_values=_OLD_VALUES_CHARACTERS)) for lines in shown]


# --- details ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stays together on a page: its size in characters of the original, and how to draw it."""

    size: int
    draw: Callable[[], list[Block]]


def details_page(drawing: Drawing, index: int) -> Page:
    """Draw a page of everything there is to know of a request; beyond the ends the nearest."""
    pages: list[list[_Piece]] = [[]]
    size = 0
    for piece in _pieces(drawing):
        if pages[-1] and size + piece.size > PAGE_CHARACTERS:
            pages.append([])
            size = 0
        pages[-1].append(piece)
        size += piece.size
    at = min(max(index, 0), len(pages) - 1)
    return Page(at, len(pages), [block for piece in pages[at] for block in piece.draw()])


def _pieces(drawing: Drawing) -> Iterator[_Piece]:
    request = drawing.request
    yield _Piece(1500, lambda: _summary(drawing))
    yield from _call_pieces(drawing)
    yield _Piece(800, lambda: compared(drawing))
    yield _Piece(2500, lambda: [*near_repeat(drawing), *cast_ahead(drawing), *changed_call(drawing)])
    if request.forgotten_at is None:
        but = ", but for what is hidden" if MARK_SIGN in request.arguments else ""
        yield from _text(f"Arguments, as the JSON text that was sent{but}", request.arguments)
    yield from _text("The agent's claim, not checked", request.agent_reasoning)
    yield from _text("Context from the agent, not checked", request.context)
    for mentions in in_sections(deciders(drawing), SECTION_CHARACTERS - 50):
        yield _Piece(len(mentions), _drawing_of_section(f"*May decide* {mentions}"))
    if drawing.rule is not None and drawing.rule.when:
        yield from _text("The rule is for calls where", drawing.rule.when, quote)
    for done in done_so_far(drawing):
        yield _Piece(len(done), _drawing_of_section(done))
    for vote in sorted([*drawing.votes, *drawing.withdrawn], key=lambda one: one.id):
        yield from _vote(vote, drawing)
    for override in drawing.overrides:
        told = words_of(override)
        yield _Piece(len(told), _drawing_of_section(told))
        yield from _text("The reason for it", override.reason, quote)
    if request.note is not None:
        yield from _text("Note to the agent", request.note, quote)
    yield from _text("The agent's words on the outcome, not checked", request.outcome_note)


def _call_pieces(drawing: Drawing) -> Iterator[_Piece]:
    request = drawing.request
    if request.forgotten_at is not None:
        yield _Piece(200, lambda: forgotten(request))
        return
    for at, shown in enumerate(_call_frames(drawing)):
        size = sum(len(one.text) + 1 for lines in shown for one in lines)
        yield _Piece(size, _drawing_of_call(drawing, shown, is_first=at == 0))


def _summary(drawing: Drawing) -> list[Block]:
    request = drawing.request
    lines = history(drawing)
    told = [
        *([section("\n".join(lines))] if lines else votes_so_far(drawing)),
        *paused(drawing),
        section("\n".join(facts_in_full(drawing))),
    ]
    return [line(wanted(request)), *names_in_full(request), *told, *hidden_copies(drawing), *warning(request)]


def _drawing_of_call(drawing: Drawing, shown: list[list[Line]], *, is_first: bool) -> Callable[[], list[Block]]:
    label = "Arguments" if is_first else "Arguments, continued"
    sorted_by_length = order(call_outline(drawing), "the JSON text below") if is_first else []
    return lambda: [line([said(label, bold=True)]), *sorted_by_length, *_draw_frames(drawing, shown)]


def _drawing_of_section(text: str) -> Callable[[], list[Block]]:
    return lambda: [section(text)]


_CAST = {VoteKind.APPROVE: "Approved", VoteKind.DENY: "Denied"}
_WHERE = {"card": "on the card", "modal": "in a form"}
_SEEN = {FullView.CARD: "on the card", FullView.PAGES: "page by page", FullView.FORM: "in the form"}


def _vote(vote: Vote, drawing: Drawing) -> Iterator[_Piece]:
    where = "cast ahead" if vote.standing_id is not None else _WHERE.get(vote.surface, mrkdwn(vote.surface))
    words = [f"*{_CAST[vote.kind]}* by {user_mention(vote.user_id)} {date(vote.cast_at)}, {where}"]
    if vote.is_forced:
        words.append("*forced* as an admin")
    if vote.full_view is not None:
        words.append(f"saw the whole call {_SEEN[vote.full_view]}")
    if vote.step_up is StepUp.TOTP:
        words.append("with a passcode")
    if vote.withdrawn_at:
        words.append(f"*withdrawn* {date(vote.withdrawn_at)}")
    elif not vote.is_forced and (missing := what_lacks(vote, drawing)) is not None:
        words.append(f"*does not count* ({missing})")
    told = "; ".join(words)
    yield _Piece(len(told), _drawing_of_section(told))
    if vote.note:
        yield from _text("Their reason", vote.note, quote)


def _text(name: str, text: str | None, put: Callable[[str], Block] = frame) -> Iterator[_Piece]:
    """A long text in slices, each under its name and the part of it that it is."""
    if text is None:
        return
    for start, end in _slices(text):
        part = f", from {start + 1:,} to {end:,}" if end - start < len(text) else ""
        label = f"{name} ({how_many(len(text), 'character')}{part})"
        yield _Piece(end - start, _drawing_of_slice(label, text[start:end], put))


def _drawing_of_slice(label: str, text: str, put: Callable[[str], Block]) -> Callable[[], list[Block]]:
    def draw() -> list[Block]:
        shown = visible(text, lines=True)
        pieces = frames((shown if put is quote else barred(shown)).split("\n")) if text else []
        return [line([said(label, bold=True)]), *(put(one) for one in pieces)]

    return draw


def _slices(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text into pages: at the end of a line where one is near, never between a backslash and its letter."""
    start = 0
    while len(text) - start > PAGE_CHARACTERS:
        end = start + PAGE_CHARACTERS
        line_end = text.rfind("\n", end - _EARLIER_BREAK, end) + 1
        if line_end:
            end = line_end
        elif text[end - 1] == "\\":
            end -= 1
        yield start, end
        start = end
    yield start, len(text)
