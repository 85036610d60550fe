"""What people press and submit: decisions, the modal for a reason, details, and the review in pages.

A decision is committed before this returns, and with it the acknowledgement; all else happens afterwards. Whoever may
not do what they tried is told why, always. Who may decide is not judged here, and which request is meant is
``handlers.slack.recognition``'s.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog

from bot.decisions import Act, Ballot, Decisions
from bot.errors import UnknownCard
from bot.outbox import Drawing, Outbox
from bot.queries import Queries
from handlers.slack import cards, views
from handlers.slack.afterwards import Afterwards
from handlers.slack.blocks import View
from handlers.slack.call_parts import fits_card
from handlers.slack.client import SlackClient
from handlers.slack.hometab import HomeTab
from handlers.slack.pages import review_page
from handlers.slack.payloads import BadPayload, Click, Submission
from handlers.slack.recognition import Recognition, number_in
from handlers.slack.refusals import NotForYou, Refuser, refusal_of
from handlers.slack.trouble import SlackTrouble
from store.tables import Card, FullView, ModalKind, Place, VoteKind

LOADING_AFTER = timedelta(seconds=1)  # a trigger lives three: by then a modal must stand, if only to say so

_FORWARD = (views.REVIEW_NEXT, views.DETAILS_NEXT)

log = structlog.get_logger(__name__)


Form = Callable[[Submission], Awaitable[dict[str, Any] | None]]
"""Takes one kind of submitted modal; returns what Slack is to do with it. What it raises is told in the modal's place."""


