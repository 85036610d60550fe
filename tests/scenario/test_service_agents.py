"""From the agents' real client to people who click in Slack and back: the service as it is wired, in both modes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from agentapprovalprotocol import Allow, Call, Client, Deny, Gate
from agentapprovalprotocol._client import ConflictError

from tests.scenario.service_support import (
    AGENTS,
    LOOK_UP,
    MODES,
    REFUND,
    Workplace,
    assert_sound,
    other_call,
    payload_of,
    playing,
    serving,
)
from tests.waiting import until, within

BOTH = pytest.mark.parametrize("kind", AGENTS)


@pytest.fixture(params=MODES)
async def work(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Workplace]:
    async with playing() as slack, serving(slack, database, mode=request.param) as work:
        yield work
    assert_sound(database)


@pytest.fixture
async def in_socket_mode(database: Path) -> AsyncIterator[Workplace]:
    async with playing() as slack, serving(slack, database) as work:
        yield work


@BOTH
async def test_an_approved_call_runs_and_the_card_says_that_it_succeeded(work: Workplace, kind: str) -> None:
    asking = asyncio.ensure_future(work.hire(kind).guard(REFUND))
    card = await work.card()
    assert "4900" in card.all_text()
    assert (await work.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
    verdict = await asking
    assert isinstance(verdict, Allow)
    assert verdict.request_id == payload_of(card)["request_id"]
    await work.slack.until(lambda: "succeeded" in work.slack.message(card.channel, card.ts).all_text().lower())
    shown = work.slack.message(card.channel, card.ts)
    assert "U0ALICE" in shown.all_text()
    assert {"approve", "deny"}.isdisjoint(shown.action_ids())
    assert len(work.slack.messages("C0REFUNDS")) == 1


@BOTH
async def test_a_denials_reason_and_note_reach_the_agent(work: Workplace, kind: str) -> None:
    asking = asyncio.ensure_future(work.hire(kind).check(REFUND))
    card = await work.card()
    await work.slack.click("U0BOB", card.channel, card.ts, "deny")
    (modal,) = await work.slack.until(lambda: work.slack.modals("U0BOB"))
    assert (await work.slack.submit("U0BOB", modal.id, {"reason": "too_risky", "note": 'Ask "Zoë" first.'})).ok
    verdict = await asking
    assert isinstance(verdict, Deny)
    assert verdict.status == "denied"
    assert verdict.reason.endswith('Their note: Too risky: Ask "Zoë" first.')
    await work.slack.until(lambda: "Too risky" in work.slack.message(card.channel, card.ts).all_text())


@BOTH
async def test_what_nobody_answers_expires(work: Workplace, kind: str) -> None:
    asking = asyncio.ensure_future(work.hire(kind).check(REFUND))
    card = await work.card()
    await work.advance(minutes=10)
    verdict = await asking
    assert isinstance(verdict, Deny)
    assert verdict.status == "expired"
    await work.slack.until(lambda: "approve" not in work.slack.message(card.channel, card.ts).action_ids())
    assert "expired" in work.slack.message(card.channel, card.ts).all_text().lower()


@BOTH
async def test_an_agent_that_gives_up_cancels_and_the_card_closes(work: Workplace, kind: str) -> None:
    verdict = await work.hire(kind, wait_limit=0).check(REFUND)
    assert isinstance(verdict, Deny)
    assert work.rows("SELECT status FROM requests") == [("cancelled",)]
    await work.until_delivered()
    for card in work.slack.messages("C0REFUNDS"):  # or none, if the cancellation was faster than the card
        assert "approve" not in card.action_ids()
        assert "cancelled" in card.all_text().lower()


@BOTH
async def test_an_outcome_of_failure_is_shown(in_socket_mode: Workplace, kind: str) -> None:
    work = in_socket_mode
    agent = work.hire(kind)
    asking = asyncio.ensure_future(agent.check(REFUND))
    card = await work.card()
    await work.slack.click("U0ALICE", card.channel, card.ts, "approve")
    verdict = await asking
    assert isinstance(verdict, Allow)
    assert await agent.report(verdict, "failed", "no such order")
    await work.slack.until(lambda: "failed" in work.slack.message(card.channel, card.ts).all_text().lower())


@BOTH
async def test_a_call_is_answered_by_its_rule_or_by_none(in_socket_mode: Workplace, kind: str) -> None:
    agent = in_socket_mode.hire(kind)
    assert isinstance(await agent.guard(LOOK_UP), Allow)
    denied = await agent.check(Call(key="k", tool="drop_tables", arguments={}))
    assert isinstance(denied, Deny)
    assert "drop_tables" in denied.reason
    assert in_socket_mode.slack.messages("C0REFUNDS") == []


async def test_an_approval_is_consumed_once(in_socket_mode: Workplace) -> None:
    work = in_socket_mode
    client = Client(work.agents_url, work.token)
    submission = {"tool": "issue_refund", "arguments": {"amount": 1}, "timeout": "10m"}
    request = await asyncio.to_thread(client.create, submission, "k")
    card = await work.card()
    await work.slack.click("U0ALICE", card.channel, card.ts, "approve")
    first = await asyncio.to_thread(client.consume, request.id, "once")
    assert await asyncio.to_thread(client.consume, request.id, "once") == first
    with pytest.raises(ConflictError) as refused:
        await asyncio.to_thread(client.consume, request.id, "twice")
    assert refused.value.code == "already_consumed"
    client.close()


class LosingTransport(httpx.HTTPTransport):
    """A real connection that loses the first answer to each path: sent, carried out, and never heard of."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        path = request.url.path.rpartition("/")[2]
        if request.method != "POST" or path in self.lost:
            return response
        self.lost.append(path)
        response.read()
        response.close()
        raise httpx.ReadError("the answer was lost", request=request)


