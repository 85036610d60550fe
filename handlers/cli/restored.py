"""``signoff restored``: told once of a database that was restored from a backup, before it is served.

It holds the lock of whoever serves all the while, so that nobody is served from what it has not dealt with yet.
"""

import asyncio
import sqlite3
from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bot.clock import monotonic_clock, set_by
from bot.config import load_settings
from bot.restoring import Restored, Restoring
from handlers.cli.say import CommandFailed, say, shown
from store.copies import copied_at
from store.opening import Database, end_mark, is_there, open_database, prepare_database, unserved
from store.schema import current_revision
from store.tables import Request
from store.unit import StoreUnavailable

_MOST_LISTED = 100
_FORGOTTEN = """\
Not known any more is whatever was done since, and only you can do it again:
  agents' tokens that were revoked or retired work again, and new ones do not: signoff instance list
  pauses and stopped rules are those of the backup: /signoff pause
  lost devices for passcodes that were replaced work again: signoff enroll USER
Agents may have been told of decisions that are not on record, and may ask once more for what was done already."""


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Carry it out. Raises ``BadConfig``, ``StoreUnavailable``, ``NewerSchema`` and ``CommandFailed``."""
    settings = load_settings(config, env)
    made_at, restored = asyncio.run(_deal_with(settings.store.database))
    path = settings.store.sqlite_path
    _tell("The database" if path is None else str(path), made_at, restored)


async def _deal_with(database: Database) -> tuple[datetime | None, Restored]:
    if isinstance(database, Path):
        made_at = _mark_of(database)
    elif await is_there(database):
        made_at = None  # what PostgreSQL's own tools copy says not of when it is
    else:
        raise CommandFailed("There is no database with Signoff's tables: restore the backup first.")
    async with unserved(database):
        restored = await _finish(database, made_at)
        await end_mark(database)
    return made_at, restored


async def _finish(database: Database, made_at: datetime | None) -> Restored:
    clock = monotonic_clock()
    await prepare_database(database, clock(), upgrade=True, is_restored=True)
    store = await open_database(database)
    try:
        return await Restoring(store, set_by(clock, await store.offset_of(clock))).finish(made_at)
    finally:
        await store.close()


def _mark_of(path: Path) -> datetime | None:
    try:
        if current_revision(path) is None:
            raise CommandFailed(f"There is no database {path}: put the backup there first.")
        return copied_at(path)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the database {path} cannot be read: {error}") from error


def _tell(path: str, made_at: datetime | None, restored: Restored) -> None:
    if restored.is_repeated:
        print(f"{path} was dealt with before; nothing was left to do. Pending: {restored.pending}.")
        return
    print(f"{path} is a backup of {made_at:%Y-%m-%d %H:%M} UTC." if made_at else f"{path} has no mark of a backup.")
    print(f"Approvals that were open in it, may have been used since, and are revoked now: {len(restored.revoked)}")
    for request in restored.revoked[:_MOST_LISTED]:
        print(f"  {_line(request, datetime.now(UTC))}")
    if len(restored.revoked) > _MOST_LISTED:
        print(f"  and {len(restored.revoked) - _MOST_LISTED} more, each with an event request.revoked")
    print(f"Votes cast ahead that may have been taken since, and are ended now: {restored.lifted}")
    print(f"Enrolment codes that may have been used since, and are ended now: {restored.enrolments}")
    print(f"Pending requests, left as they are: {restored.pending}")
    say(_FORGOTTEN)


def _line(request: Request, now: datetime) -> str:
    was_good = request.expires_at is not None and request.expires_at > now
    until = f"could be used until {request.expires_at:%Y-%m-%d %H:%M:%S} UTC" if was_good else "its time was over"
    return f"#{request.number} {shown(request.agent)} {shown(request.tool)} ({until})"
