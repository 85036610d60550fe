"""The whole service as ``handlers.app`` wires it, the playground's Slack before it and real clients behind it."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp
from agentapprovalprotocol import Allow, AsyncClient, AsyncGate, Call, Client, Gate, Verdict
from pydantic import SecretStr

from bot.clock import MovableClock, monotonic_clock
from bot.config import Settings, parse_settings
from bot.secrets import Secrets
from handlers.app import Service, Tempo
from handlers.manifest import EVENTS_PATH
from handlers.pacing import Pace
from playground import Playground, PlaygroundSettings
from playground.model import Message
from playground.sample import fill_sample
from store.opening import Database
from store.statements import CHAIN_START
from tests.conftest import SAMPLE
from tests.stores import rows_at
from tests.waiting import PATIENCE_SECONDS, until, within

T = TypeVar("T")
AT_ONCE = Pace(timedelta(milliseconds=1), burst=1000)
BRISK = Tempo(posts=AT_ONCE, draws=AT_ONCE)
MODES = ["socket", "http"]
SECRET_KEY = b"s" * 32
STILL_TO_SEND = "SELECT 1 FROM outbox WHERE reason != 'expired'"  # owners hear of expiries some minutes later

REFUND = Call(key="call-1", tool="issue_refund", arguments={"amount": 4900, "to": "Zoë"}, reasoning="it was broken")
LOOK_UP = Call(key="call-2", tool="look_up", arguments={"order": 7})


class Agent(Protocol):
    """An agent with a gate of either kind, driven from the test's loop."""

    async def check(self, call: Call) -> Verdict: ...
    async def guard(self, call: Call) -> Verdict: ...
    async def report(self, verdict: Allow, status: str, note: str | None = None) -> bool: ...
    async def close(self) -> None: ...


class SyncAgent:
    """``Gate``, in a thread."""

    def __init__(self, base_url: str, token: str, **options: Any) -> None:
        self.client = Client(base_url, token)
        self.gate = Gate(self.client, **options)

    async def check(self, call: Call) -> Verdict:
        return await within(asyncio.to_thread(self.gate.check, call))

    async def guard(self, call: Call) -> Verdict:
        def run() -> Verdict:
            with self.gate.guard(call) as verdict:
                return verdict

        return await within(asyncio.to_thread(run))

    async def report(self, verdict: Allow, status: Any, note: str | None = None) -> bool:
        return bool(await within(asyncio.to_thread(verdict.report, status, note)))

    async def close(self) -> None:
        self.client.close()


class AsyncAgent:
    """``AsyncGate``."""

    def __init__(self, base_url: str, token: str, **options: Any) -> None:
        self.client = AsyncClient(base_url, token)
        self.gate = AsyncGate(self.client, **options)

    async def check(self, call: Call) -> Verdict:
        return await within(self.gate.check(call))

    async def guard(self, call: Call) -> Verdict:
        async def run() -> Verdict:
            async with self.gate.guard(call) as verdict:
                return verdict

        return await within(run())

    async def report(self, verdict: Allow, status: Any, note: str | None = None) -> bool:
        return bool(await within(verdict.report(status, note)))

    async def close(self) -> None:
        await self.client.aclose()


AGENTS: dict[str, Callable[..., Agent]] = {"Gate": SyncAgent, "AsyncGate": AsyncAgent}


@dataclass
class Workplace:
    """A service that runs, its Slack, and an agent's credential."""

    slack: Playground
    service: Service
    clock: MovableClock
    path: Database
    token: str
    session: aiohttp.ClientSession
    _hired: list[Agent] = field(default_factory=list)

    @property
    def agents_url(self) -> str:
        return f"{self.service.base_url}/aap"

    def hire(self, kind: str, **options: Any) -> Agent:
        """Make an agent whose gate has the options given."""
        agent = AGENTS[kind](self.agents_url, self.token, **options)
        self._hired.append(agent)
        return agent

    async def get(self, path: str, token: str | None = None) -> tuple[int, str]:
        """Read a path of the service as anybody could."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.get(self.service.base_url + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def send(
        self, method: str, path: str, body: object = None, *, key: str | None = None, token: str | None = None
    ) -> tuple[int, Any]:
        """Speak to the agents' API without the client; returns the status and the JSON."""
        return await send(self.session, self.agents_url, token or self.token, method, path, body, key=key)

    async def card(self, channel: str = "C0REFUNDS") -> Message:
        """Wait for the newest card of a channel, until the bot knows that it is there."""
        return await card_in(self.slack, self.path, channel)

    async def advance(self, **by: float) -> None:
        """Let time pass for the service."""
        self.clock.advance(timedelta(**by))
        self.service.sweeper.wake()
        self.service.deliverer.wake()
        self.service.webhooks.wake()

    async def until_delivered(self) -> None:
        """Wait until nothing is left in the outbox but what is gathered for later."""
        await until(lambda: not self.rows(STILL_TO_SEND))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return rows(self.path, sql)

    async def leave(self) -> None:
        for agent in self._hired:
            await agent.close()
        await self.session.close()


