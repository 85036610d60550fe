"""Calls decided by rule on PostgreSQL without HTTP, a process of its own: what T9 is compared with.

``raw`` runs the same statements with asyncpg and nothing else: every client has a connection, and each of the three
steps is a transaction, one statement after the other, in whose last part it alone appends to the chain of events. No
rules, no records, nothing is gathered. ``use-cases`` is Signoff's own code under its HTTP surface, on one store.

``python -m benchmarks.postgres_load KIND URL PID CLIENTS SECONDS`` prints what came of it; PID is the database
server's. The database must have been served, with the rules and the instance of the benchmark and a call on record.
"""

import asyncio
import hashlib
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from benchmarks.postgres import cpu_seconds
from benchmarks.steps import CONFIG, Everybody
from bot.approvals import Approvals
from bot.call import parse_submission
from bot.clock import monotonic_clock
from bot.config import parse_settings
from bot.creation import Creation
from bot.rulebook import Rulebook
from store import statements, statements_halts, statements_instances
from store.compiled import Statement
from store.postgres import PostgresStore
from store.tables import Event, OutcomeStatus, Request

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_PLANNED_AFTER = 8  # PostgreSQL plans a prepared statement anew five times
_HEAD = "SELECT pg_advisory_xact_lock(7)"

Cycle = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Load:
    """What came of it: cycles a second, and the processor time of each, of this process and of PostgreSQL's."""

    per_second: float
    cpu_microseconds: float
    database_cpu_microseconds: float


class _Raw:
    """One client with its connection. ``like`` is the request that its own are copies of, ``its`` that one's events."""

    def __init__(self, connection: asyncpg.Connection, like: Request, its: Sequence[Event]) -> None:
        self._connection = connection
        self._like = like.__dict__
        self._events = {event.type: event for event in its}

    async def cycle(self) -> None:
        now = self._like["created_at"] + timedelta(seconds=1)
        halted = {"agent": self._like["agent"], "rule": "by rule", "now": now}
        names = {"id": str(uuid.uuid4()), "create_key": uuid.uuid4().hex}
        run, one = self._connection.execute, self._one
        await run(_BEGIN)
        row = await one(statements_halts.INSERT_APPROVED_REQUEST, self._like | names | halted)
        number = row[0]
        await self._append(number, "request.made", "request.decided")
        await run("COMMIT")

        await run(_BEGIN)
        await one(statements.REQUEST_OF_LIVE_INSTANCE, self._like | names)
        used = {"consumed_at_": now, "consume_key_": names["create_key"], "due_at_": now}
        await run(*_bound(statements_halts.CONSUME, {"number": number, **halted, **used}))
        await self._append(number, "request.consumed")
        await run("COMMIT")

        await run(_BEGIN)
        done = {"outcome_": OutcomeStatus.SUCCEEDED, "outcome_note_": None, "now": now}
        await one(statements.REPORT_OUTCOME_AT_ONCE, self._like | names | done)
        await self._append(number, "outcome.reported")
        await run("COMMIT")

    async def _append(self, number: int, *types: str) -> None:
        await self._connection.execute(_HEAD)
        row = await self._one(statements.CHAIN_HEAD, {})
        head: bytes = row[0]
        for type_ in types:
            event = self._events[type_]
            head = hashlib.sha256(head + event.body.encode()).digest()
            values = event.__dict__ | {"hash": head, "request_number": number}
            await self._connection.execute(*_bound(statements.INSERT_EVENT, values))

    async def _one(self, statement: Statement[Any], values: dict[str, Any]) -> Any:
        return await self._connection.fetchrow(*_bound(statement, values))


def _bound(statement: Statement[Any], values: dict[str, Any]) -> list[Any]:
    return [statement.postgresql.sql, *statement.postgresql.bind(values)]


async def _run(cycles: Sequence[Cycle], database: int, seconds: float) -> Load:
    """Run cycles side by side, each a few times before anything is measured: then every statement is planned."""
    done = 0

    async def repeat(cycle: Cycle, until: float) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await cycle()
            done += 1

    async def warm_up(cycle: Cycle) -> None:
        for _ in range(_PLANNED_AFTER):
            await cycle()

    await asyncio.gather(*map(warm_up, cycles))
    done, before, began = 0, (time.process_time(), cpu_seconds(database)), time.perf_counter()
    await asyncio.gather(*(repeat(cycle, began + seconds) for cycle in cycles))
    elapsed = time.perf_counter() - began
    own, its = time.process_time() - before[0], cpu_seconds(database) - before[1]
    return Load(done / elapsed, own / done * 1e6, its / done * 1e6)


async def raw(url: str, database: int, clients: int, seconds: float) -> Load:
    """Run the statements, nothing else."""
    store = await PostgresStore.open(url)
    like = await store.read(lambda unit: unit.one(statements.REQUEST, number=1))
    its = await store.read(lambda unit: unit.all(statements.EVENTS_OF, request_number=1))
    await store.close()
    if like is None:
        raise LookupError("no call is on record")
    connections = [await asyncpg.connect(url) for _ in range(clients)]
    load = await _run([_Raw(connection, like, its).cycle for connection in connections], database, seconds)
    for connection in connections:
        await connection.close()
    return load


async def use_cases(url: str, database: int, clients: int, seconds: float) -> Load:
    """Run Signoff's use cases."""
    store = await PostgresStore.open(url)
    clock = monotonic_clock()
    rulebook = await Rulebook.load(store, parse_settings(CONFIG.encode(), {}, source="benchmark"), clock)
    creation, approvals = Creation(store, clock, rulebook, Everybody(clock)), Approvals(store, clock, rulebook)
    instances = await store.read(lambda unit: unit.all(statements_instances.ALL_INSTANCES))
    call = parse_submission(b'{"tool": "look_up", "arguments": {"customer": "c_123"}, "timeout": "1h"}')

    async def cycle() -> None:
        key = uuid.uuid4().hex
        request, _ = await creation.submit(instances[0], call, key)
        await approvals.consume(instances[0], request.id, key)
        await approvals.report_outcome(instances[0], request.id, OutcomeStatus.SUCCEEDED, None)

    load = await _run([cycle] * clients, database, seconds)
    await store.close()
    return load


if __name__ == "__main__":
    kind, url, *numbers = sys.argv[1:]
    database, clients, seconds = map(int, numbers)
    measure = {"raw": raw, "use-cases": use_cases}[kind]
    sys.stdout.write(json.dumps(asdict(asyncio.run(measure(url, database, clients, seconds)))))
