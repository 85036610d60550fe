"""A receiver of notifications on loopback: the protocol's own, behind a real server that a test can make misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from agentapprovalprotocol.receiver import Receiver, new_secret, verify
from aiohttp import web

from tests.scenario.service_support import Workplace
from tests.waiting import PATIENCE_SECONDS

Answer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Delivery:
    """One attempt that reached a receiver."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        read = json.loads(self.body)
        assert isinstance(read, dict)
        return read


@dataclass
class Station:
    """A receiver's server. ``answer`` replaces what the real ``Receiver`` would say."""

    url: str
    receiver: Receiver
    answer: Answer | None = None
    got: list[Delivery] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def events(self) -> list[Delivery]:
        """The notifications among what came."""
        return [delivery for delivery in self.got if delivery.message.get("type") == "request.resolved"]

    async def until(self, number: int) -> list[Delivery]:
        """Wait for so many notifications, and return them."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._arrived:
            await self._arrived.wait_for(lambda: len(self.events) >= number)
        return self.events

    async def until_challenged(self) -> None:
        """Wait for the first message of any kind."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._arrived:
            await self._arrived.wait_for(lambda: bool(self.got))

    def proven(self, delivery: Delivery) -> dict[str, Any]:
        """The message of an attempt whose signature the protocol's own code accepts."""
        assert self.receiver.secret is not None
        return verify(self.receiver.secret, delivery.headers, delivery.body)

    def configuration(self, **changes: object) -> dict[str, Any]:
        """A ``delivery`` that leads here."""
        return {
            "type": "webhook",
            "url": self.url,
            "registration_id": self.receiver.registration_id,
            "signing_secret": self.receiver.secret,
        } | changes

    async def take(self, http_request: web.Request) -> web.StreamResponse:
        body = await http_request.read()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            async with self._arrived:
                self.got.append(Delivery(dict(http_request.headers), body))
                self._arrived.notify_all()
            if self.answer is not None:
                return await self.answer(http_request, body)
            status, answer = await self.receiver.handle(http_request.headers, body)
            return web.Response(status=status, body=answer, content_type="application/json" if answer else None)
        finally:
            self.at_once -= 1


@asynccontextmanager
async def receiving() -> AsyncIterator[Station]:
    """Run a receiver that knows its secret and registration, and waits for an instance."""
    woken: list[str] = []

    def resume(handle: Mapping[str, Any], request: Any) -> None:
        woken.append(request.id)

    receiver = Receiver(
        resumers={"test": resume}, secret=new_secret(), registration_id="8246931c-4ce0-4c15-a94a-e9c078ad06e2"
    )
    station = Station("", receiver, woken=woken)
    app = web.Application()
    app.router.add_post("/{path:.*}", station.take)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    station.url = f"http://127.0.0.1:{runner.addresses[0][1]}/aap/events?x=1"
    try:
        yield station
    finally:
        if receiver.client is not None:
            await receiver.client.aclose()
        await runner.cleanup()


@dataclass
class Platform:
    """A provisioner's side of a running service."""

    work: Workplace
    token: str

    async def send(
        self, method: str, path: str = "", body: object = None, *, key: str | None = None, token: str | None = None
    ) -> tuple[int, Any]:
        """Call ``/v1/instances…``; returns the status and the JSON, None for an empty body."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"{self.work.agents_url}/v1/instances{path}"
        async with self.work.session.request(method, url, data=data, headers=headers) as answer:
            assert answer.headers["X-Request-ID"]
            content = await answer.read()
            return answer.status, json.loads(content) if content else None

    async def make(self, station: Station | None = None, key: str = "k", **fields: object) -> dict[str, Any]:
        """Make an instance, with ``station`` for its receiver; returns the answer."""
        delivery = {} if station is None else {"delivery": station.configuration()}
        status, made = await self.send("POST", body={**delivery, **fields}, key=key)
        assert status == 201, made
        assert isinstance(made, dict)
        return made


async def platform_of(work: Workplace, agent: str = "refund-bot", name: str = "fleet") -> Platform:
    _, token = await work.service.provisioners.create(name, agent)
    return Platform(work, token)
