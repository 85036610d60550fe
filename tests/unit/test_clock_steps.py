"""The clock and plans: it wakes for steps, after deadlines, when a plan is moved; it never spins."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

import pytest

from bot.changes import StepTaken
from bot.deadlines import Deadlines
from bot.deadlines import Swept as Ended
from bot.escalations import STILL_FOR, Escalations, Swept
from handlers.clock import SweepClock
from store.engine import SqliteStore
from store.tables import Request, Status
from store.vocabulary import StepState, TargetState
from tests.conftest import START, House, StandingClock, Town
from tests.scenario.escalation_support import act_of, furnish_planned, load, request_of, rows, run_to, steps
from tests.waiting import until

LONG = timedelta(hours=1)


@pytest.fixture
async def house(store: SqliteStore, clock: StandingClock, town: Town) -> House:
    return await furnish_planned(store, clock, town)


@pytest.fixture
async def request_made(house: House) -> Request:
    return await request_of(house)


@pytest.fixture
async def sweeper(house: House) -> AsyncIterator[SweepClock]:
    """A clock whose own regular look comes too late to help."""
    sweeper = SweepClock(house.store, house.deadlines, house.escalations, house.clock, cap=LONG)
    yield sweeper
    await sweeper.stop()


class Steps:
    """Waits until so many steps were taken, as the store announces them."""

    def __init__(self, house: House) -> None:
        self.states: list[StepState] = []
        self._woken = asyncio.Event()
        house.store.subscribe(self._on_change)

    def _on_change(self, change: object) -> None:
        if isinstance(change, StepTaken):
            self.states.append(change.state)
            self._woken.set()

    async def until(self, *states: StepState) -> None:
        async with asyncio.timeout(5):
            while self.states != list(states):
                self._woken.clear()
                await self._woken.wait()


@pytest.fixture
def taken(house: House) -> Steps:
    return Steps(house)


def _running(minutes: float) -> Callable[[], datetime]:
    """A clock that runs, and is some minutes after the start now."""
    began = time.monotonic()
    return lambda: START + timedelta(minutes=minutes, seconds=time.monotonic() - began)


async def test_what_came_due_while_the_process_was_down_is_taken_at_the_start(
    house: House, request_made: Request, sweeper: SweepClock
) -> None:
    house.clock.advance(minutes=40)
    await sweeper.start()  # done when it returns, and without a cascade
    assert steps(house) == [(0, 0, "fired")]


async def test_it_wakes_when_a_step_is_due(house: House, request_made: Request, taken: Steps) -> None:
    running = _running(10 - 0.02 / 60)
    escalations = Escalations(house.store, running, house.rulebook, house.hearings)
    sweeper = SweepClock(house.store, Deadlines(house.store, running), escalations, running, cap=LONG)
    await sweeper.start()
    await taken.until(StepState.FIRED)
    await sweeper.stop()
    assert rows(house, "SELECT taken_at >= due_at FROM taken_steps") == [(1,)]  # none comes early


async def test_a_new_request_s_first_step_is_heard_of(house: House, taken: Steps) -> None:
    await request_of(house, "far")
    running = _running(0)
    escalations = Escalations(house.store, running, house.rulebook, house.hearings)
    sweeper = SweepClock(house.store, Deadlines(house.store, running), escalations, running, cap=LONG)
    await sweeper.start()
    house.clock.now = START - timedelta(minutes=10) + timedelta(seconds=0.1)
    await request_of(house, "near")
    await taken.until(StepState.FIRED)
    await sweeper.stop()


async def test_deadlines_are_swept_before_steps(
    house: House, request_made: Request, sweeper: SweepClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    async def ended() -> Ended:
        order.append("deadlines")
        return Ended(())

    async def stepped() -> Swept:
        order.append("steps")
        return Swept()

    monkeypatch.setattr(house.deadlines, "sweep", ended)
    monkeypatch.setattr(house.escalations, "sweep", stepped)
    house.clock.advance(hours=2)
    await sweeper.start()
    assert order == ["deadlines", "steps"]


async def test_a_step_that_failed_has_the_next_taken_at_once(
    house: House, request_made: Request, sweeper: SweepClock, taken: Steps
) -> None:
    await run_to(house, 10)
    await sweeper.start()
    [(thread,)] = rows(house, "SELECT id FROM step_targets")
    await house.step_targets.settle(thread, TargetState.FAILED, "is_archived")
    await taken.until(StepState.FIRED, StepState.FAILED, StepState.FIRED)


async def test_a_claim_is_followed_when_its_time_is_over(
    house: House, request_made: Request, sweeper: SweepClock, taken: Steps
) -> None:
    await sweeper.start()
    house.clock.advance(minutes=9)
    await house.escalations.claim(request_made.number, act_of("U0ALICE"))
    house.clock.advance(minutes=9)
    sweeper.wake()
    house.clock.advance(minutes=1)
    sweeper.wake()
    await taken.until(StepState.FIRED)
    assert rows(house, "SELECT due_at FROM taken_steps") == rows(house, "SELECT paused_until FROM claims")


async def test_a_plan_that_stands_still_does_not_make_it_spin_and_goes_on_when_it_is_woken(
    house: House, request_made: Request, taken: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, asked = True, 0

    def slack_is_out() -> bool:
        nonlocal asked
        asked += 1
        return out

    escalations = Escalations(house.store, house.clock, house.rulebook, house.hearings, slack_is_out)
    sweeper = SweepClock(house.store, house.deadlines, escalations, house.clock, cap=LONG)
    house.clock.advance(minutes=11)
    assert await escalations.next_due() == house.clock.now + STILL_FOR
    asked = 0
    await sweeper.start()
    assert asked == 1
    assert (steps(house), await escalations.overdue_seconds()) == ([], 60.0)
    house.clock.now = request_made.deadline_at  # deadlines do not stand still
    late = await request_of(house, "late")
    sweeper.wake()

    async def is_over() -> bool:
        return (await load(house, request_made)).status is not Status.PENDING

    await until(is_over)
    house.clock.advance(minutes=10)
    out = False
    sweeper.wake()
    await taken.until(StepState.FIRED)
    assert rows(house, "SELECT request_number FROM taken_steps") == [(late.number,)]
    assert await escalations.overdue_seconds() == 0.0
    await sweeper.stop()
