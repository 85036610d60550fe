"""bot.arguments_schema: where arguments do not fit, exactly, in bounded time and without a word of what they are."""

import json
from fractions import Fraction
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.arguments_schema import BadSchema, compile_schema, parse_schema
from bot.call import load_json


def misfit(schema: dict[str, Any], arguments: str) -> str | None:
    found = compile_schema(schema).misfit(load_json(arguments))
    return None if found is None else str(found)


REFUND = {
    "type": "object",
    "required": ["amount", "iban"],
    "properties": {"amount": {"type": "number", "minimum": 0.1, "maximum": 5000}, "iban": {"type": "string"}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "arguments", "expected"),
    [
        (REFUND, '{"amount": 0.1, "iban": "x"}', None),
        (REFUND, "{}", "at the top: required: amount, iban"),
        (REFUND, '{"amount": 1}', "at the top: required: iban"),
        (REFUND, '{"amount": 0.09999999999999999999, "iban": "x"}', "/amount: minimum: 0.1"),
        (REFUND, '{"amount": 5000.00000000000000000001, "iban": "x"}', "/amount: maximum: 5000"),
        (REFUND, '{"amount": "secret", "iban": "x"}', '/amount: type: "number"'),
        (REFUND, '{"amount": true, "iban": "x"}', '/amount: type: "number"'),
        (REFUND, '{"amount": 1, "iban": "x", "secret": 1}', "at the top: additionalProperties: false"),
        ({"properties": {"n": {"type": "integer"}}}, '{"n": 4900.0}', None),
        ({"properties": {"n": {"type": "integer"}}}, '{"n": 49e2}', None),
        ({"properties": {"n": {"type": "integer"}}}, '{"n": 4900.5}', '/n: type: "integer"'),
        ({"properties": {"n": {"type": "integer"}}}, '{"n": true}', '/n: type: "integer"'),
        ({"properties": {"n": {"multipleOf": 0.01}}}, '{"n": 4900.13}', None),
        ({"properties": {"n": {"multipleOf": 0.01}}}, '{"n": 1e300}', None),
        ({"properties": {"n": {"multipleOf": 0.01}}}, '{"n": 4900.135}', "/n: multipleOf: 0.01"),
        ({"properties": {"n": {"multipleOf": 0.01}}}, '{"n": 1e-300}', "/n: multipleOf: 0.01"),
        ({"properties": {"n": {"enum": [1, 0.1]}}}, '{"n": 1.0}', None),
        (
            {"properties": {"n": {"enum": [1, 0.1]}}},
            '{"n": 0.1000000000000000055511151231257827}',
            "/n: enum: [1, 0.1]",
        ),
        ({"properties": {"n": {"enum": [1, 0.1]}}}, '{"n": true}', "/n: enum: [1, 0.1]"),
        ({"properties": {"n": {"const": 0.1}}}, '{"n": 0.10}', None),
        ({"properties": {"l": {"uniqueItems": True}}}, '{"l": [1, true, "1", {"a": 1}, [1]]}', None),
        (
            {"properties": {"l": {"uniqueItems": True}}},
            '{"l": [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}]}',
            "/l: uniqueItems: true",
        ),
        ({"properties": {"c": {"pattern": "^[A-Z]{2}$"}}}, '{"c": "GB"}', None),
        ({"properties": {"c": {"pattern": "^[A-Z]{2}$"}}}, '{"c": "GB\\n"}', '/c: pattern: "^[A-Z]{2}$"'),
        ({"properties": {"c": {"pattern": "B"}}}, '{"c": "GB"}', None),
        ({"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False}, '{"x-a": "1"}', None),
        (
            {"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False},
            '{"x-a": 1}',
            '/x-a: type: "string"',
        ),
        (
            {"patternProperties": {"^x-": {}}, "additionalProperties": False},
            '{"y": 1}',
            "at the top: additionalProperties: false",
        ),
        ({"additionalProperties": {"type": "string"}}, '{"a/b": 1}', '/a~1b: type: "string"'),
        ({"propertyNames": {"pattern": "^[a-z]+$"}}, '{"A": 1}', 'at the top: pattern: "^[a-z]+$"'),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"required": ["x"]}}}, "{}", "at the top: required: x"),
        (
            {"properties": {"child": {"$ref": "#"}, "n": {"type": "integer"}}},
            '{"child": {"child": {"n": "x"}}}',
            '/child/child/n: type: "integer"',
        ),
        ({"properties": {"list": {"items": {"maxLength": 3}}}}, '{"list": ["a", "secret"]}', "/list/1: maxLength: 3"),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"const": 1}}},
            '{"a": 2}',
            "/a: const: 1",
        ),
        ({"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}}, '{"pattern": "("}', None),
        (
            {"unevaluatedProperties": False, "properties": {"a": {}}},
            '{"b": 1}',
            "at the top: unevaluatedProperties: false",
        ),
    ],
)
def test_where_arguments_do_not_fit(schema: dict[str, Any], arguments: str, expected: str | None) -> None:
    found = misfit(schema, arguments)
    assert found == expected
    assert "secret" not in (found or "")


def test_a_long_place_and_a_long_requirement_are_cut() -> None:
    found = misfit({"additionalProperties": {"enum": ["x" * 1000]}}, json.dumps({"k" * 1000: 1}))
    assert found is not None
    assert len(found) < 500
    assert "…" in found


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "objekt"}, "is not a JSON Schema at /type"),
        ({"minimum": float("nan")}, "nan"),
        ({"properties": {"a": {"pattern": "("}}}, "has a pattern that cannot be read"),
        ({"properties": {"a": {"pattern": "(?=x)"}}}, "has a pattern that cannot be read"),
        ({"patternProperties": {"(a)\\1": {}}}, "has a pattern that cannot be read"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "both"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"$ref": "https://example.com/schema.json"}, "refers to 'https://example.com/schema.json'"),
        ({"$ref": "other.json"}, "refers to 'other.json'"),
        ({"$ref": "file:///etc/passwd"}, "refers to"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "which is not there"),
        ({"$defs": {"a": {"$id": "https://example.com/a"}}}, "a name of its own"),
        ({"$schema": "https://example.com/mine"}, "$schema"),
        ({"$schema": 5}, "$schema"),
    ],
)
def test_what_is_no_schema_is_refused_when_it_is_read(schema: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadSchema) as caught:
        compile_schema(schema)
    assert problem in caught.value.problem
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"\xff", "not UTF-8"),
        (b'{"maximum": 4900.0000000000000001}', "more digits than are kept"),
        (b'{"maximum": NaN}', "nan"),
        (b" " * 300_000, "bytes"),
    ],
)
def test_what_is_no_schema_file_is_refused(text: bytes, problem: str) -> None:
    with pytest.raises(BadSchema) as caught:
        compile_schema(parse_schema(text))
    assert problem in caught.value.problem


