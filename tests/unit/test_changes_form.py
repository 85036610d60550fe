"""The form in which a call is changed: what each argument gets, what comes back, and what is refused where."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bot.call import canonical_call, load_json
from bot.redaction import MARK_SIGN
from handlers.slack import changes
from handlers.slack.approve_form import Given
from handlers.slack.changes import Asks, BadFields, Changes, form_fields, parse_changes, render_changes
from handlers.slack.changes_fields import CannotBeChanged, Kind, changed_arguments, fields_of
from handlers.slack.payloads import Values, parse_submission
from playground.inputs import initial_values
from store.tables import StepUp
from tests.unit.slack_calls import LINES, arguments, corpus, some
from tests.unit.slack_support import check_modal, drawing, rule, text_in, unseen_in

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["amount"],
    "properties": {
        "amount": {"type": "number", "title": "Amount", "description": "What the customer\n gets back."},
        "currency": {"type": "string", "enum": ["EUR", "GBP"]},
        "express": {"type": "boolean"},
        "note": {"type": "string"},
        "limit": {"type": "integer"},
        "tags": {"type": "array"},
    },
}


def values_of(view: dict[str, Any], **typed: str | list[str] | None) -> Values:
    """What Slack sends for a form, as the bot reads it; ``typed``: block ids with what was put into them."""
    state = initial_values(view["blocks"])
    for block_id, value in typed.items():
        kind = state[block_id][field_of(block_id)]["type"]
        if kind == "static_select":
            state[block_id][field_of(block_id)] = {"type": kind, "selected_option": {"value": value}}
        elif kind == "multi_static_select":
            state[block_id][field_of(block_id)] = {
                "type": kind,
                "selected_options": [{"value": one} for one in value or ()],
            }
        else:
            state[block_id][field_of(block_id)] = {"type": kind, "value": value}
    payload = {
        "type": "view_submission", "user": {"id": "U0ALICE"}, "team": {"id": "T0HOME"},
        "view": view | {"id": "V1", "hash": "h", "state": {"values": state}},
    }  # fmt: skip
    return parse_submission(payload).values


def field_of(block: str) -> str:
    """The one input of a block, by its action id."""
    return block if block in ("approve_reason", "passcode") else changes.INPUT


def changed(call: Any, schema: dict[str, Any] | None = None, **typed: str | list[str] | None) -> str:
    """The arguments as the form changes them."""
    one = drawing(call, frozen=rule().model_copy(update={"arguments_schema": schema}))
    read = parse_changes(form_fields(one), values_of(render_changes(one, "m", Asks()), **typed))
    return changed_arguments(one.request.arguments, read.edits)


def faults(call: Any, schema: dict[str, Any] | None = None, **typed: str | None) -> dict[str, str]:
    with pytest.raises(BadFields) as refused:
        changed(call, schema, **typed)
    return refused.value.faults


# --- nothing is touched -----------------------------------------------------------------------------------


@given(arguments)
@some(60)
@example(
    {"a": "\n", "b": " x", "c": "\u2764\ufe0f", "d": "\t", "e": "😀", "f": "\\u{202E}", "": {"\u202e": ["\u200b"]}}
)
def test_a_form_that_nobody_touched_gives_the_very_call(call: dict[str, Any]) -> None:
    one = drawing(call)
    try:
        view = render_changes(one, "m", Asks())
    except CannotBeChanged:
        assume(False)
        return
    check_modal(view)
    for text in texts_shown(view):
        assert not unseen_in(text)
    read = parse_changes(form_fields(one), values_of(view))
    assert read == Changes({}, Given(None, None))
    assert changed_arguments(one.request.arguments, read.edits) == one.request.arguments


@given(arguments, st.integers(0, 5))
@some(60)
def test_what_is_typed_again_as_it_stands_is_the_very_call_too(call: dict[str, Any], which: int) -> None:
    """A field whose text differs by a line break at its end, as a thumb makes it, changes nothing."""
    one = drawing(call)
    try:
        fields = form_fields(one)
    except CannotBeChanged:
        assume(False)
        return
    field = fields[which % len(fields)]
    assume(field.kind is not Kind.CHOICE and field.shown)
    read = changed_arguments(one.request.arguments, {field.key: field.read(f"{field.shown}\n")})
    assert canonical_call("t", None, load_json(read)) == canonical_call("t", None, load_json(one.request.arguments))


@pytest.mark.parametrize("text", [*corpus()[:LINES], *corpus()[LINES::12]])
def test_what_an_agent_wrote_is_inert_in_the_form(text: str) -> None:
    one = drawing({"plain": text[:200], "inner": {text[:50]: [text[:90]]}, f"k{text[5:12]}": 1})
    view = render_changes(one, "m", Asks())
    check_modal(view)
    assert not [shown for shown in texts_shown(view) if unseen_in(shown)]
    ids = [block["block_id"] for block in view["blocks"]]
    assert not [name for name in ids if "ZEBRA" in name]
    assert parse_changes(form_fields(one), values_of(view)).edits == {}


def texts_shown(view: dict[str, Any]) -> list[str]:
    inputs = [block["element"].get("initial_value", "") for block in view["blocks"] if block["type"] == "input"]
    return [*inputs, text_in(view["blocks"])]


# --- each kind --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "typed", "wanted"),
    [
        ('{"amount": 4900.10}', "4900.1", '{"amount": 4900.10}'),  # the same number: to the letter
        ('{"amount": 4900.10}', "4900.20", '{"amount": 4900.20}'),
        ('{"amount": 1}', " 1152921504606846977 ", '{"amount": 1152921504606846977}'),
        ('{"amount": 1}', "4900.0000000000001", '{"amount": 4900.0000000000001}'),
        ('{"amount": 1}', "1e2", '{"amount": 1e2}'),
        ('{"to": "a"}', 'b\n"c"', '{"to": "b\\n\\"c\\""}'),
        ('{"to": "a"}', " b ", '{"to": "b"}'),
        ('{"to": "a"}', None, '{"to": ""}'),
        ('{"to": "a"}', "5", '{"to": "5"}'),
        ('{"to": "\\u00e9"}', "é", '{"to": "\\u00e9"}'),
        ('{"ok": true}', "false", '{"ok": false}'),
        ('{"to": "a\\u200b"}', '"a"', '{"to": "a"}'),
        ('{"to": null}', '"a"', '{"to": "a"}'),
        ('{"to": [1, 2]}', "[1, 2.0]", '{"to": [1, 2]}'),
        ('{"to": [1, 2]}', "[1, 2.5]", '{"to": [1, 2.5]}'),
        ('{"to": {"a": 1, "b": 2}}', '{"b": 2, "a": 1}', '{"to": {"a": 1, "b": 2}}'),
    ],
)
def test_a_changed_field_is_read_exactly(call: str, typed: str | None, wanted: str) -> None:
    assert changed(call, argument_0=typed) == wanted


@pytest.mark.parametrize(
    ("call", "typed", "words"),
    [
        ('{"amount": 1}', "4,900", "Write a number"),
        ('{"amount": 1}', "4900 EUR", "Write a number"),
        ('{"amount": 1}', "NaN", "Write a number"),
        ('{"amount": 1}', "1e999", "exponent"),
        ('{"amount": 1}', "٤٩", "Write a number"),
        ('{"amount": 1}', "01", "Write a number"),
        ('{"amount": 1}', " ", "must not be empty"),
        ('{"to": [1]}', "[1,", "line 1, character 4"),
        ('{"to": [1]}', "[“a”]", "straight quotes"),
        ('{"to": [1]}', '{"a": 1, "a": 2}', "same key twice"),
        ('{"to": [1]}', '1, "x": 2', "Extra data"),
        ('{"to": [1]}', '["\\ud800"]', "half of a character"),
        ('{"to": [1]}', "[" * 2000, "nested too deep"),
        ('{"to": "a\\u200b"}', "a", "not JSON"),
        ('{"to": "a\\u200b"}', "1", "in double quotes"),
        ('{"to": "a"}', "pay\u200bpal", "nobody could see"),
        ('{"to": ["a"]}', '["pay\u200bpal"]', "nobody could see"),
        ('{"to": "a\\u202eb"}', '"a\u202ec"', "nobody could see"),
        ('{"ok": true}', "maybe", "Choose one"),
    ],
)
def test_a_field_that_cannot_be_read_says_what_would_be_right(call: str, typed: str, words: str) -> None:
    told = faults(call, argument_0=typed)
    assert list(told) == ["argument_0"]
    assert words in told["argument_0"]


def test_only_what_changed_changes_and_the_order_stays() -> None:
    call = '{ "b":  1.10, "a": {"x":1.0}, "c": "\\u0041" }'
    assert changed(call, argument_1='{"x": 2}') == '{"b": 1.10, "a": {"x": 2}, "c": "\\u0041"}'


def test_an_argument_can_be_left_out() -> None:
    assert changed('{"a": 1, "b": "x", "c": null}', gone=["0", "1"]) == '{"c": null}'


def test_a_field_that_did_not_arrive_is_not_taken_for_an_emptied_one() -> None:
    one = drawing({"to": "a"})
    with pytest.raises(BadFields, match="faults") as refused:
        parse_changes(form_fields(one), {})
    assert "anew" in refused.value.faults["argument_0"]


# --- the schema -------------------------------------------------------------------------------------------


def test_the_schema_names_types_and_adds_what_the_call_has_not() -> None:
    call = '{"amount": 5, "currency": "EUR"}'
    one = drawing(call, frozen=rule(arguments_schema=SCHEMA))
    view = render_changes(one, "m", Asks())
    check_modal(view)
    shown = text_in(view["blocks"])
    assert "Amount (amount)" in shown
    assert "What the customer gets back." in shown
    assert [field.key for field in form_fields(one)] == ["amount", "currency", "express", "note", "limit", "tags"]
    assert changed(call, SCHEMA) == call
    assert changed(call, SCHEMA, argument_1='"GBP"') == '{"amount": 5, "currency": "GBP"}'
    assert changed(call, SCHEMA, argument_2="false", argument_4="3") == (
        '{"amount": 5, "currency": "EUR", "express": false, "limit": 3}'
    )
    assert changed(call, SCHEMA, argument_2="-", argument_3=" ", argument_5="[]") == (
        '{"amount": 5, "currency": "EUR", "tags": []}'
    )
    gone = next(block for block in view["blocks"] if block["block_id"] == "gone")
    assert [option["text"]["text"] for option in gone["element"]["options"]] == ["currency"]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": 3, "required": 4}, {"properties": {"amount": True, "x": False, "y": {"type": ["string"]}}},
        {"properties": {"amount": {"enum": []}, "z": {"enum": [[1], {}]}, "w": {"enum": ["x" * 99]}}},
        {"properties": {"amount": {"enum": [1.5]}, "e": {"enum": ["", None, 5, "5"], "title": "*<!channel>*"}}},
    ],
)  # fmt: skip
def test_an_odd_schema_makes_a_form_all_the_same(schema: dict[str, Any]) -> None:
    one = drawing({"amount": 5}, frozen=rule().model_copy(update={"arguments_schema": schema}))
    check_modal(render_changes(one, "m", Asks()))
    assert changed({"amount": 5}, schema) == one.request.arguments


# --- what no form holds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({}, "no arguments"),
        ({f"k{at}": at for at in range(41)}, "more than 40 arguments"),
        ({"body": "x" * 3001}, "body is longer than 3,000 characters"),
        ({"body": "\u200b" * 600}, "longer than 3,000"),
        ({"rows": [{"a": "x" * 50}] * 60}, "rows is longer"),
        ({"k" * 71: 1}, "name of an argument"),
    ],
)
def test_a_call_that_no_form_holds_is_refused_with_the_way_out(call: Any, words: str) -> None:
    with pytest.raises(CannotBeChanged, match=words) as refused:
        render_changes(drawing(call), "m", Asks())
    assert "with a note" in refused.value.message


def test_the_largest_form_is_within_slack_s_limits() -> None:
    view = render_changes(drawing({f"k{at}": "x" * 3000 for at in range(40)}), "m", Asks("required", passcode=True))
    check_modal(view)
    with pytest.raises(CannotBeChanged):
        render_changes(drawing({f"k{at}": "日" * 3000 for at in range(40)}), "m", Asks())


# --- what else is asked -----------------------------------------------------------------------------------


def test_reason_and_passcode_are_asked_as_the_rule_says() -> None:
    one = drawing({"a": 1}, frozen=rule(reason="required", step_up=StepUp.TOTP))
    asks = Asks.of(one.rule)
    assert asks == Asks("required", passcode=True)
    view = render_changes(one, "m", asks)
    check_modal(view)
    values = values_of(view, argument_0="2", approve_reason=" ok ", passcode="123 456")
    assert parse_changes(form_fields(one), values) == Changes({"a": "2"}, Given("ok", "123456"))
    assert changes.asked_in(values) == Asks("optional", passcode=True)
    assert Asks().with_more("reason_missing") == Asks("required")
    assert Asks().with_more("step_up_missing") == Asks(passcode=True)


def test_the_form_comes_again_with_what_was_put_in_but_never_the_passcode() -> None:
    one = drawing({"a": 1, "b": "x", "c": True}, frozen=rule(arguments_schema=SCHEMA))
    first = render_changes(one, "m", Asks("optional", passcode=True))
    typed = values_of(
        first, argument_0="2", argument_1=None, argument_2="false", argument_3="1", gone=["1"], approve_reason="why",
        passcode="917364",
    )  # fmt: skip
    again = render_changes(one, "m", Asks("required", passcode=True), values=typed, told="Too *much* <!here>.")
    check_modal(again)
    assert "917364" not in json.dumps(again)
    kept = {block: box for block, box in values_of(again).items() if block != "passcode"}
    assert kept == {
        block: {name: value or None for name, value in box.items()} if block == "argument_1" else box
        for block, box in typed.items()
        if block != "passcode"
    }
    assert again["blocks"][0]["block_id"] == "told"


def test_what_nobody_may_see_is_not_in_the_form_and_stays() -> None:
    hidden = f"{MARK_SIGN}redacted · hmac:00112233]"
    one = drawing(f'{{"card": "{hidden}", "amount": 1, "to": {{"a": ["{hidden}"]}}, "{hidden}": 2}}')
    view = render_changes(one, "m", Asks())
    check_modal(view)
    assert next(block["label"]["text"] for block in view["blocks"] if block["type"] == "input") == "amount"
    kept = next(block for block in view["blocks"] if block["block_id"] == "kept")
    assert "".join(part["text"] for part in kept["elements"][0]["elements"]) == (
        "Not shown to anybody, and kept as they are: card, to, [redacted · hmac:00112233]."
    )
    read = parse_changes(form_fields(one), values_of(view, argument_0="2"))
    assert changed_arguments('{"card": "4111", "amount": 1}', read.edits) == '{"card": "4111", "amount": 2}'


def test_a_request_without_a_rule_has_no_schema() -> None:
    assert [field.key for field in form_fields(replace(drawing({"a": 1}), rule=None))] == ["a"]
    assert fields_of('{"a": "5"}', {"properties": {"a": {"enum": ["5", 5]}}})[0].choices == ('"5"', "5")
