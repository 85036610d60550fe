"""Deciding in Slack: approve and deny, on the card, in the review and in their forms.

Every way ends in ``bot.decisions``, which judges; here it is only found out what was pressed, by whom, and how that
person had seen the call. A vote is committed before these return.
"""

import structlog

from bot.decisions import Act, Ballot
from bot.errors import UnknownCard
from handlers.slack import views
from handlers.slack.blocks import View
from handlers.slack.call_parts import fits_card
from handlers.slack.desk import Desk, channel_of
from handlers.slack.pages import review_page
from handlers.slack.payloads import BadPayload, Body, Click, Submission
from store.tables import FullView, ModalKind, VoteKind

log = structlog.get_logger(__name__)


class Deciding:
    """What is pressed and submitted to decide."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # --- approve ---

    async def approve_on_card(self, click: Click) -> None:
        """Vote for a call that its card shows whole."""
        card = await self._desk.recognition.card(click)
        ballot = await self._desk.decisions.ballot(card.request_number)
        full_view = FullView.CARD if fits_card(ballot.request) else None
        await self._approve(click, card.request_number, channel_of(card), full_view, ballot)

    async def approve_on_review(self, click: Click) -> None:
        """Vote on the last page of a review whose pages were all seen."""
        desk = self._desk
        modal, metadata = await desk.recognition.modal(
            click.view_external_id, click.user_id, ModalKind.REVIEW, click.private_metadata
        )
        shown = review_page(await desk.recognition.drawing(modal.request_number), metadata.page)
        is_last = shown.index == metadata.page and shown.is_last
        full_view = FullView.PAGES if is_last and modal.pages_seen > shown.index else None
        await self._approve(click, modal.request_number, modal.channel, full_view)
        desk.later(click, self._show_done)

    async def _approve(
        self, click: Click, number: int, channel: str | None, full_view: FullView | None, ballot: Ballot | None = None
    ) -> None:
        act = Act(click.act_id, click.user_id, click.team_id, click.surface, channel, full_view)
        request = await self._desk.decisions.vote(number, act, VoteKind.APPROVE, ballot=ballot)
        log.info("approved", request=number, user=click.user_id, surface=click.surface, status=request.status.value)
        self._desk.refresh_home(click.user_id)

    async def _show_done(self, click: Click) -> None:
        desk = self._desk
        number, _ = await desk.request_of(click, ModalKind.REVIEW)
        await desk.redraw(click, views.render_done(await desk.recognition.drawing(number)))

    # --- deny ---

    async def ask_why_not(self, click: Click) -> None:
        """Open the form in which a denial is given its reason, for somebody who could deny."""
        desk = self._desk
        number, channel = await desk.request_of(click, ModalKind.REVIEW)

        async def build(modal_id: str) -> View:
            await desk.decisions.check(number, click.user_id, channel)
            drawing = await desk.recognition.drawing(number)
            await desk.queries.remember_modal(modal_id, ModalKind.DENY, number, click.user_id, channel)
            return views.render_deny(drawing, modal_id)

        await desk.open(click, f"Deny #{number}", build)

    async def deny(self, submission: Submission) -> Body:
        """Take the submitted reason and vote against."""
        desk = self._desk
        modal, _ = await desk.recognition.modal(
            submission.external_id, submission.user_id, ModalKind.DENY, submission.private_metadata
        )
        try:
            note = views.deny_note(submission.values)
        except BadPayload as error:
            raise UnknownCard("Choose a reason, please. Nothing was decided.") from error
        act = Act(submission.act_id, submission.user_id, submission.team_id, "modal", modal.channel)
        await desk.decisions.vote(modal.request_number, act, VoteKind.DENY, note)
        log.info("denied", request=modal.request_number, user=submission.user_id)
        desk.refresh_home(submission.user_id)
        # Under it may lie the review it was opened from, whose buttons are spent.
        return {"response_action": "clear"}
