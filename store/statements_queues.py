"""The statements about queue cards: what waits for a channel, gathering it, and what is on a queue card.

The conventions are those of ``store.statements``.
"""

from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, func, insert, or_, select, text, update

from store import tables as t
from store.compiled import Statement
from store.parameters import given, param, set_to
from store.statements import cards, lean_request, outbox, queue_lists, queues, requests
from store.statements_escalation import step_targets, taken_steps
from store.vocabulary import TargetState

APART = "apart"
"""The reason of an intent to post a card that was on a queue card and must not come back to one."""

_channel = param("channel", queues.c.channel)
_queue = param("queue_id", queues.c.id)
_rule = param("rule_id", requests.c.rule_id)


# --- gathering --------------------------------------------------------------------------------------------

_waits = and_(
    text("cards.state = 'posting'"),  # spelled out, so that SQLite sees that the partial index serves
    or_(cards.c.place == t.Place.CHANNEL, cards.c.place == t.Place.FALLBACK),
    cards.c.attempted_at.is_(None),
    exists().where(
        outbox.c.card_id == cards.c.id, outbox.c.kind == t.IntentKind.POST_CARD, outbox.c.reason != APART
    ),
)  # fmt: skip
# Channels for which more cards wait than may.
CROWDED_CHANNELS = Statement(
    select(cards.c.target).where(_waits).group_by(cards.c.target).having(func.count() > bindparam("most")), str
)
# The first waiting card of each agent that has nothing on a queue card yet, the agents with the fewest first.
_others, _their = cards.alias("others"), requests.alias("their")
_is_on_it = (
    exists()
    .select_from(_others.join(_their, _their.c.number == _others.c.request_number))
    .where(_others.c.queue_id == _queue, _others.c.state != t.CardState.GONE, _their.c.agent == requests.c.agent)
)
FIRST_OF_NEW_AGENTS = Statement(
    select(func.min(cards.c.id))
    .join(requests, requests.c.number == cards.c.request_number)
    .where(_waits, cards.c.target == _channel, ~_is_on_it)
    .group_by(requests.c.agent)
    .order_by(func.count(), func.min(cards.c.id))
    .limit(bindparam("limit")),
    int,
)
# All that wait for a channel but those from ``first`` to ``third``.
GATHER = Statement(
    update(cards)
    .where(
        _waits,
        cards.c.target == _channel,
        *(cards.c.id != param(spared, cards.c.id) for spared in ("first", "second", "third")),
    )
    .values(place=t.Place.QUEUE, queue_id=param("queue_id_", cards.c.queue_id))
)
DROP_POSTS_OF_GATHERED = Statement(
    delete(outbox).where(
        outbox.c.kind == t.IntentKind.POST_CARD,
        outbox.c.card_id.in_(select(cards.c.id).where(cards.c.queue_id == _queue)),
    )
)

# --- what is on a queue card ------------------------------------------------------------------------------

_is_member = and_(cards.c.queue_id == _queue, cards.c.state != t.CardState.GONE)
MEMBERS = Statement(select(cards).where(_is_member).order_by(cards.c.id), t.Card)
# Those that just came, so that it is put on record where they are shown.
NEW_MEMBERS = Statement(
    select(cards).where(_is_member, cards.c.posted_at.is_(None)).order_by(cards.c.id), t.Card
)  # fmt: skip
MARK_LISTED = Statement(
    update(cards)
    .where(_is_member, cards.c.posted_at.is_(None))
    .values(
        state=t.CardState.LIVE,
        channel=param("channel_", cards.c.channel),
        posted_at=param("posted_at_", cards.c.posted_at),
    )
)
IS_LISTED = Statement(
    select(cards.c.id)
    .join(requests, requests.c.number == cards.c.request_number)
    .where(
        _is_member,
        cards.c.request_number == param("number", requests.c.number),
        requests.c.status == t.Status.PENDING,
    ),
    int,
)


class AgentCount(NamedTuple):
    """How many requests of an agent are on a queue card."""

    agent: str
    requests: int


