"""store.postgres: what is PostgreSQL's own in its store: replicas, a server that goes and comes back, doubt."""

import asyncio
import hashlib
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import ModuleType
from typing import Any

import asyncpg
import pytest

from bot.clock import monotonic_clock
from bot.events import EventType, append_event
from store import postgres as store_postgres
from store import postgres_readers, postgres_writer, statements, statements_audit
from store.announcing import ChangedElsewhere, Unheard
from store.postgres import PostgresStore
from store.unit import StoreUnavailable, Unit
from tests.conftest import START
from tests.postgres import PostgresServer
from tests.unit.test_stores import _refuse, is_there, refuse_after_writing, take
from tests.waiting import until


@pytest.fixture
async def replicas(postgres_url: str) -> AsyncIterator[list[PostgresStore]]:
    stores = [await PostgresStore.open(postgres_url) for _ in range(2)]
    yield stores
    for store in stores:
        await store.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may end."""
    server = PostgresServer()
    yield server
    server.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(url)
    try:
        yield store
    finally:
        await store.close()


async def test_the_chain_of_events_is_not_forked_by_several_writers(replicas: list[PostgresStore]) -> None:
    async def add(unit: Unit) -> None:
        await append_event(unit, START, EventType.INSTANCE_CREATED, name="x")

    await asyncio.gather(*(store.write(add) for _ in range(50) for store in replicas))
    events = await replicas[0].read(lambda unit: unit.all(statements_audit.LINKS_AFTER, number=0, limit=1000))
    assert [event.number for event in events] == list(range(1, 101))
    head = statements.CHAIN_START
    for event in events:
        head = hashlib.sha256(head + event.body.encode()).digest()
        assert event.hash == head


async def test_what_a_unit_read_stays_true_until_it_commits(replicas: list[PostgresStore]) -> None:
    """Of two replicas that look and then write, the second sees what the first wrote."""

    async def look_then_write(unit: Unit) -> int:
        number = await unit.one(statements.INTENT_COUNT) or 0
        await asyncio.sleep(0)
        await unit.run(
            statements.INSERT_INTENT,
            **dict.fromkeys(("request_number", "card_id", "about")),
            kind="tell_admins", lane=f"{number}", reason="x", created_at=START, due_at=START,
        )  # fmt: skip
        return number

    seen = await asyncio.gather(*(store.write(look_then_write) for _ in range(10) for store in replicas))
    assert sorted(seen) == list(range(20))


class _Told:
    def __init__(self, topic: str | None) -> None:
        self.topic = topic


async def test_other_replicas_are_told_what_changed(replicas: list[PostgresStore]) -> None:
    here, there = replicas
    heard: list[object] = []
    own: list[object] = []
    here.subscribe(own.append)
    there.subscribe(heard.append)

    def announcing(*topics: str | None) -> Any:
        async def work(unit: Unit) -> None:
            await take("a")(unit)
            for topic in topics:
                unit.announce(_Told(topic))

        return work

    await here.write(announcing(None))  # is of no interest elsewhere
    await here.write(announcing("outbox", "request:1"))
    await here.write(announcing(*(f"request:{number}" for number in range(2000))))
    await here.write(announcing("no '); topic"))
    await until(lambda: len(heard) == 3)
    assert heard == [
        ChangedElsewhere(frozenset({"outbox", "request:1"})),
        ChangedElsewhere(None),  # too much to be told one by one
        ChangedElsewhere(None),
    ]
    assert [type(change) for change in own] == [_Told] * 2004  # its own it hears once


async def test_a_server_that_goes_and_comes_back(own_server: PostgresServer) -> None:
    async with opened(own_server.new_database()) as store:
        heard: list[type] = []
        store.subscribe(lambda change: heard.append(type(change)))
        assert await store.write(take("a")) == 1
        for how in (signal.SIGQUIT, signal.SIGINT):
            heard.clear()
            own_server.stop(how)
            with pytest.raises(StoreUnavailable):
                await store.write(take("lost"))
            with pytest.raises(StoreUnavailable):
                await store.read(lambda unit: unit.one(statements.INTENT_COUNT))
            await until(lambda: Unheard in heard)
            assert ChangedElsewhere not in heard
            own_server.start()
            # Unaided, at the first try.
            assert await store.read(lambda unit: unit.one(statements.INTENT_COUNT)) == 0
            assert not await is_there(store, "lost")
            assert await store.write(take("a")) == 0
            await until(lambda: ChangedElsewhere in heard)


async def test_a_server_that_restarts_between_two_units_is_not_noticed(own_server: PostgresServer) -> None:
    async with opened(own_server.new_database()) as store:
        await store.write(take("a"))
        await store.read(lambda unit: unit.one(statements.INTENT_COUNT))
        own_server.stop()
        own_server.start()
        assert await store.write(take("b")) == 1
        assert await store.read(lambda unit: unit.one(statements.INTENT_COUNT)) == 0


async def test_a_commit_whose_answer_is_lost_is_no_success(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(postgres_url) as store:
        heard: list[object] = []

        async def work(unit: Unit) -> None:
            await take("unknown")(unit)
            unit.announce("never: nobody knows")

        end = store._writer._end

        async def lose_the_answer(*group: Any) -> None:
            await end(*group)
            raise ConnectionResetError

        monkeypatch.setattr(store._writer, "_end", lose_the_answer)
        store.subscribe(heard.append)
        with pytest.raises(StoreUnavailable):
            await store.write(work)
        monkeypatch.setattr(store._writer, "_end", end)
        # It came about, as it happens; what depends on it is read again as soon as the database answers.
        await until(lambda: ChangedElsewhere() in heard)
        assert await is_there(store, "unknown")
        assert "never: nobody knows" not in heard


async def test_a_transaction_that_had_failed_is_not_taken_for_committed(postgres_url: str) -> None:
    """PostgreSQL answers a COMMIT of it without an error."""
    async with opened(postgres_url) as store:

        async def swallow(unit: Unit) -> None:
            await take("lost")(unit)
            with pytest.raises(asyncpg.NotNullViolationError):
                await unit.run(statements.TAKE_ACT, id=None, user_id="U0", at=START)

        with pytest.raises(StoreUnavailable, match="did not commit"):
            await store.write(swallow)
        assert not await is_there(store, "lost")


async def test_a_replica_that_freezes_while_it_writes_does_not_stop_the_others(
    replicas: list[PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = replicas
    frozen, thaw = asyncio.Event(), asyncio.Event()

    async def freeze(unit: Unit) -> None:
        await take("lost")(unit)
        assert here._writer._connection is not None
        timeouts = "SET idle_in_transaction_session_timeout = 300; SET LOCAL statement_timeout = 0"
        await here._writer._connection.execute(timeouts)
        frozen.set()
        await thaw.wait()

    writing = asyncio.ensure_future(here.write(freeze))
    await frozen.wait()
    assert there._writer._connection is not None
    await there._writer._connection.execute("SET lock_timeout = 50")
    with pytest.raises(StoreUnavailable, match="lock timeout"):
        await there.write(take("a"))
    async with asyncio.timeout(5):
        assert await there.write(take("a")) == 1  # the server ended the frozen one's session
    thaw.set()
    with pytest.raises(StoreUnavailable):
        await writing
    assert not await is_there(here, "lost")


async def test_a_server_out_of_connections_is_unavailable_and_recovers(
    postgres: PostgresServer, postgres_url: str
) -> None:
    def operator(sql: str) -> None:
        postgres.execute(sql, postgres_url.rpartition("/")[2])

    operator("CREATE ROLE guest LOGIN CONNECTION LIMIT 2")
    operator("GRANT ALL ON ALL TABLES IN SCHEMA public TO guest")
    async with opened(postgres_url.replace("signoff@", "guest@")) as store:  # one that writes, one that listens
        with pytest.raises(StoreUnavailable, match="too many connections"):
            await store.read(lambda unit: unit.one(statements.INTENT_COUNT))
        with pytest.raises(StoreUnavailable, match="too many connections"):
            await PostgresStore.open(postgres_url.replace("signoff@", "guest@"))
        assert await store.write(take("a")) == 1
        await asyncio.to_thread(operator, "ALTER ROLE guest CONNECTION LIMIT -1")
        assert await store.read(lambda unit: unit.one(statements.INTENT_COUNT)) == 0


async def test_a_replica_that_cannot_listen_does_not_open(
    postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_postgres, "CONNECT_SECONDS", 0.2)
    postgres.execute("CREATE ROLE lone LOGIN CONNECTION LIMIT 1")
    with pytest.raises(StoreUnavailable, match="too many connections"):
        await PostgresStore.open(postgres_url.replace("signoff@", "lone@"))


@pytest.mark.parametrize("module", [store_postgres, postgres_readers], ids=["listener", "reader"])
async def test_a_connection_that_comes_for_nobody_is_ended(
    module: ModuleType, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[asyncpg.Connection] = []
    reading: asyncio.Task[Any]

    async def connect(url: str) -> asyncpg.Connection:
        made.append(await real(url))
        if module is store_postgres:
            reading.cancel()  # while the connection is handed over
        else:
            asyncio.get_running_loop().call_soon(reading.cancel)  # while its first statement runs
        return made[-1]

    async with opened(postgres_url) as store:
        real = module.connect
        monkeypatch.setattr(module, "connect", connect)
        look = store._connect_unheard() if module is store_postgres else store.read(take("a"))
        reading = asyncio.ensure_future(look)
        with pytest.raises(asyncio.CancelledError):
            await reading
        await until(lambda: all(one.is_closed() for one in made))
    assert len(made) == 1


async def test_readers_wait_for_each_other_no_longer_than_a_while(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_readers, "BUSY_TIMEOUT_MS", 20)
    async with opened(postgres_url) as store:
        entered, leave = asyncio.Semaphore(0), asyncio.Event()

        async def stay(unit: Unit) -> None:
            await unit.one(statements.INTENT_COUNT)
            entered.release()
            await leave.wait()

        reading = [asyncio.ensure_future(store.read(stay)) for _ in range(postgres_readers.READERS)]
        for _ in reading:
            await entered.acquire()
        with pytest.raises(StoreUnavailable, match="in use"):
            await store.read(lambda unit: unit.one(statements.INTENT_COUNT))
        reading.pop().cancel()  # a caller that goes away gives its place back
        leave.set()
        await asyncio.gather(*reading)
        assert await store.read(lambda unit: unit.one(statements.INTENT_COUNT)) == 0


async def test_times_are_those_of_the_database(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        clock = monotonic_clock()
        assert abs(await store.offset_of(clock)) < timedelta(seconds=1)
        behind = await store.offset_of(lambda: clock() - timedelta(hours=1))
        assert abs(behind - timedelta(hours=1)) < timedelta(seconds=1)


async def test_a_url_that_leads_nowhere_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        await PostgresStore.open("postgresql://signoff:secret@127.0.0.1:1/signoff")
    assert "secret" not in str(refused.value)


async def test_a_line_that_falls_silent_is_noticed(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that goes away says nothing: no answer is the only sign."""
    monkeypatch.setattr(store_postgres, "PULSE_SECONDS", 0.01)
    monkeypatch.setattr(store_postgres, "ANSWER_SECONDS", 0.05)
    async with opened(postgres_url) as store:
        heard: list[type] = []
        store.subscribe(lambda change: heard.append(type(change)))
        answers = asyncpg.Connection.execute

        async def never(connection: asyncpg.Connection, sql: str, *values: object, timeout: Any = None) -> Any:  # noqa: ASYNC109  # the driver's
            if sql == "SELECT 1":
                async with asyncio.timeout(timeout):
                    await asyncio.Event().wait()
            return await answers(connection, sql, *values, timeout=timeout)

        monkeypatch.setattr(asyncpg.Connection, "execute", never)
        await until(lambda: Unheard in heard)
        monkeypatch.setattr(asyncpg.Connection, "execute", answers)
        await until(lambda: ChangedElsewhere in heard)
        assert await store.write(take("a")) == 1


async def test_a_long_group_lets_others_have_their_turn(
    replicas: list[PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever becomes of its units: refused before or after they wrote, or done."""
    monkeypatch.setattr(postgres_writer, "ALONE_SECONDS", 0.0)
    here, there = replicas
    order: list[str] = []

    def named(name: str, work: Any) -> Any:
        async def unit_of(unit: Unit) -> Any:
            order.append(name)
            return await work(unit)

        return unit_of

    works = [take("a"), refuse_after_writing, take("b"), _refuse, take("c")]
    results = await asyncio.gather(
        *(here.write(named("here", work)) for work in works), there.write(named("there", take("d"))),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(result) for result in results] == [int, LookupError, int, LookupError, int, int]
    assert "here" in order[order.index("there") :]
    for act in "abcd":
        assert await is_there(there, act)
    assert not await is_there(there, "lost")
