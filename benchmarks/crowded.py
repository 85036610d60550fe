"""T4: calls decided by rule and people's clicks beside a million decided and 100 000 pending requests.

The same service runs twice, on an empty database and on the one that ``benchmarks.reports`` made, each with a stand-in
for Slack of its own; they are measured in turns, so that a busy machine slows both alike.
"""

import statistics
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import measures, reports
from benchmarks.servers import Server, signoff_server
from playground import Playground, PlaygroundSettings

_PAIRS = 7
_CLICKS = 20


@dataclass
class Beside:
    """What a round brought on one database: microseconds of processor time a cycle, milliseconds to an answer."""

    cycle_cpu: list[float] = field(default_factory=list)
    cycle_p50: list[float] = field(default_factory=list)
    click_p50: list[float] = field(default_factory=list)


@dataclass
class Compared:
    """The full database's medians, each over the empty one's."""

    cycle_cpu: float
    cycle_p50: float
    click_p50: float


async def beside_a_million(
    folder: Path, fill: Callable[[Playground], None], free_port: Callable[[], int], seconds: float
) -> Compared:
    """Measure T1 and T2 on the database that ``benchmarks.reports`` left in ``folder``, against an empty one."""
    found: list[tuple[Server, Playground, Beside]] = []
    async with AsyncExitStack() as stack:
        for name in ("empty", "full"):
            own = folder / name
            own.mkdir()
            if name == "full":
                (folder / reports.DATABASE).rename(own / "bench.db")
            slack = await stack.enter_async_context(Playground(PlaygroundSettings()))
            fill(slack)
            slack.workspace.add_channel(reports.CHANNEL, name="bench", members=[slack.bot_user_id])
            secrets = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token}
            server = await stack.enter_async_context(signoff_server(own, slack.api_url, secrets, free_port()))
            found.append((server, slack, Beside()))
        for _ in range(_PAIRS):
            for server, slack, beside in found:
                cycles = await measures.cycles(server, 32, seconds, measures.rule_cycle)
                beside.cycle_cpu.append(cycles.cpu_microseconds)
                beside.cycle_p50.append(cycles.latencies.at(0.5))
                beside.click_p50.append((await measures.click_to_answer(server, slack, 1, _CLICKS)).at(0.5))
    (_, _, empty), (_, _, full) = found
    return Compared(
        _times(full.cycle_cpu, empty.cycle_cpu),
        _times(full.cycle_p50, empty.cycle_p50),
        _times(full.click_p50, empty.click_p50),
    )


def _times(these: list[float], those: list[float]) -> float:
    return statistics.median(these) / statistics.median(those)
