"""What is done once with a database that was restored from a backup, before anybody is served from it.

It has forgotten what happened since the backup was made. What could then be used once, and may have been used
meanwhile, would be good once more: approvals that were not consumed, votes cast ahead, enrolment codes, passcodes. All
of it is ended here, and put on record. What waits for people goes on waiting, for nothing of it is approved: how many
that are is told, since agents may have been told of decisions on them.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from bot.clock import Clock
from bot.decisions import wish_to_draw
from bot.events import EventType, append_event
from bot.notices import NoticeKind, tell_admins
from bot.passcodes import newest_step
from bot.revocation import RESTORED, revoke_open, tell_revoked
from store import statements, statements_config, statements_passcodes, statements_restore
from store.engine import Store
from store.tables import DeciderKind, Request
from store.unit import Unit

BATCH = 100


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restored database was found to hold. What was ended is that of this run alone.

    ``is_repeated``: it was dealt with before, and nothing was left to do. ``pending``: how many requests still wait.
    """

    revoked: tuple[Request, ...]
    lifted: int
    enrolments: int
    pending: int
    is_repeated: bool = False


class Page(Protocol):
    """Does, inside a transaction, what there is to do for the next requests after a number; returns them."""

    def __call__(self, unit: Unit, after: int) -> Awaitable[list[Request]]: ...


class Restoring:
    """The use case. Nobody may serve the database meanwhile."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def finish(self, copied_at: datetime | None) -> Restored:
        """End what may have been used since the backup was made, at ``copied_at`` if that is known.

        Begun and broken off, it is to be called again. Called twice, it changes nothing the second time.
        """
        if await self._store.read(_is_concluded):
            return Restored((), 0, 0, await self._count_pending(), is_repeated=True)
        revoked = await self._page_through(self._revoke_some)
        lifted = await self._store.write(self._lift_standing)
        enrolments = await self._store.write(self._end_enrolments)
        await self._page_through(self._draw_pending)
        done = Restored(tuple(revoked), lifted, enrolments, await self._count_pending())
        await self._store.write(partial(self._conclude, done=done, copied_at=copied_at))
        return done

    async def _page_through(self, do: Page) -> list[Request]:
        done: list[Request] = []
        while some := await self._store.write(partial(do, after=done[-1].number if done else 0)):
            done += some
        return done

    async def _revoke_some(self, unit: Unit, after: int) -> list[Request]:
        now = self._clock()
        revoked = []
        for request in await unit.all(statements_restore.OPEN_REQUESTS, after=after, limit=BATCH):
            gone = await revoke_open(unit, request, now, code=RESTORED, by_kind=DeciderKind.OPERATOR)
            if gone is None:
                raise LookupError("an approval was open and is not, though nobody else has the database")
            await tell_revoked(unit, gone, now)
            revoked.append(gone)
        return revoked

    async def _draw_pending(self, unit: Unit, after: int) -> list[Request]:
        """Have the cards of what waits drawn anew: they may show decisions that this database does not know."""
        now = self._clock()
        waiting = await unit.all(statements_restore.PENDING_AFTER, after=after, limit=BATCH)
        for request in waiting:
            await wish_to_draw(unit, request, "restored", now)
        return waiting

    async def _lift_standing(self, unit: Unit) -> int:
        now = self._clock()
        lifted = await unit.all(statements_restore.LIFT_EVERY_STANDING, lifted_at_=now)
        for one in lifted:
            origin = await unit.one(statements.REQUEST, number=one.request_number)
            await append_event(
                unit, now, EventType.STANDING_LIFTED, origin, standing=one.id, user=one.user_id, code=RESTORED
            )
            if origin is not None:
                await wish_to_draw(unit, origin, "standing_lifted", now)
        return len(lifted)

    async def _end_enrolments(self, unit: Unit) -> int:
        now = self._clock()
        users = await unit.all(statements_restore.OPEN_ENROLMENTS)
        for user in users:
            await unit.run(statements_passcodes.END_ENROLMENT, user_id=user)
            await append_event(unit, now, EventType.PASSCODE_ENROLMENT_ENDED, user=user, code=RESTORED)
        return len(users)

    async def _conclude(self, unit: Unit, done: Restored, copied_at: datetime | None) -> None:
        now = self._clock()
        await unit.run(statements_restore.SPEND_PASSCODES, step=newest_step(now))
        facts: dict[str, str | int] = {"revoked": len(done.revoked), "lifted": done.lifted, "pending": done.pending}
        if copied_at is not None:
            facts |= {"copied_at": copied_at.isoformat()}
        await append_event(unit, now, EventType.DATABASE_RESTORED, None, enrolments=done.enrolments, **facts)
        await tell_admins(unit, now, NoticeKind.DATABASE_RESTORED, facts)

    async def _count_pending(self) -> int:
        return await self._store.read(lambda unit: unit.one(statements.PENDING_COUNT)) or 0


async def _is_concluded(unit: Unit) -> bool:
    """Whether nothing happened since a restore was put on record."""
    kind = EventType.DATABASE_RESTORED
    event = await unit.one(statements_config.LAST_GENERAL_EVENT, type=kind, other_type=kind)
    return event is not None and event.number == await unit.one(statements_config.LAST_EVENT_NUMBER)
