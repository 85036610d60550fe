"""bot.aside: one piece of work at a time, and its turn is over when the work is."""

import asyncio
import threading

import pytest

from bot.aside import Aside


async def test_who_goes_away_does_not_end_the_turn() -> None:
    aside, loop = Aside(), asyncio.get_running_loop()
    begun, may_end = asyncio.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        assert may_end.wait(10)
        done.append("first")

    asking = asyncio.create_task(aside.run(work))
    await begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    after = asyncio.create_task(aside.run(done.append, "second"))
    await asyncio.sleep(0)
    may_end.set()
    await after
    assert done == ["first", "second"]


async def test_what_the_work_raises_is_raised_and_the_next_has_its_turn() -> None:
    aside = Aside()

    def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await aside.run(fail)
    assert await aside.run(len, "abc") == 3
