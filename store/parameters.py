"""Parameters of statements, typed as the columns that they are compared with or put into."""

from typing import Any

from sqlalchemy import Column, Table, bindparam


def param(name: str, column: Column[Any]) -> Any:
    """A parameter that is written as ``column`` is."""
    return bindparam(name, type_=column.type)


def given(table: Table, *left_out: str) -> dict[str, Any]:
    """A parameter for each column, but those that the database fills or that start as null."""
    return {column.name: param(column.name, column) for column in table.c if column.name not in left_out}


def given_only(table: Table, *names: str) -> dict[str, Any]:
    """A parameter for each of the columns; the others start as null or by their default."""
    return {name: param(name, table.c[name]) for name in names}


def set_to(table: Table, *names: str) -> dict[str, Any]:
    """A parameter ``name_`` for each of the columns that an UPDATE sets."""
    return {name: param(f"{name}_", table.c[name]) for name in names}
