"""Carries out what is about gathered notices in Slack: posts one, draws one anew.

As a card it is marked before the first try to post it, and looked for in Slack before any further one. What its channel
does not take waits: nobody's decision hangs on it, and the notice gathers until it is taken.
"""

from collections.abc import Callable
from datetime import timedelta

import structlog

from bot.clock import Clock
from bot.digests import DigestJob, Digests, Gathered
from bot.people import Directory
from handlers.delivery import NotNow
from handlers.pacing import Pacer
from handlers.slack.client import SlackClient
from handlers.slack.digest_card import DIGEST_EVENT, digest_metadata, render_digest
from handlers.slack.places import why_closed
from handlers.slack.records import Sighting
from handlers.slack.telling import LOOK_BACK
from handlers.slack.trouble import ContentRefused, MessageFixed, MessageGone, PlaceClosed, Refused, Temporary
from store.tables import Digest, IntentKind

UPDATE = "chat.update"

log = structlog.get_logger(__name__)


class DigestPosting:
    """``posts`` and ``draws`` are the paces of all new messages and of all edits."""

    def __init__(
        self,
        client: SlackClient,
        directory: Directory,
        digests: Digests,
        clock: Clock,
        faults: Callable[[str], None],
        posts: Pacer,
        draws: Pacer,
    ) -> None:
        self._client = client
        self._directory = directory
        self._digests = digests
        self._clock = clock
        self._faults = faults
        self._posts = posts
        self._draws = draws

    async def carry_out(self, job: DigestJob) -> None:
        """Post or draw. Raises ``NotNow``, ``Temporary`` or ``WorkspaceClosed``."""
        told = await self._digests.load(job.digest_id)
        if job.intent.kind is IntentKind.POST_DIGEST:
            await self._post(job, told)
        else:
            await self._draw(job, told)

    async def _post(self, job: DigestJob, told: Gathered) -> None:
        digest = told.digest
        if digest.ts is not None:
            await self._digests.done(job)
            return
        if digest.attempted_at is not None and (sighting := await self._find(digest)) is not None:
            await self._digests.posted(job, digest, sighting.channel, sighting.ts)
            return
        closed = await why_closed(self._directory, digest.channel, external=told.external)
        if closed is not None:
            raise NotNow(closed)
        self._wait(self._posts, digest.channel, job)
        await self._digests.attempting(digest)
        told = await self._digests.load(job.digest_id)  # as it is from now on: nothing more is gathered on it
        message = render_digest(told)
        try:
            channel, ts = await self._client.post(digest.channel, message.text, message.blocks, digest_metadata(digest))
        except Temporary as trouble:
            self._hold(self._posts, digest.channel, trouble)
            raise
        except (PlaceClosed, ContentRefused, Refused) as trouble:
            raise NotNow(trouble.code) from trouble
        await self._digests.posted(job, told.digest, channel, ts)
        log.info("approvals_told", digest=digest.id, rule=digest.rule, channel=channel, requests=told.digest.count)

    async def _find(self, digest: Digest) -> Sighting | None:
        """Look in Slack for a notice whose posting may have worked without our hearing of it."""
        wanted = digest_metadata(digest)["event_payload"]
        since = (digest.attempted_at or digest.created_at) - LOOK_BACK
        try:
            async for sighting in self._client.load_own_messages(digest.channel, since):
                if sighting.event_type == DIGEST_EVENT and sighting.event_payload == wanted:
                    return sighting
        except PlaceClosed:
            return None  # then it cannot be posted there again either
        return None

    async def _draw(self, job: DigestJob, told: Gathered) -> None:
        digest = told.digest
        if digest.ts is None:
            await self._digests.done(job)
            return
        self._wait(self._draws, UPDATE, job)
        message = render_digest(told)
        try:
            await self._client.update(digest.channel, digest.ts, message.text, message.blocks)
        except Temporary as trouble:
            self._hold(self._draws, UPDATE, trouble)
            raise
        except (MessageGone, MessageFixed, PlaceClosed, ContentRefused, Refused) as trouble:
            log.warning("digest_not_drawn", digest=digest.id, code=trouble.code)
            self._faults(trouble.code)
        await self._digests.done(job)

    def _wait(self, pacer: Pacer, key: str, job: DigestJob) -> None:
        delay = pacer.wait(key, job.intent.id, self._clock())
        if delay > timedelta(0):
            raise NotNow("paced", delay, counts=False)

    def _hold(self, pacer: Pacer, key: str, trouble: Temporary) -> None:
        if trouble.retry_after is not None:
            now = self._clock()
            pacer.hold(key, now, now + trouble.retry_after)
