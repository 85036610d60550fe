"""Appending to the chain of events on PostgreSQL, where several replicas do: at the very end of a transaction.

The chain's head is read, the hashes are computed and the events are written by one statement of the server's, which
goes with the commit in one message: so the lock of the head is held for no way to the server and back.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, Text, column, func, insert, literal_column, select
from sqlalchemy.dialects.postgresql import BYTEA

from store.compiled import postgresql
from store.statements import CHAIN_START, events

HEAD = 0x5349_4748
"""The advisory lock of the chain's head: the last that a transaction takes."""

_NAME = "signoff_append"


@dataclass(frozen=True, slots=True)
class Appended:
    """An event that is still to be chained and numbered."""

    at: datetime
    type: str
    request_number: int | None
    body: str


def append_sql(appended: Sequence[Appended]) -> str:
    """Return the statements that append events in this order, in a transaction with READ COMMITTED.

    ``PREPARE_APPEND`` was run before on the connection. There are values in it, in hexadecimal: parameters would want a
    message for each statement.
    """
    rows = [
        {"at_": one.at.isoformat(), "n": at, "type_": one.type, "of": one.request_number, "body_": one.body}
        for at, one in enumerate(appended, start=1)
    ]
    # The second statement sees what was committed by whoever had the lock before.
    return f"SELECT pg_advisory_xact_lock({HEAD}); EXECUTE {_NAME}('{json.dumps(rows).encode().hex()}'); "


def _insert() -> str:
    columns = events.c
    given = select(
        func.json_to_recordset(literal_column("convert_from(decode($1, 'hex'), 'UTF8')::json"))
        .table_valued(
            column("n", Integer),
            column("at_", columns.at.type),
            column("type_", Text),
            column("of", columns.request_number.type),
            column("body_", Text),
            name="given_rows",
        )
        .render_derived(with_types=True)
    ).cte("given")
    start = literal_column(f"'\\x{CHAIN_START.hex()}'::bytea", BYTEA)
    head = select(columns.hash).order_by(columns.number.desc()).limit(1).scalar_subquery()
    chained = select(literal_column("0", Integer).label("n"), func.coalesce(head, start).label("hash")).cte(
        "chained", recursive=True
    )
    text = func.convert_to(given.c.body_, literal_column("'UTF8'"))
    one_more = chained.c.n + literal_column("1")
    following = select(one_more, func.sha256(chained.c.hash.op("||")(text))).join_from(
        chained, given, given.c.n == one_more
    )
    chained = chained.union_all(following)
    last = select(func.coalesce(func.max(columns.number), literal_column("0"))).scalar_subquery()
    new = {
        "number": last + given.c.n,
        "at": given.c.at_,
        "type": given.c.type_,
        "request_number": given.c.of,
        "body": given.c.body_,
        "hash": chained.c.hash,
    }
    rows = select(*new.values()).join_from(given, chained, chained.c.n == given.c.n)
    written = insert(events).from_select(list(new), rows)
    return str(written.compile(dialect=postgresql(), compile_kwargs={"literal_binds": True}))


PREPARE_APPEND = f"PREPARE {_NAME}(text) AS {_insert()}"
"""What each connection that appends runs once: to plan that statement takes longer than to run it."""
