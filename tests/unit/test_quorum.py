"""Votes, seats and terms on every surface: who approved, who is awaited, what approving takes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.config_rules import Seat
from bot.config_tables import ReviewerGroup
from bot.drawings import Drawing
from bot.policy import Parties
from bot.queries import Seen
from handlers.slack import answers, approve_form, home, views
from handlers.slack.cards import render_card
from handlers.slack.quorum import joined, score, vote_lines
from store.tables import FullView, StepUp, VoteKind
from tests.unit.report_samples import waiting
from tests.unit.slack_calls import corpus
from tests.unit.slack_support import (
    APPROVED,
    NOW,
    buttons,
    check_message,
    check_modal,
    drawing,
    live_in,
    mrkdwn_in,
    rule,
    text_in,
    unseen_in,
    vote,
)

FINANCE = ReviewerGroup(name="finance", users=("U0ALICE", "U0BOB"))
SECURITY = ReviewerGroup(name="security", users=("U0BOB", "U0CAROL"))
TWO = rule(quorum=2)
SEATS = rule(reviewers=(), need=(Seat(reviewers=(FINANCE,)), Seat(reviewers=(SECURITY,))))
ALL_TERMS = rule(
    quorum=2, domain="financial", reason="required", confirm=True, step_up=StepUp.TOTP, owner_may_decide=True,
    redact=("card_number", "*.password"), when='arguments.amount <= 5000 && arguments.note != "<!channel>"',
    arguments_schema={"type": "object"}, standing=timedelta(hours=2),
)  # fmt: skip


def card(one: Drawing) -> str:
    message = render_card(one, NOW)
    check_message(message)
    return text_in(message.blocks)


def places(one: Drawing) -> list[tuple[str, int]]:
    """Where the buttons of the card stand, in lines of text above them."""
    above, found = 0, []
    for block in render_card(one, NOW).blocks:
        if block["type"] == "actions":
            found += [(element["action_id"], above) for element in block["elements"]]
        else:
            above += text_in([block]).count("\n") + 1
    return found


# --- votes on the card ---


def test_each_vote_shows_and_the_places_left() -> None:
    shown = card(drawing(frozen=TWO, votes=(vote(),)))
    assert "*1 of 2:* <@U0ALICE>, <!date^1795338000^{ago}|22 Nov 2026 09:00 UTC>\n*2 of 2:* nobody yet" in shown


def test_one_approval_that_is_enough_has_no_lines() -> None:
    assert "1 of 1" not in card(drawing())


def test_no_vote_moves_a_button() -> None:
    before = places(drawing(frozen=TWO))
    after = places(drawing(frozen=TWO, votes=(vote(),)))
    assert after[: len(before)] == before
    assert [name for name, _ in after[len(before) :]] == ["withdraw"]


@pytest.mark.parametrize(
    ("votes", "is_there"),
    [((), False), ((vote(),), True), ((vote(VoteKind.DENY),), False), ((vote(full_view=None),), True)],
)
def test_withdraw_is_there_while_there_is_an_approval(votes: tuple[Any, ...], is_there: bool) -> None:
    assert ("withdraw" in buttons(render_card(drawing(frozen=TWO, votes=votes), NOW).blocks)) is is_there
    over = render_card(drawing(frozen=TWO, votes=votes), NOW + timedelta(hours=2)).blocks
    assert "withdraw" not in buttons(over)


def test_votes_that_cannot_count_are_not_counted() -> None:
    lacking = drawing(frozen=TWO, votes=(vote(full_view=None), vote(user="U0BOB")))
    assert score(lacking) == "1 of 2"
    barred = replace(drawing(frozen=TWO, votes=(vote(),)), parties=Parties(person="U0ALICE"))
    assert score(barred) == "0 of 2"


def test_seats_count_by_who_can_sit_where() -> None:
    two_of_finance = drawing(frozen=SEATS, votes=(vote(), vote(user="U0DORA")))
    assert score(two_of_finance) == "1 of 2"
    both = drawing(frozen=SEATS, votes=(vote(user="U0BOB"), vote()))
    assert score(both) == "2 of 2"
    assert "not enough" in vote_lines(both)[-1]  # it is still pending, so somebody does not count
    assert "Also <@U0DORA>" in vote_lines(two_of_finance)[-1]


def test_seats_are_asked_for_one_by_one() -> None:
    shown = card(replace(drawing(frozen=SEATS), parties=Parties(owners=frozenset({"U0ALICE"}))))
    assert "Needs 1 of finance (<@U0BOB>) and 1 of security (<@U0BOB> <@U0CAROL>)" in shown
    quiet = SEATS.model_copy(update={"mention": False})
    assert "Needs 1 of finance and 1 of security; who that is: Details." in card(drawing(frozen=quiet))


def test_twenty_people_in_twenty_seats_still_fit() -> None:
    groups = [ReviewerGroup(name=f"g{at}", users=tuple(f"U{at:03}{n:03}" for n in range(40))) for at in range(20)]
    many = rule(reviewers=(), need=tuple(Seat(reviewers=(group,)) for group in groups))
    given = tuple(vote(user=f"U{at:03}000", id=at + 1) for at in range(19))
    one = drawing(frozen=many, votes=given)
    assert "*19 of 20:*" in card(one)
    check_modal(views.render_details(one, "m"))
    check_modal(approve_form.render_approve(one, "m"))


def test_a_forced_vote_s_reason_that_is_cut_says_so() -> None:
    forced = vote(user="U0ADMIN", note="x" * 1000, is_forced=True)
    card = render_card(drawing(frozen=TWO, votes=(forced,)), NOW)
    check_message(card)
    assert "700 more characters of it: see Details." in text_in(card.blocks)


def test_the_decided_card_names_everybody_and_their_reasons() -> None:
    votes = (vote(note="I saw the receipt"), vote(user="U0BOB", note="Agreed"))
    one = drawing(frozen=TWO, votes=votes, **(APPROVED | {"decided_by": "U0BOB", "note": "Agreed"}))
    shown = card(one)
    assert "by <@U0ALICE> and <@U0BOB>" in shown
    assert "I saw the receipt" in shown
    assert shown.count("Agreed") == 1


@pytest.mark.parametrize("note", corpus()[::9])
def test_hostile_reasons_are_inert_and_visible(note: str) -> None:
    one = drawing(
        frozen=TWO, votes=(vote(note=note), vote(user="U0BOB", note=note)),
        **(APPROVED | {"decided_by": "U0BOB", "note": note}),
    )  # fmt: skip
    blocks = render_card(one, NOW).blocks
    check_message(render_card(one, NOW))
    details = views.render_details(one, "m")
    check_modal(details)
    for shown in (blocks, details["blocks"]):
        assert [live for text in mrkdwn_in(shown) for live in live_in(text)] == []
        assert unseen_in(text_in(shown)) == []


# --- terms ---


def test_a_card_says_beforehand_what_approving_takes() -> None:
    shown = card(drawing(frozen=ALL_TERMS))
    assert "Financial · approving takes 2 people, a reason, a confirmation and a passcode" in shown
    assert "Owners of this agent may decide here (the rule says so)." in shown
    assert "Approving takes 2 people" in card(drawing(frozen=TWO))
    assert "pproving takes" not in card(drawing())
    assert "Owners" not in card(drawing())


def test_a_card_names_the_person_an_instance_is_for() -> None:
    one = drawing()
    for_bob = replace(one, instance=one.instance.model_copy(update={"person": "U0BOB"}))
    assert "instance prod for <@U0BOB>" in card(for_bob)
    assert "prod for <@U0BOB>" in text_in(views.render_details(for_bob, "m")["blocks"])


def test_details_hold_the_terms_in_full() -> None:
    view = views.render_details(drawing(frozen=ALL_TERMS), "m")
    check_modal(view)
    shown = text_in(view["blocks"])
    for words in (
        "*Field* financial", "*Needed* 2 of finance", "reason required", "asked once more", "six-digit passcode",
        "may decide (the rule says so)", "card_number", "2h", "schema", "arguments.amount <= 5000",
    ):  # fmt: skip
        assert words in shown
    assert [live for text in mrkdwn_in(view["blocks"]) for live in live_in(text)] == []


def test_details_tell_what_each_vote_was_given_with() -> None:
    given = vote(note="I saw it", step_up=StepUp.TOTP, full_view=FullView.PAGES, surface="modal")
    taken_back = vote(user="U0BOB", id=2, withdrawn_at=NOW)
    lacking = vote(user="U0OWNER", id=3)
    one = replace(drawing(frozen=rule(step_up=StepUp.TOTP), votes=(given, lacking)), withdrawn=(taken_back,))
    shown = text_in(views.render_details(one, "m")["blocks"])
    assert "in a form; saw the whole call page by page; with a passcode" in shown
    assert "I saw it" in shown
    assert "*withdrawn*" in shown
    assert "*does not count* (step_up_missing)" in shown


# --- lists, refusals ---


def test_lists_say_how_far_it_is() -> None:
    seen = Seen(drawing(frozen=TWO, votes=(vote(),)), (), True)
    assert "1 of 2 approved" in text_in(waiting([seen]).blocks)
    assert "*1 of 2:* <@U0ALICE>" in text_in(answers.render_show(seen).blocks)
    assert "*1 of 2* approved" in text_in(home.render_home([seen], NOW)["blocks"])


def test_home_sets_apart_what_its_person_has_approved() -> None:
    seen = Seen(drawing(frozen=TWO, votes=(vote(),)), (), True)
    view = home.render_home([seen], NOW, "U0ALICE")
    check_modal(view)
    assert "Nothing waits for you." in text_in(view["blocks"])
    assert list(buttons(view["blocks"])) == ["details", "withdraw"]
    assert list(buttons(home.render_home([seen], NOW, "U0BOB")["blocks"])) == ["review", "details"]


def test_home_keeps_to_slack_s_limit_with_both_lists_full() -> None:
    def one(number: int, *votes: Any) -> Seen:
        return Seen(drawing(frozen=TWO, votes=votes, number=number), (), True)

    view = home.render_home([*map(one, range(1, 60)), *(one(at, vote()) for at in range(60, 120))], NOW, "U0ALICE")
    check_modal(view)
    assert "more that you approved" in text_in(view["blocks"])


def test_a_refusal_tells_who_is_awaited() -> None:
    shown = text_in(
        views.render_refusal("You have approved this already.", drawing(frozen=SEATS, votes=(vote(),)))["blocks"]
    )
    assert "Needs 1 of finance and 1 of security." in shown
    assert "*2 of 2:* nobody yet" in shown


@pytest.mark.parametrize(
    ("pieces", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_joined_as_a_sentence_joins_them(pieces: list[str], text: str) -> None:
    assert joined(pieces) == text


# --- the form ---


def inputs(view: dict[str, Any]) -> dict[str, bool]:
    return {block["block_id"]: block.get("optional", False) for block in view["blocks"] if block["type"] == "input"}


@pytest.mark.parametrize(
    ("terms", "fields"),
    [
        ({"confirm": True}, {}),
        ({"reason": "optional"}, {"approve_reason": True}),
        ({"reason": "required"}, {"approve_reason": False}),
        ({"step_up": StepUp.TOTP}, {"passcode": False}),
        ({"reason": "required", "step_up": StepUp.TOTP}, {"approve_reason": False, "passcode": False}),
    ],
)
def test_the_form_asks_for_what_the_rule_does(terms: dict[str, Any], fields: dict[str, bool]) -> None:
    view = approve_form.render_approve(drawing(frozen=rule(**terms)), "m")
    check_modal(view)
    assert inputs(view) == fields
    assert "amount: 4900" in text_in(view["blocks"])
    assert view["submit"]["text"] == "Approve"


def test_the_form_of_a_long_call_says_how_it_was_reviewed() -> None:
    long = drawing({f"field_{at}": "x" * 80 for at in range(100)}, frozen=rule(confirm=True))
    view = approve_form.render_approve(long, "m")
    check_modal(view)
    assert "page by page, in the review" in text_in(view["blocks"])


@pytest.mark.parametrize(
    ("typed", "passcode", "is_fine"),
    [("123456", "123456", True), (" 123 456 ", "123456", True), ("123-456", "123456", True), ("", None, True),
     ("12345", "12345", False), ("1234567", "1234567", False), ("١٢٣٤٥٦", "١٢٣٤٥٦", False)],
)  # fmt: skip
def test_a_passcode_is_read_as_people_type_it(typed: str, passcode: str | None, is_fine: bool) -> None:
    given = approve_form.read_approve({"passcode": {"passcode": typed}, "approve_reason": {"approve_reason": " \n"}})
    assert (given.passcode, given.reason) == (passcode, None)
    assert (approve_form.faults_in(given) == {}) is is_fine
    assert passcode is None or passcode not in repr(given)


@pytest.mark.parametrize("typed", ["\u200b", " \u2060 \u202e", "\U000e0041\U000e0042", "\u3164"])
def test_a_reason_that_nobody_can_see_is_none(typed: str) -> None:
    assert approve_form.read_approve({"approve_reason": {"approve_reason": typed}}).reason is None
    seen = approve_form.read_approve({"approve_reason": {"approve_reason": f"ok{typed}"}}).reason
    assert seen is not None
    assert seen.startswith("ok")
