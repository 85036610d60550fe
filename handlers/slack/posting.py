"""Carries the outbox's intents out in Slack: posts a card, draws it anew, tells an agent's owners or the admins.

A card is never posted twice: it is marked before the first try, and looked for in Slack before any further one.
What Slack will never take where it was meant to go is planned elsewhere; what it may take later waits. Nothing here
decides a request, and nothing is drawn from anything but the stored state.
"""

from collections.abc import Callable
from datetime import timedelta

import structlog

from bot.clock import Clock
from bot.config import FrozenRule
from bot.digests import DigestJob, Digests
from bot.drawings import Drawing
from bot.errors import FactsUnavailable
from bot.expiries import Expired
from bot.halt_notices import HaltNotice
from bot.outbox import Job, Notice, Outbox, PauseJob, QueueJob, Task
from bot.people import Directory
from bot.policy import judge, reviewer_usergroups, reviewer_users
from bot.queues import Queues
from handlers.delivery import NotNow
from handlers.pacing import Pace, Pacer
from handlers.slack.answers import render_admin_notice, render_forced, render_owner_notice
from handlers.slack.cards import card_metadata, render_card
from handlers.slack.client import SlackClient
from handlers.slack.copies import PATIENT_TRIES
from handlers.slack.digest_posting import DigestPosting
from handlers.slack.escalating import MOST_DMS, Escalating
from handlers.slack.expired import ExpiredNotices
from handlers.slack.halt_notices import HaltNotices
from handlers.slack.places import find_card, is_less_private, why_closed
from handlers.slack.queue_posting import QUEUE_PACE, QueuePosting
from handlers.slack.reach import Reach
from handlers.slack.remembered import render_tries
from handlers.slack.sending import hold_back, text_for, wait_for_turn
from handlers.slack.telling import Teller
from handlers.slack.threads import Threads
from handlers.slack.trouble import (
    ContentRefused,
    MessageFixed,
    MessageGone,
    PlaceClosed,
    Refused,
    Temporary,
    UnknownPerson,
    WorkspaceClosed,
)
from store.statements_pauses import PAUSE
from store.tables import Card, CardState, IntentKind, OverrideKind, Place, Status

POST_PACE = Pace(timedelta(seconds=1), burst=3)  # for each channel: about one new message a second
DRAW_PACE = Pace(timedelta(seconds=1.2), burst=15)  # for the workspace: chat.update takes some 50 a minute
PATIENCE = timedelta(seconds=3)  # longer no card waits for its channel: what would is gathered on a queue card
_UPDATE = "chat.update"
_MOST_ABSENT = 10_000

log = structlog.get_logger(__name__)


