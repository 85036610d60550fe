"""Votes in Slack: several people on one card, votes taken back, and the form of what an approval may take."""

import asyncio
import json
from pathlib import Path

import pyotp
import pytest

from playground import Ack
from playground.model import View
from store import statements
from store.tables import FullView, Request, Status, StepUp, Vote
from tests.conftest import SAMPLE
from tests.scenario.slack_support import Bot, long_arguments, running_bot

MODES = ["socket", "http"]
WHY = "They showed me the receipt"


def with_terms(terms: str) -> str:
    """The sample configuration with more terms in the rule that asks people."""
    return SAMPLE.replace('reviewers = ["finance"]\n', f'reviewers = ["finance"]\n{terms}\n', 1)


TWO = with_terms("quorum = 2")
SEATS = SAMPLE.replace(
    'reviewers = ["finance"]\n',
    'need = [{ reviewers = "finance", quorum = 1 }, { reviewers = "security", quorum = 1 }]\n',
).replace("[reviewers.finance]", '[reviewers.security]\nusers = ["U0ADMIN", "U0ALICE"]\n\n[reviewers.finance]')


async def press(bot: Bot, request: Request, user: str, action: str = "approve") -> Ack:
    card = await bot.card(request)
    return await bot.slack.click(user, card.channel, card.ts, action)


async def drawn(bot: Bot, request: Request, words: str) -> str:
    """Wait until the card says something, and return all of it."""
    card = await bot.card(request)
    await bot.slack.until(lambda: words in bot.slack.message(card.channel, card.ts).all_text() or None)
    return bot.slack.message(card.channel, card.ts).all_text()


async def votes_of(bot: Bot, request: Request) -> list[Vote]:
    return await bot.store.read(lambda unit: unit.all(statements.VOTES_OF, request_number=request.number))


async def form(bot: Bot, request: Request, user: str = "U0ALICE") -> View:
    """Press Approve and return the form that opens."""
    await press(bot, request, user)
    return await bot.modal(user, "Approve")


async def home(bot: Bot, words: str) -> str:
    """Wait until Alice's Home tab says something, and return all of it."""

    def shown() -> str | None:
        view = bot.slack.home("U0ALICE")
        return view.all_text() if view is not None and words in view.all_text() else None

    text = await bot.slack.until(shown)
    assert text is not None
    return text


async def enrol(bot: Bot, user: str = "U0ALICE") -> pyotp.TOTP:
    """Set up somebody's device. The passcode of this moment is used up by it."""
    passcodes = bot.service.passcodes
    code, _ = await passcodes.open_enrolment(user)
    facts = await bot.directory.load_facts({user}, ())
    offer = await passcodes.offer(user, code, facts)
    device = pyotp.TOTP(offer.seed)
    await passcodes.confirm(user, device.at(bot.clock()), facts)
    await bot.advance(seconds=30)
    return device


# --- two people ---


@pytest.mark.parametrize("mode", MODES)
async def test_two_people_decide_together_and_the_card_tells_of_each(database: Path, mode: str) -> None:
    async with running_bot(database, mode=mode, text=TWO) as bot:
        request = await bot.submit()
        shown = await drawn(bot, request, "nobody yet")
        assert "approving takes 2 people" in shown.lower()
        await press(bot, request, "U0ALICE")
        assert await bot.status(request) is Status.PENDING
        shown = await drawn(bot, request, "*1 of 2:* <@U0ALICE>, <!date^")
        assert "*2 of 2:* nobody yet" in shown
        await press(bot, request, "U0BOB")
        assert await bot.status(request) is Status.APPROVED
        await drawn(bot, request, "by <@U0ALICE> and <@U0BOB>")


