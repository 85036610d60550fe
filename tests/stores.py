"""Stores without threads, so that a test may say what happens when: the real commits, in an order that can be repeated.

``InlineStore`` does each piece of work at once; ``SeededStore`` lets it wait until a seed's chance takes its turn.
"""

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from store.announcing import Job, Work
from store.engine import SqliteStore, _read
from store.opening import Database
from store.postgres import PostgresStore
from store.unit import StoreUnavailable
from tests.postgres import rows_of


def database_of(store: object) -> Database:
    """Where the database of ``store`` is."""
    if isinstance(store, SqliteStore):
        return store.path
    assert isinstance(store, PostgresStore)
    return store._url


def rows_at(database: Database, query: str, *values: object) -> list[Any]:
    """Run a statement beside whoever works on the database; ``?`` stands for each of ``values``."""
    if isinstance(database, str):
        return rows_of(database, query, *values)
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(query, values).fetchall()


class InlineStore(SqliteStore):
    """A SQLite store that commits in the calling thread before it returns, and does not wait for the disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._writer.execute("PRAGMA synchronous=OFF")

    @classmethod
    async def open(cls, path: Path) -> "InlineStore":
        return cls(path)

    def _submit(self, jobs: Any, work: Work[Any]) -> asyncio.Future[Any]:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        job = Job(work, self._loop.create_future())
        if jobs is self._writes:
            self._commit(self._writer, [job])
        else:
            self._look(job)
        self._settle([job])
        return job.future

    def _look(self, job: Job) -> None:
        try:
            job.result = _read(self._reader, job.work)
        except BaseException as error:
            job.error = error

    async def close(self) -> None:
        self._closed = True
        for connection in (self._reader, self._peeker, self._writer):
            connection.close()


class SeededStore(InlineStore):
    """One whose work waits its turn. ``run`` gives the turns, and decides by ``chance`` who shares a commit.

    Nothing else in here waits for anything outside, so the same seed gives the same order of everything.
    """

    chance = random.Random(0)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._waiting: list[tuple[Any, Job]] = []
        self._paused: list[asyncio.Future[None]] = []

    @classmethod
    async def open(cls, path: Path) -> "SeededStore":
        return cls(path)

    async def pause(self) -> None:
        """Wait for a turn, as for an answer of Slack's."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self._paused.append(turn)
        await turn

    async def peek(self, work: Work[Any]) -> Any:
        await self.pause()
        return await super().peek(work)

    def _submit(self, jobs: Any, work: Work[Any]) -> asyncio.Future[Any]:
        job = Job(work, self._loop.create_future())
        self._waiting.append((jobs, job))
        return job.future

    async def run(self, *acts: Any) -> list[Any]:
        """Run coroutines to their end, interleaved as the seed says; returns their results or errors."""
        tasks = [asyncio.ensure_future(act) for act in acts]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            self._take_turn()
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def alone(self, act: Any) -> Any:
        """Run one coroutine to its end; raises what it raises."""
        (result,) = await self.run(act)
        if isinstance(result, BaseException):
            raise result
        return result

    def _take_turn(self) -> None:
        turns: list[asyncio.Future[None] | None] = [*self._paused, *[None] * bool(self._waiting)]
        if not turns:
            return
        turn = self.chance.choice(turns)
        if turn is not None:
            self._paused.remove(turn)
            turn.set_result(None)
            return
        group = self.chance.sample(self._waiting, self.chance.randint(1, len(self._waiting)))
        self._waiting = [one for one in self._waiting if one not in group]
        writes = [job for jobs, job in group if jobs is self._writes]
        if writes:
            self._commit(self._writer, writes)
        for jobs, job in group:
            if jobs is not self._writes:
                self._look(job)
        self._settle([job for _, job in group])
