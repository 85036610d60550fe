"""What is still to be done after Slack has its acknowledgement: opening modals, redrawing, late answers.

Nothing that must not be lost belongs here; that is committed before the acknowledgement.
"""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class Afterwards:
    """A set of small tasks that outlive the payload they came from."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin ``work``. What it raises is logged."""
        task = asyncio.get_running_loop().create_task(self._run(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, patience: timedelta) -> None:
        """Wait up to ``patience`` for what is under way, then break it off."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=patience.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("afterwards_failed")
