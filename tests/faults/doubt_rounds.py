"""Rounds in which the database fails while people and agents are at work: nobody may be told of what is not kept.

SQLite's disk is full, its file locked or read-only, also within a group of units; PostgreSQL's connections break, above
all at commits whose result then stays unknown. Whoever hears ``StoreUnavailable`` repeats the step under its key, and
must be given what became of the first try.
"""

import asyncio
import random
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TypeVar

from bot.errors import AlreadyConsumed, NoLongerOpen, NotYourDecision
from bot.hearings import Act
from store.announcing import Job
from store.engine import SqliteStore, connect
from store.opening import Database
from store.postgres import PostgresStore
from store.tables import FullView, Instance, OutcomeStatus, Status, VoteKind
from store.unit import StoreUnavailable, Unit
from tests.conftest import TEAM, House, StandingClock, Town, furnish, sample_settings, submission
from tests.faults.cutter import WHERE, Cutter
from tests.faults.stage import POSTGRESQL, Stage, assert_whole
from tests.stores import rows_at

T = TypeVar("T")

CALLS = 16
TROUBLES = 12  # in a round
_MOST_TRIES = 400
_LONG_TEXT = 6_000  # characters that an argument has, so that a full disk is felt soon
_FULL, _NO_LIMIT = "PRAGMA max_page_count=1", 1_073_741_823  # no more pages than there are; as many as can be
_SHORT_MS = 5  # that a writer waits for a lock, instead of two seconds


@dataclass
class Promise:
    """What one agent was told of its call."""

    key: str
    id: str | None = None
    status: Status | None = None
    consumed_with: set[str] = field(default_factory=set)
    outcome: OutcomeStatus | None = None


class Troubled:
    """A house whose database fails; everything is tried again until it is answered."""

    def __init__(self, house: House, chance: random.Random) -> None:
        self._house, self._chance = house, chance
        self.refused = 0
        """How often somebody heard that the database does not serve."""

    async def insist(self, step: Callable[[], Awaitable[T]]) -> T:
        for _ in range(_MOST_TRIES):
            try:
                return await step()
            except StoreUnavailable:
                self.refused += 1
                await asyncio.sleep(0.002)
        raise AssertionError("the database did not come back")

    async def work(self, instance: Instance, promise: Promise) -> None:
        """From the making of a call to its outcome, with a rival for its approval."""
        house, key = self._house, promise.key
        text = "x" * self._chance.randint(1, _LONG_TEXT)
        call = submission(arguments=f'{{"key": "{key}", "text": "{text}"}}')
        request, _ = await self.insist(lambda: house.creation.submit(instance, call, key))
        promise.id = request.id
        kind, note = (VoteKind.APPROVE, None) if self._chance.random() < 0.8 else (VoteKind.DENY, "no")
        await self._vote(request.number, kind, note, key)
        told = await self.insist(lambda: house.approvals.read(instance, request.id))
        assert told.status is (Status.APPROVED if kind is VoteKind.APPROVE else Status.DENIED), "acknowledged and lost"
        promise.status = told.status
        if kind is VoteKind.APPROVE:
            await self._use(instance, promise, request.id)

    async def _vote(self, number: int, kind: VoteKind, note: str | None, key: str) -> None:
        for press in range(_MOST_TRIES):
            # The same press each time, as Slack delivers it again; another once they were told to try again.
            act = Act(f"press-{key}-{press}", "U0ALICE", TEAM, "card", "C0REFUNDS", FullView.CARD)
            try:
                await self.insist(lambda act=act: self._house.decisions.vote(number, act, kind, note))  # type: ignore[misc]
            except NotYourDecision as late:
                if late.code != "facts_too_old":  # the database was locked for so long
                    raise
            except NoLongerOpen as late:
                raise AssertionError("a press that came again was taken for another") from late
            else:
                return

    async def _use(self, instance: Instance, promise: Promise, request_id: str) -> None:
        approvals = self._house.approvals

        async def consume(key: str) -> None:
            try:
                await self.insist(lambda: approvals.consume(instance, request_id, key))
            except AlreadyConsumed:
                assert key not in promise.consumed_with
            else:
                promise.consumed_with.add(key)

        await asyncio.gather(*(consume(f"{promise.key}-{rival}") for rival in "ab"))
        assert len(promise.consumed_with) == 1, "consumed twice, or by nobody"
        succeeded = OutcomeStatus.SUCCEEDED
        await self.insist(lambda: approvals.report_outcome(instance, request_id, succeeded, None))
        promise.outcome = succeeded


