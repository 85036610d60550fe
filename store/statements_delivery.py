"""The statements about provisioners, instances made over the wire, their receivers and notifications.

The conventions are those of ``store.statements``.
"""

from typing import Any

from sqlalchemy import Column, Table, bindparam, exists, func, insert, or_, select, update
from sqlmodel import SQLModel

from store import delivery_tables as t
from store.compiled import Statement

deliveries = SQLModel.metadata.tables["deliveries"]
notifications = SQLModel.metadata.tables["notifications"]


def _p(name: str, column: Column[Any]) -> Any:
    return bindparam(name, type_=column.type)


def _given(table: Table, *names: str) -> dict[str, Any]:
    """A parameter for each of the columns."""
    return {name: _p(name, table.c[name]) for name in names}


# Touches a row only where the instance has a receiver at this moment.
_new_notification = {
    **_given(notifications, "id", "instance_id", "request_number", "body", "created_at", "due_at"),
    "attempts": 0,
    "fence": 0,
}
INSERT_NOTIFICATION = Statement(
    insert(notifications).from_select(
        list(_new_notification),
        select(
            *(
                value if not isinstance(value, int) else bindparam(f"{name}_", value, type_=notifications.c[name].type)
                for name, value in _new_notification.items()
            )
        ).where(
            exists().where(
                deliveries.c.instance_id == _p("instance_id", deliveries.c.instance_id), deliveries.c.ended_at.is_(None)
            )
        ),
    )
)

# --- receivers --------------------------------------------------------------------------------------------

DELIVERY = Statement(
    select(deliveries).where(
        deliveries.c.instance_id == _p("instance_id", deliveries.c.instance_id), deliveries.c.ended_at.is_(None)
    ),
    t.Delivery,
)

# --- notifications ----------------------------------------------------------------------------------------

_now = _p("now", notifications.c.created_at)


def _set(*names: str) -> dict[str, Any]:
    """A parameter for each of the columns that an UPDATE sets."""
    return {name: bindparam(f"{name}_", type_=notifications.c[name].type) for name in names}


_due = (
    notifications.c.due_at.is_not(None)
    & (notifications.c.due_at <= _now)
    & or_(notifications.c.leased_until.is_(None), notifications.c.leased_until <= _now)
)
CLAIM_NOTIFICATIONS = Statement(
    update(notifications)
    .where(
        notifications.c.id.in_(
            select(notifications.c.id)
            .where(_due)
            .order_by(notifications.c.due_at, notifications.c.id)
            .limit(bindparam("limit"))
            .scalar_subquery()
        )
    )
    .values(
        attempts=notifications.c.attempts + 1,
        fence=notifications.c.fence + 1,
        **_set("leased_by", "leased_until"),
    )
    .returning(notifications),
    t.Notification,
)
_leased = (notifications.c.id == _p("notification_id", notifications.c.id)) & (
    notifications.c.fence == _p("is_fence", notifications.c.fence)
)
NOTIFICATION_DELIVERED = Statement(
    update(notifications)
    .where(_leased)
    .values(leased_by=None, leased_until=None, **_set("delivered_at", "due_at", "last_code"))
)
POSTPONE_NOTIFICATION = Statement(
    update(notifications)
    .where(_leased, notifications.c.due_at.is_not(None))  # delivery may have ended meanwhile
    .values(leased_by=None, leased_until=None, **_set("due_at", "attempts", "last_code"))
)
GIVE_UP_OLD = Statement(
    update(notifications)
    .where(_due, notifications.c.created_at <= _p("before", notifications.c.created_at))
    .values(**_set("given_up_at", "due_at"))
)
GIVE_UP_OF_INSTANCE = Statement(
    update(notifications)
    .where(
        notifications.c.instance_id == _p("instance_id", notifications.c.instance_id),
        notifications.c.due_at.is_not(None),
    )
    .values(**_set("given_up_at", "due_at"))
)
# A new receiver is told at once what the old one did not take.
HURRY_OF_INSTANCE = Statement(
    update(notifications)
    .where(
        notifications.c.instance_id == _p("instance_id", notifications.c.instance_id),
        notifications.c.due_at.is_not(None),
    )
    .values(**_set("due_at"))
)
NEXT_NOTIFICATION_DUE = Statement(
    select(func.min(func.coalesce(notifications.c.leased_until, notifications.c.due_at))).where(
        notifications.c.due_at.is_not(None)
    ),
    lambda at: at,
)
WAITING_NOTIFICATIONS = Statement(
    select(func.count()).select_from(notifications).where(notifications.c.due_at.is_not(None)), int
)
RELEASE_NOTIFICATIONS = Statement(
    update(notifications).where(notifications.c.due_at.is_not(None)).values(leased_by=None, leased_until=None)
)
