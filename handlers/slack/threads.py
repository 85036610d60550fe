"""Posts the one reply under a denied request's card that counts how often its agent asked again.

A convenience: it asks nobody anything, pings nobody, has nothing to press, and where it cannot stand it is left out
quietly. As a card it is marked before the first try to post it, and looked for in Slack before any further one. Drawing
it anew is ``handlers.slack.posting``'s, as for every card.
"""

from datetime import timedelta

import structlog

from bot.clock import Clock
from bot.outbox import Job, Outbox
from handlers.delivery import NotNow
from handlers.pacing import Pacer
from handlers.slack.cards import CARD_EVENT, card_metadata
from handlers.slack.client import SlackClient
from handlers.slack.records import Sighting
from handlers.slack.remembered import render_tries
from handlers.slack.trouble import SlackTrouble, Temporary, WorkspaceClosed
from store.tables import Card, CardState, Request

log = structlog.get_logger(__name__)


class Threads:
    """Sends replies. ``posts`` is the pace of all new messages."""

    def __init__(self, client: SlackClient, outbox: Outbox, posts: Pacer, clock: Clock) -> None:
        self._client = client
        self._outbox = outbox
        self._posts = posts
        self._clock = clock

    async def post(self, job: Job, card: Card) -> None:
        """Post the reply of a request that has none. Raises ``NotNow``, ``Temporary`` or ``WorkspaceClosed``."""
        parent = await self._outbox.card_above(card)
        if card.state is not CardState.POSTING or parent is None or parent.channel is None or parent.ts is None:
            await self._leave_out(job, card, "card_gone")
            return
        try:
            sighting = await self._find(card, job.drawing.request, parent.channel, parent.ts)
            if sighting is not None:
                await self._outbox.posted(job, sighting.channel, sighting.ts)
                return
            delay = self._posts.wait(card.target, job.intent.id, self._clock())
            if delay > timedelta(0):
                raise NotNow("paced", delay, counts=False)
            if not await self._outbox.attempting(card):
                raise NotNow("not_posting", timedelta(seconds=1), counts=False)
            message = render_tries(job.drawing)
            mark = card_metadata(job.drawing.request, card.id)
            channel, ts = await self._client.post(
                parent.channel, message.text, message.blocks, mark, thread_ts=parent.ts
            )
        except Temporary as trouble:
            if trouble.retry_after is not None:
                now = self._clock()
                self._posts.hold(card.target, now, now + trouble.retry_after)
            raise
        except WorkspaceClosed:
            raise
        except SlackTrouble as trouble:
            await self._leave_out(job, card, trouble.code)
            return
        await self._outbox.posted(job, channel, ts)

    async def _find(self, card: Card, request: Request, channel: str, thread_ts: str) -> Sighting | None:
        """Look in the thread for a reply whose posting may have worked without our hearing of it."""
        if card.attempted_at is None:
            return None
        mark = card_metadata(request, card.id)["event_payload"]
        async for sighting in self._client.load_own_replies(channel, thread_ts):
            if sighting.event_type == CARD_EVENT and sighting.event_payload == mark:
                return sighting
        return None

    async def _leave_out(self, job: Job, card: Card, code: str) -> None:
        log.info("reply_left_out", request=job.drawing.request.number, code=code)
        self._posts.forget(card.target, job.intent.id)
        await self._outbox.skip(job)