@pytest.mark.parametrize("mode", MODES)
async def test_one_person_twice_is_one_and_is_told_who_is_awaited(database: Path, mode: str) -> None:
    async with running_bot(database, mode=mode, text=TWO) as bot:
        request = await bot.submit()
        await press(bot, request, "U0ALICE")
        await press(bot, request, "U0ALICE")
        told = (await bot.modal("U0ALICE", "approved this already")).all_text()
        assert "Needs 2 of finance" in told
        assert "*2 of 2:* nobody yet" in told
        assert await bot.status(request) is Status.PENDING
        assert len(await votes_of(bot, request)) == 1


async def test_two_at_the_same_moment_both_count(database: Path) -> None:
    async with running_bot(database, text=TWO) as bot:
        request = await bot.submit()
        card = await bot.card(request)
        clicks = [bot.slack.click_payload(user, card.channel, card.ts, "approve") for user in ("U0ALICE", "U0BOB")]
        acks = await asyncio.gather(*map(bot.slack.deliver, clicks))
        assert all(ack.ok for ack in acks)
        assert await bot.status(request) is Status.APPROVED
        assert {vote.user_id for vote in await votes_of(bot, request)} == {"U0ALICE", "U0BOB"}


async def test_seats_are_named_and_filled_by_different_people(database: Path) -> None:
    async with running_bot(database, text=SEATS) as bot:
        request = await bot.submit()
        shown = await drawn(bot, request, "Needs 1 of finance")
        assert "1 of security (<@U0ADMIN> <@U0ALICE>)" in shown
        await press(bot, request, "U0ALICE")  # could sit in either
        await press(bot, request, "U0BOB")  # finance alone: so Alice is security's
        assert await bot.status(request) is Status.APPROVED


async def test_a_seat_that_nobody_of_the_right_group_took_stays_open(database: Path) -> None:
    async with running_bot(database, text=SEATS) as bot:
        request = await bot.submit()
        await press(bot, request, "U0BOB")
        await press(bot, request, "U0CAROL")
        assert await bot.status(request) is Status.PENDING
        await press(bot, request, "U0ADMIN")
        assert await bot.status(request) is Status.APPROVED


# --- taking back ---


@pytest.mark.parametrize("mode", MODES)
async def test_a_vote_that_is_withdrawn_disappears_and_may_be_given_again(database: Path, mode: str) -> None:
    async with running_bot(database, mode=mode, text=TWO) as bot:
        request = await bot.submit()
        await press(bot, request, "U0ALICE")
        await drawn(bot, request, "Withdraw my vote")
        assert (await press(bot, request, "U0ALICE", "withdraw")).ok
        shown = await drawn(bot, request, "*1 of 2:* nobody yet")
        assert "Withdraw" not in shown
        assert await votes_of(bot, request) == []
        await press(bot, request, "U0BOB")
        assert await bot.status(request) is Status.PENDING  # one vote, not two
        await press(bot, request, "U0ALICE")
        assert await bot.status(request) is Status.APPROVED


async def test_who_has_no_vote_is_told_so_and_takes_nobody_else_s(database: Path) -> None:
    async with running_bot(database, text=TWO) as bot:
        request = await bot.submit()
        await press(bot, request, "U0ALICE")
        await drawn(bot, request, "Withdraw my vote")
        await press(bot, request, "U0BOB", "withdraw")
        await bot.modal("U0BOB", "no vote here to withdraw")
        assert [vote.user_id for vote in await votes_of(bot, request)] == ["U0ALICE"]


async def test_a_vote_is_withdrawn_from_the_home_tab_and_from_the_details(database: Path) -> None:
    async with running_bot(database, text=TWO) as bot:
        first, second = await bot.submit(), await bot.submit()
        for request in (first, second):
            await press(bot, request, "U0ALICE")
        await bot.slack.open_home("U0ALICE")
        assert "*1 of 2* approved" in await home(bot, "You approved")
        await bot.slack.home_click("U0ALICE", "withdraw", block_id=f"decide_{first.number}")
        assert await votes_of(bot, first) == []
        assert f"#{first.number} " in (await home(bot, "*0 of 2* approved")).split("You approved")[0]
        await press(bot, second, "U0ALICE", "details")
        details = await bot.modal("U0ALICE", "Withdraw my vote")
        await bot.slack.view_click("U0ALICE", details.id, "withdraw")
        assert await votes_of(bot, second) == []
        await bot.modal("U0ALICE", "*withdrawn*")


