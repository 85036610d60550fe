"""Every limit and rule of Block Kit, at the limit and one beyond."""

from collections.abc import Callable
from typing import Any

import pytest

from playground import problems_of_blocks, problems_of_view
from playground.blockkit import check_blocks
from playground.errors import SlackRefusal
from tests.unit.playground_server.shapes import (
    actions,
    button,
    home,
    input_block,
    modal,
    mrkdwn,
    option,
    plain,
    rich,
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

GOOD: dict[str, list[Json]] = {
    "section": [section()],
    "section with fields": [{"type": "section", "fields": [plain("a"), mrkdwn("b")]}],
    "section with a button": [section(accessory=button(style="danger", confirm=CONFIRM, value="v"))],
    "section with an image": [
        section(accessory={"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"})
    ],
    "header and divider": [{"type": "header", "text": plain("Title")}, {"type": "divider"}],
    "context": [{"type": "context", "elements": [plain("a"), mrkdwn("b")]}],
    "actions": [actions(button("a"), button("b", url="https://example.com"), select())],
    "overflow": [actions({"type": "overflow", "options": [option()]})],
    "radio and checkboxes": [
        actions(
            {"type": "radio_buttons", "action_id": "r", "options": [option()], "initial_option": option()},
            {"type": "checkboxes", "action_id": "c", "options": [{"text": mrkdwn("*A*"), "value": "a"}]},
        )
    ],
    "pickers": [
        actions(
            {"type": "datepicker", "action_id": "d", "initial_date": "2026-11-22"},
            {"type": "timepicker", "action_id": "t", "initial_time": "09:05"},
            {"type": "datetimepicker", "action_id": "dt", "initial_date_time": 1_795_000_000},
        )
    ],
    "rich text": [
        rich(
            {"type": "text", "text": "hi", "style": {"bold": True}},
            {"type": "user", "user_id": "U0ALICE"},
            {"type": "usergroup", "usergroup_id": "S0FINANCE"},
            {"type": "channel", "channel_id": "C0REFUNDS"},
            {"type": "broadcast", "range": "here"},
            {"type": "link", "url": "https://example.com", "text": "there"},
            {"type": "emoji", "name": "wave"},
            {"type": "date", "timestamp": 1_795_000_000, "format": "{date}", "fallback": "today"},
        )
    ],
    "rich text list": [
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_list",
                    "style": "bullet",
                    "indent": 1,
                    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "a"}]}],
                }
            ],
        }
    ],
    "preformatted": [rich({"type": "text", "text": "{}"}, kind="rich_text_preformatted", border=0)],
    "quote": [rich({"type": "text", "text": "said"}, kind="rich_text_quote")],
    "markdown": [{"type": "markdown", "text": "**a**"}],
    "table": [
        {
            "type": "table",
            "rows": [[{"type": "raw_text", "text": "a"}, rich({"type": "text", "text": "b"})]],
            "column_settings": [{"align": "right", "is_wrapped": True}],
        }
    ],
    "input in a message": [input_block()],
}


@pytest.mark.parametrize("blocks", GOOD.values(), ids=GOOD.keys())
def test_takes_what_slack_takes(blocks: list[Json]) -> None:
    assert found(blocks) == []


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


