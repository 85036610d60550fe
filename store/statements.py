"""Every statement of the house, each compiled once when this module is imported. The only SQL.

Statements that change a request name the state they leave in their WHERE clause: when another was faster they
touch no row, and the caller then reads who won. Parameters carry the columns' names, except ``now``, ``limit``
and ``is_…`` where a column is compared and set in the same statement.
"""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import SQLModel

from store import tables as t
from store.compiled import Statement
from store.parameters import given, param, set_to

CHAIN_START = bytes(32)  # what the first event is chained to

instances = SQLModel.metadata.tables["instances"]
credentials = SQLModel.metadata.tables["credentials"]
rule_versions = SQLModel.metadata.tables["rule_versions"]
requests = SQLModel.metadata.tables["requests"]
votes = SQLModel.metadata.tables["votes"]
acts = SQLModel.metadata.tables["acts"]
cards = SQLModel.metadata.tables["cards"]
modals = SQLModel.metadata.tables["modals"]
queues = SQLModel.metadata.tables["queues"]
queue_lists = SQLModel.metadata.tables["queue_lists"]
outbox = SQLModel.metadata.tables["outbox"]
events = SQLModel.metadata.tables["events"]


_now = param("now", requests.c.created_at)

# --- rules as they were -----------------------------------------------------------------------------------

INSERT_RULE_VERSION = Statement(upsert(rule_versions).values(given(rule_versions, "id")).on_conflict_do_nothing())
RULE_VERSION_BY_DIGEST = Statement(
    select(rule_versions).where(rule_versions.c.digest == param("digest", rule_versions.c.digest)), t.RuleVersion
)
RULE_VERSION = Statement(
    select(rule_versions).where(rule_versions.c.id == param("id", rule_versions.c.id)), t.RuleVersion
)

# --- requests ---------------------------------------------------------------------------------------------

_AFTER_CREATION = (
    "reopened_at", "reopened_by", "revoked_at", "revoked_code", "consumed_at", "consume_key", "lapsed_at", "overdue_at",
    "outcome", "outcome_note", "outcome_at", "forgotten_at",
)  # fmt: skip
_new_request = given(requests, "number", *_AFTER_CREATION)


# No index serves this, and none shall: an id leads to one row. PostgreSQL plans a statement once for a connection,
# perhaps while the table is empty, and might read all rows of the instance until somebody analyzes the table.
_of_instance = requests.c.instance_id.concat(literal_column("''")) == param("instance_id", requests.c.instance_id)


def insert_request(*conditions: ColumnElement[bool]) -> Any:
    """Return what writes a new request under ``conditions``.

    It touches no row for an instance that was revoked, or whose key was used before.
    """
    live = exists().where(
        instances.c.id == param("instance_id", requests.c.instance_id), instances.c.revoked_at.is_(None)
    )
    return (
        upsert(requests)
        .from_select(list(_new_request), select(*_new_request.values()).where(live, *conditions))
        .on_conflict_do_nothing(index_elements=["instance_id", "create_key"])
    )


INSERT_REQUEST = Statement(insert_request().returning(requests.c.number), int)
REQUEST_BY_KEY = Statement(
    select(requests).where(
        requests.c.instance_id == param("instance_id", requests.c.instance_id),
        requests.c.create_key == param("create_key", requests.c.create_key),
    ),
    t.Request,
)
REQUEST_BY_ID = Statement(select(requests).where(requests.c.id == param("id", requests.c.id)), t.Request)
# Only of the instance that asks, and only while it is not revoked.
REQUEST_OF_LIVE_INSTANCE = Statement(
    select(requests)
    .join(instances, instances.c.id == requests.c.instance_id)
    .where(
        requests.c.id == param("id", requests.c.id),
        _of_instance,
        instances.c.revoked_at.is_(None),
    ),
    t.Request,
)
REQUEST = Statement(select(requests).where(requests.c.number == param("number", requests.c.number)), t.Request)