COUNTS = Statement(
    select(requests.c.agent, func.count())
    .join(cards, cards.c.request_number == requests.c.number)
    .where(_is_member)
    .group_by(requests.c.agent)
    .order_by(func.count().desc(), requests.c.agent),
    AgentCount,
)
# By deadline; the soonest of each agent before the second of any, so that none hides another's.
_turn = func.row_number().over(
    partition_by=requests.c.agent, order_by=(requests.c.deadline_at, requests.c.number)
)  # fmt: skip
_listed = select(*lean_request).join(cards, cards.c.request_number == requests.c.number).where(_is_member)
SOONEST_IN_TURN = Statement(
    _listed.order_by(_turn, requests.c.deadline_at, requests.c.number).limit(bindparam("limit")), t.Request
)
LISTED = Statement(
    _listed.order_by(requests.c.deadline_at, requests.c.number).limit(bindparam("limit")).offset(bindparam("offset")),
    t.Request,
)
# How many of a rule's requests a queue card asks about, and the newest reminder under it by one step of its plan.
WAITING_OF_RULE = Statement(
    select(func.count())
    .select_from(cards.join(requests, requests.c.number == cards.c.request_number))
    .where(_is_member, requests.c.rule_id == _rule, requests.c.status == t.Status.PENDING),
    int,
)
REMINDED_OF_RULE = Statement(
    select(func.max(step_targets.c.settled_at))
    .join(taken_steps, taken_steps.c.id == step_targets.c.step_id)
    .join(cards, cards.c.request_number == taken_steps.c.request_number)
    .join(requests, requests.c.number == taken_steps.c.request_number)
    .where(
        cards.c.queue_id == _queue,
        requests.c.rule_id == _rule,
        step_targets.c.target == "thread",
        step_targets.c.state == TargetState.NOTIFIED,
        step_targets.c.code.is_(None),
        taken_steps.c.round == param("round", taken_steps.c.round),
        taken_steps.c.index == param("index", taken_steps.c.index),
    ),
    lambda at: at,
)
# One request for each rule and agent: whom a queue card asks.
OF_EACH_RULE = Statement(
    select(*lean_request).where(
        requests.c.number.in_(
            select(func.min(requests.c.number))
            .join(cards, cards.c.request_number == requests.c.number)
            .where(_is_member)
            .group_by(requests.c.rule_id, requests.c.agent)
        )
    ).order_by(requests.c.number),
    t.Request,
)  # fmt: skip
# Back to cards of their own.
LET_GO = Statement(
    update(cards)
    .where(cards.c.id == param("card_id", cards.c.id), cards.c.queue_id.is_not(None))
    .values(
        place=param("place_", cards.c.place),
        state=t.CardState.POSTING,
        queue_id=None,
        channel=None,
        posted_at=None,
        attempted_at=None,
    )
)
MOVE_MEMBERS = Statement(update(cards).where(_is_member).values(queue_id=param("queue_id_", cards.c.queue_id)))
MARK_MEMBERS_GONE = Statement(update(cards).where(_is_member).values(state=t.CardState.GONE))

# --- queue cards ------------------------------------------------------------------------------------------

INSERT_QUEUE = Statement(
    insert(queues).values(given(queues, "id", "ts", "attempted_at", "posted_at")).returning(queues), t.Queue
)
QUEUE = Statement(select(queues).where(queues.c.id == _queue), t.Queue)
_has_members = exists().where(cards.c.queue_id == queues.c.id, cards.c.state != t.CardState.GONE)
# The one that takes what is gathered now: it is yet to be posted, or was not long ago and still asks.
OPEN_QUEUE = Statement(
    select(queues)
    .where(
        queues.c.channel == _channel,
        or_(
            queues.c.state == t.CardState.POSTING,
            and_(
                queues.c.state == t.CardState.LIVE,
                queues.c.posted_at > param("recently", queues.c.posted_at),
                _has_members,
            ),
        ),
    )
    .order_by(queues.c.id.desc())
    .limit(1),
    t.Queue,
)
OTHER_LIVE_QUEUES = Statement(
    select(queues).where(
        queues.c.channel == _channel, queues.c.state == t.CardState.LIVE, queues.c.id != _queue
    ),
    t.Queue,
)  # fmt: skip
QUEUE_BY_MESSAGE = Statement(
    select(queues).where(queues.c.channel == _channel, queues.c.ts == param("ts", queues.c.ts)),
    t.Queue,
)
QUEUES_BEING_POSTED = Statement(
    select(queues).where(
        queues.c.channel == _channel, queues.c.state == t.CardState.POSTING, queues.c.attempted_at.is_not(None)
    ),
    t.Queue,
)
MARK_QUEUE_ATTEMPTED = Statement(
    update(queues)
    .where(queues.c.id == _queue, queues.c.attempted_at.is_(None))
    .values(set_to(queues, "attempted_at"))
)  # fmt: skip
MARK_QUEUE_POSTED = Statement(
    update(queues)
    .where(queues.c.id == _queue, queues.c.state == t.CardState.POSTING)
    .values(state=t.CardState.LIVE, **set_to(queues, "channel", "ts", "posted_at"))
)
MARK_QUEUE_GONE = Statement(update(queues).where(queues.c.id == _queue).values(state=t.CardState.GONE))
MARK_EMPTY_QUEUE_GONE = Statement(
    update(queues).where(queues.c.id == _queue, ~_has_members).values(state=t.CardState.GONE)
)

_lane = param("lane", outbox.c.lane)
_draws = and_(outbox.c.lane == _lane, outbox.c.kind == t.IntentKind.DRAW_QUEUE)
# A wish to draw that nobody has taken up yet serves for every change until then.
WAITING_DRAW = Statement(select(outbox.c.id).where(_draws, outbox.c.leased_until.is_(None)).limit(1), int)
LAST_DRAW = Statement(select(func.max(outbox.c.id)).where(_draws), lambda last: last)
FORGET_DRAWS = Statement(delete(outbox).where(_draws, outbox.c.id <= param("last", outbox.c.id)))

# --- lists that people opened -----------------------------------------------------------------------------

INSERT_LIST = Statement(insert(queue_lists).values(given(queue_lists)))
LIST = Statement(select(queue_lists).where(queue_lists.c.id == param("list_id", queue_lists.c.id)), t.QueueList)
FORGET_LISTS = Statement(delete(queue_lists).where(queue_lists.c.opened_at < param("before", queue_lists.c.opened_at)))
