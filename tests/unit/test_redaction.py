"""What a rule hides: which values its patterns fit, what is left of a request, and what the marks tell."""

import json
import re
from collections.abc import Sequence
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.call import digest_of
from bot.redaction import Redacted, Redactor
from bot.redaction_marks import LEAST_CHARACTERS, MARK, MARK_SIGN, parse_pattern
from store.tables import Request
from tests.unit.slack_calls import some
from tests.unit.slack_support import drawing, vote

REDACTOR = Redactor(b"k" * 32)
CARD = "4111111111111111"


def request_for(arguments: Any = None, **fields: Any) -> Request:
    """A request for a call. ``arguments``: a value, or JSON text to the letter."""
    return drawing(arguments, **({"salt": b"s" * 16} | fields)).request


def redacted(arguments: Any, *patterns: str, **fields: Any) -> Redacted:
    return REDACTOR.redact(request_for(arguments, **fields), patterns)


def shown(arguments: Any, *patterns: str) -> str:
    """The arguments as people may see them, every mark written as ``#``."""
    return MARK.sub("#", redacted(arguments, *patterns).request.arguments)


def marks_in(text: str | None) -> list[str]:
    return MARK.findall(text or "")


@pytest.mark.parametrize(
    ("pattern", "arguments", "expected"),
    [
        ("card_number", '{"card_number": "x", "a": 1}', '{"card_number": "#", "a": 1}'),
        ("card_number", '{"a": {"b": [{"card_number": 1}]}}', '{"a": {"b": [{"card_number": "#"}]}}'),
        ("card_number", '{"Card_NUMBER": 1, "card_numbers": 2}', '{"Card_NUMBER": "#", "card_numbers": 2}'),
        ("CARD", '{"card": 1}', '{"card": "#"}'),
        ("größe", '{"GRÖSSE": 1}', '{"GRÖSSE": "#"}'),
        ("größe", '{"gro\\u0308\\u00dfe": 1}', '{"gro\\u0308\\u00dfe": "#"}'),
        ("пароль", '{"ПАРОЛЬ": 1}', '{"ПАРОЛЬ": "#"}'),
        ("pin", '{"\\uff30\\uff29\\uff2e": 1}', '{"\\uff30\\uff29\\uff2e": "#"}'),
        # A star is one key or index, and everything stands below the arguments themselves.
        ("*.password", '{"password": 1, "a": {"password": 2}}', '{"password": "#", "a": {"password": "#"}}'),
        ("db.*.pin", '{"pin": 1, "db": {"x": {"pin": 2}}}', '{"pin": 1, "db": {"x": {"pin": "#"}}}'),
        ("db.pin", '{"a": {"db": {"pin": 1}}, "pin": 2}', '{"a": {"db": {"pin": "#"}}, "pin": 2}'),
        ("arguments.pin", '{"pin": 1, "a": {"pin": 2}}', '{"pin": "#", "a": {"pin": 2}}'),
        ("cards.*.no", '{"cards": [{"no": 1}, {"no": 2}]}', '{"cards": [{"no": "#"}, {"no": "#"}]}'),
        ("cards.1", '{"cards": [1, 2, 3]}', '{"cards": [1, "#", 3]}'),
        ("cards.*", '{"cards": [1, [2], {"a": 3}]}', '{"cards": ["#", "#", "#"]}'),
        ("rows.*.*", '{"rows": [[1, 2], [3]]}', '{"rows": [["#", "#"], ["#"]]}'),
        ("*", '{"a": 1, "b": {"c": 2}}', '{"a": "#", "b": "#"}'),
        ("card.number", '{"card.number": 1, "card": {"number": 2}}', '{"card.number": "#", "card": {"number": "#"}}'),
        ("password", '{"user.password": 1}', '{"user.password": "#"}'),
        ("password", '{"user\\uff0epassword": 1}', '{"user\\uff0epassword": "#"}'),
        # Whatever the value is, it goes as a whole.
        ("a", '{"a": {"b": [1, {"a": 2}]}, "c": 3}', '{"a": "#", "c": 3}'),
        ("a", '{"a": [1, 2], "c": 3}', '{"a": "#", "c": 3}'),
        ("a", '{"a": null}', '{"a": "#"}'),
        ("a", '{"a": true, "b": false}', '{"a": "#", "b": false}'),
        ("a", '{"a": ""}', '{"a": "#"}'),
        ("a", '{"a": {}, "b": []}', '{"a": "#", "b": []}'),
        # The rest is there to the letter.
        (
            "a",
            ' {\n "x" : 1.10,\t"a" : 1e3 , "y": "\\u00e4\\/", "z":[ ] , "n": -0.0e+5}\n',
            ' {\n "x" : 1.10,\t"a" : "#" , "y": "\\u00e4\\/", "z":[ ] , "n": -0.0e+5}\n',
        ),
    ],
)  # fmt: skip
def test_what_a_pattern_hides(pattern: str, arguments: str, expected: str) -> None:
    assert shown(arguments, pattern) == expected


