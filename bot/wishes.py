"""Wishes: what Slack is to show or be told, written to the outbox in the transaction of its cause.

A wish says which request, which surface and why, never what to write. What carries it out is ``bot.outbox``'s.
"""

from datetime import datetime

from bot.changes import OutboxFilled
from bot.events import body_bytes
from store import statements, statements_pauses, statements_queues
from store.tables import IntentKind, Request, Status
from store.unit import Unit


async def wish_to_draw(
    unit: Unit, request: Request, reason: str, now: datetime, *, due_at: datetime | None = None
) -> None:
    """Ask the outbox to draw every card of ``request`` anew from the stored state, at once or when it is ``due_at``."""
    for card in await unit.all(statements.CARDS_TO_DRAW, request_number=request.number):
        if card.queue_id is not None:
            if request.status is not Status.PENDING:
                await unit.run(statements.MARK_CARD_GONE, card_id=card.id)
            await wish_to_draw_queue(unit, card.queue_id, reason, now)
            continue
        await unit.run(statements_pauses.DROP_DRAW_OF_PAUSE, card_id=card.id)
        await add_intent(
            unit, IntentKind.DRAW_CARD, f"card:{card.id}", now,
            reason=reason, request=request, card_id=card.id, due_at=due_at,
        )  # fmt: skip


async def wish_to_draw_queue(unit: Unit, queue_id: int, reason: str, now: datetime) -> None:
    """Ask the outbox to draw a queue card anew, unless it was asked already and has not begun to."""
    lane = queue_lane(queue_id)
    if await unit.one(statements_queues.WAITING_DRAW, lane=lane) is None:
        about = body_bytes({"queue": queue_id}).decode()
        await add_intent(unit, IntentKind.DRAW_QUEUE, lane, now, reason=reason, request=None, about=about)


def queue_lane(queue_id: int) -> str:
    """The lane in which everything about one queue card is carried out in order."""
    return f"queue:{queue_id}"


async def add_intent(
    unit: Unit, kind: IntentKind, lane: str, now: datetime, *, reason: str, request: Request | None,
    card_id: int | None = None, about: str | None = None, due_at: datetime | None = None,
) -> None:  # fmt: skip
    """Write to the outbox what is to be sent, in the transaction of its cause: at once, or when it is ``due_at``."""
    await unit.run(
        statements.INSERT_INTENT,
        kind=kind,
        lane=lane,
        request_number=request.number if request else None,
        card_id=card_id,
        about=about,
        reason=reason,
        created_at=now,
        due_at=due_at or now,
    )
    unit.announce(OutboxFilled())
