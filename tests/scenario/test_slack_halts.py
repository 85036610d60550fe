"""Pausing and resuming in Slack: typed, and on the gathered notice of what a rule approved by itself."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.digests import SETTLED
from bot.errors import AgentPaused
from bot.hearings import Act
from handlers.slack.digest_card import LIFT, STOP
from handlers.slack.halt_answers import REASON_BLOCK
from playground import Fault
from playground.model import Message
from store.tables import Request, Status
from tests.conftest import SAMPLE, submission
from tests.scenario.slack_support import Bot, running_bot

ASKING = SAMPLE.replace(
    'stage = "autonomous"\n', 'stage = "autonomous"\nchannel = "C0REFUNDS"\nreviewers = ["finance"]\n'
)


@pytest.fixture(params=["socket", "http"])
async def bot(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, mode=request.param, text=ASKING) as bot:
        yield bot


@pytest.fixture
async def one_bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, text=ASKING) as bot:
        yield bot


async def answer(bot: Bot, user: str, text: str) -> str:
    before = len(bot.slack.ephemerals(user))
    assert (await bot.slack.slash(user, "C0REFUNDS", f"/signoff {text}")).ok
    await bot.slack.until(lambda: len(bot.slack.ephemerals(user)) > before)
    return bot.slack.ephemerals(user)[-1].all_text()


async def look_up(bot: Bot, key: str, tool: str = "look_up") -> Request:
    made, _ = await bot.creation.submit(bot.instance, submission(tool), key)
    return made


def notices(bot: Bot) -> list[Message]:
    return [one for one in bot.slack.messages("C0REFUNDS") if "by itself" in one.all_text()]


async def gather(bot: Bot) -> Message:
    """Let a minute's notice be posted, and return it."""
    before = len(notices(bot))
    bot.clock.advance(SETTLED)
    assert await bot.service.digests.gather()
    await bot.slack.until(lambda: len(notices(bot)) > before)
    await bot.until_delivered()
    return notices(bot)[-1]


async def test_pause_and_resume(bot: Bot) -> None:
    made = await look_up(bot, "a")
    told = await answer(bot, "U0ALICE", "pause refund-bot for 2h it refunds too much")
    assert "Agent refund-bot is paused" in told
    assert "it refunds too much" in told
    assert (await look_up(bot, "b")).note is not None
    with pytest.raises(AgentPaused):
        await bot.approvals.consume(bot.instance, made.id, "k")
    listed = await answer(bot, "U0ALICE", "pause")
    assert "Agent refund-bot" in listed
    assert "<@U0ALICE>" in listed
    assert "goes on" in await answer(bot, "U0ALICE", "resume refund-bot it is repaired")
    assert (await bot.approvals.consume(bot.instance, made.id, "k")).consumed_at is not None
    assert "Nothing is paused or stopped" in await answer(bot, "U0ALICE", "resume")


async def test_approving_on_the_card_says_that_it_is_paused(bot: Bot) -> None:
    asked = await bot.submit()
    card = await bot.card(asked)
    await answer(bot, "U0ALICE", "pause all an incident")
    await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    shown = await bot.modal("U0ALICE", "paused")
    assert all(one in shown.all_text() for one in ("Nothing was approved", "*Every agent is paused*", "an incident"))
    assert await bot.status(asked) is Status.PENDING


async def test_stop_this_rule_on_the_notice_and_lift_it(bot: Bot) -> None:
    await look_up(bot, "a")
    await look_up(bot, "b")
    notice = await gather(bot)
    assert all(
        one in notice.all_text() for one in ("Rule look-ups approved 2 calls by itself", "refund-bot", "look_up", "#2")
    )
    assert "{}" not in notice.all_text()
    await bot.slack.click("U0BOB", notice.channel, notice.ts, STOP)
    form = await bot.modal("U0BOB", "asks its reviewers")
    refused = await bot.slack.submit("U0BOB", form.id, {REASON_BLOCK: "\u200b"})
    assert "Say why" in str(refused)
    await bot.slack.submit("U0BOB", form.id, {REASON_BLOCK: "look at each"})
    assert "may not approve by itself" in (await bot.modal("U0BOB", "may not approve")).all_text()
    asked = await look_up(bot, "c")
    assert asked.status is Status.PENDING
    await bot.card(asked)
    await bot.until_delivered()
    stopped = bot.slack.message("C0REFUNDS", notice.ts)
    assert stopped is not None
    assert "*Stopped* by <@U0BOB>" in stopped.all_text()
    assert "look at each" in stopped.all_text()
    await bot.slack.click("U0CAROL", stopped.channel, stopped.ts, LIFT)
    form = await bot.modal("U0CAROL", "approves by itself again")
    await bot.slack.submit("U0CAROL", form.id, {REASON_BLOCK: "it was fine"})
    await bot.modal("U0CAROL", "Rule look-ups approves by itself again.")
    assert (await look_up(bot, "d")).status is Status.APPROVED
    await bot.until_delivered()
    lifted = bot.slack.message("C0REFUNDS", notice.ts)
    assert lifted is not None
    assert "*Stopped* by" not in lifted.all_text()


