"""Agents that wait for a decision, and how they are woken.

A waiter registers, then reads, then waits: a decision between the read and the wait finds it registered. It is woken
after the commit, with the request as it was committed. Nothing here polls.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from store.tables import Request


class Waiters:
    """Who waits for which request, by request id. Lives on the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[Request | None]]] = {}
        self._closed = False

    @contextmanager
    def register(self, request_id: str) -> Iterator[asyncio.Future[Request | None]]:
        """Register for ``request_id``. The future's result is the decided request, or None at shutdown."""
        future: asyncio.Future[Request | None] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_result(None)
        waiting = self._waiting.setdefault(request_id, set())
        waiting.add(future)
        try:
            yield future
        finally:
            waiting.discard(future)
            if not waiting:
                with suppress(KeyError):
                    del self._waiting[request_id]

    def wake(self, request: Request) -> None:
        """Hand ``request`` to everybody who waits for it."""
        for future in self._waiting.get(request.id, ()):
            if not future.done():
                future.set_result(request)

    def awaited(self) -> list[str]:
        """Return the ids somebody waits for."""
        return list(self._waiting)

    def close(self) -> None:
        """Answer everybody now, and whoever comes later at once."""
        self._closed = True
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_result(None)
