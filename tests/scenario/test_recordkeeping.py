"""What is done with the record while Signoff runs: checkpoints into a file, forgetting, each at the start and again."""

import asyncio
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from bot.audit import Audit
from bot.checkpoints import Signer
from bot.config import AuditSettings, Settings
from bot.events import EventType
from bot.restoring import Restoring
from handlers.clock import SweepClock
from handlers.recordkeeping import Checkpoints, refuse_forgetful
from store.statements_audit import Link
from store.unit import RestoredCopy, StoreUnavailable
from tests.conftest import SAMPLE, House
from tests.scenario.slack_support import running_bot
from tests.waiting import until

SIGNER = Signer(b"k" * 32)


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    with capture_logs() as logged:
        yield logged


def kept_in(path: Path, house: House, settings: Settings, taken: list[datetime]) -> Checkpoints:
    """What keeps checkpoints at ``path``."""
    audited = replace(settings, audit=AuditSettings(checkpoints=str(path)))
    return Checkpoints(lambda: audited, Audit(house.store, house.clock), SIGNER, taken.append)


async def events(house: House) -> list[Link]:
    return [link async for links in Audit(house.store, house.clock).pages() for link in links]


async def test_each_checkpoint_is_a_line_that_vouches_for_all_before_it(
    house: House, settings: Settings, tmp_path: Path
) -> None:
    path, taken = tmp_path / "checkpoints.txt", list[datetime]()
    keeper = kept_in(path, house, settings, taken)
    for name in ("till", "desk"):
        await house.instances.create(name, "refund-bot")
        await keeper.take()
    lines = path.read_text().splitlines()
    read = [SIGNER.public.read(line) for line in lines]
    chain = await events(house)
    assert [link.type for link in chain][-1] == EventType.CHECKPOINT_SIGNED
    assert [one.size for one in read] == [len(chain) // 2, len(chain)]  # each with its own event
    assert [one.root for one in read] == [chain[one.size - 1].hash for one in read]
    assert {one.origin for one in read} == {settings.server.public_url}
    assert len(taken) == 2
    assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0
    verdict = await Audit(house.store, house.clock).verify([one.as_witness for one in read])
    assert (verdict.fault_count, verdict.unwitnessed) == (0, 0)


async def test_without_a_path_nothing_is_signed(house: House, settings: Settings) -> None:
    keeper = Checkpoints(lambda: settings, Audit(house.store, house.clock), SIGNER, lambda at: None)
    assert await keeper.take() is None
    assert await events(house) == []


async def test_a_file_that_cannot_be_written_is_told(
    house: House, settings: Settings, tmp_path: Path, logged: list[EventDict]
) -> None:
    taken: list[datetime] = []
    assert await kept_in(tmp_path, house, settings, taken).take() is None
    assert [line["event"] for line in logged] == ["checkpoint_not_kept"]
    assert taken == []


async def test_a_chore_is_done_at_the_start_and_its_troubles_are_told(house: House, logged: list[EventDict]) -> None:
    done = asyncio.Event()
    hanging = asyncio.Event()

    async def works() -> None:
        done.set()

    async def fails() -> None:
        raise ValueError("hidden-text")

    async def waits() -> None:
        raise StoreUnavailable("locked")

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            hanging.set()

    sweeper = SweepClock(house.store, house.deadlines, house.escalations, house.clock)
    for chore in (fails, waits, hangs, works):
        sweeper.every(timedelta(days=1), chore.__name__, chore)
    await sweeper.start()
    await asyncio.wait_for(done.wait(), 5)
    assert not hanging.is_set()
    await asyncio.wait_for(sweeper.stop(), 5)
    assert hanging.is_set()  # it was broken off
    told = [(line["event"], line.get("chore")) for line in logged if "chore" in line]
    assert told == [("chore_failed", "fails"), ("chore_postponed", "waits")]


async def test_what_is_done_by_the_hour_is_done_when_the_clock_is_moved_on_by_one(house: House) -> None:
    done: list[str] = []

    async def hourly() -> None:
        done.append("hourly")

    async def daily() -> None:
        done.append("daily")

    sweeper = SweepClock(house.store, house.deadlines, house.escalations, house.clock)
    sweeper.every(timedelta(hours=1), "hourly", hourly)
    sweeper.every(timedelta(days=1), "daily", daily)
    sweeper.moved_on()  # before the start: nothing
    await sweeper.start()
    for minutes in (0, 59, 1):
        house.clock.advance(minutes=minutes)
        sweeper.moved_on()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await sweeper.stop()
    assert done == ["hourly", "daily", "hourly"]


async def test_the_service_keeps_checkpoints_from_its_start_on(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.txt"
    before = datetime.now(UTC).timestamp()
    async with running_bot(database, text=f'{SAMPLE}\n[audit]\ncheckpoints = "{path}"\n') as bot:
        await until(lambda: path.exists() and path.read_text().endswith("\n"))
        line = path.read_text()
        await until(lambda: bot.service.metrics.registry.get_sample_value("signoff_checkpoint_timestamp_seconds") != 0)
        assert (bot.service.metrics.registry.get_sample_value("signoff_checkpoint_timestamp_seconds") or 0) >= before
        checkpoint = Signer(bot.service.secrets.secret_key).public.read(line)
        verdict = await Audit(bot.store, bot.clock).verify([checkpoint.as_witness])
        assert verdict.fault_count == 0
        assert verdict.witnessed is not None


# --- a database that has forgotten ---


async def refuses(house: House, settings: Settings, path: Path, key: bytes = b"k" * 32) -> str | None:
    """Why a start would refuse the database; None if it would not."""
    audited = replace(settings, audit=AuditSettings(checkpoints=str(path)))
    try:
        await refuse_forgetful(house.store, house.clock, audited, key)
    except RestoredCopy as refused:
        return str(refused)
    return None


async def forget(house: House, events: int) -> None:
    """Take the last events away, as an older copy of the database lacks them."""
    with closing(sqlite3.connect(house.store.path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM events WHERE number > (SELECT max(number) FROM events) - ?", (events,))


async def test_a_copy_without_a_mark_is_noticed_by_the_last_checkpoint(
    house: House, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoints.txt"
    assert await refuses(house, settings, path) is None  # there is none yet
    await house.instances.create("till", "refund-bot")
    await kept_in(path, house, settings, []).take()
    await house.instances.create("desk", "refund-bot")
    assert await refuses(house, settings, path) is None  # it may know more than the checkpoint
    await forget(house, 3)  # up to before the checkpoint's own event
    said = await refuses(house, settings, path)
    assert said is not None
    assert "2026-11-22 09:00 UTC" in said
    assert "signoff restored" in said

    house.clock.advance(minutes=1)
    await Restoring(house.store, house.clock).finish(None)
    assert await refuses(house, settings, path) is None
    # A restore that is on record excuses no later one.
    house.clock.advance(minutes=1)
    await kept_in(path, house, settings, []).take()
    await forget(house, 1)
    assert await refuses(house, settings, path) is not None


async def test_another_record_of_the_same_length_is_noticed(house: House, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.txt"
    await kept_in(path, house, settings, []).take()
    await forget(house, 1)
    house.clock.advance(seconds=1)
    await Audit(house.store, house.clock).take_checkpoint("here", "key", "another")
    assert await refuses(house, settings, path) is not None


async def test_only_what_this_installation_signed_is_asked(
    house: House, settings: Settings, tmp_path: Path, logged: list[EventDict]
) -> None:
    path = tmp_path / "checkpoints.txt"
    await kept_in(path, house, settings, []).take()
    first = path.read_text()
    await house.instances.create("till", "refund-bot")
    await forget(house, 9)
    assert await refuses(house, settings, path, key=b"q" * 32) is None  # another secret key's
    path.write_text("x" * 200_000 + "\n" + first + "half a li")  # long, and broken off while it was written
    assert await refuses(house, settings, path) is not None
    path.write_text("nothing of the kind\n" + "\xff" * 10)
    assert await refuses(house, settings, path) is None
    assert await refuses(house, settings, tmp_path) is None  # what cannot be read keeps nobody from starting
    assert [line["event"] for line in logged][-1] == "checkpoint_not_read"


async def test_the_service_does_not_start_on_a_database_that_has_forgotten(database: Path, tmp_path: Path) -> None:
    path, older = tmp_path / "checkpoints.txt", tmp_path / "older.db"
    text = f'{SAMPLE}\n[audit]\ncheckpoints = "{path}"\n'
    shutil.copy(database, older)
    async with running_bot(database, text=text):
        await until(lambda: path.exists() and path.read_text().endswith("\n"))
    shutil.copy(older, database)  # a copy of cp's, with no mark
    with pytest.raises(RestoredCopy):
        async with running_bot(database, text=text):
            pass


async def _nothing(unit: object) -> None:
    """One turn of the store."""
