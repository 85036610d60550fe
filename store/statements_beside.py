"""The statements that a unit may run on PostgreSQL beside other such units, and why that is sound.

Every other unit has the database to itself while it writes (see ``store.postgres``). A unit that runs beside others
holds the writers' lock together with them, and runs these statements and no other: whichever asks for another one is
undone and run again, alone. So is one that refuses, or whose write touches no row, because somebody was faster or there
is something to be explained: what an agent is refused is always found out alone. What is left is sound because

- what no statement here writes stays as it is while the lock is shared: halts, instances, receivers, rules. A pause
  waits for those who consume, and has them wait until it is committed;
- each write names the state that it leaves, row locks let one of two through, and all that a unit read of a request
  before is never written by another statement here, or only once: when it was consumed, what its outcome was;
- nobody reads here how many of something there are, or what another request is;
- the chain's head is locked when all else is done, until the commit (``store.statements_chain``).

A statement may be added if all this stays true with it. Numbers of requests are given out before the commit: one with a
lower number may be committed after one with a higher (``bot.digests`` waits for it).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from store import statements, statements_delivery, statements_halts
from store.compiled import Statement

BESIDE: Mapping[Statement[Any], tuple[str, ...]] = {
    statements_halts.HALTS_TOUCHING: (),
    statements.REQUEST_OF_LIVE_INSTANCE: (),
    statements.REQUEST_BY_ID: (),
    statements.RULE_VERSION: (),
    statements_delivery.DELIVERY: (),
    statements_halts.INSERT_APPROVED_REQUEST: ("instance_id", "create_key"),
    statements.INSERT_REQUEST: ("instance_id", "create_key"),
    statements_halts.CONSUME: ("number",),
    statements.REPORT_OUTCOME_AT_ONCE: ("id",),
    statements_delivery.INSERT_NOTIFICATION: ("id",),
}
"""Each with the parameters by which those of several units are ordered, so that replicas lock rows in one order."""


@cache
def once_each(statement: Statement[Any]) -> str:
    """Return a statement that gives exactly one row: whether there was one, and it.

    That can be run for many units in one go, which gives all rows in one list: it must be known whose is which. Where
    there are several rows it gives several; whoever counts them knows that they belong to nobody.
    """
    sql = statement.postgresql.sql
    if statement.is_write and " RETURNING " not in sql.replace("\n", " "):
        sql += " RETURNING true AS done"
    return (
        f"WITH found AS ({sql}) SELECT it.* FROM (SELECT 1) AS once "  # noqa: S608  # of compiled parts, no values
        "LEFT JOIN (SELECT true AS is_there, found.* FROM found) AS it ON true"
    )
