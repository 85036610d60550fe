"""Admins are told, each once, whatever becomes of the others' messages."""

from pathlib import Path

import pytest

from bot.notices import tell_admins
from playground.faults import Fault
from tests.conftest import SAMPLE
from tests.scenario.slack_support import Bot, running_bot
from tests.waiting import until

THREE = SAMPLE.replace('users = ["U0ADMIN"]', 'users = ["U0ADMIN", "U0ALICE", "U0SAM"]')


async def _tell(bot: Bot, kind: str = "passcode_locked") -> None:
    now = bot.clock()
    await bot.store.write(lambda unit: tell_admins(unit, now, kind, {"user": "U0BOB", "minutes": 15}))


async def test_every_admin_is_told(database: Path) -> None:
    async with running_bot(database, text=THREE) as bot:
        await _tell(bot)
        await bot.until_delivered()
        for admin in ("U0ADMIN", "U0ALICE", "U0SAM"):
            [message] = bot.slack.messages(admin)
            assert "<@U0BOB>" in message.text


@pytest.mark.parametrize("kind", ["lost", "error"])
async def test_one_who_is_reached_later_keeps_it_from_nobody_and_nobody_is_told_twice(
    database: Path, kind: str
) -> None:
    async with running_bot(database, text=THREE) as bot:
        code = {"error_code": "internal_error"} if kind == "error" else {}
        bot.slack.faults.add(Fault(kind, methods="chat.postMessage", channel="U0ADMIN", times=1, **code))
        await _tell(bot)
        await bot.slack.until(lambda: bot.slack.messages("U0SAM"))
        await until(lambda: bot.faults and not bot.deliverer.under_way)
        await bot.advance(minutes=2)
        await bot.until_delivered()
        for admin in ("U0ADMIN", "U0ALICE", "U0SAM"):
            assert len(bot.slack.messages(admin)) == 1


async def test_an_admin_whom_slack_does_not_know_does_not_hold_the_rest_up(database: Path) -> None:
    async with running_bot(database, text=THREE.replace('U0ALICE", "U0SAM', 'U0NOBODY", "U0SAM')) as bot:
        await _tell(bot)
        await _tell(bot, "a_kind_of_tomorrow")
        await bot.until_delivered()
        assert [len(bot.slack.messages(admin)) for admin in ("U0ADMIN", "U0SAM")] == [2, 2]
        assert bot.faults.count("channel_not_found") == 2
