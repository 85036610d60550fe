"""The dead-man heartbeat: calls an address every minute, and falls silent when steps do not run on time.

Whoever watches that address raises the alarm when the calls stop: because the process is gone, or the machine, or the
network, or the database takes nothing, or a step is overdue by more than a minute. It holds no opinion of its own on
why. The address is a secret: whoever has it can keep the alarm quiet.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog

from bot.addresses import BadAddress
from bot.config import Settings
from bot.named_secrets import NamedSecrets
from handlers.outbound import CallFailed, OperatorOutbound
from handlers.turns import Busy
from store.unit import StoreUnavailable

EVERY = timedelta(minutes=1)
MOST_OVERDUE = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class Heartbeat:
    """``settings`` are those in force. ``check`` writes to the database and raises ``StoreUnavailable`` if it cannot.

    ``overdue_seconds`` tells how long the oldest step that is due has been waiting; ``beaten`` is called with the
    time of each call that was taken.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        secrets: NamedSecrets,
        outbound: OperatorOutbound,
        check: Callable[[], Awaitable[None]],
        overdue_seconds: Callable[[], Awaitable[float]],
        beaten: Callable[[datetime], None],
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._outbound = outbound
        self._check = check
        self._overdue_seconds = overdue_seconds
        self._beaten = beaten
        self._task: asyncio.Task[None] | None = None
        self._said: str | None = None

    def start(self) -> None:
        """Begin, with the first call at once."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="heartbeat")

    async def stop(self) -> None:
        """Call no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self.beat()
            except Exception:
                log.exception("heartbeat_failed")
            await asyncio.sleep(EVERY.total_seconds())

    async def beat(self) -> str | None:
        """Call the address, if there is one and all is well. Returns why not, as a code; None where it was called."""
        variable = self._settings().escalation.heartbeat_env
        url = self._secrets.get(variable) if variable is not None else None
        if url is None:
            self._said = None
            return "no_heartbeat"
        code = await self._why_silent() or await self._call(url)
        if code is None:
            self._beaten(datetime.now(UTC))
        if code != self._said:  # once for each trouble, and once when it is over
            if code is None:
                log.info("heartbeat_resumed")
            else:
                log.warning("heartbeat_silent", code=code)
            self._said = code
        return code

    async def _why_silent(self) -> str | None:
        try:
            await self._check()
            overdue = timedelta(seconds=await self._overdue_seconds())
        except StoreUnavailable:
            return "store_unavailable"
        return "step_overdue" if overdue > MOST_OVERDUE else None

    async def _call(self, url: str) -> str | None:
        try:
            answer = await self._outbound.get(url, {"User-Agent": "Signoff"})
        except (CallFailed, BadAddress) as trouble:
            return trouble.code
        except Busy:
            return "busy"
        return None if 200 <= answer.status < 300 else f"http_{answer.status}"
