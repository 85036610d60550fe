"""Differences to the last call that people approved: marked, told, and never imitated or missed."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.call import canonical_form, load_json
from bot.drawings import Drawing
from handlers.slack.call_parts import fits_card
from handlers.slack.cards import APPROVE, REVIEW, render_card
from handlers.slack.marks import draw, fill
from handlers.slack.outline import Outline, outline
from handlers.slack.views import render_details, render_review
from store.tables import Request
from tests.unit.slack_support import (
    APPROVED,
    NOW,
    buttons,
    check_message,
    check_modal,
    drawing,
    frames_in,
    live_in,
    mrkdwn_in,
    rule,
    text_in,
)

BEFORE = NOW - timedelta(days=1)


def marked(new: Any, old: Any) -> Outline:
    texts = [value if isinstance(value, str) else json.dumps(value) for value in (new, old)]
    return outline(texts[0], texts[1])


def drawn(call: Outline) -> str:
    return draw(call.lines, gutter=call.is_marked, old_values=10_000)


def approved(arguments: Any = None, **fields: Any) -> Request:
    """An earlier request that people approved."""
    return drawing(arguments, **(APPROVED | {"number": 41, "decided_at": BEFORE} | fields)).request


def against(previous: Request, arguments: Any = None, **fields: Any) -> Drawing:
    return replace(drawing(arguments, **fields), previous=previous)


@pytest.mark.parametrize(
    ("new", "old", "shown"),
    [
        ('{"amount": 120, "to": "a"}', '{"to": "a", "amount": 100}', '~ amount: 120 (was 100)\n  to: "a"'),
        ('{"n": 4900.0000000000001}', '{"n": 4900}', "~ n: 4900.0000000000001 (was 4900)"),
        ('{"n": 1152921504606846977}', '{"n": 1152921504606846976}',
         "~ n: 1152921504606846977 (was 1152921504606846976)"),
        ('{"n": 5}', '{"n": "5"}', '~ n: 5 (was "5")'),
        ('{"n": 1}', '{"n": true}', "~ n: 1 (was true)"),
        ('{"n": null}', '{"n": ""}', '~ n: null (was "")'),
        ('{"n": ""}', '{"n": 0}', '~ n: "" (empty) (was 0)'),
        ('{"a": 1, "b": 2}', '{"a": 1}', "  a: 1\n+ b: 2"),
        ('{"o": {"a": 1, "b": [1]}}', '{"o": {"a": 2, "b": [1]}}', "  o:\n~   a: 1 (was 2)\n    b: [1]"),
        ('{"o": {"a": 1}}', '{"o": [1]}', "~ o: (was [1])\n+   a: 1"),
        ('{"o": {}}', '{"o": {"a": 1}}', "~ o: {} (empty) (was an object of 1)"),
        ('{"t": ["x"]}', '{"t": ["x", "y"]}', '~ t: ["x"] (was ["x", "y"])'),
        ('{"t": "a\\nB\\nc"}', '{"t": "a\\nb\\nc"}', "  t: text of 3 lines\n    │ a\n~   │ B\n    │ c"),
        ('{"t": "a\\nb\\nc"}', '{"t": "a\\nc"}',
         "~ t: text of 3 lines (was text of 2 lines)\n    │ a\n+   │ b\n    │ c"),
        ('{"t": "a\\nb"}', '{"t": "a"}', '~ t: text of 2 lines (was "a")\n    │ a\n+   │ b'),
        ('{"t": "a"}', '{"t": "a\\nb"}', '~ t: "a" (was text of 2 lines)'),
        ('{"t": "a\\n\\n\\n\\n\\nb"}', '{"t": "a\\n\\n\\n\\nx\\nb"}',
         "  t: text of 6 lines\n    │ a\n~   ┆ 4 empty lines\n    │ b"),
    ],
)  # fmt: skip
def test_marks_what_differs(new: str, old: str, shown: str) -> None:
    new, old = new.replace("\n", "\\n"), old.replace("\n", "\\n")
    assert drawn(marked(new, old)) == shown


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ('{"n": 4900}', '{"n": 4900.0}'), ('{"n": 49e2}', '{"n": 4900}'), ('{"n": -0}', '{"n": 0}'),
        ('{"a": 1, "b": {"c": 1, "d": 2}}', '{"b": {"d": 2, "c": 1}, "a": 1}'), ("{}", "{}"),
        ('{"s": "\\u00e9"}', '{"s": "é"}'),
    ],
)  # fmt: skip
def test_what_is_the_same_call_has_no_mark(new: str, old: str) -> None:
    assert not marked(new, old).is_marked


def test_recipients_are_matched_by_what_they_are() -> None:
    names = [f"customer-{at}@example.com" for at in range(8)]
    call = marked({"to": [*names[1:], "new@example.com", names[0]]}, {"to": names})
    assert [line.text.strip() for line in call.lines if line.mark == "+"] == ['- "new@example.com"']
    assert call.lines[0] == ("to: list of 9", "~", "list of 8")
    shuffled = marked({"to": names[::-1]}, {"to": names})
    assert [line.mark for line in shuffled.lines] == ["~"] + [" "] * 8
    assert shuffled.lines[0].was == "in another order"
    one = marked({"to": [*names[:3], "x@example.com", *names[4:]]}, {"to": names})
    assert [line.was for line in one.lines if line.mark == "~"] == ['"customer-3@example.com"']


def test_rows_tell_which_value_changed() -> None:
    old = {"items": [{"sku": "A", "qty": 1}, {"sku": "B", "qty": 2}]}
    new = {"items": [{"sku": "A", "qty": 100}, {"sku": "B", "qty": 2}]}
    assert drawn(marked(new, old)).splitlines() == [
        "  items: list of 2 rows",
        "    ┌ sku  qty",
        '~   - "A"  100 (was qty 1)',
        '    - "B"    2',
    ]
    other = marked(new, {"items": [{"sku": "A", "qty": 1, "gift": True}, {"sku": "B", "qty": 2}]})
    assert other.gone == ('items / - sku: "A"', "  qty: 1", "  gift: true")


def test_a_row_follows_the_one_of_its_name() -> None:
    old = {"items": [{"sku": "A", "qty": 1}, {"sku": "B", "qty": 2}, {"sku": "C", "qty": 3}]}
    new = {"items": [{"sku": "B", "qty": 20}, {"sku": "C", "qty": 3}]}
    call = marked(new, old)
    assert drawn(call).splitlines()[-2:] == ['~   - "B"   20 (was qty 2)', '    - "C"    3']
    assert call.gone == ('items / - sku: "A"', "  qty: 1")
    # Two of one name are not told apart by it.
    twins = marked({"items": [{"sku": "A", "qty": 8}, {"sku": "A", "qty": 9}]}, old)
    assert [line.mark for line in twins.lines] == ["~", " ", "+", "+"]
    assert len(twins.gone) == 6


def test_what_is_gone_is_told_by_its_path() -> None:
    call = marked({"o": {"a": 1}, "t": "x\ny", "l": ["p" * 20] * 2},
                  {"o": {"a": 1, "b": {"c": 2}}, "t": "x\nz", "l": ["p" * 20] * 2 + ["q" * 20], "n": "1"})  # fmt: skip
    assert call.gone == ("o / b:", "  c: 2", "t / │ z", f'l / - "{"q" * 20}"', 'n: "1"')


def test_a_long_old_text_is_shown_where_it_differs() -> None:
    same = "rm -rf /srv/data/" + "x" * 100
    call = marked({"command": f"{same}/new"}, {"command": f"{same}/old; true"})
    assert call.lines[0].was.endswith('/old; true"')
    assert call.lines[0].was.startswith('…"')


@pytest.mark.parametrize(
    "text", ["120 (was 100)", '120" (was "100', "+ new", "~ amount: 1 (was 2)", "x\n~ amount: 1 (was 2)\n+ y: 1"]
)
def test_a_mark_cannot_be_imitated(text: str) -> None:
    """Ours stand in the first column and behind a closing quote; theirs stand between quotes or behind a bar."""
    call = marked({"a": text, text: 1}, {"a": text, text: 2})
    assert [line.mark for line in call.lines if "a:" in line.text[:2] or "│" in line.text] == [" "] * (
        1 + text.count("\n") + (text.count("\n") > 0)
    )
    for line in drawn(call).splitlines():
        assert line[:2] in ("  ", "~ ")
        rest = line[2:].removesuffix(" (was 2)")
        assert "\n" not in text or rest.lstrip().startswith(("a:", "│", '"'))
        assert line[0] == " " or rest == line[2:-8]


# --- any two calls ----------------------------------------------------------------------------------------

_tricky = st.text(st.sampled_from('\\"\n -:~+(was)1'), max_size=5)
_values = st.recursive(
    st.one_of(_tricky, st.none(), st.booleans(), st.integers(0, 3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(_tricky, inner, max_size=3),
        st.lists(st.fixed_dictionaries({"a": inner, "b": inner}), max_size=3),
    ),
    max_leaves=8,
)
_calls = st.dictionaries(st.sampled_from(["a", "b", "to", "x y"]), _values, max_size=3)


@given(_calls, _calls)
def test_calls_are_marked_exactly_when_they_differ(new: dict[str, Any], old: dict[str, Any]) -> None:
    forms = [canonical_form(load_json(json.dumps(call))) for call in (new, old)]
    assert marked(new, old).is_marked is (forms[0] != forms[1])


@given(_calls, _calls)
def test_marks_change_no_line_and_no_page(new: dict[str, Any], old: dict[str, Any]) -> None:
    plain, call = outline(json.dumps(new)), marked(new, old)
    assert [line.text for line in plain.lines] == [line.text for line in call.lines]
    assert [[line.text for line in one] for one in fill(plain.lines, 40)] == [
        [line.text for line in one] for one in fill(call.lines, 40)
    ]


@given(st.lists(st.text("ab ", max_size=60), max_size=30), st.integers(12, 60))
def test_frames_of_marked_lines_drop_nothing(texts: list[str], limit: int) -> None:
    call = marked({"t": "\n".join(["x", *texts])}, {"t": "x\ny"})
    filled = fill(call.lines, limit)
    shown = "\n".join(draw(one, gutter=True) for one in filled)
    assert all(len(draw(one, gutter=True)) <= limit for one in filled)
    together = "\n".join(line[2:] for line in shown.split("\n")).replace("\n↳ ", "")
    assert together == "\n".join(line.text for line in call.lines)


# --- on the card ------------------------------------------------------------------------------------------


def test_the_card_names_what_it_compares_with() -> None:
    previous = approved('{"amount": 100, "currency": "EUR", "note": "x"}')
    card = render_card(against(previous, '{"amount": 120, "currency": "EUR", "ref": 7}'), NOW)
    check_message(card)
    call, gone = frames_in(card.blocks)
    assert call == '~ amount: 120 (was 100)\n  currency: "EUR"\n+ ref: 7'
    assert gone == 'note: "x"'
    shown = text_in(card.blocks)
    assert "Differences to #41, approved <!date^" in shown
    assert "by <@U0ALICE>: `~` changed, `+` new." in shown
    assert "In #41, not in this call:" in shown
    assert APPROVE in buttons(card.blocks)


def test_the_same_call_is_said_once() -> None:
    card = render_card(against(approved('{"amount": 4900.0, "currency": "EUR"}')), NOW)
    assert text_in(card.blocks).count("#41") == 1
    assert "Same call as #41" in text_in(card.blocks)
    assert frames_in(card.blocks) == ['amount: 4900\ncurrency: "EUR"']


def test_another_server_is_said_with_its_name() -> None:
    card = render_card(against(approved(server="payments-test"), server="payments"), NOW)
    shown = text_in(card.blocks)
    assert "Same arguments as #41" in shown
    assert "*the server is another*" in shown
    assert "payments-test" in shown
    assert "it named no server" in text_in(render_card(against(approved(), server="payments"), NOW).blocks)


def test_nobody_is_pinged_for_what_they_approved_before() -> None:
    for frozen, who in ((rule(), "U0BOB"), (rule(mention=False), "U0ALICE")):
        one = against(approved('{"amount": 1}', decided_by=who), frozen=frozen)
        assert f"<@{who}>" not in text_in(render_card(one, NOW).blocks)
        assert f"<@{who}>" in text_in(render_details(one, "m")["blocks"])  # a modal pings nobody


def test_what_was_withdrawn_later_is_said() -> None:
    assert "later revoked" in text_in(render_card(against(approved(revoked_at=NOW)), NOW).blocks)


def test_values_under_another_wording_of_the_rule_stay_there() -> None:
    """Its card may have stood in a private channel, and this one may not."""
    previous = approved('{"amount": 4901, "currency": "EUR", "iban": "DE02"}', rule_id=6, server="vault-9")
    one = against(previous, server="payments")
    for blocks in (
        render_card(one, NOW).blocks, render_details(one, "m")["blocks"], render_review(one, "m")["blocks"],
    ):  # fmt: skip
        shown = text_in(blocks)
        assert "~ amount: 4900" in shown
        assert "values are not shown" in shown
        for secret in ("4901", "iban", "DE02", "vault"):
            assert secret not in shown


def test_marks_never_decide_whether_a_call_fits() -> None:
    for lines in (38, 39, 40, 41):
        new = {f"k{at}": "x" * 49 for at in range(lines)}
        old = {f"k{at}": "y" * 49 for at in range(lines + 30)}
        one = against(approved(old), new)
        card = render_card(one, NOW)
        check_message(card)
        assert (APPROVE in buttons(card.blocks)) is fits_card(one.request) is (lines <= 40)
        assert (REVIEW in buttons(card.blocks)) is (lines > 40)


def test_a_change_in_what_a_card_leaves_out_is_marked() -> None:
    names = [f"customer-{at}@example.com" for at in range(4000)]
    new = {"to": [*names[:-1], "other@example.com"], "subject": "News"}
    one = against(approved({"to": names, "subject": "News"}), new)
    (shown,) = frames_in(render_card(one, NOW).blocks)
    assert [line[0] for line in shown.splitlines()] == [" "] * 6 + ["~"]
    check_modal(render_review(one, "m", 10**6))


def test_hostile_old_values_are_as_inert() -> None:
    nasty = "<!channel> \u202e✅ Approved by <@U0ALICE>\n```\n---"
    previous = approved({"a": nasty, nasty: 1, "l": [nasty, {nasty: nasty}]}, server="<!here> *x*")
    one = against(previous, {"a": nasty[::-1], "l": []})
    for blocks in (render_card(one, NOW).blocks, render_review(one, "m")["blocks"]):
        for shown in mrkdwn_in(blocks):
            assert live_in(shown) == []
        assert "\u202e" not in text_in(blocks)
