"""Planning cards: a row for a message that Slack is to get, and the wish to post it. How it looks is not known here.

The copies that a plan's step sends are planned here too. The step's own intent posts them, so that it learns what
became of each.
"""

from datetime import datetime

from bot.decisions import add_intent
from store import statements
from store.tables import Card, CardState, IntentKind, Place, Request
from store.unit import Unit

MAX_REPOSTS = 1
"""So often a message that was deleted while people were asked is posted anew."""


async def add_card(
    unit: Unit, request: Request, place: Place, target: str, now: datetime, *, reason: str, reposts: int = 0
) -> None:
    """Plan a card of ``request`` and ask the outbox to post it."""
    card = await _insert(unit, request, place, target, now, reposts=reposts)
    await add_intent(
        unit, IntentKind.POST_CARD, f"card:{card.id}", now, reason=reason, request=request, card_id=card.id
    )


async def plan_copy(
    unit: Unit, request: Request, place: Place, target: str, step_target_id: int, now: datetime
) -> Card:
    """Return the card that stands for ``request`` at ``target``, or is about to; planned for this step if none does.

    What this step planned there before is returned whatever became of it: it is not sent again.
    """
    there = [
        card
        for card in await unit.all(statements.CARDS_OF, request_number=request.number)
        if card.target == target and card.place is not Place.THREAD
    ]
    own = [card for card in there if card.step_target_id == step_target_id and not card.reposts]
    others = [card for card in there if card.state is not CardState.GONE]
    if own or others:
        return (own or others)[0]
    return await _insert(unit, request, place, target, now, step_target_id=step_target_id)


async def _insert(
    unit: Unit, request: Request, place: Place, target: str, now: datetime, *,
    reposts: int = 0, step_target_id: int | None = None,
) -> Card:  # fmt: skip
    card = await unit.one(
        statements.INSERT_CARD,
        request_number=request.number,
        place=place,
        target=target,
        state=CardState.POSTING,
        created_at=now,
        reposts=reposts,
        step_target_id=step_target_id,
    )
    if card is None:
        raise LookupError("a card was written and not returned")
    return card
