"""*Why?*, chosen in a menu: the time line of a request, and the turning of its pages. Nothing is decided here."""

from bot.errors import UnknownCard
from bot.timelines import Timeline, Timelines
from handlers.slack.actions import Actions
from handlers.slack.blocks import View
from handlers.slack.override_buttons import WHY
from handlers.slack.payloads import Click
from handlers.slack.refusals import NotForYou
from handlers.slack.timeline import WHY_BACK, WHY_NEXT, render_why
from store.tables import ModalKind


class Explaining:
    """What is pressed to be told why."""

    def __init__(self, timelines: Timelines) -> None:
        self._timelines = timelines

    def join(self, actions: Actions) -> None:
        """Take the choice in the menu, and the buttons that turn pages."""
        self._desk = actions.desk
        actions.set_choice(WHY, self.show)
        actions.add_press("modal", WHY_BACK, self.turn)
        actions.add_press("modal", WHY_NEXT, self.turn)

    async def show(self, click: Click) -> None:
        """Open the time line on its first page, for somebody who may see the request."""
        desk = self._desk
        kind = ModalKind.DETAILS
        if click.surface == "modal" and click.view_external_id:
            opened = await desk.queries.modal(click.view_external_id, click.user_id)
            kind = ModalKind.REVIEW if opened is not None and opened.kind is ModalKind.REVIEW else kind
        number, channel = await desk.request_of(click, kind)

        async def build(modal_id: str) -> View:
            timeline = await self._load(click.user_id, number)
            await desk.queries.remember_modal(modal_id, ModalKind.WHY, number, click.user_id, channel)
            return render_why(timeline, modal_id)

        await desk.open(click, f"Why? #{number}", build)

    async def turn(self, click: Click) -> None:
        """Show another page."""
        desk = self._desk
        modal, metadata = await desk.recognition.modal(
            click.view_external_id, click.user_id, ModalKind.WHY, click.private_metadata
        )
        page = max(metadata.page + (1 if click.action_id == WHY_NEXT else -1), 0)
        timeline = await self._load(click.user_id, modal.request_number, page)
        if not await desk.queries.see_page(modal.id, timeline.page):
            raise UnknownCard("Pages are opened one after the other. Please open it anew.")
        await desk.redraw(click, render_why(timeline, modal.id))

    async def _load(self, user_id: str, number: int, page: int = 0) -> Timeline:
        timeline = await self._timelines.of(user_id, number, page)
        if timeline is None:
            raise NotForYou
        return timeline
