"""The outline of a call's arguments: whole, exact, and no two calls alike."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.call import canonical_form, load_json
from handlers.slack.outline import outline


def drawn(text: str) -> str:
    return "\n".join(line.text for line in outline(text).lines)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ('{"amount": 1.10}', "amount: 1.10"),
        ('{"amount": 4900.0}', "amount: 4900.0"),
        ('{"n": -0}', "n: -0"),
        ('{"n": 1E+2}', "n: 1E+2"),
        ('{"n": 1152921504606846977}', "n: 1152921504606846977"),
        ('{"n": 0.1000000000000000001}', "n: 0.1000000000000000001"),
        ('{"n": "5"}', 'n: "5"'),
        ('{"n": 5}', "n: 5"),
        ('{"n": null}', "n: null"),
        ('{"n": "null"}', 'n: "null"'),
        ('{"n": true}', "n: true"),
        ('{"n": "true"}', 'n: "true"'),
        ('{"n": ""}', 'n: "" (empty)'),
        ('{"n": []}', "n: [] (empty)"),
        ('{"n": {}}', "n: {} (empty)"),
        ("{}", ""),
        ('{"a b": 1, "": 2, "1": 3}', '"a b": 1\n"": 2\n"1": 3'),
        ('{"z": 1, "a": 2}', "z: 1\na: 2"),
        ('{"p": "C:\\\\dir \\"x\\""}', r'p: "C:\\dir \"x\""'),
        ('{"p": "\\u202e"}', r'p: "\u{202E}"'),
        ('{"p": "tab\\there"}', r'p: "tab\there"'),
        ('{"p": "one\\ntwo "}', "p: text of 2 lines\n  │ one\n  │ two\\u{20}"),
        ('{"p": "a\\n\\n\\n\\n\\n\\nb"}', "p: text of 7 lines\n  │ a\n  ┆ 5 empty lines\n  │ b"),
        ('{"p": "a\\nq: 1"}', "p: text of 2 lines\n  │ a\n  │ q: 1"),
        ('{"p": "\\ta\\r\\nb⇥"}', "p: text of 2 lines\n  │ ⇥a␍\n  │ b\\u{21E5}"),
        ('{"p": "a\\r\\tb"}', r'p: "a\r\tb"'),
        ('{"to": ["a", "b"]}', 'to: ["a", "b"]'),
        ('{"to": [1.10, null, true]}', "to: [1.10, null, true]"),
        ('{"to": ["", "b"]}', 'to: list of 2\n  - "" (empty)\n  - "b"'),
        ('{"to": ["a\\nb"]}', "to: list of 1\n  - text of 2 lines\n    │ a\n    │ b"),
        ('{"to": ["a@example.com", "b@example.com"]}', 'to: list of 2\n  - "a@example.com"\n  - "b@example.com"'),
        ('{"to": [[1], []]}', "to: list of 2\n  - [1]\n  - [] (empty)"),
        ('{"c": {"id": 7, "tags": ["x"]}}', 'c:\n  id: 7\n  tags: ["x"]'),
        ('{"r": [{"a": 1, "b": 2}, {}]}', "r: list of 2\n  - a: 1\n    b: 2\n  - {} (empty)"),
        ('{"r": [{"a": {"b": 1}}]}', "r: list of 1\n  - a:\n      b: 1"),
        ('{"long": [1, {}], "a": 1, "b": 2}', "a: 1\nb: 2\nlong: list of 2\n  - 1\n  - {} (empty)"),
        ('{"o": {"z": "a\\nb", "a": 1}}', "o:\n  z: text of 2 lines\n    │ a\n    │ b\n  a: 1"),
    ],
)
def test_draws_what_was_sent(sent: str, shown: str) -> None:
    assert drawn(sent) == shown


def test_deep_calls_do_not_consist_of_spaces() -> None:
    deep = '{"a":' * 60 + "1" + "}" * 60
    assert drawn(deep).splitlines()[-1] == "59| a: 1"
    listed = '{"a":' + "[" * 60 + "1,2" + "]" * 60 + "}"
    assert drawn(listed).splitlines()[-1] == "59| - [1, 2]"
    assert len(drawn(deep)) < 1000


@pytest.mark.parametrize("text", ["[]", '"a"', "1", "nonsense", ""])
def test_takes_nothing_but_an_object(text: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        outline(text)


def test_grows_within_bounds() -> None:
    """The largest calls stay within a few times their size, whatever they are made of."""
    nested = '{"k":' * 50
    worst = (
        json.dumps({"a": "\n" * 30_000}),
        json.dumps({"a": "x\n" * 20_000}),
        json.dumps({"a": "\x7f" * 60_000}),
        json.dumps({"a": [1] * 30_000}),
        nested + json.dumps({"a": [""] * 20_000, "b": "x\n" * 5_000}) + "}" * 50,
    )
    for sent in worst:
        assert len(drawn(sent)) < 8 * len(canonical_form(load_json(sent)))


# Few letters, all of them part of the outline's own notation: what could be confused, is found.
_tricky = st.text(st.sampled_from('\\"\n -:│┆ax1{}[]'), max_size=6)
_values = st.recursive(
    st.one_of(_tricky, st.none(), st.booleans(), st.integers(0, 3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_tricky, inner, max_size=3)),
    max_leaves=6,
)
_calls = st.dictionaries(_tricky, _values, max_size=3)


def canonical(call: dict[str, Any]) -> bytes:
    return canonical_form(load_json(json.dumps(call)))


@given(_calls, _calls)
def test_different_calls_look_different(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Only the order of an object's pairs may be lost, which makes no difference to a call."""
    if drawn(json.dumps(one)) == drawn(json.dumps(other)):
        assert canonical(one) == canonical(other)
    elif canonical(one) == canonical(other):
        assert json.dumps(one) != json.dumps(other)