async def test_the_home_tab_s_button_tells_nothing_of_a_hidden_request(database: Path) -> None:
    async with running_bot(database, text=TWO) as bot:
        request = await bot.submit()
        await press(bot, request, "U0ALICE")
        await bot.slack.open_home("U0ALICE")
        await home(bot, "You approved")
        ack = await bot.slack.home_click("U0ALICE", "details", block_id=f"decide_{request.number}")
        assert ack.sent is not None
        forged = ack.sent | {"user": ack.sent["user"] | {"id": "U0PAT"}}
        forged["actions"] = [forged["actions"][0] | {"action_id": "withdraw"}]
        await bot.slack.deliver(forged | {"trigger_id": bot.slack.tickets.issue_trigger("U0PAT")})
        told = await bot.modal("U0PAT", "may not see")
        assert "issue_refund" not in told.all_text()
        assert len(await votes_of(bot, request)) == 1


async def test_an_approval_turns_into_a_denial(database: Path) -> None:
    async with running_bot(database, text=TWO) as bot:
        request = await bot.submit()
        await press(bot, request, "U0ALICE")
        await press(bot, request, "U0ALICE", "deny")
        asked = await bot.modal("U0ALICE", "Why not?")
        await bot.slack.submit("U0ALICE", asked.id, {"reason": "too_risky"})
        decided = await bot.load(request)
        assert (decided.status, decided.decided_by) == (Status.DENIED, "U0ALICE")


# --- the form ---


@pytest.mark.parametrize("mode", MODES)
async def test_a_required_reason_is_asked_for_and_kept(database: Path, mode: str) -> None:
    async with running_bot(database, mode=mode, text=with_terms('reason = "required"')) as bot:
        request = await bot.submit()
        asked = await form(bot, request)
        assert "amount: 4900" in asked.all_text()
        assert await bot.status(request) is Status.PENDING  # the press alone decides nothing
        refused = await bot.slack.submit("U0ALICE", asked.id, {"approve_reason": ""})
        assert refused.error == "input_missing"
        forced = await bot.slack.deliver(bot.slack.submit_payload("U0ALICE", asked.id, {"approve_reason": "  "}))
        assert forced.response_action == "errors"
        assert "asks for a reason" in forced.errors["approve_reason"]
        assert await bot.status(request) is Status.PENDING
        done = await bot.slack.submit("U0ALICE", asked.id, {"approve_reason": WHY})
        assert done.response_action == "clear"
        decided = await bot.load(request)
        assert (decided.status, decided.note) == (Status.APPROVED, WHY)
        await drawn(bot, request, WHY)
        (vote,) = await votes_of(bot, request)
        assert (vote.note, vote.full_view, vote.surface) == (WHY, FullView.CARD, "modal")


async def test_an_optional_reason_may_be_left_out(database: Path) -> None:
    async with running_bot(database, text=with_terms('reason = "optional"')) as bot:
        request = await bot.submit()
        asked = await form(bot, request)
        assert (await bot.slack.submit("U0ALICE", asked.id)).response_action == "clear"
        decided = await bot.load(request)
        assert (decided.status, decided.note) == (Status.APPROVED, None)


async def test_a_confirmation_asks_once_more_and_a_repeat_does_nothing_twice(database: Path) -> None:
    async with running_bot(database, text=with_terms("confirm = true\nquorum = 2")) as bot:
        request = await bot.submit()
        asked = await form(bot, request)
        payload = bot.slack.submit_payload("U0ALICE", asked.id)
        acks = [await bot.slack.deliver(payload) for _ in range(3)]
        assert all(ack.ok and ack.response_action == "clear" for ack in acks)
        assert len(await votes_of(bot, request)) == 1
        assert await bot.status(request) is Status.PENDING
        await press(bot, request, "U0ALICE")  # no second form for somebody who has approved
        await bot.modal("U0ALICE", "approved this already")


