"""The statements by which an agent's owners are told, once a burst, of requests that expired.

The conventions are those of ``store.statements``. Each expiry leaves an intent of its own on its agent's lane; whoever
carries the first one out tells of all of them.
"""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select
from sqlmodel import SQLModel

from store.compiled import Statement
from store.parameters import param
from store.tables import IntentKind, Request

requests = SQLModel.metadata.tables["requests"]
outbox = SQLModel.metadata.tables["outbox"]


class Gathered(NamedTuple):
    """How many intents there are, and the id of the newest."""

    number: int
    last: int | None


# One lane may hold two agents' whose long names begin alike.
_of_agent = outbox.c.request_number.in_(
    select(requests.c.number).where(requests.c.agent == param("agent", requests.c.agent)).scalar_subquery()
)
_gathered = (
    outbox.c.lane == param("lane", outbox.c.lane),
    outbox.c.kind == IntentKind.TELL_OWNERS,
    outbox.c.id <= param("last", outbox.c.id),
    _of_agent,
)
GATHERED = Statement(select(func.count(), func.max(outbox.c.id)).where(*_gathered), Gathered)
NEWEST_GATHERED = Statement(
    select(requests)
    .join(outbox, outbox.c.request_number == requests.c.number)
    .where(
        outbox.c.lane == param("lane", outbox.c.lane),
        outbox.c.kind == IntentKind.TELL_OWNERS,
        outbox.c.id <= param("last", outbox.c.id),
        requests.c.agent == param("agent", requests.c.agent),
    )
    .order_by(outbox.c.id.desc())
    .limit(bindparam("limit")),
    Request,
)
FORGET_GATHERED = Statement(delete(outbox).where(*_gathered))
