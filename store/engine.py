"""Opening a SQLite database and running units of work on it.

One thread writes. What arrives while it is busy is gathered and committed together (group commit): the units one
after the other, one ``COMMIT`` with ``synchronous=FULL`` for all, and only then are the callers told. A unit that
refuses after it wrote something undoes the transaction; the group is then run again with a savepoint for each unit,
so that only that one is undone. Refusals are rare and savepoints would cost each unit two statements: every statement
lets the event loop have the interpreter, and must wait to get it back. One thread reads, on a connection of its own;
WAL keeps the two out of each other's way. What is looked up by its key is read on the event loop itself, on a third
connection: that takes less time than to wake a thread and be woken by it.

Nothing here knows what is stored; see ``store.statements`` for that.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from store.announcing import BUSY_TIMEOUT_MS, MAX_GROUP, Announcer, ChangedElsewhere, Job, Work
from store.compiled import Statement
from store.unit import StoreUnavailable, Unit

__all__ = ["SqliteStore", "Store", "Work"]

T = TypeVar("T")
R = TypeVar("R")

READER_CACHE_KIB = 16_384
"""For what asks across requests: it goes through more pages than SQLite keeps, a fifth faster. Taken when needed."""
LOOK_ABROAD_SECONDS = 0.2  # how often the writer looks whether another process (the command line) wrote


class Store(Protocol):
    """A database of Signoff, as the use cases see it."""

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in a writing transaction and return its result once it is committed.

        ``work`` may be run twice, when a unit of its group refused: it must change nothing but through its unit. Raises
        what ``work`` raised (nothing was kept), or ``StoreUnavailable``. A caller that is cancelled meanwhile does not
        undo it.
        """
        ...

    async def write_beside(self, work: Work[T]) -> T:
        """Do as ``write`` does, for work that may run beside other such work of other processes.

        Where that might make a difference it runs alone, see ``store.statements_beside``.
        """
        ...

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` in a reading transaction: one consistent snapshot."""
        ...

    async def peek(self, work: Work[T]) -> T:
        """Run ``work``, which reads a few rows by their keys: a change of threads would cost more than it does."""
        ...

    def subscribe(self, listener: Callable[[object], None], *kinds: type) -> None:
        """Call ``listener`` on the event loop with each change that was committed and is of ``kinds``, or with any."""
        ...

    async def offset_of(self, clock: Callable[[], datetime]) -> timedelta:
        """How far the clock that all processes of this database go by is ahead of ``clock``."""
        ...

    async def close(self) -> None: ...


_Gathered = list[tuple[str, Sequence[Any]]]  # statements with their parameters, to be run before the commit


class SqliteUnit(Unit):
    """A unit on the one SQLite connection of its thread. ``gathered``: where it leaves what is written at the end."""

    def __init__(self, connection: sqlite3.Connection, head: bytes | None, gathered: _Gathered | None = None) -> None:
        super().__init__(head)
        self._connection = connection
        self._gathered = gathered

    async def one(self, statement: Statement[R], /, **values: Any) -> R | None:
        cursor = self._connection.execute(statement.sql, statement.bind(values))
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else statement.load(row)

    async def all(self, statement: Statement[R], /, **values: Any) -> list[R]:
        rows = self._connection.execute(statement.sql, statement.bind(values)).fetchall()
        return [statement.load(row) for row in rows]

    async def run(self, statement: Statement[Any], /, **values: Any) -> int:
        if statement.is_gathered and self._gathered is not None:
            self._gathered.append((statement.sql, statement.bind(values)))
            return 1
        return self._connection.execute(statement.sql, statement.bind(values)).rowcount


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the database at ``path`` with the settings its promises rest on.

    Raises ``StoreUnavailable`` when it cannot be opened.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys=ON")
        if read_only:
            connection.execute("PRAGMA query_only=ON")
        else:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")  # what retention removes is not left in free pages
    except sqlite3.Error as error:
        raise StoreUnavailable(f"cannot open the database {path}: {error}") from error
    return connection


def drive(awaitable: Awaitable[T]) -> T:
    """Run a use case that awaits nothing but its unit, in this thread, without an event loop."""
    coroutine = cast(Any, awaitable)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast(T, stop.value)
    coroutine.close()
    raise RuntimeError("a unit of work may await nothing but its unit")


class SqliteStore(Announcer):
    """A SQLite database: one writing thread, one reading thread. Made by ``open``."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._writes: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._writer = connect(path)
        self._reader = connect(path, read_only=True)
        self._reader.execute(f"PRAGMA cache_size={-READER_CACHE_KIB}")
        self._peeker = connect(path, read_only=True)
        self._threads = [
            threading.Thread(target=self._write_forever, name="store-writer", daemon=True),
            threading.Thread(target=self._read_forever, name="store-reader", daemon=True),
        ]
        self._closed = False

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open the database at ``path``, whose schema must be current (see ``store.schema``)."""
        store = cls(path)
        for thread in store._threads:
            thread.start()
        return store

    async def write(self, work: Work[T]) -> T:
        return cast(T, await self._submit(self._writes, work))

    async def write_beside(self, work: Work[T]) -> T:
        return await self.write(work)  # one thread writes

    async def read(self, work: Work[T]) -> T:
        return cast(T, await self._submit(self._reads, work))

    async def peek(self, work: Work[T]) -> T:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return _read(self._peeker, work)

    async def offset_of(self, clock: Callable[[], datetime]) -> timedelta:
        return timedelta(0)  # all are on one machine

    async def close(self) -> None:
        """Finish what is queued, then close. Further work is refused with ``StoreUnavailable``."""
        if self._closed:
            return
        self._closed = True
        self._writes.put(None)
        self._reads.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._reader.close()
        self._peeker.close()
        self._writer.close()

    def _submit(self, jobs: "queue.SimpleQueue[Job | None]", work: Work[Any]) -> asyncio.Future[Any]:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        job = Job(work, self._loop.create_future())
        jobs.put(job)
        # The future may be cancelled with its caller; the job is carried out all the same.
        return job.future

    # --- the writing thread ---

    def _write_forever(self) -> None:
        connection = self._writer
        seen = self._data_version(connection)
        while True:
            try:
                first = self._writes.get(timeout=LOOK_ABROAD_SECONDS)
            except queue.Empty:
                seen = self._look_abroad(connection, seen)
                continue
            if first is None:
                return
            group, closing = [first], False
            with suppress(queue.Empty):
                while len(group) < MAX_GROUP and not closing:
                    job = self._writes.get_nowait()
                    if job is None:
                        closing = True
                    else:
                        group.append(job)
            seen = self._look_abroad(connection, seen)
            self._commit(connection, group)
            self._loop.call_soon_threadsafe(self._settle, group)
            if closing:
                return

    def _commit(self, connection: sqlite3.Connection, group: list[Job]) -> None:
        """Run ``group`` in one transaction. Afterwards each job has its result or its error."""
        try:
            if not self._run_together(connection, group):
                self._run_apart(connection, group)
        except Exception as error:
            # A full disk, among others, rolls the whole transaction back: then nothing of the group was kept,
            # whatever its savepoints said, and every caller must hear it. What is no error of SQLite's (want of
            # memory) ends here too: this thread must live, or everybody after this group waits for ever.
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            for job in group:
                job.error = StoreUnavailable(f"the database did not take it: {error}")
                job.error.__cause__ = error

    @staticmethod
    def _run_together(connection: sqlite3.Connection, group: list[Job]) -> bool:
        """Run and commit ``group`` without savepoints; False if a unit must be undone alone, and all were undone."""
        gathered: _Gathered = []
        head: bytes | None = None
        connection.execute("BEGIN IMMEDIATE")
        for job in group:
            changes_before, gathered_before = connection.total_changes, len(gathered)
            unit = SqliteUnit(connection, head, gathered)
            try:
                job.result = drive(job.work(unit))
            except BaseException as error:
                _raise_trouble(connection, error)
                if connection.total_changes != changes_before:
                    connection.execute("ROLLBACK")
                    job.error = error
                    return len(group) == 1
                del gathered[gathered_before:]  # it refused before it wrote anything: there is nothing to undo
                job.error = error
                continue
            if not connection.in_transaction:  # the next unit would commit each of its statements by itself
                raise sqlite3.OperationalError("the transaction is gone")
            job.changes = unit.changes
            head = unit.head
        try:
            _write(connection, gathered)
        except sqlite3.IntegrityError:
            connection.execute("ROLLBACK")
            return False
        # If anything ended the transaction before this, COMMIT fails, and every caller hears it: no false success.
        connection.execute("COMMIT")
        return True

    @staticmethod
    def _run_apart(connection: sqlite3.Connection, group: list[Job]) -> None:
        """Run and commit ``group``, each unit in a savepoint of its own, so that one can be undone alone."""
        head: bytes | None = None
        connection.execute("BEGIN IMMEDIATE")
        for job in group:
            job.result, job.error, job.changes = None, None, []
            gathered: _Gathered = []
            unit = SqliteUnit(connection, head, gathered)
            connection.execute("SAVEPOINT unit")
            try:
                job.result = drive(job.work(unit))
                _write(connection, gathered)
            except BaseException as error:
                _raise_trouble(connection, error)
                job.error = error
                connection.execute("ROLLBACK TO unit")
            else:
                job.changes = unit.changes
                head = unit.head
            connection.execute("RELEASE unit")
        connection.execute("COMMIT")

    def _look_abroad(self, connection: sqlite3.Connection, seen: int) -> int:
        version = self._data_version(connection)
        if version != seen:
            self._loop.call_soon_threadsafe(self._announce, [ChangedElsewhere()])
        return version

    @staticmethod
    def _data_version(connection: sqlite3.Connection) -> int:
        try:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return -1  # differs from any version, so that what changed meanwhile is read once it works again

    # --- the reading thread ---

    def _read_forever(self) -> None:
        connection = self._reader
        while (job := self._reads.get()) is not None:
            try:
                job.result = _read(connection, job.work)
            except BaseException as error:  # whatever it is belongs to the caller, not to this thread
                job.error = error
            self._loop.call_soon_threadsafe(self._settle, [job])


def _read(connection: sqlite3.Connection, work: Work[T]) -> T:
    """Run ``work`` on one snapshot of the database. Raises ``StoreUnavailable`` for the database's trouble."""
    try:
        connection.execute("BEGIN")
        try:
            return drive(work(SqliteUnit(connection, None)))
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the database cannot be read: {error}") from error


def _write(connection: sqlite3.Connection, gathered: _Gathered) -> None:
    for sql, rows in groupby(gathered, itemgetter(0)):
        connection.executemany(sql, [values for _, values in rows])


def _raise_trouble(connection: sqlite3.Connection, error: BaseException) -> None:
    """Raise the database's trouble; return if ``error`` is a use case's own (a refused constraint is that too)."""
    is_own = not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.IntegrityError)
    if not connection.in_transaction or not is_own:
        raise (error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error))) from error
