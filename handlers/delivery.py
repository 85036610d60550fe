"""The outbox's worker: claims what is due, has it carried out, and gives back what must wait.

It wakes when the outbox is filled, when an intent becomes due and when one is finished; it does not poll. What it
claims is leased, so that a crash loses nothing: the lease runs out, or is freed at the next start. How an intent is
carried out is the carrier's business; nothing here knows Slack.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Protocol

import structlog

from bot.changes import OutboxFilled
from bot.clock import Clock
from bot.errors import FactsUnavailable
from bot.outbox import Job, Notice, Outbox
from store.engine import ChangedElsewhere, Store
from store.tables import Intent
from store.unit import StoreUnavailable

FIRST_BACKOFF = timedelta(seconds=1)
LONGEST_BACKOFF = timedelta(minutes=1)
WORKERS = 8
_LONGEST_SLEEP = timedelta(seconds=30)  # a net under the wake-ups, not what drives the work
_SHORTEST_SLEEP = timedelta(milliseconds=5)
_STORE_PAUSE = timedelta(seconds=1)
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

    async def carry_out(self, job: Job | Notice) -> None:
        """Bring about what the job wants and record it in the outbox.

        Raises ``NotNow``, ``FactsUnavailable`` or ``StoreUnavailable`` to be asked again later.
        """
        ...


class Deliverer:
    """The worker. ``start`` it once, ``stop`` it before the store is closed.

    ``faults`` is called with a code for each failed try, for the metrics. ``clock`` is also what intents are due by:
    whoever moves it forward calls ``wake``.
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
        jitter: random.Random | None = None,
    ) -> None:
        self._outbox = outbox
        self._carrier = carrier
        self._clock = clock
        self._faults = faults
        self._workers = workers
        self._owns_database = owns_database
        self._jitter = jitter or random.Random()  # noqa: S311  # spreads retries, keeps no secret
        self._woken = asyncio.Event()
        self._stopping = False
        self._loop_task: asyncio.Task[None] | None = None
        self._running: dict[int, asyncio.Task[None]] = {}  # by the intent's id
        store.subscribe(self._on_change)

    async def start(self) -> None:
        """Free what a process before this one held, and begin."""
        self._loop_task = asyncio.get_running_loop().create_task(self._run(), name="deliverer")

    async def stop(self, patience: timedelta) -> None:
        """Claim nothing more, wait up to ``patience`` for what is under way, then break it off.

        What is broken off is found again at the next start: it is reconciled before it is repeated.
        """
        self._stopping = True
        self._woken.set()
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=patience.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def wake(self) -> None:
        """Look at once what is due."""
        self._woken.set()

    @property
    def under_way(self) -> int:
        """How many intents are being carried out."""
        return len(self._running)

    def _on_change(self, change: object) -> None:
        # Another process's commit may have filled the outbox too: the command line revokes instances.
        if isinstance(change, OutboxFilled | ChangedElsewhere):
            self._woken.set()

    async def _run(self) -> None:
        freed = not self._owns_database
        while not self._stopping:
            self._woken.clear()
            try:
                if not freed:
                    await self._outbox.release_leases()
                    freed = True
                sleep = await self._round()
            except StoreUnavailable:
                log.warning("outbox_unavailable")
                self._faults("store_unavailable")
                sleep = _STORE_PAUSE
            except Exception:
                log.exception("outbox_round_failed")
                self._faults("internal_error")
                sleep = _STORE_PAUSE
            with suppress(TimeoutError):
                async with asyncio.timeout(sleep.total_seconds()):
                    await self._woken.wait()

    async def _round(self) -> timedelta:
        """Claim and begin what can be begun; return how long nothing more will be due."""
        free = self._workers - len(self._running)
        if free <= 0:
            return _LONGEST_SLEEP  # the first to finish wakes us
        claimed = await self._outbox.claim(free)
        for intent in claimed:
            if intent.id in self._running:
                continue  # its lease ran out over a jump of the clock; two at once might do it twice
            task = asyncio.get_running_loop().create_task(self._carry(intent), name=f"intent {intent.id}")
            self._running[intent.id] = task
            task.add_done_callback(partial(self._finished, intent.id))
        if len(claimed) == free:
            return _LONGEST_SLEEP
        due = await self._outbox.next_due()
        if due is None:
            return _LONGEST_SLEEP
        return min(max(due - self._clock(), _SHORTEST_SLEEP), _LONGEST_SLEEP)

    def _finished(self, intent_id: int, task: asyncio.Task[None]) -> None:
        del self._running[intent_id]
        self._woken.set()

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