# Spelled out rather than bound, so that SQLite sees that the partial index serves.
_is_pending = text("requests.status = 'pending'")
_this = requests.c.number == param("number", requests.c.number)
DECIDE = Statement(
    update(requests)
    .where(_this, requests.c.status == t.Status.PENDING)
    .values(
        set_to(
            requests,
            "status",
            "decided_at",
            "decided_by_kind",
            "decided_by",
            "decision_code",
            "note",
            "expires_at",
            "due_at",
        )
        | {"next_step_at": None}
    )
)
_is_used = and_(requests.c.consumed_at.is_not(None), requests.c.outcome.is_(None))
REPORT_OUTCOME = Statement(
    update(requests).where(_this, _is_used).values(set_to(requests, "outcome", "outcome_note", "outcome_at", "due_at"))
)
# The same without a look before, for what a rule decided: that has no cards. No stored time precedes the one it
# follows, whatever was done to the clock.
REPORT_OUTCOME_AT_ONCE = Statement(
    update(requests)
    .where(
        requests.c.id == param("id", requests.c.id),
        _of_instance,
        requests.c.forgotten_at.is_(None),
        text("requests.decided_by_kind = 'rule'"),
        _is_used,
    )
    .values(
        set_to(requests, "outcome", "outcome_note")
        | {"outcome_at": case((requests.c.consumed_at > _now, requests.c.consumed_at), else_=_now), "due_at": None}
    )
    .returning(requests),
    t.Request,
)
LAPSE = Statement(
    update(requests)
    .where(
        _this,
        requests.c.status == t.Status.APPROVED,
        requests.c.consumed_at.is_(None),
        requests.c.lapsed_at.is_(None),
    )
    .values(set_to(requests, "lapsed_at", "due_at"))
    .returning(requests),
    t.Request,
)
MARK_OVERDUE = Statement(
    update(requests)
    .where(
        _this,
        requests.c.consumed_at.is_not(None),
        requests.c.outcome.is_(None),
        requests.c.overdue_at.is_(None),
    )
    .values(set_to(requests, "overdue_at", "due_at"))
    .returning(requests),
    t.Request,
)
DUE_REQUESTS = Statement(
    select(requests)
    .where(requests.c.due_at.is_not(None), requests.c.due_at <= _now)
    .order_by(requests.c.due_at)
    .limit(bindparam("limit")),
    t.Request,
)
NEXT_DUE = Statement(select(func.min(requests.c.due_at)).where(requests.c.due_at.is_not(None)), lambda at: at)
# For lists. What an agent may send a megabyte of stays in the database; arguments that are not there are no JSON, so
# that nobody shows or hashes them by mistake.
_bulk = {
    "arguments": literal_column("''", Text),
    **dict.fromkeys(("agent_reasoning", "context"), literal_column("NULL", Text)),
}
lean_request = [_bulk[column.name].label(column.name) if column.name in _bulk else column for column in requests.c]
PENDING_COUNT = Statement(
    select(func.count()).select_from(requests).where(_is_pending),
    int,
)
# The last call of the same agent, tool and rule (in whatever wording) that people had approved when this one was asked:
# what they approve later must not change a card that somebody is reading.
_was_approved = text("requests.status = 'approved' AND requests.decided_by_kind != 'rule'")
LAST_APPROVED = Statement(
    select(requests)
    .join(rule_versions, rule_versions.c.id == requests.c.rule_id)
    .where(
        _was_approved,
        requests.c.agent == param("agent", requests.c.agent),
        requests.c.tool == param("tool", requests.c.tool),
        requests.c.number < param("number", requests.c.number),
        requests.c.decided_at <= param("asked_at", requests.c.created_at),
        requests.c.forgotten_at.is_(None),
        rule_versions.c.name == param("rule", rule_versions.c.name),
    )
    .order_by(requests.c.number.desc())
    .limit(1),
    t.Request,
)


class Waiting(NamedTuple):
    """How many requests wait for people, and the first of their deadlines; with none of them it means nothing."""

    pending: int
    first_deadline_at: datetime


_waiting = select(func.count(), func.min(requests.c.deadline_at)).where(
    _is_pending, requests.c.agent == param("agent", requests.c.agent)
)
PENDING_OF_AGENT = Statement(_waiting, Waiting)
PENDING_OF_AGENTS_INSTANCE = Statement(
    _waiting.where(requests.c.instance_id == param("instance_id", requests.c.instance_id)), Waiting
)
PENDING_OF_INSTANCE = Statement(
    select(requests).where(
        _is_pending,
        requests.c.instance_id == param("instance_id", requests.c.instance_id),
    ),
    t.Request,
)

