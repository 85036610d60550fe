"""Column types that both databases understand the same way.

Nothing here knows a table. Every path to the database, the compiled statements and SQLModel's sessions alike,
goes through these processors, so each reads what the other wrote.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import DateTime, Dialect, Enum, String, Text
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
        return _to_text_or_none(value) if dialect.name == "sqlite" else _or_none(_to_utc)(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else _from_text(value) if dialect.name == "sqlite" else _to_utc(value)

    # The same, without the layers that SQLAlchemy puts around the two above: these run dozens of times a request.

    def bind_processor(self, dialect: Dialect) -> Any:
        return _to_text_or_none if dialect.name == "sqlite" else _or_none(_to_utc)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        return _from_text_or_none if dialect.name == "sqlite" else _or_none(_to_utc)


def _to_utc(value: datetime) -> datetime:
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise ValueError(f"a time without a zone: {value!r}")
    return value.astimezone(UTC)


def _from_text(value: str) -> datetime:
    return _to_utc(datetime.fromisoformat(value))


# One request's few times are written and read many times within moments: as columns, in events, by the next call.
_REMEMBERED_TIMES = 4_096


def _to_text_or_none(value: datetime | None) -> str | None:
    return None if value is None else _utc_to_text(_to_utc(value))


# By times in UTC alone: in the hour that a zone has twice, two moments are equal, and the first would stand for both.
@lru_cache(_REMEMBERED_TIMES)
def _utc_to_text(value: datetime) -> str:
    return value.isoformat(timespec="microseconds")


@lru_cache(_REMEMBERED_TIMES)
def _from_text_or_none(value: str | None) -> datetime | None:
    return None if value is None else _from_text(value)


def _or_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


class WholeText(TypeDecorator[str]):
    """Text of any length, kept to the letter.

    PostgreSQL takes no U+0000 in a text, which an agent may well send. There a mark and a digit stand for it, and for
    the mark itself.
    """

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        return None if dialect.name == "sqlite" else _or_none(_without_nul)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        return None if dialect.name == "sqlite" else _or_none(_with_nul)


_MARK = "\ue000"  # of the private use area
_NUL, _ITSELF = f"{_MARK}0", f"{_MARK}1"
_WRITTEN = re.compile(f"{_MARK}([01])")


def _without_nul(value: str) -> str:
    if "\0" not in value and _MARK not in value:
        return value
    return value.replace(_MARK, _ITSELF).replace("\0", _NUL)


def _with_nul(value: str) -> str:
    if _MARK not in value:
        return value
    return _WRITTEN.sub(lambda found: "\0" if found[1] == "0" else _MARK, value)


class Word(Enum):
    """An ``Enum`` of one of our vocabularies, whose values pass in and out by one look-up each.

    A word that is not in the vocabulary raises ``KeyError``.
    """

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        # A member is a str, and yet sqlite3 is twice as fast with a plain one.
        texts: dict[Any, str | None] = {None: None, **{one: str(one.value) for one in self.enum_class or ()}}
        return texts.__getitem__

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        words: dict[str | None, Any] = {None: None, **{word.value: word for word in self.enum_class or ()}}
        return words.__getitem__


def word(vocabulary: type[StrEnum]) -> Word:
    """A column holding one word of ``vocabulary``: text with a CHECK constraint, on either database."""
    return Word(
        vocabulary,
        native_enum=False,
        create_constraint=True,
        values_callable=lambda words: [member.value for member in words],
        name=vocabulary.__name__.lower(),
        length=32,
    )