BAD: dict[str, tuple[list[Json], str, str]] = {
    "empty text": ([section("")], "/blocks/0/text/text", "must be more than 0 characters"),
    "no text": ([{"type": "section"}], "/blocks/0", "must define either `text` or `fields`"),
    "no type": ([{"text": plain("a")}], "/blocks/0", "missing required field: type"),
    "unknown block": ([{"type": "banner"}], "/blocks/0/type", "unsupported type: banner"),
    "unknown field": ([section(color="red")], "/blocks/0", "invalid additional property: color"),
    "null field": ([section(accessory=None)], "/blocks/0/accessory", "must be an object"),
    "text that is a string": (
        [{"type": "section", "text": "hello"}],
        "/blocks/0/text",
        "must be an object",
    ),
    "header in mrkdwn": (
        [{"type": "header", "text": mrkdwn("a")}],
        "/blocks/0/text/type",
        "unsupported type: mrkdwn",
    ),
    "button in mrkdwn": (
        [actions(button(text=mrkdwn("a")))],
        "/blocks/0/elements/0/text/type",
        "unsupported type: mrkdwn",
    ),
    "emoji on mrkdwn": (
        [{"type": "section", "text": {**mrkdwn("a"), "emoji": False}}],
        "/blocks/0/text",
        "invalid additional property: emoji",
    ),
    "verbatim on plain text": (
        [{"type": "section", "text": {**plain("a"), "verbatim": True}}],
        "/blocks/0/text",
        "invalid additional property: verbatim",
    ),
    "unknown style": (
        [actions(button(style="warning"))],
        "/blocks/0/elements/0/style",
        "must be one of: primary, danger",
    ),
    "no button text": (
        [actions({"type": "button", "action_id": "a"})],
        "/blocks/0/elements/0",
        "missing required field: text",
    ),
    "empty value": (
        [actions(button(value=""))],
        "/blocks/0/elements/0/value",
        "must be more than 0 characters",
    ),
    "number as value": ([actions(button(value=7))], "/blocks/0/elements/0/value", "must be a string"),
    "a typed field among actions": (
        [actions(text_input())],
        "/blocks/0/elements/0/type",
        "unsupported type: plain_text_input",
    ),
    "duplicate action_id": (
        [actions(button("a"), button("a"))],
        "/blocks/0/elements/1/action_id",
        "action_id already exists: a",
    ),
    "duplicate block_id": (
        [section(block_id="a"), section(block_id="a")],
        "/blocks/1/block_id",
        "block_id already exists: a",
    ),
    "two kinds of options": (
        [actions(select(option_groups=[{"label": plain("g"), "options": [option()]}]))],
        "/blocks/0/elements/0",
        "must define either `options` or `option_groups`",
    ),
    "initial option not offered": (
        [actions(select(initial_option=option("z")))],
        "/blocks/0/elements/0/initial_option",
        "must be one of the provided options",
    ),
    "duplicate option": (
        [actions(select(options=[option("a"), option("a", "B")]))],
        "/blocks/0/elements/0/options/1/value",
        "duplicate option value: a",
    ),
    "alert in a message": (
        [{"type": "alert", "text": plain("a")}],
        "/blocks/0/type",
        "unsupported type: alert",
    ),
    "mention in preformatted": (
        [rich({"type": "user", "user_id": "U0ALICE"}, kind="rich_text_preformatted")],
        "/blocks/0/elements/0/elements/0/type",
        "unsupported type: user",
    ),
    "text outside a section": (
        [{"type": "rich_text", "elements": [{"type": "text", "text": "a"}]}],
        "/blocks/0/elements/0/type",
        "unsupported type: text",
    ),
    "empty rich text": (
        [rich({"type": "text", "text": ""})],
        "/blocks/0/elements/0/elements/0/text",
        "must be more than 0 characters",
    ),
    "style that is a word": (
        [rich({"type": "text", "text": "a", "style": "bold"})],
        "/blocks/0/elements/0/elements/0/style",
        "must be an object",
    ),
    "user that is no id": (
        [rich({"type": "user", "user_id": "alice"})],
        "/blocks/0/elements/0/elements/0/user_id",
        "must match [UW][A-Z0-9]+",
    ),
    "list without style": (
        [
            {
                "type": "rich_text",
                "elements": [{"type": "rich_text_list", "elements": [{"type": "rich_text_section", "elements": []}]}],
            }
        ],
        "/blocks/0/elements/0",
        "missing required field: style",
    ),
    "markdown in all": (
        [{"type": "markdown", "text": "x" * 7000}] * 2,
        "/blocks",
        "markdown blocks must be less than 12001 characters in all",
    ),
    "two tables": (
        [{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]]}] * 2,
        "/blocks/1",
        "only one table is allowed",
    ),
    "two fields in focus": (
        [
            input_block(text_input(focus_on_load=True), "a"),
            input_block(text_input(focus_on_load=True), "b"),
        ],
        "/blocks/1",
        "only one element can have focus_on_load set to true",
    ),
    "image without address": (
        [{"type": "image", "alt_text": "a"}],
        "/blocks/0",
        "must define either `image_url` or `slack_file`",
    ),
    "link to a script": (
        [actions(button(url="javascript:alert(1)"))],
        "/blocks/0/elements/0/url",
        r"must match (?s)https?://[^\s].*",
    ),
    "lengths out of order": (
        [input_block(text_input(min_length=9, max_length=3))],
        "/blocks/0/element/min_length",
        "must be less than or equal to max_length",
    ),
    "half a confirmation": (
        [actions(button(confirm={"title": plain("a"), "text": plain("b"), "confirm": plain("c")}))],
        "/blocks/0/elements/0/confirm",
        "missing required field: deny",
    ),
}


