"""Who may pause, resume, stop and lift: every kind of person against every kind of target, as a matrix."""

from datetime import timedelta

import pytest

from bot.errors import FactsUnavailable, NotYourPause
from bot.halt_rights import Target
from store.engine import SqliteStore
from store.tables import HaltScope, Rank
from tests.conftest import House, StandingClock, Town, furnish, sample_settings
from tests.scenario.halts_support import (
    ADMIN,
    AGENT,
    ALICE,
    ALL,
    BOB,
    BOTH,
    FOREIGN,
    GONE,
    GUEST,
    OTHER,
    OWNER,
    REFUNDS,
    ROBOT,
    RULE,
    STRANGER,
    UNFIT_ADMINS,
    Acts,
    with_everybody,
)

pytestmark = pytest.mark.both_databases

MAILS = Target(HaltScope.RULE, "mails")
UNKNOWN = "U0NOBODY"
BARRED = {
    GUEST: "guest",
    GONE: "deactivated",
    ROBOT: "bot",
    FOREIGN: "foreign_team",
    UNKNOWN: "unknown_person",
}
NO = "not_a_reviewer"

# On what ground each may stop each target; a code where they may not.
MAY_STOP: dict[str, dict[Target, Rank | str]] = {
    ALICE: {AGENT: Rank.REVIEWER, RULE: Rank.REVIEWER, REFUNDS: Rank.REVIEWER, ALL: Rank.REVIEWER, MAILS: NO},
    BOB: {AGENT: Rank.REVIEWER, RULE: Rank.REVIEWER, REFUNDS: Rank.REVIEWER, ALL: Rank.REVIEWER, MAILS: NO},
    OWNER: {AGENT: Rank.OWNER, RULE: Rank.OWNER, REFUNDS: Rank.OWNER, ALL: NO, MAILS: NO},
    OTHER: {AGENT: NO, RULE: NO, REFUNDS: NO, ALL: NO, MAILS: Rank.OWNER},
    BOTH: dict.fromkeys((AGENT, RULE, REFUNDS, ALL, MAILS), Rank.ADMIN),
    ADMIN: dict.fromkeys((AGENT, RULE, REFUNDS, ALL, MAILS), Rank.ADMIN),
    STRANGER: dict.fromkeys((AGENT, RULE, REFUNDS, ALL, MAILS), NO),
    **{user: dict.fromkeys((AGENT, RULE, REFUNDS, ALL, MAILS), code) for user, code in BARRED.items()},
}

# Who may end (True, or the code of the refusal) what who paused, of an agent.
MAY_RESUME: dict[str, dict[str, bool | str]] = {
    OWNER: {OWNER: True, BOTH: "owner", ALICE: True, BOB: True, ADMIN: True, STRANGER: NO},
    ALICE: {OWNER: "owner", BOTH: "owner", ALICE: True, BOB: True, ADMIN: True, STRANGER: NO},
    ADMIN: {OWNER: "owner", BOTH: "owner", ALICE: "lower_rank", BOB: "lower_rank", ADMIN: True, STRANGER: NO},
    BOTH: {OWNER: "owner", BOTH: True, ALICE: "lower_rank", BOB: "lower_rank", ADMIN: True, STRANGER: NO},
}

# The same of a rule that was stopped: a reviewer who owns nothing may lift it, whoever it was.
MAY_LIFT: dict[str, dict[str, bool | str]] = {
    OWNER: {OWNER: "owner", BOTH: "owner", ALICE: True, BOB: True, ADMIN: True, STRANGER: NO},
    ALICE: {OWNER: "owner", BOTH: "owner", ALICE: True, BOB: True, ADMIN: True, STRANGER: NO},
    ADMIN: {OWNER: "owner", BOTH: "owner", ALICE: True, BOB: True, ADMIN: True, STRANGER: NO},
    BOTH: {OWNER: "owner", BOTH: True, ALICE: True, BOB: True, ADMIN: True, STRANGER: NO},
}


@pytest.fixture
async def house(store: SqliteStore, clock: StandingClock, town: Town) -> House:
    with_everybody(town)
    return await furnish(store, clock, town, sample_settings(UNFIT_ADMINS))


