"""The process is killed, with -9, after a decision and before its receiver has heard of it: the next one tells it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from handlers.outbound import AT_ONCE_TO_A_HOST
from tests.faults.rounds import seeds
from tests.faults.test_crash import kill_once
from tests.scenario.process_support import Starter
from tests.scenario.service_support import assert_sound, playing
from tests.scenario.wire_process_support import LOOK_UP, Wired, wired_at
from tests.waiting import until


@pytest.fixture
async def wired(starter: Starter, database: Path) -> AsyncIterator[Wired]:
    async with playing() as slack, wired_at(starter, slack, database) as wired:
        yield wired
    assert_sound(database)


@seeds(2)
async def test_a_decision_that_is_committed_when_the_process_dies_is_told(wired: Wired, seed: int) -> None:
    site, station = wired.site, wired.station
    await site.start()
    assert (await wired.provision())[0] == 201
    request_id = await site.ask(f"k{seed}")
    card = await site.card()
    clicking = asyncio.ensure_future(site.slack.click("U0ALICE", card.channel, card.ts, "approve"))
    await kill_once(site, "SELECT 1 FROM requests WHERE status = 'approved'")
    await site.start()
    await clicking
    await station.until(1)
    await until(lambda: site.rows("SELECT due_at FROM notifications") == [(None,)])
    assert {delivery.message["request_id"] for delivery in station.events} == {request_id}
    assert len({delivery.body for delivery in station.events}) == 1
    assert site.rows("SELECT count(*) FROM events WHERE type = 'request.decided'") == [(1,)]


async def test_what_was_not_even_tried_when_the_process_dies_is_told(wired: Wired) -> None:
    """The receiver's host has all the lines it may have at once, so the last decision waits for its first attempt."""
    site, station = wired.site, wired.station
    never = asyncio.Event()

    async def hang(http_request: web.Request, body: bytes) -> web.StreamResponse:
        await never.wait()
        return web.Response(status=204)

    await site.start()
    assert (await wired.provision())[0] == 201
    station.answer = hang
    ids = []
    for at in range(AT_ONCE_TO_A_HOST + 1):
        status, request = await site.send("POST", "/v1/requests", LOOK_UP, key=f"k{at}")
        assert (status, request["status"]) == (201, "approved")
        ids.append(request["id"])
        await until(lambda: len(station.events) == min(len(ids), AT_ONCE_TO_A_HOST))
    await site.kill()
    before = station.events
    assert ids[-1] not in {delivery.message["request_id"] for delivery in before}
    bodies = dict(site.rows("SELECT id, body FROM notifications"))
    assert len(bodies) == len(ids)

    station.answer = None
    await site.start()
    await until(lambda: site.rows("SELECT count(*) FROM notifications WHERE delivered_at IS NULL") == [(0,)])
    after = station.events[len(before) :]
    assert Counter(delivery.message["request_id"] for delivery in after) == Counter(ids)
    for delivery in station.events:
        assert delivery.body.decode() == bodies[delivery.headers["webhook-id"]]
        station.proven(delivery)
