"""Which call a request is compared with, and what that had and this has not.

Pure. What differs is marked in the outline itself (``handlers.slack.outline``); nothing unchanged is hidden. Old values
are shown only of a request under the same wording of the rule: under another, its card may have stood in a more private
place than this one.
"""

from collections.abc import Collection

from bot.drawings import Drawing
from handlers.slack.blocks import Block, Part, context, frame, framed, line, said
from handlers.slack.outline import NOTHING, Outline, outline
from handlers.slack.text import date, how_many, user_mention, visible
from store.tables import DeciderKind, Request

MAX_GONE_LINES = 6
MAX_GONE_CHARACTERS = 400
_MAX_NAME = 80


def call_outline(drawing: Drawing) -> Outline:
    """Outline a request's call, marked against the one it is compared with, if any."""
    if drawing.request.forgotten_at is not None:
        return NOTHING
    previous = drawing.previous
    if previous is None:
        return outline(drawing.request.arguments)
    call = outline(drawing.request.arguments, previous.arguments)
    return call if _tells_values(drawing) else call.without_old_values()


def compared(drawing: Drawing, pings: Collection[str] | None = None) -> list[Block]:
    """Name the request that the marks refer to, and list what is gone since; nothing without such a request.

    ``pings``: whom a mention reaches anyway, where the surface is one on which mentions ping (a new message); None
    where they do not. Nobody else is mentioned.
    """
    request, previous = drawing.request, drawing.previous
    if previous is None or request.forgotten_at is not None:
        return []
    call = call_outline(drawing)
    same_server = request.server == previous.server
    which = _which(previous, pings)
    if not call.is_marked:
        words = f"{'Same call' if same_server else 'Same arguments'} as {which}"
    else:
        words = f"Differences to {which}: `~` changed, `+` new"
    if not same_server:
        words += "; *the server is another*"
    blocks = [context([f"{words}."], "compared")]
    if not same_server and _tells_values(drawing):
        blocks.append(line(_server_then(previous), "compared_server"))
    return [*blocks, *_gone(drawing, call)]


def _tells_values(drawing: Drawing) -> bool:
    return drawing.previous is not None and drawing.previous.rule_id == drawing.request.rule_id


def _which(previous: Request, pings: Collection[str] | None) -> str:
    when = f" {date(previous.decided_at)}" if previous.decided_at else ""
    who = user_mention(previous.decided_by)
    is_named = previous.decided_by is not None and (pings is None or who in pings)
    admin = "admin " if previous.decided_by_kind is DeciderKind.ADMIN else ""
    later = ", later revoked" if previous.revoked_at else ""
    return f"#{previous.number}, approved{when}{f' by {admin}{who}' if is_named else ''}{later}"


def _server_then(previous: Request) -> list[Part]:
    if previous.server is None:
        return [said("Then it named no server.")]
    shown = visible(previous.server)
    rest = f" (and {how_many(len(shown) - _MAX_NAME, 'more character')})" if len(shown) > _MAX_NAME else ""
    return [said("The server then: "), framed(shown[:_MAX_NAME]), said(f"{rest}.")]


def _gone(drawing: Drawing, call: Outline) -> list[Block]:
    previous = drawing.previous
    if previous is None or not (call.gone or not _tells_values(drawing)):
        return []
    if not _tells_values(drawing):
        gone = f"{how_many(len(call.gone), 'line')} of it {'is' if len(call.gone) == 1 else 'are'} not in this call. "
        words = f"{gone if call.gone else ''}Its values are not shown: the rule had another wording then."
        return [context([words], "gone")] if call.is_marked or previous.server != drawing.request.server else []
    shown: list[str] = []
    for one in call.gone[:MAX_GONE_LINES]:
        if sum(map(len, shown)) + len(one) > MAX_GONE_CHARACTERS:
            break
        shown.append(one)
    rest = len(call.gone) - len(shown)
    label = [said(f"In #{previous.number}, not in this call:")]
    left_out = [context([f"{how_many(rest, 'more line')} of it: `/signoff show {previous.number}`."], "gone_rest")]
    return [
        line(label, "gone_label"),
        *([frame("\n".join(shown), "gone")] if shown else []),
        *(left_out if rest else []),
    ]
