"""Telling somebody in Slack why they could not do what they tried, with the state of what they tried it on.

A small modal, for as long as the trigger lives; else a message that they alone see. Ephemeral messages vanish on
reload and there are none on the Home tab, so they come second.
"""

from collections.abc import Mapping

import structlog

from bot.drawings import Drawing
from bot.errors import AgentPaused, FactsUnavailable, Refusal, UnknownCard, UnknownRequest
from bot.queries import Queries
from handlers.slack.answers import render_refusal_text
from handlers.slack.blocks import View
from handlers.slack.client import SlackClient
from handlers.slack.payloads import Click
from handlers.slack.trouble import SlackTrouble
from handlers.slack.views import render_refusal, render_refused_by_pause
from store.unit import StoreUnavailable

_ANSWER: Mapping[str, object] = {"event_type": "signoff_answer", "event_payload": {}}

log = structlog.get_logger(__name__)


class NotForYou(Refusal):
    """You may not see this request."""

    code = "not_visible"


class TryAgain(Refusal):
    """Signoff cannot reach its database right now. Nothing was decided; try again in a minute."""

    code = "store_unavailable"


class OutOfOrder(Refusal):
    """Something went wrong here, and the log says what. Look at the card for how the request stands."""

    code = "internal_error"


# Whoever meets these has not shown that the request concerns them.
_WITHOUT_STATE = (UnknownCard, UnknownRequest, NotForYou)


def refusal_of(error: Exception) -> Refusal:
    """Say what an error means to the person whose act met it. What is not a refusal is logged here."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, StoreUnavailable):
        log.warning("act_failed", code="store_unavailable")
        return TryAgain()
    if isinstance(error, SlackTrouble):
        log.warning("act_failed", code=error.code, method=error.method)
        return FactsUnavailable("Slack did not let Signoff open the form. Nothing was decided; try again.")
    log.error("act_failed", code="internal_error", exc_info=error)
    return OutOfOrder()


def render_refused(refusal: Refusal, drawing: Drawing | None) -> View:
    """Say in a modal why not. A pause is told as cards tell it: with times in the reader's zone, and who to ask."""
    if isinstance(refusal, AgentPaused) and drawing is not None and drawing.pauses:
        return render_refused_by_pause(drawing)
    return render_refusal(refusal.message, drawing)


class Refuser:
    """Tells refusals."""

    def __init__(self, client: SlackClient, queries: Queries) -> None:
        self._client = client
        self._queries = queries

    async def tell(self, click: Click, refusal: Refusal) -> None:
        """Tell the one who pressed why not."""
        log.info("click_refused", user=click.user_id, action=click.action_id, surface=click.surface, code=refusal.code)
        drawing = await self.state_for(refusal, click.user_id, click.view_external_id, click.channel, click.ts)
        if await self._show(click, refusal, drawing):
            return
        message = render_refusal_text(refusal.message, drawing)
        try:
            if click.channel is not None:
                await self._client.post_ephemeral(click.channel, click.user_id, message.text, message.blocks)
            else:
                await self._client.post(click.user_id, message.text, message.blocks, _ANSWER)
        except SlackTrouble as trouble:
            log.warning("refusal_untold", user=click.user_id, code=trouble.code)

    async def state_for(
        self, refusal: Refusal, user_id: str, external_id: str | None, channel: str | None = None, ts: str | None = None
    ) -> Drawing | None:
        """Return the state to tell with a refusal: only of a request whose card or modal was truly pressed."""
        if isinstance(refusal, _WITHOUT_STATE):
            return None
        try:
            modal = await self._queries.modal(external_id, user_id) if external_id else None
            if modal is not None:
                return await self._queries.drawing(modal.request_number)
            card = await self._queries.card_at(channel, ts) if channel and ts else None
            return await self._queries.drawing(card.request_number) if card is not None else None
        except StoreUnavailable:
            return None

    async def _show(self, click: Click, refusal: Refusal, drawing: Drawing | None) -> bool:
        view = render_refused(refusal, drawing)
        try:
            if click.surface == "modal" and click.view_id is not None:
                await self._client.update_view(click.view_id, view)
            else:
                await self._client.open_view(click.trigger_id, view)
        except SlackTrouble as trouble:
            log.info("refusal_modal_failed", code=trouble.code)
            return False
        return True
