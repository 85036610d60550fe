"""The service while Slack is dead: plans stand still, deadlines do not; afterwards all goes on, nothing twice."""

import asyncio
from pathlib import Path
from typing import Any

from playground import Fault, Playground
from store.tables import Status
from tests.conftest import SAMPLE
from tests.scenario.escalation_support import PLANNED
from tests.scenario.service_support import assert_sound
from tests.scenario.slack_support import Bot, running_bot
from tests.stores import rows_at
from tests.waiting import until

TEXT = PLANNED.replace('max_timeout = "1h"', 'max_timeout = "8h"').replace('hours = "Mon-Fri 09:00-18:00 UTC"\n', "")
THREADS = (
    SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nplan = "threads"').replace('"1h"', '"8h"')
    + "[plans.threads]\n"
    + "".join(f'[[plans.threads.steps]]\nafter = "{after}"\nnotify = ["thread"]\n' for after in ("10m", "10m", "4h"))
)
PENDING = 50
OUT_MINUTES = 120


def hire_leads(slack: Playground) -> None:
    """Let there be whom the plan asks: with people whom Slack does not know, it is tried for a minute and more."""
    for user in ("U0LEA", "U0LUKE"):
        slack.workspace.add_user(user)
    slack.workspace.add_usergroup("S0LEADS", handle="leads", name="Leads", users=["U0LUKE"])
    slack.workspace.add_channel("C0LEADS", name="leads", members=["U0LEA", "U0LUKE", slack.bot_user_id])


async def let_pass(bot: Bot, minutes: float) -> None:
    """Let time pass, and whatever comes due be looked at."""
    await bot.advance(minutes=minutes)
    while (sweep := bot.sweeper._sweeping) is not None and not sweep.done():
        await asyncio.gather(sweep)
    if bot.service.pulse._asking is not None:
        await asyncio.gather(bot.service.pulse._asking)


def taken(bot: Bot) -> list[Any]:
    return rows_at(bot.store.path, 'SELECT "index", count(*) FROM taken_steps GROUP BY 1 ORDER BY 1')


async def test_with_slack_dead_for_two_hours_nothing_is_escalated_and_then_all_goes_on(database: Path) -> None:
    async with running_bot(database, text=TEXT, arrange=hire_leads) as bot:
        requests = [await bot.submit(lasts="8h") for _ in range(PENDING)]
        short = await bot.submit(lasts="30m")
        await bot.until_delivered()
        bot.slack.faults.add(Fault("dead"))
        for _ in range(OUT_MINUTES // 5):
            await let_pass(bot, 5)
        assert taken(bot) == []
        assert await bot.status(short) is Status.EXPIRED  # deadlines do not stand still
        assert await bot.service.escalations.overdue_seconds() >= (OUT_MINUTES - 10) * 60
        bot.slack.faults.clear()
        await let_pass(bot, 0.05)
        await until(lambda: taken(bot) == [(0, PENDING)])  # the first of each, and no cascade
        await let_pass(bot, 4)
        assert taken(bot) == [(0, PENDING)]
        assert rows_at(database, "SELECT count(*) FROM seat_widenings") == [(0,)]
        await let_pass(bot, 1)
        await until(lambda: taken(bot) == [(0, PENDING), (1, PENDING)])
        assert rows_at(database, "SELECT count(*) FROM seat_widenings") == [(PENDING,)]
        assert {await bot.status(request) for request in requests} == {Status.PENDING}
        await bot.until_delivered()  # or it would be said that people are told too late
        assert await bot.service.escalations.overdue_seconds() == 0
    assert_sound(database)


async def test_what_was_to_be_told_when_slack_died_is_told_once_and_does_not_pile_up(database: Path) -> None:
    async with running_bot(database, text=THREADS) as bot:
        await bot.submit(lasts="8h")
        await bot.until_delivered()
        bot.slack.faults.add(Fault("500", methods="chat.*"))
        await let_pass(bot, 10)
        await until(lambda: taken(bot) == [(0, 1)])
        bot.slack.faults.add(Fault("dead"))
        for _ in range(12):
            await let_pass(bot, 10)
        waiting = rows_at(database, "SELECT about FROM outbox WHERE kind = 'notify'")
        assert (taken(bot), len(waiting)) == ([(0, 1)], 1)
        before = len(bot.slack.messages("C0REFUNDS"))
        bot.slack.faults.clear()
        await let_pass(bot, 0.05)
        await until(lambda: taken(bot) == [(0, 1), (1, 1)])  # the second, which was overdue, and no more
        async with asyncio.timeout(20):
            while rows_at(database, "SELECT 1 FROM outbox"):  # what is to be tried again in a while is tried
                await let_pass(bot, 0.02)
                await asyncio.sleep(0)
        assert len(bot.slack.messages("C0REFUNDS")) == before + 2
        assert rows_at(database, "SELECT DISTINCT state FROM step_targets") == [("notified",)]
        assert len(taken(bot)) == 2


async def test_one_method_of_slack_s_that_fails_holds_no_plan_up(database: Path) -> None:
    async with running_bot(database, text=TEXT) as bot:
        await bot.submit(lasts="8h")
        await bot.until_delivered()
        bot.slack.faults.add(Fault("500", methods="chat.*"))
        for index, minutes in enumerate((10, 5, 5)):
            await let_pass(bot, minutes)
            await until(lambda index=index: len(taken(bot)) > index)  # type: ignore[misc]  # bound in each round
