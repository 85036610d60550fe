"""bot.conditions: what a rule's `when` says of a call, exactly or not at all."""

import json
import operator
from collections.abc import Callable
from decimal import Decimal
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conditions import MOST_CHARACTERS_NESTED, BadCondition, Call, Failure, compile_condition


def held(text: str, arguments: str = "{}", tool: str = "issue_refund", server: str | None = None) -> bool | Failure:
    return compile_condition(text).holds(Call("refund-bot", tool, server, arguments))


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        ("arguments.amount <= 5000", '{"amount": 4900}', True),
        ("arguments.amount <= 5000", '{"amount": 5000.0}', True),
        ("arguments.amount <= 5000", '{"amount": 5e3}', True),
        ("arguments.amount <= 5000", '{"amount": 5000.01}', False),
        ("arguments.amount <= 5000.5", '{"amount": 5000}', True),
        ("arguments.amount == 0.1", '{"amount": 0.10}', True),
        ("arguments.amount == 1", '{"amount": true}', False),
        ('arguments.amount <= 5000 && arguments.currency == "GBP"', '{"amount": 1, "currency": "GBP"}', True),
        ('arguments.amount <= 5000 && arguments.currency == "GBP"', '{"amount": 1, "currency": "USD"}', False),
        # What is missing, and what is of another kind.
        ("arguments.amount <= 5000", "{}", Failure.MISSING),
        ("!(arguments.amount > 5000)", "{}", Failure.MISSING),
        ("arguments.order.amount <= 5000", '{"order": {}}', Failure.MISSING),
        ("arguments.amount <= 5000", '{"amount": "4900"}', Failure.KIND),
        ("arguments.amount <= 5000", '{"amount": null}', Failure.KIND),
        ("arguments.amount <= 5000", '{"amount": true}', Failure.KIND),
        ("arguments.amount <= 5000", '{"amount": [4900]}', Failure.KIND),
        ("arguments.flag", '{"flag": "yes"}', Failure.NO_ANSWER),
        ("arguments.flag", '{"flag": true}', True),
        ("has(arguments.amount)", "{}", False),
        ("has(arguments.amount)", '{"amount": null}', True),
        ("has(arguments.a.b) && has(arguments.a)", '{"a": {"b": 1}}', True),
        ("has(arguments.a.b) || has(arguments.a)", '{"a": {}}', True),
        ("has(arguments.a.b)", '{"a": 1}', Failure.KIND),
        ("!has(arguments.amount) || arguments.amount <= 5", '{"amount": 5.00000000000000000001}', Failure.INEXACT),
        # What neither an integer nor a double holds.
        ("arguments.amount <= 4900", '{"amount": 4900.0000000000000001}', Failure.INEXACT),
        ("arguments.amount > 4900", '{"amount": 4900.0000000000000001}', Failure.INEXACT),
        ("arguments.amount != 4900", '{"amount": 4900.0000000000000001}', Failure.INEXACT),
        ("arguments.amount <= 4900", '{"amount": 9223372036854775808}', Failure.INEXACT),
        ("arguments.amount >= 4900", '{"amount": 1e300}', Failure.INEXACT),
        ("arguments.amount >= 0", '{"amount": 1e-400}', Failure.INEXACT),
        ("arguments.amount == 9223372036854775807", '{"amount": 9223372036854775807}', True),
        ("arguments.amount == 9007199254740993", '{"amount": 9007199254740992.0}', False),
        ("arguments.amount <= arguments.limit", '{"amount": 9007199254740993, "limit": 9007199254740992}', False),
        # It matters where it is read, and nowhere else.
        ("arguments.amount <= 5", '{"amount": 5, "id": 18446744073709551616}', True),
        ("arguments.order.amount <= 5", '{"order": {"amount": 5, "id": 18446744073709551616}}', True),
        ('arguments["order"]["amount"] <= 5', '{"order": {"amount": 5, "id": 18446744073709551616}}', True),
        ("has(arguments.id) && arguments.amount <= 5", '{"amount": 5, "id": 18446744073709551616}', True),
        ("size(arguments.order) == 2", '{"order": {"amount": 5, "id": 18446744073709551616}}', Failure.INEXACT),
        ("arguments.order.exists(k, k == 'id')", '{"order": {"id": 18446744073709551616}}', Failure.INEXACT),
        ("size(arguments) == 1", '{"id": 18446744073709551616}', Failure.INEXACT),
        ("'id' in arguments", '{"id": 18446744073709551616}', Failure.INEXACT),
        ("arguments['i' + 'd'] > 1", '{"id": 18446744073709551616}', Failure.INEXACT),
        ("arguments.items.all(x, x < 5)", '{"items": [1, 18446744073709551616]}', Failure.INEXACT),
        ("arguments.items[0] == 1", '{"items": [1, 18446744073709551616]}', Failure.INEXACT),
        ("arguments.items[0].price <= 5", '{"items": [{"price": 5}], "id": 18446744073709551616}', True),
        ('arguments["google"] <= 5', '{"google": 5}', True),
        # Calculating with decimals would round.
        ("arguments.a + arguments.b == 3", '{"a": 1, "b": 2.0}', True),
        ("arguments.a - arguments.b <= 1", '{"a": 0.3, "b": 0.2}', Failure.INEXACT),
        ("arguments.a * 3 <= 5", '{"a": 1.5}', Failure.INEXACT),
        ("int(arguments.a) <= 4900", '{"a": 4900.9}', Failure.INEXACT),
        ("arguments.a + 1 > 0", '{"a": 9223372036854775807}', Failure.NO_ANSWER),
        ("arguments.a / 0 == 1", '{"a": 1}', Failure.NO_ANSWER),
        ("arguments.a > -1.5", '{"a": -1.4}', True),
        # Text, lists, names.
        ('arguments.to.matches("^[a-z]+@example[.]com$")', '{"to": "bob@example.com"}', True),
        ('arguments.to.matches("^[a-z]+@example[.]com$")', '{"to": "bob@example.com\\n"}', False),
        ('arguments.to.all(one, one.endsWith("@example.com"))', '{"to": ["a@example.com", "b@other.com"]}', False),
        ('arguments.to.all(one, one.endsWith("@example.com"))', '{"to": "a@example.com"}', Failure.KIND),
        ("arguments.items[5] == 1", '{"items": [1]}', Failure.NO_ANSWER),
        ('tool == "issue_refund" && server == "" && agent == "refund-bot"', "{}", True),
    ],
)
def test_what_a_condition_says(text: str, arguments: str, expected: bool | Failure) -> None:
    assert held(text, arguments) is expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a condition"),
        ("arguments.amount <=", "line 1, character 20: Syntax error"),
        ("amount <= 5", "line 1, character 1: undeclared reference to 'amount'"),
        ("context.reason == 'x'", "undeclared reference to 'context.reason'"),
        ("agent_reasoning == 'x'", "undeclared reference to 'agent_reasoning'"),
        ("tool == 1", "line 1, character 6: found no matching overload for '==' applied to '(string, int)'"),
        ("true &&\n  tools", "line 2, character 3: undeclared reference to 'tools'"),
        ("1 + 1", "its result is of type int"),
        ("arguments", "its result is of type map"),
        ("arguments.amount <= 9007199254740992.0", "cannot be compared exactly"),
        ("arguments.amount <= 1e16", "cannot be compared exactly"),
        ("arguments.amount <= 0.1000000000000000055", "cannot be compared exactly"),
        ("arguments.amount <= 1e-400", "cannot be compared exactly"),
        ("arguments.amount <= 9223372036854775808", "invalid int literal"),
        ("double(arguments.amount) <= 5.0", "undeclared reference to 'double'"),
        ("google.protobuf.FloatValue{value: 0.1} >= arguments.amount", "names google"),
        ("arguments.a.matches(arguments.b)", "matches by a pattern that is not written in it"),
        ("arguments.a.matches('a' + arguments.b)", "matches by a pattern that is not written in it"),
        ("matches(arguments.a, 'a')", "matches by a pattern that is not written in it"),
        ("arguments.a.matches('(')", "has a pattern that cannot be read"),
        (r"arguments.a.matches('(?=a)')", "has a pattern that cannot be read"),
        ("true || " * 600 + "true", "characters"),
    ],
)
def test_what_is_no_condition_is_said_in_a_line(text: str, problem: str) -> None:
    with pytest.raises(BadCondition) as caught:
        compile_condition(text)
    assert problem in caught.value.problem
    assert "\n" not in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "arguments.note == '1e999 9007199254740993.0'",
        'arguments.note == """9007199254740993.0 " 1e16"""',
        r"arguments.note == r'\d 1e16' || arguments.note == '\' 1e16'",
        "arguments.e1e16 == 1 // 1e16",
        "arguments.amount <= 5000.50 && arguments.rate < 1.5e-3",
    ],
)
def test_numbers_in_texts_names_and_comments_are_none(text: str) -> None:
    compile_condition(text)


