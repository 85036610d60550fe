"""Tells an agent's owners, in one message for a burst, which requests expired unanswered.

After an earlier try of which some owner heard, the others are told of the same requests; what came since is the next
message's.
"""

from collections.abc import Callable

import structlog

from bot.expiries import Expired
from bot.outbox import Outbox
from handlers.slack.answers import render_expired
from handlers.slack.client import SlackClient
from handlers.slack.telling import Teller
from handlers.slack.trouble import SlackTrouble, Temporary, WorkspaceClosed

log = structlog.get_logger(__name__)


class ExpiredNotices:
    """Sends them."""

    def __init__(self, client: SlackClient, outbox: Outbox, teller: Teller, faults: Callable[[str], None]) -> None:
        self._client = client
        self._outbox = outbox
        self._teller = teller
        self._faults = faults

    async def tell(self, expired: Expired) -> None:
        """Tell every owner once. Raises ``NotNow``, ``Temporary`` or ``WorkspaceClosed``."""
        if expired.intent.attempts > 1:
            marks = (mark.get("last") for mark in (await self._teller.told(expired.intent, expired.owners)).values())
            known = [last for last in marks if isinstance(last, int)]
            if known:
                expired = await self._outbox.load_expired(expired.intent, min(known))

        failed: dict[str, str] = {}

        def give_up(code: str, owner: str) -> None:
            failed[owner] = code
            log.error("undeliverable", code=code, kind="expired", agent=expired.agent, target=owner)
            self._faults(code)

        message = render_expired(expired, await self._links(expired))
        await self._teller.tell(expired.intent, expired.owners, message, give_up, last=expired.last)
        await self._outbox.told(expired, expired.owners, failed)

    async def _links(self, expired: Expired) -> dict[int, str]:
        """Where the cards of the newest stand. A convenience: what Slack does not tell is left out."""
        links = {}
        for number, card in expired.cards.items():
            if card.channel is None or card.ts is None:
                continue
            try:
                links[number] = await self._client.load_permalink(card.channel, card.ts)
            except (Temporary, WorkspaceClosed):
                raise
            except SlackTrouble as trouble:
                log.info("no_link", request=number, code=trouble.code)
        return links
