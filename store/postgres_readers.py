"""The connections on which a replica reads PostgreSQL: a small pool, each lent with one snapshot of the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from store.announcing import BUSY_TIMEOUT_MS
from store.postgres_connections import Trouble, connect, hang_up, unavailable
from store.unit import StoreUnavailable

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

READERS = 8
"""Connections at most; with those that write and listen a replica has ten."""
_LOOK = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class Readers:
    """The pool. A connection is made when it is wanted first, and kept while it is good."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[asyncpg.Connection] = []
        self._coming_back: set[asyncio.Future[None]] = set()
        self._may_read = asyncio.Semaphore(READERS)
        self._closed = False

    def refuse(self) -> None:
        """Lend nothing any more."""
        self._closed = True

    async def close(self) -> None:
        """Close what is idle."""
        self._closed = True
        await asyncio.gather(*self._coming_back)
        idle, self._idle = self._idle, []
        for connection in idle:
            await hang_up(connection)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator["asyncpg.Connection"]:
        """Lend a connection with one snapshot of the database, on which nothing can be written."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        try:
            async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
                await self._may_read.acquire()
        except TimeoutError as error:
            raise StoreUnavailable("the database cannot serve: all connections for reading are in use") from error
        try:
            connection = await self._look()
        except BaseException:
            self._may_read.release()
            raise
        try:
            yield connection
        except BaseException as error:
            if not isinstance(error, Exception) or isinstance(error, StoreUnavailable):
                connection.terminate()  # in the middle of something, or the server is gone
            self._take_back(connection)
            raise
        self._take_back(connection)

    def _take_back(self, connection: "asyncpg.Connection") -> None:
        """Have the connection back soon: whoever has read with it need not wait for that."""
        coming_back = asyncio.ensure_future(self._give_back(connection))
        self._coming_back.add(coming_back)
        coming_back.add_done_callback(self._coming_back.discard)
        coming_back.add_done_callback(lambda _: self._may_read.release())

    async def _look(self) -> "asyncpg.Connection":
        """Begin to read, on a connection that is idle and still there, or else on a new one."""
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.execute(_LOOK)
            except Trouble:
                connection.terminate()
            except BaseException:
                connection.terminate()
                raise
            else:
                return connection
        connection = await connect(self._url)
        try:
            await connection.execute(_LOOK)
        except Trouble as error:
            connection.terminate()
            raise unavailable(error) from error
        except BaseException:  # a reader that gives up, too: nobody else knows of this connection
            connection.terminate()
            raise
        return connection

    async def _give_back(self, connection: "asyncpg.Connection") -> None:
        """Keep a connection for the next reader, if it is still good. What was read with it is good anyway."""
        try:
            await connection.execute("ROLLBACK")
        except Trouble:
            connection.terminate()
        except BaseException:
            connection.terminate()
            raise
        else:
            self._idle.append(connection)
