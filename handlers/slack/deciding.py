"""Deciding in Slack: approve, deny and withdraw, on the card, in the review and in their forms.

Every way ends in ``bot.decisions``, which judges; here it is only found out what was pressed, by whom, and how that
person had seen the call. A vote is committed before these return.
"""

import structlog

from bot.decisions import Act, Ballot
from bot.errors import NotSeenWhole, Refusal, UnknownCard
from bot.policy import lacks
from handlers.slack import approve_form, views
from handlers.slack.blocks import View
from handlers.slack.call_parts import fits_card
from handlers.slack.desk import Desk, channel_of
from handlers.slack.pages import review_page
from handlers.slack.payloads import BadPayload, Body, Click, Submission
from handlers.slack.recognition import number_in
from store.tables import FullView, ModalKind, Request, Status, Vote, VoteKind

log = structlog.get_logger(__name__)


class Deciding:
    """What is pressed and submitted to decide."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # --- approve ---

    async def approve_on_card(self, click: Click) -> None:
        """Vote for a call that its card shows whole, or open the form if the rule asks for more than a press."""
        if await self._approve_at_once(click):
            return
        card = await self._desk.recognition.card(click)
        ballot = await self._desk.decisions.ballot(card.request_number)
        # What the rule hides changes how long the call is on its card, and is not in the ballot.
        request = (await self._desk.recognition.drawing(card.request_number)).request if ballot.rule.redact else None
        full_view = FullView.CARD if fits_card(request or ballot.request) else None
        channel = channel_of(card)
        if _asks_more(ballot, click.user_id):
            self._desk.later(click, lambda click: self._ask_more(click, card.request_number, channel, full_view))
        else:
            await self._approve(click, card.request_number, channel, full_view, ballot)

    async def _approve_at_once(self, click: Click) -> bool:
        """Take the usual press in one transaction. False: nothing was done, and it is to be looked at step by step."""
        if click.channel is None or click.ts is None:
            return False
        act = Act(click.act_id, click.user_id, click.team_id, click.surface, full_view=FullView.CARD)
        request = await self._desk.decisions.approve_at_once(
            click.channel, click.ts, number_in(click.value), act, _takes_a_press
        )
        if request is None:
            return False
        self._approved(click, request)
        return True

    async def approve_on_review(self, click: Click) -> None:
        """Vote on the last page of a review whose pages were all seen."""
        desk = self._desk
        modal, metadata = await desk.recognition.modal(
            click.view_external_id, click.user_id, ModalKind.REVIEW, click.private_metadata
        )
        shown = review_page(await desk.recognition.drawing(modal.request_number), metadata.page)
        is_last = shown.index == metadata.page and shown.is_last
        full_view = FullView.PAGES if is_last and modal.pages_seen > shown.index else None
        ballot = await desk.decisions.ballot(modal.request_number)
        if _asks_more(ballot, click.user_id):
            desk.later(click, lambda click: self._ask_more(click, modal.request_number, modal.channel, full_view))
        else:
            await self._approve(click, modal.request_number, modal.channel, full_view, ballot)
            desk.later(click, self._show_done)

    async def _approve(
        self, click: Click, number: int, channel: str | None, full_view: FullView | None, ballot: Ballot | None = None
    ) -> None:
        act = Act(click.act_id, click.user_id, click.team_id, click.surface, channel, full_view)
        request = await self._desk.decisions.vote(number, act, VoteKind.APPROVE, ballot=ballot)
        self._approved(click, request)

    def _approved(self, click: Click, request: Request) -> None:
        log.info(
            "approved",
            request=request.number, user=click.user_id, surface=click.surface, status=request.status.value,
        )  # fmt: skip
        self._desk.refresh_home(click.user_id)

    async def _ask_more(self, click: Click, number: int, channel: str | None, full_view: FullView | None) -> None:
        """Open the form of an approval, for somebody who could approve and has seen the whole call."""
        desk = self._desk

        async def build(modal_id: str) -> View:
            await desk.decisions.check(number, click.user_id, channel)
            if full_view is None:
                raise NotSeenWhole
            drawing = await desk.recognition.drawing(number)
            await desk.queries.remember_modal(modal_id, ModalKind.APPROVE, number, click.user_id, channel, full_view)
            return approve_form.render_approve(drawing, modal_id)

        await desk.open(click, f"Approve #{number}", build)

    async def approve_in_form(self, submission: Submission) -> Body:
        """Vote with what was typed. What is wrong with a field is told there, and the form stays as it is."""
        desk = self._desk
        modal, _ = await desk.recognition.modal(
            submission.external_id, submission.user_id, ModalKind.APPROVE, submission.private_metadata
        )
        given = approve_form.read_approve(submission.values)
        if faults := approve_form.faults_in(given):
            return _errors(faults)
        act = Act(submission.act_id, submission.user_id, submission.team_id, "modal", modal.channel, modal.full_view)
        try:
            request = await desk.decisions.vote(
                modal.request_number, act, VoteKind.APPROVE, given.reason, confirmed=True, passcode=given.passcode
            )
        except Refusal as refusal:
            told = approve_form.faults_of(refusal)
            if told is None:
                raise
            log.info("submission_refused", user=submission.user_id, code=refusal.code)
            return _errors(told)
        log.info("approved", request=request.number, user=submission.user_id, surface="modal", status=request.status)
        desk.refresh_home(submission.user_id)
        return {"response_action": "clear"}

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

    # --- withdraw ---

    async def withdraw(self, click: Click) -> None:
        """Take the presser's own vote back."""
        desk = self._desk
        number, channel = await desk.request_of(click, ModalKind.DETAILS)
        if click.surface == "home":  # the number is a question only: what is hidden is answered as what is not there
            await desk.drawing_for(click.user_id, number)
        act = Act(click.act_id, click.user_id, click.team_id, click.surface, channel)
        await desk.decisions.withdraw(number, act)
        log.info("withdrawn", request=number, user=click.user_id, surface=click.surface)
        desk.refresh_home(click.user_id)
        if click.surface == "modal":
            desk.later(click, self._show_withdrawn)

    async def _show_withdrawn(self, click: Click) -> None:
        desk = self._desk
        modal, _ = await desk.recognition.modal(
            click.view_external_id, click.user_id, ModalKind.DETAILS, click.private_metadata
        )
        drawing = await desk.recognition.drawing(modal.request_number)
        await desk.redraw(click, views.render_details(drawing, modal.id))


def _takes_a_press(ballot: Ballot) -> bool:
    """Whether an approval takes no more than a press on the card, which shows the whole call and hides nothing."""
    return not ballot.rule.redact and not ballot.rule.asks_on_approve and fits_card(ballot.request)


def _asks_more(ballot: Ballot, user_id: str) -> bool:
    """Whether this person's approval takes a form. One that was given already is not asked for again."""
    if not ballot.rule.asks_on_approve or ballot.request.status is not Status.PENDING:
        return False
    return not any(_stands(vote, ballot, user_id) for vote in ballot.votes)


def _stands(vote: Vote, ballot: Ballot, user_id: str) -> bool:
    if vote.user_id != user_id or vote.is_forced:
        return False
    return vote.kind is VoteKind.APPROVE and lacks(vote, ballot.rule) is None


def _errors(faults: dict[str, str]) -> Body:
    return {"response_action": "errors", "errors": faults}