@given(_calls)
def test_every_line_begins_with_something_of_ours(call: dict[str, Any]) -> None:
    for line in outline(json.dumps(call)).lines:
        assert line.text.lstrip(" ")[:1] in tuple('abcdefghijklmnopqrstuvwxyz"-│┆┌')


def test_arguments_stand_by_their_length_and_it_is_said() -> None:
    mail = {"to": [f"customer-{at}@example.com" for at in range(12)], "body": "Hello,\nyou", "subject": "News"}
    call = outline(json.dumps(mail))
    assert [entry.key for entry in call.entries] == ["subject", "body", "to"]
    assert call.is_reordered
    assert not outline('{"b": 1, "a": 2, "l": {"x": 1}}').is_reordered


# --- rows -------------------------------------------------------------------------------------------------

_ITEMS = """{"items": [
    {"sku": "A-1", "qty": 2, "price": 9.50}, {"sku": "B-77", "qty": 10, "price": 19},
    {"sku": "5", "qty": null, "price": 1E2}]}"""


def test_rows_stand_in_a_table_with_their_values_as_sent() -> None:
    assert drawn(_ITEMS) == (
        "items: list of 3 rows\n"
        "  ┌ sku     qty   price\n"
        '  - "A-1"   2      9.50\n'
        '  - "B-77"  10       19\n'
        '  - "5"     null    1E2'
    )


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": 1, "b": 2}],  # one row is no table
        [{"a": 1}, {"a": 2}],  # nor is one column
        [{"a": 1, "b": 2}, {"a": 1}],  # a key that is missing must not look empty
        [{"a": 1, "b": 2}, {"b": 1, "a": 2}],
        [{"a": 1, "b": 2}, 3],
        [{"a": 1, "b": [2]}, {"a": 1, "b": [2]}],
        [{"a": 1, "b": "x\ny"}, {"a": 1, "b": "x"}],
        [{"a": 1, "b": "x" * 40}, {"a": 1, "b": "x"}],
        [{"a": 1, "b c": 2}, {"a": 1, "b c": 2}],
        [{"a": 1, "b": "חשבון"}, {"a": 2, "b": "x"}],  # would turn the row about
        [{"a": 1, "b": "日本"}, {"a": 2, "b": "x"}],
        [{"a": 1, "b": "e\u0301"}, {"a": 2, "b": "x"}],
        [{"a": 1, "b": "\u202e\u202e\u202e\u202e"}, {"a": 2, "b": "x"}],
        [dict.fromkeys("abcdef", 1)] * 2,
    ],
)
def test_what_is_no_table_stays_an_outline(rows: list[Any]) -> None:
    assert "┌" not in drawn(json.dumps({"rows": rows}))


_cells = st.one_of(_tricky, st.none(), st.booleans(), st.integers(0, 300))
_row = st.tuples(_cells, _cells).map(lambda cells: {"a": cells[0], "b": cells[1]})  # a table's rows have one order
_rows = st.lists(_row, min_size=2, max_size=3)


@given(_rows, _rows)
def test_different_tables_look_different(one: list[Any], other: list[Any]) -> None:
    call, other_call = {"r": one}, {"r": other}
    assert (drawn(json.dumps(call)) == drawn(json.dumps(other_call))) is (canonical(call) == canonical(other_call))


@given(_rows)
def test_a_table_is_no_wider_than_a_phone(rows: list[Any]) -> None:
    lines = drawn(json.dumps({"r": rows})).splitlines()
    if lines[1].lstrip().startswith("┌"):
        assert max(map(len, lines)) <= 36
