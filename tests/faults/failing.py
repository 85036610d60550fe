"""Databases that fail when they are told to: SQLite's file, and PostgreSQL's server or the way to it.

Each gives a store, and a function that lets it fail once, as chance has it. What must hold is ``doubt_rounds``'.
"""

import asyncio
import random
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from unittest.mock import patch

import asyncpg

from store import postgres_connections
from store.announcing import Job
from store.engine import SqliteStore, connect
from store.opening import Database
from store.postgres import PostgresStore
from store.postgres_connections import TURN
from store.unit import Unit
from tests.conftest import StandingClock
from tests.faults.cutter import WHERE, Cutter

_FULL, _NO_LIMIT = "PRAGMA max_page_count=1", 1_073_741_823  # no more pages than there are; as many as can be
_SHORT_MS = 5  # that a writer waits for a lock, instead of two seconds
_BRIEF_MS = 40  # the same where a server is between: other writers' turns are not to look like trouble
_LOCKED_SECONDS = 30  # of moved time
_FILLED = ("requests", "votes", "events", "outbox")
_DISK = """
CREATE OR REPLACE FUNCTION faults_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF {full} THEN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END IF;
  RETURN NEW;
END $$
"""

Failing = AsyncIterator[tuple[SqliteStore, Callable[[], Awaitable[None]]]]


@asynccontextmanager
async def failing_sqlite(database: Database, clock: StandingClock, chance: random.Random) -> Failing:
    """A file that is locked or read-only, or whose disk is full, also within a group of units."""
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
            clock.advance(seconds=_LOCKED_SECONDS)
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
async def failing_postgres(database: Database, clock: StandingClock, chance: random.Random) -> Failing:
    """A server whose connections break, whose tables are locked, which takes no writes or finds its disk full."""
    assert isinstance(database, str)
    with patch.object(postgres_connections, "BUSY_TIMEOUT_MS", _BRIEF_MS):
        async with Cutter(database) as cutter, _operating(database) as operator:
            store = await PostgresStore.open(cutter.url)
            troubles = _Operator(database.rpartition("/")[2], operator, cutter, clock, chance)
            try:
                yield store, troubles.strike  # type: ignore[misc]  # a house takes either store
            finally:
                await store.close()


@asynccontextmanager
async def _operating(database: str) -> AsyncIterator[asyncpg.Connection]:
    """The connection of whoever spoils the server, with a disk that is full when it is said to be."""
    operator = await asyncpg.connect(database)
    await operator.execute(_DISK.format(full="false"))
    for table in _FILLED:
        await operator.execute(
            f"CREATE TRIGGER faults BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION faults_disk()"
        )
    try:
        yield operator
    finally:
        await operator.execute("DROP FUNCTION faults_disk CASCADE")
        await operator.close()


class _Operator:
    """What may happen to a server, one thing at a time."""

    def __init__(
        self, name: str, operator: asyncpg.Connection, cutter: Cutter, clock: StandingClock, chance: random.Random
    ) -> None:
        self._name, self._operator, self._cutter, self._clock, self._chance = name, operator, cutter, clock, chance

    async def strike(self) -> None:
        troubles = [self._at_commit, self._anywhere, self._ended, self._full, self._locked, self._read_only]
        (trouble,) = self._chance.choices(troubles, weights=[3, 1, 1, 2, 1, 1])
        await trouble()
        self._clock.advance(seconds=1)

    async def _at_commit(self) -> None:
        self._cutter.cut_next_commit(self._chance.choice(WHERE))
        await asyncio.sleep(self._chance.uniform(0, 0.03))

    async def _anywhere(self) -> None:
        self._cutter.cut_all()

    async def _ended(self) -> None:
        """By the server, as an administrator or its shutdown does it."""
        await self._operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )

    async def _full(self) -> None:
        """At any row of a group, or at the first."""
        await self._operator.execute(_DISK.format(full=f"random() < {self._chance.choice([0.1, 0.3, 1])}"))
        await asyncio.sleep(self._chance.uniform(0, 0.1))
        await self._operator.execute(_DISK.format(full="false"))

    async def _locked(self) -> None:
        """By a replica that stands still while it is its turn to write, or by whoever changes a table."""
        async with self._operator.transaction():
            what = self._chance.choice([f"SELECT pg_advisory_xact_lock({TURN})", "LOCK TABLE requests"])
            await self._operator.execute(what)
            await asyncio.sleep(self._chance.uniform(0, 2 * _BRIEF_MS / 1000))
            self._clock.advance(seconds=_LOCKED_SECONDS)
            await asyncio.sleep(0.01)

    async def _read_only(self) -> None:
        """As when another server was made the one that takes writes."""
        await self._operator.execute(f"ALTER DATABASE {self._name} SET default_transaction_read_only = on")
        await self._ended()
        await asyncio.sleep(self._chance.uniform(0, 0.1))
        await self._operator.execute(f"ALTER DATABASE {self._name} RESET default_transaction_read_only")
