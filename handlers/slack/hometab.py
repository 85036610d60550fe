"""Draws people's Home tabs: when they open them, and again when they did something that it shows."""

from collections import OrderedDict

import structlog

from bot.clock import Clock
from bot.errors import FactsUnavailable
from bot.homes import Homes
from bot.queries import Queries
from handlers.slack.blocks import View, line, said
from handlers.slack.client import SlackClient
from handlers.slack.home import render_home, shown_of
from handlers.slack.home_sections import render_below
from handlers.slack.links import CardLinks
from handlers.slack.trouble import SlackTrouble
from store.unit import StoreUnavailable

_REMEMBERED = 1_000
_CLOSED = "This cannot be shown right now. Open the tab again in a minute."

log = structlog.get_logger(__name__)


class HomeTab:
    """The Home tab of everybody who looks at it."""

    def __init__(self, client: SlackClient, queries: Queries, homes: Homes, links: CardLinks, clock: Clock) -> None:
        self._client = client
        self._queries = queries
        self._homes = homes
        self._links = links
        self._clock = clock
        self._visitors: OrderedDict[str, None] = OrderedDict()

    async def open(self, user_id: str) -> None:
        """Draw the tab of somebody who opened it."""
        self._visitors[user_id] = None
        self._visitors.move_to_end(user_id)
        while len(self._visitors) > _REMEMBERED:
            self._visitors.popitem(last=False)
        await self._draw(user_id)

    def was_opened_by(self, user_id: str) -> bool:
        """Whether somebody has looked at their tab since we started, as far as is remembered."""
        return user_id in self._visitors

    async def refresh(self, user_id: str) -> None:
        """Draw the tab again of somebody who decided, if they have looked at it since we started."""
        if self.was_opened_by(user_id):
            await self._draw(user_id)

    async def _draw(self, user_id: str) -> None:
        try:
            waiting = await self._queries.waiting(user_id)
            seen = await self._queries.draw(waiting, shown_of(waiting))
            overview = await self._homes.overview(user_id)
            below = render_below(overview, await self._links.addresses()) if overview is not None else []
            view = render_home(seen, self._clock(), user_id, waiting, below)
        except (FactsUnavailable, StoreUnavailable) as error:
            log.warning("home_unavailable", user=user_id, cause=type(error).__name__)
            view = View(type="home", blocks=[line([said(_CLOSED)], "closed")])
        try:
            await self._client.publish_home(user_id, view)
        except SlackTrouble as trouble:
            log.warning("home_not_drawn", user=user_id, code=trouble.code)
