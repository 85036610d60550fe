"""The outline of a call's arguments: whole, exact, and no two calls alike."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.call import canonical_form, load_json
from handlers.slack.outline import outline


def drawn(text: str) -> str:
    return "\n".join(outline(text).lines)


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
        ('{"to": ["a", "b"]}', 'to: list of 2\n  - "a"\n  - "b"'),
        ('{"to": [[1], []]}', "to: list of 2\n  - list of 1\n    - 1\n  - [] (empty)"),
        ('{"c": {"id": 7, "tags": ["x"]}}', 'c:\n  id: 7\n  tags: list of 1\n    - "x"'),
        ('{"r": [{"a": 1, "b": 2}, {}]}', "r: list of 2\n  - a: 1\n    b: 2\n  - {} (empty)"),
        ('{"r": [{"a": {"b": 1}}]}', "r: list of 1\n  - a:\n      b: 1"),
    ],
)
def test_draws_what_was_sent(sent: str, shown: str) -> None:
    assert drawn(sent) == shown


def test_deep_calls_do_not_consist_of_spaces() -> None:
    deep = '{"a":' * 60 + "1" + "}" * 60
    assert drawn(deep).splitlines()[-1] == "59| a: 1"
    listed = '{"a":' + "[" * 60 + "1,2" + "]" * 60 + "}"
    assert drawn(listed).splitlines()[-1] == "60| - 2"
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


@given(_calls, _calls)
def test_different_calls_look_different(one: dict[str, Any], other: dict[str, Any]) -> None:
    sent, sent_other = json.dumps(one), json.dumps(other)
    assert (drawn(sent) == drawn(sent_other)) is (sent == sent_other)


@given(_calls)
def test_every_line_begins_with_something_of_ours(call: dict[str, Any]) -> None:
    for line in outline(json.dumps(call)).lines:
        assert line.lstrip(" ")[:1] in tuple('abcdefghijklmnopqrstuvwxyz"-│┆')
