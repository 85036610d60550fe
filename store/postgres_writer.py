"""Writing to PostgreSQL: one connection of a replica's, and the transactions in which its units are written.

Most units have the database to themselves: they hold the writers' lock of the database, and no other replica writes.
Those that may run beside others (``store.statements_beside``) share that lock with other replicas' such units, and take
turns only at the head of the chain, which is the last lock of every transaction and held for one message. The lock is
never had first shared and then alone: whoever finds that it must run alone is undone, and run again in another
transaction.

Nothing here knows what is stored.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from store.announcing import Job
from store.compiled import Statement
from store.postgres_beside import AllAlone, run_beside
from store.postgres_connections import TURN, Trouble, connect, hang_up, is_trouble, unavailable
from store.statements_chain import PREPARE_APPEND, Appended, append_sql
from store.unit import StoreUnavailable, Unit

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

R = TypeVar("R")

ALONE_SECONDS = 0.25
"""After so long no further unit joins a transaction of units that run alone: others wait for their turn, and not for
ever."""

BESIDE_SECONDS = 1.0
"""How long units may be under way beside others: then they are undone, and run alone."""

_BEGIN_ALONE = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({TURN})"
_BEGIN_BESIDE = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock_shared({TURN})"


class PostgresUnit(Unit):
    """A unit on one connection. ``appended``: where it leaves its events, which are chained at the end."""

    def __init__(self, connection: "asyncpg.Connection", appended: list[Appended] | None = None) -> None:
        super().__init__()
        self._connection = connection
        self._appended = appended
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
        done: str = await self._done(statement, self._connection.execute(form.sql, *form.bind(values)))
        return int(done.rpartition(" ")[2])  # such as UPDATE 1, INSERT 0 1

    async def append(self, at: datetime, type: str, request_number: int | None, body: bytes) -> None:
        if self._appended is None:
            raise StoreUnavailable("an event cannot be written while reading: the transaction is read-only")
        self._appended.append(Appended(at, type, request_number, body.decode()))

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


class Writer:
    """The connection that writes, for one group of units at a time. On the event loop only.

    ``tell`` gives the statement by which other replicas are told of a commit's changes, if there is anything to tell;
    ``reread`` is called when the database answers again after a commit whose answer was lost.
    """

    def __init__(self, url: str, tell: Callable[[Iterable[object]], str], reread: Callable[[], None]) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None
        self._tell = tell
        self._reread = reread
        self._is_in_doubt = False  # a commit's answer was lost, and what came of it was not read again yet

    async def open(self) -> "asyncpg.Connection":
        """Connect, and return the connection. Raises ``StoreUnavailable``."""
        connection = await connect(self._url)
        try:
            await connection.execute(PREPARE_APPEND)
        except BaseException as error:
            connection.terminate()
            if isinstance(error, Trouble):
                raise unavailable(error) from error
            raise
        self._connection = connection
        return connection

    async def close(self) -> None:
        if self._connection is not None:
            await hang_up(self._connection)
            self._connection = None

    async def commit(self, group: Sequence[Job]) -> int:
        """Run the first of ``group`` alone, in one transaction; returns how many.

        Afterwards each of those has its result or its error.
        """
        try:
            connection = await self._begin(_BEGIN_ALONE)
            done = await self._run_together(connection, group)
            if not done:
                await connection.execute("ROLLBACK")
                if len(group) == 1:
                    return 1
                await connection.execute(_BEGIN_ALONE)
                done = await self._run_apart(connection, group)
        except Exception as error:
            self._doubt(group, error)
            return len(group)
        self.resolve_doubt()
        return done

    async def commit_beside(self, group: Sequence[Job]) -> Sequence[Job]:
        """Run ``group`` beside other replicas' such units; returns those that are still to be run, alone.

        Afterwards each other has its result or its error.
        """
        try:
            connection = await self._begin(_BEGIN_BESIDE)
            try:
                async with asyncio.timeout(BESIDE_SECONDS):
                    appended, again = await run_beside(connection, group)
            except (AllAlone, *Trouble):
                if connection.is_closed():
                    raise
                await connection.execute("ROLLBACK")
                return group
            if len(again) == len(group):
                await connection.execute("ROLLBACK")
                return group
            try:
                await self._end(connection, [job for job in group if job not in again], appended)
            except Trouble as error:
                if is_trouble(error):
                    raise
                await connection.execute("ROLLBACK")
                return group
        except Exception as error:
            self._doubt(group, error)
            return ()
        self.resolve_doubt()
        return again

    def resolve_doubt(self) -> None:
        """Have everything read again, if a commit's answer was lost: the database answers."""
        if self._is_in_doubt:
            self._is_in_doubt = False
            self._reread()

    def _doubt(self, group: Iterable[Job], error: Exception) -> None:
        # Nothing that was not committed outlives its connection. Whether a commit whose answer was lost came about is
        # not known: nobody is told that it did, and whoever waits for what it decided looks again.
        self._drop()
        self._is_in_doubt = True
        for job in group:
            job.result, job.error, job.changes = None, unavailable(error), []
            job.error.__cause__ = error if job.error is not error else None

    async def _begin(self, how: str) -> "asyncpg.Connection":
        """Wait for our turn to write. A connection that was lost since the last time is made anew, once."""
        if self._connection is not None:
            try:
                await self._connection.execute(how)
            except Trouble:
                if not self._connection.is_closed():
                    raise  # it is busy, not gone
                self._drop()
            else:
                return self._connection
        connection = await self.open()
        await connection.execute(how)
        return connection

    async def _run_together(self, connection: "asyncpg.Connection", group: Sequence[Job]) -> int:
        """Run and commit the first of ``group`` without savepoints, and return how many.

        None of them, and nothing is kept, if a unit must be undone alone.
        """
        appended: list[Appended] = []
        ran: list[Job] = []
        for job in _in_time(group):
            ran.append(job)
            job.result, job.error, job.changes = None, None, []
            appended_before = len(appended)
            unit = PostgresUnit(connection, appended)
            try:
                job.result = await job.work(unit)
            except StoreUnavailable:
                raise
            except Exception as error:
                job.error = error
                if unit.is_to_be_undone:
                    return 0
                del appended[appended_before:]  # it refused before it wrote anything: there is nothing to undo
                continue
            job.changes = unit.changes
        try:
            await self._end(connection, ran, appended)
        except Trouble as error:
            if is_trouble(error):
                raise
            if len(group) == 1:
                group[0].result, group[0].error = None, error
            return 0
        return len(ran)

    async def _run_apart(self, connection: "asyncpg.Connection", group: Sequence[Job]) -> int:
        """Run and commit the first of ``group``, each in a savepoint of its own; returns how many."""
        ran: list[Job] = []
        for job in _in_time(group):
            ran.append(job)
            job.result, job.error, job.changes = None, None, []
            appended: list[Appended] = []
            unit = PostgresUnit(connection, appended)
            await connection.execute("SAVEPOINT unit")
            try:
                job.result = await job.work(unit)
                await _append(connection, appended)
            except StoreUnavailable:
                raise
            except Exception as error:
                job.error = error
                await connection.execute("ROLLBACK TO unit")
            else:
                job.changes = unit.changes
            await connection.execute("RELEASE unit")
        await self._end(connection, ran, [])
        return len(ran)

    async def _end(self, connection: "asyncpg.Connection", group: Sequence[Job], appended: Sequence[Appended]) -> None:
        """Chain the events, tell the other replicas, and commit, in one message."""
        told = self._tell(change for job in group if job.error is None for change in job.changes)
        chained = append_sql(appended) if appended else ""
        done: str = await connection.execute(f"{chained}{told}COMMIT")
        if done != "COMMIT":  # PostgreSQL answers ROLLBACK, and no error, where a statement had failed before
            raise StoreUnavailable(f"the database did not commit: {done}")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _in_time(group: Iterable[Job]) -> Iterator[Job]:
    """Give jobs until it is time to let others have their turn; one at least."""
    until = time.monotonic() + ALONE_SECONDS
    for job in group:
        yield job
        if time.monotonic() > until:
            return


async def _append(connection: "asyncpg.Connection", appended: Sequence[Appended]) -> None:
    try:
        if appended:
            await connection.execute(append_sql(appended))
    except Trouble as error:
        if is_trouble(error):
            raise unavailable(error) from error
        raise
