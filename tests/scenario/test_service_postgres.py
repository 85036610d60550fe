"""The service on PostgreSQL: one replica, two side by side, and a server that goes and comes back."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bot.clock import MovableClock, monotonic_clock
from bot.config import parse_settings
from bot.outbox import LEASE
from handlers.slack import bolt
from playground import Playground
from store.postgres import PostgresStore
from store.postgres_readers import READERS
from store.unit import StoreUnavailable
from tests.conftest import SAMPLE
from tests.postgres import PostgresServer
from tests.scenario.process_support import Starter, site_at
from tests.scenario.service_support import Workplace, assert_sound, cards, config_for, secrets_for, serving
from tests.waiting import until, within

REFUND = {"tool": "issue_refund", "arguments": {"amount": 4900}, "timeout": "10m"}
LOOK_UP = {"tool": "look_up", "arguments": {"order": 7}, "timeout": "10m"}


@pytest.fixture
async def replicas(slack: Playground, postgres_url: str) -> AsyncIterator[tuple[Workplace, Workplace]]:
    """Two services on one database and one Slack; the second has no line to Slack's socket but the first's."""
    async with AsyncExitStack() as both:
        clock = MovableClock(monotonic_clock())
        here = await both.enter_async_context(serving(slack, postgres_url, clock=clock))
        there = await both.enter_async_context(serving(slack, postgres_url, clock=clock, token=here.token))
        yield here, there


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may end."""
    server = PostgresServer()
    yield server
    server.close()


async def readiness(work: Workplace) -> tuple[int, dict[str, Any]]:
    """Ask ``/readyz`` as if nobody had asked before: what it found is remembered for a while."""
    for probe in work.service.health._parts.values():
        probe._until = 0.0
    status, text = await work.get("/readyz")
    return status, json.loads(text)["parts"]


def nobody_reads(work: Workplace) -> bool:
    """Whether whoever asked the database has its answer."""
    store = work.service.store
    assert isinstance(store, PostgresStore)
    return store._readers._may_read._value == READERS


async def test_one_replica_serves_as_on_sqlite(slack: Playground, postgres_url: str) -> None:
    async with serving(slack, postgres_url) as work:
        status, made = await work.send("POST", "/v1/requests", LOOK_UP, key="k")
        assert (status, made["status"]) == (201, "approved")
        status, _ = await work.send("POST", f"/v1/requests/{made['id']}/consume", key="c")
        assert status == 200
        _, asked = await work.send("POST", "/v1/requests", REFUND, key="r")
        assert asked["status"] == "pending"
        card = await work.card()
        ack = await slack.click("U0ALICE", card.channel, card.ts, "approve")
        assert ack.ok
        await until(lambda: work.rows("SELECT status FROM requests ORDER BY number")[-1] == ("approved",))
        await work.until_delivered()
        assert (await readiness(work))[0] == 200
    assert_sound(postgres_url)


async def test_a_decision_at_one_replica_wakes_who_waits_at_another(
    slack: Playground, replicas: tuple[Workplace, Workplace]
) -> None:
    here, _ = replicas
    _, made = await here.send("POST", "/v1/requests", REFUND, key="k")
    polls = [
        asyncio.ensure_future(one.send("GET", f"/v1/requests/{made['id']}?wait=30s")) for one in replicas for _ in "ab"
    ]
    card = await here.card()
    await until(lambda: all(one.service.approvals._waiters.awaited() for one in replicas))
    # Whichever replica has the line that Slack chose.
    await slack.click("U0ALICE", card.channel, card.ts, "approve")
    async with asyncio.timeout(5):
        answers = [await poll for poll in polls]
    assert [(status, answer["status"]) for status, answer in answers] == [(200, "approved")] * 4
    # Of two that use it at once, one does.
    used = await asyncio.gather(
        *(one.send("POST", f"/v1/requests/{made['id']}/consume", key=f"c{at}") for at, one in enumerate(replicas * 5))
    )
    assert sorted(status for status, _ in used) == [200] + [409] * 9
    await here.until_delivered()
    assert len(cards(slack)) == 1
    assert_sound(here.path)


async def test_clicks_at_two_replicas_decide_once(slack: Playground, replicas: tuple[Workplace, Workplace]) -> None:
    here, there = replicas
    await there.send("POST", "/v1/requests", REFUND, key="k")
    card = await there.card()
    clicks = [
        slack.click_payload(user, card.channel, card.ts, action)
        for user, action in [("U0ALICE", "approve"), ("U0BOB", "approve"), ("U0OWNER", "approve")] * 10
    ]
    acks = await within(asyncio.gather(*(slack.deliver(payload) for payload in clicks)))
    assert all(ack.ok for ack in acks)
    await here.until_delivered()
    assert here.rows("SELECT status FROM requests") == [("approved",)]
    assert here.rows("SELECT count(*) FROM events WHERE type = 'request.decided'") == [(1,)]
    assert here.rows("SELECT count(*) FROM votes") == [(1,)]
    assert_sound(here.path)


