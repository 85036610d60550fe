"""T6: so many steps due at once, on a database on this disk. Nothing is sent.

How fast they are written is measured, and then, while as many again are, how long calls decided by rule take. All in
this process, with the use cases themselves and a clock that stands where it is put: a server's would have to be waited
for.
"""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measures import Latencies
from bot.approvals import Approvals
from bot.call import parse_submission
from bot.clock import Clock
from bot.config import parse_settings
from bot.creation import Creation
from bot.escalations import Escalations
from bot.hearings import Hearings
from bot.instances import Instances
from bot.people import Channel, Facts, Person
from bot.rulebook import Rulebook
from store import statements
from store.engine import SqliteStore
from store.schema import prepare
from store.tables import Instance, OutcomeStatus

CONFIG = """
[server]
public_url = "http://127.0.0.1:8080"

[store]
url = "sqlite:///bench.db"

[admins]
users = ["U0ADMIN"]

[agents.bench]
owners = ["U0OWNER"]
tools = ["issue_refund", "look_up"]

[reviewers.finance]
users = ["U0ALICE"]

[reviewers.leads]
users = ["U0LEA"]

[plans.standard]
[[plans.standard.steps]]
after = "5m"
notify = ["thread"]
widen = ["leads"]
[[plans.standard.steps]]
after = "5m"
notify = ["thread"]

[[rules]]
name = "by rule"
agent = "bench"
tool = "look_up"
stage = "autonomous"

[[rules]]
name = "by people"
agent = "bench"
tool = "issue_refund"
stage = "approve"
channel = "C0BENCH"
reviewers = ["finance"]
plan = "standard"
"""
_AT_ONCE = 500  # requests that are made side by side
_AGENTS = 32  # as in T1
_ALONE_SECONDS = 2.0
_LOOK_UP = parse_submission(b'{"tool": "look_up", "arguments": {"customer": "c_123"}, "timeout": "1h"}')


@dataclass(frozen=True)
class Fired:
    """How long it took to write all steps, whether each was written once, and what that cost calls decided by rule.

    ``before`` and ``during``: how long those took with nothing else under way, and while steps were written.
    """

    seconds: float
    each_once: bool
    before: Latencies
    during: Latencies

    @property
    def slowed(self) -> float:
        """How many times as long the slowest of a hundred calls took."""
        return self.during.at(0.99) / self.before.at(0.99)


class _Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class Everybody:
    """A directory of members in good standing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def load_facts(self, users: object, groups: object) -> Facts:
        people = {user: Person(user, "T0BENCH", user) for user in ("U0ALICE", "U0LEA")}
        return Facts(self._clock(), "T0BENCH", people)

    def at_hand(self, user: str, groups: object, channel: str) -> None:
        return None

    async def load_channels_of(self, user: str) -> frozenset[str]:
        return frozenset()

    async def load_channel(self, channel: str) -> Channel:
        return Channel(channel)


async def steps_due_at_once(folder: Path, count: int) -> Fired:
    """Make ``count`` requests, let the first step of each be due, and take them all."""
    path = folder / "steps.db"
    clock = _Clock()
    await asyncio.to_thread(prepare, path, clock(), upgrade=False)
    store = await SqliteStore.open(path)
    rulebook = await Rulebook.load(store, parse_settings(CONFIG.encode(), {}, source="benchmark"), clock)
    people = Everybody(clock)
    instance, _ = await Instances(store, clock, b"k" * 32).create("bench", "bench")
    creation = Creation(store, clock, rulebook, people)
    call = parse_submission(b'{"tool": "issue_refund", "arguments": {"amount": 4900}, "timeout": "1h"}')
    for first in range(0, count, _AT_ONCE):
        keys = range(first, min(first + _AT_ONCE, count))
        await asyncio.gather(*(creation.submit(instance, call, f"k{key}") for key in keys))
    clock.now += timedelta(minutes=5)
    escalations = Escalations(store, clock, rulebook, Hearings(store, clock, rulebook, people))
    taken: list[int] = []
    began = time.perf_counter()
    while swept := (await escalations.sweep()).steps:
        taken += [step.request_number for step in swept]
    seconds = time.perf_counter() - began
    waiting = await store.read(lambda unit: unit.one(statements.INTENT_COUNT))
    # One to post its card, one to draw it, one to notify.
    each_once = len(taken) == len(set(taken)) == count and waiting == 3 * count

    async def sweep_all() -> None:
        while (await escalations.sweep()).steps:
            pass

    agents = _Agents(creation, Approvals(store, clock, rulebook), instance)
    before = await agents.call_while(asyncio.sleep(_ALONE_SECONDS))
    clock.now += timedelta(minutes=5)
    during = await agents.call_while(sweep_all())
    await store.close()
    return Fired(seconds, each_once, before, during)


@dataclass
class _Agents:
    """So many agents side by side, each with one call after the other that a rule decides: create, consume, outcome."""

    creation: Creation
    approvals: Approvals
    instance: Instance
    made: int = 0

    async def call_while(self, other: Coroutine[None, None, None]) -> Latencies:
        """Make calls until something else is done; returns how long each took."""
        latencies = Latencies()
        task = asyncio.ensure_future(other)
        await asyncio.gather(*(self._call_until(task, latencies) for _ in range(_AGENTS)), task)
        return latencies

    async def _call_until(self, task: asyncio.Task[None], latencies: Latencies) -> None:
        while not task.done():
            self.made += 1
            key = f"call{self.made}"
            began = time.perf_counter()
            request, _ = await self.creation.submit(self.instance, _LOOK_UP, key)
            await self.approvals.consume(self.instance, request.id, key)
            await self.approvals.report_outcome(self.instance, request.id, OutcomeStatus.SUCCEEDED, None)
            latencies.add(time.perf_counter() - began)
