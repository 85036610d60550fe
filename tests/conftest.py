"""What every test may need: a clock that stands where it is put, a real database, sample settings.

The database is made by the real migrations once per run and copied for each test.
"""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.approvals import Approvals
from bot.call import Submission, parse_submission
from bot.config import Settings, parse_settings
from bot.creation import Creation
from bot.deadlines import Deadlines
from bot.decisions import Act, Decisions
from bot.digests import Digests
from bot.errors import FactsUnavailable
from bot.escalations import Escalations
from bot.halts import Halts
from bot.hearings import Hearings
from bot.instances import Instances
from bot.memory import Memory
from bot.outbox import Outbox
from bot.overriding import Overrides
from bot.passcodes import Passcodes
from bot.people import Channel, Facts, Person
from bot.queries import Queries
from bot.queues import Queues
from bot.redaction import Redactor
from bot.rulebook import Rulebook
from bot.standing import Standing
from bot.step_targets import StepTargets
from store.engine import SqliteStore
from store.postgres import PostgresStore
from store.schema import prepare
from store.tables import FullView, Instance

if TYPE_CHECKING:
    from tests.postgres import PostgresServer
    from tests.scenario.process_support import Starter

if asked := os.environ.get("SIGNOFF_EXAMPLES"):
    # So many generated examples for each test that does not say its own number; thousands take many minutes.
    import hypothesis

    hypothesis.settings.register_profile("asked", max_examples=int(asked), deadline=None)
    hypothesis.settings.load_profile("asked")

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TEAM = "T0HOME"

SAMPLE = """
[server]
public_url = "http://127.0.0.1:8080"

[store]
url = "sqlite:///signoff.db"

[admins]
users = ["U0ADMIN"]

[agents.refund-bot]
owners = ["U0OWNER"]
tools = ["issue_refund", "send_*", "look_up"]

[reviewers.finance]
users = ["U0ALICE"]
usergroups = ["S0FINANCE"]

[[rules]]
name = "look-ups"
agent = "refund-bot"
tool = "look_*"
stage = "autonomous"
validity = "2m"

[[rules]]
name = "refunds"
agent = "refund-bot"
tool = "issue_refund"
stage = "approve"
channel = "C0REFUNDS"
fallback_channel = "C0OPS"
reviewers = ["finance"]
min_timeout = "1m"
max_timeout = "1h"
validity = "5m"
"""


class StandingClock:
    """A clock that moves only when a test moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


@dataclass
class Town:
    """A directory of people that a test describes; ``closed`` makes it fail as Slack would.

    What is ``forgotten`` would have to be asked for.
    """

    clock: StandingClock
    people: dict[str, Person] = field(default_factory=dict)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    memberships: dict[str, frozenset[str]] = field(default_factory=dict)
    closed: bool = False
    age: timedelta = timedelta(0)
    forgotten: set[str] = field(default_factory=set)

    def add(self, user: str, **facts: object) -> None:
        self.people[user] = Person(**{"id": user, "team_id": TEAM, "name": user.lower(), **facts})  # type: ignore[arg-type]  # a test's shorthand

    async def load_facts(self, users: Iterable[str], groups: Iterable[str]) -> Facts:
        if self.closed:
            raise FactsUnavailable
        wanted = list(groups)
        return Facts(
            loaded_at=self.clock() - self.age,
            home_team=TEAM,
            people={user: self.people[user] for user in users if user in self.people},
            groups={group: self.groups[group] for group in wanted if group in self.groups},
            unknown_groups=frozenset(group for group in wanted if group not in self.groups),
        )

    def at_hand(self, user: str, groups: Iterable[str], channel: str) -> tuple[Facts, Channel | None] | None:
        if self.closed or user in self.forgotten or user not in self.people:
            return None
        known = {group: self.groups[group] for group in groups if group in self.groups.keys() - self.forgotten}
        facts = Facts(self.clock() - self.age, TEAM, {user: self.people[user]}, known)
        return facts, None if channel in self.forgotten else self.channels.get(channel, Channel(channel))

    async def load_channels_of(self, user: str) -> frozenset[str]:
        return self.memberships.get(user, frozenset())

    async def load_channel(self, channel: str) -> Channel:
        return self.channels.get(channel, Channel(channel))


@dataclass
class House:
    """The use cases on a real database, without any surface."""

    store: SqliteStore
    clock: StandingClock
    town: Town
    rulebook: Rulebook
    instances: Instances
    creation: Creation
    approvals: Approvals
    passcodes: Passcodes
    hearings: Hearings
    decisions: Decisions
    standing: Standing
    overrides: Overrides
    memory: Memory
    deadlines: Deadlines
    escalations: Escalations
    step_targets: StepTargets
    outbox: Outbox
    queries: Queries
    queues: Queues
    halts: Halts
    digests: Digests


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def town(clock: StandingClock) -> Town:
    town = Town(clock, groups={"S0FINANCE": frozenset({"U0BOB"})})
    for user in ("U0ADMIN", "U0OWNER", "U0ALICE", "U0BOB", "U0CAROL"):
        town.add(user)
    return town


@pytest.fixture
def settings() -> Settings:
    return sample_settings()


def sample_settings(text: str = SAMPLE) -> Settings:
    return parse_settings(text.encode(), {}, source="sample")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "empty.db"
    prepare(path, START, upgrade=False)
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path / "signoff.db"))


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """A server of PostgreSQL for this process of tests."""
    from tests.postgres import PostgresServer

    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres: "PostgresServer") -> str:
    """A PostgreSQL database of a test's own, with today's schema."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def starter() -> "Iterator[Starter]":
    """Where real processes of the service come from."""
    from tests.scenario.process_support import Starter

    starter = Starter()
    yield starter
    starter.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked ``both_databases`` on either."""
    marked = metafunc.definition.get_closest_marker
    if marked("both_databases") and not marked("sqlite_only") and "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", ["sqlite", "postgresql"])


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
async def store(database_kind: str, request: pytest.FixtureRequest) -> AsyncIterator[SqliteStore | PostgresStore]:
    """A store of a test's own: SQLite's, and for what is marked ``both_databases`` PostgreSQL's too."""
    store = await (
        SqliteStore.open(request.getfixturevalue("database"))
        if database_kind == "sqlite"
        else PostgresStore.open(request.getfixturevalue("postgres").emptied_database())
    )
    yield store
    await store.close()


