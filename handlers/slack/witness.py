"""The line by which a finished card vouches for the record: an event's number and the beginning of its hash.

Slack keeps it where whoever owns the database alone cannot reach; `signoff audit verify --slack` reads it back. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bot.drawings import Drawing
from handlers.slack.blocks import Block, context
from store.statements_audit import EventMark

HASH_BYTES = 8
"""How much of a hash a card shows. To make another chain that begins so takes 2^64 tries, for each card anew."""
BLOCK = "witness"
_FORM = re.compile(r"On record: event (\d{1,18}) · `([0-9a-f]{16})`")


def render_witness(drawing: Drawing) -> list[Block]:
    """Draw the line; nothing while there is nothing to vouch for."""
    mark = drawing.witness
    if mark is None:
        return []
    return [context([f"On record: event {mark.number} · `{mark.hash[:HASH_BYTES].hex()}`"], BLOCK)]


def read_witness(blocks: Iterable[Mapping[str, Any]]) -> EventMark | None:
    """Read the line back from a card as Slack has it, the hash as short as it stands there; None if it has none."""
    for block in blocks:
        if block.get("block_id") != BLOCK:
            continue
        elements = block.get("elements")
        for element in elements if isinstance(elements, list) else []:
            form = _FORM.fullmatch(str(element.get("text"))) if isinstance(element, Mapping) else None
            if form is not None:
                return EventMark(int(form[1]), bytes.fromhex(form[2]))
    return None
