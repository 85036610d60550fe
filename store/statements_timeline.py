"""The statements behind the time line of one request: its events, in pages.

The conventions are those of ``store.statements``.
"""

from sqlalchemy import bindparam, func, select

from store import tables as t
from store.compiled import Statement
from store.parameters import param
from store.statements import events

_of_request = events.c.request_number == param("request_number", events.c.request_number)

EVENT_COUNT_OF = Statement(select(func.count()).select_from(events).where(_of_request), int)
EVENTS_PAGE_OF = Statement(
    select(events).where(_of_request).order_by(events.c.number).limit(bindparam("limit")).offset(bindparam("offset")),
    t.Event,
)
