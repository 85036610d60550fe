"""Queue cards: what each is drawn from, what became of it in Slack, and what people may look at through it.

A press on a queue card counts only for a request that is on it at that moment. Gathering is ``bot.gathering``'s,
drawing ``handlers.slack.queue_card``'s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.clock import Clock
from bot.config import FrozenRule
from bot.decisions import wish_to_draw_queue
from bot.drawings import Drawing, load_drawing
from bot.gathering import let_go, list_new, lose_queue
from bot.outbox import QueueJob
from bot.queries import Queries
from bot.redaction import Redactor
from bot.rulebook import Rulebook
from store import statements
from store import statements_queues as sql
from store.engine import Store
from store.escalation_tables import TakenStep
from store.tables import CardState, Place, Queue, QueueList, Request
from store.unit import Unit

ROWS_ON_CARD = 10
ROWS_ON_PAGE = 40


@dataclass(frozen=True, slots=True)
class Listing:
    """What a queue card, or a page of its list, is drawn from. ``rows`` are by deadline and come without arguments.

    ``total``: how many requests are on the queue card; ``by_agent`` counts them, the most first. ``asking`` has one
    request for each rule and agent. ``is_continued``: they went on to a newer queue card of the same channel.
    ``offset``: how many stand before this page, ``listed``: how many are on it, ``rows`` being those for one's eyes.
    """

    queue: Queue
    total: int
    by_agent: tuple[sql.AgentCount, ...]
    rows: tuple[Drawing, ...]
    asking: tuple[Drawing, ...] = ()
    is_continued: bool = False
    offset: int = 0
    listed: int = 0


@dataclass(frozen=True, slots=True)
class Together:
    """How many ``others`` are asked about with a request, and when the same step last reminded people of any."""

    others: int
    reminded_at: datetime | None


class Queues:
    """Use cases of queue cards."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook, redactor: Redactor, queries: Queries) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._redactor = redactor
        self._queries = queries

    # --- for the deliverer ---

    async def load(self, queue_id: int) -> Listing:
        """Gather what a queue card is drawn from, in one snapshot. It shows some of every agent's, the soonest."""

        async def work(unit: Unit) -> Listing:
            queue = await self._queue(unit, queue_id)
            counts = await unit.all(sql.COUNTS, queue_id=queue_id)
            rows = await unit.all(sql.SOONEST_IN_TURN, queue_id=queue_id, limit=ROWS_ON_CARD)
            rows.sort(key=lambda request: (request.deadline_at, request.number))
            asking = await unit.all(sql.OF_EACH_RULE, queue_id=queue_id)
            others = await unit.all(sql.OTHER_LIVE_QUEUES, channel=queue.channel, queue_id=queue_id)
            return Listing(
                queue=queue,
                total=sum(one.requests for one in counts),
                by_agent=tuple(counts),
                rows=await self._drawn(unit, rows),
                asking=await self._drawn(unit, asking),
                is_continued=any(other.id > queue_id for other in others),
            )

        return await self._store.peek(work)

    async def attempting(self, queue: Queue) -> None:
        """Record, before the first try, that ``queue`` may be in Slack from now on."""
        await self._store.write(
            lambda unit: unit.run(sql.MARK_QUEUE_ATTEMPTED, queue_id=queue.id, attempted_at_=self._clock())
        )

    async def posted(self, job: QueueJob, queue: Queue, channel: str, ts: str) -> None:
        """Record that a queue card is in Slack, and that its intent is done."""

        async def work(unit: Unit) -> None:
            await self._mark_posted(unit, queue, channel, ts)
            await self._finish(unit, job)

        await self._store.write(work)

    async def found(self, queue: Queue, channel: str, ts: str) -> None:
        """Record that a queue card whose answer was lost is in Slack after all. Its intent finds it posted."""
        await self._store.write(lambda unit: self._mark_posted(unit, queue, channel, ts))

    async def done(self, job: QueueJob, last_draw: int | None = None) -> None:
        """Record that an intent is carried out. What nothing is on any more has been drawn for the last time."""

        async def work(unit: Unit) -> None:
            if await self._finish(unit, job) and last_draw is not None:
                await unit.run(sql.FORGET_DRAWS, lane=job.intent.lane, last=last_draw)
            await unit.run(sql.MARK_EMPTY_QUEUE_GONE, queue_id=job.queue_id)

        await self._store.write(work)

    async def last_draw(self, job: QueueJob) -> int | None:
        """Return the newest wish that drawing now fulfils. Ask before what is drawn is loaded."""
        return await self._store.peek(lambda unit: unit.one(sql.LAST_DRAW, lane=job.intent.lane))

    async def let_go(self, queue: Queue, may_stay: Callable[[FrozenRule], bool]) -> int:
        """Give those messages of their own whose rule does not let them stay on ``queue``; returns how many."""

        async def work(unit: Unit) -> int:
            leaving = []
            for card in await unit.all(sql.MEMBERS, queue_id=queue.id):
                request = await unit.one(statements.REQUEST, number=card.request_number)
                if request is None or request.rule_id is None:
                    raise LookupError(f"card {card.id} has no request or no rule")
                rule = await self._rulebook.frozen(unit, request.rule_id)
                if not may_stay(rule):
                    leaving.append((card, Place.CHANNEL if card.target == rule.channel else Place.FALLBACK))
            await let_go(unit, leaving, self._clock())
            return len(leaving)

        return await self._store.write(work)

    async def deleted(self, channel: str, ts: str) -> bool:
        """Take notice that a queue card's message is gone; what is on it goes onto another one, once.

        False when no live queue card is meant.
        """

        return await self._store.write(lambda unit: lose_queue(unit, channel, ts, self._clock()))

    async def asked_together(self, queue_id: int, request: Request, step: TakenStep) -> Together:
        """Say what else on a queue card asks the same people as a request: what is of the same rule."""

        async def work(unit: Unit) -> Together:
            place = {"queue_id": queue_id, "rule_id": request.rule_id}
            waiting = await unit.one(sql.WAITING_OF_RULE, **place) or 0
            return Together(
                max(waiting - 1, 0), await unit.one(sql.REMINDED_OF_RULE, **place, round=step.round, index=step.index)
            )

        return await self._store.peek(work)

    # --- for those who press ---

    async def at(self, channel: str, ts: str) -> Queue | None:
        """Return the live queue card that a message is, or None."""
        queue = await self._store.peek(lambda unit: unit.one(sql.QUEUE_BY_MESSAGE, channel=channel, ts=ts))
        return queue if queue is not None and queue.state is CardState.LIVE else None

    async def being_posted(self, channel: str) -> list[Queue]:
        """Return a channel's queue cards that may be in Slack although their message is not known yet."""
        return await self._store.peek(lambda unit: unit.all(sql.QUEUES_BEING_POSTED, channel=channel))

    async def lists(self, queue_id: int, number: int) -> Queue | None:
        """Return a queue card if it is live and a pending request is on it at this moment."""

        async def work(unit: Unit) -> Queue | None:
            queue = await self._queue(unit, queue_id)
            listed = await unit.one(sql.IS_LISTED, queue_id=queue_id, number=number)
            return queue if queue.state is CardState.LIVE and listed is not None else None

        return await self._store.peek(work)

    async def page(self, queue_id: int, user_id: str, page: int) -> Listing | None:
        """Return a page of all that is on a queue card, from 0 on, the last for one after it.

        It has the rows that this person may see; None if that is none of them. Raises ``FactsUnavailable``.
        """

        async def work(unit: Unit) -> Listing:
            counts = await unit.all(sql.COUNTS, queue_id=queue_id)
            total = sum(one.requests for one in counts)
            offset = min(max(page, 0), max(total - 1, 0) // ROWS_ON_PAGE) * ROWS_ON_PAGE
            rows = await unit.all(sql.LISTED, queue_id=queue_id, limit=ROWS_ON_PAGE, offset=offset)
            drawn = await self._drawn(unit, rows)
            queue = await self._queue(unit, queue_id)
            return Listing(queue, total, tuple(counts), drawn, offset=offset, listed=len(drawn))

        listing = await self._store.read(work)
        visible = await self._queries.visible(user_id, [row.request for row in listing.rows])
        rows = tuple(row for row in listing.rows if row.request.number in visible)
        return replace(listing, rows=rows) if rows or not listing.rows else None

    async def remember_list(self, list_id: str, queue_id: int, user_id: str) -> None:
        """Record a list before it is opened. ``list_id`` is random and becomes Slack's ``external_id``."""
        await self._store.write(
            lambda unit: unit.run(
                sql.INSERT_LIST, id=list_id, queue_id=queue_id, user_id=user_id, opened_at=self._clock()
            )
        )

    async def opened(self, list_id: str, user_id: str) -> QueueList | None:
        """Return a list that we opened for this person, or None."""
        found = await self._store.peek(lambda unit: unit.one(sql.LIST, list_id=list_id))
        return found if found is not None and found.user_id == user_id else None

    # --- inside ---

    async def _drawn(self, unit: Unit, requests: Sequence[Request]) -> tuple[Drawing, ...]:
        now = self._clock()
        drawn = [
            await load_drawing(unit, self._rulebook, self._redactor, request, now, compare=False)
            for request in requests
        ]
        return tuple(drawn)

    async def _mark_posted(self, unit: Unit, queue: Queue, channel: str, ts: str) -> None:
        """Record where a queue card's message is, if that is news; it takes over what is on older ones there."""
        now = self._clock()
        if not await unit.run(sql.MARK_QUEUE_POSTED, queue_id=queue.id, channel_=channel, ts_=ts, posted_at_=now):
            return
        await list_new(unit, queue.id, channel, now)
        for older in await unit.all(sql.OTHER_LIVE_QUEUES, channel=channel, queue_id=queue.id):
            await unit.run(sql.MOVE_MEMBERS, queue_id=older.id, queue_id_=queue.id)
            await wish_to_draw_queue(unit, older.id, "continued", now)
            await wish_to_draw_queue(unit, queue.id, "continued", now)

    @staticmethod
    async def _queue(unit: Unit, queue_id: int) -> Queue:
        queue = await unit.one(sql.QUEUE, queue_id=queue_id)
        if queue is None:
            raise LookupError(f"there is no queue card {queue_id}")
        return queue

    @staticmethod
    async def _finish(unit: Unit, job: QueueJob) -> bool:
        return bool(await unit.run(statements.FINISH_INTENT, intent_id=job.intent.id, is_fence=job.intent.fence))
