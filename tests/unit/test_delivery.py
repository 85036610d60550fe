"""The outbox's worker by itself: when it wakes, what it repeats and when, how it stops."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from bot.errors import FactsUnavailable
from bot.outbox import LEASE, Job, Outbox
from bot.redaction import Redactor
from handlers.delivery import LONGEST_BACKOFF, Deliverer, NotNow
from store import statements
from store.tables import Instance, Intent, IntentKind, Request
from store.unit import StoreUnavailable
from tests.conftest import START, House, submission
from tests.waiting import until

SHORT = timedelta(seconds=2)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    with capture_logs() as logged:
        yield logged


class Hands:
    """A carrier that does what a test says, and remembers what it was given."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.given: list[Job] = []
        self.act: Callable[[Job], Awaitable[None]] = self.done
        self._turn = asyncio.Condition()

    async def carry_out(self, job: Job) -> None:
        async with self._turn:
            self.given.append(job)
            self._turn.notify_all()
        await self.act(job)

    async def done(self, job: Job) -> None:
        await self._outbox.done(job)

    async def until(self, number: int) -> None:
        async with asyncio.timeout(5), self._turn:
            await self._turn.wait_for(lambda: len(self.given) >= number)


@pytest.fixture
def hands(house: House) -> Hands:
    return Hands(house.outbox)


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
async def deliverer(house: House, hands: Hands, faults: list[str]) -> AsyncIterator[Deliverer]:
    deliverer = Deliverer(
        house.store, house.outbox, hands, house.clock, faults.append, workers=4, jitter=random.Random(0)
    )
    yield deliverer
    await deliverer.stop(SHORT)


async def _submit(house: House, instance: Instance, key: str = "key") -> Request:
    return (await house.creation.submit(instance, submission(), key))[0]


async def _idle(house: House, deliverer: Deliverer) -> None:
    """Wait until nothing is being carried out and what became of it is written down."""
    await until(lambda: not deliverer.under_way)


async def _intents(house: House) -> list[Intent]:
    """Everything in the outbox, by looking at it from far in the future with a worker that does nothing else."""
    rows: list[Intent] = []

    async def work(unit: object) -> None:
        claimed = await unit.all(  # type: ignore[attr-defined]  # the unit of work, named loosely for a test
            statements.CLAIM_INTENTS, now=START + timedelta(days=9), limit=100, leased_by_="look", leased_until_=START
        )
        rows[:] = claimed  # this may be run twice
        raise LookAway

    with pytest.raises(LookAway):
        await house.store.write(work)
    return rows


class LookAway(Exception):
    """Undoes the look."""


async def _due(house: House) -> list[datetime]:
    return [intent.due_at for intent in await _intents(house)]


async def test_it_wakes_when_the_outbox_is_filled(
    house: House, instance: Instance, deliverer: Deliverer, hands: Hands
) -> None:
    await deliverer.start()
    await _submit(house, instance, "first")
    await hands.until(1)
    await _idle(house, deliverer)
    for _ in range(20):  # turns of the store: the round after the first is over, and it sleeps
        await house.outbox.waiting()
    request = await _submit(house, instance)
    await hands.until(2)
    assert hands.given[1].intent.kind is IntentKind.POST_CARD
    assert hands.given[1].drawing.request.number == request.number
    await _idle(house, deliverer)
    assert await house.outbox.waiting() == 0


async def test_it_begins_nothing_before_it_is_calm(house: House, instance: Instance, hands: Hands) -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def calm() -> None:
        asked.set()
        await gate.wait()

    await _submit(house, instance)
    deliverer = Deliverer(house.store, house.outbox, hands, house.clock, [].append, calm=calm)
    await deliverer.start()
    await asked.wait()
    for _ in range(5):  # turns of the store
        assert await house.outbox.waiting() == 1
    assert (deliverer.under_way, hands.given) == (1, [])  # it may find something
    gate.set()
    await hands.until(1)
    await deliverer.stop(SHORT)


async def test_it_begins_with_what_was_left(
    house: House, instance: Instance, deliverer: Deliverer, hands: Hands
) -> None:
    await _submit(house, instance)
    assert (
        len(await Outbox(house.store, house.clock, house.rulebook, "died", Redactor(b"k" * 32)).claim(9)) == 1
    )  # leased for a minute
    await deliverer.start()
    await hands.until(1)


