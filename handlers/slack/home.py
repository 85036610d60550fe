"""The Home tab: what waits for one person. Pure."""

from collections.abc import Sequence
from datetime import datetime

from bot.queries import Seen
from handlers.slack.blocks import Block, View, actions, button, context, divider, line, said, section
from handlers.slack.call_parts import facts, wanted
from handlers.slack.cards import DETAILS, REVIEW
from handlers.slack.states import is_over

MAX_SHOWN = 20


def render_home(seen: Sequence[Seen], now: datetime) -> View:
    """Draw the Home tab of a person who sees these requests, soonest deadline first."""
    open_ = [one for one in seen if not is_over(one.drawing.request, now)]
    mine = [one for one in open_ if one.may_decide]
    others = len(open_) - len(mine)
    blocks: list[Block] = [line([said("Waiting for you", bold=True)], "title")]
    if not mine:
        blocks.append(section("Nothing waits for you.", "nothing"))
    for one in mine[:MAX_SHOWN]:
        blocks += _item(one)
    rest = []
    if len(mine) > MAX_SHOWN:
        rest.append(f"{len(mine) - MAX_SHOWN} more wait for you; they appear here as these are decided.")
    if others:
        rest.append(f"Waiting for others: {others}, see `/signoff pending`.")
    if rest:
        blocks.append(context(rest, "rest"))
    return {"type": "home", "blocks": blocks}


def _item(one: Seen) -> list[Block]:
    request = one.drawing.request
    number = str(request.number)
    buttons = [button("Review", REVIEW, number, "primary"), button("Details", DETAILS, number)]
    return [
        divider(),
        line(wanted(request), f"head_{number}"),
        context(facts(one.drawing), f"facts_{number}"),
        actions(buttons, f"decide_{number}"),
    ]