NUMBERS = st.one_of(
    st.integers(-(2**66), 2**66),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**18), max_value=10**18),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30),
    st.builds(
        lambda whole, nudge, exponent: Decimal(whole) + Decimal(nudge).scaleb(exponent),
        st.one_of(st.integers(-10_000, 10_000), st.integers(2**53 - 3, 2**53 + 3), st.integers(2**63 - 3, 2**63 + 3)),
        st.integers(-3, 3),
        st.integers(-30, 0),
    ),
)
COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@given(NUMBERS, NUMBERS, st.sampled_from(sorted(COMPARISONS)))
def test_numbers_of_a_call_compare_exactly_or_not_at_all(one: int | Decimal, other: int | Decimal, sign: str) -> None:
    answer = held(f"arguments.one {sign} arguments.other", f'{{"one": {one}, "other": {other}}}')
    assert answer in (COMPARISONS[sign](Decimal(one), Decimal(other)), Failure.INEXACT)
    whole = all(value == int(value) and abs(value) < 2**63 for value in (one, other))
    assert not (whole and answer is Failure.INEXACT), "whole numbers of 64 bits always compare"


@given(NUMBERS, NUMBERS, st.sampled_from(sorted(COMPARISONS)))
def test_a_number_of_the_rule_compares_exactly_or_is_refused(
    one: int | Decimal, other: int | Decimal, sign: str
) -> None:
    literal = str(other).replace("E+", "e").replace("E", "e")
    try:
        condition = compile_condition(f"arguments.one {sign} {literal}")
    except BadCondition:
        return
    answer = condition.holds(Call("a", "t", None, f'{{"one": {one}}}'))
    assert answer in (COMPARISONS[sign](Decimal(one), Decimal(other)), Failure.INEXACT)


