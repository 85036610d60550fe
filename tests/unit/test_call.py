"""bot.call: one call has one canonical form, two calls never share one, and the limits stand where they are said."""

import json
import random
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.call import (
    MAX_CALL_BYTES,
    MAX_DEPTH,
    MAX_EXPONENT,
    MAX_NAME,
    Submission,
    canonical_call,
    canonical_form,
    differ_in_one,
    digest_of,
    load_json,
    parse_object,
    parse_submission,
)
from bot.compact_json import compact_encoder
from bot.errors import BadInput, CallTooLarge


def submit(arguments: str = "{}", more: str = "", tool: str = "t", timeout: str = "10m") -> Submission:
    return parse_submission(
        f'{{"tool":{json.dumps(tool)},"arguments":{arguments},"timeout":{json.dumps(timeout)}{more}}}'.encode()
    )


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as refused:
        work()
    return refused.value.code


# --- the canonical form -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("{}", "{}"),
        ('{ "b" : 1 ,\n"a":2 }', '{"a":2,"b":1}'),
        ('{"Z":1,"a":2,"é":3,"10":4,"9":5}', '{"10":4,"9":5,"Z":1,"a":2,"é":3}'),
        ('{"a":[ 1 , true,false , null,"x" ]}', '{"a":[1,true,false,null,"x"]}'),
        ('{"a":[],"b":{}}', '{"a":[],"b":{}}'),
        ('{"a":"\\u00e9\\/\\u0041\\t\\u001f\\u2028\\ud83d\\ude00"}', '{"a":"é/A\\t\\u001f\u2028\U0001f600"}'),
        ('{"a":-0}', '{"a":0}'),
        ('{"a":[1.50,{"b":[]},{}],"c":[]}', '{"a":[15e-1,{"b":[]},{}],"c":[]}'),
    ],
)
def test_the_form_is_sorted_and_bare(text: str, canonical: str) -> None:
    assert canonical_form(load_json(text)) == canonical.encode()


@pytest.mark.parametrize(
    ("canonical", "spellings"),
    [
        ("0", ["0", "-0", "0.0", "-0.0", "0e7", "0.000e-3", "0E+400"]),
        ("1", ["1", "1.0", "1e0", "1E0", "10e-1", "0.1e1", "1.000000000000000000000000000000000000"]),
        ("-1", ["-1", "-1.0", "-0.1e+1", "-10E-1"]),
        ("4900", ["4900", "4900.0", "4.9e3", "49E2", "490000e-2"]),
        ("1152921504606846977", ["1152921504606846977", "1152921504606846977.0", "1.152921504606846977e18"]),
        ("49000000000000001e-13", ["4900.0000000000001", "4.9000000000000001e3"]),
        ("1000000000000000001e-19", ["0.1000000000000000001", "1.000000000000000001e-1"]),
        ("1e-1", ["0.1", "1e-1", "0.10", "100e-3"]),
        ("-15e-1", ["-1.5", "-15e-1"]),
        ("1" + "0" * 400, ["1e400", "1" + "0" * 400, "0.1e401"]),
        ("1e-400", ["1e-400", "0." + "0" * 399 + "1"]),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_a_number_has_one_form_however_it_is_spelled(canonical: str, spellings: list[str]) -> None:
    for spelling in spellings:
        assert canonical_form(load_json(f"[{spelling}]")) == f"[{canonical}]".encode()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("4900", "4900.0000000000001"),
        ("4900", '"4900"'),
        ("1152921504606846977", "1152921504606846976"),
        ("9007199254740993", "9007199254740992"),
        ("0.1", "0.1000000000000000001"),
        ("0.1", "0.1000000000000000055511151231257827"),
        ("1e-400", "0"),
        ("1e399", "1e400"),
        ("1", "true"),
        ("0", "false"),
        ("0", "null"),
        ('""', "null"),
        ("[]", "{}"),
        ("[1]", "1"),
        ("[[],[]]", "[[[]]]"),
        ('{"a":null}', "{}"),
        ('{"a":1,"b":2}', '{"a":2,"b":1}'),
        ('"a"', '"A"'),
        ('"é"', '"e\\u0301"'),
        ('"a"', '"a "'),
        ('"a"', '"a\\u200b"'),
        ('"1,2"', '"1","2"'),
        ('"\\\\u0041"', '"A"'),
    ],
)
def test_different_values_differ(one: str, other: str) -> None:
    assert submit(f'{{"x":[{one}]}}').digest != submit(f'{{"x":[{other}]}}').digest