@pytest.mark.parametrize("user", MAY_STOP)
async def test_who_may_pause(house: House, acts: Acts, user: str) -> None:
    for target, wanted in MAY_STOP[user].items():
        if isinstance(wanted, Rank):
            assert (await house.halts.pause(target, acts(user), "wait")).rank is wanted, target
        else:
            with pytest.raises(NotYourPause) as refused:
                await house.halts.pause(target, acts(user), "wait")
            assert refused.value.code == wanted, target


@pytest.mark.parametrize("user", MAY_STOP)
async def test_who_may_stop_a_rule(house: House, acts: Acts, user: str) -> None:
    for target in (RULE, MAILS):
        wanted = MAY_STOP[user][target]
        if isinstance(wanted, Rank):
            assert (await house.halts.stop_rule(target.name, acts(user), "look")).rank is wanted, target
        else:
            with pytest.raises(NotYourPause) as refused:
                await house.halts.stop_rule(target.name, acts(user), "look")
            assert refused.value.code == wanted, target


@pytest.mark.parametrize("pauser", MAY_RESUME)
async def test_who_may_resume(house: House, acts: Acts, pauser: str) -> None:
    for user, wanted in (MAY_RESUME[pauser] | BARRED).items():
        halt = await house.halts.pause(AGENT, acts(pauser), "wait")
        await _end(house, acts, AGENT, user, wanted)
        if wanted is not True:
            assert [one.id for one in await house.halts.in_force()] == [halt.id], user


@pytest.mark.parametrize("stopper", MAY_LIFT)
async def test_who_may_lift(house: House, acts: Acts, stopper: str) -> None:
    for user, wanted in (MAY_LIFT[stopper] | BARRED).items():
        if not await house.halts.in_force():
            await house.halts.stop_rule(RULE.name, acts(stopper), "look")
        await _end(house, acts, RULE, user, wanted)


async def _end(house: House, acts: Acts, target: Target, user: str, wanted: bool | str) -> None:
    if wanted is True:
        assert (await house.halts.resume(target, acts(user), "go on")).ended, user
        return
    with pytest.raises(NotYourPause) as refused:
        await house.halts.resume(target, acts(user), "go on")
    assert refused.value.code == wanted, user


async def test_an_owner_does_not_undo_a_pause_of_everything(house: House, acts: Acts) -> None:
    await house.halts.pause(ALL, acts(ADMIN), "an incident")
    with pytest.raises(NotYourPause) as refused:
        await house.halts.resume(ALL, acts(BOTH), "I am an admin")
    assert refused.value.code == "owner"


async def test_a_right_is_that_of_today(house: House, acts: Acts) -> None:
    """Who lost the ground on which they paused neither ends that pause nor hides it under a weaker one."""
    await house.halts.pause(AGENT, acts(ADMIN), "an incident")
    settings = sample_settings(UNFIT_ADMINS.replace('"U0ADMIN", ', "").replace('["U0ALICE"]', '["U0ALICE", "U0ADMIN"]'))
    house = await furnish(house.store, house.clock, house.town, settings)
    for act in (house.halts.pause(AGENT, acts(ADMIN), "a minute"), house.halts.resume(AGENT, acts(ADMIN), "go on")):
        with pytest.raises(Exception, match=r"right that you no longer have|only admins can resume") as refused:
            await act
        assert getattr(refused.value, "code", None) in ("already_halted", "lower_rank")
    assert [halt.reason for halt in await house.halts.in_force()] == ["an incident"]


async def test_without_slack_nobody_gets_a_right(house: House, acts: Acts) -> None:
    house.town.groups.clear()
    with pytest.raises(FactsUnavailable):
        await house.halts.pause(AGENT, acts(BOB), "wait")  # perhaps a reviewer
    await house.halts.pause(AGENT, acts(ALICE), "wait")  # named in the file
    house.town.age = timedelta(minutes=1)
    with pytest.raises(FactsUnavailable):
        await house.halts.resume(AGENT, acts(ALICE), "go on")
    house.town.closed = True
    with pytest.raises(FactsUnavailable):
        await house.halts.pause(AGENT, acts(ADMIN), "wait")
