"""Hidden values on no surface: what is drawn of a request shows marks in their place, and nothing passes for one."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.drawings import Drawing
from bot.queries import Seen
from bot.redaction import Redactor
from bot.redaction_marks import MARK_SIGN
from handlers.slack.answers import render_owner_notice, render_refusal_text, render_show
from handlers.slack.cards import render_card
from handlers.slack.comparison import call_outline
from handlers.slack.home import render_home
from handlers.slack.marks import draw
from handlers.slack.pages import details_page, review_page
from handlers.slack.text import mrkdwn, name_in_mrkdwn, quoted, visible
from handlers.slack.views import render_deny, render_details, render_done, render_refusal, render_review
from tests.unit.report_samples import reports_of, waiting
from tests.unit.slack_calls import some
from tests.unit.slack_support import (
    APPROVED,
    NOW,
    STATES,
    check_message,
    check_modal,
    drawing,
    frames_in,
    rule,
    strange_lines_in,
    text_in,
    vote,
)

REDACTOR = Redactor(b"k" * 32)
FAKE = "[redacted · hmac:1234abcd]"
PATTERNS = ("card_number", "*.password", "cards.*.number")


def redacted(
    arguments: Any, *patterns: str, previous: Any = None, notes: tuple[str, ...] = (), **fields: Any
) -> Drawing:
    """What ``load_drawing`` makes of a stored request, and of the one it is compared with."""
    stored = drawing(arguments, frozen=rule(redact=patterns), votes=tuple(vote(note=one) for one in notes), **fields)
    drawn = REDACTOR.redact(stored.request, patterns)
    before = None
    if previous is not None:
        earlier = drawing(previous, **(APPROVED | {"number": 41, "salt": b"other"})).request
        before = REDACTOR.redact(earlier, patterns, beside=drawn).request
    return replace(
        stored,
        request=drawn.request,
        copies=drawn.copies,
        previous=before,
        votes=tuple(map(drawn.noted, stored.votes)),
    )


def everything_drawn_of(drawing: Drawing) -> Iterator[Any]:
    """Every surface that a request is drawn on."""
    seen = Seen(drawing, (), True)
    late = NOW + timedelta(days=1)
    yield render_card(drawing, NOW)
    yield render_card(drawing, late)
    yield render_show(seen)
    yield waiting([seen])
    yield from (message for _, message in reports_of(drawing, drawing.request.note))
    yield render_refusal_text("No.", drawing)
    yield render_owner_notice(drawing, "overdue")
    yield render_home([seen], NOW)
    yield render_deny(drawing, "m")
    yield render_refusal("No.", drawing)
    yield render_done(drawing)
    yield from (render_review(drawing, "m", page) for page in range(review_page(drawing, 0).count))
    yield from (render_details(drawing, "m", page) for page in range(details_page(drawing, 0).count))


def all_text_of(surface: Any) -> str:
    if isinstance(surface, dict):
        return json.dumps(surface, ensure_ascii=False)
    return surface.text + json.dumps(surface.blocks, ensure_ascii=False)


def outlined(drawn: Drawing) -> str:
    call = call_outline(drawn)
    return draw(call.lines, gutter=call.is_marked, old_values=10_000)


# --- what must not be there -------------------------------------------------------------------------------

# Nothing that Signoff says itself contains these.
_CANARIES = st.from_regex(r"\A[QXZ]{2}[0-9]{2}[QXZqxz0-9 äß\"\\/\n]{0,60}[QXZ]\Z")


@st.composite
def _hidden(draw: st.DrawFn) -> tuple[Any, list[str]]:
    """A value to hide, and the texts by which it would be known."""
    texts = draw(st.lists(_CANARIES, min_size=1, max_size=4))
    number = draw(st.none() | st.integers(10**11, 10**40))
    known = [*texts, *([str(number)] if number else [])]
    values: list[Any] = [*texts, *([number] if number else [])]
    shape = draw(st.sampled_from(["scalar", "list", "object", "nested"]))
    if shape == "scalar":
        return values[-1], known[-1:]
    if shape == "list":
        return values, known
    if shape == "object":
        return {f"k{at}": value for at, value in enumerate(values)}, known
    return [{"a": [values, None, {}]}], known


@some(60)
@given(_hidden(), _hidden(), st.sampled_from(sorted(STATES)), st.booleans(), st.data())
def test_no_hidden_value_is_drawn_anywhere(
    hidden: tuple[Any, list[str]], before: tuple[Any, list[str]], state: str, repeats: bool, data: st.DataObject
) -> None:
    def call(value: Any, said: str) -> dict[str, Any]:
        made = data.draw(
            st.sampled_from(
                [
                    {"card_number": value},
                    {"deep": [{"Card_Number": value}, {"x": {"PASSWORD": value}}]},
                    {"cards": [{"number": value, "year": 2027}, {"number": 1, "year": 2028}]},
                ]
            )
        )
        return {"amount": 4900, **made} | ({"memo": said, "list": [said, said]} if repeats else {})

    value, known = hidden
    old_value, old_known = before
    said = "pay with " + " or ".join(known) + "."
    fields: dict[str, Any] = STATES[state] | {"agent_reasoning": said, "context": json.dumps({"said": said})}
    if fields.get("outcome"):
        fields["outcome_note"] = said
    if fields.get("decided_at"):
        fields["note"] = said
    drawn = redacted(call(value, said), *PATTERNS, previous=call(old_value, said), notes=(said,), **fields)
    for surface in everything_drawn_of(drawn):
        text = all_text_of(surface)
        for secret in (*known, *old_known):
            for form in (secret, visible(secret, lines=True), quoted(secret)[1:-1], json.dumps(secret)[1:-1]):
                assert form not in text
                assert json.dumps(form, ensure_ascii=False)[1:-1] not in text
        assert MARK_SIGN not in text
        text.encode()
    assert (drawn.copies > 0) is repeats


@pytest.mark.parametrize(
    "number", ["4111111111111111", "4.111111111111111e15", "41111111111111110e-1", '"4111111111111111"']
)
def test_a_number_is_hidden_however_it_is_written(number: str) -> None:
    drawn = redacted(f'{{"card_number": {number}}}', *PATTERNS, agent_reasoning="It is 4111111111111111.")
    for surface in everything_drawn_of(drawn):
        assert "41111111" not in all_text_of(surface)
        assert "4.1111" not in all_text_of(surface)


# --- what is there instead --------------------------------------------------------------------------------


def test_a_mark_stands_bare_where_a_value_stood() -> None:
    drawn = redacted({"card_number": "4111", "password": None, "cards": [{"number": 1}], "amount": 5}, *PATTERNS)
    lines = outlined(drawn).split("\n")
    assert lines[0].startswith("card_number: [redacted · hmac:")
    assert len(lines[0]) == len("card_number: [redacted · hmac:1234abcd]")
    assert lines[1].startswith("password: [redacted · hmac:")
    assert "  - number: [redacted · hmac:" in outlined(drawn)
    check_message(render_card(drawn, NOW))


def test_rows_with_hidden_values_are_drawn() -> None:
    rows = [{"sku": "A", "password": "one"}, {"sku": "B", "password": "two"}]
    drawn = redacted({"rows": rows}, *PATTERNS)
    assert outlined(drawn).count("[redacted · hmac:") == 2
    assert strange_lines_in(render_card(drawn, NOW).blocks) == []


def test_the_details_show_the_json_and_say_that_it_is_not_all() -> None:
    drawn = redacted('{ "card_number":4111, "amount" : 5.10 }', *PATTERNS)
    view = render_details(drawn, "m")
    check_modal(view)
    assert "as the JSON text that was sent, but for what is hidden" in text_in(view["blocks"])
    (json_text,) = [one for one in frames_in(view["blocks"]) if one.startswith("{")]
    assert json_text.startswith('{ "card_number":"[redacted · hmac:')
    assert json_text.endswith(']", "amount" : 5.10 }')
    plain = render_details(redacted({"amount": 5}, *PATTERNS), "m")
    assert "but for what is hidden" not in text_in(plain["blocks"])


def test_what_is_hidden_beyond_the_rule_is_said_on_every_view_of_the_call() -> None:
    drawn = redacted({"password": "mallory", "to": "mallory", "text": "for mallory\n" * 3}, *PATTERNS)
    for surface in (render_card(drawn, NOW), render_show(Seen(drawn, (), True))):
        assert "Hidden beyond what the rule hides: 2 places" in text_in(surface.blocks)
    for view in (render_review(drawn, "m"), render_details(drawn, "m")):
        assert "Hidden beyond what the rule hides: 2 places" in text_in(view["blocks"])
    as_the_rule_says = redacted({"password": "mallory", "to": "alice"}, *PATTERNS)
    assert "Hidden beyond" not in text_in(render_card(as_the_rule_says, NOW).blocks)


def test_a_mark_is_no_oddity() -> None:
    text = text_in(render_card(redacted({"password": "p", "a": 1}, *PATTERNS, agent_reasoning="r"), NOW).blocks)
    assert "invisible" not in text
    assert ":warning:" not in text


# --- differences ------------------------------------------------------------------------------------------


def test_a_hidden_value_that_is_the_same_is_not_marked_as_changed() -> None:
    drawn = redacted({"card_number": 4111.0, "amount": 6}, *PATTERNS, previous={"amount": 5, "card_number": 4111})
    first, second = outlined(drawn).split("\n")
    assert first.startswith("  card_number: [redacted · hmac:")
    assert second == "~ amount: 6 (was 5)"


def test_a_hidden_value_that_changed_is_told_by_its_marks() -> None:
    drawn = redacted({"card_number": "4111", "a": 1}, *PATTERNS, previous={"card_number": "5500", "a": 1})
    first, second = outlined(drawn).split("\n")
    assert first.startswith("~ card_number: [redacted · hmac:")
    assert " (was [redacted · hmac:" in first
    assert first[15:41] != first[-27:-1]
    assert second == "  a: 1"
    check_message(render_card(drawn, NOW))


def test_a_hidden_value_that_is_gone_stays_hidden() -> None:
    drawn = redacted({"a": 1}, *PATTERNS, previous={"a": 1, "card_number": {"n": "5500"}})
    text = text_in(render_card(drawn, NOW).blocks)
    assert "card_number: [redacted · hmac:" in text
    assert "5500" not in text


def test_the_same_call_is_said_to_be_the_same() -> None:
    drawn = redacted({"card_number": "4111"}, *PATTERNS, previous={"card_number": "4111"})
    assert "Same call as #41" in text_in(render_card(drawn, NOW).blocks)


# --- fakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fake",
    [
        FAKE,
        FAKE.upper(),
        "[ redacted",
        "\uff3bredacted · hmac:1234abcd]",
        "[[redacted]]",
        "[\u200bredacted",
        "[*redacted",
    ],
)
def test_what_is_written_like_a_mark_is_shown_not_to_be_one(fake: str) -> None:
    for shown in (visible(fake), visible(fake, lines=True), quoted(fake), mrkdwn(fake), name_in_mrkdwn(fake)):
        assert "\\u{5B}" in shown or "\\u{FF3B}" in shown
        assert FAKE not in shown


@pytest.mark.parametrize("state", ["pending", "denied", "failed"])
def test_no_fake_passes_for_a_mark_on_any_surface(state: str) -> None:
    said = f"It is {FAKE}, hidden by the rule."
    fields = STATES[state] | {"agent_reasoning": said, "context": json.dumps({"x": FAKE})}
    if state != "pending":
        fields |= {"note": said}
    if state == "failed":
        fields |= {"outcome_note": said}
    arguments = {"to": FAKE, "text": f"a\n{FAKE}", "list": [FAKE], FAKE: 1, "n": {"x": said}, "server": FAKE}
    drawn = redacted(arguments, previous=arguments | {"to": FAKE.replace("1", "2")}, notes=(said,), tool=FAKE, **fields)
    for surface in everything_drawn_of(drawn):
        assert FAKE not in all_text_of(surface)
    assert "\\u{5B}redacted" in text_in(render_card(drawn, NOW).blocks)


def test_words_that_are_no_mark_stand_as_they_are() -> None:
    for text in ("redacted", "a [note], redacted later", "[x] redacted", "[unredacted]"):
        assert visible(text) == text