LEAVES = st.sampled_from([None, True, 1, 7, 2.5, -1.0, 2**70, "", "x", "xyz"])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
READINGS = (
    "arguments.a <= 5", "arguments.a.b == arguments.c", "has(arguments.a.b)", "arguments.a.all(x, x > 1)",
    "arguments['a']['b'] != 'x'", "'a' in arguments", "arguments.a == arguments", "size(arguments.a) > 1",
    "arguments.a.b.c.startsWith('x') || has(arguments.d)", "arguments.a[0] == arguments.b[arguments.c]",
    "!has(arguments.a) || arguments.a.size() == 0", "has(arguments.a) ? has(arguments.a.b) : arguments.c == null",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4), st.sampled_from(READINGS))
def test_leaving_out_what_is_not_read_changes_nothing(arguments: dict[str, object], text: str) -> None:
    sent = json.dumps(arguments)
    # With every argument named, nothing can be left out.
    whole = held(f"({text}) && arguments == arguments", sent)
    if whole is not Failure.INEXACT:
        assert held(text, sent) is whole


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading(text: str) -> None:
    try:
        condition = compile_condition(text)
    except BadCondition:
        return
    condition.holds(Call("a", "t", None, "{}"))


def test_what_would_take_long_is_not_gone_through() -> None:
    """Work that grows with the square of the arguments is bounded; what only grows with them is done."""
    short = json.dumps({"few": ["a"] * 300, "note": "a" * 1000})
    long = json.dumps({"few": ["a"] * 3000, "note": "a" * 30_000})
    assert len(short) < MOST_CHARACTERS_NESTED < len(long)
    began = perf_counter()
    assert held("arguments.few.all(x, arguments.note.contains(x))", short) is True
    assert held("arguments.few.all(x, arguments.note.contains(x))", long) is Failure.TOO_LARGE
    assert held("arguments.few.all(x, arguments.few.exists(y, y == x))", long) is Failure.TOO_LARGE
    assert held("arguments.few.all(x, x == 'a')", long) is True
    assert held("arguments.note.matches('(a+)+$')", long) is True
    assert held("[1, 2].all(x, [3].all(y, [4].all(z, x < y && y < z)))", short) is True
    assert perf_counter() - began < 5, "it takes some ten milliseconds"


def test_too_many_steps_are_no_answer() -> None:
    arguments = json.dumps({"few": [1] * 200})
    text = "arguments.few.all(x, arguments.few.all(y, arguments.few.all(z, x + y + z > 0)))"
    assert held(text, arguments) is Failure.TOO_LARGE


@pytest.mark.parametrize(
    "read",
    [
        "(arguments).amount", ".arguments.amount", "arguments // c\n . amount", "[arguments][0].amount",
        "{'a': arguments}.a.amount", "(true ? arguments : arguments).amount", "arguments.`amount`",
        r"arguments['\x61mount']", 'arguments["""amount"""]', "arguments[r'amount']", "arguments['am' + 'ount']",
    ],
)  # fmt: skip
def test_a_number_is_not_rounded_however_it_is_come_by(read: str) -> None:
    assert held(f"{read} <= 5", '{"amount": 5}') is True
    assert held(f"{read} <= 5", '{"amount": 5.00000000000000000001}') is Failure.INEXACT
