"""What the README shows is true: its agent runs as it stands, with another address, and its commands are commands."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from handlers.cli.parser import build_parser
from tests.scenario.service_support import Workplace, playing, serving
from tests.waiting import within

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"


def example() -> str:
    (found,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    return str(found)


@pytest.fixture
async def work(database: Path) -> AsyncIterator[Workplace]:
    async with playing() as slack, serving(slack, database) as work:
        yield work


def test_the_agent_has_ten_lines_and_waits_for_people() -> None:
    code = example()
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    assert 'timeout="1h", wait_limit=3600' in code
    assert code.count(ADDRESS) == 1


@asynccontextmanager
async def running_example(work: Workplace) -> AsyncIterator[Callable[[], Awaitable[tuple[int | None, bytes, bytes]]]]:
    """Run the README's agent in a process of its own, its token in the file that the README names.

    Gives a function that waits for its end: exit code, stdout, stderr.
    """
    folder = work.path.parent
    (folder / "till.token").write_text(work.token + "\n")  # as the shell's `>` leaves it
    (folder / "agent.py").write_text(example().replace(ADDRESS, work.service.base_url))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "agent.py",
        cwd=folder,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    async def end() -> tuple[int | None, bytes, bytes]:
        out, err = await within(process.communicate())
        return process.returncode, out, err

    try:
        yield end
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_runs_what_is_approved_and_reports_the_outcome(work: Workplace) -> None:
    async with running_example(work) as end:
        card = await work.card()
        assert "49.00" in card.all_text()
        await work.slack.click("U0ALICE", card.channel, card.ts, "approve")
        assert await end() == (0, b"approved: run the tool now\n", b"")
    assert work.rows("SELECT status, timeout, outcome FROM requests") == [("approved", "1h", "succeeded")]


async def test_it_says_why_not(work: Workplace) -> None:
    async with running_example(work) as end:
        card = await work.card()
        await work.slack.click("U0ALICE", card.channel, card.ts, "deny")
        (modal,) = await work.slack.until(lambda: work.slack.modals("U0ALICE"))
        await work.slack.submit("U0ALICE", modal.id, {"reason": "wrong_target", "note": "c_124"})
        code, out, err = await end()
    assert (code, err) == (0, b"")
    assert out.startswith(b"do not run it:")
    assert out.endswith(b"Wrong amount or target: c_124\n")


def commands() -> list[str]:
    """Every command line of ours in the README's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.split("#")[0].split(">")[0] for block in blocks for line in block.splitlines()]
    return [line.partition("signoff ")[2].strip() for line in lines if "signoff " in line]


def test_every_command_is_one() -> None:
    assert {"demo", "serve --config config.toml", "check --config config.toml"} <= set(commands())
    for command in commands():
        assert build_parser().parse_args(command.split()).command == command.split()[0]
