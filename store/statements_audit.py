"""The statements of the audit: reading the chain as it is stored, and the record that it must agree with.

The conventions are those of ``store.statements``. Rows come lean: an audit reads all there are.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from store.compiled import Statement
from store.statements import events


class Link(NamedTuple):
    """One event as it is stored: what the chain is checked by."""

    number: int
    at: datetime
    type: str
    request_number: int | None
    body: str
    hash: bytes


_link = (
    events.c.number, events.c.at, events.c.type, events.c.request_number, events.c.body, events.c.hash
)  # fmt: skip
LINKS_AFTER = Statement(
    select(*_link)
    .where(events.c.number > bindparam("number", type_=events.c.number.type))
    .order_by(events.c.number)
    .limit(bindparam("limit")),
    Link,
)
LAST_LINK = Statement(select(*_link).order_by(events.c.number.desc()).limit(1), Link)
EVENT_COUNT = Statement(select(func.count()).select_from(events), int)
# Times run with the numbers but for a clock that was set back, so this is where an export begins.
LAST_BEFORE = Statement(
    select(func.max(events.c.number)).where(events.c.at < bindparam("at", type_=events.c.at.type)),
    lambda number: number,
)


class EventMark(NamedTuple):
    """An event by its number and hash."""

    number: int
    hash: bytes


LAST_MARK_OF = Statement(
    select(events.c.number, events.c.hash)
    .where(events.c.request_number == bindparam("request_number", type_=events.c.request_number.type))
    .order_by(events.c.number.desc())
    .limit(1),
    EventMark,
)
