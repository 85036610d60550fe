"""The Bolt app in both modes: Socket Mode, and signed HTTP on ``POST /slack/events``.

Bolt brings the connection, Slack's handshakes and the shape of acknowledgements; a middleware of ours hands every
payload to ``handlers.slack.intake`` before Bolt's own matching, which would stumble over malformed ones. What people
press and submit on the socket goes there without Bolt: of all that it does for a payload they need the acknowledgement
only, and an agent is waiting. What a payload means is not known here.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Literal

import structlog
from aiohttp import web
from pydantic import SecretStr
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.config import SlackSettings
from handlers.manifest import EVENTS_PATH
from handlers.slack.afterwards import Afterwards
from handlers.slack.client import SlackClient, is_on_loopback
from handlers.slack.intake import Intake
from handlers.slack.payloads import Body
from handlers.slack.signature import is_genuine
from handlers.slack.trouble import SlackTrouble

PING_INTERVAL = timedelta(seconds=5)  # a silent line is given up after four
_RETRY = timedelta(seconds=2)
_GOODBYE = timedelta(seconds=0.3)  # for Slack to take leave too: a line that went dark never does
_LINGER = timedelta(milliseconds=2)  # for the acknowledgement and the agent's answer, which a card can wait for
_LONGEST_CALM = timedelta(milliseconds=250)
_DIRECTLY = ("block_actions", "view_submission")
_PATIENCE_FOR_LINE = 6  # ping intervals without a line, after which it is made anew from nothing

log = structlog.get_logger(__name__)


class _HandOver(AsyncMiddleware):
    """Answers each payload itself, so that Bolt's listeners are never asked."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.under_way = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,
        next: Callable[[], Awaitable[BoltResponse]],  # Bolt passes it by this name
    ) -> BoltResponse:
        status, body = await self.take(req.body)
        return BoltResponse(status=status, body=body if body is not None else "")

    async def take(self, payload: dict[str, Any]) -> tuple[int, Body | None]:
        """Hand a payload over; returns the status and body of its acknowledgement."""
        self.under_way += 1
        self.idle.clear()
        try:
            return await self._intake.take(payload)
        finally:
            self.under_way -= 1
            if not self.under_way:
                self.idle.set()


class _Line(AsyncSocketModeHandler):
    """Bolt's line to Slack, which hands over by itself what people press and submit, as soon as it is received."""

    def __init__(self, hand_over: _HandOver, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._hand_over = hand_over
        self._taking: set[asyncio.Task[None]] = set()
        # The SDK's receiver calls this with each text. Its queue, and the task and the look-ups behind it, are turns
        # of the loop for which a press would wait.
        self._enqueue = self.client.enqueue_message
        self.client.enqueue_message = self._receive  # type: ignore[method-assign]

    async def _receive(self, message: str) -> None:
        envelope = _press_in(message)
        if envelope is None:
            await self._enqueue(message)
            return
        task = asyncio.get_running_loop().create_task(self._take(envelope["envelope_id"], envelope["payload"]))
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)

    async def _take(self, envelope_id: str, payload: dict[str, Any]) -> None:
        # The line is opened once Slack has accepted our token: Bolt's authorization would find that, and no more.
        status, body = await self._hand_over.take(payload)
        if status != HTTPStatus.OK:
            return
        try:
            await self.client.send_socket_mode_response(SocketModeResponse(envelope_id=envelope_id, payload=body))
        except Exception as error:
            # What was done is done. Slack tells the person that it did not work, who presses again and hears so.
            log.warning("slack_not_acknowledged", fault=type(error).__name__)


def _press_in(text: str) -> dict[str, Any] | None:
    """Return the envelope of what somebody pressed or submitted; None for whatever else came."""
    try:
        envelope = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(envelope, dict) or envelope.get("type") != "interactive":
        return None
    payload, envelope_id = envelope.get("payload"), envelope.get("envelope_id")
    is_press = isinstance(payload, dict) and payload.get("type") in _DIRECTLY and isinstance(envelope_id, str)
    return envelope if is_press else None


