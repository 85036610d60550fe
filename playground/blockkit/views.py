"""Rules for whole views: modals and Home tabs."""

from __future__ import annotations

from typing import Any

from playground.blockkit.blocks import blocks_rule
from playground.blockkit.rules import Report, boolean, both, by_type, fields, string, when_object
from playground.blockkit.texts import plain_text

VIEW_BYTES_MOST = 250_000
_NAMES = {
    "callback_id": string(most=255, least=0),
    "external_id": string(most=255, least=0),
    "private_metadata": string(most=3000, least=0),
}


@when_object
def _submit_for_inputs(value: dict[str, Any], pointer: str, report: Report) -> None:
    blocks = value.get("blocks")
    has_input = isinstance(blocks, list) and any(
        isinstance(block, dict) and block.get("type") == "input" for block in blocks
    )
    if has_input and "submit" not in value:
        report.add(pointer, "must define `submit` to use an `input` block in modals", type="required", field="submit")


VIEW = by_type(
    {
        "modal": both(
            fields(
                {"title": plain_text(24), "blocks": blocks_rule("modal")},
                {
                    **_NAMES,
                    "submit": plain_text(24),
                    "close": plain_text(24),
                    "clear_on_close": boolean,
                    "notify_on_close": boolean,
                },
                kind="modal",
            ),
            _submit_for_inputs,
        ),
        "home": fields({"blocks": blocks_rule("home")}, _NAMES, kind="home"),
    }
)
