"""The statements about a change of the configuration: what is on record of it, and what it puts an end to.

The conventions are those of ``store.statements``.
"""

from typing import NamedTuple

from sqlalchemy import and_, bindparam, func, or_, select, update

from store import tables as t
from store.compiled import Statement
from store.parameters import param, set_to
from store.statements import events, requests

_of_no_request = events.c.request_number.is_(None)
# The newest event of either type among those that are about no request.
LAST_GENERAL_EVENT = Statement(
    select(events)
    .where(
        _of_no_request,
        or_(
            events.c.type == param("type", events.c.type),
            events.c.type == param("other_type", events.c.type),
        ),
    )
    .order_by(events.c.number.desc())
    .limit(1),
    t.Event,
)
LAST_EVENT_NUMBER = Statement(select(func.max(events.c.number)), lambda last: last)
GENERAL_EVENTS_AFTER = Statement(
    select(events)
    .where(_of_no_request, events.c.number > param("number", events.c.number))
    .order_by(events.c.number)
    .limit(bindparam("limit")),
    t.Event,
)

is_open = and_(
    requests.c.status == t.Status.APPROVED,
    requests.c.consumed_at.is_(None),
    requests.c.revoked_at.is_(None),
    requests.c.lapsed_at.is_(None),
)
# What may still come to run waits for a time, so the index over these finds it.
_may_run = and_(requests.c.due_at.is_not(None), or_(requests.c.status == t.Status.PENDING, is_open))


class LiveCalls(NamedTuple):
    """How many requests of an agent for a tool are pending, or approved and not used yet."""

    agent: str
    tool: str
    status: t.Status
    requests: int


LIVE_CALLS = Statement(
    select(requests.c.agent, requests.c.tool, requests.c.status, func.count())
    .where(_may_run)
    .group_by(requests.c.agent, requests.c.tool, requests.c.status),
    LiveCalls,
)
LIVE_REQUESTS_FOR = Statement(
    select(requests.c.number)
    .where(
        _may_run,
        requests.c.agent == param("agent", requests.c.agent),
        requests.c.tool == param("tool", requests.c.tool),
        requests.c.number > param("after", requests.c.number),
    )
    .order_by(requests.c.number)
    .limit(bindparam("limit")),
    int,
)
REVOKE = Statement(
    update(requests)
    .where(requests.c.number == param("number", requests.c.number), is_open)
    .values(set_to(requests, "revoked_at", "revoked_code", "due_at"))
    .returning(requests),
    t.Request,
)
