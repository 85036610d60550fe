"""store.postgres_beside: who runs beside others on PostgreSQL, and that whoever must be alone is."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.sql import visitors

from bot.events import EventType, append_event
from store import statements, statements_audit, statements_halts, statements_instances
from store.postgres import PostgresStore
from store.postgres_connections import TURN
from store.statements_beside import BESIDE, once_each
from store.unit import StoreUnavailable, Unit
from tests.conftest import START
from tests.scenario.service_support import assert_sound
from tests.unit.test_stores import take

INSTANCE = {"id": "i1", "name": "till", "agent": "refund-bot", "created_at": START}


@pytest.fixture
async def replicas(postgres_url: str) -> AsyncIterator[list[PostgresStore]]:
    stores = [await PostgresStore.open(postgres_url) for _ in range(2)]
    await stores[0].write(lambda unit: unit.run(statements_instances.INSERT_INSTANCE, **instance_values()))
    yield stores
    for store in stores:
        await store.close()


def instance_values() -> dict[str, Any]:
    columns = statements.instances.c.keys()
    return dict.fromkeys(columns) | INSTANCE


def new_request(key: str) -> dict[str, Any]:
    """A call that a rule approved, as it is written."""
    return dict.fromkeys(statements.requests.c.keys()) | {
        "id": f"r-{key}", "instance_id": "i1", "agent": "refund-bot", "create_key": key, "submission_digest": b"s",
        "tool": "look_up", "arguments": "{}", "timeout": "1h", "canonical_version": 1, "digest": b"d", "salt": b"x",
        "created_at": START, "deadline_at": START + timedelta(hours=1),
        "status": "approved", "decided_at": START, "decided_by_kind": "rule", "expires_at": START + timedelta(hours=1),
    }  # fmt: skip


def make(key: str, seen: list[type[Unit]] | None = None, *, then: Any = None) -> Any:
    """Work that writes a request with an event; ``seen`` hears as what it ran, ``then`` is what it does after that."""

    async def work(unit: Unit) -> int | None:
        if seen is not None:
            seen.append(type(unit))
        number = await unit.one(statements.INSERT_REQUEST, **new_request(key))
        if number is None:
            raise LookupError(key)
        await append_event(unit, START, EventType.REQUEST_MADE, None, name=key)
        unit.announce(key)
        if then is not None:
            await then(unit)
        return number

    return work


async def keys_of(store: PostgresStore) -> tuple[list[str], list[str]]:
    """The keys of all requests, and those that events tell of, in the order of these."""
    links = await store.read(lambda unit: unit.all(statements_audit.LINKS_AFTER, number=0, limit=1000))
    assert [link.number for link in links] == list(range(1, len(links) + 1))
    connection = await asyncpg.connect(store._url)
    rows = await connection.fetch("SELECT create_key FROM requests ORDER BY create_key")
    await connection.close()
    return [key for (key,) in rows], [json.loads(link.body)["name"] for link in links]


def alone(seen: list[type[Unit]]) -> list[str]:
    return [one.__name__ for one in seen]


def test_what_runs_beside_writes_nothing_that_it_relies_on() -> None:
    """See the reasons in ``store.statements_beside``. Whoever adds a statement finds out here what it must keep."""
    written: set[str] = set()
    read: set[str] = set()
    for statement in BESIDE:
        clause: Any = statement._on_postgresql
        tables = {one.name for one in visitors.iterate(clause) if one.__visit_name__ == "table"}
        if statement.is_write:
            written.add(clause.table.name)
            tables.discard(clause.table.name)
        read |= tables
    # Of the one table that is both, each write names the state it leaves.
    assert written == {"requests", "notifications"}
    assert read & written == {"requests"}
    assert read == {"requests", "halts", "instances", "deliveries", "rule_versions"}
    assert {
        statements_halts.CONSUME,
        statements.REPORT_OUTCOME_AT_ONCE,
        statements_halts.INSERT_APPROVED_REQUEST,
    } < set(BESIDE)


async def test_each_is_a_statement_to_postgresql_in_the_form_that_runs_it_for_many(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    for statement in BESIDE:
        await connection.prepare(once_each(statement))
    await connection.close()


async def test_many_run_in_one_transaction_in_the_order_in_which_they_came(replicas: list[PostgresStore]) -> None:
    seen: list[type[Unit]] = []
    heard: list[object] = []
    replicas[0].subscribe(heard.append)
    made = await asyncio.gather(*(replicas[0].write_beside(make(f"{at:02}", seen)) for at in range(40)))
    assert sorted(made) == list(range(1, 41))
    names = [f"{at:02}" for at in range(40)]
    assert await keys_of(replicas[0]) == (names, names)
    assert heard == names
    assert alone(seen) == ["BesideUnit"] * 40


async def test_whoever_refuses_is_asked_again_alone_and_the_others_are_kept(replicas: list[PostgresStore]) -> None:
    here, there = replicas
    assert await there.write_beside(make("a")) == 1
    seen: list[type[Unit]] = []
    results = await asyncio.gather(
        here.write_beside(make("a", seen)), here.write_beside(make("b")), return_exceptions=True
    )
    assert [type(result) for result in results] == [LookupError, int]
    assert alone(seen) == ["BesideUnit", "PostgresUnit"]
    assert await keys_of(here) == (["a", "b"], ["a", "b"])


async def _refuse(unit: Unit) -> None:
    raise LookupError("refused")


async def _wait_for_the_world(unit: Unit) -> None:
    await asyncio.sleep(0)


async def _be_alone(unit: Unit) -> None:
    await unit.be_alone()


async def _ask_for_more(unit: Unit) -> None:
    await unit.one(statements.INTENT_COUNT)


@pytest.mark.parametrize("then", [_refuse, _be_alone, _ask_for_more, _wait_for_the_world], ids=lambda it: it.__name__)
async def test_whoever_has_written_and_must_be_alone_undoes_all_and_all_run_again(
    replicas: list[PostgresStore], then: Any
) -> None:
    seen: list[type[Unit]] = []
    heard: list[object] = []
    replicas[0].subscribe(heard.append)
    results = await asyncio.gather(
        *(replicas[0].write_beside(make(key, seen, then=then if key == "b" else None)) for key in "abc"),
        return_exceptions=True,
    )
    kept = ["a", "c"] if then is _refuse else ["a", "b", "c"]
    assert [type(result) for result in results] == [int, LookupError if then is _refuse else int, int]
    assert await keys_of(replicas[0]) == (kept, kept)
    assert heard == kept
    assert alone(seen)[:3] == ["BesideUnit"] * 3
    assert set(alone(seen)[3:]) == {"PostgresUnit"}


async def test_a_unit_that_wrongly_says_it_may_run_beside_others_runs_alone(replicas: list[PostgresStore]) -> None:
    """It counts, and writes what it counted: two at once would count the same."""

    async def count_then_write(unit: Unit) -> int:
        number = await unit.one(statements.INTENT_COUNT) or 0
        await unit.run(
            statements.INSERT_INTENT,
            **dict.fromkeys(("request_number", "card_id", "about")),
            kind="tell_admins", lane=f"{number}", reason="x", created_at=START, due_at=START,
        )  # fmt: skip
        return number

    seen = await asyncio.gather(*(store.write_beside(count_then_write) for _ in range(10) for store in replicas))
    assert sorted(seen) == list(range(20))


async def test_several_rows_belong_to_nobody(replicas: list[PostgresStore]) -> None:
    """Whoever meets two halts is told of both, and of no other's."""
    columns = statements_halts.halts.c.keys()
    halt = dict.fromkeys(columns) | {
        "scope": "agent", "name": "refund-bot", "effect": "deny", "reason": "wait", "rank": "admin", "at": START,
        "team_id": "T0", "salt": b"x",
    }  # fmt: skip
    for user in ("U0ADMIN", "U0BOB"):
        values = halt | {"user_id": user}
        await replicas[0].write(lambda unit, values=values: unit.one(statements_halts.INSERT_HALT, **values))

    async def look(unit: Unit, agent: str) -> int:
        halts = await unit.all(statements_halts.HALTS_TOUCHING, agent=agent, rule="", now=START)
        return len(halts)

    found = await asyncio.gather(
        *(replicas[0].write_beside(lambda unit, agent=agent: look(unit, agent)) for agent in ("refund-bot", "other"))
    )
    assert found == [2, 0]