class SlackCarrier:
    """``handlers.delivery.Carrier`` for Slack. ``faults`` is called with a code for what failed for good."""

    def __init__(
        self,
        client: SlackClient,
        directory: Directory,
        outbox: Outbox,
        queues: Queues,
        digests: Digests,
        clock: Clock,
        faults: Callable[[str], None],
        *,
        reach: Reach,
        posts: Pace = POST_PACE,
        draws: Pace = DRAW_PACE,
        queue_draws: Pace = QUEUE_PACE,
    ) -> None:
        self._client = client
        self._directory = directory
        self._outbox = outbox
        self._clock = clock
        self._faults = faults
        self._posts = Pacer(posts)
        self._draws = Pacer(draws)
        self._teller = Teller(client, directory, self._posts, clock)
        self._queues = QueuePosting(client, directory, queues, clock, faults, self._posts, self._draws, queue_draws)
        self._digests = DigestPosting(client, directory, digests, clock, faults, self._posts, self._draws)
        self._halts = HaltNotices(directory, outbox, self._teller, clock, faults)
        self._expired = ExpiredNotices(client, outbox, self._teller, faults)
        self._steps = Escalating(client, directory, outbox, queues, reach, self._teller, self._posts, clock, faults)
        self._threads = Threads(client, outbox, self._posts, clock)
        self._absent: set[int] = set()  # cards whose last try certainly left nothing in Slack

    async def carry_out(self, job: Task) -> None:
        """See ``Carrier``."""
        try:
            if isinstance(job, Notice):
                await self._tell_admins(job)
            elif isinstance(job, QueueJob):
                await self._queues.carry_out(job)
            elif isinstance(job, DigestJob):
                await self._digests.carry_out(job)
            elif isinstance(job, HaltNotice):
                await self._halts.tell(job)
            elif isinstance(job, PauseJob):
                await self._ask_for_paused(job)
            elif isinstance(job, Expired):
                await self._expired.tell(job)
            elif job.intent.kind is IntentKind.POST_CARD:
                await self._post_card(job)
            elif job.intent.kind is IntentKind.DRAW_CARD:
                await self._draw_card(job)
            elif job.intent.kind is IntentKind.NOTIFY:
                await self._steps.carry_out(job)
            elif job.intent.kind is IntentKind.TELL_REVIEWERS:
                await self._tell_reviewers(job)
            else:
                await self._tell_owners(job)
        except Temporary as trouble:
            raise NotNow(trouble.code, trouble.retry_after) from trouble
        except WorkspaceClosed as trouble:
            # A person must repair the token; until then everything waits, and nothing is given up.
            raise NotNow(trouble.code) from trouble

    # --- post a card ---

    async def _post_card(self, job: Job) -> None:
        card, request, rule = job.card, job.drawing.request, job.drawing.rule
        if card is None or rule is None or card.state is not CardState.POSTING:
            await self._outbox.done(job)
            return
        if card.place is Place.THREAD:
            await self._threads.post(job, card)
            return
        if card.attempted_at is not None and card.id not in self._absent:
            sighting = await find_card(self._client, card, request)
            if sighting is not None:
                await self._outbox.posted(job, sighting.channel, sighting.ts, as_drawn=False)
                return
        if request.status is not Status.PENDING:
            self._posts.forget(card.target, job.intent.id)
            await self._outbox.skip(job)
            return
        closed = await self._why_closed(card.place, card.target, rule)
        if closed is not None:
            await self._go_elsewhere(job, card, rule, closed)
            return
        wait_for_turn(self._posts, card.target, job.intent, self._clock())
        if not await self._outbox.attempting(card):
            self._posts.give_back(card.target)
            await self._outbox.done(job)  # it was gathered since it was loaded
            return
        self._absent.discard(card.id)
        message = render_card(job.drawing, self._clock())
        try:
            text = text_for(self._directory, card.target, message)
            channel, ts = await self._client.post(card.target, text, message.blocks, card_metadata(request, card.id))
        except Temporary as trouble:
            if trouble.had_no_effect and len(self._absent) < _MOST_ABSENT:
                self._absent.add(card.id)
            hold_back(self._posts, card.target, trouble, self._clock())
            raise
        except (PlaceClosed, UnknownPerson) as trouble:
            await self._go_elsewhere(job, card, rule, trouble.code)
            return
        except (ContentRefused, Refused) as trouble:
            if isinstance(trouble, Refused) and job.intent.attempts < PATIENT_TRIES:
                raise NotNow(trouble.code) from trouble
            # No other place would take it either: the request stays open on the Home tab, and the owners are told.
            self._give_up(job, trouble.code)
            await self._outbox.undeliverable(job, trouble.code)
            return
        await self._outbox.posted(job, channel, ts)

    async def _why_closed(self, place: Place, target: str, rule: FrozenRule) -> str | None:
        """Say why no card may be posted to a channel, as a code; None if it may."""
        if place is Place.DM:
            return None
        return await why_closed(self._directory, target, external=rule.external)

    # --- elsewhere ---

    async def _go_elsewhere(self, job: Job, card: Card, rule: FrozenRule, code: str) -> None:
        instead = await self._places_instead(job, card, rule)
        self._posts.forget(card.target, job.intent.id)
        self._give_up(job, code)
        if not instead and card.place not in (Place.DM, Place.STEP) and job.drawing.request.status is Status.PENDING:
            log.error("nobody_can_be_asked", request=job.drawing.request.number)
            self._faults("nobody_can_be_asked")
        await self._outbox.undeliverable(job, code, instead)

    async def _places_instead(self, job: Job, card: Card, rule: FrozenRule) -> list[tuple[Place, str]]:
        """Choose where a card goes that its place does not take: the rule's fallback, else each reviewer's DM."""
        if card.place in (Place.DM, Place.STEP) or job.drawing.request.status is not Status.PENDING:
            return []
        fallback = rule.fallback_channel
        if card.place is Place.CHANNEL and fallback and await self._may_fall_back(card.target, fallback, rule):
            return [(Place.FALLBACK, fallback)]
        return [(Place.DM, user) for user in await self._reviewers(job.drawing, rule, job.intent.attempts)]

    async def _may_fall_back(self, channel: str, fallback: str, rule: FrozenRule) -> bool:
        if await self._why_closed(Place.FALLBACK, fallback, rule) is not None:
            return False
        return not await is_less_private(self._directory, channel, fallback)

    async def _reviewers(self, drawing: Drawing, rule: FrozenRule, attempts: int) -> list[str]:
        """Name those who could decide, at most ``MOST_DMS``. Raises ``FactsUnavailable`` while that is not clear."""
        usergroups = reviewer_usergroups(rule)
        facts = await self._directory.load_facts((), usergroups)
        if facts.unknown_groups and attempts < PATIENT_TRIES:
            raise FactsUnavailable
        members = (user for usergroup in usergroups for user in sorted(facts.groups.get(usergroup, ())))
        barred = drawing.parties.barred_by(rule)
        everybody = [user for user in dict.fromkeys([*reviewer_users(rule), *members]) if user not in barred]
        if len(everybody) > MOST_DMS:
            log.warning("reviewers_left_out", request=drawing.request.number, left_out=len(everybody) - MOST_DMS)
        asked = everybody[:MOST_DMS]
        facts = await self._directory.load_facts(asked, usergroups)
        now = self._clock()
        if not facts.are_fresh(now):
            raise FactsUnavailable
        return [user for user in asked if judge(user, rule, drawing.parties, facts, now).allowed]

    # --- draw a card anew ---

    async def _draw_card(self, job: Job) -> None:
        card = job.card
        if card is not None and card.state is CardState.POSTING and card.step_target_id is not None:
            # The step that posts it has a lane of its own, and may have drawn it from what was stored before.
            raise NotNow("not_posted_yet", counts=False)
        if card is None or card.state is not CardState.LIVE or card.channel is None or card.ts is None:
            await self._outbox.done(job)
            return
        rule = job.drawing.rule
        closed = await self._why_closed(card.place, card.channel, rule) if rule is not None else None
        if closed is not None:
            await self._leave(job, card, closed)
            return
        # What somebody just did is seen before what is drawn because of a pause: that may be thousands of cards.
        wait_for_turn(self._draws, _UPDATE, job.intent, self._clock(), first=job.intent.reason != PAUSE)
        drawing = job.drawing
        message = render_tries(drawing) if card.place is Place.THREAD else render_card(drawing, self._clock())
        try:
            await self._client.update(card.channel, card.ts, message.text, message.blocks)
        except Temporary as trouble:
            hold_back(self._draws, _UPDATE, trouble, self._clock())
            raise
        except MessageGone:
            await self._outbox.card_deleted(card.channel, card.ts)
            await self._outbox.done(job)
            return
        except (PlaceClosed, UnknownPerson) as trouble:
            await self._leave(job, card, trouble.code)
            return
        except (MessageFixed, ContentRefused, Refused) as trouble:
            if isinstance(trouble, Refused) and job.intent.attempts < PATIENT_TRIES:
                raise NotNow(trouble.code) from trouble
            self._give_up(job, trouble.code)
        await self._outbox.drawn(job)

    async def _leave(self, job: Job, card: Card, code: str) -> None:
        """Draw nothing where a card's place closed after it was posted; a pending request is asked about elsewhere."""
        rule = job.drawing.rule
        if rule is not None and job.drawing.request.status is Status.PENDING:
            await self._go_elsewhere(job, card, rule, code)
            return
        self._draws.forget(_UPDATE, job.intent.id)
        if card.place is not Place.THREAD:
            self._give_up(job, code)
        await self._outbox.drawn(job)

    async def _ask_for_paused(self, job: PauseJob) -> None:
        if (again := await self._outbox.ask_for_paused(job)) is not None:
            raise NotNow("paced", again, counts=False)

    # --- tell people ---

    async def _tell_owners(self, job: Job) -> None:
        failed: dict[str, str] = {}

        def give_up(code: str, owner: str) -> None:
            failed[owner] = code
            self._give_up(job, code, owner=owner)

        message = render_owner_notice(job.drawing, job.intent.reason)
        await self._teller.tell(job.intent, job.drawing.parties.owners, message, give_up)
        await self._outbox.told(job, job.drawing.parties.owners, failed)

    async def _tell_reviewers(self, job: Job) -> None:
        """Tell those who could have decided what admins forced, but for the admins who did."""

        failed: dict[str, str] = {}

        def give_up(code: str, reviewer: str) -> None:
            failed[reviewer] = code
            self._give_up(job, code, owner=reviewer)

        drawing = job.drawing
        forced_by = {one.user_id for one in drawing.overrides if one.kind is OverrideKind.FORCED}
        people = await self._reviewers(drawing, drawing.rule, job.intent.attempts) if drawing.rule is not None else []
        message = render_forced(drawing)
        skipped = [user for user in people if user not in forced_by]
        await self._teller.tell(job.intent, skipped, message, give_up)
        await self._outbox.told(job, skipped, failed)

    async def _tell_admins(self, notice: Notice) -> None:
        failed: dict[str, str] = {}

        def give_up(code: str, admin: str) -> None:
            failed[admin] = code
            log.error(
                "undeliverable", code=code, kind=notice.intent.kind.value, notice=notice.intent.reason, target=admin
            )
            self._faults(code)

        message = render_admin_notice(notice.intent.reason, notice.facts)
        await self._teller.tell(notice.intent, notice.admins, message, give_up)
        await self._outbox.told(notice, notice.admins, failed)

    # --- inside ---

    def _give_up(self, job: Job, code: str, owner: str | None = None) -> None:
        card = job.card
        log.error(
            "undeliverable", code=code, kind=job.intent.kind.value, request=job.drawing.request.number,
            card=job.intent.card_id, place=card.place.value if card else None,
            target=owner or (card.target if card else None),
        )  # fmt: skip
        self._faults(code)
