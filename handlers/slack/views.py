"""The modals: deny with a reason, details, the paged review, and the small ones that say what happened.

Pure. Pages are cut in ``handlers.slack.pages``. Every modal names its request in ``private_metadata``, as
``handlers.slack.payloads.Metadata`` reads it back; ``modal_id`` is our record of it and becomes ``external_id``.
"""

import json
from typing import Any

from bot.drawings import Drawing
from handlers.slack.blocks import (
    TITLE_CHARACTERS,
    Block,
    View,
    actions,
    button,
    context,
    line,
    modal,
    plain,
    said,
    section,
)
from handlers.slack.call_parts import claim, facts, warning
from handlers.slack.cards import WITHDRAW, headline
from handlers.slack.corrections import forced_so_far
from handlers.slack.override_buttons import correct_button, more_menu
from handlers.slack.pages import Page, details_page, review_page
from handlers.slack.pauses import paused
from handlers.slack.payloads import BadPayload, Values
from handlers.slack.quorum import is_pending_vote, still_needed
from handlers.slack.remembered import near_repeat
from handlers.slack.states import render_state
from handlers.slack.text import visible
from store.tables import Status

DENY_SUBMITTED = "deny_submitted"
REVIEW_BACK = "review_back"
REVIEW_NEXT = "review_next"
REVIEW_APPROVE = "review_approve"
REVIEW_DENY = "review_deny"
REVIEW_CHANGE = "review_change"
DETAILS_BACK = "details_back"
DETAILS_NEXT = "details_next"

REASON_BLOCK, REASON_INPUT = "reason", "reason"
NOTE_BLOCK, NOTE_INPUT = "note", "note"
MAX_NOTE = 1000
REASONS: dict[str, str] = {
    "wrong_target": "Wrong amount or target",
    "too_risky": "Too risky",
    "not_needed": "Not needed, or not now",
    "unclear": "Not clear enough what it does",
    "other_way": "Do it another way",
}
"""Why something is denied, one tap each. The words reach the agent."""


def render_deny(drawing: Drawing, modal_id: str) -> View:
    """Ask for the reason of a denial."""
    options = [{"text": plain(label), "value": value} for value, label in REASONS.items()]
    blocks: list[Block] = [
        line(headline(drawing), "head"),
        {
            "type": "input",
            "block_id": REASON_BLOCK,
            "label": plain("Why not?"),
            "element": {"type": "radio_buttons", "action_id": REASON_INPUT, "options": options},
        },
        {
            "type": "input",
            "block_id": NOTE_BLOCK,
            "optional": True,
            "label": plain("Note"),
            "hint": plain("The agent gets the reason and the note."),
            "element": {
                "type": "plain_text_input",
                "action_id": NOTE_INPUT,
                "multiline": True,
                "max_length": MAX_NOTE,
            },
        },
    ]
    return modal(
        _title("Deny", drawing),
        blocks,
        external_id=modal_id,
        callback_id=DENY_SUBMITTED,
        private_metadata=_metadata(drawing),
        submit="Deny",
        close="Cancel",
    )


def deny_note(values: Values) -> str:
    """Read a submitted deny modal: the reason and note as the agent gets them. Raises ``BadPayload``."""
    reason = values.get(REASON_BLOCK, {}).get(REASON_INPUT)
    if reason not in REASONS:
        raise BadPayload("the reason is none of ours")
    note = (values.get(NOTE_BLOCK, {}).get(NOTE_INPUT) or "").strip()
    return f"{REASONS[reason]}: {note}" if note else REASONS[reason]


def render_details(drawing: Drawing, modal_id: str, page: int = 0) -> View:
    """Show everything that is known of a request; long ones in pages. A page that is not there gives the nearest."""
    shown = details_page(drawing, page)
    number = str(drawing.request.number)
    withdraw = [button("Withdraw my vote", WITHDRAW, number)] if is_pending_vote(drawing) else []
    over = drawing.request.status is not Status.PENDING
    correct = [*correct_button(drawing), more_menu(drawing, over=over)]
    turn = [*_turning(shown, number, DETAILS_BACK, DETAILS_NEXT), *withdraw]
    blocks = [
        *_page_mark(shown),
        *shown.blocks,
        actions(correct, "correct"),
        *([actions(turn, "turn")] if turn else []),
    ]
    return modal(_title("Request", drawing), blocks, external_id=modal_id, private_metadata=_metadata(drawing, shown))


