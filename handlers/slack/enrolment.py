"""Setting up a device for passcodes in Slack: the command, the form for the code, the key, and its first passcode.

No record of these forms is kept: the operator's code proves the first step, and the first passcode of the very seed
that was offered to this person the second. The key is shown in one modal only, which the last step replaces; it is in
no message, and the log has neither it nor codes nor passcodes.
"""

import asyncio
import json
import secrets
from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.errors import FactsUnavailable, WrongCode, WrongPasscode
from bot.passcodes import DIGITS, Offer, Passcodes, PasscodeStatus, refuse_unless_member
from bot.people import Directory, Facts
from handlers.slack.actions import Actions
from handlers.slack.blocks import Block, Message, View, context, frame, modal, plain, section
from handlers.slack.client import SlackClient
from handlers.slack.commands import Subcommand
from handlers.slack.payloads import Body, Command, Submission, Values
from handlers.slack.refusals import refusal_of
from handlers.slack.text import plain_date
from handlers.slack.trouble import SlackTrouble
from store.unit import StoreUnavailable

CODE_SUBMITTED = "enrolment_code_submitted"
PASSCODE_SUBMITTED = "enrolment_passcode_submitted"
CODE_BLOCK, CODE_INPUT = "code", "code"
PASSCODE_BLOCK, PASSCODE_INPUT = "passcode", "passcode"

LOOKED_UP_WITHIN = timedelta(seconds=1.5)  # Slack waits three, and a code must not be used up for an answer too late
_TITLE = "Passcodes"
_LONGEST_TYPED = 40
_GROUP = 4
_PASSING = (FactsUnavailable, StoreUnavailable)  # what the same form may be sent again after

log = structlog.get_logger(__name__)


class Enrolment:
    """The subcommand ``enroll`` and its two forms. Joins the commands and the actions by ``join``."""

    def __init__(self, client: SlackClient, passcodes: Passcodes, directory: Directory, clock: Clock) -> None:
        self._client = client
        self._passcodes = passcodes
        self._directory = directory
        self._clock = clock

    def subcommand(self) -> Subcommand:
        return Subcommand(
            "enroll", "enroll", "set up your device for passcodes, with a code from an operator", self._ask
        )

    def join(self, actions: Actions) -> None:
        """Take the forms that are submitted."""
        actions.add_form(CODE_SUBMITTED, self._take_code)
        actions.add_form(PASSCODE_SUBMITTED, self._take_passcode)

    async def _ask(self, command: Command, rest: str) -> Message | None:
        """Open the form for the code, for a member of the workspace."""
        refuse_unless_member(command.user_id, await self._facts(command.user_id), self._clock())
        status = await self._passcodes.status(command.user_id)
        try:
            await self._client.open_view(command.trigger_id, render_code_form(status))
        except SlackTrouble as trouble:
            raise refusal_of(trouble) from trouble
        return None

    async def _take_code(self, submission: Submission) -> Body | None:
        user = submission.user_id
        try:
            offer = await self._passcodes.offer(
                user, _typed(submission.values, CODE_BLOCK, CODE_INPUT), await self._facts(user)
            )
        except (WrongCode, *_PASSING) as error:
            return _try_again(user, CODE_BLOCK, error)
        log.info("enrolment_offered", user=user)
        return {"response_action": "update", "view": render_key(offer)}

    async def _take_passcode(self, submission: Submission) -> Body | None:
        user = submission.user_id
        try:
            passcode = _typed(submission.values, PASSCODE_BLOCK, PASSCODE_INPUT)
            await self._passcodes.confirm(user, passcode, await self._facts(user))
        except (WrongPasscode, *_PASSING) as error:
            return _try_again(user, PASSCODE_BLOCK, error)
        log.info("enrolled", user=user)
        return {"response_action": "update", "view": render_enrolled(self._clock())}

    async def _facts(self, user: str) -> Facts:
        try:
            async with asyncio.timeout(LOOKED_UP_WITHIN.total_seconds()):
                return await self._directory.load_facts({user}, ())
        except (TimeoutError, FactsUnavailable) as error:
            raise FactsUnavailable("Slack could not be asked who you are. Nothing changed; try again.") from error


# --- views ---


def render_code_form(status: PasscodeStatus) -> View:
    """Ask for the operator's code."""
    blocks: list[Block] = [
        section("Some approvals take a passcode from a device of yours, besides a click.", "why"),
        {
            "type": "input",
            "block_id": CODE_BLOCK,
            "label": plain("Code"),
            "hint": plain("Whoever runs Signoff gives it to you, not through Slack. It is good for 15 minutes, once."),
            "element": {
                "type": "plain_text_input",
                "action_id": CODE_INPUT,
                "placeholder": plain("ABCD-2345"),
                "max_length": _LONGEST_TYPED,
            },
        },
    ]
    if status.is_enrolled:
        blocks.insert(1, context(["The device you have goes on working until the new one is confirmed."], "present"))
    return _form(blocks, CODE_SUBMITTED, "Go on")


def render_key(offer: Offer) -> View:
    """Show the key, and ask for its first passcode."""
    key = " ".join(offer.seed[at : at + _GROUP] for at in range(0, len(offer.seed), _GROUP))
    blocks: list[Block] = [
        section("Put this key into your authenticator app. It is shown this once.", "what"),
        frame(key, "key"),
        context(["Or, where an app takes an address:"], "or"),
        frame(offer.uri, "address"),
        {
            "type": "input",
            "block_id": PASSCODE_BLOCK,
            "label": plain("First passcode"),
            "hint": plain(f"The {DIGITS} digits that the app shows now, before {plain_date(offer.expires_at)}."),
            "element": {"type": "plain_text_input", "action_id": PASSCODE_INPUT, "max_length": _LONGEST_TYPED},
        },
    ]
    return _form(blocks, PASSCODE_SUBMITTED, "Confirm")


def render_enrolled(at: datetime) -> View:
    """Say that it is done. Takes the place of the key."""
    done = f"Done, {plain_date(at)}. From now on this device's passcodes count; one from before no longer does."
    return modal(_TITLE, [section(done, "done")])


def _form(blocks: list[Block], callback_id: str, submit: str) -> View:
    # Slack sends both back, and ``parse_submission`` wants them said.
    named = {"external_id": secrets.token_urlsafe(24), "private_metadata": json.dumps({})}
    return modal(_TITLE, blocks, callback_id=callback_id, submit=submit, close="Cancel", **named)


def _typed(values: Values, block: str, field: str) -> str:
    return values.get(block, {}).get(field) or ""


def _try_again(user: str, block: str, error: Exception) -> Body:
    """Say at the field what is wrong. The form stays: with it the key would be gone."""
    refusal = refusal_of(error)
    log.info("enrolment_refused", user=user, code=refusal.code)
    return {"response_action": "errors", "errors": {block: refusal.message}}
