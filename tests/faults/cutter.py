"""A network between a store and its PostgreSQL server that breaks when it is told to, above all at a commit."""

import asyncio
from typing import Literal

Where = Literal["before", "meanwhile", "after"]
WHERE: tuple[Where, ...] = ("before", "meanwhile", "after")
_COMMIT = b"COMMIT\x00"


class _Line:
    """One connection, from end to end."""

    def __init__(self, cutter: "Cutter", near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._cutter, self._near, self._far = cutter, near, far
        self._is_last_answer = False

    async def ask(self, reader: asyncio.StreamReader) -> None:
        """Hand on what the store says."""
        try:
            while said := await reader.read(65536):
                where = self._cutter.at_commit() if _COMMIT in said else None
                if where == "before":
                    break
                self._is_last_answer = where == "after"
                self._far.write(said)
                await self._far.drain()
                if where == "meanwhile":
                    break
        except ConnectionError:
            pass
        finally:
            self.cut()

    async def answer(self, reader: asyncio.StreamReader) -> None:
        """Hand on what the server says."""
        try:
            while said := await reader.read(65536):
                if self._is_last_answer:
                    break
                self._near.write(said)
                await self._near.drain()
        except ConnectionError:
            pass
        finally:
            self.cut()

    def cut(self) -> None:
        for end in (self._near, self._far):
            # What was written is sent before the server sees the end of it; the store sees it broken at once.
            if end is self._far:
                end.close()
            else:
                end.transport.abort()


class Cutter:
    """Hands on what either side says. Cuts the connection of the next commit, or all of them."""

    def __init__(self, url: str) -> None:
        before, _, self._database = url.rpartition("/")
        self._host, _, port = before.rpartition(":")
        self._there = int(port)
        self._next: Where | None = None
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.cut = 0
        """Commits that were cut so far."""

    async def __aenter__(self) -> "Cutter":
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """The database's address, by this way."""
        return f"{self._host}:{self._server.sockets[0].getsockname()[1]}/{self._database}"

    def cut_next_commit(self, where: Where) -> None:
        """Break it before the server hears of it, when it has heard of it, or when it has answered.

        In each case the store hears nothing but that its connection is gone.
        """
        self._next = where

    def cut_all(self) -> None:
        """Break every connection that there is, whatever is under way on it."""
        for line in list(self._lines):
            line.cut()

    def at_commit(self) -> Where | None:
        """What is to become of a commit that comes by."""
        where, self._next = self._next, None
        self.cut += where is not None
        return where

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, far = await asyncio.open_connection("127.0.0.1", self._there)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(self, writer, far)
        self._lines.add(line)
        both = asyncio.gather(line.ask(reader), line.answer(there))
        task = asyncio.ensure_future(self._until_cut(both, line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_cut(self, both: "asyncio.Future[list[None]]", line: _Line) -> None:
        try:
            await both
        finally:
            self._lines.discard(line)
