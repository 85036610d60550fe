"""Says where a request's card is in Slack, for whoever is told of it elsewhere."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from bot.outbox import Outbox
from handlers.slack.client import SlackClient
from handlers.slack.trouble import SlackTrouble
from store.tables import Card, Request

PATIENCE = timedelta(seconds=3)
"""A link is a convenience: nobody is told later for want of one."""


class CardLinks:
    """Links to cards. Slack is asked for each: it alone knows the workspace's address."""

    def __init__(self, client: SlackClient, outbox: Outbox) -> None:
        self._client = client
        self._outbox = outbox

    async def addresses(self) -> Callable[[Card | None], str | None]:
        """Return what says where cards are whose place is known: many of them, and Slack is asked once at most."""
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                home = (await self._client.load_identity()).address
        except (SlackTrouble, TimeoutError):
            home = None

        def address(card: Card | None) -> str | None:
            if home is None or card is None or card.channel is None or card.ts is None:
                return None
            return f"{home}archives/{card.channel}/p{card.ts.replace('.', '')}"

        return address

    async def link_to(self, request: Request) -> str | None:
        """Return the address of the request's card in its channel; None without one, or if Slack does not say."""
        card = await self._outbox.card_in_channel(request.number)
        if card is None or card.channel is None or card.ts is None:
            return None
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                link = await self._client.load_permalink(card.channel, card.ts)
        except (SlackTrouble, TimeoutError):
            return None
        return link if link.startswith("https://") else None