@pytest.mark.parametrize("user", ["U0GUEST", "U0SAM"])
async def test_who_may_not_is_told(one_bot: Bot, user: str) -> None:
    told = await answer(one_bot, user, "pause refund-bot too much")
    assert any(words in told for words in ("Guests cannot", "Only members", "Only reviewers"))
    assert "paused*" not in told
    assert await one_bot.service.halts.in_force() == []
    assert (await look_up(one_bot, "a")).status is Status.APPROVED


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("pause refund-bt it refunds too much", "Did you mean refund-bot?"),
        ("pause refunds it refunds too much", "Did you mean rule:refunds?"),
        ("pause refund-bot", "Say why, as in /signoff pause refund-bot for 2h"),
        ("pause refund-bot for 2h", "Say why"),
        ("pause refund-bot \u200b\u2060", "Say why"),
        ("resume refund-bot", "Say why"),
        ("resume refund-bot go on", "is not paused"),
        ("pause refund-bot until 2026-01-01 too much", "over already"),
        ("paus", "Did you mean"),
    ],
)
async def test_mistakes_are_helped_and_stop_nothing(one_bot: Bot, typed: str, told: str) -> None:
    assert told in await answer(one_bot, "U0ALICE", typed)
    assert await one_bot.service.halts.in_force() == []


async def test_a_rule_with_spaces_and_a_time_in_ones_own_zone(one_bot: Bot) -> None:
    assert "Rule look-ups is paused* until" in await answer(one_bot, "U0ALICE", "pause rule look-ups until noon lunch")
    (halt,) = await one_bot.service.halts.in_force()
    assert halt.reason == "lunch"
    assert halt.until is not None


async def test_a_form_that_was_made_up_gives_no_right(one_bot: Bot) -> None:
    """What it is about is judged by the rights of whoever sends it; what is not ours is refused."""
    await look_up(one_bot, "a")
    notice = await gather(one_bot)
    await one_bot.slack.click("U0SAM", notice.channel, notice.ts, STOP)
    form = await one_bot.modal("U0SAM", "Stop the rule")
    assert json.loads(form.private_metadata) == {"rule": "look-ups"}
    await one_bot.slack.submit("U0SAM", form.id, {REASON_BLOCK: "because"})
    assert "Only reviewers of the rule" in (await one_bot.modal("U0SAM", "Only reviewers")).all_text()
    assert await one_bot.service.halts.in_force() == []


async def test_a_press_on_another_message_is_no_press(one_bot: Bot) -> None:
    card = await one_bot.card(await one_bot.submit())
    payload = one_bot.slack.click_payload("U0ALICE", card.channel, card.ts, "approve")
    payload["actions"][0]["action_id"] = STOP
    await one_bot.slack.deliver(payload)
    assert "not a card that Signoff posted" in (await one_bot.modal("U0ALICE", "not a card")).all_text()


async def test_through_an_outage_of_slack_one_notice_tells_of_all(one_bot: Bot) -> None:
    one_bot.slack.faults.add(outage := Fault("500", methods="conversations.info"))
    for key in "abc":
        await look_up(one_bot, key)
        one_bot.clock.advance(SETTLED)
        assert await one_bot.service.digests.gather() == 1
    await one_bot.slack.until(lambda: bool(one_bot.faults))
    one_bot.slack.faults.remove(outage)
    await one_bot.advance(minutes=2)
    await one_bot.slack.until(lambda: notices(one_bot))
    assert ["approved 3 calls" in one.all_text() for one in notices(one_bot)] == [True]


async def test_a_lost_answer_posts_no_notice_twice(one_bot: Bot) -> None:
    one_bot.slack.faults.add(Fault("lost", methods="chat.postMessage", times=1))
    await look_up(one_bot, "a")
    one_bot.clock.advance(SETTLED)
    await one_bot.service.digests.gather()
    await one_bot.slack.until(lambda: bool(one_bot.faults))
    await one_bot.advance(minutes=2)
    await one_bot.until_delivered()
    assert len(notices(one_bot)) == 1
    await one_bot.service.halts.stop_rule("look-ups", Act("t", "U0BOB", "T0HOME", "card"), "look")
    await one_bot.until_delivered()
    assert "*Stopped* by" in notices(one_bot)[0].all_text()


async def test_a_closed_channel_loses_no_notice(one_bot: Bot) -> None:
    await look_up(one_bot, "a")
    one_bot.slack.faults.add(Fault("is_archived"))
    one_bot.clock.advance(SETTLED)
    await one_bot.sweeper._gather()  # as the clock does each minute
    await one_bot.slack.until(lambda: "is_archived" in one_bot.faults)
    assert await one_bot.outbox.waiting() == 1


async def test_a_reason_reads_as_it_was_typed(one_bot: Bot) -> None:
    told = await answer(one_bot, "U0ALICE", "pause refund-bot a <b> & c, says @bob in #refunds <!channel>")
    (halt,) = await one_bot.service.halts.in_force()
    assert halt.reason == "a <b> & c, says @bob in #refunds <!channel>"
    assert "<!channel>" in told  # in rich text, where nothing pings
    quotes = one_bot.slack.ephemerals("U0ALICE")[-1].blocks
    assert not any("<!channel>" in str(block) for block in quotes if block["type"] != "rich_text")
