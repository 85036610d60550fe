"""The agents' API as the protocol's real client sees it: every path of ``Gate`` and ``AsyncGate``, unmodified."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any, Protocol

import httpx
import pytest
from agentapprovalprotocol import Allow, AsyncClient, AsyncGate, Call, Client, Deny, Gate, Pending, Verdict
from agentapprovalprotocol._client import ConflictError, CredentialRefused, NotFound

from store.tables import OutcomeStatus, Status, VoteKind
from tests.scenario.agents_support import Api
from tests.waiting import within

REFUND = Call(key="call-1", tool="issue_refund", arguments={"amount": 4900, "to": "Zoë"}, reasoning="it was broken")
LOOK_UP = Call(key="call-2", tool="look_up", arguments={"order": 7})


class Agent(Protocol):
    """An agent with a gate of either kind, driven from the loop."""

    async def check(self, call: Call) -> Verdict: ...
    async def report(self, verdict: Allow, status: str, note: str | None = None) -> bool: ...
    async def close(self) -> None: ...


class SyncAgent:
    def __init__(self, api: Api, token: str, **options: Any) -> None:
        self.client = Client(api.base_url, token)
        self.gate = Gate(self.client, **options)

    async def check(self, call: Call) -> Verdict:
        return await within(asyncio.to_thread(self.gate.check, call))

    async def report(self, verdict: Allow, status: Any, note: str | None = None) -> bool:
        return bool(await within(asyncio.to_thread(verdict.report, status, note)))

    async def close(self) -> None:
        self.client.close()


class AsyncAgent:
    def __init__(self, api: Api, token: str, **options: Any) -> None:
        self.client = AsyncClient(api.base_url, token)
        self.gate = AsyncGate(self.client, **options)

    async def check(self, call: Call) -> Verdict:
        return await within(self.gate.check(call))

    async def report(self, verdict: Allow, status: Any, note: str | None = None) -> bool:
        return bool(await within(verdict.report(status, note)))

    async def close(self) -> None:
        await self.client.aclose()


Hire = Callable[..., Agent]


@pytest.fixture(params=[SyncAgent, AsyncAgent], ids=["Gate", "AsyncGate"])
async def hire(request: pytest.FixtureRequest, api: Api) -> AsyncIterator[Hire]:
    """Make agents whose gates have the options given."""
    hired: list[Agent] = []

    def make(token: str | None = None, **options: Any) -> Agent:
        hired.append(request.param(api, token or api.token, **options))
        return hired[-1]

    yield make
    for agent in hired:
        await agent.close()


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    client = Client(api.base_url, api.token)
    yield client
    client.close()


async def test_a_call_is_approved_by_a_person_and_its_outcome_reported(api: Api, hire: Hire) -> None:
    agent = hire()
    checking = asyncio.ensure_future(agent.check(REFUND))
    request = await api.next_change(Status.PENDING)
    assert (request.tool, request.agent_reasoning) == ("issue_refund", "it was broken")
    await api.polled(request.id)
    await api.vote(request, VoteKind.APPROVE)
    verdict = await checking
    assert isinstance(verdict, Allow)
    assert verdict.request_id == request.id
    assert await agent.report(verdict, "failed", "no such order")
    ended = await api.house.approvals.read(api.instance, request.id)
    assert (ended.status, ended.outcome, ended.outcome_note) == (
        Status.APPROVED,
        OutcomeStatus.FAILED,
        "no such order",
    )
    assert ended.consumed_at is not None


async def test_a_denial_reaches_the_agent_with_its_note(api: Api, hire: Hire) -> None:
    checking = asyncio.ensure_future(hire().check(REFUND))
    request = await api.next_change(Status.PENDING)
    await api.polled(request.id)
    await api.vote(request, VoteKind.DENY, 'Wrong amount or target: ask "Zoë" first\n')
    verdict = await checking
    assert isinstance(verdict, Deny)
    assert verdict.status == "denied"
    assert verdict.reason.endswith('Their note: Wrong amount or target: ask "Zoë" first\n')


async def test_a_denial_without_a_note_has_none(api: Api, hire: Hire) -> None:
    checking = asyncio.ensure_future(hire().check(REFUND))
    await api.vote(await api.next_change(Status.PENDING), VoteKind.DENY)
    verdict = await checking
    assert isinstance(verdict, Deny)
    assert verdict.status == "denied"
    assert "note" not in verdict.reason


async def test_nobody_answers_and_the_request_expires(api: Api, hire: Hire) -> None:
    checking = asyncio.ensure_future(hire().check(REFUND))
    request = await api.next_change(Status.PENDING)
    await api.polled(request.id)
    api.house.clock.advance(minutes=9, seconds=59)
    assert not (await api.house.deadlines.sweep()).requests
    assert not checking.done()
    api.house.clock.advance(seconds=1)
    await api.house.deadlines.sweep()
    verdict = await checking
    assert isinstance(verdict, Deny)
    assert verdict.status == "expired"


async def test_an_agent_that_gives_up_cancels(api: Api, hire: Hire) -> None:
    verdict = await hire(wait_limit=0).check(REFUND)
    assert isinstance(verdict, Deny)
    assert verdict.request_id is not None
    assert (await api.house.approvals.read(api.instance, verdict.request_id)).status is Status.CANCELLED


async def test_the_rule_decides_at_once(api: Api, hire: Hire) -> None:
    agent = hire()
    assert isinstance(await agent.check(LOOK_UP), Allow)
    denied = await agent.check(Call(key="call-3", tool="drop_tables", arguments={}))
    assert isinstance(denied, Deny)
    assert denied.status == "denied"
    assert "may not use the tool drop_tables" in denied.reason


async def test_an_asynchronous_agent_comes_back_for_the_decision(api: Api, hire: Hire) -> None:
    agent = hire(mode="async")
    pending = await agent.check(REFUND)
    assert isinstance(pending, Pending)
    request = await api.next_change(Status.PENDING)
    assert isinstance(await agent.check(REFUND), Pending)
    await api.vote(request, VoteKind.APPROVE)
    assert isinstance(await agent.check(REFUND), Allow)
    again = await agent.check(REFUND)
    assert isinstance(again, Deny)
    assert again.status == "consumed"
    assert len(api.rows("SELECT 1 FROM requests")) == 1


async def test_what_the_client_sends_comes_back_the_same(api: Api, hire: Hire) -> None:
    """The gate itself compares every field it gets back, numbers as exact decimals."""
    arguments: dict[str, Any] = {
        "big": 2**60 + 1,
        "fraction": 0.1,
        "tiny": 1e-300,
        "none": None,
        "yes": True,
        "": {},
        "list": [[], {}, "", 0, -0.0],
        "text": 'Zoë \u202e \u0000 \U0001f600 \\ / " </script> \x7f \u2028',
    }
    call = Call(
        key="ключ",
        tool="look_up",
        arguments=arguments,
        server="crm.example",
        reasoning="\ttab",
        context={"a": arguments},
    )
    assert isinstance(await hire().check(call), Allow)


async def test_a_revoked_agent_is_told_so(api: Api, hire: Hire) -> None:
    agent = hire()
    assert isinstance(await agent.check(LOOK_UP), Allow)
    await api.house.instances.revoke("till")
    verdict = await agent.check(REFUND)
    assert isinstance(verdict, Deny)
    assert "refused this agent's credential" in verdict.reason


# --- the client's own calls -------------------------------------------------------------------------------


SUBMISSION = {"tool": "look_up", "arguments": {"order": 7}, "timeout": "10m"}


async def test_an_approval_is_consumed_once(client: Client) -> None:
    request = await asyncio.to_thread(client.create, SUBMISSION, "k")
    first = await asyncio.to_thread(client.consume, request.id, "once")
    assert await asyncio.to_thread(client.consume, request.id, "once") == first
    with pytest.raises(ConflictError) as refused:
        await asyncio.to_thread(client.consume, request.id, "twice")
    assert refused.value.code == "already_consumed"


async def test_one_outcome_is_reported(client: Client) -> None:
    request = await asyncio.to_thread(client.create, SUBMISSION, "k")
    with pytest.raises(ConflictError) as early:
        await asyncio.to_thread(client.report_outcome, request.id, "succeeded")
    assert early.value.code == "not_consumed"
    await asyncio.to_thread(client.consume, request.id, "once")
    first = await asyncio.to_thread(client.report_outcome, request.id, "succeeded", "done")
    assert first.consumption is not None
    assert first.consumption.outcome is not None
    assert first.consumption.outcome.note == "done"
    assert await asyncio.to_thread(client.report_outcome, request.id, "succeeded", "done") == first
    for other in [("failed", "done"), ("succeeded", None), ("succeeded", "done!")]:
        with pytest.raises(ConflictError) as refused:
            await asyncio.to_thread(client.report_outcome, request.id, *other)
        assert refused.value.code == "outcome_conflict"


async def test_an_approval_lapses(api: Api, client: Client) -> None:
    request = await asyncio.to_thread(client.create, SUBMISSION, "k")
    assert request.decision is not None
    assert request.decision.expires_at == request.decision.decided_at + timedelta(minutes=2)
    api.house.clock.advance(minutes=2)
    with pytest.raises(ConflictError) as refused:
        await asyncio.to_thread(client.consume, request.id, "late")
    assert refused.value.code == "approval_expired"


async def test_another_instances_request_does_not_exist(api: Api, client: Client) -> None:
    request = await asyncio.to_thread(client.create, SUBMISSION, "k")
    _, token = await api.house.instances.create("other", "refund-bot")
    other = Client(api.base_url, token)
    for attempt in (
        lambda: other.get(request.id),
        lambda: other.get(request.id, wait=1),
        lambda: other.cancel(request.id),
        lambda: other.consume(request.id, "k"),
        lambda: other.report_outcome(request.id, "succeeded"),
    ):
        with pytest.raises(NotFound):
            await asyncio.to_thread(attempt)
    mine = await asyncio.to_thread(other.create, SUBMISSION, "k")
    assert mine.id != request.id  # keys, too, are each instance's own
    other.close()


async def test_a_rotated_credential_works_beside_the_old_one_until_it_is_retired(api: Api, client: Client) -> None:
    request = await asyncio.to_thread(client.create, SUBMISSION, "k")
    renewed = Client(api.base_url, await api.house.instances.rotate("till"))
    assert await asyncio.to_thread(renewed.get, request.id) == await asyncio.to_thread(client.get, request.id)
    await api.house.instances.retire("till")
    with pytest.raises(CredentialRefused):
        await asyncio.to_thread(client.get, request.id)
    assert (await asyncio.to_thread(renewed.get, request.id)).id == request.id
    renewed.close()


# --- lost answers -----------------------------------------------------------------------------------------


class LosingTransport(httpx.HTTPTransport):
    """A real connection that loses the first answer to each path: sent, carried out, and never heard of."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[tuple[str, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        exchange = (request.method, request.url.path)
        if exchange in self.lost:
            return response
        self.lost.append(exchange)
        response.read()
        response.close()
        raise httpx.ReadError("the answer was lost", request=request)


async def test_every_answer_is_lost_once_and_nothing_happens_twice(api: Api) -> None:
    transport = LosingTransport()
    with httpx.Client(transport=transport, timeout=40) as http:
        gate = Gate(Client(api.base_url, api.token, http=http))
        checking = asyncio.ensure_future(asyncio.to_thread(gate.check, REFUND))
        request = await api.next_change(Status.PENDING)
        await api.vote(request, VoteKind.APPROVE)
        verdict = await within(checking)
        assert isinstance(verdict, Allow)
        assert await asyncio.to_thread(verdict.report, "succeeded")
    path = f"/aap/v1/requests/{request.id}"
    assert {("POST", "/aap/v1/requests"), ("POST", f"{path}/consume"), ("POST", f"{path}/outcome")} <= {*transport.lost}
    assert api.rows("SELECT type FROM events WHERE request_number IS NOT NULL ORDER BY number") == [
        ("request.made",),
        ("vote.cast",),
        ("request.decided",),
        ("request.consumed",),
        ("outcome.reported",),
    ]
