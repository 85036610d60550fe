"""The buttons and the menu by which people correct what became of a request. Pure.

They stand on the card, in the details and on the last page of the review. What may be corrected now is shown; who may
do it is judged when it is pressed.
"""

from typing import Any

from bot.drawings import Drawing
from bot.lifecycle import State, state_of
from bot.overriding import is_reversible
from handlers.slack.blocks import button, menu

REVOKE = "revoke"
REPORT = "report"
REVERSE = "reverse"
MORE = "more"
"""The menu. What is chosen in it is one of the words below, see ``choice_in``."""
WHY = "why"
FORCE_APPROVE = "force_approve"
FORCE_DENY = "force_deny"


def correct_button(drawing: Drawing) -> list[dict[str, Any]]:
    """The one thing that can be corrected now: *Revoke*, in the same place *Report* once it was used, or *Reverse*."""
    request = drawing.request
    number = str(request.number)
    if state_of(request) is State.OPEN:
        return [button("Revoke…", REVOKE, number)]
    if request.consumed_at is not None:
        return [button("Report…", REPORT, number)]
    return [button("Reverse…", REVERSE, number)] if is_reversible(request) else []


def more_menu(drawing: Drawing, *, over: bool) -> dict[str, Any]:
    """What is seldom wanted. ``over``: nothing can be decided any more."""
    number = drawing.request.number
    choices = {WHY: "Why?"} if over else {WHY: "Why?", FORCE_APPROVE: "Force approve…", FORCE_DENY: "Force deny…"}
    return menu(MORE, {f"{choice}:{number}": label for choice, label in choices.items()})


def choice_in(value: str | None) -> tuple[str, str]:
    """Read what was chosen in the menu: the choice, and the number that a button would carry."""
    choice, _, number = (value or "").partition(":")
    return choice, number
