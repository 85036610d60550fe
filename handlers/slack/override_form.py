"""The forms in which somebody says why they revoke, report, reverse or force. Pure.

Each shows the call as the card does, says what it leads to, and asks for a reason; a passcode where the rule asks for
one. What was typed is judged in ``bot.overriding``; the passcode stays out of all that is drawn, logged or stored.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

from bot.drawings import Drawing
from bot.forcing import admins_needed
from handlers.slack.approve_form import (
    REASON_BLOCK,
    Given,
    faults_in,
    passcode_input,
    reason_input,
    whole_call,
)
from handlers.slack.blocks import TITLE_CHARACTERS, Block, View, context, line, modal, said, section
from handlers.slack.call_parts import facts, fits_card, names_in_full, warning
from handlers.slack.cards import headline
from handlers.slack.comparison import call_outline
from handlers.slack.corrections import forced_so_far
from handlers.slack.pauses import paused
from handlers.slack.quorum import needs
from handlers.slack.states import render_state
from handlers.slack.text import visible


class Way(StrEnum):
    """A way to override. Its value is the ``callback_id`` of its form."""

    REVOKE = "override_revoke"
    REPORT = "override_report"
    REVERSE = "override_reverse"
    FORCE_APPROVE = "override_force_approve"
    FORCE_DENY = "override_force_deny"

    @property
    def approves(self) -> bool:
        """Whether it leaves a vote for the call, which takes a view of the whole of it."""
        return self in (Way.REVERSE, Way.FORCE_APPROVE)


@dataclass(frozen=True, slots=True)
class _Words:
    submit: str
    does: str
    asks: str
    hint: str = "It is kept on record and shown on the card."


_WORDS = {
    Way.REVOKE: _Words(
        "Revoke",
        "Once you revoke it, the agent cannot use this approval. Nobody can undo that.",
        "Why must this not happen?",
    ),
    Way.REPORT: _Words(
        "Report",
        "The agent has taken the approval: *this stops nothing.* The owners of the agent are told, and it stays on "
        "record.",
        "What is wrong with it?",
    ),
    Way.REVERSE: _Words(
        "Reverse",
        "Your approval waits for exactly this call, until the agent sends it again. It is one vote, under the rule of "
        "that time.",
        "Why is it right after all?",
    ),
    Way.FORCE_APPROVE: _Words(
        "Force approve",
        "You approve this as an admin, past its reviewers. They are told.",
        "Why can this not wait for its reviewers?",
        "It is kept on record and shown on the card; the agent gets it, too.",
    ),
    Way.FORCE_DENY: _Words(
        "Force deny",
        "You deny this as an admin, past its reviewers. They are told.",
        "Why can this not wait for its reviewers?",
        "It is kept on record and shown on the card; the agent gets it, too.",
    ),
}


def render_override(
    drawing: Drawing,
    modal_id: str,
    way: Way,
    *,
    passcode: bool = False,
    told: str | None = None,
    typed: str | None = None,
) -> View:
    """Ask why. ``told`` says what happened meanwhile, ``typed`` is the reason as it was put in before."""
    words, request = _WORDS[way], drawing.request
    title = f"{words.submit} #{request.number}"
    blocks: list[Block] = [
        *([line([said(visible(told), bold=True)], "told")] if told else []),
        line(headline(drawing), "head"),
        *names_in_full(request),
        *_call(drawing, way),
        *warning(request),
        context(facts(drawing), "facts"),
        *(render_state(drawing) or paused(drawing)),
        *forced_so_far(drawing),
        section(" ".join([words.does, *_needed(drawing, way)]), "does"),
        reason_input(is_required=True, typed=typed, label=words.asks, hint=words.hint),
        *([passcode_input()] if passcode else []),
    ]
    return modal(
        title if len(title) <= TITLE_CHARACTERS else words.submit,
        blocks,
        external_id=modal_id,
        callback_id=way.value,
        private_metadata=json.dumps({"number": request.number}),
        submit=words.submit,
        close="Cancel",
    )


def _call(drawing: Drawing, way: Way) -> list[Block]:
    if way.approves or fits_card(drawing.request, call_outline(drawing)):
        return whole_call(drawing)
    return [context(["The call is too long to be shown here: see Details."], "long")]


def _needed(drawing: Drawing, way: Way) -> list[str]:
    rule = drawing.rule
    if rule is None:
        return []
    if way is Way.FORCE_APPROVE and admins_needed(rule) > 1:
        return [f"It takes *{admins_needed(rule)} different admins*."]
    return [f"It needs {needs(rule)}."] if way is Way.REVERSE and rule.people_needed > 1 else []


def faults_of_form(given: Given) -> dict[str, str]:
    """Say at which field something is no good before it is tried."""
    if given.reason is None:
        return {REASON_BLOCK: "Say why, please. Nothing was changed."}
    return faults_in(given)
