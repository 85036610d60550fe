"""Approving with changes, and reopening: what is pressed and submitted for it.

What these mean is ``bot.standing``'s and ``bot.memory``'s, which judge; here it is only found out what was pressed, by
whom, how that person had seen the call, and what they put into the form (``handlers.slack.changes``). What is done is
committed before these return.
"""

import structlog

from bot.drawings import Drawing
from bot.errors import BadInput, ChangeRefused, MoreIsAsked, NothingChanged, NotSeenWhole, Refusal
from bot.hearings import Act
from bot.memory import Memory
from bot.standing import Standing
from handlers.slack.approve_form import faults_of
from handlers.slack.blocks import View
from handlers.slack.call_parts import fits_card
from handlers.slack.changes import (
    Asks,
    BadFields,
    asked_in,
    block_named_in,
    form_fields,
    parse_changes,
    render_changed,
    render_changes,
)
from handlers.slack.changes_fields import changed_arguments
from handlers.slack.desk import Desk, channel_of
from handlers.slack.pages import review_page
from handlers.slack.payloads import Body, Click, Submission
from store.tables import FullView, ModalKind

log = structlog.get_logger(__name__)


class Changing:
    """The acts that change what an agent may do next, and decide nothing but the request at hand."""

    def __init__(self, desk: Desk, standing: Standing, memory: Memory) -> None:
        self._desk = desk
        self._standing = standing
        self._memory = memory

    # --- approve with changes ---

    async def ask_what(self, click: Click) -> None:
        """Open the form with the call's arguments, for somebody who could decide and has seen the call whole."""
        number, channel, seen = await self._whole_call(click)
        desk = self._desk

        async def build(modal_id: str) -> View:
            await desk.decisions.check(number, click.user_id, channel)
            drawing = await desk.recognition.drawing(number)
            view = render_changes(drawing, modal_id, Asks.of(drawing.rule))
            await desk.queries.remember_modal(modal_id, ModalKind.CHANGES, number, click.user_id, channel, seen)
            return view

        await desk.open(click, f"Change #{number}", build)

    async def _whole_call(self, click: Click) -> tuple[int, str | None, FullView]:
        """Return which call is meant, the channel of its card, and how it was seen. Raises ``NotSeenWhole``."""
        desk = self._desk
        if click.surface == "modal":
            modal, metadata = await desk.recognition.modal(
                click.view_external_id, click.user_id, ModalKind.REVIEW, click.private_metadata
            )
            shown = review_page(await desk.recognition.drawing(modal.request_number), metadata.page)
            if shown.index != metadata.page or not shown.is_last or modal.pages_seen <= shown.index:
                raise NotSeenWhole
            return modal.request_number, modal.channel, FullView.PAGES
        card = await desk.recognition.card(click)
        if not fits_card((await desk.recognition.drawing(card.request_number)).request):
            raise NotSeenWhole(
                "The card does not show the whole call. Open Review first; its last page has this button too."
            )
        return card.request_number, channel_of(card), FullView.CARD

    async def approve_changed(self, submission: Submission) -> Body:
        """Take the submitted form; what cannot be taken is told in it, and nothing that was put in is lost."""
        desk = self._desk
        modal, _ = await desk.recognition.modal(
            submission.external_id, submission.user_id, ModalKind.CHANGES, submission.private_metadata
        )
        drawing = await desk.recognition.drawing(modal.request_number)
        try:
            changes = parse_changes(form_fields(drawing), submission.values)
        except BadFields as bad:
            return {"response_action": "errors", "errors": bad.faults}
        # The stored call, not the drawn one: what nobody may see stays as it is.
        stored = (await desk.decisions.ballot(modal.request_number)).request
        act = Act(
            submission.act_id, submission.user_id, submission.team_id, "modal", modal.channel, FullView.FORM
        )  # fmt: skip
        try:
            granted = await self._standing.approve_with_changes(
                modal.request_number, act, changed_arguments(stored.arguments, changes.edits),
                seen=modal.full_view, reason=changes.given.reason, passcode=changes.given.passcode,
            )  # fmt: skip
        except Refusal as refusal:
            log.info("submission_refused", user=submission.user_id, code=refusal.code)
            return self._ask_again(drawing, submission, refusal)
        log.info("approved_with_changes", request=modal.request_number, user=submission.user_id)
        desk.refresh_home(submission.user_id)
        denied = await desk.recognition.drawing(modal.request_number)
        return {"response_action": "update", "view": render_changed(denied, granted)}

    @staticmethod
    def _ask_again(drawing: Drawing, submission: Submission, refusal: Refusal) -> Body:
        """Tell in the form why it was not taken, with fields for what more is asked."""
        faults = faults_of(refusal) or {}
        if faults and all(block in submission.values for block in faults):
            return {"response_action": "errors", "errors": faults}
        if refusal.code == "arguments_misfit":
            block = block_named_in(refusal.message, form_fields(drawing))
            if block is not None:
                return {"response_action": "errors", "errors": {block: refusal.message}}
        if not isinstance(refusal, (MoreIsAsked, ChangeRefused, NothingChanged, BadInput)):
            raise refusal
        own, asked = Asks.of(drawing.rule), asked_in(submission.values)
        view = render_changes(
            drawing,
            submission.external_id,
            Asks(own.reason or asked.reason, own.passcode or asked.passcode).with_more(refusal.code),
            values=submission.values,
            told=refusal.message,
        )
        return {"response_action": "update", "view": view}

    # --- reopen ---

    async def reopen(self, click: Click) -> None:
        """Forget a denial, so that people are asked about the same call again. The cards tell it."""
        card = await self._desk.recognition.card(click)
        act = Act(click.act_id, click.user_id, click.team_id, click.surface, channel_of(card))
        await self._memory.reopen(card.request_number, act)
        log.info("reopened", request=card.request_number, user=click.user_id)
        self._desk.refresh_home(click.user_id)
