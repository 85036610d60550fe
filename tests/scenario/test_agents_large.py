"""Large bodies: whoever sends one makes nobody else wait."""

import asyncio
import threading
from pathlib import Path

import pytest

from bot.call import parse_submission
from handlers import agents, protocol
from handlers.wire import parse_outcome
from tests.scenario.agents_support import READ, running_api

LARGE = "x" * protocol.LARGE_BODY_BYTES


class Gate:
    """A parser that takes until it is let go; ``in_time`` tells whether that was in time."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.opened = threading.Event()
        self.in_time: list[bool] = []

    def hold(self, body: bytes) -> None:
        if len(body) > protocol.LARGE_BODY_BYTES:
            self.begun.set()
            self.in_time.append(self.opened.wait(5))


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()

    def slow_submission(body: bytes) -> object:
        gate.hold(body)
        return parse_submission(body)

    def slow_outcome(body: bytes) -> object:
        gate.hold(body)
        return parse_outcome(body)

    monkeypatch.setattr(agents, "parse_submission", slow_submission)
    monkeypatch.setattr(agents, "parse_outcome", slow_outcome)
    return gate


async def test_others_are_answered_while_a_large_body_is_parsed(database: Path, gate: Gate) -> None:
    async with running_api(database) as api:
        consumed = await api.consumed()
        large = [
            asyncio.ensure_future(api.create({**READ, "context": {"page": LARGE}})),
            asyncio.ensure_future(api.outcome(consumed, {"status": "succeeded", "note": LARGE})),
        ]
        await asyncio.to_thread(gate.begun.wait, 5)
        assert (await api.create(READ)).status == 201
        assert (await api.send("GET", f"/v1/requests/{consumed}")).status == 200
        assert not any(task.done() for task in large)
        gate.opened.set()
        assert [reply.status for reply in await asyncio.gather(*large)] == [201, 200]
    assert gate.in_time == [True, True]
