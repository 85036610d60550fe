"""Pauses as people see them in Slack: on the cards of what they hold up, and in messages to whom it concerns."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from handlers.pacing import Pace
from playground.model import Message
from store.tables import Status
from tests.conftest import SAMPLE
from tests.scenario.slack_support import Bot, running_bot

BY, WHY = "by <@U0ALICE>", "it refunds too much"


@pytest.fixture
async def bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, text=SAMPLE) as bot:
        yield bot


async def say(bot: Bot, text: str, user: str = "U0ALICE") -> None:
    before = len(bot.slack.ephemerals(user))
    assert (await bot.slack.slash(user, "C0REFUNDS", f"/signoff {text}")).ok
    await bot.slack.until(lambda: len(bot.slack.ephemerals(user)) > before)


def now(bot: Bot, card: Message) -> str:
    return bot.slack.message(card.channel, card.ts).all_text()


async def test_cards_say_so_while_it_lasts_and_whom_it_concerns_is_told(bot: Bot) -> None:
    opened, pending = await bot.submit(), await bot.submit()
    cards = [await bot.card(opened), await bot.card(pending)]
    await bot.slack.click("U0ALICE", cards[0].channel, cards[0].ts, "approve")
    await bot.until_delivered()
    assert await bot.status(opened) is Status.APPROVED
    await say(bot, f"pause refund-bot for 2m {WHY}")
    await bot.until_delivered()
    for card, words in zip(cards, ("cannot be used meanwhile", "Nothing is approved meanwhile"), strict=True):
        shown = now(bot, card)
        assert all(one in shown for one in ("*Agent refund-bot is paused*", BY, WHY, "until ", words))
    [told] = bot.slack.messages("U0OWNER")
    assert all(one in told.all_text() for one in ("Agent refund-bot is paused", "<@U0ALICE>", WHY))
    assert "refund-bot is paused until" in told.text  # on a lock screen in Berlin, where Slack draws no times
    assert told.text.endswith(("CET.", "CEST."))
    assert bot.slack.messages("U0ALICE") == []
    await bot.advance(minutes=2)  # it runs out by itself, and nobody need press anything
    await bot.until_delivered()
    while "is paused" in now(bot, cards[0]) + now(bot, cards[1]):
        await bot.until_delivered()
    assert "may be used until" in now(bot, cards[0])
    assert len(bot.slack.messages("U0OWNER")) == 1


async def test_a_decision_is_drawn_before_what_a_pause_has_drawn(database: Path) -> None:
    async with running_bot(database, text=SAMPLE, draws=Pace(timedelta(minutes=1), burst=1)) as bot:
        made = [await bot.submit(lasts="1h") for _ in range(4)]
        cards = [await bot.card(request) for request in made]
        await say(bot, f"pause refund-bot {WHY}")
        while sum("is paused" in now(bot, card) for card in cards) < 1 or await bot.outbox.waiting() != 3:
            await bot.outbox.waiting()
        await bot.slack.click("U0ALICE", cards[0].channel, cards[0].ts, "deny")
        form = await bot.modal("U0ALICE", "Why not?")
        await bot.slack.submit("U0ALICE", form.id, {"reason": "not_needed"})
        while bot.deliverer.under_way or await bot.outbox.waiting() != 3:
            await bot.outbox.waiting()
        await bot.advance(minutes=1)
        while "Denied" not in now(bot, cards[0]):
            await bot.outbox.waiting()
        assert ["is paused" in now(bot, card) for card in cards] == [False, False, False, True]
