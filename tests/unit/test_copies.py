"""store.copies: a copy is of one moment, checked, private and marked, and takes no other file's place."""

import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.config import parse_settings
from handlers.check import check_database
from handlers.findings import Report
from store import schema
from store.copies import copied_at, copy, end_mark
from store.schema import prepare
from store.unit import RestoredCopy, StoreUnavailable
from tests.conftest import SAMPLE

NOW = datetime(2026, 11, 22, 9, 5, 59, tzinfo=UTC)
MINUTE = NOW.replace(second=0)


def count_acts(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM acts").fetchone()[0])


def test_it_is_of_one_moment_though_somebody_writes(database: Path, tmp_path: Path) -> None:
    """A writer puts rows in by pairs, each pair in a transaction; no copy has half of one."""
    over = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            number = 0
            while not over.is_set():
                connection.execute("BEGIN IMMEDIATE")
                for half in "ab":
                    connection.execute("INSERT INTO acts VALUES (?, 'U0', '2026-11-22')", (f"{number}{half}",))
                connection.execute("COMMIT")
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(6):
            copy(database, tmp_path / f"{number}.copy", NOW)
    finally:
        over.set()
        writer.join()
    counts = [count_acts(tmp_path / f"{number}.copy") for number in range(6)]
    assert all(count % 2 == 0 for count in counts)
    assert counts == sorted(counts)
    assert count_acts(database) >= counts[-1]


def test_it_is_one_private_file_and_nothing_else_is_left(database: Path, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    before = os.umask(0)
    try:
        copy(database, place / "copy.db", NOW)
    finally:
        os.umask(before)
    assert os.listdir(place) == ["copy.db"]
    assert (place / "copy.db").stat().st_mode & 0o777 == 0o600
    assert (place / "copy.db").stat().st_nlink == 1


def test_no_file_is_replaced(database: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("precious")
    os.symlink(tmp_path / "nowhere", tmp_path / "link")
    for name in ("kept", "link"):
        with pytest.raises(FileExistsError):
            copy(database, tmp_path / name, NOW)
    assert (tmp_path / "kept").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_a_file_that_comes_meanwhile_is_not_replaced(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(part: Path, target: Path) -> None:
        if can_link:
            target.write_text("another's")
            raise FileExistsError(17, "there")
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr("os.link", link)
    can_link = True
    with pytest.raises(FileExistsError):
        copy(database, tmp_path / "a", NOW)
    assert (tmp_path / "a").read_text() == "another's"
    can_link = False  # as on a memory stick
    copy(database, tmp_path / "b", NOW)
    assert copied_at(tmp_path / "b") == MINUTE
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "signoff.db"]


@pytest.mark.parametrize("damage", ["page", "reference"])
def test_a_damaged_database_gives_no_copy(database: Path, tmp_path: Path, damage: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        if damage == "reference":
            connection.execute(
                "INSERT INTO credentials (id, instance_id, token_hash, created_at) VALUES ('c', 'gone', x'00', '2026')"
            )
        else:
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO acts VALUES (?, 'U0', '2026-11-22')", [(f"{number:0200}",) for number in range(200)]
            )
            connection.execute("COMMIT")
            (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'acts'").fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if damage == "page":
        with database.open("r+b") as file:
            file.seek((page - 1) * size + 8)
            file.write(b"\xff" * 64)
    with pytest.raises((StoreUnavailable, sqlite3.DatabaseError)):
        copy(database, tmp_path / "copy", NOW)
    assert os.listdir(tmp_path) == ["signoff.db"]


def test_a_copy_is_not_served_until_its_mark_is_ended(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    copy(database, path, NOW)
    assert copied_at(database) is None
    assert copied_at(path) == MINUTE
    prepare(path, NOW, upgrade=False)  # reading it, as an audit does, is no harm
    with pytest.raises(RestoredCopy, match=r"2026-11-22 09:05 UTC.*signoff restored"):
        prepare(path, NOW, upgrade=True)
    prepare(path, NOW, upgrade=True, is_restored=True)
    assert copied_at(path) == MINUTE
    end_mark(path)
    assert copied_at(path) is None
    prepare(path, NOW, upgrade=True)


async def test_check_says_that_it_is_a_copy(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    copy(database, path, NOW)
    report = Report()
    settings = parse_settings(SAMPLE.replace("///signoff.db", f"///{path}").encode(), {}, source="sample")
    await check_database(report, settings.store, NOW)
    assert report.has_fault
    assert [finding.remedy for finding in report.findings if finding.remedy] == ["run `signoff restored` once"]


def test_a_copy_of_a_copy_keeps_the_first_ones_moment(database: Path, tmp_path: Path) -> None:
    copy(database, tmp_path / "first", NOW)
    copy(tmp_path / "first", tmp_path / "second", NOW + timedelta(days=9))
    assert copied_at(tmp_path / "second") == MINUTE


def test_what_is_kept_before_a_migration_is_a_copy_too(tmp_path: Path) -> None:
    database = tmp_path / "older.db"
    schema._upgrade(database, sorted(schema.known_revisions())[-2])
    done = prepare(database, NOW, upgrade=True)
    assert done.backup is not None
    assert copied_at(done.backup) == MINUTE
    assert copied_at(database) is None
