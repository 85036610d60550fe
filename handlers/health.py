"""Whether the process lives, and whether it can do its work: for orchestrators and load balancers.

``/healthz`` asks nothing and nobody. ``/readyz`` asks the database, Slack and the socket; what an answer cost is
remembered for a while, so that whoever asks often does not make us ask Slack often. Nothing here tells a secret, an
address or an exception's text: to anybody it may be visible.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from handlers.codes import error_code

HEALTH_PATH = "/healthz"
READY_PATH = "/readyz"

PATIENCE_SECONDS = 3.0
"""How long one part may take to answer before it counts as not answering."""

Probe = Callable[[], Awaitable[None]]
"""Returns if the part works, and raises what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of one part. ``code`` says what is wrong; None: it works."""

    code: str | None = None


class RememberedProbe:
    """A probe whose answer holds for a while, and which runs once however many ask."""

    def __init__(
        self,
        probe: Probe,
        *,
        good_for_seconds: float,
        bad_for_seconds: float,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._good_for = good_for_seconds
        self._bad_for = bad_for_seconds
        self._patience = patience_seconds
        self._clock = clock
        self._asking = asyncio.Lock()
        self._part: Part | None = None
        self._until = 0.0

    async def ask(self) -> Part:
        async with self._asking:
            if self._part is None or self._clock() >= self._until:
                self._part = await self._look()
                self._until = self._clock() + (self._good_for if self._part.code is None else self._bad_for)
            return self._part

    async def _look(self) -> Part:
        try:
            async with asyncio.timeout(self._patience):
                await self._probe()
        except TimeoutError:
            return Part("no_answer")
        except Exception as error:
            # Whatever a probe raises means that its part does not work. Its text may say more than a stranger
            # should read; a code does not.
            return Part(error_code(error) or "unavailable")
        return Part()


class Health:
    """The service's readiness, part by part. Told when the service stops, so that no new work is sent to it."""

    def __init__(self, parts: Mapping[str, RememberedProbe]) -> None:
        self._parts = dict(parts)
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    async def ask(self) -> tuple[bool, dict[str, Part]]:
        """Return whether the service is ready, and each part's state."""
        answers = await asyncio.gather(*(probe.ask() for probe in self._parts.values()))
        parts = dict(zip(self._parts, answers, strict=True))
        return not self._stopping and all(part.code is None for part in parts.values()), parts

    def routes(self) -> list[web.RouteDef]:
        return [web.get(HEALTH_PATH, self._alive), web.get(READY_PATH, self._ready)]

    async def _alive(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _: web.Request) -> web.Response:
        ready, parts = await self.ask()
        status = "ready" if ready else "stopping" if self._stopping else "not_ready"
        shown = {
            name: {"status": "ok"} if part.code is None else {"status": "failed", "code": part.code}
            for name, part in parts.items()
        }
        return web.json_response({"status": status, "parts": shown}, status=200 if ready else 503)


def build_health(
    database: Probe, slack: Probe, socket_is_connected: Callable[[], bool] | None, rules: Probe | None = None
) -> Health:
    """Return the service's health. ``database`` reads something, ``slack`` calls auth.test; no socket in http mode.

    ``rules`` tells whether the newest rules are in force here, where several replicas may have different ones.
    """
    parts = {
        "database": RememberedProbe(database, good_for_seconds=1.0, bad_for_seconds=1.0),
        "slack": RememberedProbe(slack, good_for_seconds=60.0, bad_for_seconds=5.0),
    }
    if socket_is_connected is not None:
        is_connected = socket_is_connected

        async def socket() -> None:
            if not is_connected():
                raise NotConnected

        parts["socket"] = RememberedProbe(socket, good_for_seconds=0.0, bad_for_seconds=0.0)
    if rules is not None:
        parts["rules"] = RememberedProbe(rules, good_for_seconds=1.0, bad_for_seconds=1.0)
    return Health(parts)


class NotConnected(Exception):
    """The line to Slack is down."""

    code = "not_connected"