@pytest.mark.parametrize(
    "pattern",
    ["", ".", "a.", ".a", "a..b", " a", "a ", "a. b", "a\nb", "a\u200bb", "a\u202eb", "card*", "a.**", "x" * 256],
)
def test_a_pattern_that_would_hide_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^has "):
        parse_pattern(pattern)


@pytest.mark.parametrize("pattern", ["a", "*", "a.*.b", "a b", "größe", "x" * 255, "0", "$ref", "a-b"])
def test_patterns(pattern: str) -> None:
    assert parse_pattern(pattern)


def test_without_patterns_nothing_is_touched() -> None:
    request = request_for({"card": CARD}, agent_reasoning="r", context="{}")
    assert REDACTOR.redact(request, ()).request is request


def test_a_request_that_came_without_arguments_stays_so() -> None:
    assert redacted("", "card").request.arguments == ""


# --- marks ------------------------------------------------------------------------------------------------


def test_equal_values_have_equal_marks_and_others_others() -> None:
    text = redacted('{"a": [1, 1.0, 10e-1, "1", true, 2, null, {"x": 1}, {"x": 1.0}]}', "a.*").request.arguments
    one, same, again, text_one, true, two, null, box, same_box = marks_in(text)
    assert one == same == again
    assert box == same_box
    assert len({one, text_one, true, two, null, box}) == 6


def test_marks_are_keyed_and_salted() -> None:
    marks = [
        marks_in(redactor.redact(request_for({"a": CARD}, salt=salt), ["a"]).request.arguments)[0]
        for redactor in (REDACTOR, Redactor(b"other" * 8))
        for salt in (b"s" * 16, b"t" * 16)
    ]
    assert len(set(marks)) == 4


@some(60)
@given(st.one_of(st.text(), st.integers(), st.lists(st.integers()), st.booleans(), st.none()))
def test_a_mark_tells_neither_length_nor_type(value: Any) -> None:
    text = redacted({"a": value}, "a").request.arguments
    assert re.fullmatch(r'\{"a": "\udfffredacted · hmac:[0-9a-f]{8}\]"\}', text)


def test_what_it_is_compared_with_is_marked_alike() -> None:
    now = redacted({"a": CARD, "b": "shown now"}, "a")
    same = REDACTOR.redact(request_for({"a": CARD}, salt=b"other"), ["a"], beside=now)
    other = REDACTOR.redact(request_for({"a": "5500", "b": f"to {CARD}"}, salt=b"other"), ["a"], beside=now)
    assert marks_in(same.request.arguments) == marks_in(now.request.arguments)
    # What is hidden now is hidden in it wherever it stands.
    hidden, copy = marks_in(other.request.arguments)
    assert copy == marks_in(now.request.arguments)[0] != hidden
    # Even where its own rule hid nothing.
    bare = REDACTOR.redact(request_for({"b": CARD}, salt=b"other"), [], beside=now)
    assert CARD not in bare.request.arguments


# --- hidden values elsewhere ------------------------------------------------------------------------------


