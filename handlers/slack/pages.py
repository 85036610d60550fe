"""Long requests in pages: the whole call for the review, and everything there is for the details.

Pure. Nothing is dropped between pages: they are consecutive pieces of the same lines. Where a page ends depends on
the request's immutable parts alone, so that page 3 is the same page 3 at the next press.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bot.durations import render_duration
from bot.outbox import Drawing
from handlers.slack.blocks import Block, context, frame, frames, line, said, section
from handlers.slack.call_parts import call_outline, decider_groups, deciders, in_sections, wanted, warning
from handlers.slack.states import history
from handlers.slack.text import date, how_many, mrkdwn, user_mention, visible
from store.tables import Vote

PAGE_FRAMES = 4
PAGE_RAW_CHARACTERS = 8000
SECTION_CHARACTERS = 2900


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a modal. ``index`` counts from 0."""

    index: int
    count: int
    blocks: list[Block]

    @property
    def is_last(self) -> bool:
        return self.index == self.count - 1


def review_pages(drawing: Drawing) -> list[Page]:
    """Cut the whole call into pages."""
    filled = frames(call_outline(drawing.request).lines)
    contents: list[list[Block]] = [
        [frame(shown, f"call_{at + offset}") for offset, shown in enumerate(filled[at : at + PAGE_FRAMES])]
        for at in range(0, len(filled), PAGE_FRAMES)
    ] or [[context(["The call has no arguments."], "call_0")]]
    return [Page(at, len(contents), blocks) for at, blocks in enumerate(contents)]


def details_pages(drawing: Drawing) -> list[Page]:
    """Cut everything there is to know of a request into pages: the summary first, the agent's texts after it."""
    request = drawing.request
    contents: list[list[Block]] = [_summary(drawing)]
    for name, text in (
        ("Arguments, as the JSON text that was sent", request.arguments),
        ("The agent's claim, not checked", request.agent_reasoning),
        ("Context from the agent, not checked", request.context),
        ("The agent's words on the outcome", request.outcome_note),
    ):
        if text is not None:
            for at, piece in enumerate(_slices(text)):
                label = f"{name} ({how_many(len(text), 'character')}){', continued' if at else ''}"
                blocks = [line([said(label, bold=True)])]
                blocks += [frame(shown) for shown in frames(visible(piece, lines=True).split("\n"))]
                contents.append(blocks)
    return [Page(at, len(contents), blocks) for at, blocks in enumerate(contents)]


def _slices(text: str) -> Iterator[str]:
    for at in range(0, max(len(text), 1), PAGE_RAW_CHARACTERS):
        yield text[at : at + PAGE_RAW_CHARACTERS]


def _summary(drawing: Drawing) -> list[Block]:
    request = drawing.request
    blocks = [line(wanted(request), "head"), *warning(request)]
    lines = history(drawing)
    if lines:
        blocks.append(section("\n".join(lines)))
    facts = [
        f"*Request* #{request.number} · {mrkdwn(request.id)}",
        f"*Agent* {mrkdwn(request.agent)} · instance {mrkdwn(drawing.instance.name)} ({mrkdwn(drawing.instance.id)})",
        f"*Asked* {date(request.created_at)}, for {mrkdwn(request.timeout)}",
        f"*Deadline* {date(request.deadline_at)}",
    ]
    if drawing.rule is not None:
        facts += [
            f"*Rule* {mrkdwn(drawing.rule.name)}, version {request.rule_id}",
            f"*Valid* {render_duration(drawing.rule.validity)} after approval",
            f"*May decide* {decider_groups(drawing)}, the agent's owners never",
        ]
    blocks.append(section("\n".join(facts)))
    blocks += [section(text) for text in in_sections(deciders(drawing), SECTION_CHARACTERS)]
    blocks += [section(_vote(vote)) for vote in drawing.votes]
    return blocks


def _vote(vote: Vote) -> str:
    return f"*{vote.kind.value}* by {user_mention(vote.user_id)} {date(vote.cast_at)}, {mrkdwn(vote.surface)}"
