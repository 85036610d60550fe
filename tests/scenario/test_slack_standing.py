"""``/signoff standing``: the list, its pages, *Lift* and *Reopen*, for those who may, in both of Slack's modes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.hearings import Act
from handlers.slack.held import BACK, LIFT, NEXT, REOPEN, ROWS
from playground.model import Message
from store.tables import FullView, Request, Status, VoteKind
from tests.scenario.slack_support import Bot, running_bot
from tests.stores import rows_at


@pytest.fixture(params=["socket", "http"])
async def bot(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, mode=request.param) as bot:
        yield bot


@pytest.fixture
async def one_bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database) as bot:
        yield bot


async def changed(bot: Bot, at: int = 0) -> Request:
    """A request that U0ALICE approved with changes."""
    asked = await bot.submit(f'{{"amount": {at}}}')
    await bot.card(asked)
    act = Act(f"change{at}", "U0ALICE", "T0PLAYGROUND", "modal", full_view=FullView.FORM)
    await bot.service.standing.approve_with_changes(
        asked.number, act, f'{{"amount": 49{at}}}', seen=FullView.CARD, reason="as agreed"
    )
    return asked


async def standing(bot: Bot, user: str, rest: str = "") -> Message:
    before = len(bot.slack.ephemerals(user))
    assert (await bot.slack.slash(user, "C0REFUNDS", f"/signoff standing {rest}")).ok
    await bot.slack.until(lambda: len(bot.slack.ephemerals(user)) > before)
    return bot.slack.ephemerals(user)[-1]


async def says(bot: Bot, user: str, words: str) -> Message:
    def shown() -> Message | None:
        return next((one for one in bot.slack.ephemerals(user) if words in one.all_text()), None)

    found = await bot.slack.until(shown)
    assert found is not None
    return found


async def test_lift_in_the_list(bot: Bot) -> None:
    await changed(bot)
    shown = await standing(bot, "U0ALICE")
    assert "1 vote cast ahead, 1 remembered denial" in shown.all_text()
    assert "as agreed" in shown.all_text()
    await bot.slack.click("U0ALICE", shown.channel, shown.ts, LIFT)
    assert rows_at(bot.store.path, "SELECT 1 FROM standing_votes WHERE lifted_at IS NULL") == []  # before the ack
    after = await says(bot, "U0ALICE", "*Lifted*")
    assert "0 votes cast ahead" in after.all_text()
    assert (await bot.submit('{"amount": 490}')).status is Status.PENDING


async def test_reopen_in_the_list(bot: Bot) -> None:
    asked = await bot.submit()
    await bot.card(asked)
    act = Act("deny", "U0ALICE", "T0PLAYGROUND", "modal")
    await bot.decisions.vote(asked.number, act, VoteKind.DENY, "no")
    shown = await standing(bot, "U0BOB")
    await bot.slack.click("U0BOB", shown.channel, shown.ts, REOPEN)
    assert "Nothing is held ahead" in (await says(bot, "U0BOB", "*Reopened*")).all_text()
    assert (await bot.submit()).status is Status.PENDING


async def test_who_may_not_is_told(one_bot: Bot) -> None:
    """The list of another, a button's number by hand, and the list of who has no right."""
    bot = one_bot
    await changed(bot)
    shown = await standing(bot, "U0BOB")
    assert LIFT not in shown.action_ids()
    await bot.slack.click("U0BOB", shown.channel, shown.ts, REOPEN, value="99:1")
    await bot.modal("U0BOB", "You may not see this request.")
    await bot.slack.click("U0BOB", shown.channel, shown.ts, REOPEN, value="x")
    await bot.modal("U0BOB", "Not possible")
    mine = await standing(bot, "U0ALICE")
    await bot.slack.click("U0ALICE", mine.channel, mine.ts, LIFT, value="99:1")
    await bot.modal("U0ALICE", "Only who cast that vote")
    assert rows_at(bot.store.path, "SELECT 1 FROM standing_votes WHERE lifted_at IS NULL") == [(1,)]
    assert "Nothing is held ahead" in (await standing(bot, "U0GUEST")).all_text()


async def test_what_is_gone_is_said(one_bot: Bot) -> None:
    """The list is old: the agent has taken the vote since."""
    bot = one_bot
    await changed(bot)
    shown = await standing(bot, "U0ALICE")
    taken = await bot.submit('{"amount": 490}')
    assert taken.status is Status.APPROVED
    await bot.slack.click("U0ALICE", shown.channel, shown.ts, LIFT)
    await bot.modal("U0ALICE", f"It was counted on #{taken.number} already.")


async def test_pages_turn_and_what_is_wrong_is_helped(one_bot: Bot) -> None:
    bot = one_bot
    for at in range(1, ROWS + 1):
        await changed(bot, at)
    shown = await standing(bot, "U0ADMIN")
    assert f"1 to {ROWS} of {2 * ROWS}. Page 1 of 2" in shown.all_text()
    await bot.slack.click("U0ADMIN", shown.channel, shown.ts, NEXT)
    second = await says(bot, "U0ADMIN", "Page 2 of 2")
    await bot.slack.click("U0ADMIN", second.channel, second.ts, BACK)
    await says(bot, "U0ADMIN", "Page 1 of 2")
    assert "Page 2 of 2" in (await standing(bot, "U0ADMIN", "page 99")).all_text()
    assert "standing page 2 goes on" in (await standing(bot, "U0ADMIN", "of bob")).all_text()
