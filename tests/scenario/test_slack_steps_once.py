"""Steps whose circumstances change between two tries: nobody is told twice, nothing stays behind, no right grows."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.decisions import Act
from bot.errors import NotYourDecision
from bot.oncall import OnCallNow, OnCallTrouble
from playground import Fault, Playground
from store import statements_escalation
from store.tables import CardState, FullView, Status, VoteKind
from tests.scenario.slack_support import Bot
from tests.scenario.steps_support import asked, became, escalating, one_step, passes, planned, quiet, taken
from tests.waiting import until

DUTY = (
    '[oncall.duty]\nusergroup = "S0DUTY"\n[plans.standard]\n[[plans.standard.steps]]\nafter = "10m"\n'
    'notify = ["oncall:duty"]\n[[plans.standard.steps]]\nafter = "5m"\nnotify = ["owners"]\n'
    'widen = ["oncall:duty"]\n'
)


def on_duty(*users: str) -> Callable[[Playground], None]:
    def arrange(slack: Playground) -> None:
        slack.workspace.add_usergroup("S0DUTY", handle="duty", users=list(users))

    return arrange


async def tried(bot: Bot, faults: int) -> None:
    """Wait until so many calls to Slack failed and nothing is under way."""
    await until(lambda: len(bot.faults) >= faults and not bot.deliverer.under_way)


async def settled(bot: Bot, steps: int) -> None:
    """Let time pass, to whatever is due next, until so many steps are taken and every target of them is settled."""

    async def are_settled() -> bool:
        bot.sweeper.wake()
        due = await bot.outbox.next_due()
        if due is not None and due > bot.clock() and not bot.deliverer.under_way:
            await bot.advance(seconds=(due - bot.clock()).total_seconds() + 0.01)
        return len(await taken(bot)) >= steps and all(state != "waiting" for _, state, _ in await became(bot))

    await until(are_settled, 30)
    await quiet(bot)


# --- nobody twice -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", [("oncall:finance", "owners"), ("owners", "oncall:finance", "user:U0OWNER")])
async def test_who_is_meant_by_several_targets_gets_one_notice(database: Path, targets: tuple[str, ...]) -> None:
    text = one_step(*targets).replace('users = ["U0IVY"]', 'users = ["U0OWNER", "U0IVY"]')
    async with escalating(database, text) as bot:
        await asked(bot)
        await passes(bot, 10.1, 1)
        assert len(bot.slack.messages("U0OWNER")) == 1
        assert len(bot.slack.messages("U0IVY")) == 1
        assert await became(bot) == [(target, "notified", None) for target in targets]


async def test_who_has_the_card_is_reminded_once_a_step(database: Path) -> None:
    more = '[[plans.standard.steps]]\nafter = "5m"\nnotify = ["usergroup:S0FINANCE", "user:U0ALICE"]'
    async with escalating(database, one_step("user:U0ALICE", more=more)) as bot:
        await asked(bot)
        await passes(bot, 10.1, 1)
        await passes(bot, 5, 2)
        assert len(bot.slack.messages("U0ALICE")) == 2  # the card, a reminder


@pytest.mark.parametrize("busy", ["U0SAM", "U0ALICE"])  # who gets a notice, and who gets the card
async def test_who_was_told_is_not_told_again_while_another_waits_for_their_turn(database: Path, busy: str) -> None:
    text = one_step("oncall:finance").replace('users = ["U0IVY"]', 'users = ["U0ALICE", "U0OWNER", "U0SAM"]')
    async with escalating(database, text) as bot:
        await asked(bot)
        now = bot.clock() + timedelta(minutes=10.1)
        bot.carrier._posts.hold(busy, now, now + timedelta(seconds=30))
        await bot.advance(minutes=10.1)
        await until(lambda: bot.slack.messages("U0OWNER") and not bot.deliverer.under_way)
        await settled(bot, 1)
        assert [len(bot.slack.messages(user)) for user in ("U0ALICE", "U0OWNER", "U0SAM")] == [1, 1, 1]


# --- nothing left behind ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lost", "500"])
async def test_a_copy_for_somebody_who_is_meant_no_more_is_found_or_dropped(database: Path, kind: str) -> None:
    async with escalating(database, one_step("usergroup:S0DUTY"), on_duty("U0ALICE")) as bot:
        request, card = await asked(bot)
        bot.slack.faults.add(Fault(kind, methods="chat.postMessage", times=1))
        await bot.advance(minutes=10.1)
        await tried(bot, 1)
        bot.slack.workspace.set_usergroup_users("S0DUTY", ["U0BOB"])
        await bot.advance(minutes=1)  # what Slack said of the group is old by then
        await settled(bot, 1)
        assert all(one.state is not CardState.POSTING for one in await bot.outbox.cards_of(request))
        assert (await bot.slack.click("U0CAROL", card.channel, card.ts, "approve")).ok
        await quiet(bot)
        assert await bot.status(request) is Status.APPROVED
        for message in (*bot.slack.messages("U0ALICE"), *bot.slack.messages("U0BOB")):
            assert "Approved" in message.all_text()
        assert len(bot.slack.messages("U0BOB")) == 1


# --- no right by what is not known ------------------------------------------------------------------------


def act_of(user: str) -> Act:
    return Act(f"act-{user}", user, "T0HOME", "card", "C0REFUNDS", FullView.CARD)


async def test_who_was_on_call_before_gains_no_right_while_slack_does_not_tell_who_is(database: Path) -> None:
    """What is remembered of a user group serves to tell people; somebody may have left it since."""
    async with escalating(database, planned(DUTY), on_duty("U0IVY")) as bot:
        request, _ = await asked(bot)
        await passes(bot, 10.1, 1)
        assert len(bot.slack.messages("U0IVY")) == 1
        bot.slack.workspace.set_usergroup_users("S0DUTY", ["U0MIA"])
        bot.slack.faults.add(Fault("500", methods="usergroups.users.list"))
        await bot.advance(minutes=5)
        await settled(bot, 2)
        widened = await bot.store.read(
            lambda unit: unit.all(statements_escalation.WIDENINGS_OF, request_number=request.number)
        )
        assert widened == []
        assert "usergroup_unavailable" in bot.faults
        bot.slack.faults.clear()
        await bot.advance(minutes=1)
        with pytest.raises(NotYourDecision):
            await bot.decisions.vote(request.number, act_of("U0IVY"), VoteKind.APPROVE)


async def test_a_short_silence_of_slack_costs_nobody_on_call_their_right(database: Path) -> None:
    async with escalating(database, planned(DUTY), on_duty("U0IVY")) as bot:
        request, _ = await asked(bot)
        await passes(bot, 10.1, 1)
        bot.slack.workspace.set_usergroup_users("S0DUTY", ["U0MIA"])
        bot.slack.faults.add(Fault("500", methods="usergroups.users.list", times=2))
        await bot.advance(minutes=5)
        await settled(bot, 2)
        with pytest.raises(NotYourDecision):
            await bot.decisions.vote(request.number, act_of("U0IVY"), VoteKind.APPROVE)
        decided = await bot.decisions.vote(request.number, act_of("U0MIA"), VoteKind.APPROVE)
        assert decided.status is Status.APPROVED


async def test_a_calendar_that_was_last_read_long_ago_tells_people_and_lets_nobody_decide(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = one_step("oncall:finance", widen='widen = ["oncall:finance"]')
    async with escalating(database, text) as bot:
        old = OnCallNow(("U0IVY",), age=timedelta(days=2), trouble=OnCallTrouble.CALENDAR_UNAVAILABLE)

        async def on_call(name: str, at: datetime) -> OnCallNow:
            return old

        monkeypatch.setattr(bot.service.oncall, "on_call", on_call)
        request, _ = await asked(bot)
        await passes(bot, 10.1, 1)
        [notice] = bot.slack.messages("U0IVY")
        assert notice.action_ids() == []
        with pytest.raises(NotYourDecision):
            await bot.decisions.vote(request.number, act_of("U0IVY"), VoteKind.APPROVE)
