"""The outbox's worker: has what is due carried out, and gives back what must wait.

It wakes when the outbox is filled; the loop is ``handlers.worker``'s. How an intent is carried out is the carrier's
business; nothing here knows Slack.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

import structlog

from bot.changes import OutboxFilled
from bot.clock import Clock
from bot.errors import FactsUnavailable
from bot.outbox import Outbox, Task
from handlers.worker import Worker
from store.announcing import ChangedElsewhere
from store.engine import Store
from store.tables import Intent
from store.unit import StoreUnavailable

FIRST_BACKOFF = timedelta(seconds=1)
LONGEST_BACKOFF = timedelta(minutes=1)
WORKERS = 8
_TRY_SECONDS = 45.0  # well within a lease, after which another may take the intent

log = structlog.get_logger(__name__)


class NotNow(Exception):
    """An intent must wait for ``delay``, or for the usual backoff. ``counts``: whether this was a failed try."""

    def __init__(self, code: str, delay: timedelta | None = None, *, counts: bool = True) -> None:
        super().__init__(code)
        self.code = code
        self.delay = delay
        self.counts = counts


class Carrier(Protocol):
    """Whoever knows how to carry an intent out."""

    async def carry_out(self, job: Task) -> None:
        """Bring about what the job wants and record it in the outbox.

        Raises ``NotNow``, ``FactsUnavailable`` or ``StoreUnavailable`` to be asked again later.
        """
        ...


class Deliverer:
    """The worker. ``start`` it once, ``stop`` it before the store is closed.

    ``faults`` is called with a code for each failed try, for the metrics. ``clock`` is also what intents are due by:
    whoever moves it forward calls ``wake``. ``calm``: waited for before anything is begun; see ``Worker``.
    """

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        carrier: Carrier,
        clock: Clock,
        faults: Callable[[str], None],
        *,
        workers: int = WORKERS,
        owns_database: bool = True,
        calm: Callable[[], Awaitable[None]] | None = None,
        jitter: random.Random | None = None,
    ) -> None:
        self._outbox = outbox
        self._carrier = carrier
        self._faults = faults
        self._jitter = jitter or random.Random()  # noqa: S311  # spreads retries, keeps no secret
        self._worker = Worker(
            "deliverer", outbox, self._carry, lambda intent: intent.id, clock, faults,
            workers=workers, owns_database=owns_database, calm=calm,
        )  # fmt: skip
        store.subscribe(self._on_change, OutboxFilled, ChangedElsewhere)

    async def start(self) -> None:
        """Free what a process before this one held, and begin."""
        await self._worker.start()

    async def stop(self, patience: timedelta) -> None:
        """Claim nothing more, wait up to ``patience`` for what is under way, then break it off.

        What is broken off is found again at the next start: it is reconciled before it is repeated.
        """
        await self._worker.stop(patience)

    def wake(self) -> None:
        """Look at once what is due."""
        self._worker.wake()

    @property
    def under_way(self) -> int:
        """How many intents are being carried out."""
        return self._worker.under_way

    def _on_change(self, change: object) -> None:
        # Another process's commit may have filled the outbox too: the command line revokes instances.
        if isinstance(change, OutboxFilled) or (
            isinstance(change, ChangedElsewhere) and change.concerns(OutboxFilled.topic)
        ):
            self._worker.wake()

    async def _carry(self, intent: Intent) -> None:
        try:
            try:
                async with asyncio.timeout(_TRY_SECONDS):
                    await self._carrier.carry_out(await self._outbox.load(intent))
            except NotNow as wait:
                if wait.counts:
                    self._note(intent, wait.code)
                delay = wait.delay if wait.delay is not None else self._backoff(intent.attempts)
                await self._outbox.postpone(intent, delay, counts=wait.counts)
            except FactsUnavailable as unavailable:
                self._note(intent, unavailable.code)
                await self._outbox.postpone(intent, self._backoff(intent.attempts))
            except TimeoutError:
                self._note(intent, "timeout")
                await self._outbox.postpone(intent, self._backoff(intent.attempts))
            except StoreUnavailable:
                raise
            except Exception:
                # Whatever it is, the intent stays: a decision that Slack was not told of must not be forgotten.
                log.exception("intent_failed", intent=intent.id, kind=intent.kind.value, request=intent.request_number)
                self._faults("internal_error")
                await self._outbox.postpone(intent, self._backoff(intent.attempts))
        except StoreUnavailable:
            # The lease runs out by itself; what is in Slack already is then found there.
            log.warning("intent_left_leased", intent=intent.id, kind=intent.kind.value)
            self._faults("store_unavailable")

    def _note(self, intent: Intent, code: str) -> None:
        log.warning(
            "intent_postponed", intent=intent.id, kind=intent.kind.value, request=intent.request_number,
            attempts=intent.attempts, code=code,
        )  # fmt: skip
        self._faults(code)

    def _backoff(self, attempts: int) -> timedelta:
        """Double with each failed try, up to a minute, spread by half so that what failed together parts."""
        doublings: int = 2 ** min(max(attempts - 1, 0), 16)
        longest = min(FIRST_BACKOFF * doublings, LONGEST_BACKOFF)
        return longest * self._jitter.uniform(0.5, 1.0)
