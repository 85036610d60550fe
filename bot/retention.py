"""Retention: forgetting what was written about requests, and about pauses and stopped rules, that are long over.

Removed are the arguments, context and reasoning, every note and reason, and what any of it could be guessed from: the
salt and the plain digests. What stays is who asked, who decided and when, and the record with its commitments, which
say nothing without the salt; the chain verifies as before. An agent that asks for such a request hears that there is
none, and the key it was made under goes on being taken. Cards are drawn anew, so that Slack does not keep what is gone
here. Nothing is forgotten that may still be used, reported on, or counted as a vote.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from bot.clock import Clock
from bot.config import Settings
from bot.events import EventType, append_event
from bot.wishes import wish_to_draw
from store import statements, statements_ahead, statements_retention
from store.engine import Store
from store.statements_retention import Old
from store.tables import CardState
from store.unit import Unit

BATCH = 20
"""Requests that are forgotten in one transaction: agents wait behind it."""
BETWEEN_DRAWS = timedelta(seconds=3)
"""Slack takes some fifty updates a minute for everything; what people decide just now is not to wait for old cards."""
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class Retention:
    """The use case of forgetting. ``settings``: the file that is in force."""

    def __init__(self, store: Store, clock: Clock, settings: Callable[[], Settings]) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    async def forget_old(self) -> int:
        """Forget what was decided longer ago than the configuration keeps it. Returns how many requests that were."""
        keeping = self._settings().retention.arguments
        if keeping is None:
            return 0
        now = self._clock()
        await self._store.write(lambda unit: unit.run(statements_retention.FORGET_HALTS, before=now - keeping))
        draw_at, after, count = now, _EVER, 0
        while True:
            old = await self._store.read(partial(_load_old, after=after, before=now - keeping, now=now))
            done, draw_at = await self._store.write(partial(_forget_all, old=old, now=now, draw_at=draw_at))
            count += done
            if not done:
                return count
            after = old[-1].decided_at


async def _load_old(unit: Unit, after: datetime, before: datetime, now: datetime) -> list[Old]:
    return await unit.all(statements_retention.OLD_REQUESTS, after=after, before=before, now=now, limit=BATCH)


async def _forget_all(unit: Unit, old: list[Old], now: datetime, draw_at: datetime) -> tuple[int, datetime]:
    """Forget some requests. Returns how many, and when the cards of the next may be drawn."""
    count = 0
    for one in old:
        if not await unit.run(statements_retention.FORGET_REQUEST, number=one.number, forgotten_at_=now):
            continue
        count += 1
        await unit.run(statements_retention.FORGET_NOTES, request_number=one.number)
        await unit.run(statements_retention.FORGET_REASONS, request_number=one.number)
        for standing in await unit.all(statements_ahead.STANDING_GRANTED_ON, request_number=one.number):
            await unit.run(
                statements_retention.FORGET_STANDING,
                standing_id=standing.id,
                digest_=f"forgotten {standing.id}".encode(),
            )
        request = await unit.one(statements.REQUEST, number=one.number)
        if request is None:
            raise LookupError(f"request #{one.number} was forgotten and is not there")
        await append_event(unit, now, EventType.REQUEST_FORGOTTEN, request)
        cards = await unit.all(statements.CARDS_OF, request_number=one.number)
        if any(card.state is not CardState.GONE for card in cards):
            await wish_to_draw(unit, request, "forgotten", now, due_at=draw_at)
            draw_at += BETWEEN_DRAWS
    return count, draw_at
