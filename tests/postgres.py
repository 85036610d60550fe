"""PostgreSQL for tests: one server for a process of tests, and for each test a database of its own.

A database is copied from one that the real migrations made. How the server is run is ``benchmarks.postgres``'.
"""

import asyncio
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from benchmarks import postgres
from benchmarks.postgres import run
from store.postgres_schema import prepare

T = TypeVar("T")
_TEMPLATE = "template_signoff"
_DIE_SECONDS = 20
# Nobody needs these databases after a crash of the machine.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "autovacuum": "off"}
_BROKEN = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)


class _Aside:
    """A connection for whoever looks at a database from beside, kept for the next look: tests look often.

    It has a thread and a loop of its own, and so serves whoever calls, wherever from.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aside")
        self._runner: asyncio.Runner | None = None
        self._url = ""
        self._connection: asyncpg.Connection | None = None

    def run(self, url: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Run ``work`` on a connection to ``url``; once more on a new one where the old one is found broken."""
        return self._thread.submit(self._run, url, work).result()

    def forget(self) -> None:
        """Close the connection, if there is one."""
        self._thread.submit(lambda: self._loop().run(self._close())).result()

    def _loop(self) -> asyncio.Runner:
        self._runner = self._runner or asyncio.Runner()
        return self._runner

    def _run(self, url: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        async def run() -> T:
            is_kept = self._url == url and self._connection is not None
            try:
                return await work(await self._connect(url))
            except _BROKEN:
                await self._close()
                if not is_kept:
                    raise
            return await work(await self._connect(url))

        return self._loop().run(run())

    async def _connect(self, url: str) -> asyncpg.Connection:
        if self._connection is None or self._url != url:
            await self._close()
            # Nothing is kept of statements: tests change tables, too.
            self._connection, self._url = await asyncpg.connect(url, statement_cache_size=0), url
        return self._connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


_ASIDE = _Aside()


class PostgresServer(postgres.PostgresServer):
    """A running server. Made by the first test that needs one, ended by ``close``."""

    def __init__(self) -> None:
        super().__init__(_SETTINGS)
        self._numbers = count(1)
        self._shared: str | None = None
        self.create(_TEMPLATE)
        run(prepare(self.url(_TEMPLATE), upgrade=False))

    def new_database(self) -> str:
        """Make a database with the schema of today; returns its URL."""
        return self.create(f"test_{next(self._numbers)}", like=_TEMPLATE)

    def emptied_database(self) -> str:
        """Return the URL of the one database that most tests share, one after the other, without what the last left.

        That takes a tenth of the time of a new one.
        """
        if self._shared is None:
            self._shared = self.new_database()
        else:
            _ASIDE.run(self._shared, _empty)
        return self._shared

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End the server: at once, without a word to its clients."""
        _ASIDE.forget()  # a server that is asked in a friendly way waits for all of its clients
        super().stop(how)

    def die(self) -> None:
        """Let all of its processes die at once, by -9."""
        _ASIDE.forget()
        os.kill(self.pid, signal.SIGSTOP)  # so that it makes no others meanwhile
        others = self.others()
        for pid in (*others, self.pid):
            os.kill(pid, signal.SIGKILL)
        self.stop(signal.SIGKILL)
        until = time.monotonic() + _DIE_SECONDS
        while any(_is_alive(pid) for pid in others):  # while one is there, the next server does not start
            assert time.monotonic() < until, "PostgreSQL's processes do not die"
            time.sleep(0.001)

    def others(self) -> list[int]:
        """The processes that the first one made, for connections and for itself."""
        return [pid for pid in _pids() if _stat_of(pid)[1:2] == [str(self.pid)]]

    def dump(self, url: str) -> bytes:
        """Return what pg_dump makes of a database."""
        return self._call("pg_dump", "--format=custom", f"--dbname={url}").stdout

    def restore(self, dump: bytes, name: str) -> str:
        """Put a dump into a new database; returns its URL."""
        url = self.create(name)
        self._call("pg_restore", f"--dbname={url}", given=dump)
        return url


def _is_alive(pid: int) -> bool:
    return _stat_of(pid)[:1] not in ([], ["Z"])


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _stat_of(pid: int) -> list[str]:
    """State, parent and so on of a process; nothing where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


async def _empty(connection: asyncpg.Connection) -> None:
    tables = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename != 'alembic_version'"
    )
    sequences = await connection.fetch("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
    await connection.execute(
        "SET LOCAL session_replication_role = replica;"  # rows may go in any order; all this is one transaction
        + "".join(f'DELETE FROM "{table}";' for (table,) in tables)
        + "".join(f"SELECT setval('\"{sequence}\"', 1, false);" for (sequence,) in sequences)
    )


def rows_of(url: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement, with SQLite's marks for its ``values``, beside whoever works on the database."""
    marks = count(1)
    sql = re.sub(r"\?", lambda _: f"${next(marks)}", query)
    return [tuple(row) for row in _ASIDE.run(url, lambda connection: connection.fetch(sql, *values))]
