"""store.engine: what is SQLite's own in its store: its thread, its trouble, another process's writes."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert
from sqlmodel import Session, create_engine, select

from store import engine, statements, statements_instances
from store.announcing import ChangedElsewhere
from store.engine import SqliteStore
from store.tables import ActTable, Instance, InstanceTable
from store.unit import StoreUnavailable, Unit
from tests.conftest import START
from tests.unit.test_stores import refuse_after_writing, take


def _acts(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM acts ORDER BY id")]


class _OutOfMemory:
    """A connection that fails as SQLite does without memory: with no error of SQLite's own."""

    def __init__(self, connection: sqlite3.Connection, word: str) -> None:
        self._connection = connection
        self._word = word

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
        if sql.startswith(self._word):
            raise MemoryError
        return self._connection.execute(sql, *parameters)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


@pytest.mark.parametrize("word", ["BEGIN", "SAVEPOINT", "RELEASE", "COMMIT"])
async def test_trouble_that_is_not_sqlites_fails_the_group_and_not_the_thread(database: Path, word: str) -> None:
    store = SqliteStore(database)
    for thread in store._threads:
        thread.start()
    loop, started, gate = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    broken = _OutOfMemory(store._writer, word)

    async def hold(unit: Unit) -> None:
        loop.call_soon_threadsafe(started.set)
        gate.wait(5)

    async with asyncio.timeout(10):
        held = asyncio.ensure_future(store.write(hold))
        await started.wait()
        # The one that refuses after it wrote makes the group use savepoints.
        units = [take("a"), take("b"), *([refuse_after_writing] if word in ("SAVEPOINT", "RELEASE") else [])]
        group = [asyncio.ensure_future(store.write(unit)) for unit in units]
        await asyncio.sleep(0)  # all are queued: they will be one group
        whole, store._commit = store._commit, lambda connection, jobs: whole(broken, jobs)  # type: ignore[method-assign, arg-type]  # from here on
        gate.set()
        await held
        for lost in group:
            with pytest.raises(StoreUnavailable):
                await lost
        store._commit = whole  # type: ignore[method-assign]  # well again
        assert await store.write(take("c")) == 1
        await store.close()
    assert _acts(database) == ["c"]


async def test_a_transaction_that_is_gone_before_its_commit_is_no_success(store: SqliteStore) -> None:
    async def lose(unit: Unit) -> None:
        await take("lost")(unit)
        store._writer.execute("ROLLBACK")

    with pytest.raises(StoreUnavailable):
        await store.write(lose)
    assert await store.write(take("kept")) == 1
    assert _acts(store.path) == ["kept"]


async def test_what_is_looked_up_by_its_key_is_read_where_it_is_asked(store: SqliteStore) -> None:
    thread = threading.current_thread()

    async def work(unit: Unit) -> tuple[int | None, bool]:
        return await unit.one(statements.INTENT_COUNT), threading.current_thread() is thread

    assert await store.peek(work) == (0, True)
    assert await store.read(work) == (0, False)
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.peek(take("a"))
    await store.write(take("a"))
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.peek(work)


class _Never:
    def __await__(self):
        yield


async def test_a_unit_that_awaits_something_else_is_refused(store: SqliteStore) -> None:
    async def work(unit: Unit) -> None:
        await take("lost")(unit)
        await _Never()

    with pytest.raises(RuntimeError, match="nothing but its unit"):
        await store.write(work)
    assert _acts(store.path) == []


async def test_a_locked_database_is_unavailable_and_recovers(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 1)
    store = await SqliteStore.open(database)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await store.write(take("a"))
        other.execute("ROLLBACK")
        assert await store.write(take("a")) == 1
    await store.close()


async def test_a_full_disk_fails_the_whole_group_and_recovers(store: SqliteStore) -> None:
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count={pages}")

    async def big(unit: Unit) -> None:
        for at in range(500):
            await take(f"big{at}" + "x" * 200)(unit)

    results = await asyncio.gather(
        store.write(take("small")), store.write(big), store.write(take("after")), return_exceptions=True
    )
    failed = [isinstance(result, StoreUnavailable) for result in results]
    assert failed[1]
    # A full disk rolls everything back that shared its transaction; who was told "done" must be there.
    told = [name for name, lost in zip(["small", "big", "after"], failed, strict=True) if not lost]
    assert _acts(store.path) == sorted(told)
    store._writer.execute("PRAGMA max_page_count=1073741823")
    assert await store.write(take("later")) == 1


async def test_a_read_only_database_is_unavailable_for_writing_only(store: SqliteStore) -> None:
    store._writer.execute("PRAGMA query_only=ON")
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.write(take("a"))
    assert await store.read(lambda unit: unit.one(statements.INTENT_COUNT)) == 0
    store._writer.execute("PRAGMA query_only=OFF")
    assert await store.write(take("a")) == 1


async def test_another_process_is_noticed(store: SqliteStore) -> None:
    noticed = asyncio.Event()
    store.subscribe(lambda change: noticed.set() if isinstance(change, ChangedElsewhere) else None)
    await store.write(take("own"))
    assert not noticed.is_set()
    with closing(sqlite3.connect(store.path)) as other, other:
        other.execute("INSERT INTO acts VALUES ('theirs', 'U0', '2026-11-22T09:00:00.000000+00:00')")
    async with asyncio.timeout(2):
        await noticed.wait()


async def test_sessions_and_compiled_statements_read_each_others_rows(store: SqliteStore) -> None:
    sessions = create_engine(f"sqlite:///{store.path}")
    moment = START + timedelta(microseconds=5)
    with Session(sessions) as session:
        session.execute(insert(InstanceTable).values(id="i1", name="from a session", agent="a", created_at=moment))
        session.commit()
    [read] = await store.read(lambda unit: unit.all(statements_instances.ALL_INSTANCES))
    assert (read.name, read.created_at, read.revoked_at) == ("from a session", moment, None)
    compiled = Instance(id="i2", name="compiled", agent="a", created_at=moment)
    await store.write(lambda unit: unit.run(statements_instances.INSERT_INSTANCE, **dict(compiled)))
    await store.write(lambda unit: unit.run(statements_instances.REVOKE_INSTANCE, instance_id="i2", revoked_at_=moment))
    with Session(sessions) as session:
        found = session.exec(select(InstanceTable).where(InstanceTable.revoked_at == moment)).one()
        assert (found.id, found.created_at) == ("i2", moment)
        assert session.exec(select(ActTable)).all() == []
    sessions.dispose()


def test_records_are_values() -> None:
    with pytest.raises(KeyError):
        statements_instances.INSERT_INSTANCE.bind({"id": "i"})
    with pytest.raises(ValueError, match="without a zone"):
        statements.TAKE_ACT.bind({"id": "a", "user_id": "U0", "at": START.replace(tzinfo=None)})


def test_the_hour_that_a_zone_has_twice_is_two() -> None:
    """Python holds its two moments for equal."""
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    bound = [statements.TAKE_ACT.bind({"id": "a", "user_id": "U0", "at": at}) for at in (first, first.replace(fold=1))]
    times = [datetime.fromisoformat(str(one)) for values in bound for one in values if str(one).startswith("2026")]
    assert times == [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]
