"""Remembered denials: what people denied is denied again for a day, without asking them, until one of them reopens it.

Only a denial by people is remembered, never a remembered one, so that memory does not renew itself. Reopening forgets
the denial; it approves nothing, and the decided request stays as it is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bot.call import CANONICAL_VERSION, differ_in_one, load_json
from bot.cards import add_card
from bot.decisions import add_intent, wish_to_draw
from bot.errors import AlreadyDecided, NotRemembered
from bot.events import EventType, append_event
from bot.hearings import Act, Hearing, Hearings
from store import statements, statements_ahead
from store.tables import CardState, DeciderKind, IntentKind, Place, Request, Status
from store.unit import Unit

REMEMBERED_FOR = timedelta(hours=24)
MOST_COMPARED = 20  # denials of a day that a new call is compared with
MOST_CHARACTERS_COMPARED = 64 * 1024  # of their arguments, beyond the newest's: clicks wait for whoever draws


async def recall(unit: Unit, agent: str, tool: str, digest: bytes, now: datetime) -> Request | None:
    """Return the denial by people that a call of ``agent`` meets again, or None.

    It is the newest of the last ``REMEMBERED_FOR``; if that was reopened, the older ones are forgotten with it.
    """
    denied = await unit.one(
        statements_ahead.LAST_DENIED,
        agent=agent,
        tool=tool,
        digest=digest,
        canonical_version=CANONICAL_VERSION,
        since=now - REMEMBERED_FOR,
    )
    return denied if denied is not None and denied.reopened_at is None else None


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a denial was met again, and until when it will be: None where people denied nothing, or reopened it."""

    count: int = 0
    last_at: datetime | None = None
    remembered_until: datetime | None = None


async def load_tries(unit: Unit, request: Request) -> Tries:
    """Return how often the call of a request that people denied was asked again."""
    if not _is_denied_by_people(request) or request.decided_at is None:
        return Tries()
    count, last_at = await unit.one(statements_ahead.TRIES, number=request.number) or (0, None)
    remembered = await recall(unit, request.agent, request.tool, request.digest, request.decided_at)
    counts = remembered is not None and remembered.number == request.number
    return Tries(count, last_at, request.decided_at + REMEMBERED_FOR if counts else None)


async def find_near_denial(unit: Unit, request: Request) -> Request | None:
    """Return the newest request one argument apart that people denied in the day before this one was made, or None.

    What they deny later must not change a card that somebody is reading. Of many large calls only the newest are looked
    at.
    """
    if request.forgotten_at is not None:
        return None
    denials = await unit.all(
        statements_ahead.DENIALS_BEFORE,
        agent=request.agent,
        tool=request.tool,
        since=request.created_at - REMEMBERED_FOR,
        until=request.created_at,
        number=request.number,
        limit=MOST_COMPARED,
    )
    arguments: dict[str, Any] | None = None
    left = MOST_CHARACTERS_COMPARED
    for denied in denials:
        if left <= 0:
            break
        same_place = (request.server, request.canonical_version) == (denied.server, denied.canonical_version)
        if not same_place or request.digest == denied.digest or denied.forgotten_at is not None:
            continue
        left -= len(denied.arguments)
        arguments = load_json(request.arguments) if arguments is None else arguments
        if differ_in_one(arguments, load_json(denied.arguments)):
            return denied
    return None


def _is_denied_by_people(request: Request) -> bool:
    return request.status is Status.DENIED and request.decided_by_kind is DeciderKind.PERSON


async def count_try(unit: Unit, denied: Request, now: datetime) -> None:
    """Let the thread under a denied request's card count one more try: one message, however often it is asked."""
    threads = await unit.all(statements_ahead.CARDS_IN_PLACE, request_number=denied.number, place=Place.THREAD)
    if not threads:
        cards = await unit.all(statements.CARDS_OF, request_number=denied.number)
        shown = (card for card in cards if card.state is CardState.LIVE and card.place is not Place.DM)
        first = next((card for card in shown if card.ts is not None), None)
        if first is not None and first.channel is not None:
            await add_card(unit, denied, Place.THREAD, first.channel, now, reason="asked_again")
        return
    for thread in threads:
        if thread.state is CardState.GONE:
            continue
        if await unit.one(statements_ahead.WAITING_DRAW, card_id=thread.id) is None:
            await add_intent(
                unit, IntentKind.DRAW_CARD, f"card:{thread.id}", now,
                reason="asked_again", request=denied, card_id=thread.id,
            )  # fmt: skip


class Memory:
    """The use case of reopening."""

    def __init__(self, hearings: Hearings) -> None:
        self._hearings = hearings

    async def reopen(self, number: int, act: Act) -> Request:
        """Forget the denial of a request, so that people are asked about its call again. Returns the request.

        Whoever could decide the request today may do that. Raises ``NotRemembered``, ``NotYourDecision``,
        ``ClosedChannel``, ``UnknownRequest`` or ``FactsUnavailable``. A repeated ``act`` changes nothing.
        """
        try:
            return await self._hearings.hear(number, act, partial(self._reopen, act=act))
        except AlreadyDecided as never_open:  # no rule matched it
            raise NotRemembered from never_open

    @staticmethod
    async def _reopen(unit: Unit, hearing: Hearing, act: Act) -> Request:
        request, now = hearing.request, hearing.now
        if hearing.is_repeat:
            return request
        hearing.refuse_unless_entitled(act.user_id)
        if not _is_denied_by_people(request):
            raise NotRemembered
        remembered = await recall(unit, request.agent, request.tool, request.digest, now)
        if remembered is None:
            raise NotRemembered
        if remembered.number != request.number:
            raise NotRemembered(f"The denial that counts is the newer one of #{remembered.number}. Reopen that.")
        reopened = await unit.one(
            statements_ahead.REOPEN, number=request.number, reopened_at_=now, reopened_by_=act.user_id
        )
        if reopened is None:
            raise NotRemembered
        await append_event(
            unit, now, EventType.DENIAL_REOPENED, reopened, user=act.user_id, team=act.team_id, surface=act.surface
        )
        await wish_to_draw(unit, reopened, "reopened", now)
        return reopened
