"""What keeps a request from being approved or used: who paused it, since when, until when and why. Pure.

It stands above the buttons, where it is read before they are pressed. They move down when a pause begins and up when it
ends, which nothing else makes them do; what a slow thumb then meets opens a form, or is refused: while something is
paused nothing is approved, and where *Approve* stands once it is over there were words before.

A card in a channel that may be shared with another company names no one of ours, and not why: only that it is paused.
"""

from datetime import datetime

from bot.drawings import Drawing
from bot.halted import name_of
from handlers.slack.blocks import Block, context, quote, section
from handlers.slack.text import date, excerpt, how_many, mrkdwn, user_mention
from store.tables import Halt, Request, Status

SIGN = "⏸"
MAX_REASON_CHARACTERS = 300
MAX_REASON_LINES = 4


def paused(drawing: Drawing, block_id: str = "paused", *, on_card: bool = False) -> list[Block]:
    """Tell what pauses a request that is pending or open; nothing where nothing does.

    ``on_card``: it is for all who see the request's cards, and not for one who may see the request.
    """
    if not drawing.pauses:
        return []
    pause, *others = drawing.pauses
    outside = on_card and drawing.rule is not None and drawing.rule.external
    words = [_told(pause, named=not outside), _means(drawing.request, pause)]
    if others:
        also = "1 more pause holds" if len(others) == 1 else f"{len(others)} more pauses hold"
        words.append(f"{also} it too.")
    blocks = [section(" ".join(words), block_id)]
    if not outside:
        part = excerpt(pause.reason, MAX_REASON_CHARACTERS, MAX_REASON_LINES)
        blocks.append(quote(part.shown, f"{block_id}_reason"))
        if part.left_out:
            blocks.append(context([f"{how_many(part.left_out, 'more character')} of the reason."], f"{block_id}_rest"))
    return blocks


def paused_in_short(drawing: Drawing) -> list[str]:
    """The same in one mrkdwn line, without who and why; nothing where nothing does."""
    return [f"{_what(one)} {_until(one.until)}" for one in drawing.pauses[:1]]


def _told(pause: Halt, *, named: bool) -> str:
    who = f" by {user_mention(pause.user_id)}" if named else ""
    return f"{_what(pause)}{who} {date(pause.at, 'since ')}, {_until(pause.until)}."


def _what(pause: Halt) -> str:
    return f"{SIGN} *{mrkdwn(name_of(pause.scope, pause.name))} is paused*"


def _until(until: datetime | None) -> str:
    return date(until, "until ") if until is not None else "until it is resumed"


def _means(request: Request, pause: Halt) -> str:
    """Say what can be done meanwhile, and where the time that is left ends before the pause does."""
    is_pending = request.status is Status.PENDING
    ends = request.deadline_at if is_pending else request.expires_at
    if is_pending:
        words = "Nothing is approved meanwhile; *Deny* works."
        late = " The pause outlasts the deadline."
    else:
        words = "This approval cannot be used meanwhile, and its time runs on."
        late = " The pause outlasts it."
    return words + (late if pause.until is not None and ends is not None and pause.until >= ends else "")