async def test_a_lease_of_another_live_process_is_left_alone(
    house: House, instance: Instance, hands: Hands, faults: list[str]
) -> None:
    await _submit(house, instance)
    await Outbox(house.store, house.clock, house.rulebook, "other", Redactor(b"k" * 32)).claim(9)
    deliverer = Deliverer(house.store, house.outbox, hands, house.clock, faults.append, owns_database=False)
    await deliverer.start()
    await _submit(house, instance, "another")
    await hands.until(1)
    await _idle(house, deliverer)
    assert [job.drawing.request.create_key for job in hands.given] == ["another"]
    house.clock.now += LEASE
    deliverer.wake()
    await hands.until(2)
    await deliverer.stop(SHORT)


async def test_what_must_wait_is_asked_again_when_its_time_has_come(
    house: House, instance: Instance, deliverer: Deliverer, hands: Hands, faults: list[str]
) -> None:
    async def refuse(job: Job) -> None:
        raise NotNow("paced", timedelta(seconds=30), counts=False)

    hands.act = refuse
    await deliverer.start()
    await _submit(house, instance)
    await hands.until(1)
    await _idle(house, deliverer)
    assert await _due(house) == [START + timedelta(seconds=30)]
    hands.act = hands.done
    house.clock.advance(seconds=30)
    deliverer.wake()
    await hands.until(2)
    await _idle(house, deliverer)
    assert hands.given[1].intent.attempts == 1  # waiting for a turn is no failed try
    assert faults == []
    assert await house.outbox.waiting() == 0


async def test_it_wakes_by_itself_when_an_intent_becomes_due(
    house: House, instance: Instance, faults: list[str]
) -> None:
    began = time.monotonic()

    def running() -> datetime:
        return START + timedelta(seconds=time.monotonic() - began)

    outbox = Outbox(house.store, running, house.rulebook, "test", Redactor(b"k" * 32))
    hands = Hands(outbox)

    async def wait_first(job: Job) -> None:
        if len(hands.given) == 1:
            raise NotNow("paced", timedelta(milliseconds=20))
        await hands.done(job)

    hands.act = wait_first
    deliverer = Deliverer(house.store, outbox, hands, running, faults.append)
    await deliverer.start()
    await _submit(house, instance)
    await hands.until(2)  # and nobody woke it
    assert time.monotonic() - began >= 0.02
    await deliverer.stop(SHORT)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotNow("internal_error"), "internal_error"),
        (FactsUnavailable(), "slack_unavailable"),
        (TimeoutError(), "timeout"),
        (ZeroDivisionError(), "internal_error"),
    ],
)
async def test_trouble_is_counted_and_tried_again_ever_more_rarely(
    house: House,
    instance: Instance,
    deliverer: Deliverer,
    hands: Hands,
    faults: list[str],
    error: Exception,
    code: str,
) -> None:
    async def fail(job: Job) -> None:
        raise error

    hands.act = fail
    await deliverer.start()
    await _submit(house, instance)
    waits = []
    for tries in range(1, 12):
        await hands.until(tries)
        await _idle(house, deliverer)
        [due] = await _due(house)
        waits.append(due - house.clock())
        house.clock.now = due
        deliverer.wake()
    assert faults[:11] == [code] * 11
    for number, wait in enumerate(waits):
        longest = min(timedelta(seconds=2**number), LONGEST_BACKOFF)
        assert longest / 2 <= wait <= longest
    assert len(set(waits)) == len(waits)  # spread
    hands.act = hands.done
    await hands.until(12)
    await _idle(house, deliverer)
    assert await house.outbox.waiting() == 0  # never given up


async def test_one_that_waits_does_not_hold_up_the_others(
    house: House, instance: Instance, deliverer: Deliverer, hands: Hands
) -> None:
    gate = asyncio.Event()

    async def first_waits(job: Job) -> None:
        if job.drawing.request.create_key == "0":
            await gate.wait()
        await hands.done(job)

    hands.act = first_waits
    await deliverer.start()
    for key in range(9):
        await _submit(house, instance, str(key))
    await hands.until(9)
    await until(lambda: deliverer.under_way <= 1)
    assert await house.outbox.waiting() == 1
    gate.set()
    await _idle(house, deliverer)
    assert await house.outbox.waiting() == 0