async def database_fails(stage: Stage, kind: str, seed: int) -> None:
    """Everybody works, and the database fails a dozen times meanwhile."""
    chance = random.Random(f"doubt {seed}")
    database = stage.database(kind, stage.folder())
    clock = StandingClock()
    town = Town(clock, groups={"S0FINANCE": frozenset({"U0BOB"})})
    for user in ("U0OWNER", "U0ALICE", "U0BOB"):
        town.add(user)
    failing = _failing_postgres if kind == POSTGRESQL else _failing_sqlite
    async with failing(database, clock, chance) as (store, trouble):
        house = await furnish(store, clock, town, sample_settings())
        troubled = Troubled(house, chance)
        instance, _ = await house.instances.create("till", "refund-bot")
        promises = [Promise(f"k{at}") for at in range(CALLS)]
        work = asyncio.gather(*(troubled.work(instance, promise) for promise in promises))
        for _ in range(TROUBLES):
            await asyncio.sleep(chance.uniform(0, 0.01))
            await trouble()
        await work
    _assert_kept(database, promises)
    await assert_whole(database)


def _assert_kept(database: Database, promises: list[Promise]) -> None:
    stored = {
        row[0]: row[1:]
        for row in rows_at(database, "SELECT create_key, id, status, consume_key, outcome FROM requests")
    }
    assert stored.keys() == {promise.key for promise in promises}
    for promise in promises:
        request, status, consumed_with, outcome = stored[promise.key]
        assert (promise.id, promise.status) == (request, status), promise
        assert promise.consumed_with == ({consumed_with} if consumed_with else set()), promise
        assert outcome == promise.outcome, promise
    assert rows_at(database, "SELECT count(*) FROM votes") == [(len(promises),)]


Failing = AsyncIterator[tuple[SqliteStore, Callable[[], Awaitable[None]]]]


@asynccontextmanager
async def _failing_sqlite(database: Database, clock: StandingClock, chance: random.Random) -> Failing:
    assert not isinstance(database, str)
    store = await SqliteStore.open(database)
    # What the writer's connection is to do before its next group: in its own thread, for SQLite's last error is the
    # connection's, and a statement of another thread's would hide it from the driver.
    to_do = deque([f"PRAGMA busy_timeout={_SHORT_MS}"])
    is_full_within = False
    commit = store._commit

    def commit_in_trouble(connection: sqlite3.Connection, group: list[Job]) -> None:
        nonlocal is_full_within
        while to_do:
            connection.execute(to_do.popleft())
        if is_full_within:
            is_full_within = False
            _fill_before(connection, group[len(group) // 2])
        commit(connection, group)

    store._commit = commit_in_trouble  # type: ignore[method-assign]

    async def full() -> None:
        nonlocal is_full_within
        if chance.random() < 0.5:
            is_full_within = True
        else:
            to_do.append(_FULL)
        await asyncio.sleep(chance.uniform(0, 0.02))
        is_full_within = False
        to_do.append(f"PRAGMA max_page_count={_NO_LIMIT}")

    async def locked() -> None:
        with closing(connect(database)) as other:
            try:
                other.execute(f"PRAGMA busy_timeout={_SHORT_MS}")
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return  # the store was faster
            await asyncio.sleep(chance.uniform(0, 0.04))
            clock.advance(seconds=30)
            await asyncio.sleep(0.01)
            other.execute("ROLLBACK")

    async def read_only() -> None:
        to_do.append("PRAGMA query_only=ON")
        await asyncio.sleep(chance.uniform(0, 0.02))
        to_do.append("PRAGMA query_only=OFF")

    async def trouble() -> None:
        await chance.choice([full, full, locked, read_only])()

    try:
        yield store, trouble
    finally:
        await store.close()


def _fill_before(connection: sqlite3.Connection, job: Job) -> None:
    """Let the disk be full from the moment on at which ``job`` is run, within its group's transaction."""
    work = job.work

    def fail(unit: Unit) -> Awaitable[object]:
        connection.execute(_FULL)
        return work(unit)

    job.work = fail


@asynccontextmanager
async def _failing_postgres(database: Database, clock: StandingClock, chance: random.Random) -> Failing:
    assert isinstance(database, str)
    async with Cutter(database) as cutter:
        store = await PostgresStore.open(cutter.url)

        async def at_commit() -> None:
            cutter.cut_next_commit(chance.choice(WHERE))
            await asyncio.sleep(chance.uniform(0, 0.03))

        async def anywhere() -> None:
            cutter.cut_all()

        async def ended_by_the_server() -> None:
            ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            await asyncio.to_thread(rows_at, database, f"{ends} AND pid != pg_backend_pid()")

        async def trouble() -> None:
            await chance.choice([at_commit, at_commit, at_commit, anywhere, ended_by_the_server])()
            clock.advance(seconds=1)

        try:
            yield store, trouble  # type: ignore[misc]  # a house takes either store
        finally:
            await store.close()
