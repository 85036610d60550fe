"""What is on record beside decisions: who looked at what, which pages were opened, who was told and who was not."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.events import EventType
from playground import Fault
from store import statements
from store.tables import Request
from tests.scenario.slack_support import Bot, long_arguments, running_bot


@pytest.fixture
async def bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database) as bot:
        yield bot


async def facts_of(bot: Bot, request: Request, kind: EventType) -> list[dict[str, Any]]:
    events = await bot.store.read(lambda unit: unit.all(statements.EVENTS_OF, request_number=request.number))
    common = ("v", "type", "at", "request", "number")
    bodies = [json.loads(event.body) for event in events if event.type == kind]
    return [{name: value for name, value in body.items() if name not in common} for body in bodies]


async def test_who_looked_at_what_is_on_record(bot: Bot) -> None:
    made = await bot.submit()
    card = await bot.card(made)
    await bot.slack.click("U0ALICE", card.channel, card.ts, "details")
    await bot.modal("U0ALICE", "Asked")
    await bot.slack.slash("U0BOB", "C0REFUNDS", f"/signoff show {made.number}")
    await bot.slack.slash("U0GUEST", "C0REFUNDS", f"/signoff show {made.number}")  # is shown nothing
    assert await facts_of(bot, made, EventType.REQUEST_LOOKED_AT) == [
        {"user": "U0ALICE", "what": "details", "channel": "C0REFUNDS"},
        {"user": "U0BOB", "what": "show"},
    ]


async def test_that_somebody_opened_every_page_is_on_record_once(bot: Bot) -> None:
    made = await bot.submit(long_arguments())
    card = await bot.card(made)
    await bot.slack.click("U0ALICE", card.channel, card.ts, "review")
    modal = await bot.modal("U0ALICE", "Page 1 of")
    pages = int(modal.all_text().split("Page 1 of ")[1].split()[0].rstrip(";"))
    assert pages > 1
    for page in range(2, pages + 1):
        assert await facts_of(bot, made, EventType.PAGES_OPENED) == []
        modal = await bot.modal("U0ALICE", f"Page {page - 1} of")
        await bot.slack.view_click("U0ALICE", modal.id, "review_next")
        await bot.modal("U0ALICE", f"Page {page} of")
    for button, page in (("review_back", pages - 1), ("review_next", pages)):
        modal = await bot.modal("U0ALICE")
        await bot.slack.view_click("U0ALICE", modal.id, button)
        await bot.modal("U0ALICE", f"Page {page} of")
    assert await facts_of(bot, made, EventType.PAGES_OPENED) == [{"user": "U0ALICE", "what": "review", "pages": pages}]
    looks = await facts_of(bot, made, EventType.REQUEST_LOOKED_AT)
    assert [look["what"] for look in looks] == ["review"]


async def overdue(bot: Bot) -> Request:
    """A request whose agent took the approval and says nothing, of which its owners are told."""
    made = await bot.submit()
    card = await bot.card(made)
    await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    await bot.until_delivered()
    await bot.approvals.consume(bot.instance, made.id, "k")
    await bot.until_delivered()
    await bot.advance(hours=25)
    await bot.slack.until(lambda: "never finished" in str(bot.cards(made)[0].blocks))
    return made


async def test_that_owners_were_told_is_on_record(bot: Bot) -> None:
    made = await overdue(bot)
    await bot.slack.until(lambda: bot.slack.messages("U0OWNER"))
    await bot.until_delivered()
    told = await facts_of(bot, made, EventType.NOTIFICATION_SENT)
    assert told == [{"kind": "tell_owners", "reason": "overdue", "to": "U0OWNER"}]


async def test_that_an_owner_could_not_be_told_is_on_record(bot: Bot) -> None:
    bot.slack.faults.add(Fault("error", methods="chat.postMessage", channel="U0OWNER", error_code="channel_not_found"))
    made = await overdue(bot)
    await bot.until_delivered()
    assert await facts_of(bot, made, EventType.NOTIFICATION_SENT) == []
    (failed,) = await facts_of(bot, made, EventType.NOTIFICATION_FAILED)
    assert (failed["kind"], failed["to"], failed["code"]) == ("tell_owners", "U0OWNER", "channel_not_found")
