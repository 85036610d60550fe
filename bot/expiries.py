"""Telling an agent's owners that requests expired unanswered: once a burst, not once a request.

Each expiry leaves an intent on its agent's lane, due a little later. Whoever carries the first one out tells of all
that lie there by then, and drops them with it; so nothing is told twice, and nothing that came meanwhile is lost.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.decisions import add_intent
from store import statements, statements_expired
from store.tables import Card, CardState, Intent, IntentKind, Place, Request
from store.unit import Unit

GATHER = timedelta(minutes=2)
"""How long expiries of one agent are gathered before its owners hear of them."""
NEWEST = 5
"""So many of them are named."""
EXPIRED = "expired"
_MOST_ID = 2**62
_LANE_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Expired:
    """A claimed intent with what its agent's owners are to be told: how many expired, and the newest of them.

    ``cards`` are those of the newest that stand in channels, by the request's number. ``last`` is the newest intent
    that this telling fulfils.
    """

    intent: Intent
    agent: str
    owners: frozenset[str]
    count: int
    newest: tuple[Request, ...]
    cards: dict[int, Card]
    last: int


async def tell_of_expiry(unit: Unit, request: Request, now: datetime) -> None:
    """Have the owners told before long, in the transaction of the expiry."""
    await add_intent(
        unit, IntentKind.TELL_OWNERS, lane_of(request.agent), now, reason=EXPIRED, request=request, due_at=now + GATHER
    )


def lane_of(agent: str) -> str:
    return f"expired:{agent}"[:_LANE_CHARACTERS]


async def load_expired(unit: Unit, intent: Intent, owners: frozenset[str], agent: str, last: int | None) -> Expired:
    """Gather what the owners are told. ``last``: of intents up to this one; None: of all there are."""
    gathered = await unit.one(
        statements_expired.GATHERED, lane=intent.lane, agent=agent, last=_MOST_ID if last is None else last
    )
    count, newest_id = gathered if gathered is not None else (0, None)
    newest = await unit.all(
        statements_expired.NEWEST_GATHERED, lane=intent.lane, agent=agent, last=newest_id or intent.id, limit=NEWEST
    )
    cards: dict[int, Card] = {}
    for request in newest:
        for card in await unit.all(statements.CARDS_OF, request_number=request.number):
            if card.state is CardState.LIVE and card.place not in (Place.DM, Place.THREAD):
                cards.setdefault(request.number, card)
    return Expired(intent, agent, owners, count, tuple(newest), cards, newest_id or intent.id)
