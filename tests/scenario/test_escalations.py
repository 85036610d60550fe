"""Plans on a real database with a moved clock: each step once, to the right people, and nothing after the decision."""

import asyncio
from datetime import datetime, timedelta

import pytest

from bot.escalations import BATCH, STUCK_FOR
from store import statements_escalation
from store.engine import Store
from store.tables import Instance, Request, Status, VoteKind
from tests.conftest import START, House, StandingClock, Town, submission
from tests.scenario.escalation_support import (
    MINUTES,
    PLANNED,
    act_of,
    assert_each_target_has_its_intent,
    events,
    furnish_planned,
    load,
    reopened,
    request_of,
    rows,
    run_to,
    steps,
    targets,
)
from tests.stores import database_of

pytestmark = pytest.mark.both_databases

WHOLE_RUN = [(0, 0, "fired"), (0, 1, "fired"), (0, 2, "skipped"), (0, 3, "fired"), (0, 4, "fired")]
WHOM = ["thread", "user:U0LEA", "channel:C0LEADS", "oncall:finance", "thread"]


@pytest.fixture
async def house(store: Store, clock: StandingClock, town: Town) -> House:
    return await furnish_planned(store, clock, town)


@pytest.fixture
async def request_made(house: House) -> Request:
    return await request_of(house)


async def test_steps_come_in_order_each_at_its_time_and_none_after_the_last(
    house: House, request_made: Request
) -> None:
    for count, minutes in enumerate(MINUTES):
        assert await house.escalations.next_due() == START + timedelta(minutes=minutes)
        await run_to(house, minutes - 0.01)
        assert len(steps(house)) == count
        await run_to(house, minutes)
        assert steps(house) == WHOLE_RUN[: count + 1]
    assert targets(house) == WHOM
    assert await house.escalations.next_due() is None
    assert_each_target_has_its_intent(database_of(house.store))
    told = [kind for kind in events(house) if kind.startswith("step.")]
    assert told == ["step.taken", "step.taken", "step.skipped", "step.taken", "step.taken"]
    await run_to(house, 60)
    assert (await load(house, request_made)).status is Status.EXPIRED
    assert len(steps(house)) == 5


async def test_each_step_redraws_the_card(house: House, request_made: Request) -> None:
    await run_to(house, 10)
    assert rows(house, "SELECT reason FROM outbox WHERE kind = 'draw_card'") == [("step",)]


async def test_a_restart_between_steps_repeats_and_loses_none(store: Store, clock: StandingClock, town: Town) -> None:
    await request_of(await furnish_planned(store, clock, town))
    await store.close()
    for minutes in MINUTES:
        async with reopened(database_of(store), clock, town) as house:
            await run_to(house, minutes)
    async with reopened(database_of(store), clock, town) as house:
        assert steps(house) == WHOLE_RUN
        assert targets(house) == WHOM
    assert_each_target_has_its_intent(database_of(store))


async def test_a_process_that_was_down_for_long_goes_on_without_a_cascade(house: House, request_made: Request) -> None:
    house.clock.advance(minutes=31)
    for _ in range(3):
        await house.escalations.sweep()
    assert steps(house) == [(0, 0, "fired")]
    assert await house.escalations.next_due() == START + timedelta(minutes=36)
    await run_to(house, 36)
    assert steps(house) == [(0, 0, "fired"), (0, 1, "fired")]


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=-1), timedelta(minutes=15)])
async def test_a_jump_of_the_clock_repeats_no_step_and_takes_none_early(
    house: House, request_made: Request, jump: timedelta
) -> None:
    await run_to(house, 10)
    house.clock.now += jump
    for _ in range(3):
        await house.escalations.sweep()
    if jump < timedelta(0):
        assert steps(house) == [(0, 0, "fired")]
        await run_to(house, 15)
    assert steps(house) == [(0, 0, "fired"), (0, 1, "fired")]


