"""handlers.heartbeat against a stand-in of a dead-man service: called while steps run on time, and silent otherwise."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from bot.config import Settings
from bot.config_plans import EscalationSettings
from bot.named_secrets import NamedSecrets
from handlers.heartbeat import MOST_OVERDUE, Heartbeat
from handlers.metrics import Metrics
from handlers.outbound import OperatorOutbound
from store.engine import SqliteStore
from store.unit import StoreUnavailable
from tests.conftest import START, House, StandingClock, Town, sample_settings
from tests.scenario.escalation_support import PLANNED, furnish_planned, request_of
from tests.scenario.pager_support import StandIn, standing_in

SECRET = "c4n4ry-of-the-check"
NAMING = PLANNED + '[escalation]\nheartbeat_env = "HEARTBEAT_URL"\n'


@dataclass
class Desk:
    """A house with a plan, its heartbeat, and the service that listens for it."""

    house: House
    outside: StandIn
    settings: Settings = field(default_factory=lambda: sample_settings(NAMING))
    failing: bool = False
    beats: list[datetime] = field(default_factory=list)

    def heart(self, patience: float = 5) -> Heartbeat:
        secrets = NamedSecrets({"HEARTBEAT_URL": f"{self.outside.url}/ping/{SECRET}?create=1"})
        secrets.read(self.settings)

        async def check() -> None:
            if self.failing:
                raise StoreUnavailable
            await self.house.outbox.release_leases()

        return Heartbeat(
            lambda: self.settings, secrets, OperatorOutbound(patience=timedelta(seconds=patience)), check,
            self.house.escalations.overdue_seconds, self.beats.append,
        )  # fmt: skip


class Noted(list[datetime]):
    """Tells when something is added."""

    def __init__(self, event: asyncio.Event) -> None:
        super().__init__()
        self._event = event

    def append(self, at: datetime) -> None:
        super().append(at)
        self._event.set()


@pytest.fixture
async def desk(store: SqliteStore, clock: StandingClock, town: Town) -> AsyncIterator[Desk]:
    async with standing_in() as outside:
        yield Desk(await furnish_planned(store, clock, town, NAMING), outside)


async def test_it_calls_the_secret_address_and_notes_when(desk: Desk) -> None:
    before = datetime.now(UTC)
    assert await desk.heart().beat() is None
    (got,) = desk.outside.got
    assert (got.method, got.path) == ("GET", f"/ping/{SECRET}?create=1")
    assert before <= desk.beats[0] <= datetime.now(UTC)


async def test_it_is_silent_while_a_step_is_overdue_by_more_than_a_minute(desk: Desk) -> None:
    await request_of(desk.house)
    heart, due = desk.heart(), START + timedelta(minutes=10)
    for at, code in [
        (START, None),
        (due, None),
        (due + MOST_OVERDUE, None),
        (due + MOST_OVERDUE + timedelta(seconds=1), "step_overdue"),
        (due + timedelta(hours=1), None),  # past the deadline no step is owed any more
    ]:
        desk.house.clock.now = at
        assert await heart.beat() == code
    desk.house.clock.now = due + timedelta(minutes=2)
    assert await heart.beat() == "step_overdue"
    await desk.house.escalations.sweep()
    assert await heart.beat() is None
    assert len(desk.outside.got) == len(desk.beats) == 5


async def test_it_is_silent_while_a_plan_is_stuck(desk: Desk) -> None:
    await request_of(desk.house)
    heart = desk.heart()
    with closing(sqlite3.connect(desk.house.store.path)) as connection, connection:
        connection.execute("UPDATE requests SET step_index = 77")
    for minutes, code in [(10, None), (11, None), (12, "step_overdue"), (13.5, "step_overdue")]:
        desk.house.clock.now = START + timedelta(minutes=minutes)
        await desk.house.escalations.sweep()
        assert await heart.beat() == code


async def test_it_is_silent_while_the_store_takes_nothing(desk: Desk) -> None:
    heart = desk.heart()
    desk.failing = True
    assert await heart.beat() == "store_unavailable"
    assert desk.outside.got == []
    desk.failing = False
    assert await heart.beat() is None


async def test_without_an_address_it_asks_nobody(desk: Desk) -> None:
    desk.settings = replace(desk.settings, escalation=EscalationSettings(heartbeat_env=None))
    desk.failing = True
    assert await desk.heart().beat() == "no_heartbeat"
    assert desk.outside.got == desk.beats == []


async def test_a_changed_file_changes_the_address(desk: Desk) -> None:
    heart = desk.heart()
    named = desk.settings
    desk.settings = replace(named, escalation=EscalationSettings(heartbeat_env=None))
    assert await heart.beat() == "no_heartbeat"
    desk.settings = named
    assert await heart.beat() is None


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500])
async def test_what_the_service_does_not_take_is_no_heartbeat(desk: Desk, status: int) -> None:
    desk.outside.answers(status, b"garbage", Location="/elsewhere")
    assert await desk.heart().beat() == f"http_{status}"
    assert len(desk.outside.got) == 1
    assert desk.beats == []


async def test_a_service_that_never_answers_is_given_up(desk: Desk) -> None:
    desk.outside.hangs = True
    assert await desk.heart(patience=0.1).beat() == "timeout"


async def test_each_trouble_is_said_once_and_so_is_its_end_and_never_the_address(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    heart = desk.heart()
    with capture_logs() as logged:
        for status in (202, 500, 500, 404, 202, 202):
            desk.outside.answers(status)
            await heart.beat()
    assert [(entry["event"], entry.get("code")) for entry in logged] == [
        ("heartbeat_silent", "http_500"), ("heartbeat_silent", "http_404"), ("heartbeat_resumed", None),
    ]  # fmt: skip
    assert SECRET not in repr(logged) + caplog.text + repr(vars(heart))


async def test_it_beats_by_itself_from_the_start_and_ends_when_told(desk: Desk) -> None:
    beaten = asyncio.Event()
    desk.beats = Noted(beaten)
    heart = desk.heart()
    heart.start()
    await asyncio.wait_for(beaten.wait(), 5)
    await heart.stop()
    assert len(desk.outside.got) == 1


async def test_what_nobody_expected_does_not_end_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    heart, waited = desk.heart(), asyncio.Event()

    async def fail() -> None:
        raise RuntimeError("nobody expected this")

    async def wait(seconds: float) -> None:
        assert seconds == 60
        waited.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(heart, "_check", fail)
    monkeypatch.setattr("handlers.heartbeat.asyncio.sleep", wait)
    with capture_logs() as logged:
        heart.start()
        await asyncio.wait_for(waited.wait(), 5)
        await heart.stop()
    assert [entry["event"] for entry in logged] == ["heartbeat_failed"]


async def test_the_metric_says_when_it_was_last_taken() -> None:
    metrics = Metrics("1.2.3")
    name = "signoff_heartbeat_success_timestamp_seconds"
    assert metrics.registry.get_sample_value(name) == 0
    metrics.heartbeat(START)
    assert metrics.registry.get_sample_value(name) == START.timestamp()
