"""Gathering cards that come too fast for their channel onto one queue card, and letting them go again.

Everything here is done inside the caller's transaction. A card that is gathered is a row of ``Place.QUEUE`` whose queue
card it is a line of; it has no message of its own. Which of them a queue card shows is not known here.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from uuid_utils import uuid7

from bot.cards import MAX_REPOSTS
from bot.decisions import add_intent, queue_lane, wish_to_draw_queue
from bot.events import EventType, append_event, body_bytes
from store import statements
from store import statements_queues as sql
from store.tables import Card, CardState, IntentKind, Place, Queue, Request
from store.unit import Unit

OWN_CARDS = 3
"""So many cards are spared when others join a queue card that is posted, the first of each agent that is new to it: a
quiet agent's call shall ping somebody too."""
ASKS_AGAIN_AFTER = timedelta(minutes=5)
"""An edit mentions nobody: what is gathered this long after a queue card was posted goes onto a new one, and with it
all that is still on the old one."""


async def gather(unit: Unit, now: datetime, most: int) -> None:
    """Gather what waits for each channel for which more than ``most`` cards wait, at least one.

    A card that may be in Slack already is left alone, and so is one that was let go before.
    """
    for channel in await unit.all(sql.CROWDED_CHANNELS, most=most):
        queue = await unit.one(sql.OPEN_QUEUE, channel=channel, recently=now - ASKS_AGAIN_AFTER)
        if queue is None:
            queue = await plan_queue(unit, channel, now, reason="burst")
        own = []
        if queue.state is CardState.LIVE:  # an edit mentions nobody
            own = await unit.all(
                sql.FIRST_OF_NEW_AGENTS, channel=channel, queue_id=queue.id, limit=min(OWN_CARDS, most)
            )
        first, second, third = [*own, 0, 0, 0][:OWN_CARDS]
        await unit.run(sql.GATHER, channel=channel, first=first, second=second, third=third, queue_id_=queue.id)
        await unit.run(sql.DROP_POSTS_OF_GATHERED, queue_id=queue.id)
        if queue.state is CardState.LIVE:
            await list_new(unit, queue.id, channel, now)
            await wish_to_draw_queue(unit, queue.id, "burst", now)


async def plan_queue(unit: Unit, channel: str, now: datetime, *, reason: str, reposts: int = 0) -> Queue:
    """Plan a queue card for a channel and ask the outbox to post it."""
    queue = await unit.one(
        sql.INSERT_QUEUE, key=str(uuid7()), channel=channel, state=CardState.POSTING, created_at=now, reposts=reposts
    )
    if queue is None:
        raise LookupError("a queue card was written and not returned")
    about = body_bytes({"queue": queue.id}).decode()
    await add_intent(unit, IntentKind.POST_QUEUE, queue_lane(queue.id), now, reason=reason, request=None, about=about)
    return queue


async def list_new(unit: Unit, queue_id: int, channel: str, now: datetime) -> None:
    """Put on record that what was gathered is shown in ``channel`` from now on."""
    new = await unit.all(sql.NEW_MEMBERS, queue_id=queue_id)
    await unit.run(sql.MARK_LISTED, queue_id=queue_id, channel_=channel, posted_at_=now)
    for card in new:
        request = await _request(unit, card)
        await append_event(
            unit, now, EventType.CARD_POSTED, request,
            card=card.id, place=Place.QUEUE.value, channel=channel, queue=queue_id,
        )  # fmt: skip


async def let_go(unit: Unit, cards: Iterable[tuple[Card, Place]], now: datetime) -> None:
    """Give cards messages of their own, each at the place it was meant for; they are not gathered again."""
    for card, place in cards:
        if await unit.run(sql.LET_GO, card_id=card.id, place_=place):
            await add_intent(
                unit, IntentKind.POST_CARD, f"card:{card.id}", now,
                reason=sql.APART, request=await _request(unit, card), card_id=card.id,
            )  # fmt: skip


async def lose_queue(unit: Unit, channel: str, ts: str, now: datetime) -> bool:
    """Take notice that a queue card's message is gone; what is on it goes onto another one, once.

    False when no live queue card is meant.
    """
    queue = await unit.one(sql.QUEUE_BY_MESSAGE, channel=channel, ts=ts)
    if queue is None or queue.state is not CardState.LIVE:
        return False
    await unit.run(sql.MARK_QUEUE_GONE, queue_id=queue.id)
    members = await unit.all(sql.MEMBERS, queue_id=queue.id)
    for card in members:
        await append_event(
            unit, now, EventType.CARD_LOST, await _request(unit, card), card=card.id, channel=channel, ts=ts
        )
    if members and queue.reposts < MAX_REPOSTS:
        again = await plan_queue(unit, queue.channel, now, reason="deleted", reposts=queue.reposts + 1)
        await unit.run(sql.MOVE_MEMBERS, queue_id=queue.id, queue_id_=again.id)
    else:
        await unit.run(sql.MARK_MEMBERS_GONE, queue_id=queue.id)
    return True


async def _request(unit: Unit, card: Card) -> Request:
    request = await unit.one(statements.REQUEST, number=card.request_number)
    if request is None:
        raise LookupError(f"card {card.id} names a request that is not there")
    return request
