"""What is on record beside decisions: who looked at what, which pages were opened, who was told and who was not."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.events import EventType
from bot.lookups import Lookups
from playground import Fault
from store import statements, statements_audit
from store.tables import Request
from store.unit import StoreUnavailable
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


async def test_who_asked_what_across_requests_is_on_record_before_it_is_answered(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.card(await bot.submit())
    for line in (
        "pending mine", "pending <#C0REFUNDS|refunds> agent:refund-bot", "recent 2d tool:issue_refund by:me all",
        "overrides kind:revoked", "stats 30d", "standing",
    ):  # fmt: skip
        await bot.slack.slash("U0ALICE", "C0REFUNDS", f"/signoff {line}")
    asked = await queries_of(bot)
    spans = [(one.pop("since", None), one.pop("until", None)) for one in asked]
    assert [since is not None and until is not None for since, until in spans] == [
        False,
        False,
        True,
        True,
        True,
        False,
    ]
    assert asked == [
        {"user": "U0ALICE", "what": "pending", "found": 1, "person": "U0ALICE"},
        {"user": "U0ALICE", "what": "pending", "found": 1, "channel": "C0REFUNDS", "agent": "refund-bot"},
        {"user": "U0ALICE", "what": "recent", "found": 0, "tool": "issue_refund", "person": "U0ALICE"},
        {"user": "U0ALICE", "what": "overrides", "found": 0, "kind": "revoked"},
        {"user": "U0ALICE", "what": "stats", "found": 0},
        {"user": "U0ALICE", "what": "standing", "found": 0},
    ]

    async def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(Lookups, "note_query", refuse)
    for line in ("pending", "recent", "overrides", "stats", "standing"):
        before = len(bot.slack.ephemerals("U0ALICE"))
        await bot.slack.slash("U0ALICE", "C0REFUNDS", f"/signoff {line}")
        await bot.slack.until(lambda before=before: len(bot.slack.ephemerals("U0ALICE")) > before)
        assert "issue_refund" not in bot.slack.ephemerals("U0ALICE")[-1].all_text()
    assert len(await queries_of(bot)) == len(asked)


async def queries_of(bot: Bot) -> list[dict[str, Any]]:
    links = await bot.store.read(lambda unit: unit.all(statements_audit.LINKS_AFTER, number=0, limit=1_000))
    bodies = [json.loads(link.body) for link in links if link.type == EventType.RECORD_QUERIED]
    return [{name: value for name, value in body.items() if name not in ("v", "type", "at")} for body in bodies]


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
