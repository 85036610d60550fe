"""Who is on call, with a Slack to look people up in and a server that offers calendars."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class CalendarServer:
    """Offers ``content`` at every path, unless ``answer`` says otherwise."""

    url: str = ""
    content: bytes = b""
    answer: Answer | None = None
    asked: list[str] = field(default_factory=list)

    async def take(self, http_request: web.Request) -> web.StreamResponse:
        self.asked.append(http_request.path_qs)
        if self.answer is not None:
            return await self.answer(http_request)
        return web.Response(body=self.content, content_type="text/calendar")


@asynccontextmanager
async def offering(content: bytes = b"") -> AsyncIterator[CalendarServer]:
    """A server on loopback."""
    offered = CalendarServer(content=content)
    app = web.Application()
    app.router.add_get("/{path:.*}", offered.take)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    try:
        offered.url = str(server.make_url("/feed.ics"))
        yield offered
    finally:
        await server.close()