def test_a_hidden_value_is_hidden_wherever_it_is_repeated() -> None:
    seen = redacted(
        {"card": CARD, "note": f"charge {CARD}, then {CARD}", CARD: 1, "ref": int(CARD), "sum": 41},
        "card",
        agent_reasoning=f"The card is {CARD}.",
        context=json.dumps({"said": [f"my card: {CARD}"], "card": "other", "n": 1.50}),
        outcome_note=f"charged {CARD}",
        note=f"Wrong card: {CARD}",
    )
    assert CARD not in repr(seen.request.model_dump())
    (mark,) = set(marks_in(seen.request.arguments))
    assert seen.request.agent_reasoning == f"The card is {mark}."
    assert seen.request.outcome_note == f"charged {mark}"
    assert seen.request.note == f"Wrong card: {mark}"
    assert seen.request.context is not None
    assert seen.request.context.endswith('"n": 1.5}')
    assert seen.copies == 3  # the note, the key, the number


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (CARD, CARD),
        ("4.111111111111111e15", CARD),
        (CARD, "4111111111111111.0"),
        (f'"{CARD}"', f"({CARD})"),
        ('"  secret  "', "the secret!"),
        ('"say \\"cheese\\""', 'say "cheese"'),
        ('"say \\"cheese\\""', r"say \"cheese\""),
        ('"zo\\u00eb!"', r"zo\u00eb!"),
        ("49.50", "49.5"),
        ("-4900", "about -4900"),
        ('["inner", 7, {"k": "deeper"}]', "inner and deeper"),
        ('"one two"', "one two three"),
    ],
)
def test_the_agent_does_not_say_it_either(sent: str, said: str) -> None:
    seen = redacted(f'{{"a": {sent}}}', "a", agent_reasoning=said).request.agent_reasoning
    assert seen is not None
    assert marks_in(seen)
    for word in ("secret", "cheese", "zo", "inner", "deeper", "49", "one", "4111"):
        assert word not in MARK.sub("", seen)


@pytest.mark.parametrize(("sent", "said"), [('"cvv"', "cvv"), ("123", "123"), ("true", "true"), ("null", "null")])
def test_what_is_too_short_to_be_told_from_others_is_not_looked_for(sent: str, said: str) -> None:
    assert len(said) < LEAST_CHARACTERS or said in ("true", "null")
    assert redacted(f'{{"a": {sent}}}', "a", agent_reasoning=said).request.agent_reasoning == said


def test_overlapping_values_are_hidden_together() -> None:
    seen = redacted({"a": ["abcdef", "defghi", "abcdefgh"]}, "a", agent_reasoning="x abcdefghi y").request
    assert MARK.sub("#", seen.agent_reasoning or "") == "x # y"


def test_a_value_that_reads_like_a_mark_hides_no_mark() -> None:
    seen = redacted({"a": ["redacted", "hmac", CARD]}, "a", agent_reasoning=f'redacted {CARD} {{"a": 1}}').request
    assert MARK.sub("#", seen.agent_reasoning or "") == '# # {"a": "#"}'


def test_the_context_is_hidden_by_its_keys_and_hides_no_argument() -> None:
    seen = redacted(
        {"to": "mallory@example.com"},
        "password",
        context='{"login": {"Password": "mallory@example.com", "n": 1.0}}',
        agent_reasoning="for mallory@example.com",
    )
    assert seen.request.arguments == '{"to": "mallory@example.com"}'
    assert seen.copies == 0
    assert MARK.sub("#", seen.request.context or "") == '{"login": {"Password": "#", "n": 1.0}}'
    assert MARK.sub("#", seen.request.agent_reasoning or "") == "for #"


def test_a_note_that_states_another_call_hides_its_values_too() -> None:
    note = 'Approved with changes. Call again with:\n{"card": "5500000000000004", "amount": 4.50}\nReason: {odd}'
    seen = redacted({"card": CARD, "amount": 5}, "card", note=note)
    assert MARK.sub("#", seen.request.note or "") == note.replace("5500000000000004", "#")
    assert MARK.sub("#", seen.noted(vote(note=note)).note or "") == note.replace("5500000000000004", "#")
    assert seen.noted(vote()) == vote()


def test_a_note_says_what_stays_as_it_was() -> None:
    note = '{"card":"(as you sent it)","b":1}'
    seen = redacted({"card": CARD, "b": 2}, "card", "b", note=note).request
    assert MARK.sub("#", seen.note or "") == '{"card":"(as you sent it)","b":"#"}'
    assert "sent" not in redacted({"card": "(as you sent it)"}, "card").request.arguments


