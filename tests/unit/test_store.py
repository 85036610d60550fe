"""store.engine: group commit, savepoints, the database's trouble, another process's writes."""

import asyncio
import hashlib
import json
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlmodel import Session, create_engine, select

from bot.events import EventType, append_event
from store import engine, statements
from store.engine import ChangedElsewhere, SqliteStore
from store.tables import ActTable, Instance, InstanceTable
from store.unit import StoreUnavailable, Unit
from tests.conftest import START


def _take(act: str):
    async def work(unit: Unit) -> int:
        return await unit.run(statements.TAKE_ACT, id=act, user_id="U0", at=START)

    return work


def _acts(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM acts ORDER BY id")]


async def test_what_is_returned_is_committed(store: SqliteStore) -> None:
    assert await store.write(_take("a")) == 1
    assert _acts(store.path) == ["a"]
    assert await store.write(_take("a")) == 0


async def _refuse_after_writing(unit: Unit) -> None:
    await _take("lost")(unit)
    await append_event(unit, START, EventType.INSTANCE_CREATED, name="lost")
    raise LookupError("refused")


async def test_events_of_a_group_are_chained_without_those_of_who_refused(store: SqliteStore) -> None:
    def add(name: str, *, then: BaseException | None = None):
        async def work(unit: Unit) -> None:
            await append_event(unit, START, EventType.INSTANCE_CREATED, name=name)
            if then is not None:
                raise then

        return work

    for before_writing in (True, False):  # either leaves no trace; the second runs the group with savepoints
        results = await asyncio.gather(
            store.write(add("a")),
            store.write(add("lost", then=LookupError()) if before_writing else _refuse_after_writing),
            store.write(add("b")),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), LookupError, type(None)]
    events = await store.read(lambda unit: unit.all(statements.EVENTS_AFTER, number=0, limit=10))
    assert [json.loads(event.body)["name"] for event in events] == ["a", "b", "a", "b"]
    head = statements.CHAIN_START
    for event in events:
        head = hashlib.sha256(head + event.body.encode()).digest()
        assert event.hash == head


async def test_an_event_that_the_database_refuses_undoes_its_unit_alone(store: SqliteStore) -> None:
    async def wrong(unit: Unit) -> None:
        await _take("lost")(unit)
        await unit.run(
            statements.INSERT_EVENT, at=START, type="instance.created", request_number=404, body="{}", hash=None
        )

    for others in (["a", "b"], []):
        results = await asyncio.gather(
            *(store.write(_take(act)) for act in others), store.write(wrong), return_exceptions=True
        )
        assert [type(result) for result in results] == [int] * len(others) + [sqlite3.IntegrityError]
    assert _acts(store.path) == ["a", "b"]


async def test_one_failing_unit_of_a_group_undoes_itself_alone(store: SqliteStore) -> None:
    results = await asyncio.gather(
        store.write(_take("a")),
        store.write(_take("b")),
        store.write(_refuse_after_writing),
        store.write(_take("c")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, int, LookupError, int]
    assert _acts(store.path) == ["a", "b", "c"]


async def test_changes_are_announced_after_the_commit_and_before_the_answer(store: SqliteStore) -> None:
    heard: list[tuple[object, list[str]]] = []
    store.subscribe(lambda change: heard.append((change, _acts(store.path))))

    async def work(unit: Unit) -> None:
        await _take("a")(unit)
        unit.announce("changed")

    async def refused(unit: Unit) -> None:
        unit.announce("never")
        raise LookupError

    await store.write(work)
    with pytest.raises(LookupError):
        await store.write(refused)
    assert heard == [("changed", ["a"])]


async def test_a_listener_that_fails_keeps_nobody_from_hearing(store: SqliteStore) -> None:
    heard: list[object] = []
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context["exception"]))

    def fail(change: object) -> None:
        raise LookupError("a listener's own fault")

    store.subscribe(fail)
    store.subscribe(heard.append)

    async def work(unit: Unit) -> int:
        unit.announce("changed")
        return await _take("a")(unit)

    async with asyncio.timeout(5):
        assert await asyncio.gather(store.write(work), store.write(_take("b"))) == [1, 1]
    assert heard == ["changed"]
    assert [type(trouble) for trouble in troubles] == [LookupError]


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
        units = [_take("a"), _take("b"), *([_refuse_after_writing] if word in ("SAVEPOINT", "RELEASE") else [])]
        group = [asyncio.ensure_future(store.write(unit)) for unit in units]
        await asyncio.sleep(0)  # all are queued: they will be one group
        whole, store._commit = store._commit, lambda connection, jobs: whole(broken, jobs)  # type: ignore[method-assign, arg-type]  # from here on
        gate.set()
        await held
        for lost in group:
            with pytest.raises(StoreUnavailable):
                await lost
        store._commit = whole  # type: ignore[method-assign]  # well again
        assert await store.write(_take("c")) == 1
        await store.close()
    assert _acts(database) == ["c"]


