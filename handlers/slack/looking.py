"""Looking at a request: its details, and the review of the whole call in pages. Nothing is decided here."""

from collections.abc import Callable

from bot.drawings import Drawing
from bot.errors import UnknownCard
from handlers.slack import views
from handlers.slack.blocks import View
from handlers.slack.desk import Desk
from handlers.slack.payloads import Click
from store.tables import ModalKind

_FORWARD = (views.REVIEW_NEXT, views.DETAILS_NEXT)


class Looking:
    """What is pressed to see more."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show_details(self, click: Click) -> None:
        """Open everything that is known of a request, for somebody who may see it."""
        desk = self._desk
        number, channel = await desk.request_of(click, ModalKind.DETAILS)

        async def build(modal_id: str) -> View:
            drawing = await desk.drawing_for(click.user_id, number)
            await desk.queries.remember_modal(modal_id, ModalKind.DETAILS, number, click.user_id, channel)
            return views.render_details(drawing, modal_id)

        await desk.open(click, f"Request #{number}", build)

    async def show_review(self, click: Click) -> None:
        """Open the whole call on its first page."""
        number, channel = await self._desk.request_of(click, ModalKind.REVIEW)
        await self.open_review(click, number, channel)

    async def open_review(self, click: Click, number: int, channel: str | None) -> None:
        """Open the review of a request that was recognised; ``channel``: where it was pressed that others may see."""
        desk = self._desk

        async def build(modal_id: str) -> View:
            drawing = await desk.drawing_for(click.user_id, number)
            if drawing.rule is not None:
                await desk.decisions.refuse_closed_channel(drawing.rule, channel)
            await desk.queries.remember_modal(modal_id, ModalKind.REVIEW, number, click.user_id, channel)
            return views.render_review(drawing, modal_id)

        await desk.open(click, f"Review #{number}", build)

    async def turn_details(self, click: Click) -> None:
        """Show another page of the details."""
        await self._turn(click, ModalKind.DETAILS, views.render_details)

    async def turn_review(self, click: Click) -> None:
        """Show another page of the review, and remember that it was seen."""
        await self._turn(click, ModalKind.REVIEW, views.render_review)

    async def _turn(self, click: Click, kind: ModalKind, render: Callable[[Drawing, str, int], View]) -> None:
        desk = self._desk
        modal, metadata = await desk.recognition.modal(
            click.view_external_id, click.user_id, kind, click.private_metadata
        )
        drawing = await desk.drawing_for(click.user_id, modal.request_number)
        page = max(metadata.page + (1 if click.action_id in _FORWARD else -1), 0)
        if not await desk.queries.see_page(modal.id, page, metadata.pages):
            raise UnknownCard("Pages are opened one after the other. Please open it anew.")
        await desk.redraw(click, render(drawing, modal.id, page))
