"""Approve with changes as an agent meets it: the real client, and an agent that reads the note and asks again."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from agentapprovalprotocol import Allow, AsyncClient, AsyncGate, Call, Client, Deny, Gate

from bot.hearings import Act
from store.tables import FullView, Request, Status, VoteKind
from tests.conftest import SAMPLE, TEAM
from tests.scenario.agents_support import Api, running_api
from tests.waiting import within

REFUND = Call(key="call-1", tool="issue_refund", arguments={"amount": 4900.5, "to": "Zoë", "id": 2**60})
CHANGED = '{"amount": 49.10, "to": "Zoë", "id": 1152921504606846976}'


class Till:
    """An agent that refunds what it may, and follows the note of a denial that states a changed call."""

    def __init__(self, api: Api, gate: Gate | AsyncGate) -> None:
        self._gate = gate
        self.refunded: list[object] = []

    async def _check(self, call: Call) -> Allow | Deny:
        if isinstance(self._gate, Gate):
            verdict = await asyncio.to_thread(self._gate.check, call)
        else:
            verdict = await self._gate.check(call)
        assert isinstance(verdict, Allow | Deny)
        return verdict

    async def refund(self, call: Call) -> Allow | Deny:
        verdict = await self._check(call)
        note = "" if isinstance(verdict, Allow) else verdict.reason.partition("Their note: ")[2]
        if note.startswith("Approved with changes."):  # as docs/agents/README.md has it
            arguments = json.loads(note.split("\n")[1])
            verdict = await self._check(Call(key=f"{call.key}-changed", tool=call.tool, arguments=arguments))
            if isinstance(verdict, Allow):
                self.refunded.append(arguments)
        elif isinstance(verdict, Allow):
            self.refunded.append(call.arguments)
        return verdict


@pytest.fixture(params=["SELECTED", "quorum = 2\n"], ids=["one", "two"])
def people(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "SELECTED" else str(request.param)


@pytest.fixture
async def api(database: Path, people: str) -> AsyncIterator[Api]:
    async with running_api(database, SAMPLE + people) as api:
        yield api


@pytest.fixture(params=["Gate", "AsyncGate"])
async def till(request: pytest.FixtureRequest, api: Api) -> AsyncIterator[Till]:
    if request.param == "Gate":
        client = Client(api.base_url, api.token)
        yield Till(api, Gate(client))
        client.close()
    else:
        async_client = AsyncClient(api.base_url, api.token)
        yield Till(api, AsyncGate(async_client))
        await async_client.aclose()


async def _change(api: Api, request: Request) -> None:
    act = Act(uuid.uuid4().hex, "U0ALICE", TEAM, "modal", "C0REFUNDS", FullView.FORM)
    await api.house.standing.approve_with_changes(request.number, act, CHANGED, seen=FullView.CARD)


async def test_the_changed_call_runs_once(api: Api, till: Till, people: str) -> None:
    refunding = asyncio.ensure_future(till.refund(REFUND))
    request = await api.next_change(Status.PENDING)
    await api.polled(request.id)
    await _change(api, request)
    if people:
        retried = await api.next_change(Status.PENDING)
        await api.polled(retried.id)
        assert not refunding.done()
        assert retried.digest != request.digest
        act = Act(uuid.uuid4().hex, "U0BOB", TEAM, "card", "C0REFUNDS", FullView.CARD)
        await api.house.decisions.vote(retried.number, act, VoteKind.APPROVE)
    verdict = await within(refunding)
    assert isinstance(verdict, Allow)
    assert till.refunded == [json.loads(CHANGED)]
    numbers = f"SELECT number, status, consumed_at IS NOT NULL FROM requests WHERE number >= {request.number}"
    assert api.rows(f"{numbers} ORDER BY number") == [
        (request.number, "denied", 0),
        (request.number + 1, "approved", 1),
    ]
    # A second time it is asked about as any other call: the vote is used up.
    again = asyncio.ensure_future(till.refund(Call("call-2", REFUND.tool, json.loads(CHANGED))))
    waiting = await api.next_change(Status.PENDING)
    assert (waiting.repeats, again.done()) == (None, False)
    await api.polled(waiting.id)
    await api.vote(waiting, VoteKind.DENY, "once is enough")
    assert isinstance(await within(again), Deny)
    assert len(till.refunded) == 1


async def test_an_agent_that_asks_the_same_again_is_told_the_same(api: Api, till: Till, people: str) -> None:
    refunding = asyncio.ensure_future(till._check(REFUND))
    request = await api.next_change(Status.PENDING)
    await api.polled(request.id)
    await _change(api, request)
    first = await within(refunding)
    second = await within(till._check(Call("call-2", REFUND.tool, REFUND.arguments)))
    assert isinstance(first, Deny)
    assert isinstance(second, Deny)
    assert (first.reason, second.status) == (second.reason, "denied")