@pytest.mark.parametrize(("user", "words"), [("U0SAM", "only its reviewers"), ("U0OWNER", "owners never decide")])
async def test_who_may_not_decide_is_told_before_the_form(database: Path, user: str, words: str) -> None:
    async with running_bot(database, text=with_terms('reason = "required"')) as bot:
        request = await bot.submit()
        await press(bot, request, user)
        told = await bot.modal(user, words)
        assert told.action_ids() == []


async def test_a_form_is_its_person_s_alone(database: Path) -> None:
    async with running_bot(database, text=with_terms("confirm = true")) as bot:
        request = await bot.submit()
        asked = await form(bot, request)
        forged = bot.slack.submit_payload("U0ALICE", asked.id)
        forged["user"] = forged["user"] | {"id": "U0BOB"}
        await bot.slack.deliver(forged)
        assert await bot.status(request) is Status.PENDING


async def test_a_form_that_is_sent_after_the_decision_tells_it(database: Path) -> None:
    async with running_bot(database, text=with_terms("confirm = true")) as bot:
        request = await bot.submit()
        late, first = await form(bot, request), await form(bot, request, "U0BOB")
        await bot.slack.submit("U0BOB", first.id)
        ack = await bot.slack.submit("U0ALICE", late.id)
        assert ack.response_action == "update"
        assert "<@U0BOB>" in (await bot.modal("U0ALICE", "decided before")).all_text()


async def test_who_lost_the_right_since_the_form_opened_is_refused(database: Path) -> None:
    async with running_bot(database, text=with_terms("confirm = true")) as bot:
        request = await bot.submit()
        asked = await form(bot, request, "U0BOB")
        bot.slack.workspace.set_usergroup_users("S0FINANCE", [])
        await bot.advance(seconds=31)
        await bot.slack.submit("U0BOB", asked.id)
        await bot.modal("U0BOB", "lets only its reviewers decide")
        assert await bot.status(request) is Status.PENDING


async def test_a_call_too_long_for_its_card_is_approved_in_the_form_after_the_review(database: Path) -> None:
    async with running_bot(database, text=with_terms("confirm = true")) as bot:
        request = await bot.submit(long_arguments())
        card = await bot.card(request)
        forged = bot.slack.click_payload("U0ALICE", card.channel, card.ts, "review")
        forged["actions"][0]["action_id"] = "approve"
        await bot.slack.deliver(forged)  # as if there had been an Approve on the card
        refused = await bot.modal("U0ALICE", "does not show the whole call")
        await bot.slack.close_view("U0ALICE", refused.id)
        await bot.slack.click("U0ALICE", card.channel, card.ts, "review")
        page = await bot.modal("U0ALICE", "Page 1 of")
        at = 1
        while "review_next" in page.action_ids():
            await bot.slack.view_click("U0ALICE", page.id, "review_next")
            at += 1
            page = await bot.modal("U0ALICE", f"Page {at} of")
        await bot.slack.view_click("U0ALICE", page.id, "review_approve")
        asked = await bot.modal("U0ALICE", "You have seen the whole call")
        assert await bot.status(request) is Status.PENDING
        await bot.slack.submit("U0ALICE", asked.id)
        assert await bot.status(request) is Status.APPROVED
        assert [vote.full_view for vote in await votes_of(bot, request)] == [FullView.PAGES]


