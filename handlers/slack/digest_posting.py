"""Carries out what is about gathered notices in Slack: posts one, draws one anew.

As a card it is marked before the first try to post it, and looked for in Slack before any further one. What its channel
does not take waits: nobody's decision hangs on it, and the notice gathers until it is taken.
"""

from collections.abc import Callable

import structlog

from bot.clock import Clock
from bot.digests import DigestJob, Digests, Gathered
from bot.people import Directory
from handlers.delivery import NotNow
from handlers.pacing import Pacer
from handlers.slack.client import SlackClient
from handlers.slack.digest_card import digest_metadata, render_digest
from handlers.slack.places import why_closed
from handlers.slack.sending import find_posted, hold_back, wait_for_turn
from handlers.slack.telling import LOOK_BACK
from handlers.slack.trouble import ContentRefused, MessageFixed, MessageGone, PlaceClosed, Refused, Temporary
from store.tables import IntentKind

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
        if digest.attempted_at is not None:
            since = digest.attempted_at - LOOK_BACK
            sighting = await find_posted(self._client, digest.channel, since, digest_metadata(digest))
            if sighting is not None:
                await self._digests.posted(job, digest, sighting.channel, sighting.ts)
                return
        closed = await why_closed(self._directory, digest.channel, external=told.external)
        if closed is not None:
            raise NotNow(closed)
        wait_for_turn(self._posts, digest.channel, job.intent, self._clock())
        await self._digests.attempting(digest)
        told = await self._digests.load(job.digest_id)  # as it is from now on: nothing more is gathered on it
        message = render_digest(told)
        try:
            channel, ts = await self._client.post(digest.channel, message.text, message.blocks, digest_metadata(digest))
        except Temporary as trouble:
            hold_back(self._posts, digest.channel, trouble, self._clock())
            raise
        except (PlaceClosed, ContentRefused, Refused) as trouble:
            raise NotNow(trouble.code) from trouble
        await self._digests.posted(job, told.digest, channel, ts)
        log.info("approvals_told", digest=digest.id, rule=digest.rule, channel=channel, requests=told.digest.count)

    async def _draw(self, job: DigestJob, told: Gathered) -> None:
        digest = told.digest
        if digest.ts is None:
            await self._digests.done(job)
            return
        wait_for_turn(self._draws, UPDATE, job.intent, self._clock())
        message = render_digest(told)
        try:
            await self._client.update(digest.channel, digest.ts, message.text, message.blocks)
        except Temporary as trouble:
            hold_back(self._draws, UPDATE, trouble, self._clock())
            raise
        except (MessageGone, MessageFixed, PlaceClosed, ContentRefused, Refused) as trouble:
            log.warning("digest_not_drawn", digest=digest.id, code=trouble.code)
            self._faults(trouble.code)
        await self._digests.done(job)