async def test_a_transaction_that_is_gone_before_its_commit_is_no_success(store: SqliteStore) -> None:
    async def lose(unit: Unit) -> None:
        await _take("lost")(unit)
        store._writer.execute("ROLLBACK")

    with pytest.raises(StoreUnavailable):
        await store.write(lose)
    assert await store.write(_take("kept")) == 1
    assert _acts(store.path) == ["kept"]


async def test_what_is_looked_up_by_its_key_is_read_where_it_is_asked(store: SqliteStore) -> None:
    thread = threading.current_thread()

    async def work(unit: Unit) -> tuple[int | None, bool]:
        return await unit.one(statements.INTENT_COUNT), threading.current_thread() is thread

    assert await store.peek(work) == (0, True)
    assert await store.read(work) == (0, False)
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.peek(_take("a"))
    await store.write(_take("a"))
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.peek(work)


async def test_a_caller_that_goes_away_does_not_undo_its_work(store: SqliteStore) -> None:
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def work(unit: Unit) -> None:
        loop.call_soon_threadsafe(entered.set)
        await _take("kept")(unit)
        unit.announce("kept")

    heard: asyncio.Future[object] = loop.create_future()
    store.subscribe(heard.set_result)
    task = asyncio.ensure_future(store.write(work))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await heard == "kept"
    assert _acts(store.path) == ["kept"]


class _Never:
    def __await__(self):
        yield


async def test_a_unit_that_awaits_something_else_is_refused(store: SqliteStore) -> None:
    async def work(unit: Unit) -> None:
        await _take("lost")(unit)
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
            await store.write(_take("a"))
        other.execute("ROLLBACK")
        assert await store.write(_take("a")) == 1
    await store.close()


async def test_a_full_disk_fails_the_whole_group_and_recovers(store: SqliteStore) -> None:
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count={pages}")

    async def big(unit: Unit) -> None:
        for at in range(500):
            await _take(f"big{at}" + "x" * 200)(unit)

    results = await asyncio.gather(
        store.write(_take("small")), store.write(big), store.write(_take("after")), return_exceptions=True
    )
    failed = [isinstance(result, StoreUnavailable) for result in results]
    assert failed[1]
    # A full disk rolls everything back that shared its transaction; who was told "done" must be there.
    told = [name for name, lost in zip(["small", "big", "after"], failed, strict=True) if not lost]
    assert _acts(store.path) == sorted(told)
    store._writer.execute("PRAGMA max_page_count=1073741823")
    assert await store.write(_take("later")) == 1


async def test_a_read_only_database_is_unavailable_for_writing_only(store: SqliteStore) -> None:
    store._writer.execute("PRAGMA query_only=ON")
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.write(_take("a"))
    assert await store.read(lambda unit: unit.one(statements.INTENT_COUNT)) == 0
    store._writer.execute("PRAGMA query_only=OFF")
    assert await store.write(_take("a")) == 1


async def test_another_process_is_noticed(store: SqliteStore) -> None:
    noticed = asyncio.Event()
    store.subscribe(lambda change: noticed.set() if isinstance(change, ChangedElsewhere) else None)
    await store.write(_take("own"))
    assert not noticed.is_set()
    with closing(sqlite3.connect(store.path)) as other, other:
        other.execute("INSERT INTO acts VALUES ('theirs', 'U0', '2026-11-22T09:00:00.000000+00:00')")
    async with asyncio.timeout(2):
        await noticed.wait()


async def test_a_closed_store_refuses(database: Path) -> None:
    store = await SqliteStore.open(database)
    queued = asyncio.ensure_future(store.write(_take("last")))
    await asyncio.sleep(0)
    await store.close()
    assert await queued == 1
    with pytest.raises(StoreUnavailable):
        await store.write(_take("late"))


async def test_sessions_and_compiled_statements_read_each_others_rows(store: SqliteStore) -> None:
    sessions = create_engine(f"sqlite:///{store.path}")
    moment = START + timedelta(microseconds=5)
    with Session(sessions) as session:
        session.execute(insert(InstanceTable).values(id="i1", name="from a session", agent="a", created_at=moment))
        session.commit()
    [read] = await store.read(lambda unit: unit.all(statements.ALL_INSTANCES))
    assert (read.name, read.created_at, read.revoked_at) == ("from a session", moment, None)
    compiled = Instance(id="i2", name="compiled", agent="a", created_at=moment)
    await store.write(lambda unit: unit.run(statements.INSERT_INSTANCE, **dict(compiled)))
    await store.write(lambda unit: unit.run(statements.REVOKE_INSTANCE, instance_id="i2", revoked_at_=moment))
    with Session(sessions) as session:
        found = session.exec(select(InstanceTable).where(InstanceTable.revoked_at == moment)).one()
        assert (found.id, found.created_at) == ("i2", moment)
        assert session.exec(select(ActTable)).all() == []
    sessions.dispose()


def test_records_are_values() -> None:
    with pytest.raises(KeyError):
        statements.INSERT_INSTANCE.bind({"id": "i"})
    with pytest.raises(ValueError, match="without a zone"):
        statements.TAKE_ACT.bind({"id": "a", "user_id": "U0", "at": START.replace(tzinfo=None)})
