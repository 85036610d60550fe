"""Copies of a SQLite database that may be in use, and the mark by which one is known once it is put back.

A copy that is put back has forgotten what happened after it was made: an approval that was used since would be good
once more. So each copy made here is marked, in the number that SQLite keeps in a file's header for its users; ``serve``
refuses a database with that mark, until ``signoff restored`` has dealt with it and ends the mark. Nothing here knows
what is stored.
"""

import os
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store.announcing import BUSY_TIMEOUT_MS
from store.unit import StoreUnavailable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)


def copy(source: Path, target: Path, now: datetime) -> None:
    """Copy the database ``source`` to the new file ``target``: one moment of it, checked, for its owner's eyes alone.

    Whoever uses the database goes on meanwhile. ``target`` is there whole or not at all, and never takes another file's
    place. Raises ``OSError``, ``sqlite3.Error``, or ``StoreUnavailable`` for a database that is damaged.
    """
    if os.path.lexists(target):
        raise FileExistsError(17, "The file is there already", str(target))
    descriptor, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.absolute().parent)
    os.close(descriptor)  # made with mode 0600: it holds what the database holds
    part = Path(name)
    try:
        _copy_pages(source, part)
        _check_and_mark(part, now)
        _flush(part)
        _give_name(part, target)
        _flush(part.parent)
    finally:
        part.unlink(missing_ok=True)


def copied_at(path: Path) -> datetime | None:
    """Return when the copy was made that the database at ``path`` is, to the minute; None if it is none.

    Raises ``sqlite3.Error``.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        minutes = int(connection.execute("PRAGMA user_version").fetchone()[0])
    return _EPOCH + minutes * _MINUTE if minutes else None


def end_mark(path: Path) -> None:
    """Make the copy at ``path`` a database like any other. Raises ``StoreUnavailable``."""
    try:
        with closing(_connect(path, "rw")) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA user_version=0")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the mark of a copy cannot be taken from {path}: {error}") from error


def _copy_pages(source: Path, part: Path) -> None:
    # All pages in one step: one moment of the database, and no writer makes it begin again.
    with closing(_connect(source, "ro")) as whole, closing(_connect(part, "rw")) as copied:
        whole.backup(copied)
        copied.execute("PRAGMA journal_mode=DELETE")  # one file, without the companions of a database in use


def _check_and_mark(part: Path, now: datetime) -> None:
    with closing(_connect(part, "rw")) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise StoreUnavailable(f"The database is damaged ({found}); no copy of it was kept.")
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise StoreUnavailable("The database is damaged (rows refer to others that are gone); no copy was kept.")
        (mark,) = connection.execute("PRAGMA user_version").fetchone()
        if not mark:  # a copy of a copy is of that one's moment
            connection.execute(f"PRAGMA user_version={max((now - _EPOCH) // _MINUTE, 1)}")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    return connection


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give_name(part: Path, target: Path) -> None:
    try:
        os.link(part, target)  # fails, if anybody made that file meanwhile
    except FileExistsError:
        raise
    except OSError:  # a file system without a second name for a file
        if os.path.lexists(target):
            raise FileExistsError(17, "The file is there already", str(target)) from None
        os.rename(part, target)