async def test_two_sweepers_on_one_database_take_each_step_once(store: Store, clock: StandingClock, town: Town) -> None:
    house = await furnish_planned(store, clock, town)
    for number in range(60):
        await request_of(house, f"k{number}")
    async with reopened(database_of(store), clock, town) as other:
        for minutes in MINUTES:
            clock.now = START + timedelta(minutes=minutes)
            await asyncio.gather(*(one.escalations.sweep() for one in (house, other, house, other)))
    assert rows(house, "SELECT count(*) FROM taken_steps") == [(60 * 5,)]
    assert rows(house, "SELECT count(*) FROM step_targets") == [(60 * 5,)]
    assert rows(house, "SELECT count(*) FROM events WHERE type IN ('step.taken', 'step.skipped')") == [(60 * 5,)]
    assert_each_target_has_its_intent(database_of(store))


async def test_a_pass_takes_so_many_at_most_oldest_first(house: House) -> None:
    made = []
    for number in range(BATCH + 5):
        house.clock.advance(seconds=0.001)
        made.append((await request_of(house, f"k{number}")).number)
    house.clock.advance(minutes=10)
    first, second = await house.escalations.sweep(), await house.escalations.sweep()
    assert [step.request_number for step in (*first.steps, *second.steps)] == made
    assert (len(first.steps), len(second.steps)) == (BATCH, 5)
    assert not (await house.escalations.sweep()).steps


async def test_what_is_written_for_the_place_already_is_not_written_again(house: House, request_made: Request) -> None:
    """As if another process had taken the step and this row had been restored from before: it only moves on."""
    await run_to(house, 10)
    rows(house, "UPDATE requests SET step_index = 0, next_step_at = created_at")
    house.clock.advance(seconds=1)
    assert not (await house.escalations.sweep()).steps
    assert steps(house) == [(0, 0, "fired")]
    assert (await load(house, request_made)).step_index == 1


async def test_a_plan_that_cannot_be_moved_on_holds_up_nobody(house: House) -> None:
    made = [await request_of(house, key) for key in ("a", "broken", "c")]
    rows(house, "UPDATE requests SET step_index = 77 WHERE number = ?", made[1].number)
    house.clock.now = START + timedelta(minutes=10)
    swept = await house.escalations.sweep()
    assert [step.request_number for step in swept.steps] == [made[0].number, made[2].number]
    assert list(swept.stuck) == [made[1].number]
    assert await house.escalations.next_due() == house.clock.now + STUCK_FOR
    again = await house.escalations.sweep()
    assert (again.steps, again.stuck) == ((), {})


@pytest.mark.sqlite_only  # PostgreSQL lets no row refer to what is not there
async def test_a_stuck_plan_is_overdue_since_its_step_was_due_until_it_moves_on(house: House) -> None:
    """However often it is looked at again, and after a restart: an alarm must not be put off with it."""
    broken, ended = await request_of(house, "broken"), await request_of(house, "ended")
    await run_to(house, 10)
    (rule_id,) = rows(house, "SELECT rule_id FROM requests")[0]
    rows(house, "UPDATE requests SET rule_id = 77")  # as a rule that this version cannot read
    rows(house, "DELETE FROM outbox")  # as if all were told
    for minutes in (15, 16.5, 18):
        house.clock.now = START + timedelta(minutes=minutes)
        assert len((await house.escalations.sweep()).stuck) == 2
        assert await house.escalations.next_due() == house.clock.now + STUCK_FOR
        assert await house.escalations.overdue_seconds() == (minutes - 15) * 60
    rows(house, "UPDATE requests SET rule_id = ?", rule_id)
    await house.decisions.vote(ended.number, act_of("U0ALICE"), VoteKind.DENY)
    assert await house.escalations.overdue_seconds() == 180  # the other's
    house.clock.now = START + timedelta(minutes=19)
    assert [step.request_number for step in (await house.escalations.sweep()).steps] == [broken.number]
    assert await house.escalations.overdue_seconds() == 0


