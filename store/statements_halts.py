"""The statements about what people stopped, and the one by which an approval is used, which nothing stopped may pass.

The conventions are those of ``store.statements``. Halts are read from the database each time, never from memory: what
another process stopped counts from its commit on.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, exists, func, insert, or_, select, text, update
from sqlmodel import SQLModel

from store import tables as t
from store.compiled import Statement
from store.parameters import param, set_to
from store.statements import insert_request, requests
from store.statements_delivery import has_receiver

halts = SQLModel.metadata.tables["halts"]


_now = param("now", requests.c.created_at)
# Spelled out rather than bound, so that SQLite sees that the partial index serves; so are other constants of what is on
# the path of every call, which then need not be bound each time.
_not_ended = text("halts.ended_at IS NULL")
# A timed one is over at its time, whether or not the clock has written that down.
_in_force = and_(_not_ended, or_(halts.c.until.is_(None), halts.c.until > _now))
_touches = or_(
    text("halts.scope = 'all'"),
    and_(text("halts.scope = 'agent'"), halts.c.name == param("agent", halts.c.name)),
    and_(text("halts.scope = 'rule'"), halts.c.name == param("rule", halts.c.name)),
)

INSERT_HALT = Statement(
    insert(halts)
    .values({
        column.name: param(column.name, column)
        for column in halts.c
        if column.name not in ("id", "ended_at", "ended_by", "end_reason")
    })
    .returning(halts),
    t.Halt,
)  # fmt: skip
# What stops the calls of an agent under a rule. In no order: for that SQLite would go through all there ever were.
HALTS_TOUCHING = Statement(select(halts).where(_in_force, _touches), t.Halt)
# What stops one agent, one rule or all of it, by its own name.
HALTS_OF = Statement(
    select(halts)
    .where(_in_force, halts.c.scope == param("scope", halts.c.scope), halts.c.name == param("name", halts.c.name))
    .order_by(halts.c.id),
    t.Halt,
)
HALTS_IN_FORCE = Statement(select(halts).where(_in_force).order_by(halts.c.id), t.Halt)
HALT_COUNT = Statement(
    select(func.count()).select_from(halts).where(_in_force, halts.c.effect == param("effect", halts.c.effect)), int
)
END_HALT = Statement(
    update(halts)
    .where(halts.c.id == param("halt_id", halts.c.id), halts.c.ended_at.is_(None))
    .values(set_to(halts, "ended_at", "ended_by", "end_reason"))
    .returning(halts),
    t.Halt,
)
# Those whose time is over and that nobody has ended.
HALTS_OVER = Statement(select(halts).where(_not_ended, halts.c.until <= _now).order_by(halts.c.id), t.Halt)


def _at(at: datetime | None) -> datetime | None:
    return at


NEXT_HALT_OVER = Statement(select(func.min(halts.c.until)).where(_not_ended), _at)


class Made(NamedTuple):
    """A request that was written: its number, and whether its instance has a receiver that is notified."""

    number: int
    has_receiver: bool


# Writes a request that its rule approves at once. Touches no row where ``INSERT_REQUEST`` would not, and none while
# anything stops its call.
INSERT_APPROVED_REQUEST = Statement(
    insert_request(~exists().where(_in_force, _touches)).returning(
        requests.c.number, exists().where(*has_receiver).label("has_receiver")
    ),
    Made,
)
# Uses an approval, once. Touches no row for one that is not open any more, and none while its call is paused.
CONSUME = Statement(
    update(requests)
    .where(
        requests.c.number == param("number", requests.c.number),
        text("requests.status = 'approved'"),
        requests.c.consumed_at.is_(None),
        requests.c.revoked_at.is_(None),
        requests.c.expires_at > _now,
        ~exists().where(_in_force, text("halts.effect = 'deny'"), _touches),
    )
    .values(set_to(requests, "consumed_at", "consume_key", "due_at"))
)
