"""Asking across requests from Slack: who is shown what by which subcommand, pages, help when wrong; both modes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import FactsUnavailable
from handlers.slack.report_words import ROWS
from tests.scenario.slack_support import Bot, running_bot


@pytest.fixture(params=["socket", "http"])
async def bot(database: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bot]:
    async with running_bot(database, mode=request.param) as bot:
        yield bot


async def _answer(bot: Bot, user: str, text: str) -> str:
    before = len(bot.slack.ephemerals(user))
    channel = "C0PARTNERS" if user == "U0PAT" else "C0REFUNDS"
    ack = await bot.slack.slash(user, channel, f"/signoff {text}")
    if user == "U0PAT":
        return json.dumps(ack.body, ensure_ascii=False)
    await bot.slack.until(lambda: len(bot.slack.ephemerals(user)) > before)
    return bot.slack.ephemerals(user)[-1].all_text()


async def _denied(bot: Bot) -> int:
    """A request that Bob denied, changing it: an override of Bob's."""
    request = await bot.submit()
    card = await bot.card(request)
    await bot.slack.click("U0BOB", card.channel, card.ts, "deny")
    modal = await bot.modal("U0BOB", "Why not?")
    await bot.slack.submit("U0BOB", modal.id, {"reason": "not_needed"})
    await bot.until_delivered()
    return request.number


SEES = {"U0ALICE": True, "U0BOB": True, "U0SAM": True, "U0ADMIN": True, "U0GUEST": False, "U0PAT": False}


async def test_every_subcommand_shows_everybody_what_they_may_see(bot: Bot) -> None:
    waits = await bot.submit()
    await bot.card(waits)
    denied = await _denied(bot)
    for user, sees in SEES.items():
        assert (f"#{waits.number}" in await _answer(bot, user, "pending")) is sees
        told = await _answer(bot, user, "recent 7d")
        assert (f"#{denied}" in told, "1 decision" in told) == (sees, sees)
        assert f"{int(sees)} decided in that time" in await _answer(bot, user, "overrides 7d")
        stats = await _answer(bot, user, "stats")
        assert ("1 denied" in stats) is sees
        # What one person did is for themselves and for admins.
        assert ("denial" in stats) is (user in ("U0BOB", "U0ADMIN"))
    mine = await _answer(bot, "U0ALICE", "pending mine")
    assert f"#{waits.number}" in mine
    assert "Nothing is waiting for you" in await _answer(bot, "U0SAM", "pending mine")
    assert f"#{waits.number}" in await _answer(bot, "U0SAM", "pending <@U0ALICE|alice>")
    assert "Nothing is waiting" in await _answer(bot, "U0SAM", "pending <#C0PARTNERS|partners>")
    assert bot.slack.messages("C0PARTNERS") == []


async def test_pages_are_turned_and_lead_to_cards(bot: Bot) -> None:
    requests = [await bot.submit() for _ in range(ROWS + 2)]
    told = await _answer(bot, "U0ADMIN", "pending")
    assert f"{ROWS + 2} requests waiting" in told
    first = await _answer(bot, "U0ALICE", "pending agent:refund-bot")
    assert f"1 to {ROWS} of {ROWS + 2}. Page 1 of 2" in first
    message = bot.slack.ephemerals("U0ALICE")[-1]
    await bot.slack.click("U0ALICE", message.channel, message.ts, "report_turn_next")
    await bot.slack.until(lambda: "Page 2 of 2" in bot.slack.ephemerals("U0ALICE")[-1].all_text())
    second = bot.slack.ephemerals("U0ALICE")[-1]
    assert second.ts == message.ts  # in its place
    numbers = [request.number for request in requests]
    assert all(f"#{number}" in second.all_text() for number in numbers[ROWS:])
    assert "Page 2 of 2" in await _answer(bot, "U0ALICE", "pending page 99")


