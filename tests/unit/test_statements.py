"""Every statement of the house is one that both databases take, with the same parameters and the same columns."""

import importlib
import pkgutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.types import NullType, TypeDecorator

import store
from store import statements
from store.compiled import Statement, postgresql
from store.types import UtcDateTime, Word
from tests.conftest import START


def _statements() -> Iterator[tuple[str, Statement[Any]]]:
    for module in pkgutil.iter_modules(store.__path__):
        if module.name.startswith("statements"):
            for name, value in vars(importlib.import_module(f"store.{module.name}")).items():
                if isinstance(value, Statement):
                    yield f"{module.name}.{name}", value


STATEMENTS = dict(_statements())


def _samples(statement: Statement[Any]) -> dict[str, Any]:
    """A value of the right type for each parameter of ``statement``."""
    compiled = statement._on_postgresql.compile(dialect=postgresql())  # type: ignore[attr-defined]  # every construct has it
    return {name: _sample(bind.type) for name, bind in compiled.binds.items() if bind.required}


def _sample(kind: Any) -> Any:
    if isinstance(kind, UtcDateTime):
        return START
    if isinstance(kind, Word):
        return next(iter(kind.enum_class))
    kind = kind.impl_instance if isinstance(kind, TypeDecorator) else kind
    if isinstance(kind, NullType):
        return 1  # a limit
    # A text that may be a list, too: see store.among.
    return {str: "[]", int: 1, bytes: b"x", bool: False, datetime: START}[kind.python_type]


def test_both_forms_take_the_same_parameters() -> None:
    assert len(STATEMENTS) > 150
    for name, statement in STATEMENTS.items():
        assert (name, statement.parameters) == (name, statement.postgresql.parameters)


async def test_postgresql_takes_every_statement(postgres_url: str) -> None:
    """Each is parsed against the real tables, run with a value for each parameter, and what it returns is loaded."""
    connection = await asyncpg.connect(postgres_url)
    faults = []
    for name, statement in STATEMENTS.items():
        form = statement.postgresql
        undone = connection.transaction()
        await undone.start()
        try:
            prepared = await connection.prepare(form.sql)
            columns = [attribute.name for attribute in prepared.get_attributes()]
            if form._load is not None:
                assert columns, "returns no rows"
            rows = await prepared.fetch(*form.bind(_samples(statement)))
            if form._load is not None:
                [form.load(list(row.values())) for row in rows]
        except asyncpg.ForeignKeyViolationError:
            pass  # it ran: it speaks of a row that is not there
        except Exception as error:
            faults.append(f"{name}: {error!r}")
        await undone.rollback()
    await connection.close()
    assert faults == []


def test_sqlite_takes_every_statement(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for statement in STATEMENTS.values():
            connection.execute("BEGIN")
            rows = connection.execute(statement.sql, statement.bind(_samples(statement))).fetchall()
            if statement._load is not None:
                [statement.load(row) for row in rows]
            connection.execute("ROLLBACK")


@pytest.mark.parametrize("name", ["REQUEST_OF_LIVE_INSTANCE", "REPORT_OUTCOME_AT_ONCE"])
async def test_a_request_is_found_by_its_id_though_postgresql_plans_with_empty_tables(
    name: str, postgres_url: str
) -> None:
    statement: Statement[Any] = getattr(statements, name)
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE it AS {statement.postgresql.sql}")
        nulls = ", ".join(["NULL"] * len(statement.postgresql.bind(dict.fromkeys(statement.postgresql.parameters))))
        plan = [row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE it({nulls})")]
    finally:
        await connection.close()
    of_requests = next(at for at, line in enumerate(plan) if " on requests" in line and "Update" not in line)
    assert "using requests_id_key on requests" in plan[of_requests], plan
