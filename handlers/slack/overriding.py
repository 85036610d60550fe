"""Overriding in Slack: revoke, report, reverse and force, from the button or menu to the submitted form.

Every way ends in ``bot.overriding``, which judges; here it is only found out what was pressed, by whom, and how that
person had seen the call. What is done is committed before a submission is answered.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from bot.drawings import Drawing
from bot.errors import ApprovalTaken, MoreIsAsked, Refusal, UnknownCard
from bot.hearings import Act
from bot.overriding import Overrides
from handlers.slack import views
from handlers.slack.approve_form import PASSCODE_BLOCK, Given, faults_of, read_approve
from handlers.slack.blocks import View
from handlers.slack.call_parts import fits_card
from handlers.slack.comparison import call_outline
from handlers.slack.desk import Desk
from handlers.slack.looking import Looking
from handlers.slack.override_form import Way, faults_of_form, render_override
from handlers.slack.pages import review_page
from handlers.slack.payloads import Body, Click, Submission
from store.tables import FullView, Modal, ModalKind, StepUp, VoteKind

log = structlog.get_logger(__name__)


class Overriding:
    """What is pressed and submitted to override."""

    def __init__(self, desk: Desk, looking: Looking, overrides: Overrides) -> None:
        self._desk = desk
        self._looking = looking
        self._overrides = overrides

    # --- opening a form ---

    def ask(self, way: Way) -> Callable[[Click], Awaitable[None]]:
        """Return what opens the form of ``way`` at a press."""
        return partial(self._ask, way=way)

    async def _ask(self, click: Click, way: Way) -> None:
        """Open the form for somebody who could do it; of a long call its review first, where that is wanted."""
        desk = self._desk
        number, channel, seen = await self._meant(click)
        drawing = await desk.recognition.drawing(number)
        if seen is None and fits_card(drawing.request, call_outline(drawing)):
            seen = FullView.FORM  # the form holds the call whole
        if way.approves and seen is None:
            await self._looking.open_review(click, number, channel)
            return

        async def build(modal_id: str) -> View:
            needed, told = way, None
            try:
                step_up = await self._check(needed, number, click.user_id, channel)
            except ApprovalTaken as taken:
                needed, told = Way.REPORT, taken.message
                step_up = await self._check(needed, number, click.user_id, channel)
            drawing = await desk.recognition.drawing(number)
            await desk.queries.remember_modal(modal_id, ModalKind.OVERRIDE, number, click.user_id, channel, seen)
            return render_override(drawing, modal_id, needed, passcode=step_up is StepUp.TOTP, told=told)

        await desk.open(click, f"Request #{number}", build)

    async def _meant(self, click: Click) -> tuple[int, str | None, FullView | None]:
        """Return which request is meant, the channel of its card, and whether a review of it was read to the end."""
        desk = self._desk
        if click.surface != "modal":
            number, channel = await desk.request_of(click, ModalKind.DETAILS)
            if click.surface == "home":  # the number is a question only: the hidden is answered as what is not there
                await desk.drawing_for(click.user_id, number)
            return number, channel, None
        opened = await desk.queries.modal(click.view_external_id, click.user_id) if click.view_external_id else None
        kind = ModalKind.REVIEW if opened is not None and opened.kind is ModalKind.REVIEW else ModalKind.DETAILS
        modal, metadata = await desk.recognition.modal(
            click.view_external_id, click.user_id, kind, click.private_metadata
        )
        seen = None
        if kind is ModalKind.REVIEW:
            shown = review_page(await desk.recognition.drawing(modal.request_number), metadata.page)
            if shown.index == metadata.page and shown.is_last and modal.pages_seen > shown.index:
                seen = FullView.PAGES
        return modal.request_number, modal.channel, seen

    async def _check(self, way: Way, number: int, user_id: str, channel: str | None) -> StepUp | None:
        """Raise what doing it would; return what it takes beside a reason."""
        overrides = self._overrides
        match way:
            case Way.REVOKE:
                await overrides.check_revoke(number, user_id, channel)
            case Way.REPORT:
                await overrides.check_report(number, user_id, channel)
            case Way.REVERSE:
                return await overrides.check_reverse(number, user_id, channel)
            case Way.FORCE_APPROVE | Way.FORCE_DENY:
                await overrides.check_force(number, user_id, channel)
        return None

    # --- taking a form ---

    async def take(self, submission: Submission) -> Body:
        """Do what was submitted. What is wrong with a field is told there, and the form stays as it is."""
        desk = self._desk
        way = _way_of(submission)
        modal, _ = await desk.recognition.modal(
            submission.external_id, submission.user_id, ModalKind.OVERRIDE, submission.private_metadata
        )
        given = read_approve(submission.values)
        if faults := faults_of_form(given):
            return {"response_action": "errors", "errors": faults}
        number = modal.request_number
        try:
            await self._do(way, modal, submission, given)
        except Refusal as refusal:
            log.info("submission_refused", user=submission.user_id, code=refusal.code)
            return await self._ask_again(way, modal, submission, given, refusal)
        log.info("overridden", request=number, user=submission.user_id, way=way.name.lower())
        desk.refresh_home(submission.user_id)
        return _update(views.render_done(await desk.recognition.drawing(number)))

    async def _do(self, way: Way, modal: Modal, submission: Submission, given: Given) -> None:
        act = Act(
            submission.act_id, submission.user_id, submission.team_id, "modal", modal.channel, modal.full_view
        )  # fmt: skip
        number, reason, overrides = modal.request_number, given.reason, self._overrides
        match way:
            case Way.REVOKE:
                await overrides.revoke(number, act, reason)
            case Way.REPORT:
                await overrides.report(number, act, reason)
            case Way.REVERSE:
                await overrides.reverse(number, act, reason, given.passcode)
            case Way.FORCE_APPROVE:
                await overrides.force(number, act, VoteKind.APPROVE, reason)
            case Way.FORCE_DENY:
                await overrides.force(number, act, VoteKind.DENY, reason)

    async def _ask_again(self, way: Way, modal: Modal, submission: Submission, given: Given, refusal: Refusal) -> Body:
        """Tell in the form why it was not taken; where the agent was faster, offer to report with the same reason."""
        if isinstance(refusal, ApprovalTaken):
            drawing = await self._drawing(modal)
            view = render_override(drawing, modal.id, Way.REPORT, told=refusal.message, typed=given.reason)
            return _update(view)
        faults = faults_of(refusal)
        if faults is None:
            raise refusal
        if PASSCODE_BLOCK in faults and PASSCODE_BLOCK not in submission.values:
            if not isinstance(refusal, MoreIsAsked):
                raise refusal
            view = render_override(
                await self._drawing(modal), modal.id, way, passcode=True, told=refusal.message, typed=given.reason
            )  # fmt: skip
            return _update(view)
        return {"response_action": "errors", "errors": faults}

    async def _drawing(self, modal: Modal) -> Drawing:
        return await self._desk.recognition.drawing(modal.request_number)


def _way_of(submission: Submission) -> Way:
    try:
        return Way(submission.callback_id)
    except ValueError as error:
        raise UnknownCard from error


def _update(view: View) -> Body:
    return {"response_action": "update", "view": view}