@given(st.decimals(allow_nan=False, allow_infinity=False, places=5), st.floats(allow_nan=False, allow_infinity=False))
def test_a_bound_is_what_is_written(number: Any, bound: float) -> None:
    written = Fraction(repr(bound))
    fits = misfit({"properties": {"n": {"minimum": bound}}}, f'{{"n": {number}}}') is None
    assert fits is (Fraction(str(number)) >= written)


def test_no_call_can_stall_the_service() -> None:
    """The largest calls there are, against patterns and comparisons that take others for ever."""
    schema = compile_schema({
        "properties": {"s": {"pattern": "^(a+)+$"}, "l": {"uniqueItems": True}},
        "patternProperties": {"^(b|b)*$": {}},
        "additionalProperties": False,
    })  # fmt: skip
    began = perf_counter()
    assert schema.misfit({"s": "a" * 60_000 + "!"}) is not None
    assert schema.misfit({"l": [[number, str(number)] for number in range(5000)]}) is None
    assert schema.misfit({"b" * 60_000 + "!": 1}) is not None
    assert perf_counter() - began < 5, "it takes some ten milliseconds"


def test_what_takes_too_many_checks_is_denied() -> None:
    schema = compile_schema({"properties": {"l": {"items": {"anyOf": [{"const": one} for one in range(10)]}}}})
    assert schema.misfit({"l": [9] * 100}) is None
    began = perf_counter()
    found = schema.misfit({"l": [9] * 21_000})
    assert str(found) == "at the top: the arguments are too large to be checked"
    assert perf_counter() - began < 30, "it takes two seconds"
    assert schema.misfit({"l": [9] * 100}) is None