async def test_what_is_hidden_makes_a_call_fit_its_card_for_the_press_too(database: Path) -> None:
    """Whether the card showed the whole call is judged by the call as it was drawn, not as it was sent."""
    async with running_bot(database, text=with_terms('redact = ["secret"]')) as bot:
        request = await bot.submit(json.dumps({"amount": 4900, "secret": "s3cr3t " * 800}))
        card = await bot.card(request)
        assert "approve" in card.action_ids()
        await press(bot, request, "U0ALICE")
        assert await bot.status(request) is Status.APPROVED


# --- passcodes ---


@pytest.mark.parametrize("mode", MODES)
async def test_a_passcode_is_asked_for_and_a_wrong_one_told_at_its_field(database: Path, mode: str) -> None:
    async with running_bot(database, mode=mode, text=with_terms('step_up = "totp"\nreason = "required"')) as bot:
        device = await enrol(bot)
        request = await bot.submit()
        asked = await form(bot, request)
        right = device.at(bot.clock())
        wrong = f"{(int(right) + 1) % 10**6:06}"
        values = {"approve_reason": WHY}
        told = await bot.slack.submit("U0ALICE", asked.id, values | {"passcode": "12a"})
        assert "six digits" in told.errors["passcode"]
        told = await bot.slack.submit("U0ALICE", asked.id, values | {"passcode": wrong})
        assert told.response_action == "errors"
        assert "wrong" in told.errors["passcode"]
        again = await bot.slack.submit("U0ALICE", asked.id, values | {"passcode": wrong})
        assert "wrong" in again.errors["passcode"]  # a repeat of it is never taken for a vote
        assert await bot.status(request) is Status.PENDING
        assert await votes_of(bot, request) == []
        done = await bot.slack.submit("U0ALICE", asked.id, values | {"passcode": f"{right[:3]} {right[3:]}"})
        assert done.response_action == "clear"
        assert await bot.status(request) is Status.APPROVED
        assert [vote.step_up for vote in await votes_of(bot, request)] == [StepUp.TOTP]


async def test_a_passcode_works_for_one_request_only(database: Path) -> None:
    async with running_bot(database, text=with_terms('step_up = "totp"')) as bot:
        device = await enrol(bot)
        first, second = await bot.submit(), await bot.submit()
        passcode = device.at(bot.clock())
        one = await form(bot, first)
        assert (await bot.slack.submit("U0ALICE", one.id, {"passcode": passcode})).response_action == "clear"
        other = await form(bot, second)
        told = await bot.slack.submit("U0ALICE", other.id, {"passcode": passcode})
        assert "used before" in told.errors["passcode"]
        assert await bot.status(second) is Status.PENDING


async def test_who_has_no_device_is_told_at_the_field(database: Path) -> None:
    async with running_bot(database, text=with_terms('step_up = "totp"')) as bot:
        asked = await form(bot, await bot.submit())
        told = await bot.slack.submit("U0ALICE", asked.id, {"passcode": "123456"})
        assert "no device" in told.errors["passcode"]


async def test_five_wrong_passcodes_lock(database: Path) -> None:
    async with running_bot(database, text=with_terms('step_up = "totp"')) as bot:
        device = await enrol(bot)
        request = await bot.submit()
        asked = await form(bot, request)
        right = device.at(bot.clock())
        for off in range(1, 6):
            told = await bot.slack.submit("U0ALICE", asked.id, {"passcode": f"{(int(right) + off) % 10**6:06}"})
        assert "locked" in told.errors["passcode"]
        told = await bot.slack.submit("U0ALICE", asked.id, {"passcode": right})
        assert "locked" in told.errors["passcode"]
        assert await bot.status(request) is Status.PENDING


async def test_nothing_but_the_form_approves_what_takes_a_form(database: Path) -> None:
    """The press itself, delivered as often as one likes, is never a vote."""
    async with running_bot(database, text=with_terms('step_up = "totp"')) as bot:
        request = await bot.submit()
        for _ in range(3):
            await press(bot, request, "U0ALICE")
        await bot.modal("U0ALICE", "Passcode")
        assert await votes_of(bot, request) == []
        assert await bot.status(request) is Status.PENDING
