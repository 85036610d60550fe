"""What tables are built from: the kinds of columns there are, and the record that every row is.

The one place that says how a kind of value is stored. Which columns there are is for the tables.
"""

from enum import StrEnum
from typing import Any

from pydantic import ConfigDict
from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary
from sqlmodel import Field, SQLModel

from store.types import UtcDateTime, WholeText, word

MAX_ID = 36
BIG = BigInteger().with_variant(Integer(), "sqlite")


def a_time(*, optional: bool = False) -> Any:
    """A UTC time; an optional one is null until it happened."""
    return Field(default=None, sa_type=UtcDateTime) if optional else Field(sa_type=UtcDateTime)


def long_text(*, optional: bool = False) -> Any:
    """Text of any length, kept to the letter."""
    return Field(default=None, sa_type=WholeText) if optional else Field(sa_type=WholeText)


def one_word(vocabulary: type[StrEnum], *, optional: bool = False) -> Any:
    if optional:
        return Field(default=None, sa_type=word(vocabulary))
    return Field(sa_type=word(vocabulary))


def some_bytes(*, optional: bool = False) -> Any:
    return Field(default=None, sa_type=LargeBinary) if optional else Field(sa_type=LargeBinary)


def row_number() -> Any:
    """A row number that the database gives out."""
    return Field(default=None, primary_key=True, sa_type=BIG)


def of_request(*, optional: bool = False) -> Any:
    """The number of the request this row belongs to."""
    return refers_to("requests.number", optional=optional)


def refers_to(column: str, *, optional: bool = False) -> Any:
    """A reference to a row number of another table."""
    if optional:
        return Field(default=None, sa_type=BIG, sa_column_args=[ForeignKey(column)])
    return Field(sa_type=BIG, sa_column_args=[ForeignKey(column)])


class Record(SQLModel):
    """A row as a value: typed, frozen, without any tie to a database session."""

    model_config = ConfigDict(frozen=True)  # type: ignore[assignment]  # SQLModel narrows the type of the key
