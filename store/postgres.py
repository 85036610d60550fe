"""Opening a PostgreSQL database and running units of work on it: one of several replicas, or the command line.

As on SQLite one unit writes at a time, of all replicas: whoever writes holds the writers' lock of the database from
the first statement to the commit. So what a unit read stays true until it commits, numbers are given out in the order
of the commits, and nobody forks the chain of events; two clicks at two replicas meet as two at one do. What arrives
while a replica waits for its turn is gathered and committed together (group commit), which makes taking turns cheap.
Reading takes no lock: each reading unit has a connection of a small pool and one snapshot.

A commit tells the other replicas, with NOTIFY in its transaction, what it changed; a connection of its own listens.
While that is lost, what is held in memory is not relied on, and afterwards it is read again. What became of a commit
whose answer was lost is not known: its callers hear ``StoreUnavailable``, and that, too, is read again.

Nothing here knows what is stored; see ``store.statements`` for that.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from store.announcing import MAX_GROUP, Announcer, ChangedElsewhere, Job, Unheard, Work, topic_of
from store.compiled import Statement
from store.postgres_connections import (
    CONNECT_SECONDS,
    TURN,
    Served,
    Trouble,
    connect,
    hang_up,
    is_trouble,
    say_serving,
    unavailable,
    unserved,
)
from store.postgres_readers import Readers
from store.unit import StoreUnavailable, Unit

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

T = TypeVar("T")
R = TypeVar("R")

PULSE_SECONDS = 0.5  # how often the listening connection is tried
ANSWER_SECONDS = 1.0  # how long it may take to answer, or nobody is heard any more
_UNHEARD_SECONDS = 0.2  # how often it is said, while nobody listens, and listening tried again
_LOOKS_AT_THE_CLOCK = 5
_CHANNEL = "signoff"
_MOST_PAYLOAD_CHARS = 7_000  # PostgreSQL takes 8 000 bytes
_ANYTHING = "*"
_TOPIC = re.compile(r"[a-zA-Z0-9:_-]+")
_BEGIN = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({TURN})"

_Gathered = list[tuple[str, Sequence[Any]]]  # statements with their parameters, to be run before the commit


class PostgresUnit(Unit):
    """A unit on one connection. ``gathered``: where it leaves what is written at the end."""

    def __init__(
        self, connection: "asyncpg.Connection", head: bytes | None = None, gathered: _Gathered | None = None
    ) -> None:
        super().__init__(head)
        self._connection = connection
        self._gathered = gathered
        self.is_to_be_undone = False
        """Whether it wrote anything, or the database refused something: after that PostgreSQL takes nothing more."""

    async def one(self, statement: Statement[R], /, **values: Any) -> R | None:
        form = statement.postgresql
        row = await self._done(statement, self._connection.fetchrow(form.sql, *form.bind(values)))
        return None if row is None else form.load(row)

    async def all(self, statement: Statement[R], /, **values: Any) -> list[R]:
        form = statement.postgresql
        rows = await self._done(statement, self._connection.fetch(form.sql, *form.bind(values)))
        return [form.load(row) for row in rows]

    async def run(self, statement: Statement[Any], /, **values: Any) -> int:
        form = statement.postgresql
        if statement.is_gathered and self._gathered is not None:
            self._gathered.append((form.sql, form.bind(values)))
            return 1
        done: str = await self._done(statement, self._connection.execute(form.sql, *form.bind(values)))
        return int(done.rpartition(" ")[2])  # such as UPDATE 1, INSERT 0 1

    async def _done(self, statement: Statement[Any], running: Awaitable[Any]) -> Any:
        """Await what a statement gives. Raises ``StoreUnavailable`` for the database's trouble."""
        self.is_to_be_undone |= statement.is_write
        try:
            return await running
        except Trouble as error:
            self.is_to_be_undone = True
            if is_trouble(error):
                raise unavailable(error) from error
            raise


