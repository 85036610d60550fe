"""``signoff serve`` as a process of its own, to be told to stop or killed, and the Slack that outlives it."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bot.instances import Instances
from handlers.manifest import EVENTS_PATH
from playground import Playground
from playground.model import Message
from store.opening import Database, open_database
from tests.conftest import SAMPLE, StandingClock
from tests.scenario.service_support import SECRET_KEY, STILL_TO_SEND, card_in, config_for, rows, send
from tests.waiting import PATIENCE_SECONDS, until, within

ROOT = Path(__file__).parents[2]


class Starter:
    """Where processes come from: see ``tests.scenario.starter``. Ends them all when it is closed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.scenario.starter"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._pids: list[int] = []
        self._codes: dict[int, int] = {}
        self._told = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(
        self, argv: list[str], env: dict[str, str], log: Path, dies_at: str | None = None, runs: str = "handlers.cli"
    ) -> int:
        """Start one; returns its process id. Blocks for a moment, the first time for the imports.

        ``dies_at``: where it kills itself, see ``tests.faults.dying``. ``runs``: the module whose ``main`` it runs.
        """
        assert self._process.stdin is not None
        with self._told:
            before = len(self._pids)
            order = {"argv": argv, "env": env, "log": str(log), "dies_at": dies_at, "runs": runs}
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            patience = PATIENCE_SECONDS * (1 if before else 4)
            assert self._told.wait_for(lambda: len(self._pids) > before, patience), "no process starts"
            return self._pids[-1]

    def wait(self, pid: int, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the end of a process and return its exit code."""
        with self._told:
            assert self._told.wait_for(lambda: pid in self._codes, seconds), "the process does not end"
            return self._codes[pid]

    def has_ended(self, pid: int) -> bool:
        with self._told:
            return pid in self._codes

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, *numbers = line.split()
            with self._told:
                if word == b"started":
                    self._pids.append(int(numbers[0]))
                    self._codes.pop(int(numbers[0]), None)  # of another before it: the machine gives ids again
                else:
                    self._codes[int(numbers[0])] = int(numbers[1])
                self._told.notify_all()


@dataclass
class Site:
    """A place where ``signoff serve`` runs, ends and runs again: one database, one address, one Slack."""

    starter: Starter
    slack: Playground
    path: Database
    folder: Path
    mode: str
    text: str
    token: str
    session: aiohttp.ClientSession
    port: int
    env: dict[str, str]
    pid: int | None = None
    _starts: int = 0
    _logs: list[Path] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def agents_url(self) -> str:
        return f"{self.url}/aap"

    def configure(self, text: str) -> Path:
        """Write the configuration file, for this address and this Slack, and return where it is."""
        config = self.folder / "config.toml"
        server = f'[server]\nhost = "127.0.0.1"\nport = {self.port}\npublic_url = "{self.url}"\n'
        text = text.replace('[server]\npublic_url = "http://127.0.0.1:8080"\n', server)
        config.write_text(config_for(self.slack, self.path, self.mode, text))
        return config

    async def start(self, *, waits_for_slack: bool = True) -> None:
        """Start the process and wait until it serves."""
        await self.launch()
        await until(lambda: self.has_logged("serving"))
        if waits_for_slack:
            await until(lambda: self.has_logged("slack_connected" if self.mode == "socket" else "slack_authorized"))

    async def launch(self, dies_at: str | None = None) -> None:
        """Start the process, and wait for nothing. ``dies_at``: see ``tests.faults.dying``."""
        config = self.configure(self.text)
        log = self.folder / f"{len(self._logs)}.log"
        self._logs.append(log)
        if self.mode == "http":
            self.slack.request_url = self.url + EVENTS_PATH
        argv = ["serve", "--config", str(config)]
        self.pid = await asyncio.to_thread(self.starter.start, argv, self.env, log, dies_at)

    @property
    def has_died(self) -> bool:
        """Whether the process that was started last has ended."""
        return self.pid is None or self.starter.has_ended(self.pid)

    async def kill(self) -> None:
        """End the process as a power cut would."""
        await self._end(signal.SIGKILL, -signal.SIGKILL)

    async def terminate(self) -> None:
        """Tell the process to stop, and wait until it has."""
        await self._end(signal.SIGTERM, 0)

    def signal(self, number: int) -> None:
        assert self.pid is not None
        os.kill(self.pid, number)

    async def until_logged(self, event: str) -> None:
        """Wait for a line of the process that runs now."""
        await until(lambda: self.has_logged(event))

    async def until_ended(self) -> int:
        """Wait for the end of the process; returns its exit code."""
        assert self.pid is not None
        pid, self.pid = self.pid, None
        return await asyncio.to_thread(self.starter.wait, pid)

    async def send(self, method: str, path: str, body: object = None, *, key: str | None = None) -> tuple[int, Any]:
        return await send(self.session, self.agents_url, self.token, method, path, body, key=key)

    async def ask(self, key: str = "k", **arguments: object) -> str:
        """Make a request that people decide; returns its id."""
        body = {"tool": "issue_refund", "arguments": {"amount": 4900, **arguments}, "timeout": "10m"}
        status, request = await self.send("POST", "/v1/requests", body, key=key)
        assert status == 201
        return str(request["id"])

    async def card(self, channel: str = "C0REFUNDS") -> Message:
        return await card_in(self.slack, self.path, channel)

    async def until_delivered(self) -> None:
        """Wait until nothing is left in the outbox but what is gathered for later."""
        await until(lambda: not self.rows(STILL_TO_SEND))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return rows(self.path, sql)

    def logged(self) -> list[dict[str, Any]]:
        """Every line that any of the processes wrote to stderr."""
        return [json.loads(line) for log in self._logs if log.exists() for line in log.read_text().splitlines()]

    async def _end(self, number: int, code: int) -> None:
        self.signal(number)
        assert await self.until_ended() == code

    def has_logged(self, event: str) -> bool:
        assert self.pid is not None
        log = self._logs[-1]
        text = log.read_text() if log.exists() else ""
        assert not self.starter.has_ended(self.pid), text
        return f'"event": "{event}"' in text


@asynccontextmanager
async def site_at(
    starter: Starter,
    slack: Playground,
    database: Database,
    *,
    mode: str = "socket",
    text: str = SAMPLE,
    env: dict[str, str] | None = None,
    folder: Path | None = None,
    token: str | None = None,
) -> AsyncIterator[Site]:
    """Prepare a site with one instance's credential. Nothing runs yet; what runs at the end is killed.

    ``folder``, for its files, must be named where the database is not one. Without ``token`` an instance is made.
    """
    if folder is None:
        assert isinstance(database, Path)
        folder = database.parent
    if token is None:
        store = await open_database(database)
        _, token = await Instances(store, StandingClock(), SECRET_KEY).create("till", "refund-bot")
        await store.close()
    secret = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SIGNOFF_SECRET_KEY": SECRET_KEY.decode(),
    }
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False) as session:
        env = {**secret, **(env or {})}
        site = Site(starter, slack, database, folder, mode, text, token, session, free_port(), env)
        try:
            yield site
        finally:
            if site.pid is not None:
                with suppress(ProcessLookupError):
                    site.signal(signal.SIGKILL)
                await within(site.until_ended())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def many_files(wanted: int) -> Iterator[None]:
    """Let this process, and those it starts, open ``wanted`` files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Relay:
    """A network between a bot and its Slack, which can go dark: it stays open, and carries nothing any more."""

    def __init__(self, slack: Playground) -> None:
        self._slack = slack
        self._there = slack.base_url
        self._light = asyncio.Event()
        self._light.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Relay":
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self._slack.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._slack.base_url = self._there
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def go_dark(self) -> None:
        self._light.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection("127.0.0.1", int(self._there.rpartition(":")[2]))
        for source, target in ((reader, out), (there, writer)):
            task = asyncio.get_running_loop().create_task(self._carry(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while said := await source.read(65536):
                await self._light.wait()
                target.write(said)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()
