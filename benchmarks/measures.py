"""What is measured: the targets T1, T2, T3, T5, T8 and T10, one function each; T6 is in ``benchmarks.steps``.

Everything runs on loopback, with bounds on counts and seconds. Latencies are in milliseconds.
"""

import asyncio
import gc
import itertools
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load import Answer, Client, http_request
from benchmarks.servers import CHANNELS, Server
from playground import Playground
from playground.model import View

_POLLS_EACH = 10
_AGENTS = 32
_BURST_CHANNEL = "C0BENCH0"
_PLACES = itertools.cycle(range(CHANNELS))
CALL = {"customer": "c_123", "fields": ["name", "email"], "amount": 4900}


@dataclass
class Latencies:
    """A sample of durations in milliseconds."""

    values: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        self.values.append(seconds * 1000)

    def at(self, share: float) -> float:
        ordered = sorted(self.values)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


@dataclass
class Cycles:
    """How fast cycles of three requests went, and the processor time that each took: of the servers, the database."""

    per_second: float
    latencies: Latencies
    cpu_microseconds: float
    database_cpu_microseconds: float


class Agent:
    """One connection with a credential."""

    def __init__(self, client: Client, token: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}

    @classmethod
    async def connect(cls, server: Server) -> "Agent":
        return cls(await Client.connect("127.0.0.1", server.port), server.token)

    async def create(self, tool: str) -> str:
        """Make a request; returns its id."""
        body = json.dumps({"tool": tool, "arguments": CALL, "timeout": "1h"}).encode()
        answer = await self._send("POST", "", body, key=True)
        _expect(answer, 201)
        return str(json.loads(answer.body)["id"])

    async def consume(self, request_id: str) -> None:
        _expect(await self._send("POST", f"/{request_id}/consume", key=True), 200)

    async def report(self, request_id: str) -> None:
        _expect(await self._send("POST", f"/{request_id}/outcome", b'{"status":"succeeded"}'), 200)

    async def cancel(self, request_id: str) -> None:
        _expect(await self._send("DELETE", f"/{request_id}"), 200)

    async def wait(self, request_id: str) -> str:
        """Hold a long poll; returns the status it ends with."""
        answer = await self._send("GET", f"/{request_id}?wait=30s")
        _expect(answer, 200)
        return str(json.loads(answer.body)["status"])

    def close(self) -> None:
        self._client.close()

    def _send(self, method: str, path: str, body: bytes = b"", *, key: bool = False) -> Awaitable[Answer]:
        headers = {**self._headers, "Idempotency-Key": uuid.uuid4().hex} if key else self._headers
        return self._client.send(http_request(method, f"/aap/v1/requests{path}", headers, body))


def _expect(answer: Answer, status: int) -> None:
    if answer.status != status:
        raise RuntimeError(f"{answer.status} in place of {status}: {answer.body!r}")


async def cycles(
    server: Server,
    clients: int,
    seconds: float,
    cycle: Callable[[Agent], Awaitable[None]],
    *beside: Server,
    database_cpu: Callable[[], float] = lambda: 0.0,
) -> Cycles:
    """Run ``cycle`` on ``clients`` connections for ``seconds``, after a short warm-up.

    They go to ``server`` and to those ``beside`` it in turns. ``database_cpu``: the processor time, in seconds, of a
    database that has processes of its own.
    """
    servers = [server, *beside]
    agents = [await Agent.connect(servers[at % len(servers)]) for at in range(clients)]

    async def run(agent: Agent, until: float, latencies: Latencies) -> None:
        while (began := time.perf_counter()) < until:
            await cycle(agent)
            latencies.add(time.perf_counter() - began)

    def cpu_seconds() -> tuple[float, float]:
        return sum(one.cpu_seconds() for one in servers), database_cpu()

    await asyncio.gather(*(run(agent, time.perf_counter() + min(1.0, seconds / 4), Latencies()) for agent in agents))
    latencies, before, began = Latencies(), cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(run(agent, began + seconds, latencies) for agent in agents))
    elapsed = time.perf_counter() - began
    own, database = (after - at for after, at in zip(cpu_seconds(), before, strict=True))
    for agent in agents:
        agent.close()
    done = len(latencies.values)
    return Cycles(done / elapsed, latencies, own / done * 1e6, database / done * 1e6)


