"""People, an agent and the clock at one request, interleaved as a seed says: one outcome, legal, told alike to all.

The store's turns are taken by a seeded chance (``tests.stores``): who shares a commit, who waits for Slack meanwhile,
and whose look at the database is old by the time they write. A failure names seed and round, and happens again.
"""

import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from bot.approvals import Approvals
from bot.creation import Creation
from bot.deadlines import Deadlines
from bot.decisions import Decisions
from bot.errors import BadCredential, NoLongerOpen, NotApproved, Refusal
from bot.hearings import Act, Hearings
from bot.instances import Instances
from bot.memory import Memory
from bot.people import Facts
from bot.rulebook import Rulebook
from bot.standing import Standing
from store.tables import FullView, Instance, OutcomeStatus, Request, Status, VoteKind
from tests.conftest import TEAM, StandingClock, Town, sample_settings, submission
from tests.faults.rounds import seeds
from tests.replay import assert_events_agree
from tests.stores import SeededStore

ROUNDS = 100  # of each seed; 100 seeds of them are the long form

RULES = """
[server]
public_url = "http://127.0.0.1:8080"
[store]
url = "sqlite:///signoff.db"
[admins]
users = ["U0ADMIN"]
[agents.refund-bot]
owners = ["U0OWNER"]
tools = ["*"]
[reviewers.finance]
users = ["U0ALICE", "U0BOB", "U0CAROL"]
[reviewers.security]
users = ["U0CAROL", "U0DAN"]
[[rules]]
name = "one"
agent = "refund-bot"
tool = "one"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
[[rules]]
name = "two"
agent = "refund-bot"
tool = "two"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
quorum = 2
[[rules]]
name = "seats"
agent = "refund-bot"
tool = "seats"
stage = "approve"
channel = "C0REFUNDS"
need = [{ reviewers = "finance", quorum = 1 }, { reviewers = "security", quorum = 1 }]
"""
FINANCE, SECURITY = {"U0ALICE", "U0BOB", "U0CAROL"}, {"U0CAROL", "U0DAN"}
SUFFICE: dict[str, Callable[[frozenset[str]], bool]] = {
    "one": lambda people: bool(people & FINANCE),
    "two": lambda people: len(people & FINANCE) >= 2,
    "seats": lambda people: any(one in FINANCE and two in SECURITY for one, two in permutations(people, 2)),
}
CHANGED = '{"changed": true}'
PEOPLE = ["U0ALICE", "U0BOB", "U0CAROL", "U0DAN", "U0OWNER", "U0SAM"]


class SlowTown(Town):
    """People whom it takes a while to ask about."""

    store: SeededStore

    async def load_facts(self, users: Iterable[str], groups: Iterable[str]) -> Facts:
        await self.store.pause()
        facts = await super().load_facts(users, groups)
        await self.store.pause()
        return facts


class Scene:
    """A house whose every wait is the seed's."""

    def __init__(self, store: SeededStore, clock: StandingClock, town: Town, rulebook: Rulebook) -> None:
        self.store, self.clock, self.town = store, clock, town
        self.instances = Instances(store, clock, b"k" * 32)
        self.creation = Creation(store, clock, rulebook, town)
        self.approvals = Approvals(store, clock, rulebook)
        hearings = Hearings(store, clock, rulebook, town)
        self.decisions = Decisions(store, clock, hearings)
        self.standing = Standing(store, rulebook, hearings)
        self.memory = Memory(hearings)
        self.deadlines = Deadlines(store, clock)
        self._names = iter(range(10**9))

    def name(self) -> str:
        return f"n{next(self._names)}"

    async def ask(self, tool: str) -> tuple[Instance, Request]:
        name = self.name()
        instance, _ = await self.store.alone(self.instances.create(name, "refund-bot"))
        sent = submission(tool, f'{{"call": "{name}"}}', "1m")  # no denial is remembered for it
        request, _ = await self.store.alone(self.creation.submit(instance, sent, "key"))
        return instance, request

    async def pass_time(self, seconds: float) -> None:
        await self.store.pause()
        self.clock.advance(seconds=seconds)

    async def sweep(self) -> None:
        await self.store.pause()
        await self.deadlines.sweep()

    async def run_call(self, instance: Instance, request: Request, key: str, patience: int) -> Request:
        """Try again and again to take the approval, then say how it went: an agent in a hurry."""
        for _ in range(patience):
            await self.store.pause()
            try:
                await self.approvals.consume(instance, request.id, key)
                break
            except NotApproved:
                continue
        outcome = self.store.chance.choice(list(OutcomeStatus))
        return await self.approvals.report_outcome(instance, request.id, outcome, None)

    async def send_changed(self, instance: Instance, request: Request, patience: int) -> Request:
        """Send the call as it may have been changed, each time with another key: an agent that reads notes."""
        for _ in range(patience):
            if (await self.approvals.read(instance, request.id)).status is not Status.PENDING:
                break
        sent = submission(request.tool, CHANGED, "1m")
        return (await self.creation.submit(instance, sent, self.name()))[0]

    def acts(self, chance: random.Random, instance: Instance, request: Request) -> list[Awaitable[Any]]:
        """What happens at about the same time. A person's act may come twice, as Slack may deliver it."""

        def act(user: str, view: FullView = FullView.CARD) -> Act:
            return Act(chance.choice([self.name(), self.name(), f"twice-{request.number}-{user}"]), user, TEAM, "card",
                       "C0REFUNDS", view)  # fmt: skip

        people, number = self.decisions, request.number
        ways: list[tuple[int, Callable[[], Awaitable[Any]]]] = [
            (10, lambda: people.vote(number, act(chance.choice(PEOPLE)), VoteKind.APPROVE)),
            (3, lambda: people.vote(number, act(chance.choice(PEOPLE)), VoteKind.DENY, "no")),
            (4, lambda: people.withdraw(number, act(chance.choice(PEOPLE)))),
            (
                5,
                lambda: self.standing.approve_with_changes(
                    number, act(chance.choice(PEOPLE), FullView.FORM), CHANGED, seen=FullView.CARD
                ),
            ),
            (4, lambda: self.send_changed(instance, request, chance.randint(0, 40))),
            (1, lambda: self.memory.reopen(number, act(chance.choice(PEOPLE)))),
            (1, lambda: self.approvals.cancel(instance, request.id)),
            (3, lambda: self.approvals.consume(instance, request.id, chance.choice("ab"))),
            (4, lambda: self.run_call(instance, request, chance.choice("ab"), chance.randint(1, 20))),
            (1, lambda: self.approvals.report_outcome(instance, request.id, chance.choice(list(OutcomeStatus)), None)),
            (2, lambda: self.pass_time(chance.choice([1, 29, 31, 59, 60, 400, 4000]))),
            (3, lambda: self.sweep()),
            *[(1, lambda: self.instances.revoke(instance.name))] * (request.number % 5 == 0),
        ]
        weights = [weight for weight, _ in ways]
        return [way() for _, way in chance.choices(ways, weights, k=chance.randint(3, 14))]