async def test_lost_answers_are_asked_for_again_and_nothing_happens_twice(in_socket_mode: Workplace) -> None:
    work = in_socket_mode
    transport = LosingTransport()
    with httpx.Client(transport=transport, timeout=40) as http:
        gate = Gate(Client(work.agents_url, work.token, http=http))
        asking = asyncio.ensure_future(asyncio.to_thread(gate.check, REFUND))
        card = await work.card()
        await work.slack.click("U0ALICE", card.channel, card.ts, "approve")
        verdict = await within(asking)
        assert isinstance(verdict, Allow)
        assert await asyncio.to_thread(verdict.report, "succeeded")
    assert transport.lost == ["requests", "consume", "outcome"]
    assert work.rows("SELECT status, outcome FROM requests") == [("approved", "succeeded")]
    assert len(work.slack.messages("C0REFUNDS")) == 1


async def test_two_agents_do_not_see_each_others_requests(in_socket_mode: Workplace) -> None:
    work = in_socket_mode
    _, token = await work.service.instances.create("other", "refund-bot")
    body = {"tool": "issue_refund", "arguments": {}, "timeout": "10m"}
    _, mine = await work.send("POST", "/v1/requests", body, key="k")
    status, _ = await work.send("GET", f"/v1/requests/{mine['id']}", token=token)
    assert status == 404
    status, theirs = await work.send("POST", "/v1/requests", body, key="k", token=token)
    assert status == 201
    assert theirs["id"] != mine["id"]


async def test_numbers_come_back_as_they_were_sent(in_socket_mode: Workplace) -> None:
    body = b'{"tool":"look_up","arguments":{"a":1152921504606846977,"b":0.1000000000000000001},"timeout":"10m"}'
    status, answer = await in_socket_mode.send("POST", "/v1/requests", body, key="k")
    assert status == 201
    headers = {"Authorization": f"Bearer {in_socket_mode.token}"}
    url = f"{in_socket_mode.agents_url}/v1/requests/{answer['id']}"
    async with in_socket_mode.session.get(url, headers=headers) as read:
        assert b'{"a":1152921504606846977,"b":0.1000000000000000001}' in await read.read()


async def test_held_polls_are_counted(in_socket_mode: Workplace) -> None:
    work = in_socket_mode
    body = {"tool": "issue_refund", "arguments": {}, "timeout": "10m"}
    _, request = await work.send("POST", "/v1/requests", body, key="k")
    polling = asyncio.ensure_future(work.send("GET", f"/v1/requests/{request['id']}?wait=30s"))
    await until(lambda: "signoff_waiting_polls 1.0" in rendered(work))
    await work.send("DELETE", f"/v1/requests/{request['id']}")
    await within(polling)
    assert "signoff_waiting_polls 0.0" in rendered(work)


def rendered(work: Workplace) -> str:
    from prometheus_client import generate_latest

    return generate_latest(work.service.metrics.registry).decode()


async def test_many_calls_at_once_each_get_their_own_answer(in_socket_mode: Workplace) -> None:
    work = in_socket_mode
    agents = [work.hire("AsyncGate") for _ in range(12)]
    asking = [
        asyncio.ensure_future(agent.check(other_call(REFUND, f"call-{at}", arguments={"amount": at})))
        for at, agent in enumerate(agents)
    ]
    await work.slack.until(lambda: len(work.slack.messages("C0REFUNDS")) == 12)
    await work.until_delivered()
    for at, card in enumerate(work.slack.messages("C0REFUNDS")):
        if at % 2:
            await work.slack.click("U0ALICE", card.channel, card.ts, "approve")
        else:
            await work.service.approvals.cancel(
                await work.service.instances.authenticate(work.token), payload_of(card)["request_id"]
            )
    verdicts = await asyncio.gather(*asking)
    approved = {payload_of(card)["request_id"] for card in work.slack.messages("C0REFUNDS")[1::2]}
    assert {verdict.request_id for verdict in verdicts if isinstance(verdict, Allow)} == approved