async def test_a_revoked_credential_is_refused_at_every_replica_at_once(
    slack: Playground, replicas: tuple[Workplace, Workplace]
) -> None:
    here, there = replicas
    for one in replicas:
        assert (await one.send("POST", "/v1/requests", LOOK_UP, key="k"))[0] in (200, 201)
    await here.service.instances.rotate("till")
    await here.service.instances.retire("till")
    async with asyncio.timeout(1):
        while (await there.send("POST", "/v1/requests", LOOK_UP, key="k"))[0] != 401:  # noqa: ASYNC110  # it is told
            await asyncio.sleep(0.01)


async def test_what_a_replica_that_died_was_sending_is_sent_by_another(slack: Playground, postgres_url: str) -> None:
    clock = MovableClock(monotonic_clock())
    async with serving(slack, postgres_url, clock=clock) as here:
        # As one that died after it claimed: it holds the lease, and says nothing any more.
        await here.service.deliverer.stop(LEASE * 0)
        await here.send("POST", "/v1/requests", REFUND, key="k")
        assert len(await here.service.outbox.claim(10)) == 1
        async with serving(slack, postgres_url, clock=clock, token=here.token) as there:
            await until(lambda: there.service.deliverer.under_way == 0)
            assert cards(slack) == []  # it frees nothing that another may still be sending
            clock.advance(LEASE)
            there.service.deliverer.wake()
            assert (await there.card()).channel == "C0REFUNDS"
            await there.until_delivered()
    assert len(cards(slack)) == 1


async def test_a_replica_with_an_older_file_says_so_and_is_not_ready(
    slack: Playground, replicas: tuple[Workplace, Workplace]
) -> None:
    here, there = replicas
    assert [(await readiness(one))[0] for one in replicas] == [200, 200]
    newer = config_for(slack, here.path, text=SAMPLE.replace('validity = "5m"', 'validity = "6m"'))
    load = lambda: parse_settings(newer.encode(), {}, source="newer")  # noqa: E731
    assert await there.service.reload(load) is not None
    assert (await readiness(there))[0] == 200
    status, parts = await readiness(here)
    assert (status, parts["rules"]) == (503, {"status": "failed", "code": "older_rules"})
    assert await here.service.reload(load) is not None
    assert [(await readiness(one))[0] for one in replicas] == [200, 200]


async def test_while_the_server_is_gone_agents_hear_503_and_afterwards_all_goes_on(
    slack: Playground, own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bolt, "_RETRY", bolt._RETRY / 100)
    url = own_server.new_database()
    async with serving(slack, url) as work:
        _, made = await work.send("POST", "/v1/requests", REFUND, key="k")
        card = await work.card()
        poll = asyncio.ensure_future(work.send("GET", f"/v1/requests/{made['id']}?wait=30s"))
        await until(lambda: bool(work.service.approvals._waiters.awaited()) and nobody_reads(work))
        own_server.stop()
        status, refused = await work.send("POST", "/v1/requests", REFUND, key="other")
        assert (status, refused["error"]["code"]) == (503, "store_unavailable")
        status, parts = await readiness(work)
        assert (status, parts["database"]["status"]) == (503, "failed")
        assert not poll.done()
        own_server.start()
        assert (await slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
        status, answer = await within(poll)
        assert (status, answer["status"]) == (200, "approved")
        assert (await readiness(work))[0] == 200
        await work.until_delivered()
    assert_sound(url)


async def test_a_database_that_is_not_there_is_a_failed_start(slack: Playground, postgres_url: str) -> None:
    with pytest.raises(StoreUnavailable):
        async with serving(slack, postgres_url + "_gone", secrets=secrets_for(slack)):
            pass


async def test_processes_are_killed_started_again_and_join_each_other(
    starter: Starter, slack: Playground, postgres_url: str, tmp_path: Path
) -> None:
    async with site_at(starter, slack, postgres_url, folder=tmp_path) as site:
        await site.start()
        request_id = await site.ask()
        card = await site.card()
        await site.kill()
        await site.start()
        async with serving(slack, postgres_url, token=site.token) as beside:
            assert (await slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
            status, answer = await site.send("GET", f"/v1/requests/{request_id}?wait=30s")
            assert (status, answer["status"]) == (200, "approved")
            assert (await beside.send("POST", f"/v1/requests/{request_id}/consume", key="c"))[0] == 200
            await site.until_delivered()
            await site.terminate()
    assert len(cards(slack)) == 1
    assert_sound(postgres_url)


async def test_whoever_starts_alone_frees_what_those_held_that_are_gone(slack: Playground, postgres_url: str) -> None:
    async with serving(slack, postgres_url) as here:
        await here.service.deliverer.stop(LEASE * 0)
        await here.send("POST", "/v1/requests", REFUND, key="k")
        assert len(await here.service.outbox.claim(10)) == 1
        token = here.token
    async with serving(slack, postgres_url, token=token) as again:
        assert (await again.card()).channel == "C0REFUNDS"
        await again.until_delivered()
    assert len(cards(slack)) == 1
