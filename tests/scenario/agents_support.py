"""A running agents' API on a loopback port, over a real database, with a clock that stands at today's time.

The real client compares what it is told with the machine's clock, so this one cannot stand at a made-up day.
"""

import asyncio
import hashlib
import io
import json
import logging
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import structlog
from aiohttp import web

from bot.call import MAX_BODY_BYTES
from bot.changes import RequestChanged
from bot.decisions import Act
from handlers.agents import AgentsApi
from handlers.logs import configure_logging
from handlers.protocol import rest_of_routes
from store.engine import SqliteStore
from store.statements import CHAIN_START
from store.tables import FullView, Instance, Request, Status, VoteKind
from tests.conftest import SAMPLE, TEAM, House, StandingClock, Town, furnish, sample_settings
from tests.waiting import until, within

T = TypeVar("T")

CALL = {"tool": "issue_refund", "arguments": {"amount": 4900, "to": "Zoë"}, "timeout": "10m"}
READ = {"tool": "look_up", "arguments": {"order": 7}, "timeout": "10m"}
"""A call that people decide, and one that its rule approves at once."""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code; every error must be the protocol's object and carry the exchange's id."""
        error = self.json()["error"]
        assert set(error) - {"param"} == {"type", "code", "message", "request_id"}
        assert error["request_id"] == self.headers["X-Request-ID"]
        return str(error["code"])


class WatchedStore(SqliteStore):
    """The real store, which tells when a unit was handed to the writing thread."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.handed_over = asyncio.Event()

    async def write(self, work: Any) -> Any:
        self.handed_over.set()
        return await super().write(work)


@dataclass
class Api:
    """The API as an agent reaches it, and the house behind it."""

    house: House
    store: WatchedStore
    runner: web.AppRunner
    origin: str
    instance: Instance
    token: str
    session: aiohttp.ClientSession
    changes: "asyncio.Queue[Request]" = field(default_factory=asyncio.Queue)

    @property
    def base_url(self) -> str:
        return f"{self.origin}/aap"

    @property
    def server(self) -> web.Server:
        assert self.runner.server is not None
        return self.runner.server

    @property
    def path(self) -> Path:
        return self.store.path

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send ``body`` (bytes and generators as they are, anything else as JSON) with this instance's token."""
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token or self.token}")
        if key is not None:
            sent["Idempotency-Key"] = key
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        data: Any = body
        if isinstance(body, bytes):
            data = io.BytesIO(body)  # the client minds large bodies given as bytes
        elif body is not None and not hasattr(body, "__aiter__"):
            data = json.dumps(body)
        async with self.session.request(method, f"{self.base_url}{path}", data=data, headers=sent) as response:
            reply = Reply(response.status, response.headers, await response.read())
        assert uuid.UUID(reply.headers["X-Request-ID"])
        assert reply.headers["Content-Type"] == "application/json"
        return reply

    async def create(self, call: object = None, key: str | None = None, **more: Any) -> Reply:
        return await self.send(
            "POST", "/v1/requests", CALL if call is None else call, key=key or uuid.uuid4().hex, **more
        )

    async def consume(self, request_id: str, key: str | None = None, **more: Any) -> Reply:
        return await self.send("POST", f"/v1/requests/{request_id}/consume", key=key or uuid.uuid4().hex, **more)

    async def outcome(self, request_id: str, body: object, **more: Any) -> Reply:
        return await self.send("POST", f"/v1/requests/{request_id}/outcome", body, **more)

    async def consumed(self) -> str:
        """Make a request that its rule approves, consume it, and return its id."""
        request_id = str((await self.create(READ)).json()["id"])
        assert (await self.consume(request_id)).status == 200
        return request_id

    async def vote(self, request: Request, kind: VoteKind, note: str | None = None) -> Request:
        act = Act(
            id=uuid.uuid4().hex,
            user_id="U0ALICE",
            team_id=TEAM,
            surface="card",
            channel="C0REFUNDS",
            full_view=FullView.CARD,
        )
        return await self.house.decisions.vote(request.number, act, kind, note)

    async def next_change(self, status: Status) -> Request:
        """Wait for the next committed change that leaves a request with ``status``."""
        return await within(self._next_change(status))

    async def _next_change(self, status: Status) -> Request:
        while (request := await self.changes.get()).status is not status:
            pass
        return request

    async def polled(self, request_id: str, polls: int = 1) -> None:
        """Wait until that many long polls are held on a request."""
        await until(lambda: len(self.house.approvals._waiters._waiting.get(request_id, ())) >= polls)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql).fetchall()

    def census(self) -> dict[str, int]:
        """Count every table's rows, and check that the audit chain is whole."""
        head = CHAIN_START
        for body, after in self.rows("SELECT body, hash FROM events ORDER BY number"):
            head = hashlib.sha256(head + body.encode()).digest()
            assert head == after
        tables = [name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: self.rows(f"SELECT count(*) FROM {name}")[0][0] for name in tables}


@asynccontextmanager
async def running_api(database: Path, text: str = SAMPLE) -> AsyncIterator[Api]:
    """Serve the API over the database at ``database`` until the block ends."""
    clock = StandingClock(datetime.now(UTC))
    town = Town(clock, people={}, groups={"S0FINANCE": frozenset({"U0BOB"})})
    for user in ("U0OWNER", "U0ALICE", "U0BOB"):
        town.add(user)
    store = await WatchedStore.open(database)
    assert isinstance(store, WatchedStore)
    house = await furnish(store, clock, town, sample_settings(text))
    instance, token = await house.instances.create("till", "refund-bot")
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.add_routes(AgentsApi(house.creation, house.approvals, house.instances).routes())
    app.add_routes(rest_of_routes())

    async def stop_waiting(_: web.Application) -> None:
        house.approvals.stop_waiting()

    app.on_shutdown.append(stop_waiting)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            api = Api(house, store, runner, f"http://127.0.0.1:{port}", instance, token, session)
            store.subscribe(
                lambda change: api.changes.put_nowait(change.request) if isinstance(change, RequestChanged) else None
            )
            yield api
    finally:
        await runner.cleanup()
        await store.close()


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Log as the server does, and give what is logged."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in list(root.manager.loggerDict)}
    stream = io.StringIO()
    configure_logging(logging.DEBUG, stream)
    try:
        yield stream
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(level)
        for name in list(root.manager.loggerDict):
            logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))