async def test_an_entry_leads_to_its_card(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await _answer(bot, "U0ALICE", "pending")
    link = await bot.client.load_permalink(card.channel, card.ts)
    assert link in str(bot.slack.ephemerals("U0ALICE")[-1].blocks)


async def test_a_page_s_button_shows_nobody_more_than_they_may_see(bot: Bot) -> None:
    for _ in range(ROWS + 1):
        await bot.submit()
    await bot.until_delivered()
    await _answer(bot, "U0ALICE", "pending")
    message = bot.slack.ephemerals("U0ALICE")[-1]
    button = next(e for block in message.blocks if block["type"] == "actions" for e in block["elements"])
    for user, value, words in (
        ("U0GUEST", button["value"], "Nothing is waiting"),
        ("U0ALICE", "x", "not one of Signoff's"),
    ):
        key = bot.slack.tickets.issue_response_url(channel=message.channel, user=user)
        forged = bot.slack.payloads.message_action(
            user=bot.slack.workspace.user(user),
            channel=bot.slack.workspace.channel(message.channel),
            message=message,
            actions=[{**button, "block_id": "turn", "value": value}],
            values={},
            trigger_id=bot.slack.tickets.issue_trigger(user),
            response_url=f"{bot.slack.base_url}/response/{key}",
        )
        await bot.slack.deliver(forged)
        await bot.slack.until(
            lambda user=user, words=words: any(
                words in one.all_text() for one in [*bot.slack.ephemerals(user), *bot.slack.modals(user)]
            )
        )


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("recent tomorow", "no span of time"),
        ("overrides kind:bogus", "The kinds are changed"),
        ("pending mnie", "Did you mean mine"),
        ("stats 30d agent:refnd-bot", "There is no agent “refnd-bot” here; this is the nearest"),
        ("recent 2099-01-01", "still to come"),
    ],
)
async def test_what_is_wrong_is_explained(bot: Bot, typed: str, words: str) -> None:
    await _denied(bot)
    assert words in await _answer(bot, "U0ALICE", typed)


async def test_names_that_nothing_has_are_helped(bot: Bot) -> None:
    await _denied(bot)
    nothing = "In that time you can see nothing of the agent “{}”, but of refund-bot."
    for typed, words in (
        ("overrides tool:issue-refund", "There is no tool “issue-refund” here; this is the nearest"),
        ("recent tool:isue_refund", "There is no tool “isue_refund” here; this is the nearest"),
        ("recent rule:refnds", "There is no rule “refnds” here; this is the nearest"),
        ("overrides agent:nope", nothing.format("nope")),
        ("recent agent:<@U0SAM|sam>", nothing.format("@sam")),
        ("stats agent:nope", nothing.format("nope")),
        ("pending agent:nope", "Nothing is waiting of nope"),
    ):
        assert words in await _answer(bot, "U0ALICE", typed), typed


async def test_names_that_are_near_tell_nobody_what_they_may_not_see(bot: Bot) -> None:
    await bot.card(await bot.submit())
    await _denied(bot)
    assert "this is the nearest" in await _answer(bot, "U0SAM", "pending agent:refund-bo")
    assert "What waits is of refund-bot." in await _answer(bot, "U0SAM", "pending agent:nope")
    for asked in ("pending", "recent", "overrides", "stats"):
        known = await _answer(bot, "U0GUEST", f"{asked} agent:refund-bot")
        near = await _answer(bot, "U0GUEST", f"{asked} agent:refund-bo")
        assert known.replace("refund-bot", "X") == near.replace("refund-bo", "X")
        assert "issue_refund" not in await _answer(bot, "U0GUEST", f"{asked} agent:issue_refnd")


async def test_slack_that_cannot_be_asked_is_said(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    async def closed(*_: object) -> None:
        raise FactsUnavailable

    monkeypatch.setattr(bot.directory, "load_facts", closed)
    for command in ("pending", "recent", "overrides", "stats"):
        assert "could not be asked" in await _answer(bot, "U0ALICE", command)
