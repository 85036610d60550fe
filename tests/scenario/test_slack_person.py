"""An instance made for a person: that person decides on none of its requests, wherever they try, reviewer or not."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from playground import Playground
from playground.model import View
from store.tables import Request, Status
from tests.conftest import SAMPLE, submission
from tests.scenario.slack_support import Bot, long_arguments, running_bot

WORDS = "asks on your behalf"
NO_FALLBACK = SAMPLE.replace('fallback_channel = "C0OPS"\n', "")
SEES_ALL = SAMPLE.replace('users = ["U0ADMIN"]', 'users = ["U0ADMIN", "U0ALICE"]')
_keys = count()


@pytest.fixture
async def bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, text=SEES_ALL) as bot:
        yield bot


async def ask_for_alice(bot: Bot, arguments: str = '{"amount": 4900}') -> Request:
    """Make a request of an instance that was made for Alice, who is a reviewer of it, and an admin."""
    instance, _ = await bot.service.instances.create(f"helper {next(_keys)}", "refund-bot", "U0ALICE")
    request, _ = await bot.creation.submit(instance, submission(arguments=arguments), "key")
    return request


async def told_no(bot: Bot) -> None:
    """Wait for the modal that tells Alice no, and close it."""
    told = await bot.modal("U0ALICE", WORDS)
    assert told.action_ids() == []
    await bot.slack.close_view("U0ALICE", told.id)


@pytest.mark.parametrize("action", ["approve", "deny"])
async def test_not_on_the_card(bot: Bot, action: str) -> None:
    request = await ask_for_alice(bot)
    card = await bot.card(request)
    await bot.slack.click("U0ALICE", card.channel, card.ts, action)
    await told_no(bot)
    assert await bot.status(request) is Status.PENDING
    await bot.slack.click("U0BOB", card.channel, card.ts, "approve")
    assert await bot.status(request) is Status.APPROVED


async def test_not_by_a_forged_form(bot: Bot) -> None:
    """Bob's own denial form, sent as if Alice had filled it in."""
    request = await ask_for_alice(bot)
    card = await bot.card(request)
    await bot.slack.click("U0BOB", card.channel, card.ts, "deny")
    form = await bot.modal("U0BOB", "Why not?")
    forged = bot.slack.submit_payload("U0BOB", form.id, {"reason": "too_risky"})
    forged["user"]["id"] = "U0ALICE"
    await bot.slack.deliver(forged)
    assert await bot.status(request) is Status.PENDING


@pytest.mark.parametrize("action", ["review_approve", "review_deny"])
async def test_not_at_the_end_of_a_review(bot: Bot, action: str) -> None:
    request = await ask_for_alice(bot, long_arguments())
    modal = await reviewed(bot, request)
    await bot.slack.view_click("U0ALICE", modal.id, action)
    await told_no(bot)
    assert await bot.status(request) is Status.PENDING


async def reviewed(bot: Bot, request: Request) -> View:
    card = await bot.card(request)
    await bot.slack.click("U0ALICE", card.channel, card.ts, "review")
    modal = await bot.modal("U0ALICE", "Page 1 of")
    page = 1
    while "review_next" in modal.action_ids():
        page += 1
        await bot.slack.view_click("U0ALICE", modal.id, "review_next")
        modal = await bot.modal("U0ALICE", f"Page {page} of")
    return modal


async def test_they_get_no_copy_to_decide_on(database: Path) -> None:
    def arrange(slack: Playground) -> None:
        slack.workspace.change_channel("C0REFUNDS", is_archived=True)
        slack.workspace.set_usergroup_users("S0FINANCE", ["U0ALICE", "U0BOB"])

    async with running_bot(database, text=NO_FALLBACK, arrange=arrange) as bot:
        request = await ask_for_alice(bot)
        card = await bot.card(request, "U0BOB")
        await bot.until_delivered()
        assert bot.cards(request, "U0ALICE") == []
        await bot.slack.click("U0BOB", card.channel, card.ts, "approve")
        assert await bot.status(request) is Status.APPROVED


async def test_they_may_see_it_but_nothing_says_that_they_may_decide(bot: Bot) -> None:
    theirs = await ask_for_alice(bot)
    other = await bot.submit()
    seen = {one.drawing.request.id: one.may_decide for one in await bot.queries.pending("U0ALICE")}
    assert seen == {theirs.id: False, other.id: True}
