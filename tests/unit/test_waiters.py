"""bot.waiters: who registered is woken, once, with the decided request; nobody is forgotten and nobody is kept."""

import asyncio

from bot.waiters import Waiters
from store.tables import Request


def _request(request_id: str) -> Request:
    return Request.model_construct(id=request_id)  # type: ignore[call-arg]  # its id is all that matters here


async def test_everybody_who_waits_for_a_request_is_woken_with_it() -> None:
    waiters = Waiters()
    with waiters.register("a") as first, waiters.register("a") as second, waiters.register("b") as other:
        decided = _request("a")
        waiters.wake(decided)
        assert await first is decided
        assert await second is decided
        assert not other.done()


async def test_a_decision_between_registering_and_waiting_is_not_missed() -> None:
    waiters = Waiters()
    with waiters.register("a") as waiting:
        waiters.wake(_request("a"))
        async with asyncio.timeout(1):
            assert await waiting is not None


async def test_the_first_wake_counts() -> None:
    waiters = Waiters()
    first, second = _request("a"), _request("a")
    with waiters.register("a") as waiting:
        waiters.wake(first)
        waiters.wake(second)
        assert await waiting is first


async def test_waking_nobody_is_fine() -> None:
    waiters = Waiters()
    waiters.wake(_request("a"))
    with waiters.register("a") as waiting:
        assert not waiting.done()


async def test_who_leaves_is_forgotten_and_the_others_are_not() -> None:
    waiters = Waiters()
    with waiters.register("a") as staying:
        with waiters.register("a"), waiters.register("b"):
            assert sorted(waiters.awaited()) == ["a", "b"]
        assert waiters.awaited() == ["a"]
        waiters.wake(_request("a"))
        assert staying.done()
    assert waiters.awaited() == []
    with waiters.register("a") as again:
        waiters.wake(_request("a"))
        assert again.done()


async def test_a_waiter_that_is_cancelled_is_forgotten() -> None:
    waiters = Waiters()
    registered = asyncio.Event()

    async def wait() -> None:
        with waiters.register("a") as decided:
            registered.set()
            await decided

    task = asyncio.create_task(wait())
    await registered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert waiters.awaited() == []
    waiters.wake(_request("a"))


async def test_closing_answers_everybody_now_and_whoever_comes_later_at_once() -> None:
    waiters = Waiters()
    with waiters.register("a") as first, waiters.register("b") as second, waiters.register("b") as decided:
        waiters.wake(_request("b"))
        waiters.close()
        assert await first is None
        assert await second is not None
        assert await decided is not None
    with waiters.register("a") as late:
        assert await late is None
    waiters.close()
    assert waiters.awaited() == []
