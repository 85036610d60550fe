"""Pausing and resuming on the Home tab: its buttons, and the forms that ask why.

Who may is ``bot.halts``'. As with the gathered notices, a form keeps no record of ours: it names what it is about, and
what is sent with it is judged by the rights of whoever sends it. Reasons never reach the log.
"""

import json
from datetime import timedelta

import structlog

from bot.clock import Clock
from bot.errors import FactsUnavailable, ReasonMissing, UnknownCard
from bot.halt_rights import Target
from bot.halts import Halts
from bot.hearings import Act
from handlers.slack.actions import Actions
from handlers.slack.blocks import Block, View, modal, plain, section
from handlers.slack.halt_answers import REASON_BLOCK, REASON_INPUT, reason_block, render_paused, render_resumed
from handlers.slack.halting import at_field
from handlers.slack.home_sections import PAUSE, RESUME
from handlers.slack.payloads import BadPayload, Body, Click, Submission
from handlers.slack.text import mrkdwn, without_hidden
from store.tables import HaltScope

PAUSE_SUBMITTED = "home_pause_submitted"
RESUME_SUBMITTED = "home_resume_submitted"
LENGTH_BLOCK = LENGTH_INPUT = "pause_length"
_FOR_GOOD = "until_resumed"
LENGTHS: dict[str, tuple[str, timedelta | None]] = {
    _FOR_GOOD: ("Until it is resumed", None),
    "1h": ("1 hour", timedelta(hours=1)),
    "4h": ("4 hours", timedelta(hours=4)),
    "24h": ("24 hours", timedelta(hours=24)),
}

log = structlog.get_logger(__name__)


class Switching:
    """The switches of the Home tab."""

    def __init__(self, halts: Halts, clock: Clock) -> None:
        self._halts = halts
        self._clock = clock

    def join(self, actions: Actions) -> None:
        """Take the buttons of the tab, and their forms."""
        self._desk = actions.desk
        actions.add_press("home", PAUSE, self._ask_to_pause)
        actions.add_press("home", RESUME, self._ask_to_resume)
        actions.add_form(PAUSE_SUBMITTED, self._pause)
        actions.add_form(RESUME_SUBMITTED, self._resume)

    async def _ask_to_pause(self, click: Click) -> None:
        await self._ask(click, "Pause", PAUSE_SUBMITTED)

    async def _ask_to_resume(self, click: Click) -> None:
        await self._ask(click, "Resume", RESUME_SUBMITTED)

    async def _ask(self, click: Click, title: str, callback_id: str) -> None:
        target = _target_in(click.value)

        async def build(modal_id: str) -> View:
            await self._halts.refuse_stranger(click.user_id)
            return render_switch(title, callback_id, target, modal_id)

        await self._desk.open(click, title, build)

    async def _pause(self, submission: Submission) -> Body:
        target, reason = _target_of(submission), _reason(submission)
        chosen = submission.values.get(LENGTH_BLOCK, {}).get(LENGTH_INPUT) or _FOR_GOOD
        if chosen not in LENGTHS:
            raise UnknownCard
        length = LENGTHS[chosen][1]
        until = self._clock() + length if length is not None else None
        try:
            halt = await self._halts.pause(target, _act(submission), reason, until)
        except (ReasonMissing, FactsUnavailable) as error:
            return at_field(error)
        log.info("paused", scope=target.scope.value, name=target.name, user=submission.user_id, timed=until is not None)
        return self._done(submission, render_paused(target, halt).blocks)

    async def _resume(self, submission: Submission) -> Body:
        target, reason = _target_of(submission), _reason(submission)
        try:
            resumed = await self._halts.resume(target, _act(submission), reason)
        except (ReasonMissing, FactsUnavailable) as error:
            return at_field(error)
        log.info("resumed", scope=target.scope.value, name=target.name, user=submission.user_id, left=len(resumed.left))
        return self._done(submission, render_resumed(target, resumed).blocks)

    def _done(self, submission: Submission, told: list[Block]) -> Body:
        self._desk.refresh_home(submission.user_id)
        return {"response_action": "update", "view": modal("Done", told)}


def render_switch(title: str, callback_id: str, target: Target, modal_id: str) -> View:
    """Ask why, and how long."""
    name = f"*{mrkdwn(str(target))}*"
    if callback_id == PAUSE_SUBMITTED:
        words = f"While {name} is paused, new calls are denied, nothing is approved, and no open approval is used."
    else:
        words = f"{name} goes on, as far as you may say so: what others stopped may stay stopped."
    options = [{"text": plain(label), "value": value} for value, (label, _) in LENGTHS.items()]
    length: Block = {
        "type": "input",
        "block_id": LENGTH_BLOCK,
        "label": plain("For how long?"),
        "element": {
            "type": "static_select", "action_id": LENGTH_INPUT, "options": options, "initial_option": options[0]
        },
    }  # fmt: skip
    blocks = [section(words, "what"), reason_block(), *([length] if callback_id == PAUSE_SUBMITTED else [])]
    return modal(
        title, blocks, external_id=modal_id, callback_id=callback_id,
        private_metadata=json.dumps({"scope": target.scope.value, "name": target.name}), submit=title, close="Cancel",
    )  # fmt: skip


def _act(submission: Submission) -> Act:
    return Act(submission.act_id, submission.user_id, submission.team_id, "modal")


def _reason(submission: Submission) -> str:
    """What was typed; what cannot be seen is no reason, and ``Halts`` refuses an empty one."""
    typed = submission.values.get(REASON_BLOCK, {}).get(REASON_INPUT) or ""
    return typed if without_hidden(typed).strip() else ""


def _target_in(value: str | None) -> Target:
    scope, _, name = (value or "").partition(":")
    return _target(scope, name)


def _target_of(submission: Submission) -> Target:
    try:
        carried = json.loads(submission.private_metadata)
    except (ValueError, RecursionError) as error:
        raise BadPayload("private_metadata is not what we wrote") from error
    box = carried if isinstance(carried, dict) else {}
    return _target(box.get("scope"), box.get("name"))


def _target(scope: object, name: object) -> Target:
    """Read what a button or form is about. Raises ``UnknownCard``."""
    known = next((one for one in HaltScope if one.value == scope), None)
    if known is None or not isinstance(name, str) or (known is HaltScope.ALL) != (name == ""):
        raise UnknownCard
    return Target(known, name)
