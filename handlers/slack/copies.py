"""Copies of a card that a plan's step sends elsewhere: to another channel, to a person. And the turns they take.

A copy is posted once: what an earlier try may have left in Slack is looked for before another. It has the card's own
buttons and follows the stored state as every card does. Who gets one is for ``handlers.slack.escalating``.
"""

from datetime import timedelta

from bot.clock import Clock
from bot.outbox import Job, Outbox
from bot.people import Directory
from handlers.delivery import NotNow
from handlers.pacing import Pacer
from handlers.slack.cards import card_metadata, render_card
from handlers.slack.client import SlackClient
from handlers.slack.places import find_card
from handlers.slack.sending import text_for
from handlers.slack.trouble import ContentRefused, PlaceClosed, Refused, SlackTrouble, Temporary, UnknownPerson
from store.tables import Card, CardState

PATIENT_TRIES = 5  # how often an unclear answer is asked for again before going on without it
_MOST_ABSENT = 10_000


class Turns:
    """The pace of all new messages, which steps do not wait for behind new cards."""

    def __init__(self, posts: Pacer, clock: Clock) -> None:
        self._posts = posts
        self._clock = clock

    def wait(self, key: str, job: Job) -> None:
        """Take a turn at ``key``, a channel or a person. Raises ``NotNow`` where it has not come."""
        delay = self._posts.wait(key, job.intent.id, self._clock(), first=True)  # not behind new cards
        if delay > timedelta(0):
            raise NotNow("paced", delay, counts=False)

    def leave(self, key: str, job: Job) -> None:
        """Give up a turn that is not needed any more."""
        self._posts.forget(key, job.intent.id)

    def hold(self, key: str, trouble: Temporary) -> None:
        """Let nobody send to ``key`` for as long as Slack asks."""
        if trouble.retry_after is not None:
            now = self._clock()
            self._posts.hold(key, now, now + trouble.retry_after)


class Copies:
    """Posts copies."""

    def __init__(self, client: SlackClient, directory: Directory, outbox: Outbox, turns: Turns, clock: Clock) -> None:
        self._client = client
        self._directory = directory
        self._outbox = outbox
        self._turns = turns
        self._clock = clock
        self._absent: set[int] = set()  # cards whose last try certainly left nothing in Slack

    async def post(self, job: Job, card: Card) -> str | None:
        """Post a planned copy, once; a code if it is not in Slack and will not be."""
        if card.state is not CardState.POSTING:
            return None if card.state is CardState.LIVE else "card_gone"
        if await self.find(job, card):
            return None
        self._turns.wait(card.target, job)
        if not await self._outbox.attempting(card):
            return None  # it was gathered on a queue card meanwhile
        self._absent.discard(card.id)
        request = job.drawing.request
        message = render_card(job.drawing, self._clock())
        try:
            text = text_for(self._directory, card.target, message)  # a channel is nobody, and reads it in UTC
            channel, ts = await self._client.post(card.target, text, message.blocks, card_metadata(request, card.id))
        except Temporary as trouble:
            if trouble.had_no_effect and len(self._absent) < _MOST_ABSENT:
                self._absent.add(card.id)
            self._turns.hold(card.target, trouble)
            raise
        except (PlaceClosed, UnknownPerson, ContentRefused, Refused) as trouble:
            code = final_code(trouble, job)
            await self._outbox.drop(card)
            return code
        await self._outbox.found(card, channel, ts, job.drawing)
        return None

    async def find(self, job: Job, card: Card) -> bool:
        """Look for a copy whose answer was lost; whether it is there."""
        if card.attempted_at is None or card.id in self._absent:
            return False
        sighting = await find_card(self._client, card, job.drawing.request)
        if sighting is not None:
            await self._outbox.found(card, sighting.channel, sighting.ts)
        return sighting is not None


def final_code(trouble: SlackTrouble, job: Job) -> str:
    """The code of what Slack will never take. An unknown refusal is asked for again a few times first."""
    if isinstance(trouble, Refused) and job.intent.attempts < PATIENT_TRIES:
        raise NotNow(trouble.code) from trouble
    return trouble.code
