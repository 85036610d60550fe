"""A playground with a few people, the real slack_sdk client, and toy apps on the real Bolt."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from playground import Playground, PlaygroundSettings

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """slack_sdk obeys the environment's proxy; loopback traffic must not go through one."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def people_and_channels(slack: Playground) -> None:
    workspace = slack.workspace
    workspace.add_user("U0ALICE", tz="Europe/Paris")
    workspace.add_user("U0BOB")
    workspace.add_user("U0CAROL")
    workspace.add_channel("C0REFUNDS", members=["U0ALICE", "U0BOB", slack.bot_user_id])
    workspace.add_channel("C0ELSEWHERE", members=["U0ALICE"])
    workspace.add_channel("C0SECRET", is_private=True, members=["U0ALICE", slack.bot_user_id])
    workspace.add_channel("C0HIDDEN", is_private=True, members=["U0ALICE"])
    workspace.add_usergroup("S0FINANCE", handle="finance", users=["U0ALICE", "U0CAROL"])


Opener = Callable[..., Awaitable[Playground]]


@pytest.fixture
async def open_playground() -> AsyncIterator[Opener]:
    """Opens playgrounds with other settings than the usual ones."""
    opened: list[Playground] = []

    async def open_(**settings: Any) -> Playground:
        slack = Playground(PlaygroundSettings(**settings))
        await slack.start()
        opened.append(slack)
        people_and_channels(slack)
        return slack

    yield open_
    for slack in opened:
        await slack.stop()


@pytest.fixture
async def slack(open_playground: Opener) -> Playground:
    return await open_playground()


def client_of(slack: Playground, token: str | None = None) -> AsyncWebClient:
    return AsyncWebClient(token=token or slack.bot_token, base_url=slack.api_url, retry_handlers=[])


@pytest.fixture
def client(slack: Playground) -> AsyncWebClient:
    return client_of(slack)


@dataclass
class ToyApp:
    """A Bolt app that remembers what it was sent."""

    slack: Playground
    app: AsyncApp
    seen: list[Json] = field(default_factory=list)
    _closers: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)

    async def connect(self, ping_seconds: float = 10) -> AsyncSocketModeHandler:
        handler = AsyncSocketModeHandler(self.app, self.slack.app_token, ping_interval=ping_seconds)
        before = self.slack.connections
        await handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt leaves it untyped
        await self.slack.until(lambda: self.slack.connections > before)
        self._closers.append(handler.close_async)
        return handler

    async def listen(self) -> None:
        """Takes payloads by signed HTTP."""

        async def events(http_request: web.Request) -> web.Response:
            return await to_aiohttp_response(await self.app.async_dispatch(await to_bolt_request(http_request)))

        server = web.Application()
        server.router.add_post("/slack/events", events)
        runner = web.AppRunner(server, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._closers.append(runner.cleanup)
        self.slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"

    async def close(self) -> None:
        for close in reversed(self._closers):
            await close()


@pytest.fixture
async def make_app() -> AsyncIterator[Callable[[Playground], ToyApp]]:
    made: list[ToyApp] = []

    def make(slack: Playground) -> ToyApp:
        app = AsyncApp(
            client=client_of(slack),
            signing_secret=slack.signing_secret,
            process_before_response=True,
            ignoring_self_events_enabled=False,
        )
        toy = ToyApp(slack, app)

        async def remember(body: Json, next: Callable[[], Awaitable[None]]) -> None:
            toy.seen.append(body)
            await next()

        async def take(ack: Callable[[], Awaitable[None]]) -> None:
            await ack()

        app.middleware(remember)
        app.event("message")(take)
        made.append(toy)
        return toy

    yield make
    for toy in made:
        await toy.close()


@pytest.fixture
def toy(slack: Playground, make_app: Callable[[Playground], ToyApp]) -> ToyApp:
    return make_app(slack)


@pytest.fixture(params=["socket", "http"])
async def online(request: pytest.FixtureRequest, toy: ToyApp) -> ToyApp:
    """The toy app connected, once in each mode."""
    if request.param == "socket":
        await toy.connect()
    else:
        await toy.listen()
    return toy
