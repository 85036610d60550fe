"""The statements about provisioners, instances made over the wire, their receivers and notifications.

The conventions are those of ``store.statements``.
"""

from typing import Any

from sqlalchemy import Column, Table, bindparam, exists, insert, select
from sqlmodel import SQLModel

from store import delivery_tables as t  # noqa: F401  # fills the metadata
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
