"""T9: calls decided by rule on PostgreSQL, with one replica and with two, and a decision at one that another waits for.

Everything that is compared is measured in turns, so that a machine that others use slows all of it alike. On a machine
with few cores the database, the replicas and the clients share them: then the processor time of a cycle says what a
replica more would bring, not how many cycles came about.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import measures
from benchmarks.measures import Agent, Cycles, Latencies, card_of
from benchmarks.postgres import PostgresServer, cpu_seconds
from benchmarks.postgres_load import Load
from benchmarks.servers import CHANNELS, Server, signoff_server
from playground import Playground

_ROUNDS = 3
_CLIENTS = 32
_PROBES = 3


@dataclass
class Rates:
    """What each round came to."""

    rounds: list[Load | Cycles] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return statistics.median(one.per_second for one in self.rounds)

    @property
    def cpu_microseconds(self) -> float:
        """Processor time of a cycle in the processes that are measured."""
        return statistics.median(one.cpu_microseconds for one in self.rounds)

    @property
    def database_cpu_microseconds(self) -> float:
        """Processor time of a cycle in PostgreSQL."""
        return statistics.median(one.database_cpu_microseconds for one in self.rounds)

    def by_processor(self, other: "Rates", processes: int) -> float:
        """How many times as many cycles it would be with a core for each of so many processes, by processor time."""
        return processes * other.cpu_microseconds / self.cpu_microseconds

    def against(self, other: "Rates") -> float:
        """The median of the rounds' ratios."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(mine.per_second / its.per_second for mine, its in pairs)


@dataclass
class Replicas:
    """What T9 came to. Each replica has as many clients. ``alone``: one client's three requests. ``wake``: across."""

    raw: Rates = field(default_factory=Rates)
    use_cases: Rates = field(default_factory=Rates)
    one: Rates = field(default_factory=Rates)
    two: Rates = field(default_factory=Rates)
    alone: Latencies = field(default_factory=Latencies)
    wake: Latencies = field(default_factory=Latencies)


async def on_postgresql(
    folder: Path, slack: Playground, secrets: dict[str, str], ports: tuple[int, int], seconds: float, wakes: int
) -> Replicas:
    """Run T9 against a server of its own, on this disk, with the settings that PostgreSQL comes with."""
    database = await asyncio.to_thread(PostgresServer)
    try:
        url = await asyncio.to_thread(database.create, "bench")
        async with AsyncExitStack() as both:
            here = await both.enter_async_context(
                signoff_server(folder, slack.api_url, secrets, ports[0], store_url=url)
            )
            there = await both.enter_async_context(
                signoff_server(folder, slack.api_url, secrets, ports[1], store_url=url, token=here.token)
            )
            found = Replicas(alone=(await measures.cycles(here, 1, seconds, measures.rule_cycle)).latencies)
            database_cpu = partial(cpu_seconds, database.pid)
            for _ in range(_ROUNDS):
                found.raw.rounds.append(await _load("raw", url, database.pid, seconds))
                found.use_cases.rounds.append(await _load("use-cases", url, database.pid, seconds))
                for rates, servers in ((found.one, [here]), (found.two, [here, there])):
                    rates.rounds.append(
                        await measures.cycles(
                            here,
                            _CLIENTS * len(servers),
                            seconds,
                            measures.rule_cycle,
                            *servers[1:],
                            database_cpu=database_cpu,
                        )
                    )
            found.wake = await _wake(here, there, slack, wakes)
    finally:
        await asyncio.to_thread(database.close)
    return found


async def _wake(here: Server, there: Server, slack: Playground, wakes: int) -> Latencies:
    """How long from a decision sent to one replica until the agent that waits at the other has its answer.

    The decision is the agent's own cancellation, as in T5, of what has its card in Slack.
    """
    latencies = Latencies()
    maker, waiter = await Agent.connect(here), await Agent.connect(there)
    for at in range(wakes):
        request_id = await maker.create(f"issue_refund_{at % CHANNELS}")
        await card_of(slack, at % CHANNELS, request_id)
        poll = asyncio.ensure_future(waiter.wait(request_id))
        for _ in range(_PROBES):
            await measures.agent_is_waiting(there)
        began = time.perf_counter()
        cancelled = asyncio.ensure_future(maker.cancel(request_id))
        if await poll != "cancelled":
            raise RuntimeError("a cancellation was not heard of")
        latencies.add(time.perf_counter() - began)
        await cancelled
    for agent in (maker, waiter):
        agent.close()
    return latencies


async def _load(kind: str, url: str, database: int, seconds: float) -> Load:
    numbers = map(str, (database, _CLIENTS, round(seconds)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.postgres_load", kind, url, *numbers, stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"benchmarks.postgres_load {kind} failed")
    return Load(**json.loads(said))