@pytest.fixture
async def scene(database: Path) -> AsyncIterator[Scene]:
    store = await SeededStore.open(database)
    clock = StandingClock()
    town = SlowTown(clock)
    town.store = store
    for user in PEOPLE:
        town.add(user)
    rulebook = await store.alone(Rulebook.load(store, sample_settings(RULES), clock))
    yield Scene(store, clock, town, rulebook)
    await store.close()


@seeds(2)
async def test_whatever_comes_first_there_is_one_outcome(scene: Scene, seed: int) -> None:
    reached: set[str] = set()
    for at in range(ROUNDS):
        chance = random.Random(f"{seed}-{at}")
        scene.store.chance = chance
        tool = chance.choice(list(SUFFICE))
        instance, request = await scene.ask(tool)
        results = await scene.store.run(*scene.acts(chance, instance, request))
        where = f"seed {seed}, round {at}"
        histories = assert_events_agree(scene.store.path, after=request.number - 1)
        told = histories.pop(request.number)
        for later in histories.values():  # the call as it was changed, sent once or more often
            if later.decided and later.decided["status"] == "approved":
                assert SUFFICE[tool](later.at_decision), where
        row = await scene.store.alone(scene.approvals.read(instance, request.id))
        reached.add(told.state)

        strange = [one for one in results if isinstance(one, Exception) and not isinstance(one, Refusal)]
        assert strange == [], where
        # What somebody was told of the outcome is the outcome.
        heard = [one for one in results if isinstance(one, Request) and one.number == request.number]
        heard += [one.request for one in results if isinstance(one, NoLongerOpen)]
        assert {one.status for one in heard} <= {row.status, Status.PENDING}, where
        # Approved exactly when the people whose votes stood suffice; and in time.
        assert not (told.denying and told.at_decision and row.status is Status.APPROVED), where
        if row.status is Status.APPROVED:
            assert SUFFICE[tool](told.at_decision), where
            assert row.decided_at is not None, where
            assert row.decided_at < row.deadline_at, where
        else:
            assert not SUFFICE[tool](frozenset(told.approving)), where
            assert row.consumed_at is None, where
        assert (row.status is Status.DENIED) == bool(told.denying), where
        assert "U0OWNER" not in told.approving | told.denying, where
        if row.consumed_at is not None:
            assert row.consume_key is not None, where
        assert not any(isinstance(one, BadCredential) for one in results) or row.status is not Status.PENDING, where
        # Whatever was left open is closed by time alone, and the next round starts from nothing pending.
        scene.clock.advance(hours=2)
        await scene.store.alone(scene.deadlines.sweep())
        await scene.store.alone(scene.deadlines.sweep())
    with closing(sqlite3.connect(scene.store.path)) as connection:
        taken = [one for (one,) in connection.execute("SELECT standing_id FROM votes WHERE standing_id IS NOT NULL")]
    assert taken, f"seed {seed}"
    assert len(set(taken)) == len(taken), f"seed {seed}"
    assert reached >= {"pending", "open", "denied", "cancelled", "expired"}, f"seed {seed}"
    assert reached & {"succeeded", "failed"}, f"seed {seed}"


async def test_a_seed_repeats_itself(scene: Scene) -> None:
    """Or a failure could not be looked at again."""

    async def once() -> list[str]:
        instance, request = await scene.ask("two")
        scene.store.chance = chance = random.Random("same")
        scene._names = iter(range(10**6 * request.number, 10**9))
        results = await scene.store.run(*scene.acts(chance, instance, request))
        return [type(one).__name__ for one in results]

    assert await once() == await once()
