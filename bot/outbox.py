"""What Slack is still to be told: claiming intents, and recording what became of them.

An intent says which request, which card and why, never what to write: the words are drawn from the stored state at
the moment of sending, so a late message can only be right. A card is marked as attempted before the first try, so
that whoever repeats it knows to look for it in Slack first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot.cards import MAX_REPOSTS, add_card, plan_copy
from bot.clock import Clock
from bot.decisions import add_intent
from bot.digests import DigestJob
from bot.drawings import Drawing, load_drawing
from bot.events import EventType, append_event
from bot.expiries import EXPIRED, Expired, load_expired
from bot.gathering import gather, lose_queue
from bot.halt_notices import HaltNotice, load_notice
from bot.halt_rights import Target
from bot.notices import Fact, admins_until_now, facts_of
from bot.pause_draws import LOOKS_AGAIN_AFTER, ask_for_some, note_shown
from bot.redaction import Redactor
from bot.rulebook import Rulebook
from bot.tellings import record_told
from store import statements, statements_expired, statements_queues
from store.compiled import changed_record
from store.engine import Store
from store.tables import Card, CardState, HaltScope, Intent, IntentKind, Place, Request, Status
from store.unit import Unit

LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed intent with what it takes to carry it out. ``last_draw``: the newest wish that this drawing fulfils."""

    intent: Intent
    card: Card | None
    drawing: Drawing
    last_draw: int | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A claimed intent that is about no request: what today's admins are to be told, and those whom it made none.

    See ``bot.notices``.
    """

    intent: Intent
    facts: Mapping[str, Fact]
    admins: frozenset[str]


@dataclass(frozen=True, slots=True)
class QueueJob:
    """A claimed intent that is about a queue card. See ``bot.queues``, which loads what it is drawn from."""

    intent: Intent
    queue_id: int


@dataclass(frozen=True, slots=True)
class PauseJob:
    """A claimed intent to look which cards must show a pause, or show it no more. See ``bot.pause_draws``."""

    intent: Intent


Task = Job | Notice | QueueJob | DigestJob | Expired | PauseJob | HaltNotice
"""A claimed intent with what it takes to carry it out, whatever it is about."""


class Outbox:
    """Use cases of the deliverer. ``worker`` names this process in its leases.

    ``most_waiting``: how many cards may wait to be posted in one channel; when there are more, they are gathered on a
    queue card (``bot.gathering``). None: any number.
    """

    def __init__(
        self, store: Store, clock: Clock, rulebook: Rulebook, worker: str, redactor: Redactor,
        *, most_waiting: int | None = None,
    ) -> None:  # fmt: skip
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._worker = worker
        self._redactor = redactor
        self._most_waiting = most_waiting

    async def release_leases(self) -> None:
        """Free what a process before this one held. Only where one process owns the database."""
        await self._store.write(lambda unit: unit.run(statements.RELEASE_LEASES))

    async def claim(self, limit: int) -> list[Intent]:
        """Lease due intents, at most one of each lane: what is older first, but nothing waits behind new cards.

        Of those, agents take turns. Cards that would wait too long for their channel are gathered first.
        """

        async def work(unit: Unit) -> list[Intent]:
            now = self._clock()
            if self._most_waiting is not None:
                await gather(unit, now, self._most_waiting)
            lease = {"now": now, "leased_by_": self._worker, "leased_until_": now + LEASE}
            claimed = await unit.all(statements.CLAIM_BEFORE_NEW_CARDS, limit=limit, **lease)
            if len(claimed) < limit:
                claimed += await unit.all(statements.CLAIM_INTENTS, limit=limit - len(claimed), **lease)
            return sorted(claimed, key=lambda intent: (intent.kind is IntentKind.POST_CARD, intent.due_at, intent.id))

        return await self._store.write(work)

    async def next_due(self) -> datetime | None:
        """Return when an intent next becomes due, or its lease ends."""
        return await self._store.read(lambda unit: unit.one(statements.NEXT_INTENT_DUE))

    async def waiting(self) -> int:
        """Count what is not sent yet."""
        return await self._store.read(lambda unit: unit.one(statements.INTENT_COUNT)) or 0

    async def load(self, intent: Intent) -> Task:
        """Gather what it takes to carry out ``intent``, in one snapshot."""
        if intent.kind in (IntentKind.POST_QUEUE, IntentKind.DRAW_QUEUE):
            return QueueJob(intent, int(facts_of(intent)["queue"]))
        if intent.kind in (IntentKind.POST_DIGEST, IntentKind.DRAW_DIGEST):
            return DigestJob(intent, int(facts_of(intent)["digest"]))
        if intent.kind is IntentKind.DRAW_PAUSED:
            return PauseJob(intent)
        if intent.kind is IntentKind.TELL_HALTED:
            facts = facts_of(intent)
            target = Target(HaltScope(str(facts["scope"])), str(facts["name"]))
            policy, now = self._rulebook.policy, self._clock()
            return await self._store.peek(lambda unit: load_notice(unit, intent, target, policy, now))
        if intent.kind is IntentKind.TELL_ADMINS:
            facts = facts_of(intent)
            return Notice(intent, facts, self._rulebook.policy.admins | admins_until_now(facts))
        if intent.kind is IntentKind.TELL_OWNERS and intent.reason == EXPIRED:
            return await self.load_expired(intent)

        async def work(unit: Unit) -> Job:
            if intent.request_number is None:
                raise LookupError(f"intent {intent.id} names no request")
            request = await unit.one(statements.REQUEST, number=intent.request_number)
            if request is None:
                raise LookupError(f"intent {intent.id} names a request that is not there")
            card = None
            if intent.card_id is not None:
                card = await unit.one(statements.CARD, card_id=intent.card_id)
            last = await unit.one(statements.LAST_DRAW_OF_CARD, card_id=intent.card_id)
            drawing = await load_drawing(unit, self._rulebook, self._redactor, request, self._clock())
            return Job(intent, card, drawing, last)

        return await self._store.peek(work)

    async def load_expired(self, intent: Intent, last: int | None = None) -> Expired:
        """Gather what an agent's owners are told of expired requests: of those up to the intent ``last``, or of all."""

        async def work(unit: Unit) -> Expired:
            request = await unit.one(statements.REQUEST, number=intent.request_number)
            if request is None:
                raise LookupError(f"intent {intent.id} names a request that is not there")
            owners = self._rulebook.policy.owners(request.agent)
            return await load_expired(unit, intent, owners, request.agent, last)

        return await self._store.peek(work)

    async def attempting(self, card: Card) -> bool:
        """Record, before the first try, that ``card`` may be in Slack from now on.

        False if it must not be posted: it was gathered on a queue card meanwhile.
        """
        if card.attempted_at is not None:
            return True
        marked = await self._store.write(
            lambda unit: unit.run(statements.MARK_CARD_ATTEMPTED, card_id=card.id, attempted_at_=self._clock())
        )
        return bool(marked)

    async def posted(self, job: Job, channel: str, ts: str, *, as_drawn: bool = True) -> None:
        """Record that a card is in Slack, and that its intent is done.

        The state may have changed between drawing and posting; the change's own wish to draw is still in the outbox.
        ``as_drawn``: it was posted just now, from the job's drawing, and not found.
        """

        async def work(unit: Unit) -> None:
            if job.card is not None:
                drawing = job.drawing
                await self._mark_posted(unit, job.card, drawing.request, channel, ts, drawing if as_drawn else None)
            await self._finish(unit, job)

        await self._store.write(work)

    async def done(self, job: Task) -> None:
        """Record that an intent is carried out; a drawing fulfils every older wish to draw the same card."""
        await self._store.write(partial(self._finish, job=job))

    async def drawn(self, job: Job) -> None:
        """Record that a card was drawn anew in Slack, and with it what pause it shows."""

        async def work(unit: Unit) -> None:
            if await self._finish(unit, job) and job.card is not None:
                await note_shown(unit, job.card, job.drawing.request, job.drawing, self._clock())

        await self._store.write(work)

    async def ask_for_paused(self, job: PauseJob) -> timedelta | None:
        """Ask for some cards to be drawn because of pauses. Returns when to be asked again, None once it is done."""

        async def work(unit: Unit) -> timedelta | None:
            if await ask_for_some(unit, self._clock()):
                return LOOKS_AGAIN_AFTER
            await self._finish(unit, job)
            return None

        return await self._store.write(work)

    async def told(
        self, task: Job | Notice | Expired | HaltNotice, people: Iterable[str], failed: Mapping[str, str]
    ) -> None:
        """Record that people were told, but for those who ``failed``, each with a code; and that the intent is done."""
        request = task.drawing.request if isinstance(task, Job) else None
        facts: dict[str, str | int] = {"reason": task.intent.reason}
        if isinstance(task, Expired):
            facts |= {"agent": task.agent, "count": task.count}
        if isinstance(task, HaltNotice):
            facts |= {"scope": task.target.scope.value, "name": task.target.name}

        async def work(unit: Unit) -> None:
            if await self._finish(unit, task):
                kind = task.intent.kind.value
                await record_told(unit, self._clock(), kind, request, people, failed, **facts)

        await self._store.write(work)

    async def skip(self, job: Job) -> None:
        """Drop a posting that is not wanted any more, of a card that is certainly not in Slack."""

        async def work(unit: Unit) -> None:
            if job.card is not None:
                await unit.run(statements.MARK_CARD_GONE, card_id=job.card.id)
            await self._finish(unit, job)

        await self._store.write(work)

    async def postpone(self, intent: Intent, delay: timedelta, *, counts: bool = True) -> None:
        """Give an intent back, to be tried again after ``delay``. ``counts``: whether this was a failed try."""
        attempts = intent.attempts if counts else intent.attempts - 1
        await self._store.write(
            lambda unit: unit.run(
                statements.POSTPONE_INTENT,
                intent_id=intent.id,
                is_fence=intent.fence,
                due_at_=self._clock() + delay,
                attempts_=attempts,
            )
        )

    async def undeliverable(self, job: Job, code: str, instead: Iterable[tuple[Place, str]] = ()) -> None:
        """Give an intent up for good: Slack said ``code``. Its card is planned anew at the places ``instead``.

        The owners are told, the fault is on record. Nothing is done for a lease that ran out: another has the intent.
        """
        places = list(instead)

        async def work(unit: Unit) -> None:
            if not await self._finish(unit, job):
                return
            now = self._clock()
            request = job.drawing.request
            if job.card is not None:
                await unit.run(statements.MARK_CARD_GONE, card_id=job.card.id)
            await append_event(
                unit, now, EventType.NOTIFICATION_FAILED, request,
                kind=job.intent.kind.value, code=code, card=job.intent.card_id,
            )  # fmt: skip
            for place, target in places:
                await add_card(unit, request, place, target, now, reason="fallback")
            if job.card is not None and job.card.place not in (Place.DM, Place.STEP):
                await add_intent(
                    unit, IntentKind.TELL_OWNERS, f"owners:{request.number}", now, reason=code, request=request
                )

        await self._store.write(work)

    async def card_deleted(self, channel: str, ts: str) -> Request | None:
        """Take notice that a card's message is gone; a pending request's card is posted once more.

        Returns its request, or None when no live card of ours is meant.
        """

        async def work(unit: Unit) -> Request | None:
            now = self._clock()
            if await lose_queue(unit, channel, ts, now):
                return None
            card = await unit.one(statements.CARD_BY_MESSAGE, channel=channel, ts=ts)
            if card is None or card.state is not CardState.LIVE:
                return None
            request = await unit.one(statements.REQUEST, number=card.request_number)
            if request is None:
                return None
            await unit.run(statements.MARK_CARD_GONE, card_id=card.id)
            await append_event(unit, now, EventType.CARD_LOST, request, card=card.id, channel=channel, ts=ts)
            if request.status is Status.PENDING and card.reposts < MAX_REPOSTS:
                await add_card(unit, request, card.place, card.target, now, reason="deleted", reposts=card.reposts + 1)
            return request

        return await self._store.write(work)

    async def card_above(self, card: Card) -> Card | None:
        """Return the card of the same request under which ``card`` is a reply: its first live one in that channel."""
        others = await self._store.peek(lambda unit: unit.all(statements.CARDS_OF, request_number=card.request_number))
        above = (
            one
            for one in others
            if one.state is CardState.LIVE and one.ts is not None and one.place not in (Place.DM, Place.THREAD)
        )
        return next((one for one in above if one.channel == card.target), None)

    async def card_in_channel(self, request_number: int) -> Card | None:
        """Return the first live card of a request that stands in a channel.

        One that is a line of a queue card comes with the ``ts`` of that message.
        """

        async def work(unit: Unit) -> Card | None:
            cards = await unit.all(statements.CARDS_OF, request_number=request_number)
            places = (Place.CHANNEL, Place.FALLBACK, Place.QUEUE)
            card = next((card for card in cards if card.state is CardState.LIVE and card.place in places), None)
            if card is None or card.queue_id is None:
                return card
            queue = await unit.one(statements_queues.QUEUE, queue_id=card.queue_id)
            return changed_record(card, ts=queue.ts) if queue is not None and queue.ts is not None else None

        return await self._store.peek(work)

    async def cards_of(self, request: Request) -> list[Card]:
        """Return every card of a request, oldest first."""
        return await self._store.peek(lambda unit: unit.all(statements.CARDS_OF, request_number=request.number))

    async def plan_copy(self, request: Request, place: Place, target: str, step_target_id: int) -> Card:
        """See ``bot.cards.plan_copy``."""
        return await self._store.write(
            lambda unit: plan_copy(unit, request, place, target, step_target_id, self._clock())
        )

    async def drop(self, card: Card) -> None:
        """Record that a card is certainly not in Slack and will not be."""
        await self._store.write(lambda unit: unit.run(statements.MARK_CARD_GONE, card_id=card.id))

    async def cards_being_posted(self, request_number: int) -> list[Card]:
        """Return the cards of a request that may be in Slack although their message is not known yet."""
        cards = await self._store.peek(lambda unit: unit.all(statements.CARDS_OF, request_number=request_number))
        return [card for card in cards if card.state is CardState.POSTING and card.attempted_at is not None]

    async def found(self, card: Card, channel: str, ts: str, drawing: Drawing | None = None) -> None:
        """Record that a card whose answer was lost is in Slack after all. Its intent finds it posted.

        ``drawing``: what it was drawn from, for one that was posted just now.
        """

        async def work(unit: Unit) -> None:
            request = await unit.one(statements.REQUEST, number=card.request_number)
            if request is not None:
                await self._mark_posted(unit, card, request, channel, ts, drawing)

        await self._store.write(work)

    async def _mark_posted(
        self, unit: Unit, card: Card, request: Request, channel: str, ts: str, drawing: Drawing | None
    ) -> None:
        """Record where a card's message is, if that is news."""
        now = self._clock()
        if await unit.run(statements.MARK_CARD_POSTED, card_id=card.id, channel_=channel, ts_=ts, posted_at_=now):
            await append_event(
                unit, now, EventType.CARD_POSTED, request,
                card=card.id, place=card.place.value, channel=channel, ts=ts,
            )  # fmt: skip
            await note_shown(unit, card, request, drawing, now)

    @staticmethod
    async def _finish(unit: Unit, job: Task) -> bool:
        """Delete the intent; False if its lease ran out and another worker has it now."""
        finished = await unit.run(statements.FINISH_INTENT, intent_id=job.intent.id, is_fence=job.intent.fence)
        if finished and isinstance(job, Expired):
            await unit.run(statements_expired.FORGET_GATHERED, lane=job.intent.lane, agent=job.agent, last=job.last)
        if not isinstance(job, Job):
            return bool(finished)
        if finished and job.intent.kind is IntentKind.DRAW_CARD and job.last_draw is not None:
            await unit.run(statements.FORGET_DRAWS, lane=job.intent.lane, last=job.last_draw)
        return bool(finished)