def test_tool_server_and_arguments_are_the_call_and_nothing_else_is() -> None:
    plain = submit('{"a":1}')
    same = submit('{"a":1.0}', ',"context":{"run":1},"agent_reasoning":"why"', timeout="1h")
    assert plain.digest == same.digest
    assert plain.fields_digest != same.fields_digest
    others = [
        submit('{"a":1}', tool="T"),
        submit('{"a":1}', ',"server":"crm"'),
        submit('{"a":1}', ',"server":"t"'),
        submit('{"a":2}'),
        submit('{"arguments":{"a":1}}'),
        submit('{"a":1,"server":"crm"}'),
    ]
    assert len({plain.digest, *(other.digest for other in others)}) == len(others) + 1


def test_a_canonical_form_has_its_version_inside() -> None:
    assert canonical_call("t", None, {"a": Decimal("1.0")}) == b'{"arguments":{"a":1},"tool":"t","v":1}'
    assert canonical_call("t", "s", {}) == b'{"arguments":{},"server":"s","tool":"t","v":1}'


def test_the_stored_call_hashes_to_what_was_submitted() -> None:
    submission = submit('{ "a" : [1.0, 2e3, "\\u00e9"] }', ',"server":"crm"')
    assert submission.arguments == '{ "a" : [1.0, 2e3, "\\u00e9"] }'
    assert digest_of(submission.tool, submission.server, submission.arguments) == submission.digest
    assert digest_of("t", "crm", '{"a":[1,2000,"é"]}') == submission.digest
    assert digest_of("t", None, submission.arguments) != submission.digest


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=25,
)


@given(JSON)
def test_the_form_is_json_that_says_the_same(value: Any) -> None:
    canonical = canonical_form(value)
    again = load_json(canonical.decode())
    assert again == value
    assert canonical_form(again) == canonical


@given(st.lists(st.integers() | st.text() | st.dictionaries(st.text(), st.booleans())))
def test_both_ways_of_writing_agree(value: list[Any]) -> None:
    """A value without fractions is written by the C encoder, one with a fraction beside it by ours."""
    whole = canonical_form(value).decode()
    assert canonical_form([value, Decimal("0.5")]).decode() == f"[{whole},5e-1]"


# --- mutated calls ----------------------------------------------------------------------------------------


def _value(rng: random.Random, depth: int) -> Any:
    kinds = 7 if depth < 4 else 5
    match rng.randrange(kinds):
        case 0:
            return rng.choice([0, 1, -1, 4900, 2**53, 2**60 + 1, rng.randrange(10**12)])
        case 1:
            return Decimal(rng.choice(["0.1", "4900.5", "1e-9", "-2.25", f"{rng.randrange(10**6)}.25"]))
        case 2:
            return rng.choice(["", "a", "4900", "true", "null", "é", "e\u0301", "x" * rng.randrange(9)])
        case 3:
            return rng.choice([True, False])
        case 4:
            return None
        case 5:
            return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
        case _:
            return {rng.choice("abcdeZ1") + str(at): _value(rng, depth + 1) for at in range(rng.randrange(4))}


def _mutated(rng: random.Random, value: Any) -> Any:
    """Return a value that differs from ``value`` in one small thing."""
    if isinstance(value, dict) and value and rng.random() < 0.7:
        key = rng.choice(list(value))
        if rng.random() < 0.2:
            return {(name + "'" if name == key else name): item for name, item in value.items()}
        return {**value, key: _mutated(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], _mutated(rng, value[at]), *value[at + 1 :]]
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return rng.choice([value + 1, -value - 1, str(value), [value], Decimal(f"{value}.0000000000001")])
    if isinstance(value, Decimal):
        return rng.choice([value * 10 + 1, value + Decimal("1e-19"), str(value), -value])
    if isinstance(value, str):
        return rng.choice([value + " ", value + "\u200b", value + "\0", [value], {value: value}])
    if isinstance(value, list):
        return rng.choice([[*value, None], [value], {"": value}])
    return {**value, "_": None}


