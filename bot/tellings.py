"""Putting on record who was told what, and who was shown what, in the transaction that knows it. No words of theirs."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from bot.events import EventType, append_event
from store import statements
from store.tables import Request
from store.unit import Unit


async def record_told(
    unit: Unit, now: datetime, kind: str, request: Request | None, people: Iterable[str], failed: Mapping[str, str],
    **facts: str | int,
) -> None:  # fmt: skip
    """Put a notice to people on record: those who have it, and those who could not be reached, with a code for each."""
    reached = sorted(set(people) - failed.keys())
    if reached:
        to = ", ".join(reached)
        await append_event(unit, now, EventType.NOTIFICATION_SENT, request, kind=kind, to=to, **facts)
    for person, code in sorted(failed.items()):
        await append_event(
            unit, now, EventType.NOTIFICATION_FAILED, request, kind=kind, to=person, code=code, **facts
        )  # fmt: skip


async def record_look(unit: Unit, now: datetime, number: int, user_id: str, at: str, channel: str | None) -> None:
    """Put on record that somebody is shown a request: ``at`` what, opened in ``channel`` if that is known."""
    request = await unit.one(statements.REQUEST, number=number)
    if request is not None:
        await append_event(unit, now, EventType.REQUEST_LOOKED_AT, request, user=user_id, what=at, channel=channel)


async def record_pages(unit: Unit, now: datetime, number: int, user_id: str, what: str, pages: int) -> None:
    """Put on record that somebody has opened every page there is."""
    request = await unit.one(statements.REQUEST, number=number)
    if request is not None:
        await append_event(unit, now, EventType.PAGES_OPENED, request, user=user_id, what=what, pages=pages)
