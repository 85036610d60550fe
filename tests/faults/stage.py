"""What a round of faults is played on, and what must hold after each: whoever plays rounds needs nothing else.

A round is a function of a stage, a database's kind and a seed. It raises ``AssertionError`` when a promise was broken.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot.audit import Audit
from bot.audit_record import check_record
from bot.chain import Faults
from store.opening import Database, open_database
from store.schema import prepare
from tests.conftest import START, StandingClock
from tests.replay import assert_events_agree
from tests.scenario.process_support import Starter
from tests.scenario.service_support import assert_sound
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

SQLITE, POSTGRESQL = "sqlite", "postgresql"
MOST_SECONDS = 6 * PATIENCE_SECONDS  # for one round

Round = Callable[["Stage", str, int], Awaitable[None]]


class Stage:
    """Where processes and databases come from. Everything is made when it is first needed, and ended by ``close``."""

    def __init__(self, *, starter: Starter | None = None, server: "Callable[[], PostgresServer] | None" = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="signoff-faults-"))
        self._given = starter, server
        self._starter: Starter | None = None
        self._server: PostgresServer | None = None
        self._empty: Path | None = None

    @property
    def starter(self) -> Starter:
        if self._given[0] is not None:
            return self._given[0]
        self._starter = self._starter or Starter()
        return self._starter

    @property
    def server(self) -> "PostgresServer":
        from tests.postgres import PostgresServer

        if self._given[1] is not None:
            return self._given[1]()
        self._server = self._server or PostgresServer()
        return self._server

    def folder(self) -> Path:
        """Make a folder for one round."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    def database(self, kind: str, folder: Path) -> Database:
        """Make an empty database of today's schema."""
        if kind == POSTGRESQL:
            return self.server.emptied_database()
        if self._empty is None:
            self._empty = self._folder / "empty.db"
            prepare(self._empty, START, upgrade=False)
        return Path(shutil.copy(self._empty, folder / "signoff.db"))

    async def play(self, round_of: Round, kind: str, seed: int) -> None:
        """Play one round. Raises ``AssertionError``, or ``TimeoutError`` for one that does not end."""
        async with asyncio.timeout(MOST_SECONDS):
            await round_of(self, kind, seed)

    def clear(self) -> None:
        """Remove the folders of the rounds so far."""
        for folder in self._folder.iterdir():
            if folder.is_dir():
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        if self._starter is not None:
            self._starter.close()
        if self._server is not None:
            self._server.close()
        shutil.rmtree(self._folder, ignore_errors=True)


async def assert_whole(database: Database) -> None:
    """The file is whole, the chain verifies, and what is stored is what is on record."""
    assert_sound(database)
    assert_events_agree(database)
    store = await open_database(database)
    try:
        faults = Faults()
        await check_record(store, faults)
        verdict = await Audit(store, StandingClock(datetime.now(UTC))).verify((), faults)
    finally:
        await store.close()
    assert verdict.faults == ()
