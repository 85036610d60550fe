"""Block Kit's rules: what Slack takes, what it refuses and in which words, and what it makes of it.

Judges JSON and nothing else. The rules are built of rules.py, from the smallest object (texts.py) to the
whole view (views.py). Blocks that Slack has but that are not here (task cards, carousels, videos, calls)
are refused as unsupported.
"""

from __future__ import annotations

import copy
import json
import secrets
from typing import Any

from playground.blockkit.blocks import Surface, blocks_rule
from playground.blockkit.rules import Problem, Report
from playground.blockkit.views import VIEW, VIEW_BYTES_MOST
from playground.errors import SlackRefusal
from playground.model import Json, texts_of

__all__ = [
    "MESSAGE_CHARACTERS_MOST",
    "Problem",
    "Surface",
    "check_blocks",
    "check_message",
    "check_view",
    "problems_of_blocks",
    "problems_of_view",
]

# Beyond about this much text in its blocks a message was reported refused with msg_blocks_too_long.
MESSAGE_CHARACTERS_MOST = 13_000

_INTERACTIVE_WITHOUT_ID = {"image", "plain_text", "mrkdwn"}


def problems_of_blocks(blocks: Any, surface: Surface = "message", pointer: str = "/blocks") -> list[Problem]:
    """Everything that is wrong with some blocks."""
    report = Report()
    blocks_rule(surface)(blocks, pointer, report)
    return report.problems


def problems_of_view(view: Any, pointer: str = "/view") -> list[Problem]:
    """Everything that is wrong with a view."""
    report = Report()
    VIEW(view, pointer, report)
    return report.problems


def check_blocks(blocks: Any) -> list[Json]:
    """A message's blocks as Slack keeps them, with the ids it adds; refused with `invalid_blocks`."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SlackRefusal("invalid_blocks_format")
    if not blocks:
        return []
    if problems := problems_of_blocks(blocks):
        words = [problem.words() for problem in problems]
        raise SlackRefusal("invalid_blocks", messages=words, errors=words)
    if sum(len(text) for text in texts_of(blocks)) > MESSAGE_CHARACTERS_MOST:
        raise SlackRefusal("msg_blocks_too_long")
    return _as_kept(blocks)


def check_message(text: Any, blocks: Any, *, attachments: Any = None) -> tuple[str, list[Json]]:
    """A message's text and blocks as Slack keeps them; `no_text` when there is nothing to show."""
    if text is not None and not isinstance(text, str):
        raise SlackRefusal("invalid_arguments", messages=["must be a string [json-pointer:/text]"])
    kept = check_blocks(blocks) if blocks is not None else []
    if not kept and not attachments and not (text or "").strip():
        raise SlackRefusal("no_text")
    return text or "", kept


def check_view(view: Any, *, surface: str = "modal") -> Json:
    """A view as Slack keeps it; refused with `invalid_arguments` or `view_too_large`."""
    if not isinstance(view, dict):
        raise SlackRefusal("invalid_arguments", messages=["must be an object [json-pointer:/view]"])
    if len(json.dumps(view, ensure_ascii=False).encode()) > VIEW_BYTES_MOST:
        raise SlackRefusal("view_too_large")
    if problems := problems_of_view(view):
        raise SlackRefusal("invalid_arguments", messages=[problem.words() for problem in problems])
    if view["type"] != surface:
        raise SlackRefusal(
            "invalid_arguments", messages=[f"unsupported type: {view['type']} [json-pointer:/view/type]"]
        )
    return {**_with_defaults(copy.deepcopy(view)), "blocks": _as_kept(view["blocks"])}


def _as_kept(blocks: list[Json]) -> list[Json]:
    """A copy with what Slack adds: block ids, action ids, and the defaults of texts."""
    kept: list[Json] = _with_defaults(copy.deepcopy(blocks))
    for block in kept:
        block.setdefault("block_id", secrets.token_urlsafe(4)[:5])
        if block["type"] in ("actions", "context_actions", "section", "input"):
            for element in (block.get("accessory"), block.get("element"), *(block.get("elements") or [])):
                if isinstance(element, dict) and element["type"] not in _INTERACTIVE_WITHOUT_ID:
                    element.setdefault("action_id", secrets.token_urlsafe(4)[:5])
    return kept


def _with_defaults(value: Any) -> Any:
    if isinstance(value, list):
        for item in value:
            _with_defaults(item)
    elif isinstance(value, dict):
        if value.get("type") == "plain_text":
            value.setdefault("emoji", True)
        elif value.get("type") == "mrkdwn":
            value.setdefault("verbatim", False)
        for item in value.values():
            _with_defaults(item)
    return value
