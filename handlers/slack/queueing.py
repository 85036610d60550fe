"""What is pressed on a queue card and in its list: review one request, list all, turn the pages.

A press counts only for a request that is on that very queue card at that moment; what a button carries is a question.
Nothing is decided here: the review that is opened is the same as a card's.
"""

import asyncio

import structlog

from bot.errors import FactsUnavailable, UnknownCard
from bot.queues import Queues
from handlers.slack.blocks import View
from handlers.slack.client import SlackClient
from handlers.slack.desk import Desk
from handlers.slack.looking import Looking
from handlers.slack.payloads import Click
from handlers.slack.queue_card import QUEUE_EVENT, queue_metadata, render_list
from handlers.slack.recognition import RECONCILE_WITHIN, number_in
from handlers.slack.refusals import NotForYou
from handlers.slack.trouble import SlackTrouble
from store.tables import Queue

_NOT_LISTED = "This request is not on this list any more. Nothing was decided."

log = structlog.get_logger(__name__)


class Queueing:
    """The room of queue cards."""

    def __init__(self, desk: Desk, looking: Looking, queues: Queues, client: SlackClient) -> None:
        self._desk = desk
        self._looking = looking
        self._queues = queues
        self._client = client

    async def review(self, click: Click) -> None:
        """Open the review of a request that is on the queue card, or in the list, that was pressed."""
        number = number_in(click.value)
        queue = await self._queues.lists(await self._queue_of(click), number)
        if queue is None:
            raise UnknownCard(_NOT_LISTED)
        await self._looking.open_review(click, number, queue.channel)

    async def list_all(self, click: Click) -> None:
        """Open the list of everything on the queue card that was pressed."""
        queue_id = await self._queue_of(click)

        async def build(list_id: str) -> View:
            view = await self._page(queue_id, click.user_id, 0, list_id)
            await self._queues.remember_list(list_id, queue_id, click.user_id)
            return view

        await self._desk.open(click, "Waiting", build)

    async def turn(self, click: Click) -> None:
        """Show another page of a list."""
        queue_id = await self._queue_of(click)
        page = _page_in(click.value)
        await self._desk.redraw(click, await self._page(queue_id, click.user_id, page, click.view_external_id or ""))

    async def _page(self, queue_id: int, user_id: str, page: int, list_id: str) -> View:
        listing = await self._queues.page(queue_id, user_id, page)
        if listing is None:
            raise NotForYou
        return render_list(listing, list_id)

    async def _queue_of(self, click: Click) -> int:
        """Return the queue card that was pressed, or that the pressed list is of. Raises ``UnknownCard``."""
        if click.surface == "modal":
            opened = (
                await self._queues.opened(click.view_external_id, click.user_id) if click.view_external_id else None
            )
            if opened is None:
                raise UnknownCard("This is not a list that Signoff opened for you.")
            return opened.queue_id
        if click.surface != "card" or click.channel is None or click.ts is None:
            raise UnknownCard
        queue = await self._queues.at(click.channel, click.ts) or await self._reconcile(click.channel, click.ts)
        return queue.id

    async def _reconcile(self, channel: str, ts: str) -> Queue:
        """Recognise a queue card that is in Slack although we have not heard so."""
        candidates = await self._queues.being_posted(channel)
        if candidates:
            try:
                async with asyncio.timeout(RECONCILE_WITHIN.total_seconds()):
                    sighting = await self._client.load_own_message(channel, ts)
            except (SlackTrouble, TimeoutError) as trouble:
                raise FactsUnavailable(
                    "Slack could not be asked whether this list is ours. Nothing was decided; try again."
                ) from trouble
            for queue in candidates:
                mark = queue_metadata(queue)["event_payload"]
                if sighting and sighting.event_type == QUEUE_EVENT and sighting.event_payload == mark:
                    log.info("queue_found", queue=queue.id)
                    await self._queues.found(queue, channel, ts)
        found = await self._queues.at(channel, ts)  # it may have been recorded since the first look
        if found is None:
            raise UnknownCard
        return found


def _page_in(value: str | None) -> int:
    """Read which page a button turns to; one that is not there gives the nearest."""
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 6 else 0
