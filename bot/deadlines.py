"""What happens to requests by the passing of time: expiry, the end of an approval's validity, an overdue execution.

One sweep serves all of it: whatever a request next waits for is its ``due_at``. What came due while the process was
down is done at the first sweep, once. Nothing here approves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.batches import do_together
from bot.changes import RequestChanged
from bot.clock import Clock
from bot.decisions import add_intent, close_request, wish_to_draw
from bot.errors import AlreadyDecided
from bot.events import EventType, append_event
from bot.expiries import tell_of_expiry
from bot.lifecycle import Happening, State, after, state_of
from store import statements, statements_delivery, statements_queues
from store.engine import Store
from store.tables import DeciderKind, IntentKind, Request, Status
from store.unit import Unit

BATCH = 100
FORGET_AFTER = timedelta(days=7)
"""Slack repeats a delivery within the hour, and closes a modal at the day's end; agents repeat within seven days."""
KEEP_NOTIFICATIONS = timedelta(hours=24)
"""After a notification was acknowledged or given up (agent-api.md)."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one pass did: the requests it moved on, and by number why others could not be, which are due still."""

    requests: tuple[Request, ...]
    stuck: Mapping[int, Exception] = field(default_factory=dict)


class Deadlines:
    """The clock's use case."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def sweep(self) -> Swept:
        """Do what is due, at most ``BATCH`` requests, in one transaction; if one cannot be moved on, one by one."""
        moved, stuck = await do_together(self._store, self._sweep, self._due, self._move_one_on)
        return Swept(tuple(moved), stuck)

    async def forget(self) -> None:
        """Drop what nobody can ask for or act on any more: old clicks and modals, settled notifications, keys.

        Requests and the keys they were made under are never dropped.
        """

        async def work(unit: Unit) -> None:
            now = self._clock()
            before = now - FORGET_AFTER
            await unit.run(statements.FORGET_ACTS, before=before)
            await unit.run(statements.FORGET_MODALS, before=before)
            await unit.run(statements_queues.FORGET_LISTS, before=before)
            await unit.run(
                statements_delivery.FORGET_NOTIFICATIONS, decided_before=before, ended_before=now - KEEP_NOTIFICATIONS
            )
            await unit.run(statements_delivery.FORGET_UPDATES, before=before)

        await self._store.write(work)

    async def next_due(self) -> datetime | None:
        """Return when a request next becomes due; None when none will."""
        return await self._store.read(lambda unit: unit.one(statements.NEXT_DUE))

    async def _sweep(self, unit: Unit) -> list[Request]:
        now = self._clock()
        due = await unit.all(statements.DUE_REQUESTS, now=now, limit=BATCH)
        return [one for request in due if (one := await self._move_on(unit, request, now)) is not None]

    async def _due(self) -> list[int]:
        now = self._clock()
        due = await self._store.read(lambda unit: unit.all(statements.DUE_REQUESTS, now=now, limit=BATCH))
        return [request.number for request in due]

    async def _move_one_on(self, unit: Unit, number: int) -> list[Request]:
        now = self._clock()
        request = await unit.one(statements.REQUEST, number=number)
        if request is None or request.due_at is None or request.due_at > now:
            return []  # moved on since it was read
        moved = await self._move_on(unit, request, now)
        return [moved] if moved is not None else []

    async def _move_on(self, unit: Unit, request: Request, now: datetime) -> Request | None:
        state = state_of(request)
        if state is State.PENDING:
            try:
                expired = await close_request(
                    unit, request, now,
                    status=Status.EXPIRED, by_kind=DeciderKind.CLOCK, by=None, code="deadline_passed",
                )  # fmt: skip
            except AlreadyDecided:
                return None
            await tell_of_expiry(unit, expired, now)
            return expired
        if state is State.OPEN:
            after(state, Happening.LAPSE)
            moved = await unit.one(statements.LAPSE, number=request.number, lapsed_at_=now, due_at_=None)
            kind = EventType.REQUEST_LAPSED
        elif state is State.CONSUMED:
            after(state, Happening.RUN_LATE)
            moved = await unit.one(statements.MARK_OVERDUE, number=request.number, overdue_at_=now, due_at_=None)
            kind = EventType.REQUEST_OVERDUE
        else:
            raise LookupError(f"request {request.id} is {state} and should not be due")
        if moved is None:
            return None
        await append_event(unit, now, kind, moved)
        if moved.overdue_at is not None:
            await add_intent(
                unit, IntentKind.TELL_OWNERS, f"owners:{moved.number}", now, reason="overdue", request=moved
            )
        await wish_to_draw(unit, moved, kind.value, now)
        unit.announce(RequestChanged(moved))
        return moved
