"""The form in which an approval is given what its rule asks for: a reason, a passcode, or only the word once more.

Pure. The form shows the call as its card does; of a call too long for that it says how it was reviewed. What was typed
is judged in ``bot.decisions``; the passcode stays out of everything that is drawn, logged or stored.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.drawings import Drawing
from bot.errors import MoreIsAsked, NotEnrolled, PasscodeLocked, Refusal, SeedUnreadable, WrongPasscode
from handlers.slack.blocks import Block, View, context, line, modal, plain, section
from handlers.slack.call_parts import card_call, facts, fits_card, names_in_full, wanted, warning
from handlers.slack.comparison import call_outline, compared
from handlers.slack.payloads import Values
from handlers.slack.quorum import still_needed
from handlers.slack.text import without_hidden
from store.tables import StepUp

APPROVE_SUBMITTED = "approve_submitted"
REASON_BLOCK = REASON_INPUT = "approve_reason"
PASSCODE_BLOCK = PASSCODE_INPUT = "passcode"
MAX_REASON = 1000

_PASSCODE = re.compile(r"[0-9]{6}", re.ASCII)
_MISSING: Mapping[str, str] = {"reason_missing": REASON_BLOCK, "step_up_missing": PASSCODE_BLOCK}
_PASSCODES = (WrongPasscode, PasscodeLocked, NotEnrolled, SeedUnreadable)


@dataclass(frozen=True, slots=True)
class Given:
    """What was typed. The passcode is a secret, though a short-lived one."""

    reason: str | None
    passcode: str | None = field(repr=False)


def render_approve(drawing: Drawing, modal_id: str) -> View:
    """Ask for what the rule wants of an approval."""
    number = drawing.request.number
    return modal(
        f"Approve #{number}" if number < 10**14 else "Approve",
        [
            line(wanted(drawing.request), "head"),
            *names_in_full(drawing.request),
            *whole_call(drawing),
            *warning(drawing.request),
            context(facts(drawing), "facts"),
            *still_needed(drawing),
            *_inputs(drawing),
        ],
        external_id=modal_id,
        callback_id=APPROVE_SUBMITTED,
        private_metadata=json.dumps({"number": number}),
        submit="Approve",
        close="Cancel",
    )


def read_approve(values: Values) -> Given:
    """Read what was typed into the form; what is empty, or has nothing in it to be seen, is None.

    A passcode may be typed in two groups of three.
    """
    reason = (values.get(REASON_BLOCK, {}).get(REASON_INPUT) or "").strip()
    if not without_hidden(reason).strip():
        reason = ""
    passcode = re.sub(r"[\s-]", "", values.get(PASSCODE_BLOCK, {}).get(PASSCODE_INPUT) or "")
    return Given(reason or None, passcode or None)


def faults_in(given: Given) -> dict[str, str]:
    """Say at which field something is no good before it is tried: what is no passcode is not counted as a wrong one."""
    if given.passcode is not None and not _PASSCODE.fullmatch(given.passcode):
        return {PASSCODE_BLOCK: "A passcode has six digits. Nothing was decided."}
    return {}


def faults_of(refusal: Refusal) -> dict[str, str] | None:
    """Say at which field a refusal is to be told, with all that was typed; None: it is told in place of the form."""
    if isinstance(refusal, _PASSCODES):
        return {PASSCODE_BLOCK: refusal.message}
    block = _MISSING.get(refusal.code) if isinstance(refusal, MoreIsAsked) else None
    return {block: refusal.message} if block else None


def whole_call(drawing: Drawing) -> list[Block]:
    """The call as its card shows it; of one too long for that, how it was seen."""
    if fits_card(drawing.request, call_outline(drawing)):
        return [*card_call(drawing), *compared(drawing)]
    return [section("You have seen the whole call, page by page, in the review.", "reviewed")]


def _inputs(drawing: Drawing) -> list[Block]:
    rule = drawing.rule
    asked: list[Block] = []
    if rule is not None and rule.reason is not None:
        asked.append(reason_input(is_required=rule.reason == "required"))
    if rule is not None and rule.step_up is StepUp.TOTP:
        asked.append(passcode_input())
    return asked or [section("Press *Approve* to vote for it.", "sure")]


def reason_input(
    *,
    is_required: bool,
    typed: str | None = None,
    label: str = "Why is this right?",
    hint: str = "It is kept on record; the agent gets the reason of the vote that decides.",
) -> Block:
    """The field for a reason. ``typed``: what stands in it at first."""
    element = {"type": "plain_text_input", "action_id": REASON_INPUT, "multiline": True, "max_length": MAX_REASON}
    return {
        "type": "input",
        "block_id": REASON_BLOCK,
        "optional": not is_required,
        "label": plain(label),
        "hint": plain(hint),
        "element": element | ({"initial_value": typed} if typed else {}),
    }


def passcode_input() -> Block:
    """The field for a passcode. It is never drawn with one in it."""
    return {
        "type": "input",
        "block_id": PASSCODE_BLOCK,
        "label": plain("Passcode"),
        "hint": plain(
            "The six digits that your authenticator app shows now; each works once. No app yet? Ask an "
            "operator to run “signoff enroll” for you, then type “/signoff enroll”."
        ),
        "element": {
            "type": "plain_text_input",
            "action_id": PASSCODE_INPUT,
            "placeholder": plain("123456"),
            "max_length": 11,
        },
    }
