"""Block Kit in small pieces: the few shapes that cards, modals, the Home tab and answers are made of.

Pure. The rule that readers of cards and modals can rely on: what stands in a grey frame (``code`` or preformatted)
came from an agent, what stands behind a bar from a person, and the rest is said by Signoff. Texts come in already
rendered by ``handlers.slack.text``; nothing here makes text inert.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Block = dict[str, Any]
View = dict[str, Any]
Part = dict[str, Any]

FRAME_CHARACTERS = 2800
"""The most that one preformatted frame holds; Slack's own limit for a text is 3000."""
SECTION_CHARACTERS = 2900
TITLE_CHARACTERS = 24


@dataclass(frozen=True, slots=True)
class Message:
    """A message for Slack: ``text`` is the notification and the fallback, ``blocks`` is what is seen.

    ``at`` is the last time in ``text``, which Slack does not turn into each reader's zone there as it does in blocks.
    """

    text: str
    blocks: list[Block]
    at: datetime | None = None


# --- text -------------------------------------------------------------------------------------------------


def said(text: str, *, bold: bool = False, italic: bool = False) -> Part:
    """A piece of a line that Signoff says."""
    style = {name: True for name, on in (("bold", bold), ("italic", italic)) if on}
    return {"type": "text", "text": text, "style": style} if style else {"type": "text", "text": text}


def sign(name: str) -> Part:
    """One of Slack's emoji, which no text from outside can make."""
    return {"type": "emoji", "name": name}


def framed(text: str) -> Part:
    """A piece of a line that came from an agent."""
    return {"type": "text", "text": text, "style": {"code": True}}


def link(text: str, url: str | None, *, bold: bool = False) -> Part:
    """A piece of a line that leads somewhere; only said where there is no ``url``. Never for a text of others."""
    return said(text, bold=bold) if url is None else {**said(text, bold=bold), "type": "link", "url": url}


def line(parts: Sequence[Part], block_id: str | None = None) -> Block:
    """One line of rich text, which knows no markup."""
    return _with_id(
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(parts)}]}, block_id
    )


def frame(shown: str, block_id: str | None = None) -> Block:
    """A grey frame around rendered text of at most ``FRAME_CHARACTERS``."""
    part = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": shown or " "}]}
    return _with_id({"type": "rich_text", "elements": [part]}, block_id)


def quote(shown: str, block_id: str | None = None) -> Block:
    """What a person wrote, set apart by a bar."""
    part = {"type": "rich_text_quote", "elements": [{"type": "text", "text": shown or " "}]}
    return _with_id({"type": "rich_text", "elements": [part]}, block_id)


def section(mrkdwn: str, block_id: str | None = None) -> Block:
    """Signoff's own words, with markup."""
    return _with_id({"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}}, block_id)


def context(lines: Iterable[str], block_id: str | None = None) -> Block:
    """Signoff's own words in small print, one paragraph."""
    text = {"type": "mrkdwn", "text": "\n".join(lines), "verbatim": True}
    return _with_id({"type": "context", "elements": [text]}, block_id)


def divider() -> Block:
    return {"type": "divider"}


def plain(text: str) -> dict[str, Any]:
    """A plain text object: no markup, no emoji codes."""
    return {"type": "plain_text", "text": text, "emoji": False}


# --- buttons ----------------------------------------------------------------------------------------------


def button(label: str, action_id: str, value: str, style: Literal["primary", "danger"] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "button", "text": plain(label), "action_id": action_id, "value": value}
    return {**made, "style": style} if style else made


def menu(action_id: str, options: Mapping[str, str]) -> dict[str, Any]:
    """The menu behind three dots: labels by the value that choosing one gives, at most five."""
    listed = [{"text": plain(label), "value": value} for value, label in options.items()]
    return {"type": "overflow", "action_id": action_id, "options": listed}


def actions(buttons: Sequence[dict[str, Any]], block_id: str | None = None) -> Block:
    return _with_id({"type": "actions", "elements": list(buttons)}, block_id)


# --- views ------------------------------------------------------------------------------------------------


def modal(
    title: str,
    blocks: Sequence[Block],
    *,
    external_id: str | None = None,
    callback_id: str | None = None,
    private_metadata: str | None = None,
    submit: str | None = None,
    close: str = "Close",
) -> View:
    """A modal. With ``submit`` its button sends a ``view_submission`` named ``callback_id``."""
    view: View = {"type": "modal", "title": plain(title), "close": plain(close), "blocks": list(blocks)}
    if submit is not None:
        view["submit"] = plain(submit)
    named = {"external_id": external_id, "callback_id": callback_id, "private_metadata": private_metadata}
    return view | {name: value for name, value in named.items() if value is not None}


# --- long text --------------------------------------------------------------------------------------------


def frames(lines: Iterable[str], limit: int = FRAME_CHARACTERS) -> list[str]:
    """Fill frames with rendered lines, none dropped. A line too long for a frame goes on after ``↳``."""
    filled: list[str] = []
    current: list[str] = []
    size = 0
    for piece in (piece for whole in lines for piece in _broken(whole, limit)):
        if current and size + len(piece) + 1 > limit:
            filled.append("\n".join(current))
            current, size = [], 0
        current.append(piece)
        size += len(piece) + 1
    if current:
        filled.append("\n".join(current))
    return filled


def _broken(whole: str, limit: int) -> list[str]:
    if len(whole) <= limit:
        return [whole]
    width = limit - 2
    return [whole[:width], *(f"↳ {whole[at : at + width]}" for at in range(width, len(whole), width))]


def _with_id(block: Block, block_id: str | None) -> Block:
    return block if block_id is None else {**block, "block_id": block_id}
