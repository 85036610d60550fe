"""Plans of requests that came too fast for a card each: their reminders do not come too fast either."""

from pathlib import Path

from store.tables import Request
from tests.conftest import SAMPLE
from tests.scenario.escalation_support import rows_at
from tests.scenario.queue_support import TWO_AGENTS, burst, crowded_bot, delivered_in_time, settled, the_queue_card
from tests.scenario.slack_support import Bot
from tests.scenario.steps_support import replies
from tests.waiting import until

PLAN = '[plans.standard]\nbefore_deadline = "20m"\n[[plans.standard.steps]]\nafter = "10m"\nnotify = ["thread"]\n'
PLANNED = SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nplan = "standard"') + PLAN
TWO_RULES = TWO_AGENTS.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nplan = "standard"') + PLAN


async def gathered(bot: Bot, count: int) -> list[Request]:
    requests = await burst(bot, count, lasts="1h")
    await bot.deliverer.start()
    await the_queue_card(bot)
    await settled(bot)
    return requests


def became(database: Path) -> list[tuple[str, str | None]]:
    return rows_at(database, "SELECT state, code FROM step_targets ORDER BY code IS NOT NULL, id")


async def pass_by(bot: Bot, minutes: float, steps: int) -> None:
    """Let minutes pass until so many steps are taken in all, and all is sent."""
    await bot.advance(minutes=minutes)

    def are_taken() -> bool:
        bot.sweeper.wake()
        return rows_at(bot.store.path, "SELECT count(*) FROM taken_steps") == [(steps,)]

    await until(are_taken, 30)
    await delivered_in_time(bot)


async def test_one_reminder_speaks_for_all_that_stand_on_a_queue_card(database: Path) -> None:
    """One each would take a channel that takes few messages for as long as the burst itself would have."""
    async with crowded_bot(database, text=PLANNED) as bot:
        await gathered(bot, 12)
        await pass_by(bot, 10, 12)
        assert 1 <= len(replies(bot)) <= 2  # as many as may be sent at once
        assert "#1 and 11 more on this list still wait for a decision" in replies(bot)[0].all_text()
        assert "Decide #1 by" in replies(bot)[0].all_text()
        assert replies(bot)[0].notified == {"U0ALICE", "U0BOB", "U0CAROL"}
        assert {state for state, _ in became(database)} == {"notified"}
        assert [code for _, code in became(database)].count("told_together") >= 10
        before = len(replies(bot))
        await pass_by(bot, 30, 24)
        assert 1 <= len(replies(bot)) - before <= 2  # the last one is another
        assert "Last reminder of #1 and 11 more" in replies(bot)[before].all_text()


async def test_requests_of_another_rule_have_a_reminder_of_their_own(database: Path) -> None:
    async with crowded_bot(database, text=TWO_RULES) as bot:
        other, _ = await bot.service.instances.create("mails", "mail-bot")
        await burst(bot, 6, other, lasts="1h")
        await gathered(bot, 6)
        await pass_by(bot, 10, 12)
        words = " ".join(reply.all_text() for reply in replies(bot))
        assert "#1 and 5 more" in words
        assert "#7 and 5 more" in words
        assert len(replies(bot)) <= 4
