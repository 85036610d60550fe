"""Which request a press is about: by our record of the card or modal, never by what a button carries.

A card whose posting was not answered is looked up in Slack once; only a message of our own bot with our own mark
counts. Everything unknown is ``UnknownCard``.
"""

import asyncio
from datetime import timedelta

import structlog

from bot.drawings import Drawing
from bot.errors import FactsUnavailable, UnknownCard, UnknownRequest
from bot.outbox import Outbox
from bot.queries import Queries
from handlers.slack.cards import CARD_EVENT, card_metadata
from handlers.slack.client import SlackClient
from handlers.slack.payloads import BadPayload, Click, Metadata, parse_metadata, parse_number
from handlers.slack.trouble import SlackTrouble
from store.tables import Card, Modal, ModalKind

RECONCILE_WITHIN = timedelta(seconds=2)  # a click waits for it, and Slack for the click's acknowledgement

log = structlog.get_logger(__name__)


class Recognition:
    """Recognises the cards and modals that we made."""

    def __init__(self, client: SlackClient, queries: Queries, outbox: Outbox) -> None:
        self._client = client
        self._queries = queries
        self._outbox = outbox

    async def card(self, click: Click) -> Card:
        """Return the card that was pressed. Raises ``UnknownCard``, also if the button speaks of another request."""
        number = number_in(click.value)
        if click.channel is None or click.ts is None:
            raise UnknownCard
        card = await self._queries.card_at(click.channel, click.ts)
        if card is None:
            card = await self._reconcile(click.channel, click.ts, number)
        if card.request_number != number:
            raise UnknownCard
        return card

    async def modal(
        self, external_id: str | None, user_id: str, kind: ModalKind, private_metadata: str | None
    ) -> tuple[Modal, Metadata]:
        """Return a modal that we opened for this person, and what it carries. Raises ``UnknownCard``."""
        modal = await self._queries.modal(external_id, user_id) if external_id else None
        if modal is None or modal.kind is not kind:
            raise UnknownCard("This is not a form that Signoff opened for you.")
        try:
            metadata = parse_metadata(private_metadata)
        except BadPayload as error:
            raise UnknownCard from error
        if metadata.number != modal.request_number:
            raise UnknownCard
        return modal, metadata

    async def drawing(self, number: int) -> Drawing:
        """Return what a request is drawn from. Raises ``UnknownRequest``."""
        drawing = await self._queries.drawing(number)
        if drawing is None:
            raise UnknownRequest
        return drawing

    async def _reconcile(self, channel: str, ts: str, number: int) -> Card:
        """Recognise a card that is in Slack although we have not heard so."""
        candidates = await self._outbox.cards_being_posted(number)
        if candidates:
            await self._look_in_slack(channel, ts, number, candidates)
        # Without candidates too: the posting may have been recorded since the first look.
        found = await self._queries.card_at(channel, ts)
        if found is None:
            raise UnknownCard
        return found

    async def _look_in_slack(self, channel: str, ts: str, number: int, candidates: list[Card]) -> None:
        """Record which of ``candidates`` a message is, if it is one of them."""
        try:
            async with asyncio.timeout(RECONCILE_WITHIN.total_seconds()):
                sighting = await self._client.load_own_message(channel, ts)
        except (SlackTrouble, TimeoutError) as trouble:
            raise FactsUnavailable(
                "Slack could not be asked whether this card is ours. Nothing was decided; try again."
            ) from trouble
        request = (await self.drawing(number)).request
        for card in candidates:
            mark = card_metadata(request, card.id)["event_payload"]
            if sighting and sighting.event_type == CARD_EVENT and sighting.event_payload == mark:
                log.info("card_found", request=number, card=card.id)
                await self._outbox.found(card, channel, ts)


def number_in(value: str | None) -> int:
    """Read the number of a request that a button carries. Raises ``UnknownCard``."""
    try:
        return parse_number(value)
    except BadPayload as error:
        raise UnknownCard from error