async def echo_cycle(agent: Agent) -> None:
    """The ceiling's three requests."""
    body = json.dumps({"tool": "look_up", "arguments": CALL, "timeout": "1h"}).encode()
    for _ in range(3):
        _expect(await agent._client.send(http_request("POST", "/echo", agent._headers, body)), 200)


async def rule_cycle(agent: Agent) -> None:
    """T1: a call decided by rule, from creation to outcome."""
    request_id = await agent.create("look_up")
    await agent.consume(request_id)
    await agent.report(request_id)


async def click_to_answer(server: Server, slack: Playground, at_once: int, rounds: int) -> Latencies:
    """T2: from a person's click to the waiting agent's answer, ``at_once`` agents and clicks in each round.

    All agents wait before anybody clicks: their long polls, and the connections that make sure of them, are not what
    is timed.
    """
    latencies = Latencies()
    for _ in range(rounds):
        agents = [await Agent.connect(server) for _ in range(at_once)]
        places = [next(_PLACES) for _ in agents]
        requests = [await agent.create(f"issue_refund_{at}") for agent, at in zip(agents, places, strict=True)]
        cards = [await card_of(slack, at, name) for at, name in zip(places, requests, strict=True)]

        polls = [asyncio.ensure_future(agent.wait(name)) for agent, name in zip(agents, requests, strict=True)]
        for _ in range(3):
            await agent_is_waiting(server)

        async def one(poll: asyncio.Future[str], place: int, ts: str) -> None:
            began = time.perf_counter()
            click = asyncio.ensure_future(slack.click("U0ALICE", f"C0BENCH{place}", ts, "approve"))
            if await poll != "approved":
                raise RuntimeError("a click did not approve")
            latencies.add(time.perf_counter() - began)
            await click

        await asyncio.gather(*(one(*each) for each in zip(polls, places, cards, strict=True)))
        for agent in agents:
            agent.close()
    return latencies


async def agent_is_waiting(server: Server) -> None:
    """Let the server take what was sent before: its answer to a later request of ours comes after it."""
    probe = await Client.connect("127.0.0.1", server.port)
    await probe.send(http_request("GET", "/healthz", {}))
    probe.close()


async def click_to_ack(server: Server, slack: Playground, at_once: int, rounds: int) -> Latencies:
    """T3: from a click to its acknowledgement, ``at_once`` clicks on as many cards."""
    latencies = Latencies()
    agent = await Agent.connect(server)
    for _ in range(rounds):
        places = [next(_PLACES) for _ in range(at_once)]
        requests = [await agent.create(f"issue_refund_{at}") for at in places]
        cards = [await card_of(slack, at, name) for at, name in zip(places, requests, strict=True)]

        async def one(place: int, ts: str) -> None:
            began = time.perf_counter()
            ack = await slack.click("U0ALICE", f"C0BENCH{place}", ts, "approve")
            if not ack.ok:
                raise RuntimeError(f"a click was not acknowledged: {ack.error}")
            latencies.add(time.perf_counter() - began)

        await asyncio.gather(*(one(*each) for each in zip(places, cards, strict=True)))
    agent.close()
    return latencies


