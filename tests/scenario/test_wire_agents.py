"""A run pauses at a call and its process ends; people decide; a notification wakes another process, which goes on.

Real processes with real frameworks: what the second one knows of the first is what is on disk. It listens only after
people have decided, so the first attempt to tell it fails.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SAMPLE
from tests.scenario.frameworks_support import AMOUNT, NOTE, state_of
from tests.scenario.process_support import ROOT, free_port
from tests.scenario.receiver_support import platform_of
from tests.scenario.service_support import Workplace, assert_sound, cards, playing, serving
from tests.waiting import until

TEXT = SAMPLE + "\n[delivery]\nallow_loopback = true\n"
RUNS = {"ticket-1": "A-1001", "ticket-2": "A-1002"}
LONG_SECONDS = 120  # a framework's imports, beside other tests


class Process:
    """An agent's process: answers lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def begin(cls, framework: str, order: dict[str, Any]) -> "Process":
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.scenario.paused_agent", framework, json.dumps(order),
            cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return cls(process)

    async def answer(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(LONG_SECONDS):
            line = await self._process.stdout.readline()
        assert line, "the process ended without an answer"
        return json.loads(line)

    async def end(self) -> None:
        async with asyncio.timeout(LONG_SECONDS):
            assert await self._process.wait() == 0

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


@pytest.mark.parametrize("framework", ["langgraph", "openai-agents"])
async def test_a_run_outlives_its_process(framework: str, database: Path, tmp_path: Path) -> None:
    async with playing() as slack, serving(slack, database, text=TEXT) as work:
        platform = await platform_of(work)
        common = {"folder": str(tmp_path), "port": free_port(), "runs": RUNS}
        first = await Process.begin(
            framework, {"act": "start", "url": work.agents_url, "token": platform.token, **common}
        )
        second = None
        try:
            assert await first.answer() == {"paused": dict.fromkeys(RUNS, True)}
            await first.end()
            await decide(work)
            assert not (tmp_path / "paid").exists()
            await until(lambda: codes(work) == [("not_connected",), ("not_connected",)])

            second = await Process.begin(framework, {"act": "go_on", **common})
            assert await second.answer() == "listening"
            await work.advance(seconds=10)
            said = (await second.answer())["said"]
            await second.end()
        finally:
            first.kill()
            if second is not None:
                second.kill()
        denied, paid = sorted(said.values(), key=lambda text: "paid" in text)
        assert NOTE in denied
        assert (tmp_path / "paid").read_text() == f"A-1002 {AMOUNT}\n"
        assert paid == f"I was told: paid {AMOUNT} for A-1002"
        assert sorted(state_of(work), key=str) == [("approved", "succeeded"), ("denied", None)]
        await until(lambda: codes(work) == [(None,), (None,)])
    assert_sound(database)


def codes(work: Workplace) -> list[tuple[Any, ...]]:
    return work.rows("SELECT last_code FROM notifications WHERE leased_until IS NULL")


async def decide(work: Workplace) -> None:
    """Approve the refund of A-1002 and deny the other."""
    await work.slack.until(lambda: len(cards(work.slack)) == 2)
    await until(lambda: work.rows("SELECT count(*) FROM cards WHERE ts IS NOT NULL") == [(2,)])
    for card in cards(work.slack):
        if "A-1002" in card.all_text():
            assert (await work.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
        else:
            await work.slack.click("U0BOB", card.channel, card.ts, "deny")
            (modal,) = await work.slack.until(lambda: work.slack.modals("U0BOB"))
            assert (await work.slack.submit("U0BOB", modal.id, {"reason": "too_risky", "note": NOTE})).ok
    await until(lambda: work.rows("SELECT count(*) FROM requests WHERE status = 'pending'") == [(0,)])
