"""The servers that are measured: the echo ceiling, the straw man, and Signoff itself, each a process of its own.

The ceiling is what aiohttp can do at all: parse a JSON body and return it. The straw man keeps approvals in stdlib
sqlite3 with one writer thread and group commit, and nothing else: no credentials, rules, chain, outbox or Slack.
"""

import asyncio
import json
import os
import queue
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.load import Client, http_request

_START_SECONDS = 60.0
_CONFIG = """
[server]
port = {port}
public_url = "http://127.0.0.1:{port}"

[slack]
mode = "socket"
api_url = "{api_url}"

[store]
url = "{store_url}"

[admins]
users = ["U0ADMIN"]

[agents.bench]
owners = ["U0OWNER"]
tools = ["look_up", "issue_refund_*"]

[reviewers.finance]
users = ["U0ALICE", "U0BOB"]

[[rules]]
name = "by rule"
agent = "bench"
tool = "look_up"
stage = "autonomous"

"""
_RULE = """
[[rules]]
name = "by people {number}"
agent = "bench"
tool = "issue_refund_{number}"
stage = "approve"
channel = "C0BENCH{number}"
reviewers = ["finance"]
"""
CHANNELS = 100  # Slack takes about one new card a second in each; what is measured here must not wait for that


@dataclass
class Server:
    """A running server process. ``started_seconds``: from its start until it could serve."""

    port: int
    process: asyncio.subprocess.Process
    started_seconds: float
    token: str = ""

    def cpu_seconds(self) -> float:
        """Processor time that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """Resident memory of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()


@asynccontextmanager
async def plain_server(kind: str, folder: Path) -> AsyncIterator[Server]:
    """Run the ``echo`` ceiling or the ``straw`` man."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.servers", kind, str(folder), stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_START_SECONDS):
            port = int(await process.stdout.readline())
        yield Server(port, process, time.perf_counter() - began)
    finally:
        await _end(process)


@asynccontextmanager
async def signoff_server(
    folder: Path, api_url: str, secrets: dict[str, str], port: int, *, store_url: str = "", token: str = ""
) -> AsyncIterator[Server]:
    """Run ``signoff serve`` as an operator would, against a stand-in for Slack.

    ``store_url`` is that of a database in ``folder`` where none is given; ``token`` is one that it knows already.
    """
    config = folder / f"bench-{port}.toml"
    rules = "".join(_RULE.format(number=number) for number in range(CHANNELS))
    store_url = store_url or f"sqlite:///{folder}/bench.db"
    config.write_text(_CONFIG.format(port=port, api_url=api_url, store_url=store_url) + rules)
    env = {**os.environ, **secrets, "SIGNOFF_SECRET_KEY": "b" * 64, "SIGNOFF_LOG_LEVEL": "warning"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its bytecode; the first command below makes it
    run = [sys.executable, "-c", "from handlers.cli import main; raise SystemExit(main())"]
    if not token:
        create = ["instance", "create", "bench", "--agent", "bench", "--config", str(config)]
        made = await asyncio.create_subprocess_exec(*run, *create, env=env, stdout=subprocess.PIPE)
        token = (await made.communicate())[0].decode().strip()
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*run, "serve", "--config", str(config), env=env)
    try:
        async with asyncio.timeout(_START_SECONDS):
            await _until_ready(port)
        yield Server(port, process, time.perf_counter() - began, token)
    finally:
        await _end(process)


async def _until_ready(port: int) -> None:
    while True:
        try:
            client = await Client.connect("127.0.0.1", port)
            answer = await client.send(http_request("GET", "/readyz", {}))
            client.close()
            if answer.status == 200:
                return
        except OSError:
            pass
        await asyncio.sleep(0.01)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


# --- the plain servers, run by ``python -m benchmarks.servers KIND FOLDER`` ---


async def _echo(http_request: web.Request) -> web.Response:
    return web.json_response(await http_request.json())


class _Straw:
    """Approvals as the straw man keeps them: one row, three statements, group commit on one thread."""

    def __init__(self, folder: Path) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._db = sqlite3.connect(folder / "straw.db", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE IF NOT EXISTS r (id TEXT PRIMARY KEY, body TEXT, consumed TEXT, outcome TEXT)")
        threading.Thread(target=self._write, daemon=True).start()

    def _write(self) -> None:
        while True:
            group = [self._jobs.get()]
            while len(group) < 64:
                try:
                    group.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            self._db.execute("BEGIN IMMEDIATE")
            results = [(future, job()) for job, future in group]
            self._db.execute("COMMIT")
            self._loop.call_soon_threadsafe(self._settle, results)

    @staticmethod
    def _settle(results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        for future, result in results:
            future.set_result(result)

    async def _run(self, sql: str, *values: Any) -> int:
        future: asyncio.Future[int] = self._loop.create_future()
        self._jobs.put((lambda: self._db.execute(sql, values).rowcount, future))
        return await future

    async def create(self, http_request: web.Request) -> web.Response:
        made = {"id": str(uuid.uuid4()), **await http_request.json()}
        await self._run("INSERT INTO r (id, body) VALUES (?, ?)", made["id"], json.dumps(made))
        return web.json_response(made, status=201)

    async def consume(self, http_request: web.Request) -> web.Response:
        name = http_request.match_info["id"]
        done = await self._run("UPDATE r SET consumed = 'now' WHERE id = ? AND consumed IS NULL", name)
        return web.json_response({"id": name}, status=200 if done else 409)

    async def outcome(self, http_request: web.Request) -> web.Response:
        name, body = http_request.match_info["id"], await http_request.json()
        await self._run("UPDATE r SET outcome = ? WHERE id = ?", body["status"], name)
        return web.json_response({"id": name})


async def _serve(kind: str, folder: Path) -> None:
    app = web.Application()
    if kind == "echo":
        app.router.add_post("/echo", _echo)
    else:
        straw = _Straw(folder)
        app.router.add_post("/aap/v1/requests", straw.create)
        app.router.add_post("/aap/v1/requests/{id}/consume", straw.consume)
        app.router.add_post("/aap/v1/requests/{id}/outcome", straw.outcome)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))