# --- votes and acts ---------------------------------------------------------------------------------------

INSERT_VOTE = Statement(insert(votes).values(given(votes, "id", "withdrawn_at")).returning(votes.c.id), int)
VOTES_OF = Statement(
    select(votes)
    .where(votes.c.request_number == param("request_number", votes.c.request_number), votes.c.withdrawn_at.is_(None))
    .order_by(votes.c.id),
    t.Vote,
)
# Withdrawn ones too, for those who look at what happened; never for a decision.
EVERY_VOTE_OF = Statement(
    select(votes).where(votes.c.request_number == param("request_number", votes.c.request_number)).order_by(votes.c.id),
    t.Vote,
)
WITHDRAW_VOTE = Statement(
    update(votes)
    .where(votes.c.id == param("vote_id", votes.c.id), votes.c.withdrawn_at.is_(None))
    .values(set_to(votes, "withdrawn_at"))
)
# Touches a row only the first time an act is seen.
TAKE_ACT = Statement(upsert(acts).values(given(acts)).on_conflict_do_nothing())
FORGET_ACT = Statement(delete(acts).where(acts.c.id == param("id", acts.c.id)))
FORGET_ACTS = Statement(delete(acts).where(acts.c.at < param("before", acts.c.at)))

# --- cards and modals -------------------------------------------------------------------------------------

INSERT_CARD = Statement(
    insert(cards)
    .values(given(cards, "id", "channel", "ts", "attempted_at", "posted_at", "queue_id", "shown_pause"))
    .returning(cards),
    t.Card,
)
CARD = Statement(select(cards).where(cards.c.id == param("card_id", cards.c.id)), t.Card)
CARD_BY_MESSAGE = Statement(
    select(cards).where(cards.c.channel == param("channel", cards.c.channel), cards.c.ts == param("ts", cards.c.ts)),
    t.Card,
)
CARDS_OF = Statement(
    select(cards).where(cards.c.request_number == param("request_number", cards.c.request_number)).order_by(cards.c.id),
    t.Card,
)


class CardToDraw(NamedTuple):
    """A card that is not gone: all that it takes to wish it drawn."""

    id: int
    queue_id: int | None


CARDS_TO_DRAW = Statement(
    select(cards.c.id, cards.c.queue_id)
    .where(cards.c.request_number == param("request_number", cards.c.request_number), cards.c.state != t.CardState.GONE)
    .order_by(cards.c.id),
    CardToDraw,
)
_card = cards.c.id == param("card_id", cards.c.id)
# Touches no row for a card that was gathered on a queue card since it was looked at.
MARK_CARD_ATTEMPTED = Statement(
    update(cards)
    .where(_card, cards.c.state == t.CardState.POSTING, cards.c.queue_id.is_(None))
    .values(set_to(cards, "attempted_at"))
)
MARK_CARD_POSTED = Statement(
    update(cards)
    .where(_card, cards.c.state == t.CardState.POSTING)
    .values(state=t.CardState.LIVE, **set_to(cards, "channel", "ts", "posted_at"))
)
MARK_CARD_GONE = Statement(update(cards).where(_card).values(state=t.CardState.GONE))

INSERT_MODAL = Statement(insert(modals).values(given(modals)))
MODAL = Statement(select(modals).where(modals.c.id == param("modal_id", modals.c.id)), t.Modal)
# A page may be opened only from the one before it or after; touches no row where one was left out.
SEE_PAGE = Statement(
    update(modals)
    .where(modals.c.id == param("modal_id", modals.c.id), modals.c.pages_seen >= param("page", modals.c.pages_seen))
    .values(
        pages_seen=case(
            (modals.c.pages_seen > param("page", modals.c.pages_seen), modals.c.pages_seen),
            else_=param("page", modals.c.pages_seen) + 1,
        )
    )
)
FORGET_MODALS = Statement(delete(modals).where(modals.c.opened_at < param("before", modals.c.opened_at)))

