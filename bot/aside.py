"""Work that takes long, beside the event loop: in a thread, one piece at a time.

Whoever asked may go away meanwhile. A thread cannot be broken off, so the turn is over when the work is, and not when
nobody waits for it any more: else an agent that hangs up and asks again would fill every thread there is.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Aside:
    """One thread at most, however many ask. They take turns in the order they come."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def run(self, work: Callable[..., T], *given: object) -> T:
        """Return what ``work`` returns, or raise what it raises. If the caller is cancelled the work goes on."""
        await self._turn.acquire()
        task = asyncio.ensure_future(asyncio.to_thread(work, *given))
        task.add_done_callback(self._end_turn)
        return await asyncio.shield(task)

    def _end_turn(self, task: "asyncio.Future[T]") -> None:
        self._turn.release()
        if not task.cancelled():
            task.exception()  # whoever still waits hears it; nobody else needs to