@pytest.mark.parametrize(
    "said",
    [
        '{"card": NaN, "b": "x"}',
        '{"card": "\\ud800"}',
        '{"b": "\\udfffredacted · hmac:00000000] 4111111111111111"}',
        '{"card": 1, "card": 2}',
        '{"card": 1e999999999}',
        '{"b": 1e999999999}',
        "{" * 50_000,
        '{"a":' * 5_000,
    ],
)
def test_what_an_agent_quotes_may_be_any_text(said: str) -> None:
    seen = redacted({"card": CARD}, "card", agent_reasoning=said).request.agent_reasoning
    assert seen is not None
    assert CARD not in seen
    assert MARK.sub("", seen).count(MARK_SIGN) == 0
    assert not seen.encode("utf-16", "surrogatepass").decode("utf-16", "replace").startswith('{"card": NaN')


@pytest.mark.parametrize(
    ("lengths", "said"),
    [(range(4, 340), 200_000), ([60_000], 20_000)],  # many at each place, or one that takes long at each
)
def test_a_call_made_to_take_long_hides_more_and_takes_no_longer(lengths: Sequence[int], said: int) -> None:
    secrets = ["a" * length + "b" for length in lengths]
    seen = redacted({"a": secrets}, "a", agent_reasoning="a" * said + CARD)
    assert seen.request.agent_reasoning is not None
    assert CARD not in seen.request.agent_reasoning
    assert marks_in(seen.request.agent_reasoning)


# --- properties -------------------------------------------------------------------------------------------

_KEYS = st.one_of(st.sampled_from(["card", "Card", "a", "password", "x.y", "größe", "0"]), st.text(max_size=5))
_SCALARS = st.one_of(
    st.text(), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4))
CALLS = st.dictionaries(_KEYS, VALUES, max_size=6)
PATTERNS = st.lists(st.sampled_from(["card", "*.password", "a.*", "x.y", "*.*.card", "GRÖSSE", "a.0"]), unique=True)


@some(60)
@given(CALLS, PATTERNS, st.sampled_from([None, 1, "\t"]))
def test_what_is_left_is_the_call_with_marks_and_nothing_else(
    call: dict[str, Any], patterns: list[str], indent: Any
) -> None:
    text = json.dumps(call, ensure_ascii=False, indent=indent)
    request = request_for(text, digest=digest_of("issue_refund", None, text))
    seen = REDACTOR.redact(request, patterns)
    assert request.arguments == text
    assert seen.request.digest == request.digest == digest_of("issue_refund", None, request.arguments)
    if seen.copies == 0:
        paths = [parse_pattern(pattern) for pattern in patterns]
        left = json.loads(MARK.sub("#", seen.request.arguments))
        assert left == expected(call, ("arguments",), paths)


def expected(value: Any, path: tuple[str, ...], patterns: list[tuple[str, ...]]) -> Any:
    """The same, said shortly on parsed values."""
    ends = [(path[-len(pattern) :], pattern) for pattern in patterns if len(path) > 1]
    if any(
        len(end) == len(pattern) and all(b in ("*", a) for a, b in zip(end, pattern, strict=True))
        for end, pattern in ends
    ):
        return "#"
    if isinstance(value, dict):
        return {
            key: expected(item, (*path, *normalize("NFKC", key).casefold().split(".")), patterns)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [expected(item, (*path, str(at)), patterns) for at, item in enumerate(value)]
    return value


@some(60)
@given(st.lists(st.text(min_size=4, max_size=8), min_size=1, max_size=5), st.text(), st.data())
def test_no_hidden_text_is_left_in_any_words(secrets: list[str], between: str, data: st.DataObject) -> None:
    words = between.join(data.draw(st.permutations(secrets)))
    seen = redacted({"a": secrets}, "a", agent_reasoning=words).request.agent_reasoning or ""
    for piece in MARK.split(seen):
        for secret in secrets:
            assert len(secret.strip()) < LEAST_CHARACTERS or secret not in piece
