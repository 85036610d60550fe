"""From an agent's call to a card, a click, a decision and the card drawn anew, over Socket Mode and over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.tables import Status
from tests.scenario.slack_support import Bot, running_bot


@pytest.fixture(params=["socket", "http"])
async def bot(database: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bot]:
    async with running_bot(database, mode=request.param) as bot:
        yield bot


async def test_a_card_is_posted_approved_and_drawn_anew(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    assert card.action_ids() == ["approve", "deny", "details", "change", "more"]
    ack = await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    assert ack.ok
    assert await bot.status(request) is Status.APPROVED  # committed before the acknowledgement
    drawn = await bot.slack.until(lambda: bot.slack.message(card.channel, card.ts).edited)
    assert drawn
    shown = bot.slack.message(card.channel, card.ts)
    assert "approve" not in shown.action_ids()
    assert "U0ALICE" in shown.all_text()
    assert bot.slack.modals("U0ALICE") == []
    assert bot.faults == []


async def test_a_denial_takes_a_reason_and_a_note(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    assert (await bot.slack.click("U0BOB", card.channel, card.ts, "deny")).ok
    modal = await bot.modal("U0BOB", "Why not?")
    ack = await bot.slack.submit("U0BOB", modal.id, {"reason": "too_risky", "note": "Ask me first."})
    assert ack.response_action == "clear"
    denied = await bot.load(request)
    assert (denied.status, denied.decided_by, denied.note) == (Status.DENIED, "U0BOB", "Too risky: Ask me first.")
    assert bot.slack.modals("U0BOB") == []


async def test_what_becomes_of_an_approval_is_drawn_too(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    await bot.approvals.consume(bot.instance, request.id, "c")
    await bot.until_delivered()
    consumed = bot.slack.message(card.channel, card.ts).all_text()
    await bot.advance(minutes=16)
    await bot.slack.until(lambda: bot.slack.message(card.channel, card.ts).all_text() != consumed)
    await bot.slack.until(lambda: bot.slack.messages("U0OWNER"))  # overdue: the owners are told
