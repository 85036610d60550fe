"""News for receivers: that a request was decided, for whoever does not wait for it on an open line.

Written in the transaction of the decision, for an instance that has a receiver then; sent until acknowledged. A
notification carries no outcome: its receiver reads the request.
"""

import json
from datetime import datetime

from uuid_utils import uuid7

from bot.changes import NotificationsFilled
from store import statements_delivery as statements
from store.tables import Request
from store.unit import Unit

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True)


async def notify_resolved(unit: Unit, request: Request, now: datetime) -> None:
    """Write the ``request.resolved`` of a request that was just decided, if its instance has a receiver."""
    if request.decided_at is None:
        raise ValueError(f"request {request.id} is not decided")
    event_id = str(uuid7())
    body = _ENCODER.encode(
        {
            "id": event_id,
            "type": "request.resolved",
            "instance_id": request.instance_id,
            "request_id": request.id,
            "created_at": timestamp(request.decided_at),
        }
    )
    written = await unit.run(
        statements.INSERT_NOTIFICATION,
        id=event_id,
        instance_id=request.instance_id,
        request_number=request.number,
        body=body,
        created_at=request.decided_at,
        due_at=now,
    )
    if written:
        unit.announce(NotificationsFilled())


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds and ``Z``, as the agents' protocol has it."""
    return at.isoformat(timespec="microseconds")[:26] + "Z"
