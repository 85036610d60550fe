"""What Signoff answers in words: to slash commands, to refused clicks, and to an agent's owners. Pure.

Answers carry no buttons: an ephemeral message is no card of ours, and clicks count on those alone.
"""

from collections.abc import Sequence
from datetime import datetime

from bot.outbox import Drawing
from bot.queries import Seen
from handlers.slack.blocks import Block, Message, context, line, said, section
from handlers.slack.call_parts import card_call, claim, decider_groups, facts, wanted, warning
from handlers.slack.cards import headline, notification
from handlers.slack.comparison import compared
from handlers.slack.states import is_over, render_state
from handlers.slack.text import channel_mention, date, how_many, mrkdwn, visible
from store.tables import CardState, Place

MAX_LISTED = 12


def render_pending(seen: Sequence[Seen], now: datetime) -> Message:
    """List the pending requests that a person sees, soonest deadline first."""
    open_ = [one for one in seen if not is_over(one.drawing.request, now)]
    if not open_:
        return _plain("Nothing is waiting that you can see.")
    title = f"{how_many(len(open_), 'request')} waiting"
    blocks: list[Block] = [line([said(title, bold=True)], "title")]
    for one in open_[:MAX_LISTED]:
        request = one.drawing.request
        blocks.append(line([said(f"#{request.number} ", bold=True), *wanted(request)], f"head_{request.number}"))
        mine = " · *you may decide*" if one.may_decide else ""
        blocks.append(context([f"by {date(request.deadline_at)}{_where(one)}{mine}"], f"facts_{request.number}"))
    if len(open_) > MAX_LISTED:
        blocks.append(context([f"{len(open_) - MAX_LISTED} more are not listed here."], "rest"))
    return Message(title, blocks)


def render_show(seen: Seen, now: datetime) -> Message:
    """Show one request as it stands."""
    drawing = seen.drawing
    request = drawing.request
    where = [f"Card{where}" for where in [_where(seen)] if where]
    return Message(
        notification(request),
        [
            line(headline(request), "head"),
            *card_call(drawing),
            *compared(drawing),
            *warning(request),
            *claim(request),
            context([*facts(drawing), f"May decide: {decider_groups(drawing)}", *where], "facts"),
            *render_state(drawing),
        ],
    )


def render_help() -> Message:
    """List the commands."""
    lines = [
        "*Signoff* asks people before an agent acts.",
        "`/signoff pending` what is waiting, as far as you may see it",
        "`/signoff show ID` one request, such as `/signoff show 42`",
        "`/signoff help` this list",
        "What waits for you is on my Home tab.",
    ]
    return Message("Signoff: help, pending, show ID", [section("\n".join(lines), "help")])


def render_unknown(word: str, suggestions: Sequence[str] = ()) -> Message:
    """Say that there is no such command."""
    near = f" Did you mean {' or '.join(f'`{mrkdwn(one)}`' for one in suggestions)}?" if suggestions else ""
    return _plain(f"There is no command “{mrkdwn(word[:40])}”.{near} Try `/signoff help`.")


def render_hidden(reference: str) -> Message:
    """Say that a request is not to be seen: the same words whether it is hidden or was never made."""
    return _plain(f"There is no request “{mrkdwn(reference[:40])}” that you can see.")


def render_refusal_text(message: str, drawing: Drawing | None = None) -> Message:
    """Tell somebody why they could not do what they tried, and how the request stands."""
    blocks: list[Block] = [line([said(visible(message))], "why")]
    if drawing is not None:
        blocks += [line(headline(drawing.request), "head"), *render_state(drawing)]
    return Message(mrkdwn(message), blocks)


def render_owner_notice(drawing: Drawing, reason_code: str) -> Message:
    """Tell an agent's owner what went wrong with a request of it."""
    request = drawing.request
    if reason_code == "overdue":
        words = "was approved and taken, and no outcome came. Look whether it ran."
    else:
        words = f"could not be shown where its rule says (Slack: {mrkdwn(reason_code)})."
    text = f"#{request.number} of {mrkdwn(request.agent)} {words}"
    return Message(text, [section(text, "notice"), line(headline(request), "head"), context(facts(drawing), "facts")])


def _where(seen: Seen) -> str:
    channels = [card.channel for card in seen.cards if card.state is CardState.LIVE and card.place is not Place.DM]
    return "".join(f" in {channel_mention(channel)}" for channel in channels[:1] if channel)


def _plain(text: str) -> Message:
    return Message(text, [section(text, "answer")])