@pytest.mark.parametrize(("blocks", "pointer", "message"), BAD.values(), ids=BAD.keys())
def test_refuses_what_slack_refuses(blocks: list[Json], pointer: str, message: str) -> None:
    assert (pointer, message) in found(blocks)


def test_every_problem_is_told() -> None:
    assert len(found([section(""), {"type": "banner"}, {"type": "section"}])) == 3


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


BAD_VIEWS: dict[str, tuple[Json, str, str]] = {
    "input without submit": (
        {k: v for k, v in modal().items() if k != "submit"},
        "/view",
        "must define `submit` to use an `input` block in modals",
    ),
    "no title": ({"type": "modal", "blocks": [section()]}, "/view", "missing required field: title"),
    "no blocks": ({"type": "modal", "title": plain("a")}, "/view", "missing required field: blocks"),
    "a home with a title": (home(title=plain("a")), "/view", "invalid additional property: title"),
    "an id of Slack's": (modal(id="V1"), "/view", "invalid additional property: id"),
    "submit_disabled": (modal(submit_disabled=True), "/view", "invalid additional property: submit_disabled"),
    "another type": ({**modal(), "type": "window"}, "/view/type", "unsupported type: window"),
    "mrkdwn title": (modal(title=mrkdwn("a")), "/view/title/type", "unsupported type: mrkdwn"),
    "markdown block": (
        modal({"type": "markdown", "text": "a"}),
        "/view/blocks/0/type",
        "unsupported type: markdown",
    ),
    "alert in a home": (
        home({"type": "alert", "text": plain("a")}),
        "/view/blocks/0/type",
        "unsupported type: alert",
    ),
}


@pytest.mark.parametrize(("view", "pointer", "message"), BAD_VIEWS.values(), ids=BAD_VIEWS.keys())
def test_refuses_bad_views(view: Json, pointer: str, message: str) -> None:
    assert (pointer, message) in found_in_view(view)


def test_alert_is_for_modals() -> None:
    assert found_in_view(modal({"type": "alert", "level": "warning", "text": plain("Careful")})) == []


def test_keeps_a_copy_with_what_slack_adds() -> None:
    sent = [section(accessory={"type": "button", "text": plain("Go")}), actions(block_id="mine")]
    kept = check_blocks(sent)
    assert "block_id" not in sent[0]
    assert kept[0]["block_id"]
    assert kept[0]["accessory"]["action_id"]
    assert kept[0]["text"] == {"type": "mrkdwn", "text": "hello", "verbatim": False}
    assert kept[1]["block_id"] == "mine"
    assert kept[1]["elements"][0]["text"]["emoji"] is True


@pytest.mark.parametrize("blocks", ["[]", {"type": "section"}, ["section"], 7])
def test_blocks_that_are_no_list_of_objects(blocks: Any) -> None:
    with pytest.raises(SlackRefusal) as refusal:
        check_blocks(blocks)
    assert refusal.value.code == "invalid_blocks_format"


def test_too_much_text_in_all() -> None:
    most = [section("x" * 2600) for _ in range(5)]
    assert len(check_blocks(most)) == 5
    with pytest.raises(SlackRefusal) as refusal:
        check_blocks([*most, section("x")])
    assert refusal.value.code == "msg_blocks_too_long"