# --- the outbox -------------------------------------------------------------------------------------------

INSERT_INTENT = Statement(
    insert(outbox).values(
        given(outbox, "id", "attempts", "leased_by", "leased_until", "fence") | {"attempts": 0, "fence": 0}
    )
)
_earlier = outbox.alias("earlier")
_free = or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= _now)
_first_of_lane = ~exists().where(_earlier.c.lane == outbox.c.lane, _earlier.c.id < outbox.c.id)
_claimable = and_(outbox.c.due_at <= _now, _free, _first_of_lane)


def _claim(which: Select[Any]) -> Statement[t.Intent]:
    return Statement(
        update(outbox)
        .where(outbox.c.id.in_(which.limit(bindparam("limit")).scalar_subquery()))
        .values(
            attempts=outbox.c.attempts + 1,
            fence=outbox.c.fence + 1,
            **set_to(outbox, "leased_by", "leased_until"),
        )
        .returning(outbox),
        t.Intent,
    )


# What new cards must not hold up: decisions, updates, escalations, what people are told.
CLAIM_BEFORE_NEW_CARDS = _claim(
    select(outbox.c.id)
    .where(outbox.c.kind != t.IntentKind.POST_CARD, _claimable)
    .order_by(outbox.c.due_at, outbox.c.id)
)
# Everything else: new cards, in each place the first of every agent before the second of any.
_turn = func.row_number().over(partition_by=(cards.c.target, requests.c.agent), order_by=(outbox.c.due_at, outbox.c.id))
CLAIM_INTENTS = _claim(
    select(outbox.c.id)
    .outerjoin(cards, cards.c.id == outbox.c.card_id)
    .outerjoin(requests, requests.c.number == outbox.c.request_number)
    .where(_claimable)
    .order_by(_turn, outbox.c.due_at, outbox.c.id)
)
_leased = and_(outbox.c.id == param("intent_id", outbox.c.id), outbox.c.fence == param("is_fence", outbox.c.fence))
FINISH_INTENT = Statement(delete(outbox).where(_leased))
POSTPONE_INTENT = Statement(
    update(outbox).where(_leased).values(leased_by=None, leased_until=None, **set_to(outbox, "due_at", "attempts"))
)
# The newest wish to draw a card; whoever draws it now fulfils all up to this one.
LAST_DRAW_OF_CARD = Statement(
    select(func.max(outbox.c.id)).where(
        outbox.c.card_id == param("card_id", outbox.c.card_id), outbox.c.kind == t.IntentKind.DRAW_CARD
    ),
    lambda last: last,
)
FORGET_DRAWS = Statement(
    delete(outbox).where(
        outbox.c.lane == param("lane", outbox.c.lane),
        outbox.c.kind == t.IntentKind.DRAW_CARD,
        outbox.c.id <= param("last", outbox.c.id),
    )
)
NEXT_INTENT_DUE = Statement(
    select(func.min(func.coalesce(outbox.c.leased_until, outbox.c.due_at))).where(_first_of_lane),
    lambda at: at,
)
INTENT_COUNT = Statement(select(func.count()).select_from(outbox), int)
# Leases of a process that is gone; only where one process owns the database.
RELEASE_LEASES = Statement(update(outbox).values(leased_by=None, leased_until=None))

# --- the audit chain --------------------------------------------------------------------------------------

CHAIN_HEAD = Statement(select(events.c.hash).order_by(events.c.number.desc()).limit(1), bytes)
_new_event = given(events, "number")
# SQLite numbers events without a gap by itself. PostgreSQL's sequences lose numbers to what is rolled back, and a
# missing number looks like an event that somebody removed.
INSERT_EVENT = Statement(
    insert(events).values(_new_event),
    gathered=True,
    on_postgresql=insert(events)
    .values(_new_event | {"number": select(func.coalesce(func.max(events.c.number), 0) + 1).scalar_subquery()})
    .inline(),
)
EVENTS_OF = Statement(
    select(events)
    .where(events.c.request_number == param("request_number", events.c.request_number))
    .order_by(events.c.number),
    t.Event,
)
