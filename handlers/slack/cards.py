"""The card of a request: from the stored state to blocks and notification text.

Pure. The card is drawn from the submitted call; what the agent says about it comes after, in a frame and labelled.
A call that does not fit has no Approve here. Blocks keep their order and ids from one drawing to the next, so that no
button moves under a thumb; what a decided card loses is its first row of buttons, and the decision stands there.
"""

from datetime import datetime
from typing import Any

from bot.drawings import Drawing
from bot.lifecycle import State, state_of
from handlers.slack.blocks import Block, Message, Part, actions, button, context, line, said, section
from handlers.slack.call_parts import (
    asked,
    card_call,
    claim,
    decider_groups,
    facts,
    fits_card,
    hidden_copies,
    pinged,
    tool_and_server,
    wanted,
    warning,
)
from handlers.slack.comparison import call_outline, compared
from handlers.slack.corrections import forced_so_far
from handlers.slack.override_buttons import correct_button, more_menu
from handlers.slack.pauses import SIGN, paused
from handlers.slack.quorum import is_pending_vote, needs, votes_so_far
from handlers.slack.remembered import cast_ahead, memory, near_repeat
from handlers.slack.states import is_over, render_state, state_sign, state_word
from handlers.slack.steps import coming
from handlers.slack.text import mrkdwn, name_in_mrkdwn, plain_date, visible
from handlers.slack.witness import render_witness
from store.tables import Request, Status

__all__ = [
    "APPROVE",
    "CARD_EVENT",
    "CLAIM",
    "DENY",
    "DETAILS",
    "REVIEW",
    "WITHDRAW",
    "Message",
    "card_metadata",
    "render_card",
]

APPROVE = "approve"
CHANGE = "change"
DENY = "deny"
DETAILS = "details"
WITHDRAW = "withdraw"
REVIEW = "review"
CLAIM = "claim"
CARD_EVENT = "signoff_card"
"""The type of the metadata by which a card is found again."""


def render_card(drawing: Drawing, now: datetime) -> Message:
    """Draw a request's card as it is at ``now``."""
    request = drawing.request
    over = is_over(request, now)
    blocks = [
        line(headline(drawing), "head"),
        *card_call(drawing),
        *compared(drawing, pings=_pings(drawing)),
        *([] if over else near_repeat(drawing, _pings(drawing))),
        *hidden_copies(drawing),
        *warning(request),
        *claim(request),
        context(facts(drawing), "facts"),
        *cast_ahead(drawing, _pings(drawing)),
        *([] if over else [*_ask(drawing), *votes_so_far(drawing)]),
        *(_decided(drawing) if over else [*paused(drawing, on_card=True), _buttons(drawing)]),
        actions(second_row(drawing, over=over), "details"),
        *([] if over else [*forced_so_far(drawing), *coming(drawing, now)]),
        *memory(drawing),
        *(render_witness(drawing) if over else []),
    ]
    return Message(notification(drawing), blocks, request.deadline_at)


def second_row(drawing: Drawing, *, over: bool = False) -> list[dict[str, Any]]:
    """The buttons that look, change, correct or take back; what comes and goes stands last, so that no other moves."""
    number = str(drawing.request.number)
    row = [button("Details", DETAILS, number)]
    if over:
        return [*row, *correct_button(drawing), more_menu(drawing, over=True)]
    row += claim_button(drawing)
    row += [button("Approve with changes…", CHANGE, number), more_menu(drawing, over=False)]
    return [*row, button("Withdraw my vote", WITHDRAW, number)] if is_pending_vote(drawing) else row


def claim_button(drawing: Drawing) -> list[dict[str, Any]]:
    """*I'm on it*, for as long as a plan may be held up; there from the first drawing on."""
    has_plan = drawing.plan_state is not None and drawing.request.status is Status.PENDING
    return [button("I'm on it", CLAIM, str(drawing.request.number))] if has_plan else []


def card_metadata(request: Request, card_id: int) -> dict[str, Any]:
    """Mark a card's message, so that it is recognised in Slack when the answer to its posting was lost."""
    return {"event_type": CARD_EVENT, "event_payload": {"request_id": request.id, "card_id": card_id}}


def notification(drawing: Drawing) -> str:
    """The text of the lock screen and of readers without blocks: agent, tool, number, deadline; no arguments."""
    request = drawing.request
    agent, tool = mrkdwn(request.agent), name_in_mrkdwn(request.tool)
    if state_of(request) is State.PENDING:
        is_paused = " · paused now" if drawing.pauses else ""
        by = plain_date(request.deadline_at)
        return f"{agent} wants to run {tool} · #{request.number} · decide by {by}{is_paused}"
    return f"{state_word(request, is_reported=drawing.is_reported)}: {agent}, {tool} · #{request.number}"


def headline(drawing: Drawing) -> list[Part]:
    """The first line: what is wanted, or what became of it, and whether that is paused now."""
    if drawing.pauses and state_of(drawing.request) is State.PENDING:
        return [said(f"{SIGN} Paused: ", bold=True), *wanted(drawing.request)]
    return headline_of(drawing.request, SIGN if drawing.pauses else None, is_reported=drawing.is_reported)


def headline_of(request: Request, with_sign: str | None = None, *, is_reported: bool = False) -> list[Part]:
    """The first line of a request that nothing pauses, or with another sign than that of its state."""
    if state_of(request) is State.PENDING:
        return wanted(request)
    sign = with_sign or state_sign(request, is_reported=is_reported)
    state = said(f"{sign} {state_word(request, is_reported=is_reported)}", bold=True)
    return [state, said(f" · {visible(request.agent)} · "), *tool_and_server(request)]


def _ask(drawing: Drawing) -> list[Block]:
    """Say who may decide. Mentions are what makes a phone buzz; a rule without them names the groups."""
    rule = drawing.rule
    if rule is not None and rule.mention:
        # Reviewers whose own business it is are not asked; a rule may name nobody else.
        return [section(asked(drawing), "deciders")]
    who = f"Needs {needs(rule)}" if rule and len(rule.seats) > 1 else f"May decide: {decider_groups(drawing)}"
    return [context([f"{who}; who that is: Details."], "deciders")]


def _pings(drawing: Drawing) -> list[str]:
    """Whom a new card's mentions reach anyway; nobody else is mentioned on one for having approved something before."""
    return pinged(drawing) if drawing.rule is not None and drawing.rule.mention else []


def _buttons(drawing: Drawing) -> Block:
    number = str(drawing.request.number)
    first = button("Approve", APPROVE, number, "primary")
    if not fits_card(drawing.request, call_outline(drawing)):
        first = button("Review", REVIEW, number, "primary")
    return actions([first, button("Deny", DENY, number, "danger")], "decide")


def _decided(drawing: Drawing) -> list[Block]:
    return render_state(drawing, on_card=True) or [
        section("⌛ *The time to decide is over.* Nothing was approved.", "decision")
    ]
