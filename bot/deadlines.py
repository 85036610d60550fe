"""What happens to requests by the passing of time: expiry, the end of an approval's validity, an overdue execution.

One sweep serves all of it: whatever a request next waits for is its ``due_at``. What came due while the process was
down is done at the first sweep, once. Nothing here approves.
"""

from dataclasses import dataclass
from datetime import datetime

from bot.changes import RequestChanged
from bot.clock import Clock
from bot.decisions import add_intent, close_request, wish_to_draw
from bot.errors import AlreadyDecided
from bot.events import EventType, append_event
from bot.lifecycle import State, state_of
from store import statements
from store.engine import Store
from store.tables import DeciderKind, IntentKind, Request, Status
from store.unit import Unit

BATCH = 100


@dataclass(frozen=True, slots=True)
class Swept:
    """What one pass found: the requests it moved on, and whether more may be due already."""

    requests: tuple[Request, ...]
    more: bool


class Deadlines:
    """The clock's use case."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def sweep(self) -> Swept:
        """Do what is due, at most ``BATCH`` requests, in one transaction."""
        return await self._store.write(self._sweep)

    async def next_due(self) -> datetime | None:
        """Return when a request next becomes due; None when none will."""
        return await self._store.read(lambda unit: unit.one(statements.NEXT_DUE))

    async def _sweep(self, unit: Unit) -> Swept:
        now = self._clock()
        due = await unit.all(statements.DUE_REQUESTS, now=now, limit=BATCH)
        moved = [after for request in due if (after := await self._move_on(unit, request, now)) is not None]
        return Swept(tuple(moved), more=len(due) == BATCH)

    async def _move_on(self, unit: Unit, request: Request, now: datetime) -> Request | None:
        state = state_of(request)
        if state is State.PENDING:
            try:
                return await close_request(
                    unit, request, now,
                    status=Status.EXPIRED, by_kind=DeciderKind.CLOCK, by=None, code="deadline_passed",
                )  # fmt: skip
            except AlreadyDecided:
                return None
        if state is State.OPEN:
            after = await unit.one(statements.LAPSE, number=request.number, lapsed_at_=now, due_at_=None)
            kind = EventType.REQUEST_LAPSED
        elif state is State.CONSUMED:
            after = await unit.one(statements.MARK_OVERDUE, number=request.number, overdue_at_=now, due_at_=None)
            kind = EventType.REQUEST_OVERDUE
        else:
            raise LookupError(f"request {request.id} is {state} and should not be due")
        if after is None:
            return None
        await append_event(unit, now, kind, after)
        if after.overdue_at is not None:
            await add_intent(
                unit, IntentKind.TELL_OWNERS, f"owners:{after.number}", now, reason="overdue", request=after
            )
        await wish_to_draw(unit, after, kind.value, now)
        unit.announce(RequestChanged(after))
        return after
