"""Planning cards: a row for a message that Slack is to get, and the wish to post it. How it looks is not known here."""

from datetime import datetime

from bot.decisions import add_intent
from store import statements
from store.tables import CardState, IntentKind, Place, Request
from store.unit import Unit


async def add_card(
    unit: Unit, request: Request, place: Place, target: str, now: datetime, *, reason: str, reposts: int = 0
) -> None:
    """Plan a card of ``request`` and ask the outbox to post it."""
    card = await unit.one(
        statements.INSERT_CARD,
        request_number=request.number,
        place=place,
        target=target,
        state=CardState.POSTING,
        created_at=now,
        reposts=reposts,
    )
    if card is None:
        raise LookupError("a card was written and not returned")
    await add_intent(
        unit, IntentKind.POST_CARD, f"card:{card.id}", now, reason=reason, request=request, card_id=card.id
    )
