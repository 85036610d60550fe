"""The queue card of a channel, and the list of everything on it: from the stored state to blocks.

Pure. A line each: agent, what, number, deadline, and a button that opens the review; nothing is approved here, for
no call is shown. What is left out is counted. The button that lists all stands above the lines: it keeps its place.
"""

from bot.drawings import Drawing
from bot.queues import ROWS_ON_PAGE, Listing
from handlers.manifest import COMMAND
from handlers.slack.blocks import Block, Message, View, actions, button, context, line, modal, said, section
from handlers.slack.call_parts import MAX_MENTIONS, NAME_CHARACTERS, decider_groups, pinged, some_of
from handlers.slack.pauses import SIGN, paused_in_short
from handlers.slack.quorum import score
from handlers.slack.text import date, excerpt, how_many, mrkdwn, name_in_mrkdwn, plain_date
from store.tables import Queue

QUEUE_EVENT = "signoff_queue"
"""The type of the metadata by which a queue card is found again."""
REVIEW = "queue_review"
LIST = "queue_list"
BACK = "queue_back"
NEXT = "queue_next"
AGAIN = "queue_again"

MAX_AGENTS = 8
MAX_PAUSES = 3
_NOTHING = f"Nothing on this list waits any more. What became of a request: `{COMMAND} show` and its number."
_NAME = min(80, NAME_CHARACTERS)


def queue_metadata(queue: Queue) -> dict[str, object]:
    """Mark a queue card's message, so that it is recognised in Slack when the answer to its posting was lost."""
    return {"event_type": QUEUE_EVENT, "event_payload": {"queue_id": queue.id, "key": queue.key}}


def render_queue(listing: Listing) -> Message:
    """Draw a queue card as it stands."""
    if not listing.total:
        words = "They are on a newer list below." if listing.is_continued else _NOTHING
        return Message(words, [section(words, "head")])  # no sign: some were approved, others denied, or expired
    waiting = f"{how_many(listing.total, 'request')} {'waits' if listing.total == 1 else 'wait'}"
    shown = len(listing.rows)
    rest = listing.total - shown
    if rest:
        which = f"{shown} of {listing.total:,} are listed here, the soonest of each agent; {rest:,} more: *List all*."
    else:
        which = "All of them are listed here."
    blocks = [
        line([said(f"⏳ {waiting} for a decision", bold=True)], "head"),
        context([_agents(listing), f"They came too fast for a card each. {which}"], "counts"),
        actions([button(f"List all {listing.total:,}", LIST, str(listing.queue.id))], "list"),
        *_paused(listing),
        *(_row(row) for row in listing.rows),
        *_asked(listing),
    ]
    soonest = plain_date(listing.rows[0].request.deadline_at)
    return Message(f"{waiting} for a decision: {_agents(listing)} · the first by {soonest}", blocks)


def render_list(listing: Listing, list_id: str) -> View:
    """Draw one page of everything on a queue card."""
    if not listing.total:
        blocks: list[Block] = [section(_NOTHING, "nothing")]
        return modal("Waiting", blocks, external_id=list_id)
    page, pages = listing.offset // ROWS_ON_PAGE, -(-listing.total // ROWS_ON_PAGE)
    last = listing.offset + listing.listed
    lines = [f"{listing.offset + 1:,} to {last:,} of {listing.total:,}, by deadline · page {page + 1} of {pages}"]
    if hidden := listing.listed - len(listing.rows):
        lines.append(f"{hidden} of them are not shown: you may not see them.")
    turn = [button("Refresh", AGAIN, str(page))]  # what is decided in a modal above this one stays listed until then
    turn += [button("Next →", NEXT, str(page + 1))] if page + 1 < pages else []
    turn += [button("← Back", BACK, str(page - 1))] if page else []
    blocks = [
        context([_agents(listing), *lines], "page"),
        actions(turn, "turn"),
        *_paused(listing),
        *(_row(row) for row in listing.rows),
    ]
    return modal("Waiting", blocks, external_id=list_id)


def _row(drawing: Drawing) -> Block:
    """One request on two lines with its button."""
    request = drawing.request
    server = f" on {_short(request.server)}" if request.server is not None else ""
    far = f" · {counted} approved" if (counted := score(drawing)) else ""
    pause = f" · {SIGN} *paused*" if drawing.pauses else ""
    shown = section(
        f"*{mrkdwn(request.agent)}* · {_short(request.tool)}{server}\n"
        f"#{request.number} · by *{date(request.deadline_at)}*{far}{pause}",
        f"row_{request.number}",
    )
    return {**shown, "accessory": button("Review", REVIEW, str(request.number))}


def _paused(listing: Listing) -> list[Block]:
    """What pauses those that are listed, each once; the review says who and why."""
    told = list(dict.fromkeys(words for row in listing.rows for words in paused_in_short(row)))
    rest = [f"and {how_many(len(told) - MAX_PAUSES, 'more pause')}"] if len(told) > MAX_PAUSES else []
    return [context([*told[:MAX_PAUSES], *rest, "Nothing is approved meanwhile."], "paused")] if told else []


def _short(name: str) -> str:
    part = excerpt(name, _NAME, 1)
    shown = name_in_mrkdwn(name[: len(name) - part.left_out])
    return f"{shown} (and {how_many(part.left_out, 'more character')}: see Review)" if part.left_out else shown


def _agents(listing: Listing) -> str:
    named = [f"{one.requests:,} from {mrkdwn(one.agent)}" for one in listing.by_agent[:MAX_AGENTS]]
    if rest := listing.by_agent[MAX_AGENTS:]:
        named.append(f"{sum(one.requests for one in rest):,} from {how_many(len(rest), 'more agent')}")
    return ", ".join(named)


def _asked(listing: Listing) -> list[Block]:
    """Mention those whom the cards would have mentioned; name the groups of the rules that mention nobody."""
    mentions = [who for one in listing.asking if one.rule is not None and one.rule.mention for who in pinged(one)]
    groups = [decider_groups(one) for one in listing.asking if one.rule is None or not one.rule.mention]
    named = list(dict.fromkeys([*mentions, *groups]))
    return [section(f"May decide: {some_of(named, ' ', MAX_MENTIONS)}", "deciders")] if named else []
