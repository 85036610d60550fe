"""Owners are told of requests that expired unanswered: once a burst, each owner once, none of them forgotten."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bot.expiries import EXPIRED, GATHER, NEWEST
from playground import Fault
from playground.model import Message
from store.compiled import Statement
from store.tables import IntentTable, Status
from tests.conftest import SAMPLE
from tests.scenario.slack_support import Bot, running_bot
from tests.waiting import until

_OTHERS = Statement(select(func.count()).select_from(IntentTable).where(IntentTable.reason != EXPIRED), int)
TWO_OWNERS = SAMPLE.replace('owners = ["U0OWNER"]', 'owners = ["U0OWNER", "U0SAM"]')


async def _expire(bot: Bot, count: int) -> None:
    made = [await bot.submit(lasts="10m") for _ in range(count)]
    for request in made:
        await bot.card(request)
    await bot.advance(minutes=10)

    async def are_over() -> bool:
        return Status.PENDING not in [await bot.status(request) for request in made]

    await until(are_over)


async def _quiet(bot: Bot) -> None:
    """Wait until nothing is left in the outbox but what is gathered."""

    async def is_quiet() -> bool:
        return not await _others(bot) and not bot.deliverer.under_way

    await until(is_quiet)


async def _others(bot: Bot) -> int:
    return await bot.store.read(lambda unit: unit.one(_OTHERS)) or 0


async def _gathered(bot: Bot) -> None:
    await _quiet(bot)
    await bot.advance(seconds=GATHER.total_seconds())
    async with asyncio.timeout(5):
        await bot.until_delivered()


def _told(bot: Bot, owner: str = "U0OWNER") -> list[Message]:
    return bot.slack.messages(owner)


async def test_a_burst_is_one_message_with_a_count_and_links_to_the_newest(database: Path) -> None:
    async with running_bot(database) as bot:
        await _expire(bot, NEWEST + 2)
        assert _told(bot) == []
        await _gathered(bot)
        [message] = _told(bot)
        assert f"{NEWEST + 2} requests of refund-bot expired" in message.text
        shown = message.all_text()
        assert shown.count("slack.com/archives/C0REFUNDS/p") == NEWEST
        assert "and 2 earlier" in shown
        assert "4900" not in shown  # an owner's lock screen is no place for arguments


async def test_the_next_burst_is_told_of_itself_alone(database: Path) -> None:
    async with running_bot(database) as bot:
        await _expire(bot, 2)
        await _gathered(bot)
        await _expire(bot, 1)
        await _gathered(bot)
        assert ["2 requests of" in _told(bot)[0].text, "#3 of refund-bot expired" in _told(bot)[1].text] == [True, True]


async def test_what_was_cancelled_or_decided_is_no_news(database: Path) -> None:
    async with running_bot(database) as bot:
        cancelled = await bot.submit()
        await bot.card(cancelled)
        await bot.approvals.cancel(bot.instance, cancelled.id)
        await _quiet(bot)
        await bot.advance(minutes=15)
        async with asyncio.timeout(5):
            await bot.until_delivered()
        assert _told(bot) == []


@pytest.mark.parametrize("kind", ["lost", "500"])
async def test_trouble_with_one_owner_doubles_nothing_and_forgets_nothing(database: Path, kind: str) -> None:
    async with running_bot(database, text=TWO_OWNERS) as bot:
        await _expire(bot, 2)
        await _quiet(bot)
        bot.slack.faults.add(Fault(kind, methods="chat.postMessage", channel="U0SAM", times=1))
        await bot.advance(seconds=GATHER.total_seconds())
        await until(lambda: bot.faults and not bot.deliverer.under_way)
        assert ["2 requests" in message.text for message in _told(bot)] == [True]
        await _expire(bot, 1)  # before the other owner can be told
        await _gathered(bot)
        for owner in ("U0OWNER", "U0SAM"):
            texts = [message.text for message in _told(bot, owner)]
            assert ["2 requests" in texts[0], "#3 of" in texts[1], len(texts)] == [True, True, 2]


async def test_a_card_that_is_gone_leaves_its_request_without_a_link(database: Path) -> None:
    async with running_bot(database) as bot:
        await _expire(bot, 1)
        await _quiet(bot)
        bot.slack.faults.add(Fault("error", methods="chat.getPermalink", times=1, error_code="message_not_found"))
        await _gathered(bot)
        [message] = _told(bot)
        assert "#1 · issue_refund" in message.all_text()


def test_owners_hear_of_it_within_minutes() -> None:
    assert timedelta(0) < GATHER <= timedelta(minutes=5)
