"""Every limit of Block Kit: taken at the limit, refused one beyond."""

from collections.abc import Callable
from typing import Any

import pytest

from playground import problems_of_blocks, problems_of_view
from tests.unit.playground_server.shapes import (
    actions,
    button,
    home,
    input_block,
    modal,
    mrkdwn,
    option,
    plain,
    section,
    select,
    text_input,
)

Json = dict[str, Any]


def found(blocks: Any, surface: str = "message") -> list[tuple[str, str]]:
    return [(p.pointer, p.message) for p in problems_of_blocks(blocks, surface)]  # type: ignore[arg-type]  # a surface


def found_in_view(view: Any) -> list[tuple[str, str]]:
    return [(p.pointer, p.message) for p in problems_of_view(view)]


CONFIRM = {"title": plain("Sure?"), "text": mrkdwn("*Really*"), "confirm": plain("Yes"), "deny": plain("No")}

# What is too long or too many: how to make it with n characters or entries, the limit, where it is told.
LIMITS: dict[str, tuple[Callable[[int], list[Json]], int, str]] = {
    "blocks": (lambda n: [section() for _ in range(n)], 50, "/blocks"),
    "section text": (lambda n: [section("x" * n)], 3000, "/blocks/0/text/text"),
    "field": (lambda n: [{"type": "section", "fields": [mrkdwn("x" * n)]}], 2000, "/blocks/0/fields/0/text"),
    "fields": (lambda n: [{"type": "section", "fields": [plain("x")] * n}], 10, "/blocks/0/fields"),
    "header": (lambda n: [{"type": "header", "text": plain("x" * n)}], 150, "/blocks/0/text/text"),
    "context text": (
        lambda n: [{"type": "context", "elements": [mrkdwn("x" * n)]}],
        3000,
        "/blocks/0/elements/0/text",
    ),
    "context elements": (lambda n: [{"type": "context", "elements": [plain("x")] * n}], 10, "/blocks/0/elements"),
    "actions elements": (lambda n: [actions(*(button(f"b{i}") for i in range(n)))], 25, "/blocks/0/elements"),
    "button text": (lambda n: [actions(button(text=plain("x" * n)))], 75, "/blocks/0/elements/0/text/text"),
    "button value": (lambda n: [actions(button(value="x" * n))], 2000, "/blocks/0/elements/0/value"),
    "action_id": (lambda n: [actions(button("x" * n))], 255, "/blocks/0/elements/0/action_id"),
    "block_id": (lambda n: [section(block_id="x" * n)], 255, "/blocks/0/block_id"),
    "overflow options": (
        lambda n: [actions({"type": "overflow", "options": [option(str(i)) for i in range(n)]})],
        5,
        "/blocks/0/elements/0/options",
    ),
    "option text": (
        lambda n: [actions(select(options=[option(text="x" * n)]))],
        75,
        "/blocks/0/elements/0/options/0/text/text",
    ),
    "option value": (
        lambda n: [actions(select(options=[option("x" * n)]))],
        150,
        "/blocks/0/elements/0/options/0/value",
    ),
    "radio options": (
        lambda n: [actions({"type": "radio_buttons", "options": [option(str(i)) for i in range(n)]})],
        10,
        "/blocks/0/elements/0/options",
    ),
    "checkbox options": (
        lambda n: [actions({"type": "checkboxes", "options": [option(str(i)) for i in range(n)]})],
        10,
        "/blocks/0/elements/0/options",
    ),
    "select options": (
        lambda n: [actions(select(options=[option(str(i)) for i in range(n)]))],
        100,
        "/blocks/0/elements/0/options",
    ),
    "confirm title": (
        lambda n: [actions(button(confirm={**CONFIRM, "title": plain("x" * n)}))],
        100,
        "/blocks/0/elements/0/confirm/title/text",
    ),
    "confirm text": (
        lambda n: [actions(button(confirm={**CONFIRM, "text": plain("x" * n)}))],
        300,
        "/blocks/0/elements/0/confirm/text/text",
    ),
    "confirm button": (
        lambda n: [actions(button(confirm={**CONFIRM, "confirm": plain("x" * n)}))],
        30,
        "/blocks/0/elements/0/confirm/confirm/text",
    ),
    "confirm deny": (
        lambda n: [actions(button(confirm={**CONFIRM, "deny": plain("x" * n)}))],
        30,
        "/blocks/0/elements/0/confirm/deny/text",
    ),
    "placeholder": (
        lambda n: [actions(select(placeholder=plain("x" * n)))],
        150,
        "/blocks/0/elements/0/placeholder/text",
    ),
    "label": (lambda n: [input_block(label=plain("x" * n))], 2000, "/blocks/0/label/text"),
    "hint": (lambda n: [input_block(hint=plain("x" * n))], 2000, "/blocks/0/hint/text"),
    "initial value": (
        lambda n: [input_block(text_input(initial_value="x" * n))],
        3000,
        "/blocks/0/element/initial_value",
    ),
    "markdown": (lambda n: [{"type": "markdown", "text": "x" * n}], 12_000, "/blocks/0/text"),
    "table rows": (
        lambda n: [{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]] * n}],
        100,
        "/blocks/0/rows",
    ),
    "table cells": (
        lambda n: [{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}] * n]}],
        20,
        "/blocks/0/rows/0",
    ),
    "list indent": (
        lambda n: [
            {
                "type": "rich_text",
                "elements": [
                    {
                        "type": "rich_text_list",
                        "style": "ordered",
                        "indent": n,
                        "elements": [{"type": "rich_text_section", "elements": []}],
                    }
                ],
            }
        ],
        8,
        "/blocks/0/elements/0/indent",
    ),
}


@pytest.mark.parametrize(("make", "limit", "pointer"), LIMITS.values(), ids=LIMITS.keys())
def test_limits(make: Callable[[int], list[Json]], limit: int, pointer: str) -> None:
    assert found(make(limit)) == []
    assert [where for where, _ in found(make(limit + 1))] == [pointer]


VIEW_LIMITS: dict[str, tuple[Callable[[int], Json], int, str]] = {
    "title": (lambda n: modal(title=plain("x" * n)), 24, "/view/title/text"),
    "submit": (lambda n: modal(submit=plain("x" * n)), 24, "/view/submit/text"),
    "close": (lambda n: modal(close=plain("x" * n)), 24, "/view/close/text"),
    "private_metadata": (lambda n: modal(private_metadata="x" * n), 3000, "/view/private_metadata"),
    "callback_id": (lambda n: modal(callback_id="x" * n), 255, "/view/callback_id"),
    "external_id": (lambda n: modal(external_id="x" * n), 255, "/view/external_id"),
    "blocks": (lambda n: modal(*(section() for _ in range(n))), 100, "/view/blocks"),
    "home blocks": (lambda n: home(*(section() for _ in range(n))), 100, "/view/blocks"),
}


@pytest.mark.parametrize(("make", "limit", "pointer"), VIEW_LIMITS.values(), ids=VIEW_LIMITS.keys())
def test_view_limits(make: Callable[[int], Json], limit: int, pointer: str) -> None:
    assert found_in_view(make(limit)) == []
    assert [where for where, _ in found_in_view(make(limit + 1))] == [pointer]