async def held_polls(server: Server, slack: Playground, count: int, wakes: int) -> tuple[float, Latencies]:
    """T5: memory of each of ``count`` held long polls in bytes, and how soon one of them is woken by a decision.

    Ten agents wait for each request, so that all the cards are in Slack before anything is timed. The decision is the
    agent's own cancellation, sent on another connection: the wake-up is timed from sending it to the first poll's
    answer, so it includes the decision.
    """
    maker = await Agent.connect(server)
    places = [next(_PLACES) for _ in range(count // _POLLS_EACH)]
    requests = [await maker.create(f"issue_refund_{place}") for place in places]
    for place, name in zip(places, requests, strict=True):
        await card_of(slack, place, name)
    before = server.memory_bytes()
    agents = [await Agent.connect(server) for _ in range(count)]
    polls = [asyncio.ensure_future(agent.wait(requests[at // _POLLS_EACH])) for at, agent in enumerate(agents)]
    for _ in range(3):
        await agent_is_waiting(server)
    gc.collect()
    gc.freeze()  # a walk of this process's collector over 3 000 agents is not the server's doing
    each = (server.memory_bytes() - before) / count
    latencies = Latencies()
    for at in range(0, len(requests), max(len(requests) // wakes, 1)):
        began = time.perf_counter()
        cancelled = asyncio.ensure_future(maker.cancel(requests[at]))
        await polls[at * _POLLS_EACH]
        latencies.add(time.perf_counter() - began)
        await cancelled
    for poll in polls:
        poll.cancel()
    for agent in [maker, *agents]:
        agent.close()
    gc.unfreeze()
    return each, latencies


async def burst(server: Server, slack: Playground, requests: int) -> tuple[float, int]:
    """T8: so many calls at once for one channel that takes one new message a second.

    Returns the seconds until a reviewer can open every one of them, from a card of its own or from the list of the
    queue card, and how many messages that took. The list is then gone through, page by page.
    """
    agents = [await Agent.connect(server) for _ in range(_AGENTS)]
    began = time.perf_counter()
    shares = [range(at, requests, len(agents)) for at in range(len(agents))]

    async def ask(agent: Agent, share: range) -> None:
        for _ in share:
            await agent.create("issue_refund_0")

    await asyncio.gather(*(ask(agent, share) for agent, share in zip(agents, shares, strict=True)))
    while True:
        cards = [one for one in slack.messages(_BURST_CHANNEL) if "approve" in one.action_ids()]
        queue = next((one for one in slack.messages(_BURST_CHANNEL) if "queue_list" in one.action_ids()), None)
        if queue is not None:
            await slack.click("U0ALICE", _BURST_CHANNEL, queue.ts, "queue_list")
            view = await _shown(slack, 0)
            if len(cards) + _listed_in(view.all_text()) >= requests:
                break
            await slack.close_view("U0ALICE", view.id)
        await asyncio.sleep(0.05)
    seconds = time.perf_counter() - began
    found = set(_rows(view.blocks))
    while "queue_next" in view.action_ids():
        await slack.view_click("U0ALICE", view.id, "queue_next")
        view = await _shown(slack, len(found))
        found |= _rows(view.blocks)
    if len(found) + len(cards) < requests:
        raise RuntimeError(f"{len(found)} on the list and {len(cards)} cards of {requests}")
    for agent in agents:
        agent.close()
    return seconds, len(slack.messages(_BURST_CHANNEL))


async def _shown(slack: Playground, before: int) -> View:
    """Wait for the page of the list that begins after so many."""

    def page() -> View | None:
        return next((view for view in slack.modals("U0ALICE") if f"{before + 1:,} to " in view.all_text()), None)

    view = await slack.until(page)
    if view is None:
        raise RuntimeError("the list did not open")
    return view


def _listed_in(text: str) -> int:
    """How many the list says that it has."""
    said = re.search(r" of ([0-9,]+), by deadline", text)
    return int(said[1].replace(",", "")) if said else 0


def _rows(blocks: list[dict[str, Any]]) -> set[str]:
    return {str(one["block_id"]) for one in blocks if str(one.get("block_id", "")).startswith("row_")}


async def stop_with_polls(server: Server, count: int) -> float:
    """T10: seconds from SIGTERM to the exit of a server that holds ``count`` long polls, all of them answered."""
    maker = await Agent.connect(server)
    agents = [await Agent.connect(server) for _ in range(count)]
    name = await maker.create(f"issue_refund_{next(_PLACES)}")
    polls = [asyncio.ensure_future(agent.wait(name)) for agent in agents]
    for _ in range(3):
        await agent_is_waiting(server)
    began = time.perf_counter()
    server.process.terminate()
    answers = await asyncio.gather(*polls)
    if await server.process.wait() != 0 or set(answers) != {"pending"}:
        raise RuntimeError("the server did not stop as it should")
    return time.perf_counter() - began


async def card_of(slack: Playground, place: int, request_id: str) -> str:
    """Wait for a request's card in a channel of the benchmark; returns its ``ts``."""

    def find() -> str | None:
        for message in reversed(slack.messages(f"C0BENCH{place}")):
            if (message.metadata or {}).get("event_payload", {}).get("request_id") == request_id:
                return message.ts
        return None

    ts = await slack.until(find, timeout=120)
    assert isinstance(ts, str)
    return ts
