"""The clock: sweeps at the start, at the due time, and again after trouble; stops cleanly."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from bot.changes import RequestChanged
from bot.clock import Clock
from bot.deadlines import Deadlines, Swept
from bot.escalations import Escalations
from handlers import clock as clock_module
from handlers.clock import SweepClock
from store import statements
from store.announcing import ChangedElsewhere
from store.tables import Instance, Request, Status
from store.unit import StoreUnavailable
from tests.conftest import START, House, submission

LONG = timedelta(hours=1)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    with capture_logs() as logged:
        yield logged


class Ended:
    """Waits for the ends of requests, as the store announces them."""

    def __init__(self, house: House) -> None:
        self.numbers: list[int] = []
        self._woken = asyncio.Event()
        house.store.subscribe(self._on_change)

    def _on_change(self, change: object) -> None:
        if isinstance(change, RequestChanged) and change.request.status is Status.EXPIRED:
            self.numbers.append(change.request.number)
            self._woken.set()

    async def until(self, *numbers: int) -> None:
        async with asyncio.timeout(5):
            while set(self.numbers) != set(numbers):
                self._woken.clear()
                await self._woken.wait()


@pytest.fixture
def ended(house: House) -> Ended:
    return Ended(house)


@pytest.fixture
async def sweeper(house: House) -> AsyncIterator[SweepClock]:
    """A clock whose own regular look comes too late to help."""
    sweeper = SweepClock(house.store, house.deadlines, house.escalations, house.clock, cap=LONG)
    yield sweeper
    await sweeper.stop()


async def _submit(house: House, instance: Instance, key: str = "key", lasts: str = "10m") -> Request:
    return (await house.creation.submit(instance, submission(timeout=lasts), key))[0]


async def _status(house: House, request: Request) -> Status:
    found = await house.store.read(lambda unit: unit.one(statements.REQUEST, number=request.number))
    assert found is not None
    return found.status


async def test_what_came_due_while_the_process_was_down_is_done_at_the_start_once(
    house: House, instance: Instance, sweeper: SweepClock, ended: Ended
) -> None:
    requests = [await _submit(house, instance, str(key)) for key in range(250)]  # more than one batch
    house.clock.advance(minutes=11)
    await sweeper.start()  # done when it returns
    assert [await _status(house, request) for request in requests] == [Status.EXPIRED] * 250
    assert sorted(ended.numbers) == [request.number for request in requests]


def _running(began: float) -> Callable[[], datetime]:
    return lambda: START + timedelta(seconds=time.monotonic() - began)


def _steps(house: House, running: Clock) -> Escalations:
    return Escalations(house.store, running, house.rulebook, house.hearings)


async def test_it_wakes_at_the_due_time(house: House, instance: Instance, ended: Ended) -> None:
    request = await _submit(house, instance)
    running = _running(time.monotonic() - 599.98)  # 20 ms before the deadline
    sweeper = SweepClock(house.store, Deadlines(house.store, running), _steps(house, running), running, cap=LONG)
    await sweeper.start()
    assert await _status(house, request) is Status.PENDING  # nothing expires early
    await ended.until(request.number)
    assert running() >= request.deadline_at
    await sweeper.stop()


async def test_an_earlier_deadline_is_heard_of(house: House, instance: Instance, ended: Ended) -> None:
    far = await _submit(house, instance, "far", "60m")
    running = _running(time.monotonic() - 599.97)
    sweeper = SweepClock(house.store, Deadlines(house.store, running), _steps(house, running), running, cap=LONG)
    await sweeper.start()
    near = await _submit(house, instance, "near", "10m")
    await ended.until(near.number)
    assert await _status(house, far) is Status.PENDING
    await sweeper.stop()


async def test_whoever_moves_the_clock_wakes_it(
    house: House, instance: Instance, sweeper: SweepClock, ended: Ended
) -> None:
    request = await _submit(house, instance)
    await sweeper.start()
    house.clock.advance(minutes=10)
    sweeper.wake()
    await ended.until(request.number)


async def test_its_own_look_finds_what_nobody_told_it_of(house: House, instance: Instance, ended: Ended) -> None:
    request = await _submit(house, instance)
    sweeper = SweepClock(house.store, house.deadlines, house.escalations, house.clock, cap=timedelta(milliseconds=5))
    await sweeper.start()
    house.clock.advance(minutes=10)  # a jump that APScheduler's job does not see
    await ended.until(request.number)
    await sweeper.stop()


async def test_another_process_s_change_is_looked_at(
    house: House, instance: Instance, sweeper: SweepClock, ended: Ended
) -> None:
    request = await _submit(house, instance)
    await sweeper.start()
    house.clock.advance(minutes=10)
    house.store._announce([ChangedElsewhere()])
    await ended.until(request.number)


@pytest.mark.parametrize("error", [StoreUnavailable("locked"), ZeroDivisionError()])
@pytest.mark.parametrize("at", ["next_due", "sweep"])
async def test_trouble_does_not_stop_it(
    house: House,
    instance: Instance,
    sweeper: SweepClock,
    ended: Ended,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    at: str,
) -> None:
    monkeypatch.setattr(clock_module, "_PAUSE", timedelta(0))
    request = await _submit(house, instance)
    house.clock.advance(minutes=11)
    works, tries = getattr(house.deadlines, at), 0

    async def fail_twice() -> object:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise error
        return await works()

    monkeypatch.setattr(house.deadlines, at, fail_twice)
    await sweeper.start()  # does not fail
    await ended.until(request.number)
    assert tries >= 3


async def test_what_cannot_be_swept_does_not_make_it_spin(
    house: House, instance: Instance, sweeper: SweepClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps = 0

    async def nothing() -> Swept:
        nonlocal sweeps
        sweeps += 1
        return Swept(())

    monkeypatch.setattr(house.deadlines, "sweep", nothing)
    await _submit(house, instance)
    house.clock.advance(minutes=11)
    await sweeper.start()
    assert sweeps == 1


async def test_stopping_lets_a_sweep_finish_and_starts_no_other(
    house: House, instance: Instance, sweeper: SweepClock, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()
    sweep = house.deadlines.sweep

    async def slow() -> Swept:
        begun.set()
        await gate.wait()
        return await sweep()

    await sweeper.start()
    monkeypatch.setattr(house.deadlines, "sweep", slow)
    request = await _submit(house, instance)
    house.clock.advance(minutes=11)
    sweeper.wake()
    await begun.wait()
    stopping = asyncio.create_task(sweeper.stop())
    gate.set()
    await stopping
    assert await _status(house, request) is Status.EXPIRED
    later = await _submit(house, instance, "later")
    house.clock.advance(minutes=11)
    sweeper.wake()
    house.store._announce([ChangedElsewhere()])
    assert await _status(house, later) is Status.PENDING


async def test_a_wall_clock_that_is_set_back_delays_nothing_for_long(
    house: House, instance: Instance, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SetBack(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # only ever called with UTC here
            return datetime.now(UTC) + timedelta(days=1)

    request = await _submit(house, instance)
    running = _running(time.monotonic() - 599.98)
    sweeper = SweepClock(
        house.store, Deadlines(house.store, running), _steps(house, running), running, cap=timedelta(milliseconds=50)
    )
    monkeypatch.setattr(clock_module, "datetime", SetBack)  # the job was made before the clock went back a day
    await sweeper.start()
    monkeypatch.undo()
    await ended.until(request.number)
    await sweeper.stop()