class _KnownIdentity(AsyncAuthorize):
    """Stands in for Bolt's own look-up: who we are is known, and whose payload it is the rules judge."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client

    async def __call__(
        self,
        *,
        context: AsyncBoltContext,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None,
        actor_enterprise_id: str | None = None,
        actor_team_id: str | None = None,
        actor_user_id: str | None = None,
    ) -> AuthorizeResult:
        identity = await self._client.load_identity()
        return AuthorizeResult(
            enterprise_id=identity.enterprise_id,
            team_id=identity.team_id,
            bot_user_id=identity.user_id,
            bot_id=identity.bot_id,
        )


class SlackDoor:
    """Where Slack comes in. ``open`` it once, ``close`` it before what it leads to is closed.

    Give ``app_token`` in Socket Mode, ``signing_secret`` in HTTP mode.
    """

    def __init__(
        self,
        settings: SlackSettings,
        client: SlackClient,
        intake: Intake,
        afterwards: Afterwards,
        *,
        app_token: SecretStr | None = None,
        signing_secret: SecretStr | None = None,
        ping_interval: timedelta = PING_INTERVAL,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if (app_token if settings.mode == "socket" else signing_secret) is None:
            raise ValueError(f"{settings.mode} mode needs its secret")
        self.mode: Literal["socket", "http"] = settings.mode
        self._settings = settings
        self._client = client
        self._afterwards = afterwards
        self._app_token = app_token
        self._secret = signing_secret.get_secret_value().encode() if signing_secret else b""
        self._ping_interval = ping_interval
        self._wall_clock = wall_clock
        self._hand_over = _HandOver(intake)
        self._app = self._build_app()
        self._line: AsyncSocketModeHandler | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._closing = False
        self._opened = asyncio.Event()

    # --- state ---

    @property
    def is_authorized(self) -> bool:
        """Whether Slack has accepted our token since the start."""
        return self._client.known_identity is not None

    @property
    def is_connected(self) -> bool:
        """Whether payloads can reach us as far as we know: the socket is open, or HTTP needs none."""
        if self.mode == "http":
            return True
        if self._line is None:
            return False
        client = self._line.client
        session = client.current_session
        return not client.closed and not client.stale and session is not None and not session.closed

    # --- opening and closing ---

    async def open(self) -> None:
        """Begin to authorize and connect, and keep at it for as long as it takes. Returns at once."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep(), name="slack door")

    async def wait_until_open(self) -> None:
        """Wait until payloads could reach us for the first time."""
        await self._opened.wait()

    async def calm(self) -> None:
        """Wait while payloads are under way, for a moment at most: who pressed, and the agents, go before cards."""
        await asyncio.sleep(_LINGER.total_seconds())
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_CALM.total_seconds()):
                await self._hand_over.idle.wait()

    async def close(self, patience: timedelta) -> None:
        """Finish the payloads under way and what follows them, within ``patience``, then hang up."""
        self._closing = True
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience.total_seconds()):
                await self._hand_over.idle.wait()
        await self._afterwards.drain(patience)
        await self._hang_up()

    async def _keep(self) -> None:
        """Authorize; in Socket Mode connect, and watch that the line comes back when it breaks.

        The SDK reconnects by itself, but keeps to one address while it tries; an address is good only once and
        briefly, so that after a longer outage the line is made anew.
        """
        await self._authorize()
        if self.mode == "http":
            self._opened.set()
            return
        missed = 0
        while not self._closing:
            if self._line is None:
                await self._connect()
            await asyncio.sleep(self._ping_interval.total_seconds())
            missed = 0 if self.is_connected else missed + 1
            if missed > _PATIENCE_FOR_LINE:
                log.warning("slack_line_lost")
                await self._hang_up()
                missed = 0

    async def _authorize(self) -> None:
        while True:
            try:
                identity = await self._client.load_identity()
            except SlackTrouble as trouble:
                log.warning("slack_not_authorized", code=trouble.code)
                retry_after = getattr(trouble, "retry_after", None)
                await asyncio.sleep((retry_after or _RETRY).total_seconds())
            else:
                log.info("slack_authorized", team=identity.team_id, bot=identity.user_id)
                return

    async def _connect(self) -> None:
        line = self._make_line()
        self._line = line
        try:
            async with asyncio.timeout((self._ping_interval * _PATIENCE_FOR_LINE).total_seconds()):
                await line.client.connect()  # type: ignore[no-untyped-call]  # the SDK's own lack
        except TimeoutError:
            log.warning("slack_not_connected")
            await self._hang_up()
        else:
            self._opened.set()
            log.info("slack_connected")

    def _make_line(self) -> AsyncSocketModeHandler:
        if self._app_token is None:
            raise LookupError("Socket Mode without an app token")
        line = _Line(
            self._hand_over,
            self._app,
            self._app_token.get_secret_value(),
            logger=_library_logger(),
            web_client=self._app.client,
            ping_interval=self._ping_interval.total_seconds(),
        )
        if is_on_loopback(self._settings.api_url):
            line.client.proxy = None  # the SDK takes one from the environment unasked
        return line

    async def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is None:
            return
        client = line.client
        # The SDK cancels its tasks without waiting for them, and none of them when it is broken off itself.
        known = client.message_processor, client.current_session_monitor, client.message_receiver
        tasks = [task for task in known if task is not None]
        with suppress(Exception):  # whatever is wrong with the line, it is being let go
            async with asyncio.timeout(_GOODBYE.total_seconds()):
                await client.close()  # type: ignore[no-untyped-call]  # the SDK's own lack
        for task in tasks:
            task.cancel()
        await client.aiohttp_client_session.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- HTTP ---

    async def handle_http(self, http_request: web.Request) -> web.Response:
        """Take a payload over HTTP. 401 unless Slack signed it just now; never a 500."""
        body = await http_request.read()
        headers = http_request.headers
        timestamps = headers.getall("X-Slack-Request-Timestamp", [])
        signatures = headers.getall("X-Slack-Signature", [])
        if self.mode != "http" or not is_genuine(self._secret, timestamps, signatures, body, self._wall_clock()):
            log.warning("slack_signature_refused", size=len(body))
            return web.json_response({"error": "invalid request"}, status=401)
        if not self.is_authorized:
            # Bolt would tell people that the app is no longer installed.
            return web.json_response({"error": "starting"}, status=503, headers={"Retry-After": "2"})
        try:
            request = AsyncBoltRequest(body=body.decode(), headers=dict(headers))
        except Exception as error:
            # Bolt reads the body before it asks whether it is one; whatever it stumbles over is not Slack's.
            log.warning("payload_malformed", fault=type(error).__name__)
            return web.json_response({"error": "malformed"}, status=400)
        response = await self._app.async_dispatch(request)
        if response.status == 500:
            return web.json_response({"error": "malformed"}, status=400)
        return await to_aiohttp_response(response)

    # --- Bolt ---

    def _build_app(self) -> AsyncApp:
        web_client = AsyncWebClient(base_url=self._settings.api_url, retry_handlers=[], logger=_library_logger())
        if is_on_loopback(self._settings.api_url):
            web_client.proxy = None
        logger = _library_logger()
        level = logger.level
        logger.setLevel(logging.ERROR)  # Bolt finds our token in the environment, and warns that it will not use it
        app = AsyncApp(
            logger=logger,
            name="signoff",
            process_before_response=True,
            client=web_client,
            authorize=_KnownIdentity(self._client),
            request_verification_enabled=False,  # done on the raw bytes before
            ssl_check_enabled=False,  # a relic that would be answered unsigned
            ignoring_self_events_enabled=False,  # that our own message was deleted is what we want to hear
        )
        logger.setLevel(level)
        app.use(self._hand_over)
        return app


def _library_logger() -> logging.Logger:
    """The logger that Bolt and the SDK are given: below warning they log whole payloads."""
    logger = logging.getLogger("slack_bolt.signoff")
    logger.setLevel(max(logging.WARNING, logger.level))
    return logger


def serve_events(app: web.Application, door: SlackDoor) -> None:
    """Add the route that Slack calls in HTTP mode."""
    app.router.add_post(EVENTS_PATH, door.handle_http)