class PostgresStore(Announcer):
    """A PostgreSQL database, as one replica has it. Made by ``open``."""

    def __init__(self, url: str, *, serves: bool = False) -> None:
        super().__init__()
        self._url = url
        self._serves = serves
        self._replica = os.urandom(8).hex()
        self._jobs: asyncio.Queue[Job | None] = asyncio.Queue()
        self._connection: asyncpg.Connection | None = None  # that writes
        self._readers = Readers(url)
        self._is_listening = asyncio.Event()
        self._deaf_because: StoreUnavailable | None = None
        self._is_in_doubt = False  # a commit's answer was lost, and what came of it was not read again yet
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, url: str, *, serves: bool = False, when_alone: Work[object] | None = None) -> "PostgresStore":
        """Open the database at ``url``, whose schema must be current (see ``store.postgres_schema``).

        ``serves``: this is a replica; while there is one, nobody has the database alone. ``when_alone`` is written
        before that, where no other replica serves. Raises ``StoreUnavailable``.
        """
        store = cls(url, serves=serves)
        store._connection = await connect(url)
        store._tasks = [store._loop.create_task(store._write_forever(), name="store-writer")]
        try:
            if when_alone is not None:
                with suppress(Served):
                    async with unserved(url):
                        await store.write(when_alone)
        except BaseException:
            await store.close()
            raise
        store._tasks.append(store._loop.create_task(store._listen_forever(), name="store-listener"))
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await store._is_listening.wait()  # what another replica commits from now on is heard
        except TimeoutError as error:
            await store.close()
            raise store._deaf_because or StoreUnavailable("the database cannot serve: nobody can listen") from error
        return store

    async def write(self, work: Work[T]) -> T:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        job = Job(work, self._loop.create_future())
        self._jobs.put_nowait(job)
        # The future may be cancelled with its caller; the job is carried out all the same.
        return cast(T, await job.future)

    async def read(self, work: Work[T]) -> T:
        async with self._readers.lend() as connection:
            return await work(PostgresUnit(connection))

    async def peek(self, work: Work[T]) -> T:
        return await self.read(work)

    async def offset_of(self, clock: Callable[[], datetime]) -> timedelta:
        """How far the database's clock is ahead of ``clock``; as exact as half the way there and back, at its best."""
        looks: list[tuple[timedelta, timedelta]] = []
        async with self._readers.lend() as connection:
            for _ in range(_LOOKS_AT_THE_CLOCK):
                before = clock()
                try:
                    moment: datetime = await connection.fetchval("SELECT clock_timestamp()")
                except Trouble as error:
                    raise unavailable(error) from error
                took = clock() - before
                looks.append((took, moment - (before + took / 2)))
        return min(looks)[1]

    async def close(self) -> None:
        """Finish what is queued, then close. Further work is refused with ``StoreUnavailable``."""
        if self._closed:
            return
        self._closed = True
        self._readers.refuse()
        self._jobs.put_nowait(None)
        writer, *listener = self._tasks
        await writer
        for task in listener:
            task.cancel()
        await asyncio.gather(*listener, return_exceptions=True)
        await self._readers.close()
        if self._connection is not None:
            await hang_up(self._connection)
            self._connection = None

    # --- writing ---

    async def _write_forever(self) -> None:
        while (first := await self._jobs.get()) is not None:
            group, closing = [first], False
            while len(group) < MAX_GROUP and not closing and not self._jobs.empty():
                job = self._jobs.get_nowait()
                if job is None:
                    closing = True
                else:
                    group.append(job)
            await self._commit(group)
            self._settle(group)
            if closing:
                return

    async def _commit(self, group: list[Job]) -> None:
        """Run ``group`` in one transaction. Afterwards each job has its result or its error."""
        try:
            connection = await self._begin()
            if not await self._run_together(connection, group):
                await connection.execute("ROLLBACK")
                if len(group) > 1:
                    await connection.execute(_BEGIN)
                    await self._run_apart(connection, group)
        except Exception as error:
            # Nothing that was not committed outlives its connection. Whether a commit whose answer was lost came about
            # is not known: nobody is told that it did, and whoever waits for what it decided looks again.
            self._drop()
            self._is_in_doubt = True
            for job in group:
                job.result, job.error, job.changes = None, unavailable(error), []
                job.error.__cause__ = error if job.error is not error else None
        else:
            self._resolve_doubt()

    def _resolve_doubt(self) -> None:
        if self._is_in_doubt:
            self._is_in_doubt = False
            self._announce([ChangedElsewhere()])

    async def _begin(self) -> "asyncpg.Connection":
        """Wait for our turn to write. A connection that was lost since the last time is made anew, once."""
        if self._connection is not None:
            try:
                await self._connection.execute(_BEGIN)
            except Trouble:
                if not self._connection.is_closed():
                    raise  # it is busy, not gone
                self._drop()
            else:
                return self._connection
        self._connection = await connect(self._url)
        await self._connection.execute(_BEGIN)
        return self._connection

    async def _run_together(self, connection: "asyncpg.Connection", group: list[Job]) -> bool:
        """Run and commit ``group`` without savepoints; False if a unit must be undone alone, and nothing is kept."""
        gathered: _Gathered = []
        head: bytes | None = None
        for job in group:
            gathered_before = len(gathered)
            unit = PostgresUnit(connection, head, gathered)
            try:
                job.result = await job.work(unit)
            except StoreUnavailable:
                raise
            except Exception as error:
                job.error = error
                if unit.is_to_be_undone:
                    return False
                del gathered[gathered_before:]  # it refused before it wrote anything: there is nothing to undo
                continue
            job.changes = unit.changes
            head = unit.head
        try:
            await _write(connection, gathered)
        except Trouble as error:
            if len(group) == 1:
                group[0].result, group[0].error = None, error
            return False
        await self._end(connection, group)
        return True

    async def _run_apart(self, connection: "asyncpg.Connection", group: list[Job]) -> None:
        """Run and commit ``group``, each unit in a savepoint of its own, so that one can be undone alone."""
        head: bytes | None = None
        for job in group:
            job.result, job.error, job.changes = None, None, []
            gathered: _Gathered = []
            unit = PostgresUnit(connection, head, gathered)
            await connection.execute("SAVEPOINT unit")
            try:
                job.result = await job.work(unit)
                await _write(connection, gathered)
            except StoreUnavailable:
                raise
            except Exception as error:
                job.error = error
                await connection.execute("ROLLBACK TO unit")
            else:
                job.changes = unit.changes
                head = unit.head
            await connection.execute("RELEASE unit")
        await self._end(connection, group)

    async def _end(self, connection: "asyncpg.Connection", group: list[Job]) -> None:
        """Commit, and tell the other replicas of it in the same breath."""
        topics = {topic_of(change) for job in group if job.error is None for change in job.changes} - {None}
        notify = f"SELECT pg_notify('{_CHANNEL}', '{self._replica} {_payload(cast(set[str], topics))}'); "
        done: str = await connection.execute((notify if topics else "") + "COMMIT")
        if done != "COMMIT":  # PostgreSQL answers ROLLBACK, and no error, where a statement had failed before
            raise StoreUnavailable(f"the database did not commit: {done}")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    # --- other replicas ---

    async def _listen_forever(self) -> None:
        while True:
            connection: asyncpg.Connection | None = None
            try:
                connection = await self._connect_unheard()
                if self._serves:
                    await say_serving(connection)
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(_CHANNEL, self._hear)
                self._is_listening.set()
                self._announce([ChangedElsewhere()])  # what was committed before we listened
                await self._listen(connection, lost)
            except (StoreUnavailable, *Trouble) as error:
                self._deaf_because = unavailable(error)
            finally:
                self._is_listening.clear()
                if connection is not None:
                    connection.terminate()
            self._announce([Unheard()])
            await asyncio.sleep(_UNHEARD_SECONDS)

    async def _connect_unheard(self) -> "asyncpg.Connection":
        """Connect, and say meanwhile that nobody listens. Raises ``StoreUnavailable``."""
        connecting = asyncio.ensure_future(connect(self._url))
        try:
            while not (await asyncio.wait({connecting}, timeout=_UNHEARD_SECONDS))[0]:
                self._announce([Unheard()])
            return connecting.result()
        except BaseException:
            connecting.add_done_callback(_hang_up)
            connecting.cancel()
            raise

    async def _listen(self, connection: "asyncpg.Connection", lost: asyncio.Event) -> None:
        """Return or raise once the connection is no more: a network that went away says nothing by itself."""
        while not lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(PULSE_SECONDS):
                    await lost.wait()
            await connection.execute("SELECT 1", timeout=ANSWER_SECONDS)
            self._resolve_doubt()

    def _hear(self, _connection: object, _process: int, _channel: str, payload: object) -> None:
        replica, _, topics = str(payload).partition(" ")
        if replica == self._replica:
            return  # announced when it was committed
        self._announce([ChangedElsewhere(None if topics == _ANYTHING else frozenset(topics.split()))])


def _hang_up(connecting: "asyncio.Future[asyncpg.Connection]") -> None:
    """End a connection that was made for nobody: who asked for it was cancelled in the same moment."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().terminate()


def _payload(topics: Iterable[str]) -> str:
    told = " ".join(sorted(topics))
    if len(told) > _MOST_PAYLOAD_CHARS or not all(_TOPIC.fullmatch(topic) for topic in topics):
        return _ANYTHING
    return told


async def _write(connection: "asyncpg.Connection", gathered: _Gathered) -> None:
    try:
        for sql, rows in groupby(gathered, itemgetter(0)):
            await connection.executemany(sql, [values for _, values in rows])
    except Trouble as error:
        if is_trouble(error):
            raise unavailable(error) from error
        raise