def _json(value: Any) -> str:
    """Write with numbers as decimals, which the standard encoder cannot."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def _respelled(value: Any) -> str:
    """Write the same value with other white space, other escapes, other order and other digits."""
    if isinstance(value, dict):
        return "{ " + " ,\n".join(f"{_respelled(key)} : {_respelled(value[key])}" for key in reversed(value)) + " }"
    if isinstance(value, list):
        return "[\t" + ", ".join(map(_respelled, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(character):04X}" for character in value) + '"'
    if isinstance(value, Decimal):
        return f"{value:f}0e0"
    return f"{value}.00" if isinstance(value, int) and not isinstance(value, bool) else json.dumps(value)


def test_a_thousand_mutated_calls_never_pass_for_the_original() -> None:
    rng = random.Random(20261122)  # the same thousand every time
    for _ in range(1000):
        arguments = {"amount": 4900, "more": _value(rng, 0)}
        original = submit(_json(arguments))
        assert submit(_respelled(arguments)).digest == original.digest
        assert digest_of("t", None, original.arguments) == original.digest
        mutant = submit(_json(_mutated(rng, arguments)))
        assert mutant.digest != original.digest, (original.arguments, mutant.arguments)
        assert mutant.fields_digest != original.fields_digest


# --- strictness and limits --------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["", "-"])
def test_numbers_have_a_limit_however_they_are_spelled(sign: str) -> None:
    for fine in ("1" + "0" * MAX_EXPONENT, f"1e{MAX_EXPONENT}", f"1e-{MAX_EXPONENT}", "9" * (MAX_EXPONENT + 1)):
        submit(f'{{"a":{sign}{fine}}}')
    for beyond in (
        "1" + "0" * (MAX_EXPONENT + 1),
        f"1e{MAX_EXPONENT + 1}",
        f"10e{MAX_EXPONENT}",
        f"1e-{MAX_EXPONENT + 1}",
        "1e999999999999999999999999",
        "9" * 100_000,
    ):
        assert refusal(lambda beyond=beyond: submit(f'{{"a":{sign}{beyond}}}')) == "invalid_json"  # type: ignore[misc]  # mypy cannot type a lambda's default


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_64_is_fine_and_65_is_not(opening: str, closing: str) -> None:
    def nested(levels: int) -> Submission:
        # The body and the arguments are two levels already.
        inner = levels - 2
        return submit('{"x":' + opening * inner + ("1" if closing == "}" else "") + closing * inner + "}")

    nested(MAX_DEPTH)
    for levels in (MAX_DEPTH + 1, 999, 5000, 100_000):
        assert refusal(lambda levels=levels: nested(levels)) == "too_deep"  # type: ignore[misc]  # as above


def test_many_containers_side_by_side_are_not_deep() -> None:
    submit('{"x":[' + ",".join(["[{}]"] * 1000) + '],"brackets":"' + "[{" * 1000 + '"}')


def test_numbers_that_grow_when_written_out_take_no_memory() -> None:
    many = f'{{"a":[{",".join(["1e400"] * 10_000)}]}}'  # 60 KB as sent, 4 MB written out
    tracemalloc.start()
    submit(more=f',"context":{many}')
    _, of_context = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    with pytest.raises(CallTooLarge):
        submit(many)
    _, of_arguments = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(of_context, of_arguments) < 4_000_000


def test_fields_with_fractions_are_recognised_and_told_apart() -> None:
    def digest(amount: str) -> bytes:
        return submit(more=f',"context":{{"é":[{amount}]}}').fields_digest

    assert digest("4900.0") == digest("4.9e3") == digest("4900")
    assert len({digest("4900"), digest("4900.0000000000001"), digest("4900.0000000000002")}) == 3


def test_the_canonical_call_is_measured_in_bytes() -> None:
    room = MAX_CALL_BYTES - len(canonical_call("t", None, {"a": ""}))
    submit(json.dumps({"a": "x" * room}))
    submit(json.dumps({"a": "é" * (room // 2)}))
    submit('{"a":"' + "\\u0078" * room + '"}')  # six times as long as it is sent, and the same call
    with pytest.raises(CallTooLarge):
        submit(json.dumps({"a": "x" * (room + 1)}))
    with pytest.raises(CallTooLarge):
        submit(json.dumps({"a": "é" * (room // 2 + 1)}))


@pytest.mark.parametrize("field", ["tool", "server"])
def test_a_name_is_1_to_255_printable_characters(field: str) -> None:
    def named(name: str) -> Submission:
        return submit(tool=name) if field == "tool" else submit(more=f',"server":{json.dumps(name)}')

    for fine in ("x", "x" * MAX_NAME, "Ünïcode 工具", "mcp__crm__find/all:v2", "a b"):
        named(fine)
    bad = ["", " ", " x", "x ", "x" * (MAX_NAME + 1), "a\nb", "a\0b", "\x1b[31m", "a\u202eb", "a\u200bb", "a\u2028b"]
    for name in [*bad, "a\u00a0b", "a\U000e0041", "a\ue000", "\ufeffa", "a\u0085b"]:
        assert refusal(lambda name=name: named(name)) == "invalid_field"  # type: ignore[misc]  # as above


@pytest.mark.parametrize("timeout", ["1s", "10m", "24h", "999999h", "111111111s", "9" * 254 + "h"])
def test_a_timeout_is_echoed_as_it_was(timeout: str) -> None:
    assert submit(timeout=timeout).timeout == timeout


@pytest.mark.parametrize(
    "timeout",
    ["", "0s", "00s", "01s", "1", "s", "1d", "1 s", "-1s", "1.5h", "1S", "1m30s", "9" * 255 + "h"],
)
def test_any_other_timeout_is_refused(timeout: str) -> None:
    assert refusal(lambda: submit(timeout=timeout)) == "invalid_timeout"


@pytest.mark.parametrize(
    "body",
    [
        '{"a":1,"a":2}',
        '{"a":1,"\\u0061":2}',
        '{"b":{"a":1,"a":1}}',
        '{"b":[{"a":1,"c":2,"a":1}]}',
        '{"a":"\\ud83d"}',
        '{"a":"\\ude00\\ud83d"}',
        '{"\\ud83d":1}',
        '{"a":{"\\udfff":1}}',
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1}{}',
        '{"a":1,}',
        '{"a":1',
        '{"a"',
        "{",
        "",
        "[1]",
        "1",
        '\ufeff{"a":1}',
        '{"a":"\t"}',
        "{\u00a0}",
    ],
)
def test_a_body_is_strict_json(body: str) -> None:
    assert refusal(lambda: parse_object(body.encode(), ("a", "b"))) == "invalid_json"


def test_each_fields_text_is_kept_to_the_letter() -> None:
    body = '\n{ "a" :\t{ "x" : 1.0 } , "b":"\\ud83d\\ude00" ,"c" : [ ] }\r\n '
    fields = parse_object(body.encode(), ("a", "b", "c"))
    assert {name: text for name, (_, text) in fields.items()} == {
        "a": '{ "x" : 1.0 }',
        "b": '"\\ud83d\\ude00"',
        "c": "[ ]",
    }
    assert fields["b"][0] == "\U0001f600"


def test_unknown_and_null_fields_are_named() -> None:
    for body, code, param in (
        ('{"a":1,"zz":null}', "unknown_field", "zz"),
        ('{"a":null}', "invalid_field", "a"),
        ('{"' + "z" * 1000 + '":1}', "unknown_field", "z" * 75),
    ):
        with pytest.raises(BadInput) as refused:
            parse_object(body.encode(), ("a",))
        assert (refused.value.code, refused.value.param) == (code, param)


# --- one argument apart -----------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from(["", "1", "true", Decimal("1.0"), Decimal("0.10")]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from("abc"), JSON_VALUES, max_size=3),
    st.dictionaries(st.sampled_from("abc"), JSON_VALUES, max_size=3),
)
def test_one_argument_apart_is_told_by_value(one: dict[str, Any], other: dict[str, Any]) -> None:
    differing = {
        key
        for key in one.keys() | other.keys()
        if key not in one or key not in other or canonical_form(one[key]) != canonical_form(other[key])
    }
    assert differ_in_one(one, other) is (len(differing) == 1)


@pytest.mark.parametrize("ensure_ascii", [True, False])
@pytest.mark.parametrize("has_c", [True, False])
def test_the_compact_encoder_writes_what_the_standard_one_does(
    monkeypatch: pytest.MonkeyPatch, has_c: bool, ensure_ascii: bool
) -> None:
    if not has_c:
        monkeypatch.setattr("json.encoder.c_make_encoder", None)
    encode = compact_encoder(ensure_ascii=ensure_ascii)
    for value in ('ä\u2028"\\\0', {"b": [1, True, None, {}], "a": {"ü": 2**60, "": []}}, [], -5):
        assert encode(value) == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=ensure_ascii)
    for refused, error in ((Decimal("1.5"), TypeError), (float("nan"), ValueError)):
        with pytest.raises(error):
            encode({"a": refused})
