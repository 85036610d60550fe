"""What Block Kit takes, what it refuses and in which words, and what is kept of it."""

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
        "has an invalid format",
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
        "must be a valid URL",
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
