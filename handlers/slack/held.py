"""What is held ahead, in words: votes that wait for a call, and denials that are remembered. Pure.

As in ``handlers.slack.report_words``: each entry is complete without its card and leads to it, names that an agent
chose stand in a frame, and people's reasons behind a bar.
"""

from bot.ahead import Held, HeldDenial, HeldVote
from bot.changed_calls import changed_call_in
from handlers.manifest import COMMAND
from handlers.slack.blocks import Block, Message, actions, button, context, line, section
from handlers.slack.report_words import Address, head_of, reason_of, untold_of
from handlers.slack.states import decided_by
from handlers.slack.text import date, how_many, user_mention

LIFT = "standing_lift"
REOPEN = "standing_reopen"
BACK, NEXT = "standing_back", "standing_next"
ROWS = 6
"""Entries of one page."""


def page_of(held: Held) -> tuple[int, int]:
    """Which page is shown, from 1 on, of how many."""
    return held.offset // ROWS + 1, max(-(-held.total // ROWS), 1)


def render_held(held: Held, address: Address, done: str = "") -> Message:
    """List some of what is held ahead. ``done`` says in mrkdwn what was just done about it."""
    told = [section(done, "done")] if done else []
    votes, denials = how_many(held.votes, "vote"), how_many(held.denials, "remembered denial")
    what = f"{votes} cast ahead, {denials}" if held.total else "Nothing is held ahead that you can see."
    page, pages = page_of(held)
    blocks: list[Block] = [*told, section(f"*{what}*" if held.total else what, "title")]
    for one in held.shown:
        blocks += held_vote(one, address, page) if isinstance(one, HeldVote) else _denial(one, address, page)
    if pages > 1:
        words = (
            f"{held.offset + 1:,} to {held.offset + len(held.shown):,} of {held.total:,}. Page {page:,} of {pages:,}"
        )
        other = page + 1 if page < pages else page - 1
        blocks.append(context([f"{words}; `{COMMAND} standing page {other}` for another."], "page"))
        near = [button("Back", BACK, str(page - 1))] if page > 1 else []
        near += [button("Next", NEXT, str(page + 1))] if page < pages else []
        blocks.append(actions(near, "turn"))
    return Message(what, [*blocks, *untold_of(held.untold)])


def held_vote(one: HeldVote, address: Address, page: int | None = None) -> list[Block]:
    """One vote that waits. ``page``: of the list it stands in, which its button leads back to."""
    standing, request = one.standing, one.row.request
    which = "exactly this call" if standing.digest == request.digest else "a changed call in its place"
    words = f"👍 {user_mention(standing.user_id)} approves {which} if it comes again until {date(standing.expires_at)}"
    block_id = f"vote_{standing.id}"
    blocks = [
        line(head_of(request, address(one.row.card)), block_id),
        context([f"{words} · cast {date(standing.granted_at)}"], f"{block_id}_facts"),
        *reason_of(standing.note, f"{block_id}_reason"),
    ]
    if one.may_lift:
        blocks.append(actions([button("Lift", LIFT, _value(standing.id, page))], f"{block_id}_lift"))
    return blocks


def _denial(one: HeldDenial, address: Address, page: int) -> list[Block]:
    request = one.row.request
    is_changed = changed_call_in(request.note) is not None
    words = f"⛔ Denied {decided_by(request)}{': approved with changes' if is_changed else ''}"
    again = f"the same call is denied again without asking until {date(one.until)}"
    if one.votes_first:
        again = f"a vote ahead waits for this call and goes first while it may count; without it, {again}"
    block_id = f"denial_{request.number}"
    return [
        line(head_of(request, address(one.row.card)), block_id),
        context([f"{words} · {again}"], f"{block_id}_facts"),
        *reason_of(request.note, f"{block_id}_reason"),
        actions([button("Reopen", REOPEN, _value(request.number, page))], f"{block_id}_reopen"),
    ]


def _value(number: int, page: int | None) -> str:
    return str(number) if page is None else f"{number}:{page}"
