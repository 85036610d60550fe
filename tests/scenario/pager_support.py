"""Stand-ins for what is outside and called by address: PagerDuty, a webhook's receiver, a dead-man service."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Got:
    """One call that reached the stand-in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        read = json.loads(self.body)
        assert isinstance(read, dict)
        return read


@dataclass
class StandIn:
    """A server on loopback that answers as it is told, 202 at first, and keeps what it got."""

    url: str = ""
    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"status":"success","message":"Event processed","dedup_key":"x"}'
    hangs: bool = False
    got: list[Got] = field(default_factory=list)

    def answers(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    async def take(self, http_request: web.Request) -> web.Response:
        body = await http_request.read()
        self.got.append(Got(http_request.method, http_request.path_qs, dict(http_request.headers), body))
        if self.hangs:
            await asyncio.Event().wait()
        return web.Response(status=self.status, headers=self.headers, body=self.body)


@asynccontextmanager
async def standing_in() -> AsyncIterator[StandIn]:
    """Run a stand-in."""
    stand_in = StandIn()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stand_in.take)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stand_in
    finally:
        await runner.cleanup()