async def test_whoever_must_be_alone_waits_for_those_beside_and_has_them_wait(
    replicas: list[PostgresStore], postgres_url: str
) -> None:
    here, there = replicas
    other = await asyncpg.connect(postgres_url)
    for store in replicas:
        assert store._writer._connection is not None
        await store._writer._connection.execute("SET lock_timeout = 50")
    async with other.transaction():
        await other.execute(f"SELECT pg_advisory_xact_lock_shared({TURN})")
        assert await here.write_beside(make("a")) == 1
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await there.write(take("act"))
    async with other.transaction():
        await other.execute(f"SELECT pg_advisory_xact_lock({TURN})")
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await here.write_beside(make("b"))
    await other.close()
    assert await there.write(take("act")) == 1


async def test_two_that_lock_each_others_rows_run_one_after_the_other(
    replicas: list[PostgresStore], postgres_url: str
) -> None:
    """Another transaction holds the key that a group wants: the group is undone, and run again alone."""
    other = await asyncpg.connect(postgres_url)
    assert replicas[0]._writer._connection is not None
    await replicas[0]._writer._connection.execute("SET lock_timeout = 50")
    holding = other.transaction()
    await holding.start()
    form = statements.INSERT_REQUEST.postgresql
    await other.execute(form.sql, *form.bind(new_request("b")))
    seen: list[type[Unit]] = []
    results = await asyncio.gather(
        *(replicas[0].write_beside(make(key, seen)) for key in "abc"), return_exceptions=True
    )
    await holding.rollback()
    await other.close()
    assert {type(result) for result in results} == {StoreUnavailable}  # alone they had to wait too long, too
    assert alone(seen)[:3] == ["BesideUnit"] * 3
    assert await asyncio.gather(*(replicas[0].write_beside(make(key)) for key in "abc"))
    assert_sound(postgres_url)
