"""Cards: drawn from the submitted call and the stored state, whole or saying what is missing."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from bot.config_tables import ReviewerGroup
from bot.drawings import Drawing
from bot.queries import Seen
from handlers.slack import answers
from handlers.slack.call_parts import CARD_CHARACTERS, CARD_LINES, fits_card
from handlers.slack.cards import APPROVE, CHANGE, DENY, DETAILS, REVIEW, card_metadata, render_card
from handlers.slack.override_buttons import (
    FORCE_APPROVE,
    FORCE_DENY,
    MORE,
    REPORT,
    REVERSE,
    REVOKE,
    WHY,
    choice_in,
)
from tests.unit.report_samples import waiting
from tests.unit.slack_calls import drawings, some
from tests.unit.slack_support import (
    APPROVED,
    NOW,
    STATES,
    buttons,
    check_message,
    drawing,
    frames_in,
    live_in,
    mrkdwn_in,
    rule,
    text_in,
    vote,
)


def ids(one: Drawing) -> list[str]:
    return [block["block_id"] for block in render_card(one, NOW).blocks]


def test_asks_with_the_call_before_the_claim() -> None:
    card = render_card(drawing('{"amount": 1.10}', server="payments", agent_reasoning="It is only 1 EUR."), NOW)
    shown = text_in(card.blocks)
    assert shown.index("issue_refund") < shown.index("payments") < shown.index("amount: 1.10")
    assert shown.index("amount: 1.10") < shown.index("The agent's claim") < shown.index("It is only 1 EUR.")
    assert "refund-bot" in shown
    assert "instance prod" in shown
    assert "rule refunds" in shown
    assert "#42" in shown
    assert "<!date^1795341600^{date_short_pretty} at {time}|22 Nov 2026 10:00 UTC>" in shown
    assert list(buttons(card.blocks)) == [APPROVE, DENY, DETAILS, CHANGE, MORE]
    pressed = buttons(card.blocks)
    assert {pressed[name]["value"] for name in pressed if name != MORE} == {"42"}
    choices = [choice_in(option["value"]) for option in pressed[MORE]["options"]]
    assert choices == [(WHY, "42"), (FORCE_APPROVE, "42"), (FORCE_DENY, "42")]
    assert buttons(card.blocks)[APPROVE]["style"] == "primary"
    assert buttons(card.blocks)[DENY]["style"] == "danger"


@pytest.mark.parametrize("state", sorted(STATES))
def test_the_lock_screen_tells_no_argument_and_no_word_of_the_agents(state: str) -> None:
    """Agent, tool, number, and the deadline while it counts; whatever else there is, stays behind the lock."""
    canary = "hunter2"
    words = {"agent_reasoning": canary, "context": f'{{"a": "{canary}"}}', "server": canary}
    ended = {"note": canary, "outcome_note": canary} if state != "pending" else {}
    call = {"password": canary, canary: "x"}
    one = drawing(call, **(words | STATES[state] | ended))
    before = drawing(call, **(words | STATES["succeeded"] | {"number": 41, "outcome_note": canary})).request
    one = replace(one, previous=before, votes=(vote(note=canary),))
    seen = Seen(one, (), True)
    texts = {
        "card": render_card(one, NOW).text,
        "late card": render_card(one, NOW + timedelta(days=1)).text,
        "show": answers.render_show(seen).text,
        "pending": waiting([seen]).text,
        "refusal": answers.render_refusal_text("No.", one).text,
        "notice": answers.render_owner_notice(one, "overdue").text,
    }
    for where, text in texts.items():
        assert canary not in text, where
    for part in ("refund-bot", "issue_refund", "#42"):
        assert part in texts["card"]
    assert ("decide by 22 Nov 2026 10:00 UTC" in texts["card"]) is (state == "pending")


def test_the_lock_screen_is_one_plain_line() -> None:
    assert render_card(drawing(), NOW).text == (
        "refund-bot wants to run issue_refund · #42 · decide by 22 Nov 2026 10:00 UTC"
    )


# --- who is asked -----------------------------------------------------------------------------------------


def test_mentions_reviewers_but_not_owners_while_it_waits() -> None:
    waiting = text_in(render_card(drawing(), NOW).blocks)
    assert "May decide: <@U0ALICE> <!subteam^S0FINANCE>" in waiting
    assert "U0OWNER" not in waiting
    assert "<!subteam" not in text_in(render_card(drawing(**APPROVED), NOW).blocks)


def test_pings_nobody_where_the_rule_says_so() -> None:
    shown = text_in(render_card(drawing(frozen=rule(mention=False)), NOW).blocks)
    assert "<@" not in shown
    assert "<!subteam" not in shown
    assert "May decide: finance" in shown


def test_counts_the_reviewers_it_does_not_name() -> None:
    crowd = ReviewerGroup(name="crowd", users=tuple(f"U{at:09}" for at in range(300)), usergroups=())
    card = render_card(drawing(frozen=rule(reviewers=(crowd,))), NOW)
    assert "and 280 more, see Details" in text_in(card.blocks)
    check_message(card)


def test_says_so_when_nobody_may_decide() -> None:
    owners = ReviewerGroup(name="owners", users=("U0OWNER",), usergroups=())
    assert "May decide: nobody" in text_in(render_card(drawing(frozen=rule(reviewers=(owners,))), NOW).blocks)


# --- what fits --------------------------------------------------------------------------------------------


def _padded(characters: int) -> Drawing:
    """A call whose outline has exactly so many characters, in lines of which none is too long."""
    line = 'k000: "' + "x" * 91 + '"\n'
    whole, rest = divmod(characters, len(line))
    call = {f"k{at:03}": "x" * 91 for at in range(whole)}
    return drawing(call | ({"r": "x" * (rest - 6)} if rest else {}))


@pytest.mark.parametrize("characters", [CARD_CHARACTERS - 1, CARD_CHARACTERS])
def test_approves_on_the_card_what_it_shows_whole(characters: int) -> None:
    one = _padded(characters)
    card = render_card(one, NOW)
    assert APPROVE in buttons(card.blocks)
    assert REVIEW not in buttons(card.blocks)
    assert len(frames_in(card.blocks)[0]) == characters - 1
    assert "not shown" not in text_in(card.blocks)


@pytest.mark.parametrize(
    "one",
    [
        _padded(CARD_CHARACTERS + 1),
        drawing({f"k{at}": at for at in range(CARD_LINES + 1)}),
        drawing({"sql": "x" * 20_000}),
        drawing({"to": [f"c{at}@example.com" for at in range(4000)], "subject": "Price change"}),
        drawing({"a": "\U000e0041" * 300}),
        drawing({}, tool="\u3164" * 200 + "x"),
    ],
)
def test_reviews_what_does_not_fit_and_says_how_much_is_missing(one: Drawing) -> None:
    card = render_card(one, NOW)
    check_message(card)
    assert list(buttons(card.blocks)) == [REVIEW, DENY, DETAILS, CHANGE, MORE]
    shown = text_in(card.blocks)
    assert "not the whole call" in shown
    assert "more" in shown
    assert not fits_card(one.request)
    assert not fits_card(one.request)  # remembered or not


def test_shows_every_argument_of_a_long_call_before_the_rest_of_the_longest() -> None:
    mail = drawing({"to": [f"c{at}@example.com" for at in range(4000)], "subject": "Price change", "dry_run": False})
    card = render_card(mail, NOW)
    (shown,) = frames_in(card.blocks)
    assert shown.splitlines()[:4] == [
        'subject: "Price change"', "dry_run: false", "to: list of 4,000", '  - "c0@example.com"',
    ]  # fmt: skip
    assert shown.splitlines()[-1].startswith("… ")
    assert "Short arguments stand first; the order sent: Details." in text_in(card.blocks)


def test_counts_exactly_what_it_leaves_out_of_one_long_argument() -> None:
    card = render_card(drawing({"sql": "x" * 20_000, "a": 1}), NOW)
    (shown,) = frames_in(card.blocks)
    first, head, left_out = shown.splitlines()
    assert first == "a: 1"
    assert left_out == f"… {20_000 + len('sql: ') + 3 - len(head):,} more characters not shown here"
    assert f"{len(head) + len('a: 1') + 1:,} of 20,013 characters are shown here" in text_in(card.blocks)


def test_a_long_claim_says_what_is_missing_and_leaves_the_call_approvable() -> None:
    card = render_card(drawing(agent_reasoning="because " * 500, context='{"ticket": 7}'), NOW)
    shown = text_in(card.blocks)
    assert APPROVE in buttons(card.blocks)
    assert "3,300 more characters of the claim: see Details" in shown
    assert "The agent also sent context (13 characters): see Details." in shown
    assert len(frames_in(card.blocks)[1]) == 700


def test_tells_empty_and_missing_apart() -> None:
    assert "no arguments" in text_in(render_card(drawing({}), NOW).blocks)
    assert "(empty)" in text_in(render_card(drawing(agent_reasoning=""), NOW).blocks)
    assert "claim" not in text_in(render_card(drawing(), NOW).blocks)


# --- afterwards -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("denied", ["⛔ Denied", "*Denied* by <@U0ALICE>", "Wrong amount or target: 49, not 4900"]),
        ("denied_by_rule", ["⛔ Denied", "because no rule allows it", "No rule matches this call"]),
        ("expired", ["⌛ Expired", "nobody decided in time"]),
        ("cancelled", ["🚫 Cancelled", "by the agent"]),
        ("cancelled_by_operator", ["🚫 Cancelled", "access was revoked"]),
        ("cancelled_by_configuration", ["🚫 Cancelled", "because the configuration no longer allows it"]),
        ("open", ["✅ Approved", "*Approved* by <@U0ALICE>", "Not used yet", "22 Nov 2026 09:05 UTC"]),
        ("revoked", ["🔙 Revoked", "before it was used"]),
        ("revoked_by_configuration", ["🔙 Revoked", "before it was used. The configuration no longer allows it."]),
        ("lapsed", ["⌛ Approved, not used", "the approval is void"]),
        ("consumed", ["✅ Approved, in use", "took the approval"]),
        ("overdue", ["🚨 Approved, never finished", "No outcome came within 15m"]),
        ("succeeded", ["✅ Approved, succeeded", "says it *succeeded*", "The agent's own words", "refund re_1"]),
        ("failed", ["❌ Approved, failed", "says it *failed*", "card expired"]),
    ],
)
def test_tells_what_became_of_it(state: str, words: list[str]) -> None:
    card = render_card(drawing(**STATES[state]), NOW)
    shown = text_in(card.blocks)
    for word in words:
        assert word in shown
    assert list(buttons(card.blocks)) == [DETAILS, *CORRECTED_BY.get(state, []), MORE]
    assert [option["value"] for option in buttons(card.blocks)[MORE]["options"]] == [f"{WHY}:42"]
    check_message(card)


CORRECTED_BY = {"denied": [REVERSE], "expired": [REVERSE], "open": [REVOKE]} | {
    state: [REPORT] for state in ("consumed", "overdue", "succeeded", "failed")
}


def test_every_state_is_tested_here() -> None:
    from bot.lifecycle import State, state_of

    assert {state_of(drawing(**fields).request) for fields in STATES.values()} == set(State)


def test_buttons_and_blocks_keep_their_places() -> None:
    before = ids(drawing(agent_reasoning="why"))
    assert before == ["head", "arguments", "claim_label", "claim", "facts", "deciders", "decide", "details"]
    after = ids(drawing(agent_reasoning="why", **APPROVED))
    assert after == ["head", "arguments", "claim_label", "claim", "facts", "decision", "decision_after", "details"]


def test_past_the_deadline_nothing_can_be_pressed_that_decides() -> None:
    late = render_card(drawing(), NOW + timedelta(hours=1))
    assert list(buttons(late.blocks)) == [DETAILS, MORE]
    assert len(buttons(late.blocks)[MORE]["options"]) == 1
    assert "The time to decide is over" in text_in(late.blocks)
    assert APPROVE in buttons(render_card(drawing(), NOW + timedelta(minutes=59)).blocks)


def test_a_long_note_says_what_is_missing() -> None:
    card = render_card(drawing(**(STATES["failed"] | {"outcome_note": "no " * 2000, "note": "y " * 2000})), NOW)
    assert text_in(card.blocks).count("not shown here: see Details") == 2
    check_message(card)


def test_warns_of_letters_that_are_not_what_they_seem() -> None:
    shown = text_in(render_card(drawing({"to": "p\u0430ypal\u200b"}), NOW).blocks)
    assert "mixes scripts" in shown
    assert "1 invisible character" in shown


def test_metadata_finds_the_card_again() -> None:
    request = drawing().request
    assert card_metadata(request, 7) == {
        "event_type": "signoff_card",
        "event_payload": {"request_id": request.id, "card_id": 7},
    }


# --- any call ---------------------------------------------------------------------------------------------


@some(100)
@given(drawings())
def test_slack_takes_the_card_of_any_call(one: Drawing) -> None:
    card = render_card(one, NOW)
    check_message(card)
    pressed = buttons(card.blocks)
    assert (APPROVE in pressed) <= fits_card(one.request)
    for text in (card.text, *mrkdwn_in(card.blocks)):
        assert live_in(text) == []


def test_the_widest_names_still_fit_a_message() -> None:
    wide = "\U0001d159" * 255
    one = drawing(
        {wide + str(at): "\U000e0041" * 500 for at in range(50)},
        tool=wide, server=wide, agent_reasoning="\U000e0041" * 5000, context="{}",
        **(STATES["failed"] | {"note": "\U000e0041" * 5000, "outcome_note": "\U000e0041" * 5000}),
    )  # fmt: skip
    check_message(render_card(one, NOW))
