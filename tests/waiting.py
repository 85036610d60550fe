"""Waiting for what announces itself to nobody, in one place: looked at again and again within a bound.

Between two looks there is a nap, so that a test does not take the processor from what it waits for, or from the tests
beside it. What does announce itself is awaited: the playground's ``until``, events. No clock is moved here.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = float(os.environ.get("SIGNOFF_TEST_PATIENCE", "20"))
"""After which a test that hangs has failed: longer where it runs for hours on what others leave of a machine."""
_NAP_SECONDS = 0.002


async def until(holds: Callable[[], object | Awaitable[object]], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until ``holds``, plain or a coroutine, says something true. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            said = holds()
            if isawaitable(said):
                said = await said
            if said:
                return
            await asyncio.sleep(_NAP_SECONDS)


async def within(awaitable: Awaitable[T], seconds: float = PATIENCE_SECONDS) -> T:
    """Await what should come soon. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        return await awaitable
