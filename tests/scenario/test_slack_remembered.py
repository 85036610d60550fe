"""Approve with changes, reopening, near repeats and the thread that counts: as people meet them in Slack."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.drawings import Drawing
from playground import Fault
from playground.model import Message, View
from store.tables import Place, Request, Status
from tests.conftest import SAMPLE
from tests.scenario.slack_support import Bot, running_bot
from tests.waiting import until

CALL = '{"amount": 4900.10, "to": "Zoë"}'
TWO_ARE_NEEDED = SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nquorum = 2')


@pytest.fixture(params=["socket", "http"])
async def bot(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, mode=request.param) as bot:
        yield bot


@pytest.fixture
async def one(database: Path) -> AsyncIterator[Bot]:
    """A bot where the mode makes no difference."""
    async with running_bot(database) as bot:
        yield bot


async def _form(bot: Bot, user: str, card: Message) -> View:
    await bot.slack.click(user, card.channel, card.ts, "change")
    return await bot.modal(user, "This call is denied")


async def _drawing(bot: Bot, request: Request) -> Drawing:
    drawing = await bot.queries.drawing(request.number)
    assert drawing is not None
    return drawing


async def _deny(bot: Bot, user: str, request: Request) -> None:
    card = await bot.card(request)
    await bot.slack.click(user, card.channel, card.ts, "deny")
    modal = await bot.modal(user, "Why not?")
    await bot.slack.submit(user, modal.id, {"reason": "too_risky"})
    await bot.until_delivered()


async def test_the_changed_call_runs_when_one_vote_suffices(bot: Bot) -> None:
    asked = await bot.submit(CALL)
    card = await bot.card(asked)
    form = await _form(bot, "U0ALICE", card)
    await bot.slack.submit("U0ALICE", form.id, {"argument_0": "49.00"})
    again = await bot.submit('{"to": "Zoë", "amount": 49}')
    assert again.status is Status.APPROVED
    await bot.until_delivered()
    assert f"approval was counted on #{again.number}" in bot.slack.message(card.channel, card.ts).all_text()


async def test_the_changed_call_waits_for_the_second_person_when_two_are_needed(database: Path) -> None:
    async with running_bot(database, text=TWO_ARE_NEEDED) as bot:
        asked = await bot.submit(CALL)
        form = await _form(bot, "U0ALICE", await bot.card(asked))
        await bot.slack.submit("U0ALICE", form.id, {"argument_0": "49"})
        assert "It needs 2 approvals, and yours is one of them." in (await bot.modal("U0ALICE", "is denied")).all_text()
        again = await bot.submit('{"amount": 49, "to": "Zoë"}')
        assert again.status is Status.PENDING
        card = await bot.card(again)
        assert "<@U0ALICE> approved exactly this call ahead" in card.all_text()
        assert f" on #{asked.number}." in card.all_text()
        await bot.slack.click("U0BOB", card.channel, card.ts, "approve")
        assert await bot.status(again) is Status.APPROVED


# --- remembered ---


async def test_a_denied_call_is_reopened_from_its_card(bot: Bot) -> None:
    asked = await bot.submit()
    await _deny(bot, "U0ALICE", asked)
    card = bot.cards(asked)[0]
    assert card.action_ids() == ["details", "reverse", "more", "reopen"]
    assert "The same call is denied again without asking, until" in card.all_text()
    again = await bot.submit()
    assert again.status is Status.DENIED
    await bot.slack.click("U0SAM", card.channel, card.ts, "reopen")
    refused = await bot.modal("U0SAM", "only its reviewers")
    await bot.slack.close_view("U0SAM", refused.id)
    await bot.slack.click("U0BOB", card.channel, card.ts, "reopen")
    await bot.until_delivered()
    card = bot.cards(asked)[0]
    assert "*Reopened* by <@U0BOB>" in card.all_text()
    assert card.action_ids() == ["details", "reverse", "more"]
    assert (await bot.submit()).status is Status.PENDING


async def test_reopening_twice_or_too_late_is_told(one: Bot) -> None:
    asked = await one.submit()
    await _deny(one, "U0ALICE", asked)
    card = one.cards(asked)[0]
    late = one.slack.click_payload("U0BOB", card.channel, card.ts, "reopen")
    await one.advance(hours=25)
    await one.slack.deliver(late)
    assert "a day has passed" in (await one.modal("U0BOB", "no denial to reopen")).all_text()


def _thread(bot: Bot, card: Message) -> list[Message]:
    return [reply for reply in bot.slack.replies(card.channel, card.ts) if reply.ts != card.ts]


async def test_the_thread_counts_the_tries_in_one_message_that_pings_nobody(bot: Bot) -> None:
    asked = await bot.submit()
    await _deny(bot, "U0ALICE", asked)
    card = bot.cards(asked)[0]
    await bot.submit()
    await bot.until_delivered()
    (reply,) = _thread(bot, card)
    assert "*Asked again once*" in reply.all_text()
    assert reply.notified == set()
    for _ in range(2):
        await bot.submit()
        await bot.until_delivered()
    (reply,) = _thread(bot, card)
    assert "*Asked again 3 times*, last" in reply.all_text()
    assert "denied each time for the same reason" in reply.all_text()
    assert reply.action_ids() == []


async def test_a_press_from_the_thread_is_none_on_a_card(one: Bot) -> None:
    asked = await one.submit()
    await _deny(one, "U0ALICE", asked)
    card = one.cards(asked)[0]
    await one.submit()
    await one.until_delivered()
    payload = one.slack.click_payload("U0BOB", card.channel, card.ts, "reopen")
    (reply,) = _thread(one, card)
    payload["container"]["message_ts"] = payload["message"]["ts"] = reply.ts
    await one.slack.deliver(payload)
    await one.modal("U0BOB", "not a card that Signoff posted")
    assert (await one.load(asked)).reopened_at is None


async def test_a_reply_whose_posting_was_not_answered_is_found_and_not_repeated(one: Bot) -> None:
    asked = await one.submit()
    await _deny(one, "U0ALICE", asked)
    card = one.cards(asked)[0]
    fault = one.slack.faults.add(Fault("lost", methods="chat.postMessage", times=1))
    await one.submit()
    await one.slack.until(lambda: fault.struck)
    while await one.outbox.waiting():
        await one.advance(seconds=1)  # little: in a day the denial is forgotten
    assert len(_thread(one, card)) == 1
    await one.submit()
    await one.until_delivered()
    (reply,) = _thread(one, card)
    assert "2 times" in reply.all_text()


@pytest.mark.parametrize("code", ["is_archived", "thread_not_found"])
async def test_a_reply_that_cannot_stand_is_left_out_quietly(one: Bot, code: str) -> None:
    asked = await one.submit()
    await _deny(one, "U0ALICE", asked)
    one.slack.faults.add(Fault("error", methods="chat.postMessage", times=1, error_code=code))
    await one.submit()
    await one.until_delivered()
    assert _thread(one, one.cards(asked)[0]) == []
    assert one.faults == []
    assert one.slack.calls_of("conversations.open") == []  # nor are the owners told


async def test_without_its_card_there_is_no_thread(one: Bot) -> None:
    asked = await one.submit()
    await _deny(one, "U0ALICE", asked)
    card = one.cards(asked)[0]
    await one.slack.delete_message(card.channel, card.ts)

    async def is_gone() -> bool:
        return await one.queries.card_at(card.channel, card.ts) is None

    await until(is_gone)
    posted = len(one.slack.calls_of("chat.postMessage"))
    assert (await one.submit()).status is Status.DENIED
    await one.until_delivered()
    assert len(one.slack.calls_of("chat.postMessage")) == posted
    assert all(card.place is not Place.THREAD for card in await one.outbox.cards_being_posted(asked.number))
