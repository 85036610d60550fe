"""Blocks as plain text, for a terminal: what a card says, without Slack.

Pure. What came from an agent stays apart, behind a bar as it is behind a frame in Slack, and what a person wrote behind
another. Only the blocks that cards are made of are known; another is named, never left out in silence.
"""

import re
from collections.abc import Iterable, Iterator

from handlers.slack.blocks import Block, Message, Part

_MENTIONED = re.compile(r"<(@|#|!subteam\^)[A-Z0-9]+\|([^<>|]+)>")
_SIGNS = {"@": "@", "#": "#", "!subteam^": "@"}
_BARS = {"rich_text_preformatted": "│ ", "rich_text_quote": "> "}
_EMOJI = {"warning": "⚠"}
_TOKEN = re.compile(r"<([^<>]*)>")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ENTITY = re.compile("|".join(_ENTITIES))


def render_plain(message: Message) -> str:
    """The notification on the first line, and the blocks under it."""
    return "\n".join([unescaped(message.text), "", render_plain_blocks(message.blocks)])


def render_plain_blocks(blocks: Iterable[Block]) -> str:
    """The blocks alone, an empty line between two."""
    return "\n\n".join("\n".join(_lines(block)) for block in blocks)


def _lines(block: Block) -> Iterator[str]:
    match block["type"]:
        case "rich_text":
            for element in block["elements"]:
                text = "".join(map(_part, element["elements"]))
                bar = _BARS.get(element["type"], "")
                yield from (f"{bar}{row}" for row in text.split("\n"))
        case "section":
            yield from _spoken(block["text"]["text"])
        case "context":
            for element in block["elements"]:
                yield from _spoken(element["text"])
        case "actions":
            # A menu has no label, and nothing in it that a reader of a card needs.
            yield "  ".join(f"[ {one['text']['text']} ]" for one in block["elements"] if one["type"] == "button")
        case other:
            yield f"({other})"


def _spoken(mrkdwn: str) -> list[str]:
    """Signoff's own words without their markup: of others' there is none in them that ``handlers.slack.text`` left."""
    return unescaped(mrkdwn.replace("*", "").replace(":warning:", _EMOJI["warning"])).split("\n")


def _part(part: Part) -> str:
    match part["type"]:
        case "text":
            text: str = part["text"]
            return f"`{text}`" if part.get("style", {}).get("code") else text
        case "emoji":
            return _EMOJI.get(part["name"], f":{part['name']}:")
        case "link":
            return str(part["text"])
        case other:
            return f"({other})"


def unescaped(mrkdwn: str) -> str:
    """Text of mrkdwn with its mentions and dates in letters."""
    return _ENTITY.sub(lambda match: _ENTITIES[match[0]], _TOKEN.sub(_token, mrkdwn))


def said_in(text: str) -> str:
    """What somebody typed behind a command as they typed it: Slack hands it over escaped, and names by their ids."""
    return unescaped(_MENTIONED.sub(lambda found: f"{_SIGNS[found[1]]}{found[2].lstrip('@#')}", text))


def _token(match: re.Match[str]) -> str:
    body, _, label = match[1].partition("|")
    if body.startswith("!date^"):
        return label
    if body.startswith(("@", "#")):
        return body
    return f"@{body.removeprefix('!subteam^')}" if body.startswith("!subteam^") else label or body
