"""The agents' API when the database or the connection fails: nothing half done, and all well again by itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from agentapprovalprotocol import Allow, AsyncClient, AsyncGate, Call
from structlog.testing import capture_logs

from handlers.protocol import _HEADERS_OF, RETRY_AFTER_SECONDS
from store import engine
from store.tables import Status, VoteKind
from tests.scenario.agents_support import READ, Api, Reply, running_api
from tests.waiting import until, within


@pytest.fixture
async def api(database: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 10)
    async with running_api(database) as api:
        yield api


@contextmanager
def locked(api: Api) -> Iterator[None]:
    """Another process holds the database."""
    with closing(sqlite3.connect(api.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def read_only(api: Api) -> Iterator[None]:
    api.store._writer.execute("PRAGMA query_only=ON")
    yield
    api.store._writer.execute("PRAGMA query_only=OFF")


@contextmanager
def disk_full(api: Api) -> Iterator[None]:
    writer = api.store._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count={pages}")
    yield
    writer.execute("PRAGMA max_page_count=1073741823")


Trouble = Callable[[Api], AbstractContextManager[None]]
Step = Callable[[], Awaitable[Reply]]


def _refused(reply: Reply) -> None:
    assert (reply.status, reply.code) == (503, "store_unavailable")
    assert reply.json()["error"]["type"] == "dependency"
    assert reply.headers["Retry-After"] == RETRY_AFTER_SECONDS
    assert "sqlite" not in reply.body.decode().lower()


@pytest.mark.parametrize("trouble", [locked, read_only])
async def test_no_step_is_half_done_and_each_works_again(api: Api, trouble: Trouble) -> None:
    cancellable = (await api.create()).json()["id"]
    approved = (await api.create(READ)).json()["id"]
    consumed = await api.consumed()
    steps: list[Step] = [
        lambda: api.create(key="new"),
        lambda: api.create(READ, key="new-by-rule"),
        lambda: api.send("DELETE", f"/v1/requests/{cancellable}"),
        lambda: api.consume(approved, "k"),
        lambda: api.outcome(consumed, {"status": "succeeded"}),
    ]
    before = api.census()
    with trouble(api):
        for reply in await asyncio.gather(*(step() for step in steps)):
            _refused(reply)
        # Reading goes on.
        assert (await api.send("GET", f"/v1/requests/{cancellable}")).json()["status"] == "pending"
        assert api.census() == before
    replies = await asyncio.gather(*(step() for step in steps))
    assert [reply.status for reply in replies] == [201, 201, 200, 200, 200]
    after = api.census()
    assert after["requests"] == before["requests"] + 2
    assert after["events"] == before["events"] + 6  # made, made and decided, decided, consumed, reported


async def test_a_full_disk_keeps_nothing_of_a_request_and_recovers(api: Api) -> None:
    large = READ | {"arguments": {"text": "x" * 60_000}}
    waiting = (await api.create()).json()["id"]
    before = api.census()
    with disk_full(api):
        # Several at once share a commit: whoever was told "done" must be found, the others not.
        replies = await asyncio.gather(*(api.create(large, key=f"k{at}") for at in range(5)))
        for reply in replies:
            _refused(reply)
        assert api.census() == before
        assert (await api.send("GET", f"/v1/requests/{waiting}")).json()["status"] == "pending"
    replies = await asyncio.gather(*(api.create(large, key=f"k{at}") for at in range(5)))
    assert [reply.status for reply in replies] == [201] * 5
    after = api.census()
    assert (after["requests"], after["events"]) == (before["requests"] + 5, before["events"] + 10)


async def test_a_new_credential_is_checked_while_nothing_can_be_written(api: Api) -> None:
    token = await api.house.instances.rotate("till")
    request_id = (await api.create()).json()["id"]
    with locked(api):
        assert (await api.send("GET", f"/v1/requests/{request_id}", token=token)).status == 200


async def test_the_real_client_gets_over_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_HEADERS_OF, 503, {"Retry-After": "0"})  # it would wait that second
    client = AsyncClient(api.base_url, api.token)
    with locked(api), capture_logs() as logs:
        checking = asyncio.ensure_future(AsyncGate(client).check(Call("k", "look_up", {"order": 7})))
        await until(lambda: bool(logs))
    assert isinstance(await within(checking), Allow)
    await client.aclose()
    assert len(api.rows("SELECT 1 FROM requests")) == 1


async def test_an_unreadable_database_is_503_too(api: Api) -> None:
    request_id = (await api.create()).json()["id"]
    with closing(sqlite3.connect(api.path, isolation_level=None)) as other:
        other.execute("ALTER TABLE requests RENAME TO elsewhere")
        _refused(await api.send("GET", f"/v1/requests/{request_id}"))
        _refused(await api.send("GET", f"/v1/requests/{request_id}?wait=30s"))
        other.execute("ALTER TABLE elsewhere RENAME TO requests")
    assert (await api.send("GET", f"/v1/requests/{request_id}")).status == 200
    assert api.house.approvals._waiters.awaited() == []


async def test_after_the_end_everything_is_503(api: Api) -> None:
    request_id = (await api.create()).json()["id"]
    await api.store.close()
    for reply in (
        await api.create(),
        await api.consume(request_id),
        await api.send("GET", f"/v1/requests/{request_id}?wait=30s"),
    ):
        _refused(reply)


# --- connections ------------------------------------------------------------------------------------------


async def _connect(api: Api) -> asyncio.StreamWriter:
    host, port = api.origin.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    return writer


def _create(api: Api, key: str, body: bytes) -> bytes:
    head = [
        "POST /aap/v1/requests HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {api.token}",
        f"Idempotency-Key: {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


BODY = b'{"tool":"issue_refund","arguments":{"amount":4900},"timeout":"10m"}'


async def test_a_create_whose_client_hangs_up_is_carried_out_once(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 60_000)
    async with running_api(database) as api:
        api.store.handed_over.clear()
        writer = await _connect(api)
        with locked(api):  # so that the write is under way for as long as we like
            writer.write(_create(api, "k", BODY))
            await within(api.store.handed_over.wait())
            writer.transport.abort()
            await until(lambda: not api.server.connections)
            assert api.rows("SELECT 1 FROM requests") == []
        request = await api.next_change(Status.PENDING)
        again = await api.create(BODY, key="k")
        assert (again.status, again.json()["id"]) == (200, request.id)
        assert api.census()["requests"] == 1


async def test_a_request_whose_client_hangs_up_while_sending_is_never_made(api: Api) -> None:
    writer = await _connect(api)
    writer.write(_create(api, "k", BODY)[:-1])
    await writer.drain()
    await until(lambda: api.server.requests_count > 0)
    with capture_logs() as logs:
        writer.transport.abort()
        await until(lambda: not api.server.connections)
    assert logs == []  # that happens all the time and is no failure of ours
    assert (await api.create(BODY, key="k")).status == 201


async def test_a_lost_answer_is_given_again_with_the_decision_made_meanwhile(api: Api) -> None:
    writer = await _connect(api)
    writer.write(_create(api, "k", BODY))
    request = await api.next_change(Status.PENDING)
    writer.transport.abort()
    await api.vote(request, VoteKind.DENY, "no")
    again = (await api.create(BODY, key="k")).json()
    assert (again["id"], again["decision"]["note"]) == (request.id, "no")
