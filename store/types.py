"""Column types that both databases understand the same way.

Nothing here knows a table. Every path to the database, the compiled statements and SQLModel's sessions alike,
goes through these processors, so each reads what the other wrote.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, Enum, String
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time with microseconds.

    PostgreSQL keeps it as ``timestamptz``. SQLite has no such type and SQLAlchemy's stand-in drops the zone
    without converting, so there it is fixed-width ISO 8601 text with ``+00:00``, which sorts as time does.

    Raises ``ValueError`` for a naive value: whoever made it did not know which instant was meant.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(32))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        if value.tzinfo is not UTC:
            value = value.astimezone(UTC)
        return value.isoformat(timespec="microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        read = datetime.fromisoformat(value) if isinstance(value, str) else value
        return read if read.tzinfo is UTC else read.astimezone(UTC)


def word(vocabulary: type[StrEnum]) -> Enum:
    """A column holding one word of ``vocabulary``: text with a CHECK constraint, on either database."""
    return Enum(
        vocabulary,
        native_enum=False,
        create_constraint=True,
        values_callable=lambda words: [member.value for member in words],
        name=vocabulary.__name__.lower(),
        length=32,
    )
