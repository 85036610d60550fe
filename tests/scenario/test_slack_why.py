"""*Why?* in the menu of cards, details and reviews: it opens the time line, for those who may see the request."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.events import EventType, append_event
from bot.timelines import PER_PAGE
from handlers.slack.timeline import WHY_NEXT
from playground.model import View
from store.tables import Request
from store.unit import Unit
from tests.scenario.slack_support import Bot, running_bot


@pytest.fixture(params=["socket", "http"])
async def bot(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, mode=request.param) as bot:
        yield bot


async def ask_why(bot: Bot, user: str, asked: Request) -> View:
    card = await bot.card(asked)
    await bot.slack.click(user, card.channel, card.ts, "more", selected=f"why:{asked.number}")
    return await bot.modal(user, "Why?")


async def test_on_the_card_before_and_after(bot: Bot) -> None:
    asked = await bot.submit()
    shown = (await ask_why(bot, "U0ALICE", asked)).all_text()
    assert "Rule refunds asks people." in shown
    assert "*Asked* by refund-bot under rule refunds" in shown
    assert "Card posted in <#C0REFUNDS>" in shown
    card = await bot.card(asked)
    await bot.slack.click("U0BOB", card.channel, card.ts, "approve")
    await bot.until_delivered()
    shown = (await ask_why(bot, "U0BOB", asked)).all_text()
    assert "*<@U0BOB> approved* (seen on the card, whole)" in shown
    assert "*Approved* by <@U0BOB>" in shown


async def test_over_the_details_and_over_the_review(bot: Bot) -> None:
    asked = await bot.submit()
    card = await bot.card(asked)
    await bot.slack.click("U0ALICE", card.channel, card.ts, "details")
    details = await bot.modal("U0ALICE", "Request #1")
    await bot.slack.view_click("U0ALICE", details.id, "more", selected="why:1")
    await bot.modal("U0ALICE", "Why? #1")
    await bot.slack.open_home("U0BOB")
    await bot.slack.until(lambda: bot.slack.home("U0BOB"))
    await bot.slack.home_click("U0BOB", "review")
    review = await bot.modal("U0BOB", "Review #1")
    await bot.slack.view_click("U0BOB", review.id, "more", selected="why:1")
    await bot.modal("U0BOB", "Why? #1")


async def test_pages_turn_one_after_the_other(bot: Bot) -> None:
    asked = await bot.submit()
    await bot.card(asked)

    async def work(unit: Unit) -> None:
        for _ in range(2 * PER_PAGE):
            await append_event(unit, bot.clock(), EventType.PAGES_OPENED, asked, user="U0BOB")

    await bot.store.write(work)
    first = await ask_why(bot, "U0ALICE", asked)
    assert "Page 1 of 3" in first.all_text()
    await bot.slack.view_click("U0ALICE", first.id, WHY_NEXT)
    second = await bot.modal("U0ALICE", "Page 2 of 3")
    assert "Rule refunds asks" not in second.all_text()
    await bot.slack.view_click("U0ALICE", first.id, "why_back")
    await bot.modal("U0ALICE", "Page 1 of 3")


async def test_who_may_not_see_it_is_told_so(bot: Bot) -> None:
    asked = await bot.submit()
    card = await bot.card(asked)
    await bot.slack.click("U0GUEST", card.channel, card.ts, "more", selected=f"why:{asked.number}")
    shown = (await bot.modal("U0GUEST", "Not possible")).all_text()
    assert "You may not see this request." in shown