async def test_no_more_are_under_way_than_workers(
    house: House, instance: Instance, deliverer: Deliverer, hands: Hands
) -> None:
    gate = asyncio.Event()
    most = 0

    async def count(job: Job) -> None:
        nonlocal most
        most = max(most, deliverer.under_way)
        await gate.wait()
        await hands.done(job)

    hands.act = count
    for key in range(12):
        await _submit(house, instance, str(key))
    await deliverer.start()
    await hands.until(4)
    assert len(hands.given) == 4
    gate.set()
    await hands.until(12)
    assert most == 4


async def test_stopping_finishes_what_is_under_way(
    house: House, instance: Instance, deliverer: Deliverer, hands: Hands
) -> None:
    gate = asyncio.Event()

    async def slow(job: Job) -> None:
        await gate.wait()
        await hands.done(job)

    hands.act = slow
    await deliverer.start()
    await _submit(house, instance)
    await hands.until(1)
    stopping = asyncio.create_task(deliverer.stop(SHORT))
    await _submit(house, instance, "later")  # claimed by nobody any more
    gate.set()
    await stopping
    assert len(hands.given) == 1
    assert await house.outbox.waiting() == 1


async def test_stopping_does_not_wait_for_ever_and_loses_nothing(
    house: House, instance: Instance, deliverer: Deliverer, hands: Hands, faults: list[str]
) -> None:
    async def hang(job: Job) -> None:
        await asyncio.Event().wait()

    hands.act = hang
    await deliverer.start()
    await _submit(house, instance)
    await hands.until(1)
    await deliverer.stop(timedelta(milliseconds=10))
    assert deliverer.under_way == 0
    hands.act = hands.done
    after = Deliverer(house.store, house.outbox, hands, house.clock, faults.append)
    await after.start()
    await hands.until(2)
    await _idle(house, after)
    await after.stop(SHORT)
    assert await house.outbox.waiting() == 0


async def test_trouble_with_the_store_is_survived(
    house: House,
    instance: Instance,
    deliverer: Deliverer,
    hands: Hands,
    faults: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("handlers.worker._STORE_PAUSE", timedelta(milliseconds=1))
    broken = 3
    claim = house.outbox.claim

    async def claim_or_fail(limit: int) -> list[Intent]:
        nonlocal broken
        if broken:
            broken -= 1
            raise StoreUnavailable("locked")
        return await claim(limit)

    monkeypatch.setattr(house.outbox, "claim", claim_or_fail)
    await _submit(house, instance)
    await deliverer.start()
    await hands.until(1)
    assert faults == ["store_unavailable"] * 3


async def test_what_cannot_be_written_down_stays_leased(
    house: House, instance: Instance, deliverer: Deliverer, hands: Hands, faults: list[str]
) -> None:
    async def cannot(job: Job) -> None:
        raise StoreUnavailable("full")

    hands.act = cannot
    await deliverer.start()
    await _submit(house, instance)
    await hands.until(1)
    await _idle(house, deliverer)
    assert faults == ["store_unavailable"]
    assert await house.outbox.claim(9) == []
    hands.act = hands.done
    house.clock.now += LEASE
    deliverer.wake()
    await hands.until(2)
    await _idle(house, deliverer)
    assert await house.outbox.waiting() == 0


async def test_a_jump_of_the_clock_does_not_carry_out_twice_at_once(
    house: House, instance: Instance, deliverer: Deliverer, hands: Hands
) -> None:
    gate = asyncio.Event()

    async def slow(job: Job) -> None:
        await gate.wait()
        await hands.done(job)

    hands.act = slow
    await deliverer.start()
    await _submit(house, instance)
    await hands.until(1)
    house.clock.advance(days=1)  # the lease is over, and the work is not
    deliverer.wake()
    await _submit(house, instance, "another")
    await hands.until(2)
    gate.set()
    await _idle(house, deliverer)
    assert [job.drawing.request.create_key for job in hands.given] == ["key", "another"]
    house.clock.advance(days=1)
    deliverer.wake()
    await hands.until(3)  # what became of the first could not be written down under its old lease
    await _idle(house, deliverer)
    assert await house.outbox.waiting() == 0
