"""How many requests an agent may make, and how many may wait: over HTTP, with the real client, and in races."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from types import SimpleNamespace

import agentapprovalprotocol._client as real_client
import pytest
from agentapprovalprotocol import Client

from bot.decisions import Act
from bot.errors import BadCredential, IdempotencyConflict, Limited, TooManyPending
from store import statements
from store.engine import SqliteStore
from store.tables import Instance, Status, VoteKind
from store.unit import Unit
from tests.conftest import SAMPLE, House, StandingClock, Town, furnish, sample_settings, submission
from tests.scenario.agents_support import CALL, READ, Api, Reply, running_api
from tests.scenario.service_support import playing, serving
from tests.waiting import within

TOOLS = 'tools = ["issue_refund", "send_*", "look_up"]\n'


def limited(*lines: str) -> str:
    return SAMPLE.replace(TOOLS, TOOLS + "\n".join(lines) + "\n")


def api_with(database: Path, *lines: str) -> AbstractAsyncContextManager[Api]:
    return running_api(database, limited(*lines))


def assert_limited(reply: Reply, code: str, retry_after: int) -> None:
    assert (reply.status, reply.code, reply.headers["Retry-After"]) == (429, code, str(retry_after))
    assert reply.json()["error"]["type"] == "rate_limit"


# --- over HTTP ---


async def test_beyond_the_rate_is_429_and_leaves_no_trace(database: Path) -> None:
    async with api_with(database, 'rate = "2/1m"') as api:
        first = await api.create(READ, key="k1")
        api.house.clock.advance(seconds=20.5)
        await api.create(CALL, key="k2")
        before = api.census()
        assert_limited(await api.create(READ, key="k3"), "rate_limited", 40)
        assert_limited(await api.create(CALL, key="k4"), "rate_limited", 40)
        assert_limited(await api.create({"tool": "drop_tables", "arguments": {}, "timeout": "1m"}), "rate_limited", 40)
        assert api.census() == before

        # What is there already is never limited.
        assert (await api.create(READ, key="k1")).status == 200
        assert (await api.create(CALL, key="k1")).code == "idempotency_conflict"
        request_id = first.json()["id"]
        assert (await api.send("GET", f"/v1/requests/{request_id}")).status == 200
        assert (await api.consume(request_id)).status == 200
        assert (await api.outcome(request_id, {"status": "succeeded"})).status == 200
        waiting = (await api.create(CALL, key="k2")).json()["id"]
        assert (await api.send("DELETE", f"/v1/requests/{waiting}")).status == 200

        api.house.clock.advance(seconds=39.4)
        assert_limited(await api.create(READ, key="k3"), "rate_limited", 1)
        api.house.clock.advance(seconds=0.1)
        assert (await api.create(READ, key="k3")).status == 201
        assert_limited(await api.create(READ, key="k5"), "rate_limited", 21)


async def test_as_many_as_may_wait_wait(database: Path) -> None:
    async with api_with(database, "max_pending = 2") as api:
        first = await api.create({**CALL, "timeout": "2m"})
        await api.create({**CALL, "timeout": "5m"}, key="k2")
        before = api.census()
        assert_limited(await api.create(CALL), "too_many_pending", 10)
        assert api.census() == before
        assert (await api.create({**CALL, "timeout": "5m"}, key="k2")).status == 200
        assert (await api.create(READ)).status == 201  # nobody is asked
        api.house.clock.advance(seconds=118.5)
        assert_limited(await api.create(CALL), "too_many_pending", 2)  # until the first of them expires
        api.house.clock.advance(seconds=5)
        assert_limited(await api.create(CALL), "too_many_pending", 1)  # the sweep is about to
        await api.send("DELETE", f"/v1/requests/{first.json()['id']}")
        await api.house.deadlines.sweep()
        assert (await api.create(CALL)).status == 201
        assert_limited(await api.create(CALL), "too_many_pending", 10)
        assert api.rows("SELECT count(*) FROM requests WHERE status = 'pending'") == [(2,)]


async def test_the_real_client_waits_as_told_and_then_gets_through(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api_with(database, 'rate = "1/7s"') as api:
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            api.house.clock.advance(seconds=seconds)

        monkeypatch.setattr(real_client, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
        client = Client(api.base_url, api.token)
        for number in range(3):
            made = await within(asyncio.to_thread(client.create, READ, f"key-{number}"))
            assert made.status == "approved"
        assert slept == [7.0, 7.0]
        client.close()


async def test_what_is_refused_is_counted_by_code(database: Path) -> None:
    async with playing() as slack, serving(slack, database, text=limited('rate = "2/1h"', "max_pending = 1")) as work:
        told = [
            (await work.send("POST", "/v1/requests", call, key=str(key)))[0]
            for key, call in enumerate((CALL, CALL, READ, READ, READ))
        ]
        assert told == [201, 429, 201, 429, 429]
        _, metrics = await work.get("/metrics")
        assert 'signoff_requests_limited_total{code="too_many_pending"} 1.0' in metrics
        assert 'signoff_requests_limited_total{code="rate_limited"} 2.0' in metrics
        assert "signoff_requests_made_total 2.0" in metrics


# --- whose limits ---


@pytest.fixture
async def houses(store: SqliteStore, clock: StandingClock, town: Town) -> "Houses":
    return Houses(store, clock, town)


class Houses:
    """Makes houses whose agent has limits."""

    def __init__(self, store: SqliteStore, clock: StandingClock, town: Town) -> None:
        self._parts = store, clock, town

    async def with_limits(self, *lines: str) -> House:
        return await furnish(*self._parts, sample_settings(limited(*lines)))


async def _try(house: House, instance: Instance, count: int, tool: str = "look_up", tag: str = "k") -> list[str]:
    """Submit so many new requests; returns what became of each."""
    told = []
    for number in range(count):
        try:
            await house.creation.submit(instance, submission(tool), f"{tag}{number}")
        except Limited as refused:
            told.append(refused.code)
        else:
            told.append("made")
    return told


async def test_the_agents_rate_is_all_its_instances_and_theirs_is_each_ones(houses: Houses) -> None:
    house = await houses.with_limits('rate = "5/1m"', 'instance_rate = "3/1m"')
    till, _ = await house.instances.create("till", "refund-bot")
    shelf, _ = await house.instances.create("shelf", "refund-bot")
    assert await _try(house, till, 5) == ["made"] * 3 + ["rate_limited"] * 2
    assert await _try(house, shelf, 5) == ["made"] * 2 + ["rate_limited"] * 3
    house.clock.advance(minutes=1)
    assert await _try(house, shelf, 4, tag="later") == ["made"] * 3 + ["rate_limited"]


async def test_what_waits_is_counted_for_the_agent_and_for_each_instance(houses: Houses) -> None:
    house = await houses.with_limits("max_pending = 4", "instance_max_pending = 3")
    till, _ = await house.instances.create("till", "refund-bot")
    shelf, _ = await house.instances.create("shelf", "refund-bot")
    assert await _try(house, till, 5, "issue_refund") == ["made"] * 3 + ["too_many_pending"] * 2
    assert await _try(house, shelf, 5, "issue_refund") == ["made"] + ["too_many_pending"] * 4
    assert await _try(house, shelf, 2, "look_up", tag="l") == ["made"] * 2


async def test_what_is_refused_for_what_waits_does_not_use_the_rate_up(houses: Houses) -> None:
    house = await houses.with_limits('rate = "3/1m"', "max_pending = 1")
    till, _ = await house.instances.create("till", "refund-bot")
    assert await _try(house, till, 6, "issue_refund") == ["made"] + ["too_many_pending"] * 5
    assert await _try(house, till, 3, "look_up", tag="l") == ["made", "made", "rate_limited"]


async def test_what_was_not_made_does_not_use_the_rate_up(houses: Houses) -> None:
    house = await houses.with_limits('rate = "2/1m"')
    till, _ = await house.instances.create("till", "refund-bot")
    gone, _ = await house.instances.create("gone", "refund-bot")
    await house.instances.revoke("gone")
    await _try(house, till, 1)
    for _ in range(5):
        with pytest.raises(BadCredential):
            await house.creation.submit(gone, submission("look_up"), "k")
        with pytest.raises(IdempotencyConflict):
            await house.creation.submit(till, submission(), "k0")
        assert (await house.creation.submit(till, submission("look_up"), "k0"))[1] is False
    with closing(sqlite3.connect(house.store.path)) as connection, connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no more'); END")
    for number in range(5):
        with pytest.raises(sqlite3.IntegrityError):
            await house.creation.submit(till, submission("look_up"), f"lost{number}")
    with closing(sqlite3.connect(house.store.path)) as connection, connection:
        connection.execute("DROP TRIGGER full")
    assert await _try(house, till, 2, tag="l") == ["made", "rate_limited"]


# --- races ---


async def test_parallel_submissions_do_not_overshoot(houses: Houses) -> None:
    """Groups are run again when a unit of theirs is undone, which must count nothing twice or not at all."""
    house = await houses.with_limits('rate = "40/1m"', "max_pending = 7", 'instance_rate = "25/1m"')
    instances = [(await house.instances.create(f"i{number}", "refund-bot"))[0] for number in range(4)]
    made: list[str] = []
    refused: list[str] = []

    async def submit(number: int) -> None:
        tool = "issue_refund" if number % 3 else "look_up"
        try:
            await house.creation.submit(instances[number % 4], submission(tool), f"k{number}")
        except Limited as limit:
            refused.append(limit.code)
        else:
            made.append(tool)

    async def disturb() -> None:
        async def work(unit: Unit) -> None:
            await unit.run(statements.TAKE_ACT, id="disturb", user_id="U", at=house.clock())
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await house.store.write(work)

    await asyncio.gather(*(disturb() if number % 10 == 9 else submit(number) for number in range(200)))
    with closing(sqlite3.connect(house.store.path)) as connection:
        stored = dict(connection.execute("SELECT status, count(*) FROM requests GROUP BY status").fetchall())
        facts = [json.loads(body) for (body,) in connection.execute("SELECT body FROM events")]
    assert stored == {"pending": 7, "approved": 33}
    assert (made.count("issue_refund"), made.count("look_up")) == (7, 33)
    assert set(refused) == {"rate_limited", "too_many_pending"}
    assert sum(fact["type"] == "request.made" for fact in facts) == 40


async def test_a_place_is_free_again_when_people_have_decided(houses: Houses, acts: Callable[..., Act]) -> None:
    house = await houses.with_limits("max_pending = 1")
    till, _ = await house.instances.create("till", "refund-bot")
    first, _ = await house.creation.submit(till, submission(), "k1")
    with pytest.raises(TooManyPending):
        await house.creation.submit(till, submission(), "k2")
    decided = await house.decisions.vote(first.number, acts("U0ALICE"), VoteKind.APPROVE)
    assert decided.status is Status.APPROVED
    assert (await house.creation.submit(till, submission(), "k2"))[1]


async def test_without_limits_nothing_more_is_asked(house: House) -> None:
    till, _ = await house.instances.create("till", "refund-bot")
    assert await _try(house, till, 200) == ["made"] * 200