def render_review(drawing: Drawing, modal_id: str, page: int = 0) -> View:
    """Show one page of the whole call. Only the last page of a pending request has Approve and Deny."""
    request = drawing.request
    shown = review_page(drawing, page)
    number = str(request.number)
    turn = _turning(shown, number, REVIEW_BACK, REVIEW_NEXT)
    blocks = [line(headline(drawing), "head"), *_page_mark(shown, "approving"), *shown.blocks]
    state = render_state(drawing)
    if not shown.is_last and not shown.index and not state:  # on the last page it stands at the buttons
        blocks[1:1] = paused(drawing)
    if shown.is_last:
        blocks += [
            *near_repeat(drawing),
            *warning(request),
            *claim(request),
            context(facts(drawing), "facts"),
            *(state or still_needed(drawing)),
        ]
    if shown.is_last and not state:
        blocks += paused(drawing)
        approve = button("Approve", REVIEW_APPROVE, number, "primary")
        blocks.append(actions([approve, button("Deny", REVIEW_DENY, number, "danger")], "decide"))
        change = button("Approve with changes…", REVIEW_CHANGE, number)
        blocks.append(actions([change, more_menu(drawing, over=False)], "change"))
    if shown.is_last and state:
        blocks.append(actions([*correct_button(drawing), more_menu(drawing, over=True)], "change"))
    if turn:  # last on every page: what a second press on Next meets where Next was is never Approve
        blocks.append(actions(turn, "turn"))
    return modal(_title("Review", drawing), blocks, external_id=modal_id, private_metadata=_metadata(drawing, shown))


def render_loading(modal_id: str, title: str) -> View:
    """Hold the place of a modal while its content is looked up."""
    return modal(title[:TITLE_CHARACTERS], [context(["One moment…"], "loading")], external_id=modal_id)


def render_refusal(message: str, drawing: Drawing | None = None) -> View:
    """Tell somebody why they could not do what they tried, and how the request stands.

    They pressed its card, and may be anybody who sees that.
    """
    blocks: list[Block] = [line([said(visible(message))], "why")]
    if drawing is not None:
        state = render_state(drawing, on_card=True) or [*still_needed(drawing), *paused(drawing, on_card=True)]
        blocks += [line(headline(drawing), "head"), *state, context(facts(drawing)[:1], "facts")]
    return modal("Not possible", blocks)


def render_refused_by_pause(drawing: Drawing) -> View:
    """Tell somebody who could decide that a pause keeps them from it."""
    why = line([said("Nothing was approved: it is paused.")], "why")
    state = render_state(drawing) or [*still_needed(drawing), *paused(drawing)]
    return modal("Not possible", [why, line(headline(drawing), "head"), *state, context(facts(drawing)[:1], "facts")])


def render_done(drawing: Drawing) -> View:
    """Tell somebody what their decision led to."""
    waiting = [
        section("Your vote is recorded. It is not decided yet.", "decision"),
        *still_needed(drawing),
        *forced_so_far(drawing),
    ]
    state = render_state(drawing) or waiting
    return modal(_title("Request", drawing), [line(headline(drawing), "head"), *state])


def _title(word: str, drawing: Drawing) -> str:
    title = f"{word} #{drawing.request.number}"
    return title if len(title) <= TITLE_CHARACTERS else word


def _metadata(drawing: Drawing, page: Page | None = None) -> str:
    carried = {"number": drawing.request.number}
    return json.dumps(carried | ({"page": page.index, "pages": page.count} if page else {}))


def _page_mark(page: Page, until_last: str = "") -> list[Block]:
    if page.count == 1:
        return []
    hint = "" if page.is_last or not until_last else f"; {until_last} is on the last"
    return [context([f"Page {page.index + 1} of {page.count}{hint}"], "page")]


def _turning(page: Page, number: str, back: str, forth: str) -> list[dict[str, Any]]:
    # Next stands first, so that it is in one place from page to page, and Back where it was on the last.
    buttons = [] if page.is_last else [button("Next →", forth, number)]
    return [*buttons, button("← Back", back, number)] if page.index else buttons