@pytest.fixture
async def house(store: SqliteStore, clock: StandingClock, town: Town, settings: Settings) -> House:
    return await furnish(store, clock, town, settings)


async def furnish(store: SqliteStore, clock: StandingClock, town: Town, settings: Settings) -> House:
    rulebook = await Rulebook.load(store, settings, clock)
    passcodes = Passcodes(store, clock, b"k" * 32)
    redactor = Redactor(b"k" * 32)
    queries = Queries(store, clock, rulebook, town, redactor)
    hearings = Hearings(store, clock, rulebook, town)
    return House(
        store=store,
        clock=clock,
        town=town,
        rulebook=rulebook,
        instances=Instances(store, clock, b"k" * 32),
        creation=Creation(store, clock, rulebook, town),
        approvals=Approvals(store, clock, rulebook),
        passcodes=passcodes,
        hearings=hearings,
        decisions=Decisions(store, clock, hearings, passcodes),
        standing=Standing(store, rulebook, hearings, passcodes),
        overrides=Overrides(store, rulebook, hearings, passcodes),
        memory=Memory(hearings),
        deadlines=Deadlines(store, clock),
        escalations=Escalations(store, clock, rulebook, hearings),
        step_targets=StepTargets(store, clock, rulebook),
        outbox=Outbox(store, clock, rulebook, "test", redactor),
        queries=queries,
        queues=Queues(store, clock, rulebook, redactor, queries),
        halts=Halts(store, clock, rulebook, town),
        digests=Digests(store, clock, rulebook),
    )


@pytest.fixture
async def instance(house: House) -> Instance:
    """An instance of the sample's one agent."""
    made, _ = await house.instances.create("till", "refund-bot")
    return made


@pytest.fixture
def acts() -> Callable[..., Act]:
    """Make acts with fresh trigger ids."""
    numbers = iter(range(1, 1_000_000))

    def act(
        user: str,
        channel: str | None = "C0REFUNDS",
        *,
        id: str | None = None,
        surface: str = "card",
        full_view: FullView | None = FullView.CARD,
    ) -> Act:
        return Act(id or f"t{next(numbers)}", user, TEAM, surface, channel, full_view)

    return act


@pytest.fixture
def filled(acts: Callable[..., Act]) -> Callable[..., Act]:
    """Make acts of people who filled in a form."""
    return lambda user, **more: acts(user, surface="modal", **{"full_view": FullView.FORM, **more})


def submission(tool: str = "issue_refund", arguments: str = '{"amount": 4900}', timeout: str = "10m") -> Submission:
    return parse_submission(f'{{"tool": "{tool}", "arguments": {arguments}, "timeout": "{timeout}"}}'.encode())
