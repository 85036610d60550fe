"""Word that something changed, for those who wait on it. No polling, no sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Signal:
    """Fired after every change; wakes all who wait. Belongs to one event loop."""

    def __init__(self) -> None:
        self.version = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """Something changed."""
        self.version += 1
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, seen: int) -> None:
        """Returns when the version is no longer `seen`."""
        if self.version != seen:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    async def until(self, predicate: Callable[[], T], timeout_seconds: float) -> T:
        """The predicate's first true value; raises TimeoutError when it stays false."""
        async with asyncio.timeout(timeout_seconds):
            while True:
                seen = self.version
                if value := predicate():
                    return value
                await self.wait(seen)
