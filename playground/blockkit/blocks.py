"""Rules for the blocks, and which of them each surface takes."""

from __future__ import annotations

from typing import Any, Literal

from playground.blockkit import elements as e
from playground.blockkit.richtext import RICH_TEXT_ELEMENT
from playground.blockkit.rules import Report, Rule, array, boolean, both, by_type, fields, string, when_object
from playground.blockkit.texts import TEXT_MOST, any_text, mrkdwn_fields, plain_fields, plain_text

Surface = Literal["message", "modal", "home"]

MARKDOWN_MOST = 12_000
_BLOCK_ID: dict[str, Rule] = {"block_id": string(most=255)}


def _block(kind: str, required: dict[str, Rule], optional: dict[str, Rule] | None = None) -> Rule:
    return fields(required, {**_BLOCK_ID, **(optional or {})}, kind=kind)


@when_object
def _text_or_fields(value: dict[str, Any], pointer: str, report: Report) -> None:
    if "text" not in value and "fields" not in value:
        report.add(pointer, "must define either `text` or `fields`", type="one_of")


@when_object
def _distinct_action_ids(value: dict[str, Any], pointer: str, report: Report) -> None:
    seen: set[str] = set()
    entries = value.get("elements")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        action_id = entry.get("action_id") if isinstance(entry, dict) else None
        if isinstance(action_id, str):
            if action_id in seen:
                report.add(
                    f"{pointer}/elements/{index}/action_id", f"action_id already exists: {action_id}", type="unique"
                )
            seen.add(action_id)


_IMAGE_ELEMENT = {"image": e.image_fields()}
_IN_ACTIONS = {"button": e.BUTTON, "overflow": e.OVERFLOW, **e.SELECTS, **e.CHOICES, **e.PICKERS}
_IN_SECTION = {
    **_IMAGE_ELEMENT,
    "button": e.BUTTON,
    "overflow": e.OVERFLOW,
    **e.SELECTS,
    **e.MULTI_SELECTS,
    **e.CHOICES,
    "datepicker": e.PICKERS["datepicker"],
    "timepicker": e.PICKERS["timepicker"],
}
_RICH_TEXT = _block("rich_text", {"elements": array(RICH_TEXT_ELEMENT)})

_IN_INPUT = {
    **e.TYPED,
    "rich_text_input": e.typed("rich_text_input", initial_value=by_type({"rich_text": _RICH_TEXT})),
    **e.SELECTS,
    **e.MULTI_SELECTS,
    **e.CHOICES,
    **e.PICKERS,
}
_IN_CONTEXT = {**_IMAGE_ELEMENT, "plain_text": plain_fields(TEXT_MOST), "mrkdwn": mrkdwn_fields(TEXT_MOST)}
_CELL = by_type(
    {
        "raw_text": fields({"text": string()}, kind="raw_text"),
        "raw_number": fields({"value": string(least=0)}, {"text": string()}, kind="raw_number"),
        "rich_text": _RICH_TEXT,
    }
)
_COLUMN = fields({}, {"align": string(among=("left", "center", "right")), "is_wrapped": boolean})

_EVERYWHERE: dict[str, Rule] = {
    "section": both(
        _block(
            "section",
            {},
            {
                "text": any_text(TEXT_MOST),
                "fields": array(any_text(2000), most=10),
                "accessory": by_type(_IN_SECTION),
                "expand": boolean,
            },
        ),
        _text_or_fields,
    ),
    "divider": _block("divider", {}),
    "header": _block("header", {"text": plain_text(150)}),
    "image": e.image_fields(title=plain_text(2000), **_BLOCK_ID),
    "actions": both(_block("actions", {"elements": array(by_type(_IN_ACTIONS), most=25)}), _distinct_action_ids),
    "context": _block("context", {"elements": array(by_type(_IN_CONTEXT), most=10)}),
    "input": _block(
        "input",
        {"label": plain_text(2000), "element": by_type(_IN_INPUT)},
        {"hint": plain_text(2000), "optional": boolean, "dispatch_action": boolean},
    ),
    "rich_text": _RICH_TEXT,
}
_IN_MESSAGES: dict[str, Rule] = {
    "markdown": _block("markdown", {"text": string(most=MARKDOWN_MOST)}),
    "table": _block(
        "table",
        {"rows": array(array(_CELL, most=20), most=100)},
        {"column_settings": array(_COLUMN, most=20)},
    ),
    "context_actions": both(
        _block("context_actions", {"elements": array(by_type(e.CONTEXT_ACTIONS), most=5)}),
        _distinct_action_ids,
    ),
}
_IN_MODALS: dict[str, Rule] = {
    "alert": _block(
        "alert",
        {"text": any_text(200)},
        {"level": string(among=("default", "info", "warning", "error", "success"))},
    )
}

BLOCKS: dict[Surface, dict[str, Rule]] = {
    "message": {**_EVERYWHERE, **_IN_MESSAGES},
    "modal": {**_EVERYWHERE, **_IN_MODALS},
    "home": _EVERYWHERE,
}
MOST_BLOCKS: dict[Surface, int] = {"message": 50, "modal": 100, "home": 100}


def blocks_rule(surface: Surface) -> Rule:
    """The rule for the `blocks` of a message, a modal or a Home tab."""
    least = 0 if surface == "home" else 1
    return both(
        array(by_type(BLOCKS[surface]), most=MOST_BLOCKS[surface], least=least),
        _distinct_block_ids,
        _one_focus,
        _markdown_in_all,
        _one_table,
    )


def _blocks_of(value: Any) -> list[tuple[int, dict[str, Any]]]:
    entries = value if isinstance(value, list) else []
    return [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict)]


def _distinct_block_ids(value: Any, pointer: str, report: Report) -> None:
    seen: set[str] = set()
    for index, block in _blocks_of(value):
        block_id = block.get("block_id")
        if isinstance(block_id, str):
            if block_id in seen:
                report.add(f"{pointer}/{index}/block_id", f"block_id already exists: {block_id}", type="unique")
            seen.add(block_id)


def _one_focus(value: Any, pointer: str, report: Report) -> None:
    focused = [
        f"{pointer}/{index}"
        for index, block in _blocks_of(value)
        for entry in (block.get("element"), block.get("accessory"), *_list(block.get("elements")))
        if isinstance(entry, dict) and entry.get("focus_on_load") is True
    ]
    for where in focused[1:]:
        report.add(where, "only one element can have focus_on_load set to true", type="unique")


def _markdown_in_all(value: Any, pointer: str, report: Report) -> None:
    texts = [b.get("text") for _, b in _blocks_of(value) if b.get("type") == "markdown"]
    total = sum(len(text) for text in texts if isinstance(text, str))
    if len(texts) > 1 and total > MARKDOWN_MOST:
        report.add(
            pointer, f"markdown blocks must be less than {MARKDOWN_MOST + 1} characters in all", type="max_length"
        )


def _one_table(value: Any, pointer: str, report: Report) -> None:
    tables = [index for index, block in _blocks_of(value) if block.get("type") == "table"]
    for index in tables[1:]:
        report.add(f"{pointer}/{index}", "only one table is allowed", type="max_items")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
