"""What the cards in Slack say, for ``signoff audit verify --slack``: each is a witness of the record. Only reads.

A finished card shows the number and short hash of its request's last event; that is for the chain to agree with
(``bot.chain``). Its first line, and who is named as having decided, must be the request's as it is stored, too. Cards
are looked up where they were posted; one that was deleted, or that a free plan hides, is not there and says nothing.
What stands there beside them is a witness as well: whoever takes events from the database takes their cards from it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from bot.chain import Faults, Witness
from bot.drawings import is_reported
from handlers.check_slack import Sleep, ask_patiently
from handlers.slack.cards import headline_of
from handlers.slack.client import SlackClient
from handlers.slack.records import Sighting
from handlers.slack.trouble import SlackTrouble
from handlers.slack.witness import read_witness
from store import statements, statements_audit
from store.engine import Store
from store.statements_audit import FinishedCard
from store.tables import DeciderKind, Request
from store.unit import Unit

_EARLIER = timedelta(minutes=1)  # Slack's clock is not ours
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = 500
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)>")
_SHORTCODE = re.compile(r":[a-z0-9_+-]+:")  # what Slack makes of a sign
_PEOPLE = (DeciderKind.PERSON, DeciderKind.ADMIN)


@dataclass(slots=True)
class CardsSay:
    """What the cards said: those that vouch for an event, and how many were not there or vouch for nothing.

    ``unknown`` counts finished cards in Slack of which the database knows nothing. ``closed`` are channels that could
    not be read, with Slack's code.
    """

    witnesses: list[Witness] = field(default_factory=list)
    read: int = 0
    not_there: int = 0
    silent: int = 0
    unknown: int = 0
    closed: dict[str, str] = field(default_factory=dict)


async def read_cards(
    store: Store, client: SlackClient, sleep: Sleep, faults: Faults, channels: Iterable[str] = ()
) -> CardsSay:
    """Read every finished card in Slack, also in ``channels`` of which the database knows none.

    Raises ``Unreachable`` where Slack does not answer.
    """
    reading = _Reading(store, client, sleep, faults)
    cards: dict[str, dict[str, FinishedCard]] = {channel: {} for channel in channels}
    finished = await reading.finished()
    for card in finished:
        cards.setdefault(card.channel, {})[card.ts] = card
    oldest = min((card.posted_at for card in finished), default=_EVER)
    for channel, known in sorted(cards.items()):
        await reading.read_channel(channel, known, min((card.posted_at for card in known.values()), default=oldest))
    return reading.say


class _Reading:
    def __init__(self, store: Store, client: SlackClient, sleep: Sleep, faults: Faults) -> None:
        self.say = CardsSay()
        self._store = store
        self._client = client
        self._sleep = sleep
        self._faults = faults

    async def finished(self) -> list[FinishedCard]:
        cards: list[FinishedCard] = []
        while page := await self._store.read(partial(_load_finished, after=cards[-1].id if cards else 0)):
            cards += page
        return cards

    async def read_channel(self, channel: str, cards: Mapping[str, FinishedCard], oldest: datetime) -> None:
        try:
            found = await self._find(channel, cards, max(oldest - _EARLIER, _EVER))
            for ts in found.keys() - cards.keys():
                await self._hear_unknown(found[ts])
            for ts, card in cards.items():
                if ts not in found:
                    self.say.not_there += 1
                    continue
                self.say.read += 1
                await self._compare(card, found[ts])
        except SlackTrouble as trouble:
            self.say.closed[channel] = trouble.code

    async def _find(self, channel: str, cards: Mapping[str, FinishedCard], since: datetime) -> dict[str, Sighting]:
        """Look for ``cards`` in a channel, a page at a time, back to the oldest; and for whatever else vouches."""
        found: dict[str, Sighting] = {}
        left = set(cards)
        cursor: str | None = None
        while True:
            page = partial(self._client.load_own_page, channel, since, cursor)
            sightings, cursor = await ask_patiently(page, self._sleep)
            for sighting in sightings:
                if sighting.ts in cards or read_witness(sighting.blocks) is not None:
                    found[sighting.ts] = sighting
                    left.discard(sighting.ts)
            if cursor is None or (cards and not left):
                return found

    async def _hear_unknown(self, sighting: Sighting) -> None:
        """Let a message vouch that is not among the finished cards, whatever the database makes of it."""
        card = await self._store.read(
            lambda unit: unit.one(statements.CARD_BY_MESSAGE, channel=sighting.channel, ts=sighting.ts)
        )
        mark = read_witness(sighting.blocks)
        if mark is None:
            return
        self.say.read += 1
        self.say.unknown += card is None
        of = f"of #{card.request_number}" if card is not None else "that the database does not know"
        words = f"a card {of} in {sighting.channel}, posted at {sighting.ts}"
        self.say.witnesses.append(Witness(mark.number, mark.hash, words))

    async def _compare(self, card: FinishedCard, sighting: Sighting) -> None:
        where = f"the card of #{card.request_number} in {card.channel}"
        wrong = await self._what_is_wrong(card, sighting)
        if wrong is not None:  # it may have been drawn anew between the two looks

            async def look_again() -> Sighting:
                return await self._client.load_own_message(card.channel, card.ts) or sighting

            sighting = await ask_patiently(look_again, self._sleep)
            wrong = await self._what_is_wrong(card, sighting)
        if wrong is not None:
            self._faults.add("card_differs", None, f"{wrong} It is {where}.")
        mark = read_witness(sighting.blocks)
        if mark is None:
            self.say.silent += 1
        else:
            self.say.witnesses.append(Witness(mark.number, mark.hash, where))

    async def _what_is_wrong(self, card: FinishedCard, sighting: Sighting) -> str | None:
        """Say what a card says that the record does not; None for one that is still to be drawn anew."""

        async def load(unit: Unit) -> tuple[Request | None, int, bool]:
            request = await unit.one(statements.REQUEST, number=card.request_number)
            due = await unit.one(statements_audit.DRAWINGS_DUE, card_id=card.id) or 0
            return request, due, request is not None and await is_reported(unit, request)

        request, due, was_reported = await self._store.read(load)
        if request is None:
            return "The card is of a request that is not stored."
        return None if due else differing(request, sighting.blocks, was_reported=was_reported)


def differing(request: Request, blocks: Iterable[Mapping[str, Any]], *, was_reported: bool = False) -> str | None:
    """Say in what a finished card differs from its request as it is stored: its first line, or who decided.

    ``was_reported``: as wrong, which cards that an earlier version drew do not say in their first line.
    """
    by_id = {str(block.get("block_id")): block for block in blocks}
    heads = [headline_of(request)] + ([headline_of(request, is_reported=True)] if was_reported else [])
    stored = [_letters("".join(str(part["text"]) for part in head if part["type"] == "text")) for head in heads]
    if _letters("".join(_texts(by_id.get("head")))) not in stored:
        return "Its first line is not what is stored."
    named = set(_MENTION.findall("".join(_texts(by_id.get("decision")))))
    if request.decided_by_kind in _PEOPLE and request.decided_by not in named:
        return "Who is named as having decided is not who is stored."
    return None


def _texts(value: object) -> Iterator[str]:
    """Every text in a block, in its order."""
    if isinstance(value, Mapping):
        text = value.get("text")
        if isinstance(text, str):
            yield text
        for key, item in value.items():
            if isinstance(item, list | Mapping) and key != "style":
                yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _letters(text: str) -> str:
    """A text without signs, spaces and punctuation: Slack gives some of them back in another form."""
    return "".join(char for char in _SHORTCODE.sub("", text) if char.isalnum())


async def _load_finished(unit: Unit, after: int) -> list[FinishedCard]:
    return await unit.all(statements_audit.FINISHED_CARDS_AFTER, card_id=after, limit=_PAGE)
