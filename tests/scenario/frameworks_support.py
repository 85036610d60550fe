"""What the tests of all frameworks share: the refund that the fake models ask for, and what people do in Slack.

No framework is imported here. Each takes seconds to import, so the tests do it in a fixture and not when collected.
"""

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import SAMPLE
from tests.scenario.refunds import AMOUNT, CLAIM, NOTE, ORDER, PATIENT, PROMPT, TOO_LATE, TOOL, USED_UP, Till
from tests.scenario.service_support import Workplace, assert_sound, payload_of, playing, serving

__all__ = [
    "AMOUNT",
    "CLAIM",
    "NOTE",
    "ORDER",
    "PAID_ONCE",
    "PATIENT",
    "PROMPT",
    "TOOL",
    "TOO_LATE",
    "USED_UP",
    "Till",
    "approve",
    "deny",
    "hire",
    "state_of",
    "stay_on_loopback",
    "till",
    "work",
]

WITH_RECEIVERS = SAMPLE + "\n[delivery]\nallow_loopback = true\n"
PAID_ONCE = [(ORDER, AMOUNT)]


@pytest.fixture
async def work(
    database: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Workplace]:
    """The running service, with another file where a test gives one; nothing but loopback can be reached meanwhile."""
    stay_on_loopback(monkeypatch)
    text: str = getattr(request, "param", WITH_RECEIVERS)
    async with playing() as slack, serving(slack, database, text=text) as work:
        yield work
    assert_sound(database)


@pytest.fixture
def till() -> Till:
    return Till()


@pytest.fixture
async def hire(support: ModuleType, work: Workplace, till: Till) -> AsyncIterator[Callable[..., Any]]:
    """Make agents of the framework that ``support`` is, which share nothing but what they are given to remember by."""
    hired: list[Any] = []

    def hire(**options: Any) -> Any:
        hired.append(support.Desk(work, till, **PATIENT, **options))
        return hired[-1]

    yield hire
    for desk in hired:
        await desk.close()


def stay_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a framework that calls home fail the test."""
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.delenv(name, raising=False)
    really = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            pytest.fail(f"something wanted to talk to {address}")
        really(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


async def approve(work: Workplace, user: str = "U0ALICE") -> str:
    """Approve the newest card as a person does; returns the request's id."""
    card = await work.card()
    assert (await work.slack.click(user, card.channel, card.ts, "approve")).ok
    await work.slack.until(lambda: "approve" not in work.slack.message(card.channel, card.ts).action_ids())
    return str(payload_of(card)["request_id"])


async def deny(work: Workplace, user: str = "U0BOB") -> str:
    """Deny the newest card with a reason and ``NOTE``; returns the request's id."""
    card = await work.card()
    await work.slack.click(user, card.channel, card.ts, "deny")
    (modal,) = await work.slack.until(lambda: work.slack.modals(user))
    assert (await work.slack.submit(user, modal.id, {"reason": "too_risky", "note": NOTE})).ok
    await work.slack.until(lambda: "approve" not in work.slack.message(card.channel, card.ts).action_ids())
    return str(payload_of(card)["request_id"])


def state_of(work: Workplace) -> list[tuple[Any, ...]]:
    """Status and reported outcome of all requests there ever were."""
    return work.rows("SELECT status, outcome FROM requests ORDER BY created_at")