async def test_a_step_whose_targets_are_not_told_is_overdue_too(house: House, request_made: Request) -> None:
    """As when whoever delivers has died, or stumbles over it for ever: the plan goes on, and nobody hears of it."""
    await run_to(house, 10)
    for minutes, overdue in [(14, 0), (15, 0), (18, 180)]:
        await run_to(house, minutes)
        assert await house.escalations.overdue_seconds() == overdue
    await house.decisions.vote(request_made.number, act_of("U0ALICE"), VoteKind.APPROVE)
    assert await house.escalations.overdue_seconds() == 0


@pytest.mark.parametrize(
    ("due", "taken", "state"),
    [
        ("17:59", "17:59", "fired"),
        ("17:59", "18:00", "fired"),  # no later than any sweep may be
        ("17:59", "19:30", "skipped"),  # nobody was there to take it: people sleep by now
        ("08:00", "09:30", "fired"),
    ],
)
async def test_a_step_that_comes_late_goes_by_the_hours_of_when_it_comes(
    store: Store, clock: StandingClock, town: Town, due: str, taken: str, state: str
) -> None:
    text = PLANNED.replace('after = "10m"', 'after = "10m"\nhours = "09:00-18:00 UTC"').replace(
        'max_timeout = "1h"', 'max_timeout = "8h"'
    )
    house = await furnish_planned(store, clock, town, text)

    def at(clock_time: str) -> datetime:
        hours, minutes = clock_time.split(":")
        return START.replace(hour=int(hours), minute=int(minutes))

    clock.now = at(due) - timedelta(minutes=10)
    await request_of(house, lasts="8h")
    clock.now = at(taken)
    await house.escalations.sweep()
    assert steps(house) == [(0, 0, state)]


@pytest.mark.sqlite_only
@pytest.mark.parametrize("statement", ["CLAIM_STEPS", "NEXT_STEP_DUE"])
async def test_what_is_due_is_found_by_its_index(house: House, statement: str) -> None:
    """However many requests there are: this is asked at every due time."""
    sql = getattr(statements_escalation, statement).sql
    plan = str(rows(house, f"EXPLAIN QUERY PLAN {sql}", *[1] * sql.count("?")))
    assert "ix_requests_next_step" in plan
    assert "SCAN" not in plan


# --- deciding in the same moment --------------------------------------------------------------------------


async def test_when_deadline_and_step_are_due_at_once_the_deadline_wins(house: House, request_made: Request) -> None:
    house.clock.now = request_made.deadline_at
    assert not (await house.escalations.sweep()).steps  # whichever sweeps first
    assert await house.escalations.next_due() is None
    await house.deadlines.sweep()
    assert steps(house) == []
    assert (await load(house, request_made)).next_step_at is None


@pytest.mark.parametrize("how", ["decided", "cancelled", "expired"])
async def test_no_step_follows_a_decision(house: House, instance: Instance, how: str) -> None:
    made, _ = await house.creation.submit(instance, submission(timeout="1h"), "k")
    house.clock.now = START + timedelta(minutes=10)

    async def end() -> None:
        if how == "decided":
            await house.decisions.vote(made.number, act_of("U0ALICE"), VoteKind.DENY)
        elif how == "cancelled":
            await house.approvals.cancel(instance, made.id)
        else:
            house.clock.now = made.deadline_at
            await house.deadlines.sweep()

    await asyncio.gather(*(house.escalations.sweep() for _ in range(3)), end(), house.escalations.sweep())
    decided = rows(house, "SELECT number FROM events WHERE type = 'request.decided'")
    later = rows(house, "SELECT count(*) FROM events WHERE type LIKE 'step.%' AND number > ?", *decided[0])
    assert later == [(0,)]
    assert len(steps(house)) <= 1
    house.clock.now = START + timedelta(minutes=30)
    assert not (await house.escalations.sweep()).steps
