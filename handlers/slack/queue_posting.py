"""Carries out what is about queue cards in Slack: posts one, draws one anew.

As a card it is marked before the first try to post it, and looked for in Slack before any further one. It goes before
the single cards that wait for its channel. What its channel does not take goes back to cards of their own, which go
elsewhere as any card does (``handlers.slack.posting``).
"""

from collections.abc import Callable
from datetime import timedelta

import structlog

from bot.clock import Clock
from bot.outbox import QueueJob
from bot.people import Directory
from bot.queues import Listing, Queues
from handlers.delivery import NotNow
from handlers.pacing import Pace, Pacer
from handlers.slack.client import SlackClient
from handlers.slack.places import why_closed
from handlers.slack.queue_card import queue_metadata, render_queue
from handlers.slack.sending import find_posted, hold_back, wait_for_turn
from handlers.slack.telling import LOOK_BACK
from handlers.slack.trouble import (
    ContentRefused,
    MessageFixed,
    MessageGone,
    PlaceClosed,
    Refused,
    Temporary,
)
from store.tables import CardState, IntentKind, Queue

QUEUE_PACE = Pace(timedelta(seconds=3), burst=2)
"""For each queue card: else one that many press would use up what Slack lets us draw."""
PATIENT_TRIES = 5
UPDATE = "chat.update"

log = structlog.get_logger(__name__)


class QueuePosting:
    """``posts`` and ``draws`` are the paces of all new messages and of all edits."""

    def __init__(
        self,
        client: SlackClient,
        directory: Directory,
        queues: Queues,
        clock: Clock,
        faults: Callable[[str], None],
        posts: Pacer,
        draws: Pacer,
        pace: Pace = QUEUE_PACE,
    ) -> None:
        self._client = client
        self._directory = directory
        self._queues = queues
        self._clock = clock
        self._faults = faults
        self._posts = posts
        self._draws = draws
        self._own_draws = Pacer(pace)
        self._absent: set[int] = set()  # those whose last try certainly left nothing in Slack

    async def carry_out(self, job: QueueJob) -> None:
        """Post or draw. Raises ``NotNow``, ``Temporary`` or ``WorkspaceClosed``."""
        last_draw = await self._queues.last_draw(job)
        listing = await self._queues.load(job.queue_id)
        if job.intent.kind is IntentKind.POST_QUEUE:
            await self._post(job, listing)
        else:
            await self._draw(job, listing, last_draw)

    # --- post ---

    async def _post(self, job: QueueJob, listing: Listing) -> None:
        queue = listing.queue
        if queue.state is not CardState.POSTING:
            await self._queues.done(job)
            return
        if queue.attempted_at is not None and queue.id not in self._absent:
            sighting = await find_posted(
                self._client, queue.channel, queue.attempted_at - LOOK_BACK, queue_metadata(queue)
            )
            if sighting is not None:
                await self._queues.posted(job, queue, sighting.channel, sighting.ts)
                return
        if not listing.total:
            self._posts.forget(queue.channel, job.intent.id)
            await self._queues.done(job)
            return
        if await self._is_closed(job, queue):
            return
        wait_for_turn(self._posts, queue.channel, job.intent, self._clock(), first=True)
        await self._queues.attempting(queue)
        self._absent.discard(queue.id)
        message = render_queue(listing)
        try:
            channel, ts = await self._client.post(queue.channel, message.text, message.blocks, queue_metadata(queue))
        except Temporary as trouble:
            if trouble.had_no_effect:
                self._absent.add(queue.id)
            hold_back(self._posts, queue.channel, trouble, self._clock())
            raise
        except (PlaceClosed, ContentRefused, Refused) as trouble:
            if isinstance(trouble, Refused) and job.intent.attempts < PATIENT_TRIES:
                raise NotNow(trouble.code) from trouble
            await self._give_up(job, queue, trouble.code)
            return
        await self._queues.posted(job, queue, channel, ts)
        log.info("cards_gathered", queue=queue.id, channel=channel, requests=listing.total)

    # --- draw ---

    async def _draw(self, job: QueueJob, listing: Listing, last_draw: int | None) -> None:
        queue = listing.queue
        if queue.state is not CardState.LIVE or queue.ts is None:
            await self._queues.done(job, last_draw)
            return
        if listing.total and await self._is_closed(job, queue):
            return
        wait_for_turn(self._own_draws, str(queue.id), job.intent, self._clock())
        wait_for_turn(self._draws, UPDATE, job.intent, self._clock(), first=True)
        message = render_queue(listing)
        try:
            await self._client.update(queue.channel, queue.ts, message.text, message.blocks)
        except Temporary as trouble:
            hold_back(self._draws, UPDATE, trouble, self._clock())
            raise
        except (MessageGone, MessageFixed):
            await self._queues.deleted(queue.channel, queue.ts)
        except (PlaceClosed, ContentRefused, Refused) as trouble:
            if isinstance(trouble, Refused) and job.intent.attempts < PATIENT_TRIES:
                raise NotNow(trouble.code) from trouble
            await self._give_up(job, queue, trouble.code)
            return
        await self._queues.done(job, last_draw)

    # --- elsewhere ---

    async def _is_closed(self, job: QueueJob, queue: Queue) -> bool:
        """Let those go whose rule does not let them stand in the channel as it is now; True if the job is over."""
        code = await why_closed(self._directory, queue.channel, external=True)
        if code is not None:
            await self._give_up(job, queue, code)
            return True
        code = await why_closed(self._directory, queue.channel, external=False)
        if code is not None and await self._queues.let_go(queue, lambda rule: rule.external):
            await self.carry_out(job)  # with what is left
            return True
        return False

    async def _give_up(self, job: QueueJob, queue: Queue, code: str) -> None:
        """Give every request on a queue card that cannot be a card of its own again."""
        count = await self._queues.let_go(queue, lambda rule: False)
        log.error("queue_undeliverable", code=code, queue=queue.id, target=queue.channel, requests=count)
        self._faults(code)
        self._posts.forget(queue.channel, job.intent.id)
        await self._queues.done(job)
