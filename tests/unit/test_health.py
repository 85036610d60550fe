"""Alive means the process; ready means its parts. Who asks often does not make us ask Slack often."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web
from slack_sdk.errors import SlackApiError

from handlers.health import Health, RememberedProbe, build_health


class Part:
    """A part that works, fails or hangs as a test wants it; counts how often it was asked."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False
        self.asked = 0

    async def __call__(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def remembered(part: Callable[[], Any], clock: Seconds, patience_seconds: float = 5) -> RememberedProbe:
    return RememberedProbe(part, good_for_seconds=60, bad_for_seconds=5, patience_seconds=patience_seconds, clock=clock)


@asynccontextmanager
async def served(health: Health) -> AsyncIterator[Callable[[str], Any]]:
    app = web.Application()
    app.add_routes(health.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:

        async def get(path: str) -> tuple[int, Any]:
            async with client.get(path) as answer:
                return answer.status, await answer.json()

        yield get
    await runner.cleanup()


async def test_ready_when_every_part_is() -> None:
    async with served(build_health(Part(), Part(), lambda: True)) as get:
        assert await get("/healthz") == (200, {"status": "ok"})
        status, body = await get("/readyz")
    assert status == 200
    assert body == {"status": "ready", "parts": {part: {"status": "ok"} for part in ("database", "slack", "socket")}}


async def test_http_mode_has_no_socket() -> None:
    ready, parts = await build_health(Part(), Part(), None).ask()
    assert ready
    assert list(parts) == ["database", "slack"]


@pytest.mark.parametrize("broken", ["database", "slack", "socket"])
async def test_one_broken_part_is_named_and_the_process_lives_on(broken: str) -> None:
    parts = {"database": Part(), "slack": Part()}
    if broken != "socket":
        parts[broken].error = OSError("/var/lib/secret.db")
    async with served(build_health(parts["database"], parts["slack"], lambda: broken != "socket")) as get:
        status, body = await get("/readyz")
        assert (await get("/healthz"))[0] == 200
    assert status == 503
    assert body["status"] == "not_ready"
    failed = {name: part for name, part in body["parts"].items() if part["status"] != "ok"}
    assert failed == {broken: {"status": "failed", "code": "not_connected" if broken == "socket" else "unavailable"}}


async def test_slacks_code_is_told_and_its_text_is_not() -> None:
    slack = Part()
    slack.error = SlackApiError("xoxb-1 is no good", {"error": "invalid_auth"})  # type: ignore[no-untyped-call]  # the SDK's
    async with served(build_health(Part(), slack, None)) as get:
        _, body = await get("/readyz")
    assert body["parts"]["slack"] == {"status": "failed", "code": "invalid_auth"}


async def test_a_part_that_hangs_is_not_waited_for() -> None:
    part = Part()
    part.hangs = True
    assert (await remembered(part, Seconds(), patience_seconds=0.01).ask()).code == "no_answer"


async def test_an_answer_holds_for_a_while_a_bad_one_less_long() -> None:
    part, clock = Part(), Seconds()
    probe = remembered(part, clock)
    for _ in range(100):
        assert (await probe.ask()).code is None
    assert part.asked == 1
    clock.now += 59.9
    part.error = OSError()
    assert (await probe.ask()).code is None
    clock.now += 0.2
    assert (await probe.ask()).code == "unavailable"
    part.error = None
    clock.now += 4.9
    assert (await probe.ask()).code == "unavailable"
    clock.now += 0.2
    assert (await probe.ask()).code is None
    assert part.asked == 3


async def test_many_who_ask_at_once_make_one_question() -> None:
    part = Part()
    probe = remembered(part, Seconds())
    answers = await asyncio.gather(*(probe.ask() for _ in range(50)))
    assert part.asked == 1
    assert all(answer.code is None for answer in answers)


async def test_a_service_that_stops_is_not_ready() -> None:
    health = build_health(Part(), Part(), lambda: True)
    async with served(health) as get:
        health.stop()
        status, body = await get("/readyz")
        assert (await get("/healthz"))[0] == 200
    assert (status, body["status"]) == (503, "stopping")
