"""What the rooms of acts work with: which request is meant, opening and redrawing modals, and what is done afterwards.

The router is ``handlers.slack.actions``; a room is a class that is given a ``Desk``. Who may decide is not judged here.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from bot.decisions import Decisions
from bot.drawings import Drawing
from bot.errors import UnknownCard
from bot.outbox import Outbox
from bot.queries import Queries
from handlers.slack import views
from handlers.slack.afterwards import Afterwards
from handlers.slack.blocks import View
from handlers.slack.client import SlackClient
from handlers.slack.hometab import HomeTab
from handlers.slack.payloads import Click
from handlers.slack.recognition import Recognition, number_in
from handlers.slack.refusals import NotForYou, Refuser, refusal_of
from handlers.slack.trouble import SlackTrouble
from store.tables import Card, ModalKind, Place

LOADING_AFTER = timedelta(seconds=1)  # a trigger lives three: by then a modal must stand, if only to say so

log = structlog.get_logger(__name__)


class Desk:
    """Shared by the rooms. ``loading_after``: how long the building of a modal may take before one says so."""

    def __init__(
        self,
        client: SlackClient,
        decisions: Decisions,
        queries: Queries,
        outbox: Outbox,
        home: HomeTab,
        afterwards: Afterwards,
    ) -> None:
        self.decisions = decisions
        self.queries = queries
        self.home = home
        self.recognition = Recognition(client, queries, outbox)
        self.refuser = Refuser(client, queries)
        self.loading_after = LOADING_AFTER
        self._client = client
        self._afterwards = afterwards

    # --- which request ---

    async def request_of(self, click: Click, kind: ModalKind) -> tuple[int, str | None]:
        """Return the request that a press is about, and the channel of the card it was made on or led from.

        ``kind`` is that of the modal whose button it may be. The Home tab's number is a question only: whoever asks is
        shown what they may see, wherever they have it from. Raises ``UnknownCard``.
        """
        if click.surface == "home":
            return number_in(click.value), None
        if click.surface == "modal":
            modal, _ = await self.recognition.modal(click.view_external_id, click.user_id, kind, click.private_metadata)
            return modal.request_number, modal.channel
        card = await self.recognition.card(click)
        return card.request_number, channel_of(card)

    async def drawing_for(self, user_id: str, number: int) -> Drawing:
        """Return a request for somebody who may see it. Raises ``NotForYou``."""
        seen = await self.queries.show(user_id, str(number))
        if seen is None:
            raise NotForYou
        return seen.drawing

    # --- modals ---

    async def open(self, click: Click, title: str, build: Callable[[str], Awaitable[View]]) -> None:
        """Open the modal that ``build`` makes; if that takes its time, one that says so first."""
        modal_id = secrets.token_urlsafe(24)
        open_view = self._client.push_view if click.surface == "modal" else self._client.open_view
        work = asyncio.ensure_future(build(modal_id))
        try:
            done, _ = await asyncio.wait({work}, timeout=self.loading_after.total_seconds())
            if done:
                await open_view(click.trigger_id, work.result())
                return
            view_id = await open_view(click.trigger_id, views.render_loading(modal_id, title))
        except BaseException:
            work.cancel()
            raise
        try:
            view = await work
        except Exception as error:
            refusal = refusal_of(error)
            log.info("click_refused", user=click.user_id, action=click.action_id, code=refusal.code)
            view = views.render_refusal(refusal.message)
        await self._client.update_view(view_id, view)

    async def redraw(self, click: Click, view: View) -> None:
        """Show something else in the modal that was pressed."""
        if click.view_id is None:
            raise UnknownCard
        try:
            await self._client.update_view(click.view_id, view)
        except SlackTrouble as trouble:
            # The modal may have been closed meanwhile; what was decided is decided, and the card says so.
            log.warning("modal_not_redrawn", user=click.user_id, code=trouble.code)

    # --- afterwards ---

    def later(self, click: Click, handle: Callable[[Click], Awaitable[None]]) -> None:
        """Do something about a press after its acknowledgement; who pressed is told if it is refused."""
        self._afterwards.spawn(self._then(click, handle))

    def tell(self, click: Click, error: Exception) -> None:
        """Tell who pressed, after the acknowledgement, why nothing came of it."""
        self._afterwards.spawn(self.refuser.tell(click, refusal_of(error)))

    def refresh_home(self, user_id: str) -> None:
        """Draw the Home tab of somebody who did something, after the acknowledgement."""
        if self.home.was_opened_by(user_id):
            self._afterwards.spawn(self.home.refresh(user_id))

    async def _then(self, click: Click, handle: Callable[[Click], Awaitable[None]]) -> None:
        try:
            await handle(click)
        except Exception as error:
            await self.refuser.tell(click, refusal_of(error))


def channel_of(card: Card) -> str | None:
    """Where a card stands that others may see; None for a DM."""
    return None if card.place is Place.DM else card.channel
