"""A plan's steps as people in Slack live through them: in order, to the right people, nothing twice, nothing lost."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.absences import Absences
from playground import Fault, Playground
from store import statements_escalation
from store.tables import Status
from tests.scenario.steps_support import (
    DUE,
    asked,
    became,
    escalating,
    one_step,
    passes,
    planned,
    quiet,
    replies,
    taken,
)
from tests.waiting import until


async def test_four_steps_reach_the_right_people_in_order_and_every_copy_shows_the_decision(database: Path) -> None:
    async with escalating(database, planned()) as bot:
        request, card = await asked(bot)
        assert ">: reminds the reviewers." in bot.cards(request)[0].all_text()

        await passes(bot, 10.1, 1)
        [reply] = replies(bot)
        assert reply.thread_ts == card.ts
        assert reply.notified == {"U0ALICE", "U0BOB", "U0CAROL"}
        assert "4900" not in reply.all_text() + reply.text

        await passes(bot, 5, 2)
        [copy] = bot.slack.messages("C0LEADS")
        assert "<@U0MIA>" in copy.all_text()
        assert "approve" in copy.action_ids()

        await passes(bot, 5, 3)
        [dm] = bot.slack.messages("U0IVY")
        assert "approve" in dm.action_ids()

        await passes(bot, 5, 4)
        [notice] = bot.slack.messages("U0OWNER")
        assert notice.action_ids() == []
        assert "You own the agent" in notice.all_text()
        assert "4900" not in notice.all_text()

        assert await became(bot) == [
            ("thread", "notified", None),
            ("channel:C0LEADS", "notified", None),
            ("oncall:finance", "notified", None),
            ("owners", "notified", None),
        ]
        assert (await bot.slack.click("U0IVY", dm.channel, dm.ts, "approve")).ok
        assert await bot.status(request) is Status.APPROVED
        await quiet(bot)
        for message in (*bot.cards(request), *bot.cards(request, "C0LEADS"), *bot.slack.messages("U0IVY")):
            assert "Approved" in message.all_text()
            assert "approve" not in message.action_ids()
        assert len(replies(bot)) == 1


@pytest.mark.parametrize("order", [("oncall:finance", "channel:C0LEADS"), ("channel:C0LEADS", "oncall:finance")])
async def test_every_copy_names_those_on_call_whom_its_own_step_lets_decide(
    database: Path, order: tuple[str, str]
) -> None:
    async with escalating(database, one_step(*order, widen='widen = ["oncall:finance"]')) as bot:
        await asked(bot)
        await passes(bot, 10.1, 1)
        for place in ("C0LEADS", "U0IVY"):
            [copy] = bot.slack.messages(place)
            assert "<@U0IVY>" in copy.all_text()


async def test_a_copy_in_another_channel_decides(database: Path) -> None:
    async with escalating(database, one_step("channel:C0LEADS")) as bot:
        request, _ = await asked(bot)
        await passes(bot, 10.1, 1)
        [copy] = bot.slack.messages("C0LEADS")
        assert (await bot.slack.click("U0ALICE", "C0LEADS", copy.ts, "approve")).ok
        assert await bot.status(request) is Status.APPROVED


@pytest.mark.parametrize("target", ["thread", "channel:C0LEADS", "user:U0ALICE", "owners", "oncall:finance"])
@pytest.mark.parametrize("kind", ["lost", "500", "drop"])
async def test_a_lost_answer_doubles_nothing(database: Path, target: str, kind: str) -> None:
    async with escalating(database, one_step(target)) as bot:
        await asked(bot)
        before = sum(len(bot.slack.messages(place)) for place in _PLACES)
        bot.slack.faults.add(Fault(kind, methods="chat.postMessage", times=1))
        await bot.advance(minutes=10.1)
        await until(lambda: bot.faults and not bot.deliverer.under_way)
        await bot.advance(minutes=2)
        await quiet(bot)
        assert sum(len(bot.slack.messages(place)) for place in _PLACES) == before + 1
        assert [state for _, state, _ in await became(bot)] == ["notified"]


_PLACES = ("C0REFUNDS", "C0LEADS", "U0ALICE", "U0OWNER", "U0IVY")


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("channel:C0PARTNERS", "channel_shared"),
        ("channel:C0GENERAL", "not_in_channel"),
        ("channel:C0NOWHERE", "channel_not_found"),
        ("user:U0GUEST", "guest"),
        ("user:U0PAT", "foreign_team"),
        ("user:U0NOBODY", "unknown_person"),
        ("oncall:nobody", "no_one_on_call"),
        ("usergroup:S0EMPTY", "usergroup_unknown"),
    ],
)
async def test_a_target_that_fails_for_good_makes_the_next_step_due_at_once(
    database: Path, target: str, code: str
) -> None:
    more = '[[plans.standard.steps]]\nafter = "20m"\nnotify = ["owners"]'
    async with escalating(database, one_step(target, more=more)) as bot:
        await asked(bot)
        await passes(bot, 10.1, 2)
        assert await became(bot) == [(target, "failed", code), ("owners", "notified", None)]
        assert await taken(bot) == ["failed", "fired"]
        assert len(bot.slack.messages("U0OWNER")) == 1


async def test_a_private_channels_card_goes_to_no_public_channel(database: Path) -> None:
    text = one_step("channel:C0LEADS").replace('channel = "C0REFUNDS"', 'channel = "C0VAULT"')
    async with escalating(database, text) as bot:
        request = await bot.submit(lasts="1h")
        await bot.card(request, "C0VAULT")
        await passes(bot, 10.1, 1)
        assert await became(bot) == [("channel:C0LEADS", "failed", "less_private")]
        assert bot.slack.messages("C0LEADS") == []


async def test_who_wants_no_notifications_is_written_to_and_counts_as_not_reached(database: Path) -> None:
    def sleeping(slack: Playground) -> None:
        slack.workspace.change_user("U0IVY", dnd=True)

    async with escalating(database, one_step("oncall:finance", "owners"), sleeping) as bot:
        await asked(bot)
        await passes(bot, 10.1, 1)
        assert await became(bot) == [("oncall:finance", "failed", "do_not_disturb"), ("owners", "notified", None)]
        assert len(bot.slack.messages("U0IVY")) == 1


async def test_where_there_is_nobody_else_do_not_disturb_is_no_failure(database: Path) -> None:
    def sleeping(slack: Playground) -> None:
        slack.workspace.change_user("U0IVY", dnd=True)

    async with escalating(database, one_step("oncall:finance"), sleeping) as bot:
        await asked(bot)
        await passes(bot, 10.1, 1)
        assert await became(bot) == [("oncall:finance", "notified", None)]


async def test_nobody_gets_the_card_twice(database: Path) -> None:
    more = '[[plans.standard.steps]]\nafter = "5m"\nnotify = ["user:U0ALICE"]'
    async with escalating(database, one_step("user:U0ALICE", "usergroup:S0FINANCE", more=more)) as bot:
        await asked(bot)
        await passes(bot, 10.1, 1)
        assert len(bot.slack.messages("U0ALICE")) == 1
        assert len(bot.slack.messages("U0BOB")) == 1
        await passes(bot, 5, 2)
        [card, reminder] = bot.slack.messages("U0ALICE")
        assert "approve" in card.action_ids()
        assert reminder.action_ids() == []
        assert "still waits for you" in reminder.all_text()


async def test_who_stands_in_for_somebody_away_is_told_as_well_and_gains_no_right(database: Path) -> None:
    async with escalating(database, one_step("user:U0ALICE")) as bot:
        facts = await bot.directory.load_facts(["U0ALICE", "U0SAM"], [])
        absences = Absences(bot.store, bot.clock)
        await absences.say("U0ALICE", "U0SAM", bot.clock() + timedelta(days=1), facts)
        await asked(bot)
        await passes(bot, 10.1, 1)
        assert "approve" in bot.slack.messages("U0ALICE")[0].action_ids()
        [notice] = bot.slack.messages("U0SAM")
        assert notice.action_ids() == []
        assert "You stand in for <@U0ALICE>" in notice.all_text()


@pytest.mark.parametrize(("away", "is_dark"), [("U0ALICE", False), ("U0BOB", False), ("U0ALICE", True)])
async def test_a_reminder_mentions_who_stands_in_for_those_whom_it_mentions(
    database: Path, away: str, is_dark: bool
) -> None:
    """By name, or with the user group they are in; where Slack does not say who is, by name alone."""
    async with escalating(database, one_step("thread")) as bot:
        facts = await bot.directory.load_facts([away, "U0SAM"], [])
        await Absences(bot.store, bot.clock).say(away, "U0SAM", bot.clock() + timedelta(days=1), facts)
        await asked(bot)
        if is_dark:
            bot.slack.faults.add(Fault("500", methods="usergroups.users.list"))
        await passes(bot, 10.1, 1)
        [reply] = replies(bot)
        assert "<@U0SAM>" in reply.all_text()


async def test_those_on_call_may_decide_even_if_no_message_reaches_them(database: Path) -> None:
    text = one_step("channel:C0NOWHERE", widen='widen = ["oncall:finance"]')
    async with escalating(database, text) as bot:
        request, card = await asked(bot)
        await passes(bot, 10.1, 1)
        assert (await bot.slack.click("U0IVY", card.channel, card.ts, "approve")).ok
        assert await bot.status(request) is Status.APPROVED


async def test_a_request_that_is_decided_meanwhile_is_dropped_quietly(database: Path) -> None:
    async with escalating(database, one_step("thread", "channel:C0LEADS", "owners")) as bot:
        request, card = await asked(bot)
        blocked = bot.slack.faults.add(Fault("500", methods="chat.postMessage"))
        await bot.advance(minutes=10.1)
        await until(lambda: len(bot.faults) >= 3 and not bot.deliverer.under_way)
        assert (await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
        bot.slack.faults.remove(blocked)

        async def is_sent() -> bool:  # what was under way meanwhile may be put off once more
            await bot.advance(seconds=5)
            return not await bot.store.read(lambda unit: unit.one(DUE)) and not bot.deliverer.under_way

        await until(is_sent)
        assert await bot.status(request) is Status.APPROVED
        assert {code for _, _, code in await became(bot)} == {"decided"}
        assert [len(bot.slack.messages(place)) for place in ("C0REFUNDS", "C0LEADS", "U0OWNER")] == [1, 0, 0]


async def test_a_copy_that_came_without_our_hearing_of_it_shows_the_decision(database: Path) -> None:
    async with escalating(database, one_step("channel:C0LEADS")) as bot:
        _, card = await asked(bot)
        bot.slack.faults.add(Fault("lost", methods="chat.postMessage", channel="C0LEADS", times=1))
        await bot.advance(minutes=10.1)
        await until(lambda: bot.faults and not bot.deliverer.under_way)
        assert (await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
        await bot.advance(minutes=2)

        async def is_drawn() -> bool:
            await bot.advance(seconds=5)
            return any("Approved" in message.all_text() for message in bot.slack.messages("C0LEADS"))

        await until(is_drawn)


async def test_somebody_on_it_is_shown_and_holds_the_next_step_up(database: Path) -> None:
    async with escalating(database, one_step("thread")) as bot:
        request, card = await asked(bot)
        assert (await bot.slack.click("U0ALICE", card.channel, card.ts, "claim")).ok
        await quiet(bot)
        assert "<@U0ALICE> is on it <!date^" in bot.cards(request)[0].all_text()
        await bot.advance(minutes=11)
        await quiet(bot)
        assert replies(bot) == []
        await bot.slack.click("U0ALICE", card.channel, card.ts, "claim")
        await bot.modal("U0ALICE", "on it")
        await bot.slack.click("U0SAM", card.channel, card.ts, "claim")
        await bot.modal("U0SAM", "only its reviewers")


async def test_two_hours_without_slack_widen_nothing_and_double_nothing(database: Path) -> None:
    text = planned(
        '[reviewers.leads]\nusers = ["U0MIA"]\n[plans.standard]\n[[plans.standard.steps]]\nafter = "10m"\n'
        'notify = ["thread"]\n[[plans.standard.steps]]\nafter = "20m"\nnotify = ["user:U0MIA"]\nwiden = ["leads"]\n'
    ).replace('max_timeout = "1h"', 'max_timeout = "8h"')
    async with escalating(database, text) as bot:
        made = [await bot.submit(lasts="8h") for _ in range(50)]
        for request in made:
            await bot.card(request)
        await quiet(bot)
        dead = bot.slack.faults.add(Fault("drop"))
        for _ in range(24):
            await bot.advance(minutes=5)
            for _ in range(20):
                await bot.outbox.waiting()
        widened = await bot.store.read(
            lambda unit: unit.all(statements_escalation.WIDENINGS_OF, request_number=made[0].number)
        )
        assert widened == []
        assert replies(bot) == []
        bot.slack.faults.remove(dead)

        async def are_told() -> bool:
            if not bot.deliverer.under_way:  # or the next step would come while this one is carried out
                await bot.advance(seconds=1)
            return len(replies(bot)) >= len(made)

        await until(are_told, 60)
        await bot.advance(minutes=1)
        assert len(replies(bot)) == len(made)
        assert len({reply.thread_ts for reply in replies(bot)}) == len(made)
        assert bot.slack.messages("U0MIA") == []
