"""A column compared with a list whose length only the caller knows, in a statement that is compiled once.

The list is bound as one text of JSON. The one place that knows how each database takes that apart.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement


class _Condition(FunctionElement[bool]):
    """What is a condition as it stands: SQLAlchemy would compare it with 1, at a cost for each row."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> "_Condition":
        return self


class _Among(_Condition):
    inherit_cache = True


def among(column: Column[Any], name: str) -> ColumnElement[bool]:
    """Whether ``column`` holds one of the values of the parameter ``name``, which is bound as ``as_list`` has it."""
    return _Among(column, bindparam(name, type_=Text()))


def list_holds(column: Column[Any], name: str) -> ColumnElement[bool]:
    """Whether the JSON list in ``column`` holds one of the values of the parameter ``name``."""
    return _ListHolds(column, bindparam(name, type_=Text()))


class _ListHolds(_Condition):
    inherit_cache = True


def as_list(values: Iterable[str] | Iterable[int]) -> str:
    """Write ``values`` as the text that the parameter of ``among`` takes."""
    return json.dumps(sorted(values))


def list_of(text: str) -> list[str]:
    """Read a JSON list of names, as a column holds it."""
    return [str(one) for one in json.loads(text)]


@compiles(_Among, "sqlite")
def _among_in_sqlite(element: _Among, compiler: Any, **given: Any) -> str:
    column, values = (compiler.process(one, **given) for one in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({values})))"  # noqa: S608  # of compiled parts, no values


@compiles(_Among, "postgresql")
def _among_in_postgresql(element: _Among, compiler: Any, **given: Any) -> str:
    column, values = (compiler.process(one, **given) for one in element.clauses)
    kind = "bigint" if isinstance(next(iter(element.clauses)).type, BigInteger) else "text"
    return f"({column} IN (SELECT value::{kind} FROM jsonb_array_elements_text(({values})::jsonb)))"  # noqa: S608  # of compiled parts, no values


@compiles(_ListHolds, "sqlite")
def _list_holds_in_sqlite(element: _ListHolds, compiler: Any, **given: Any) -> str:
    column, values = (compiler.process(one, **given) for one in element.clauses)
    held = f"SELECT held.value FROM json_each({column}) AS held"  # noqa: S608  # of compiled parts, no values
    return f"EXISTS ({held} WHERE held.value IN (SELECT value FROM json_each({values})))"  # noqa: S608  # of compiled parts, no values


@compiles(_ListHolds, "postgresql")
def _list_holds_in_postgresql(element: _ListHolds, compiler: Any, **given: Any) -> str:
    column, values = (compiler.process(one, **given) for one in element.clauses)
    wanted = f"SELECT wanted FROM jsonb_array_elements_text(({values})::jsonb) AS wanted"  # noqa: S608  # of compiled parts, no values
    return f"({column})::jsonb ?| ARRAY({wanted})"