class Actions:
    """Answers clicks and submissions."""

    def __init__(
        self,
        client: SlackClient,
        decisions: Decisions,
        queries: Queries,
        outbox: Outbox,
        home: HomeTab,
        afterwards: Afterwards,
        *,
        loading_after: timedelta = LOADING_AFTER,
    ) -> None:
        self._client = client
        self._decisions = decisions
        self._queries = queries
        self._home = home
        self._afterwards = afterwards
        self._loading_after = loading_after
        self._recognition = Recognition(client, queries, outbox)
        self._refuser = Refuser(client, queries)
        # Only these decide, and are done before the acknowledgement.
        self._deciding = {
            ("card", cards.APPROVE): self._approve_on_card,
            ("modal", views.REVIEW_APPROVE): self._approve_on_review,
        }
        self._forms: dict[str, Form] = {views.DENY_SUBMITTED: self._deny}  # by callback id
        self._opening: dict[tuple[str, str], Callable[[Click], Awaitable[None]]] = {
            ("card", cards.DENY): self._ask_reason,
            ("card", cards.DETAILS): self._show_details,
            ("card", cards.REVIEW): self._show_review,
            ("home", cards.DETAILS): self._show_details,
            ("home", cards.REVIEW): self._show_review,
            ("modal", views.DETAILS_BACK): self._turn_details,
            ("modal", views.DETAILS_NEXT): self._turn_details,
            ("modal", views.REVIEW_BACK): self._turn_review,
            ("modal", views.REVIEW_NEXT): self._turn_review,
            ("modal", views.REVIEW_DENY): self._ask_reason,
        }

    async def click(self, click: Click) -> None:
        """Do what a press means. When this returns, a decision is committed, or a refusal on its way."""
        which = click.surface, click.action_id
        if which in self._deciding:
            try:
                await self._deciding[which](click)
            except Exception as error:
                self._afterwards.spawn(self._refuser.tell(click, refusal_of(error)))
        else:
            self._afterwards.spawn(self._then(click, self._opening.get(which, self._refuse_unknown)))

    def add_form(self, callback_id: str, take: Form) -> None:
        """Let another room's form join. Raises ``ValueError`` for a name that is taken."""
        if callback_id in self._forms:
            raise ValueError(f"{callback_id} is a form already")
        self._forms[callback_id] = take

    async def submit(self, submission: Submission) -> dict[str, Any] | None:
        """Take a submitted modal; returns what Slack is to do with it."""
        try:
            return await self._forms.get(submission.callback_id, self._refuse_form)(submission)
        except Exception as error:
            refusal = refusal_of(error)
            log.info("submission_refused", user=submission.user_id, code=refusal.code)
            drawing = await self._refuser.state_for(refusal, submission.user_id, submission.external_id)
            return {"response_action": "update", "view": views.render_refusal(refusal.message, drawing)}

    # --- deciding ---

    async def _approve_on_card(self, click: Click) -> None:
        card = await self._recognition.card(click)
        ballot = await self._decisions.ballot(card.request_number)
        full_view = FullView.CARD if fits_card(ballot.request) else None
        await self._approve(click, card.request_number, _channel_of(card), full_view, ballot)

    async def _approve_on_review(self, click: Click) -> None:
        modal, metadata = await self._recognition.modal(
            click.view_external_id, click.user_id, ModalKind.REVIEW, click.private_metadata
        )
        shown = review_page(await self._recognition.drawing(modal.request_number), metadata.page)
        is_last = shown.index == metadata.page and shown.is_last
        full_view = FullView.PAGES if is_last and modal.pages_seen > shown.index else None
        await self._approve(click, modal.request_number, modal.channel, full_view)
        self._afterwards.spawn(self._then(click, self._show_done))

    async def _approve(
        self, click: Click, number: int, channel: str | None, full_view: FullView | None, ballot: Ballot | None = None
    ) -> None:
        act = Act(click.act_id, click.user_id, click.team_id, click.surface, channel, full_view)
        request = await self._decisions.vote(number, act, VoteKind.APPROVE, None, ballot=ballot)
        log.info("approved", request=number, user=click.user_id, surface=click.surface, status=request.status.value)
        self._afterwards.spawn(self._home.refresh(click.user_id))

    async def _deny(self, submission: Submission) -> dict[str, Any]:
        modal, _ = await self._recognition.modal(
            submission.external_id, submission.user_id, ModalKind.DENY, submission.private_metadata
        )
        try:
            note = views.deny_note(submission.values)
        except BadPayload as error:
            raise UnknownCard("Choose a reason, please. Nothing was decided.") from error
        act = Act(submission.act_id, submission.user_id, submission.team_id, "modal", modal.channel)
        await self._decisions.vote(modal.request_number, act, VoteKind.DENY, note)
        log.info("denied", request=modal.request_number, user=submission.user_id)
        self._afterwards.spawn(self._home.refresh(submission.user_id))
        # Under it may lie the review it was opened from, whose buttons are spent.
        return {"response_action": "clear"}

    async def _ask_reason(self, click: Click) -> None:
        """Open the modal in which a denial is given its reason, for somebody who could deny."""
        channel: str | None
        if click.surface == "modal":
            modal, _ = await self._recognition.modal(
                click.view_external_id, click.user_id, ModalKind.REVIEW, click.private_metadata
            )
            number, channel = modal.request_number, modal.channel
        else:
            card = await self._recognition.card(click)
            number, channel = card.request_number, _channel_of(card)

        async def build(modal_id: str) -> View:
            await self._decisions.check(number, click.user_id, channel)
            drawing = await self._recognition.drawing(number)
            await self._queries.remember_modal(modal_id, ModalKind.DENY, number, click.user_id, channel)
            return views.render_deny(drawing, modal_id)

        await self._open(click, f"Deny #{number}", build)

    # --- looking ---

    async def _show_details(self, click: Click) -> None:
        number, channel = await self._request_of(click)

        async def build(modal_id: str) -> View:
            drawing = await self._drawing_for(click.user_id, number)
            await self._queries.remember_modal(modal_id, ModalKind.DETAILS, number, click.user_id, channel)
            return views.render_details(drawing, modal_id)

        await self._open(click, f"Request #{number}", build)

    async def _show_review(self, click: Click) -> None:
        number, channel = await self._request_of(click)

        async def build(modal_id: str) -> View:
            drawing = await self._drawing_for(click.user_id, number)
            if drawing.rule is not None:
                await self._decisions.refuse_closed_channel(drawing.rule, channel)
            await self._queries.remember_modal(modal_id, ModalKind.REVIEW, number, click.user_id, channel)
            return views.render_review(drawing, modal_id)

        await self._open(click, f"Review #{number}", build)

    async def _turn_details(self, click: Click) -> None:
        await self._turn(click, ModalKind.DETAILS, views.render_details)

    async def _turn_review(self, click: Click) -> None:
        await self._turn(click, ModalKind.REVIEW, views.render_review)

    async def _turn(self, click: Click, kind: ModalKind, render: Callable[[Drawing, str, int], View]) -> None:
        modal, metadata = await self._recognition.modal(
            click.view_external_id, click.user_id, kind, click.private_metadata
        )
        drawing = await self._drawing_for(click.user_id, modal.request_number)
        page = max(metadata.page + (1 if click.action_id in _FORWARD else -1), 0)
        if not await self._queries.see_page(modal.id, page):
            raise UnknownCard("Pages are opened one after the other. Please open it anew.")
        await self._redraw(click, render(drawing, modal.id, page))

    async def _show_done(self, click: Click) -> None:
        modal, _ = await self._recognition.modal(
            click.view_external_id, click.user_id, ModalKind.REVIEW, click.private_metadata
        )
        await self._redraw(click, views.render_done(await self._recognition.drawing(modal.request_number)))

    async def _request_of(self, click: Click) -> tuple[int, str | None]:
        """Return the request that a press on a card or the Home tab is about, and the card's channel.

        The Home tab's number is a question only: whoever asks is shown what they may see, wherever they have it from.
        """
        if click.surface == "home":
            return number_in(click.value), None
        card = await self._recognition.card(click)
        return card.request_number, _channel_of(card)

    async def _drawing_for(self, user_id: str, number: int) -> Drawing:
        seen = await self._queries.show(user_id, str(number))
        if seen is None:
            raise NotForYou
        return seen.drawing

    # --- modals ---

    async def _open(self, click: Click, title: str, build: Callable[[str], Awaitable[View]]) -> None:
        """Open the modal that ``build`` makes; if that takes its time, one that says so first."""
        modal_id = secrets.token_urlsafe(24)
        open_view = self._client.push_view if click.surface == "modal" else self._client.open_view
        work = asyncio.ensure_future(build(modal_id))
        try:
            done, _ = await asyncio.wait({work}, timeout=self._loading_after.total_seconds())
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

    async def _redraw(self, click: Click, view: View) -> None:
        if click.view_id is None:
            raise UnknownCard
        try:
            await self._client.update_view(click.view_id, view)
        except SlackTrouble as trouble:
            # The modal may have been closed meanwhile; what was decided is decided, and the card says so.
            log.warning("modal_not_redrawn", user=click.user_id, code=trouble.code)

    async def _then(self, click: Click, handle: Callable[[Click], Awaitable[None]]) -> None:
        try:
            await handle(click)
        except Exception as error:
            await self._refuser.tell(click, refusal_of(error))

    @staticmethod
    async def _refuse_unknown(click: Click) -> None:
        raise UnknownCard

    @staticmethod
    async def _refuse_form(submission: Submission) -> dict[str, Any] | None:
        raise UnknownCard


def _channel_of(card: Card) -> str | None:
    """Where a card stands that others may see; None for a DM."""
    return None if card.place is Place.DM else card.channel
