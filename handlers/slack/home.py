"""The Home tab: what waits for one person. Pure."""

from collections.abc import Sequence
from datetime import datetime

from bot.queries import Seen, Waiting
from handlers.slack.blocks import Block, View, actions, button, context, divider, line, said, section
from handlers.slack.call_parts import facts, where_it_is
from handlers.slack.cards import DETAILS, REVIEW, WITHDRAW, claim_button, headline
from handlers.slack.pauses import paused_in_short
from handlers.slack.quorum import has_approved, score
from handlers.slack.states import is_over

MAX_SHOWN = 18
MAX_SHOWN_GIVEN = 3
MAX_BLOCKS = 100
"""Slack's own limit for a view."""
_PER_ITEM = 4
_AROUND = 5  # titles, the rule above one, what says that nothing waits, and how many more there are


def shown_of(waiting: Waiting) -> list[int]:
    """Which of what waits there is room for."""
    return [*waiting.for_them[:MAX_SHOWN], *waiting.given[:MAX_SHOWN_GIVEN]]


def render_home(
    seen: Sequence[Seen],
    now: datetime,
    user_id: str = "",
    waiting: Waiting | None = None,
    below: Sequence[Block] = (),
) -> View:
    """Draw the Home tab of a person who sees these requests, soonest deadline first.

    ``waiting``: how many there are in all, where ``seen`` has only those that there is room for (``shown_of``).
    ``below`` is what else the tab has; of what waits as many are shown as fit above it.
    """
    open_ = [one for one in seen if not is_over(one.drawing.request, now)]
    given = [one for one in open_ if has_approved(one.drawing, user_id)]
    mine = [one for one in open_ if one.may_decide and one not in given]
    all_, all_mine, all_given = len(open_), len(mine), len(given)
    if waiting is not None:
        # What was decided since they were counted is not there any more.
        gone = len(set(shown_of(waiting))) - len(open_)
        all_given, all_mine = len(waiting.given), max(len(waiting.for_them) - gone, len(mine))
        all_ = max(len(waiting.all) - gone, all_mine + all_given)
    others = all_ - all_mine - all_given
    shown_given = given[:MAX_SHOWN_GIVEN]
    room = MAX_BLOCKS - len(below) - _AROUND - _PER_ITEM * len(shown_given)
    shown = mine[: min(MAX_SHOWN, room // _PER_ITEM)]
    blocks: list[Block] = [line([said("Waiting for you", bold=True)], "title")]
    if not mine:
        blocks.append(section("Nothing waits for you.", "nothing"))
    for one in shown:
        blocks += _item(one)
    if given:
        blocks += [divider(), line([said("You approved; others are awaited", bold=True)], "given")]
    for one in shown_given:
        blocks += _item(one, has_voted=True)
    rest = []
    if (more := all_given - len(shown_given)) > 0:
        rest.append(f"{more:,} more that you approved wait for others.")
    if (more := all_mine - len(shown)) > 0:
        rest.append(f"{more:,} more wait for you; they appear here as these are decided. All: `/signoff pending mine`")
    if others:
        rest.append(f"Waiting for others: {others:,}, see `/signoff pending`.")
    if rest:
        blocks.append(context(rest, "rest"))
    return {"type": "home", "blocks": [*blocks, *below]}


def _item(one: Seen, *, has_voted: bool = False) -> list[Block]:
    request = one.drawing.request
    number = str(request.number)
    buttons = [
        button("Review", REVIEW, number, "primary"),
        button("Details", DETAILS, number),
        *claim_button(one.drawing),
    ]
    if has_voted:
        buttons = [button("Details", DETAILS, number), button("Withdraw my vote", WITHDRAW, number)]
    counted = score(one.drawing)
    far = [f"*{counted}* approved"] if counted else []
    where = [f"{at[0].upper()}{at[1:]}"] if (at := where_it_is(one.cards)) else []
    return [
        divider(),
        line(headline(one.drawing), f"head_{number}"),
        context([*facts(one.drawing), *far, *where, *paused_in_short(one.drawing)], f"facts_{number}"),
        actions(buttons, f"decide_{number}"),
    ]
