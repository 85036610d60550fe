"""The statements about overrides: writing one down, and those of one request.

The conventions are those of ``store.statements``. What asks across requests is in a room of its own.
"""

from sqlalchemy import func, insert, select
from sqlmodel import SQLModel

from store import tables as t
from store.compiled import Statement
from store.parameters import param

overrides = SQLModel.metadata.tables["overrides"]


INSERT_OVERRIDE = Statement(
    insert(overrides)
    .values({column.name: param(column.name, column) for column in overrides.c if column.name != "id"})
    .returning(overrides),
    t.Override,
)
OVERRIDES_OF = Statement(
    select(overrides)
    .where(overrides.c.request_number == param("request_number", overrides.c.request_number))
    .order_by(overrides.c.id),
    t.Override,
)
REPORTS_OF = Statement(
    select(func.count()).where(
        overrides.c.request_number == param("request_number", overrides.c.request_number),
        overrides.c.kind == t.OverrideKind.REPORTED,
    ),
    int,
)
