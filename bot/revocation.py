"""Withdrawing an open approval for good: the one write that does it, whoever wants it and why."""

from datetime import datetime

from bot.changes import RequestChanged
from bot.decisions import not_before, wish_to_draw
from bot.events import EventType, append_event
from bot.lifecycle import Happening, after, state_of
from store import statements_config
from store.tables import DeciderKind, Request
from store.unit import Unit

REVOKED_BY_PERSON = "revoked_by_person"
RESTORED = "restored_from_backup"
"""Why an approval was revoked, beside ``bot.policy.FORBIDDEN``: what is kept on the request and in its event."""


async def revoke_open(
    unit: Unit, request: Request, now: datetime, *, code: str, by_kind: DeciderKind, by: str | None = None
) -> Request | None:
    """Revoke ``request``, put it on record and have its cards drawn. None if it is not open any more.

    Raises ``IllegalTransition`` for one that was not open when it was read.
    """
    after(state_of(request), Happening.REVOKE)
    revoked = await unit.one(
        statements_config.REVOKE,
        number=request.number,
        revoked_at_=not_before(now, [request.decided_at]),
        revoked_code_=code,
        due_at_=None,
    )
    if revoked is None:
        return None
    await append_event(unit, now, EventType.REQUEST_REVOKED, revoked, by_kind=by_kind.value, by=by, code=code)
    return revoked


async def tell_revoked(unit: Unit, revoked: Request, now: datetime) -> None:
    """Have the cards of a revoked request drawn anew and the house told, after all that is on record of it."""
    await wish_to_draw(unit, revoked, "revoked", now)
    unit.announce(RequestChanged(revoked))
