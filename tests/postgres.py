"""PostgreSQL for tests: one server for a process of tests, and for each test a database of its own.

A database is copied from one that the real migrations made. How the server is run is ``benchmarks.postgres``'.
"""

import re
from itertools import count
from typing import Any

import asyncpg

from benchmarks import postgres
from benchmarks.postgres import run
from store.postgres_schema import prepare

_TEMPLATE = "template_signoff"
# Nobody needs these databases after a crash of the machine.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "autovacuum": "off"}


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
            run(_empty(self._shared))
        return self._shared

    def dump(self, url: str) -> bytes:
        """Return what pg_dump makes of a database."""
        return self._call("pg_dump", "--format=custom", f"--dbname={url}").stdout

    def restore(self, dump: bytes, name: str) -> str:
        """Put a dump into a new database; returns its URL."""
        url = self.create(name)
        self._call("pg_restore", f"--dbname={url}", given=dump)
        return url


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    tables = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename != 'alembic_version'"
    )
    sequences = await connection.fetch("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
    await connection.execute(
        "SET session_replication_role = replica;"  # rows may go in any order
        + "".join(f'DELETE FROM "{table}";' for (table,) in tables)
        + "".join(f"SELECT setval('\"{sequence}\"', 1, false);" for (sequence,) in sequences)
    )
    await connection.close()


def rows_of(url: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement, with SQLite's marks for its ``values``, beside whoever works on the database."""
    marks = count(1)

    async def work() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(re.sub(r"\?", lambda _: f"${next(marks)}", query), *values)
        finally:
            await connection.close()
        return [tuple(row) for row in rows]

    return run(work())
