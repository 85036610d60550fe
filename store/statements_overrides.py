"""The statements about overrides: writing one down, and those of one request.

The conventions are those of ``store.statements``. What asks across requests is in a room of its own.
"""

from typing import Any

from sqlalchemy import Column, bindparam, insert, select
from sqlmodel import SQLModel

from store import tables as t
from store.compiled import Statement

overrides = SQLModel.metadata.tables["overrides"]


def _p(name: str, column: Column[Any]) -> Any:
    return bindparam(name, type_=column.type)


INSERT_OVERRIDE = Statement(
    insert(overrides)
    .values({column.name: _p(column.name, column) for column in overrides.c if column.name != "id"})
    .returning(overrides),
    t.Override,
)
OVERRIDES_OF = Statement(
    select(overrides)
    .where(overrides.c.request_number == _p("request_number", overrides.c.request_number))
    .order_by(overrides.c.id),
    t.Override,
)
