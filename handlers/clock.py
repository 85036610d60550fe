"""Wakes the sweeps when something becomes due: deadlines, the end of an approval, an overdue execution, a plan's step,
the end of a pause. Each minute it has gathered what rules approved by themselves.

Deadlines are swept first: what has ended takes no step. One job of APScheduler's stands at the next due time; due times
live in the database, and whatever came due while nobody looked is found by the next sweep, once. Nothing here decides
anything.

APScheduler and the wall clock may be set back or forth while this runs, so a timer of the event loop's own looks at
least every ``cap`` whether the job still stands at the right time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]  # it ships no types
from apscheduler.triggers.date import DateTrigger  # type: ignore[import-untyped]  # it ships no types
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]  # it ships no types

from bot.changes import HaltsChanged, PlanMoved, RequestChanged
from bot.clock import Clock
from bot.deadlines import Deadlines
from bot.digests import Digests
from bot.escalations import Escalations
from bot.halts import Halts
from store.announcing import ChangedElsewhere
from store.engine import Store
from store.unit import StoreUnavailable

CAP = timedelta(seconds=5)
_PAUSE = timedelta(seconds=1)  # after trouble with the store
_JOB = "sweep"
_FORGET_EVERY = timedelta(hours=6)
_GATHER_EVERY = timedelta(minutes=1)
_GATHER = "gather"

Chore = Callable[[], Awaitable[object]]

log = structlog.get_logger(__name__)


class SweepClock:
    """The clock. ``start`` it once, ``stop`` it before the store is closed.

    Whoever moves ``clock`` forward calls ``moved_on``.
    """

    def __init__(
        self,
        store: Store,
        deadlines: Deadlines,
        escalations: Escalations,
        clock: Clock,
        *,
        halts: Halts | None = None,
        digests: Digests | None = None,
        cap: timedelta = CAP,
    ) -> None:
        self._deadlines = deadlines
        self._escalations = escalations
        self._halts = halts
        self._digests = digests
        self._clock = clock
        self._cap = cap
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._armed_for: datetime | None = None  # by ``clock``; None: at once, or not known
        self._sweeping: asyncio.Task[None] | None = None
        self._again = False
        self._look: asyncio.TimerHandle | None = None
        self._stopping = False
        self._started = False
        self._chores: list[tuple[str, timedelta, Chore]] = []
        self._begun_at: dict[str, datetime] = {}  # when each chore last began, by ``clock``
        self._under_way: set[asyncio.Task[None]] = set()
        store.subscribe(self._on_change, RequestChanged, PlanMoved, HaltsChanged, ChangedElsewhere)

    def every(self, interval: timedelta, name: str, chore: Chore) -> None:
        """Have ``chore`` done once this starts, and then every ``interval`` of the wall clock; before ``start``.

        It is broken off when this stops, and begun again the next time. What goes wrong with it is told in the log.
        """
        self._chores.append((name, interval, chore))

    async def start(self) -> None:
        """Do what came due before, then stand by. Trouble with the store does not fail it; it is tried again."""
        self._started = True
        self._scheduler.start()
        self._scheduler.add_job(self._forget, IntervalTrigger(seconds=_FORGET_EVERY.total_seconds()))
        gathers = IntervalTrigger(seconds=_GATHER_EVERY.total_seconds())
        self._scheduler.add_job(self._begin_again, gathers, (_GATHER, self._gather))
        for name, interval, chore in self._chores:
            self._scheduler.add_job(
                self._begin_again,
                IntervalTrigger(seconds=interval.total_seconds()),
                (name, chore),
                misfire_grace_time=None,
                coalesce=True,
            )
            self._begin(name, chore)
        self.wake()
        if self._sweeping is not None:
            await asyncio.shield(self._sweeping)

    async def stop(self) -> None:
        """Finish the sweep that is under way and start none any more."""
        self._stopping = True
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._look is not None:
            self._look.cancel()
        if self._sweeping is not None:
            await asyncio.gather(self._sweeping, return_exceptions=True)
        if self._scheduler.running:
            # The scheduler would cancel a running job; there is none left.
            self._scheduler.shutdown(wait=False)

    def wake(self) -> None:
        """Look at once what is due."""
        if self._stopping or not self._started:
            return
        if self._sweeping is not None and not self._sweeping.done():
            self._again = True
            return
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep(), name="sweep")

    def moved_on(self) -> None:
        """Do at once what is due by a clock that was moved on, also what else goes by the wall clock."""
        if not self._started:
            return
        self.wake()
        self._begin(_GATHER, self._gather)
        for name, interval, chore in self._chores:
            begun_at = self._begun_at.get(name)
            if begun_at is None or self._clock() - begun_at >= interval:
                self._begin(name, chore)

    async def _sweep(self) -> None:
        """Sweep until nothing more is due, then stand at the next due time."""
        try:
            while not self._stopping:
                self._again = False
                ends = await self._halts.next_due() if self._halts is not None else None
                due = _earliest(await self._deadlines.next_due(), await self._escalations.next_due(), ends)
                if due is None or due > self._clock():
                    if self._again:
                        continue
                    self._arm(due)
                    return
                swept, stepped = await self._deadlines.sweep(), await self._escalations.sweep()
                resumed = await self._halts.sweep() if self._halts is not None else ()
                log.info("swept", requests=len(swept.requests), steps=len(stepped.steps), resumed=len(resumed))
                for number, error in swept.stuck.items():
                    log.error("sweep_stuck", request=number, exc_info=error)
                for number, error in stepped.stuck.items():
                    log.error("plan_stuck", request=number, exc_info=error)
                if not (swept.requests or stepped.steps or stepped.stuck or resumed):
                    break  # something is due and stays so: whatever it is, it must not make this spin
        except StoreUnavailable:
            log.warning("sweep_postponed", code="store_unavailable")
        except Exception:
            log.exception("sweep_failed")
        self._arm(self._clock() + _PAUSE)

    def _arm(self, due: datetime | None) -> None:
        """Stand at ``due`` by our clock; None when nothing will become due as far as is known."""
        self._armed_for = due
        if self._stopping:
            return
        loop = asyncio.get_running_loop()
        if self._look is not None:
            self._look.cancel()
        self._look = loop.call_later(self._cap.total_seconds(), self.wake)
        if due is None:
            if self._scheduler.get_job(_JOB) is not None:
                self._scheduler.remove_job(_JOB)
            return
        self._scheduler.add_job(
            self._fire,
            # The scheduler goes by the wall clock, we by our own: what counts is how long it still is.
            DateTrigger(datetime.now(UTC) + max(due - self._clock(), timedelta(0))),
            id=_JOB,
            replace_existing=True,
            misfire_grace_time=None,
            coalesce=True,
        )

    async def _fire(self) -> None:
        self.wake()

    async def _begin_again(self, name: str, chore: Chore) -> None:
        self._begin(name, chore)

    def _begin(self, name: str, chore: Chore) -> None:
        """Begin a chore, unless it is under way still."""
        if self._stopping or any(task.get_name() == name for task in self._under_way):
            return
        self._begun_at[name] = self._clock()
        task = asyncio.get_running_loop().create_task(self._do(name, chore), name=name)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    @staticmethod
    async def _do(name: str, chore: Chore) -> None:
        try:
            await chore()
        except StoreUnavailable:
            log.warning("chore_postponed", chore=name, code="store_unavailable")
        except Exception:
            log.exception("chore_failed", chore=name)

    async def _forget(self) -> None:
        try:
            await self._deadlines.forget()
        except StoreUnavailable:
            log.warning("forgetting_postponed", code="store_unavailable")

    async def _gather(self) -> None:
        if self._digests is None:
            return
        try:
            await self._digests.gather()
        except StoreUnavailable:
            log.warning("gathering_postponed", code="store_unavailable")

    def _on_change(self, change: object) -> None:
        if isinstance(change, RequestChanged | PlanMoved | HaltsChanged):
            due = _due_of(change)
            if due is not None and (self._armed_for is None or due < self._armed_for):
                self._due_earlier(due)
        elif isinstance(change, ChangedElsewhere) and change.topics is None:
            self.wake()

    def _due_earlier(self, due: datetime) -> None:
        if not self._started or self._stopping:
            return
        if self._sweeping is not None and not self._sweeping.done():
            self._again = True  # its last look at the next due time may have been before this change
        else:
            self._arm(due)


def _due_of(change: RequestChanged | PlanMoved | HaltsChanged) -> datetime | None:
    """When what changed is next to be looked at."""
    if not isinstance(change, RequestChanged):
        return change.due_at
    due, step = change.request.due_at, change.request.next_step_at
    return due if step is None else _earliest(due, step)


def _earliest(*dues: datetime | None) -> datetime | None:
    return min((due for due in dues if due is not None), default=None)
