"""Opening a PostgreSQL database and running units of work on it: one of several replicas, or the command line.

As on SQLite one unit writes at a time, of all replicas: whoever writes holds the writers' lock of the database from
the first statement to the commit. So what a unit read stays true until it commits, numbers are given out in the order
of the commits, and two clicks at two replicas meet as two at one do. Apart from that stand the units of calls that a
rule decided, of which there are most: they run beside each other, at one replica and at several, as far as
``store.statements_beside`` says that this makes no difference, and nobody else writes meanwhile. What arrives while a
replica waits for its turn is gathered and committed together (group commit), which makes taking turns cheap. Reading
takes no lock: each reading unit has a connection of a small pool and one snapshot.

A commit tells the other replicas, with NOTIFY in its transaction, what it changed; a connection of its own listens.
While that is lost, what is held in memory is not relied on, and afterwards it is read again. What became of a commit
whose answer was lost is not known: its callers hear ``StoreUnavailable``, and that, too, is read again.

Nothing here knows what is stored; see ``store.statements`` for that.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from store.announcing import MAX_GROUP, Announcer, ChangedElsewhere, Job, Unheard, Work, topic_of
from store.postgres_connections import CONNECT_SECONDS, Served, Trouble, connect, say_serving, unavailable, unserved
from store.postgres_readers import Readers
from store.postgres_writer import PostgresUnit, Writer
from store.unit import StoreUnavailable

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

T = TypeVar("T")

PULSE_SECONDS = 0.5  # how often the listening connection is tried
ANSWER_SECONDS = 1.0  # how long it may take to answer, or nobody is heard any more
_UNHEARD_SECONDS = 0.2  # how often it is said, while nobody listens, and listening tried again
_LOOKS_AT_THE_CLOCK = 5
_CHANNEL = "signoff"
_MOST_PAYLOAD_CHARS = 7_000  # PostgreSQL takes 8 000 bytes
_ANYTHING = "*"
_TOPIC = re.compile(r"[a-zA-Z0-9:_-]+")


class PostgresStore(Announcer):
    """A PostgreSQL database, as one replica has it. Made by ``open``."""

    def __init__(self, url: str, *, serves: bool = False) -> None:
        super().__init__()
        self._url = url
        self._serves = serves
        self._replica = os.urandom(8).hex()
        self._jobs: asyncio.Queue[Job | None] = asyncio.Queue()
        self._writer = Writer(url, self._tell, lambda: self._announce([ChangedElsewhere()]))
        self._readers = Readers(url)
        self._is_listening = asyncio.Event()
        self._deaf_because: StoreUnavailable | None = None
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, url: str, *, serves: bool = False, when_alone: Work[object] | None = None) -> "PostgresStore":
        """Open the database at ``url``, whose schema must be current (see ``store.postgres_schema``).

        ``serves``: this is a replica; while there is one, nobody has the database alone. ``when_alone`` is written
        before that, where no other replica serves. Raises ``StoreUnavailable``.
        """
        store = cls(url, serves=serves)
        await store._writer.open()
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
        return cast(T, await self._submit(Job(work, self._loop.create_future())))

    async def write_beside(self, work: Work[T]) -> T:
        return cast(T, await self._submit(Job(work, self._loop.create_future(), is_beside=True)))

    async def _submit(self, job: Job) -> Any:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        self._jobs.put_nowait(job)
        # The future may be cancelled with its caller; the job is carried out all the same.
        return await job.future

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
        await self._writer.close()

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
            if closing:
                return

    async def _commit(self, group: list[Job]) -> None:
        """Write ``group``, first those that may run beside other replicas' units, and tell their callers."""
        beside = [job for job in group if job.is_beside]
        if beside:
            again = await self._writer.commit_beside(beside)
            self._settle([job for job in beside if job not in again])
            group = [job for job in group if not job.is_beside or job in again]
        while group:
            done = await self._writer.commit(group)
            self._settle(group[:done])
            group = group[done:]

    def _tell(self, changes: Iterable[object]) -> str:
        topics = {topic for change in changes if (topic := topic_of(change)) is not None}
        return f"SELECT pg_notify('{_CHANNEL}', '{self._replica} {_payload(topics)}'); " if topics else ""

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
            self._writer.resolve_doubt()

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
