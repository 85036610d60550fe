"""What was decided before, on cards: near repeats, changed calls, votes cast ahead, remembered denials."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.drawings import Drawing
from bot.standing import Granted
from handlers.slack import changes, views
from handlers.slack.cards import DETAILS, render_card
from handlers.slack.override_buttons import MORE, REVERSE
from handlers.slack.remembered import REOPEN, is_changed, near_repeat, render_tries
from store.tables import DeciderKind, StandingVote, Status
from tests.unit.slack_calls import LINES, corpus, poisoned
from tests.unit.slack_support import (
    APPROVED,
    NOW,
    STATES,
    buttons,
    check_message,
    check_modal,
    drawing,
    frames_in,
    live_in,
    mrkdwn_in,
    rule,
    text_in,
    unseen_in,
)

DENIED: dict[str, Any] = STATES["denied"]
DAY = timedelta(hours=24)


def standing(**fields: Any) -> StandingVote:
    given: dict[str, Any] = {
        "id": 3, "request_number": 41, "instance_id": "i", "canonical_version": 1, "digest": b"", "user_id": "U0ALICE",
        "team_id": "T0HOME", "surface": "modal", "granted_at": NOW, "expires_at": NOW + DAY,
    }  # fmt: skip
    return StandingVote(**(given | fields))


def denied_with(arguments: str, call: str = '{"amount": 4900, "to": "Zoë"}', **fields: Any) -> Drawing:
    """A request that was denied by somebody who approved a changed call in its place."""
    note = f"Approved with changes. Call issue_refund again with exactly these arguments:\n{arguments}\nReason: so."
    one = drawing(call, **DENIED | {"note": note} | fields)
    return replace(one, granted=(standing(note="so."),), remembered_until=NOW + DAY)


# --- near repeats -----------------------------------------------------------------------------------------


def near(new: Any, old: Any, **fields: Any) -> Drawing:
    return replace(drawing(new), near_denial=drawing(old, **DENIED | {"number": 41} | fields).request)


def test_a_near_repeat_tells_the_denial_and_what_differs() -> None:
    one = near({"amount": 4899, "to": "Zoë"}, {"amount": 4900, "to": "Zoë"})
    card = render_card(one, NOW)
    check_message(card)
    shown = text_in(card.blocks)
    assert "Like #41, denied by <@U0ALICE> <!date^" in shown
    assert "~ amount: 4899 (was 4900)" in frames_in(card.blocks)
    assert frames_in(card.blocks)[0] == 'amount: 4899\nto: "Zoë"'  # the call itself stands as ever
    assert "41" not in card.text


@pytest.mark.parametrize(
    ("new", "old", "line"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, "+ b: 2"),
        ({"a": 1}, {"a": 1, "b": 2}, "- b: 2"),
        ({"a": 1, "b": ["x", "z"]}, {"a": 1, "b": ["x", "y"]}, '~ b: ["x", "z"] (was ["x", "y"])'),
    ],
)
def test_what_is_new_gone_or_changed_is_marked(new: Any, old: Any, line: str) -> None:
    assert frames_in(near_repeat(near(new, old))) == [line]


def test_under_another_wording_of_the_rule_no_old_value_is_told() -> None:
    blocks = near_repeat(near({"a": "new", "b": 1}, {"a": "secret", "b": 1, "c": 5}, rule_id=6))
    assert frames_in(blocks) == ['~ a: "new"']
    assert "secret" not in text_in(blocks)
    assert "another wording" in text_in(blocks)


def test_nobody_is_pinged_for_having_denied() -> None:
    one = near({"amount": 1}, {"amount": 2}, decided_by="U0DAN")
    assert "U0DAN" not in text_in(render_card(one, NOW).blocks)
    assert "<@U0DAN>" in text_in(views.render_review(one, "m")["blocks"])


def test_a_decided_card_no_longer_compares() -> None:
    one = near({"amount": 1}, {"amount": 2})
    assert near_repeat(one)
    decided = replace(drawing({"amount": 1}, **APPROVED), near_denial=one.near_denial)
    assert "Like #41" not in text_in(render_card(decided, NOW).blocks)


def test_a_difference_too_long_for_a_card_says_how_much_is_missing() -> None:
    blocks = near_repeat(near({"a": [f"new {at}" for at in range(60)]}, {"a": []}))
    assert "more lines of it: see Details." in text_in(blocks)
    check_message(render_card(near({"a": ["x" * 300] * 30}, {"a": 1}), NOW))


# --- approved with changes --------------------------------------------------------------------------------


def test_a_card_denied_with_changes_shows_them_against_the_call() -> None:
    card = render_card(denied_with('{"amount":49.00,"to":"Zoë"}'), NOW)
    check_message(card)
    shown = text_in(card.blocks)
    assert "Denied: approved with changes" in card.text
    assert "⛔ *Denied: approved with changes* by <@U0ALICE>" in shown
    assert "~ amount: 49.00 (was 4900)" in frames_in(card.blocks)
    assert "<@U0ALICE>'s approval waits for exactly that call, until <!date^" in shown
    assert '{"amount"' not in shown  # the note as the agent gets it is in the details
    assert "so." in shown
    assert '{"amount":49.00' in text_in(views.render_details(denied_with('{"amount":49.00}'), "m")["blocks"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"taken_at": NOW, "taken_by": 43}, "<@U0ALICE>'s approval was counted on #43"),
        ({"lifted_at": NOW}, "it was lifted, or a newer vote took its place"),
    ],
)
def test_what_became_of_the_vote_is_told(fields: dict[str, Any], words: str) -> None:
    one = replace(denied_with('{"amount":1}'), granted=(standing(**fields),))
    assert words in text_in(render_card(one, NOW).blocks)


def test_details_tell_all_of_it_too() -> None:
    one = denied_with('{"amount":49.00,"to":"Zoë"}')
    one = replace(one, near_denial=drawing({"amount": 1, "to": "Zoë"}, **DENIED | {"number": 41}).request)
    view = views.render_details(replace(one, taken=(standing(user_id="U0DAN"),)), "m")
    check_modal(view)
    shown = text_in(view["blocks"])
    assert "~ amount: 49.00 (was 4900)" in shown
    assert "~ amount: 4900 (was 1)" in shown
    assert "<@U0DAN> approved exactly this call ahead" in shown


def test_what_is_hidden_does_not_count_as_changed() -> None:
    mark = "\udfffredacted · hmac:00112233]"
    one = denied_with('{"card":"(as you sent it)","amount":1}', f'{{"card": "{mark}", "amount": 2}}')
    assert frames_in(render_card(one, NOW).blocks)[-1] == "~ amount: 1 (was 2)"


@pytest.mark.parametrize(
    "note",
    [
        None, "Too risky: Approved with changes. Call x:\n{}", "Approved with changes. Call x:", "Other\n{}",
        "Approved with changes. Call x:\nnot json", "Approved with changes. Call x:\n[1]",
    ],
)  # fmt: skip
def test_other_notes_are_drawn_as_they_are(note: str | None) -> None:
    one = drawing(**DENIED | {"note": note})
    assert not is_changed(one.request)
    assert "Denied: approved" not in text_in(render_card(one, NOW).blocks)


def test_a_remembered_denial_of_such_a_call_says_as_which_it_was_denied() -> None:
    note = "Approved with changes. Call x:\n{}"
    one = drawing(**DENIED | {"note": note, "decided_by_kind": DeciderKind.MEMORY, "decided_by": None, "repeats": 41})
    shown = text_in(render_card(one, NOW).blocks)
    assert "*Denied* without asking, as #41 was before" in shown
    assert "Denied: approved" not in shown


def test_a_vote_cast_ahead_says_so_on_the_card() -> None:
    one = replace(drawing({"amount": 49}, frozen=rule(quorum=2)), taken=(standing(),))
    card = render_card(one, NOW)
    check_message(card)
    assert "<@U0ALICE> approved exactly this call ahead, <!date^" in text_in(card.blocks)
    stranger = replace(one, taken=(standing(user_id="U0DAN"),))
    assert "A reviewer approved exactly this call ahead" in text_in(render_card(stranger, NOW).blocks)


# --- remembered denials -----------------------------------------------------------------------------------


def test_a_denial_that_is_remembered_can_be_reopened_from_its_card() -> None:
    one = replace(drawing(**DENIED), remembered_until=NOW + DAY)
    card = render_card(one, NOW)
    check_message(card)
    assert list(buttons(card.blocks)) == [DETAILS, REVERSE, MORE, REOPEN]
    assert "The same call is denied again without asking, until <!date^" in text_in(card.blocks)
    forgotten = render_card(drawing(**DENIED), NOW)
    assert list(buttons(forgotten.blocks)) == [DETAILS, REVERSE, MORE]
    reopened = replace(drawing(**DENIED | {"reopened_at": NOW, "reopened_by": "U0BOB"}), remembered_until=None)
    shown = render_card(reopened, NOW)
    check_message(shown)
    assert list(buttons(shown.blocks)) == [DETAILS, REVERSE, MORE]
    assert "*Reopened* by <@U0BOB>, <!date^" in text_in(shown.blocks)


@pytest.mark.parametrize(("tries", "words"), [(1, "*Asked again once*"), (3, "*Asked again 3 times*")])
def test_the_count_of_tries_pings_nobody_and_has_nothing_to_press(tries: int, words: str) -> None:
    one = replace(drawing(**DENIED), tries=tries, last_try_at=NOW)
    message = render_tries(one)
    check_message(message)
    assert words in text_in(message.blocks)
    assert buttons(message.blocks) == {}
    assert "<@" not in text_in(message.blocks) + message.text
    assert "4900" not in text_in(message.blocks) + message.text
    reopened = replace(one, request=one.request.model_copy(update={"reopened_at": NOW, "reopened_by": "U0BOB"}))
    assert "Reopened <!date^" in text_in(render_tries(reopened).blocks)


# --- harm -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", corpus()[:LINES:3])
def test_nothing_of_it_is_live_or_hidden(text: str) -> None:
    for one in poisoned(text, "denied", "pending"):
        request = one.request
        other = drawing(
            {"plain": text[::-1], text[:200]: [text]}, **DENIED | {"number": 41, "tool": request.tool}
        ).request
        note = f"Approved with changes. Call it:\n{other.arguments}\n{text}"
        is_denied = request.status is Status.DENIED
        drawn = replace(
            one,
            near_denial=other,
            request=request.model_copy(update={"note": note}) if is_denied else request,
            granted=(standing(note=text),), taken=(standing(),), tries=2, last_try_at=NOW, remembered_until=NOW,
        )  # fmt: skip
        card, tries = render_card(drawn, NOW), render_tries(drawn)
        check_message(card)
        check_message(tries)
        for message in (card, tries):
            assert not [live for shown in (message.text, *mrkdwn_in(message.blocks)) for live in live_in(shown)]
            assert not unseen_in(text_in(message.blocks) + message.text)
        if is_denied:
            assert is_changed(drawn.request)
            check_modal(changes.render_changed(drawn, Granted(drawn.request, standing(), "{}", 2)))
