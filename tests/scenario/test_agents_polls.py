"""Long polls: held until the decision, answered at once by whatever ends them, and forgotten when nobody listens."""

import asyncio
import time
from datetime import timedelta

import pytest

from store.tables import Request, Status, VoteKind
from tests.scenario.agents_support import READ, Api, Reply
from tests.waiting import until, within


async def _pending(api: Api) -> Request:
    await api.create()
    return await api.next_change(Status.PENDING)


async def _held(api: Api, request: Request, polls: int = 1) -> "list[asyncio.Task[Reply]]":
    """Hold long polls on ``request``."""
    path = f"/v1/requests/{request.id}?wait=30s"
    held = [asyncio.create_task(api.send("GET", path)) for _ in range(polls)]
    await api.polled(request.id, polls)
    return held


@pytest.mark.parametrize("kind", [VoteKind.APPROVE, VoteKind.DENY])
async def test_a_decision_answers_every_poll_with_the_decided_request(api: Api, kind: VoteKind) -> None:
    request = await _pending(api)
    held = await _held(api, request, polls=3)
    await api.vote(request, kind)
    now = await api.send("GET", f"/v1/requests/{request.id}")
    assert {(reply.status, reply.body) for reply in await within(asyncio.gather(*held))} == {(200, now.body)}


async def test_a_poll_hears_of_its_own_request_only(api: Api) -> None:
    mine, other = await _pending(api), await _pending(api)
    (held,) = await _held(api, mine)
    await api.vote(other, VoteKind.APPROVE)
    await api.send("GET", f"/v1/requests/{other.id}")
    assert not held.done()
    await api.vote(mine, VoteKind.DENY)
    assert (await within(held)).json()["status"] == "denied"


async def test_cancelling_ends_the_poll(api: Api) -> None:
    request = await _pending(api)
    (held,) = await _held(api, request)
    await api.send("DELETE", f"/v1/requests/{request.id}")
    assert (await within(held)).json()["status"] == "cancelled"


async def test_expiry_ends_the_poll(api: Api) -> None:
    request = await _pending(api)
    (held,) = await _held(api, request)
    api.house.clock.advance(minutes=10)
    await api.house.deadlines.sweep()
    assert (await within(held)).json()["status"] == "expired"


async def test_revoking_the_instance_ends_the_poll(api: Api) -> None:
    request = await _pending(api)
    (held,) = await _held(api, request)
    await api.house.instances.revoke("till")
    assert (await within(held)).json()["status"] == "cancelled"


async def test_what_is_decided_is_answered_without_waiting(api: Api) -> None:
    request_id = (await api.create(READ)).json()["id"]
    reply = await within(api.send("GET", f"/v1/requests/{request_id}?wait=30s"))
    assert reply.json()["status"] == "approved"
    assert api.house.approvals._waiters.awaited() == []


async def test_shutdown_answers_every_poll_with_the_request_as_it_is(api: Api) -> None:
    request = await _pending(api)
    held = await _held(api, request, polls=100)
    began = time.monotonic()
    await within(api.runner.cleanup())
    assert {reply.json()["status"] for reply in await asyncio.gather(*held)} == {"pending"}
    assert time.monotonic() - began < 2


async def test_a_poll_that_hangs_up_is_forgotten(api: Api) -> None:
    request = await _pending(api)
    (held,) = await _held(api, request)
    held.cancel()
    await until(lambda: not api.house.approvals._waiters.awaited())
    assert (await api.send("GET", f"/v1/requests/{request.id}")).json()["status"] == "pending"


async def test_patience_ends_and_the_request_is_still_pending(api: Api) -> None:
    request = await _pending(api)
    waited = await within(api.house.approvals.wait(api.instance, request.id, timedelta(milliseconds=1)))
    assert waited == request
    assert api.house.approvals._waiters.awaited() == []


@pytest.mark.parametrize(
    "query",
    [
        "wait=",
        "wait=0s",
        "wait=01s",
        "wait=30",
        "wait=1.5s",
        "wait=-1s",
        "wait=30S",
        "wait=1d",
        "wait=1m30s",
        "wait=%2030s",
        "wait=30s%0A",
        "wait=٣s",
        "wait=30s&wait=30s",
    ],
)
async def test_a_malformed_wait_is_400(api: Api, query: str) -> None:
    request_id = (await api.create(READ)).json()["id"]
    refused = await api.send("GET", f"/v1/requests/{request_id}?{query}")
    assert (refused.status, refused.code) == (400, "invalid_wait")
    assert refused.json()["error"]["param"] == "wait"


@pytest.mark.parametrize("query", ["", "?wait=1s", "?wait=999999h", "?wait=" + "9" * 5000 + "h", "?other=1"])
async def test_any_length_of_wait_is_fine(api: Api, query: str) -> None:
    request_id = (await api.create(READ)).json()["id"]
    assert (await api.send("GET", f"/v1/requests/{request_id}{query}")).status == 200
