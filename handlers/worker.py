"""A worker on a queue in the database: claims what is due, has it carried out side by side, sleeps until more is due.

It wakes when told to, when something becomes due and when one thing is finished; it does not poll. What it claims is
leased, so that a crash loses nothing: the lease runs out, or is freed at the next start. What the things are, and what
becomes of a failed one, is their carrier's business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, Protocol, TypeVar

import structlog

from bot.clock import Clock
from store.unit import StoreUnavailable

T = TypeVar("T")
_LONGEST_SLEEP = timedelta(seconds=30)  # a net under the wake-ups, not what drives the work
_SHORTEST_SLEEP = timedelta(milliseconds=5)
_STORE_PAUSE = timedelta(seconds=1)

log = structlog.get_logger(__name__)


class Queue(Protocol[T]):
    """What is due, and leases on it."""

    async def release_leases(self) -> None:
        """Free what a process before this one held. Only where one process owns the database."""
        ...

    async def claim(self, limit: int) -> list[T]:
        """Lease what is due, oldest first."""
        ...

    async def next_due(self) -> datetime | None:
        """Return when something next becomes due, or its lease ends."""
        ...


class Worker(Generic[T]):
    """The loop. ``start`` it once, ``stop`` it before the store is closed.

    ``carry`` raises nothing but what it could not record; ``key`` tells things apart; ``faults`` is called with a
    code for each failure of the loop itself. ``clock`` is also what things are due by: whoever moves it calls ``wake``.
    ``calm`` is waited for before more is claimed: whoever has something more urgent to do makes it wait, not for long.
    """

    def __init__(
        self,
        name: str,
        queue: Queue[T],
        carry: Callable[[T], Awaitable[None]],
        key: Callable[[T], Hashable],
        clock: Clock,
        faults: Callable[[str], None],
        *,
        workers: int,
        owns_database: bool = True,
        calm: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._name = name
        self._queue = queue
        self._carry = carry
        self._key = key
        self._clock = clock
        self._faults = faults
        self._workers = workers
        self._calm = calm
        self._owns_database = owns_database
        self._woken = asyncio.Event()
        self._stopping = False
        self._loop_task: asyncio.Task[None] | None = None
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._claiming = False

    async def start(self) -> None:
        """Free what a process before this one held, and begin."""
        self._loop_task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def stop(self, patience: timedelta) -> None:
        """Claim nothing more, wait up to ``patience`` for what is under way, then break it off."""
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
        """How many things are being carried out; a look for more counts as one, since it may have found some."""
        return len(self._running) + self._claiming

    async def _run(self) -> None:
        freed = not self._owns_database
        while not self._stopping:
            self._woken.clear()
            try:
                if not freed:
                    await self._queue.release_leases()
                    freed = True
                sleep = await self._round()
            except StoreUnavailable:
                log.warning("queue_unavailable", worker=self._name)
                self._faults("store_unavailable")
                sleep = _STORE_PAUSE
            except Exception:
                log.exception("round_failed", worker=self._name)
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
        self._claiming = True
        try:
            if self._calm is not None:
                await self._calm()
            claimed = await self._queue.claim(free)
            for thing in claimed:
                key = self._key(thing)
                if key in self._running:
                    continue  # its lease ran out over a jump of the clock; two at once might do it twice
                task = asyncio.ensure_future(self._carry(thing))
                self._running[key] = task
                task.add_done_callback(partial(self._finished, key))
        finally:
            self._claiming = False
        if len(claimed) == free:
            return _LONGEST_SLEEP
        due = await self._queue.next_due()
        if due is None:
            return _LONGEST_SLEEP
        return min(max(due - self._clock(), _SHORTEST_SLEEP), _LONGEST_SLEEP)

    def _finished(self, key: Hashable, task: asyncio.Task[None]) -> None:
        del self._running[key]
        self._woken.set()
