"""What people press and submit, and which room takes it: three tables, one entry for each act.

A decision is committed before this returns, and with it the acknowledgement; all else happens afterwards. Whoever may
not do what they tried is told why, always. Who may decide is not judged here, and which request is meant is
``handlers.slack.recognition``'s.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from bot.decisions import Decisions
from bot.errors import UnknownCard
from bot.escalations import Escalations
from bot.memory import Memory
from bot.outbox import Outbox
from bot.overriding import Overrides
from bot.queries import Queries
from bot.queues import Queues
from bot.standing import Standing
from handlers.slack import approve_form, cards, changes, queue_card, remembered, views
from handlers.slack import override_buttons as buttons
from handlers.slack.afterwards import Afterwards
from handlers.slack.changing import Changing
from handlers.slack.claiming import Claiming
from handlers.slack.client import SlackClient
from handlers.slack.deciding import Deciding
from handlers.slack.desk import Desk
from handlers.slack.hometab import HomeTab
from handlers.slack.looking import Looking
from handlers.slack.override_form import Way
from handlers.slack.overriding import Overriding
from handlers.slack.payloads import Body, Click, Submission, Surface
from handlers.slack.queueing import Queueing
from handlers.slack.refusals import refusal_of, render_refused

OnClick = Callable[[Click], Awaitable[None]]
OnSubmission = Callable[[Submission], Awaitable[Body | None]]

log = structlog.get_logger(__name__)


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
        standing: Standing,
        memory: Memory,
        queues: Queues,
        escalations: Escalations,
        overrides: Overrides,
    ) -> None:
        self.desk = desk = Desk(client, decisions, queries, outbox, home, afterwards)
        deciding, looking, changing = Deciding(desk), Looking(desk), Changing(desk, standing, memory)
        queueing = Queueing(desk, looking, queues, client)
        claiming = Claiming(desk, escalations)
        overriding = Overriding(desk, looking, overrides)
        # Only these decide or take back at a press, and are done before the acknowledgement.
        self._at_once: dict[tuple[Surface, str], OnClick] = {
            ("card", cards.APPROVE): deciding.approve_on_card,
            ("modal", views.REVIEW_APPROVE): deciding.approve_on_review,
            ("card", cards.WITHDRAW): deciding.withdraw,
            ("home", cards.WITHDRAW): deciding.withdraw,
            ("modal", cards.WITHDRAW): deciding.withdraw,
            ("card", remembered.REOPEN): changing.reopen,
            ("card", cards.CLAIM): claiming.claim,
            ("home", cards.CLAIM): claiming.claim,
        }
        # These open or turn something, after the acknowledgement.
        self._later: dict[tuple[Surface, str], OnClick] = {
            ("card", cards.DENY): deciding.ask_why_not,
            ("modal", views.REVIEW_DENY): deciding.ask_why_not,
            ("card", cards.CHANGE): changing.ask_what,
            ("modal", views.REVIEW_CHANGE): changing.ask_what,
            ("card", cards.DETAILS): looking.show_details,
            ("home", cards.DETAILS): looking.show_details,
            ("modal", views.DETAILS_BACK): looking.turn_details,
            ("modal", views.DETAILS_NEXT): looking.turn_details,
            ("card", cards.REVIEW): looking.show_review,
            ("home", cards.REVIEW): looking.show_review,
            ("modal", views.REVIEW_BACK): looking.turn_review,
            ("modal", views.REVIEW_NEXT): looking.turn_review,
            ("card", queue_card.REVIEW): queueing.review,
            ("modal", queue_card.REVIEW): queueing.review,
            ("card", queue_card.LIST): queueing.list_all,
            ("modal", queue_card.BACK): queueing.turn,
            ("modal", queue_card.NEXT): queueing.turn,
            ("modal", queue_card.AGAIN): queueing.turn,
        }
        everywhere: tuple[Surface, ...] = ("card", "modal", "home")
        for surface in everywhere:
            self._later |= {
                (surface, buttons.REVOKE): overriding.ask(Way.REVOKE),
                (surface, buttons.REPORT): overriding.ask(Way.REPORT),
                (surface, buttons.REVERSE): overriding.ask(Way.REVERSE),
                (surface, buttons.MORE): self._choose,
            }
        # What the menu on cards and in modals offers, each a press on the same request.
        self._choices: dict[str, OnClick] = {
            buttons.WHY: looking.show_details,
            buttons.FORCE_APPROVE: overriding.ask(Way.FORCE_APPROVE),
            buttons.FORCE_DENY: overriding.ask(Way.FORCE_DENY),
        }
        # Forms by their callback_id. What they return is what Slack is to do with the form; what they raise is told
        # in its place. They are done before the acknowledgement.
        self._submitted: dict[str, OnSubmission] = {
            views.DENY_SUBMITTED: deciding.deny,
            approve_form.APPROVE_SUBMITTED: deciding.approve_in_form,
            changes.CHANGES_SUBMITTED: changing.approve_changed,
            **{way.value: overriding.take for way in Way},
        }

    async def click(self, click: Click) -> None:
        """Do what a press means. When this returns, a decision is committed, or a refusal on its way."""
        which = click.surface, click.action_id
        if which not in self._at_once:
            self.desk.later(click, self._later.get(which, _refuse_unknown))
            return
        try:
            await self._at_once[which](click)
        except Exception as error:
            self.desk.tell(click, error)

    def add_press(self, surface: Surface, action_id: str, handle: OnClick, *, at_once: bool = False) -> None:
        """Let a button join whose room is made elsewhere, to open something after the acknowledgement.

        ``at_once``: one that does something, before the acknowledgement. Raises ``ValueError`` for one that is taken.
        """
        if (surface, action_id) in self._later or (surface, action_id) in self._at_once:
            raise ValueError(f"{action_id} is a button already")
        (self._at_once if at_once else self._later)[surface, action_id] = handle

    def add_form(self, callback_id: str, take: OnSubmission) -> None:
        """Let a form join whose room is made elsewhere. Raises ``ValueError`` for a name that is taken."""
        if callback_id in self._submitted:
            raise ValueError(f"{callback_id} is a form already")
        self._submitted[callback_id] = take

    def set_choice(self, choice: str, handle: OnClick) -> None:
        """Say what a choice of the menu does, in place of what it did. The press comes with the request's number."""
        self._choices[choice] = handle

    async def _choose(self, click: Click) -> None:
        choice, number = buttons.choice_in(click.value)
        await self._choices.get(choice, _refuse_unknown)(replace(click, value=number))

    async def submit(self, submission: Submission) -> Body | None:
        """Take a submitted form; returns what Slack is to do with it."""
        try:
            return await self._submitted.get(submission.callback_id, _refuse_unknown_form)(submission)
        except Exception as error:
            refusal = refusal_of(error)
            log.info("submission_refused", user=submission.user_id, code=refusal.code)
            drawing = await self.desk.refuser.state_for(refusal, submission.user_id, submission.external_id)
            return {"response_action": "update", "view": render_refused(refusal, drawing)}


async def _refuse_unknown(click: Click) -> None:
    raise UnknownCard


async def _refuse_unknown_form(submission: Submission) -> Body | None:
    raise UnknownCard
