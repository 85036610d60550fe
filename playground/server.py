"""The playground itself: one server on loopback with Slack's Web API, its sockets and the page.

Only wires and starts; what each part does is in its own module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType

from aiohttp import web

from playground.acts import Acts
from playground.agent import Preset
from playground.api.web import WebApi
from playground.connected import ClockHand, Connected
from playground.console import Console
from playground.delivery import encode
from playground.guard import refuse_foreign_pages
from playground.model import Json
from playground.page_server import PageServer
from playground.settings import PlaygroundSettings

HOST = "127.0.0.1"
# A Web API call carries at most a view of 250 KB, form-encoded.
MOST_BODY_BYTES = 4 << 20


class Playground(Acts):
    """A local Slack.

    ```
    async with Playground() as slack:
        slack.workspace.add_user("U0ALICE")
        ...
    ```
    """

    def __init__(self, settings: PlaygroundSettings | None = None) -> None:
        super().__init__(settings)
        self._runner: web.AppRunner | None = None
        self._connected = Connected()
        self._page = PageServer(self, self._connected)

    @property
    def api_url(self) -> str:
        """What slack_sdk and Bolt take as `base_url`."""
        return f"{self.base_url}/api/"

    @property
    def page_url(self) -> str:
        """The page to open in a browser."""
        return f"{self.base_url}/"

    async def start(self) -> None:
        """Starts to listen, on 127.0.0.1 only."""
        web_api = WebApi(self)
        app = web.Application(client_max_size=MOST_BODY_BYTES, middlewares=[refuse_foreign_pages])
        app.router.add_route("*", "/api/{method}", web_api.handle_method)
        app.router.add_post("/response/{key}", web_api.handle_response_url)
        app.router.add_get("/socket", self.sockets.handle)
        self._page.add_to(app)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.settings.port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.base_url = f"http://{HOST}:{self._runner.addresses[0][1]}"
        await self.delivery.start()

    async def stop(self) -> None:
        """Stops listening, closes every socket, ends what is still being delivered."""
        self.faults.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sockets.close()
        await self._page.close()
        await self.delivery.stop()
        if self._connected.console is not None:
            await self._connected.console.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def connect_agents(self, base_url: str, tokens: Mapping[str, str], presets: Sequence[Preset] = ()) -> Console:
        """Gives the page's console its agents: where to ask (`…/aap`), the credential of each, ready-made calls.

        A call that names no agent is the first one's. Takes the place of agents connected before; their console is
        the caller's to close. Raises ConsoleUnavailable when the agents' client is not installed, ValueError when
        there is no agent, or a ready-made call is of none of them.
        """
        console = Console(base_url, tokens, presets, now=self.settings.now, changed=self.changes.fire, spawn=self.spawn)
        self._connected.console = console
        self.changes.fire()
        return console

    def connect_clock(self, advance: Callable[[timedelta], None]) -> None:
        """Lets the page move time forward: `advance` moves the clock that `settings.now` reads, and wakes whoever
        goes by it. Only what people see follows; signatures and delivery stamps are of the wall clock.
        """
        self._connected.clock = ClockHand(advance)
        self.changes.fire()

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Asks the app to reconnect, as Slack does now and then: `warning` or `refresh_requested`."""
        await self.sockets.disconnect(reason)

    async def drop_sockets(self) -> None:
        """Breaks every socket without a word."""
        self.sockets.drop()

    def sign(self, body: str | bytes, timestamp: int | str | None = None) -> dict[str, str]:
        """The signature headers for a body. `timestamp`: seconds since the epoch, now if None."""
        return self.delivery.sign(body, timestamp)

    def encode(self, payload: Json) -> tuple[str, bytes]:
        """Content type and body of a payload over HTTP, to be signed and sent by a test's own hand."""
        return encode(payload)

    def expire_triggers(self) -> None:
        """Makes every trigger id handed out so far too old."""
        self.tickets.expire_triggers()

    def expire_response_urls(self) -> None:
        """Makes every response URL handed out so far too old."""
        self.tickets.expire_response_urls()

    async def __aenter__(self) -> Playground:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