async def send(
    session: aiohttp.ClientSession,
    base_url: str,
    token: str,
    method: str,
    path: str,
    body: object = None,
    *,
    key: str | None = None,
) -> tuple[int, Any]:
    """Speak to the agents' API at ``base_url`` (``…/aap``) without the client; returns the status and the JSON."""
    headers = {"Authorization": f"Bearer {token}"}
    if key is not None:
        headers["Idempotency-Key"] = key
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with session.request(method, base_url + path, data=data, headers=headers) as answer:
        return answer.status, await answer.json()


async def card_in(slack: Playground, database: Database, channel: str = "C0REFUNDS") -> Message:
    """Wait for the newest card of a channel, until the bot that owns ``database`` has recorded it."""
    message = await slack.until(lambda: next(iter(cards(slack, channel)[::-1]), None), timeout=PATIENCE_SECONDS)
    assert message is not None
    await until(lambda: bool(rows(database, f"SELECT 1 FROM cards WHERE ts = '{message.ts}'")))
    return message


def cards(slack: Playground, channel: str = "C0REFUNDS") -> list[Message]:
    """The cards in a channel, oldest first."""
    return [message for message in slack.messages(channel) if "card_id" in payload_of(message)]


def payload_of(message: Message) -> dict[str, Any]:
    """The mark that the bot left on a message."""
    payload = (message.metadata or {}).get("event_payload", {})
    assert isinstance(payload, dict)
    return payload


def settings_for(slack: Playground, database: Database, mode: str = "socket", text: str = SAMPLE) -> Settings:
    return parse_settings(config_for(slack, database, mode, text).encode(), {}, source="sample")


def config_for(slack: Playground, database: Database, mode: str = "socket", text: str = SAMPLE) -> str:
    """A configuration that leads to this Slack and this database."""
    table = f'[slack]\nmode = "{mode}"\napi_url = "{slack.api_url}"\n'
    url = f"sqlite:///{database}" if isinstance(database, Path) else database
    return table + text.replace("sqlite:///signoff.db", url)


def secrets_for(slack: Playground) -> Secrets:
    return Secrets(
        slack_bot_token=SecretStr(slack.bot_token),
        slack_app_token=SecretStr(slack.app_token),
        slack_signing_secret=SecretStr(slack.signing_secret),
        secret_key=SECRET_KEY,
    )


@asynccontextmanager
async def playing(settings: PlaygroundSettings | None = None) -> AsyncIterator[Playground]:
    """A Slack with the sample company in it."""
    async with Playground(settings or PlaygroundSettings()) as slack:
        fill_sample(slack.workspace)
        yield slack


@asynccontextmanager
async def serving(
    slack: Playground,
    database: Database,
    *,
    mode: str = "socket",
    text: str = SAMPLE,
    clock: MovableClock | None = None,
    token: str | None = None,
    waits_for_slack: bool = True,
    secrets: Secrets | None = None,
    tempo: Tempo = BRISK,
) -> AsyncIterator[Workplace]:
    """Start the service in a Slack that runs, stop it as its process would. Without ``token`` an instance is made."""
    clock = clock or MovableClock(monotonic_clock())
    settings = settings_for(slack, database, mode, text)
    service = await Service.start(settings, secrets or secrets_for(slack), clock=clock, port=0, tempo=tempo)
    try:
        if mode == "http":
            slack.request_url = service.base_url + EVENTS_PATH
        if token is None:
            _, token = await service.instances.create("till", "refund-bot")
        if waits_for_slack:
            await within(service.door.wait_until_open())
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False)
        work = Workplace(slack, service, clock, database, token, session)
        try:
            yield work
        finally:
            await work.leave()
    finally:
        await within(service.stop())
        slack.request_url = None


def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    """Read from a database beside the service that owns it."""
    if isinstance(database, str):
        return rows_at(database, sql)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def assert_sound(database: Database) -> None:
    """The file is whole, and so is its audit chain."""
    if isinstance(database, Path):
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]
        assert rows(database, "PRAGMA foreign_key_check") == []
    head = CHAIN_START
    for body, after in rows(database, "SELECT body, hash FROM events ORDER BY number"):
        head = sha256(head + body.encode()).digest()
        assert head == after


def other_call(call: Call, key: str, **changed: Any) -> Call:
    """The same call under another key."""
    return replace(call, key=key, **changed)
