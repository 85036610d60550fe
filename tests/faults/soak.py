"""The soak: 30 minutes of the real ``signoff serve`` at 50 requests a second.

``uv run --group test python -m tests.faults.soak`` plays a mix of everything agents and people do
(``tests.faults.soak_mix``) on SQLite, the playground's Slack beside it. Memory, open files and threads of the process
are looked at every five seconds and kept in a file of JSON lines. After a warm-up memory must stay within 5 %, and in
the end nothing may be stuck: no long poll held, nothing left to send, no claim on anything, each promise in the
database, the record whole. Interrupt it (Ctrl-C) and it tells what it has so far.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from playground import PlaygroundSettings
from store.schema import prepare
from tests.conftest import START
from tests.faults.soak_mix import TEXT, Mix
from tests.faults.stage import assert_whole
from tests.scenario.process_support import ROOT, Site, Starter, site_at
from tests.scenario.service_support import STILL_TO_SEND, playing
from tests.waiting import until

MOST_GROWTH = 0.05  # of memory, once it is warm
_WARM_UP_SHARE, _WARM_UP_MOST_SECONDS = 0.25, 300.0
_ENDS_SHARE, _ENDS_MOST_SECONDS = 0.1, 120.0  # at the beginning and at the end, whose medians are compared
_LOOK_SECONDS = 5.0
_DRAIN_SECONDS = 300.0  # owners hear of what expired after two minutes, and redrawings have their pace
_SECONDS_BETWEEN_CARDS = 3.0  # Slack redraws some fifty cards a minute, and each is redrawn up to three times
_START_SECONDS = 60.0  # of a machine that others load
_WORKERS = 6
_TICKS = os.sysconf("SC_CLK_TCK")


class Launcher:
    """Starts ``signoff`` as an operator does. It has what ``Site`` needs of a ``Starter``."""

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, argv: list[str], env: dict[str, str], log: Path, dies_at: str | None = None) -> int:
        assert dies_at is None
        command = [sys.executable, "-c", "from handlers.cli import main; raise SystemExit(main())", *argv]
        # An installed program has its bytecode.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with log.open("ab") as errors:
            process = subprocess.Popen(command, cwd=ROOT, env=inherited | env, stderr=errors)
        self._processes[process.pid] = process
        return process.pid

    def wait(self, pid: int) -> int:
        return self._processes[pid].wait(20)

    def has_ended(self, pid: int) -> bool:
        return self._processes[pid].poll() is not None


@dataclass(frozen=True)
class Look:
    """What the process was like, so many seconds after the start."""

    seconds: float
    memory_mb: float
    files: int
    threads: int
    cpu_seconds: float
    requests: int
    """HTTP requests of agents so far."""
    wal_mb: float

    @classmethod
    def at(cls, pid: int, seconds: float, requests: int, database: Path) -> "Look":
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        wal = database.with_name(database.name + "-wal")
        return cls(
            seconds=round(seconds, 1),
            memory_mb=pages * resource.getpagesize() / 2**20,
            files=len(os.listdir(f"/proc/{pid}/fd")),
            threads=int(fields[17]),
            cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
            requests=requests,
            wal_mb=wal.stat().st_size / 2**20 if wal.exists() else 0.0,
        )


@dataclass(frozen=True)
class Memory:
    """What became of memory once it was warm, in MB; ``slope`` by least squares, in MB an hour."""

    start: float
    end: float
    most: float
    slope: float

    @property
    def growth(self) -> float:
        return self.end / self.start - 1


def memory_of(looks: list[Look]) -> Memory:
    """Compare the medians at the beginning and at the end of what comes after the warm-up. Wants two looks there."""
    lasted = looks[-1].seconds - looks[0].seconds
    cold = looks[0].seconds + min(lasted * _WARM_UP_SHARE, _WARM_UP_MOST_SECONDS)
    warm = [look for look in looks if look.seconds >= cold]
    span = min(lasted * _ENDS_SHARE, _ENDS_MOST_SECONDS)
    first = [look.memory_mb for look in warm if look.seconds <= warm[0].seconds + span]
    last = [look.memory_mb for look in warm if look.seconds >= warm[-1].seconds - span]
    fit = statistics.linear_regression([look.seconds for look in warm], [look.memory_mb for look in warm])
    return Memory(
        statistics.median(first), statistics.median(last), max(look.memory_mb for look in warm), fit.slope * 3600
    )


@dataclass(frozen=True)
class Result:
    """What a soak showed. ``faults``: each thing that was not as it should be."""

    looks: list[Look]
    ended: dict[str, int]
    faults: list[str]

    @property
    def held(self) -> bool:
        """Whether memory was flat and nothing else was wrong."""
        return not self.faults and memory_of(self.looks).growth <= MOST_GROWTH

    def report(self) -> str:
        """In Markdown."""
        first, last = self.looks[0], self.looks[-1]
        lasted = last.seconds - first.seconds
        memory = memory_of(self.looks)
        rows = [
            ("lasted", f"{lasted / 60:.1f} minutes"),
            ("agents' requests", f"{last.requests}, {(last.requests - first.requests) / lasted:.1f} a second"),
            (
                "memory, warm",
                f"{memory.start:.1f} MB, at the end {memory.end:.1f} MB: {memory.growth:+.1%}; at most "
                f"{memory.most:.1f} MB; {memory.slope:+.1f} MB an hour",
            ),
            ("open files", f"{first.files}, at the end {last.files}, at most {max(one.files for one in self.looks)}"),
            ("threads", f"{first.threads}, at the end {last.threads}"),
            ("write-ahead log", f"at most {max(one.wal_mb for one in self.looks):.1f} MB"),
            ("processor time", f"{(last.cpu_seconds - first.cpu_seconds) / lasted:.0%} of a core"),
            ("stories", ", ".join(f"{count} {name}" for name, count in sorted(self.ended.items()))),
            ("faults", "; ".join(self.faults[:10]) or "none"),
        ]
        return "\n".join(["| measure | figure |", "| --- | --- |", *(f"| {name} | {said} |" for name, said in rows)])


async def soak(
    folder: Path,
    *,
    seconds: float,
    per_second: float,
    starter: "Starter | Launcher",
    stop: asyncio.Event,
    look_seconds: float = _LOOK_SECONDS,
    seconds_between_cards: float = _SECONDS_BETWEEN_CARDS,
    expires_in: str = "20s",
    drains: bool = True,
    kept: Path | None = None,
) -> Result:
    """Soak a new process for so long, or until ``stop``. ``kept`` takes each look as it comes.

    Without ``drains`` what owners are told later is not waited for.
    """
    database = folder / "signoff.db"
    prepare(database, START, upgrade=False)
    # Patient people: how soon a machine that others load acknowledges is not what this is about.
    patient = PlaygroundSettings(ack_seconds=20, trigger_seconds=20)
    async with playing(patient) as slack, site_at(starter, slack, database, text=TEXT) as site:  # type: ignore[arg-type]  # see Launcher
        await site.launch()
        await until(lambda: site.has_logged("slack_connected"), _START_SECONDS)
        mix = Mix(slack, site.port, site.token, per_second=per_second, expires_in=expires_in)
        looks: list[Look] = []
        began = time.monotonic()

        def look() -> None:
            assert site.pid is not None
            looks.append(Look.at(site.pid, time.monotonic() - began, mix.requests, database))
            if kept is not None:
                with kept.open("a") as lines:
                    lines.write(json.dumps(asdict(looks[-1]) | {"faults": len(mix.faults)}) + "\n")
            slack.calls.clear()  # the playground forgets nothing by itself
            slack.deliveries.clear()

        async def watch() -> None:
            while not stop.is_set():
                look()
                await _stopped(stop, min(look_seconds, max(seconds - (time.monotonic() - began), 0)))
                if time.monotonic() - began >= seconds:
                    stop.set()
            look()

        await asyncio.gather(watch(), mix.run(stop, workers=_WORKERS, seconds_between_cards=seconds_between_cards))
        faults = mix.faults + await _stuck(site, drains)
        await site.terminate()
        faults += [f"logged: {line['event']}" for line in site.logged() if line.get("level") in ("error", "critical")]
        faults += _broken(site, mix)
    try:
        await assert_whole(database)
    except AssertionError as broken:
        faults.append(f"not whole: {broken}")
    return Result(looks, dict(mix.ended), faults)


async def _stopped(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _stuck(site: Site, drains: bool) -> list[str]:
    """Wait until there is nothing to do any more; returns what stays."""
    unsent = "SELECT kind FROM outbox" if drains else STILL_TO_SEND
    with contextlib.suppress(TimeoutError):
        await until(lambda: not site.rows(unsent), _DRAIN_SECONDS)
    checks = {
        "not sent": unsent,
        "claimed": f"{STILL_TO_SEND} AND leased_by IS NOT NULL",
        "pending": "SELECT id FROM requests WHERE status = 'pending'",
        "cards never posted": "SELECT id FROM cards WHERE state = 'posting'",
        "steps never told": "SELECT id FROM step_targets WHERE state = 'waiting'",
    }
    stuck = [f"{name}: {found[:5]}" for name, sql in checks.items() if (found := site.rows(sql))]
    polls = await _gauge(site, "signoff_waiting_polls")
    return stuck + ([f"long polls held: {polls}"] if polls else [])


async def _gauge(site: Site, name: str) -> float:
    async with site.session.get(f"{site.url}/metrics") as answer:
        found = re.search(rf"^{name} (\S+)$", await answer.text(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def _broken(site: Site, mix: Mix) -> list[str]:
    """Hold what was promised against the database; returns what is otherwise."""
    ended, made = mix.ended, dict(site.rows("SELECT status, count(*) FROM requests GROUP BY 1"))
    wanted = {
        "approved": ended["by_rule"] + ended["replayed"] + ended["approved"] + ended["by_two"],
        "denied": 2 * ended["denied"],  # the second from memory
        "expired": ended["expired"],
        "cancelled": ended["cancelled"] + ended["left"] + ended["looked"],
    }
    votes = ended["approved"] + 2 * ended["by_two"] + ended["denied"]
    used = site.rows("SELECT count(*) FROM requests WHERE outcome = 'succeeded'")[0][0]
    held = [
        ("requests by status", {name: count for name, count in wanted.items() if count}, made),
        ("votes", votes, site.rows("SELECT count(*) FROM votes")[0][0]),
        ("used and reported", wanted["approved"], used),
    ]
    if mix.faults:
        return []  # stories that broke off are not in the tally
    return [f"{name}: {found} in place of {expected}" for name, expected, found in held if expected != found]


async def _run(asked: argparse.Namespace) -> Result:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    with tempfile.TemporaryDirectory(prefix="signoff-soak-") as folder:
        return await soak(
            Path(folder),
            seconds=asked.minutes * 60,
            per_second=asked.rate,
            starter=Launcher(),
            stop=stop,
            kept=asked.looks,
        )


def main(argv: list[str]) -> int:
    """Soak, and print the table. 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description="Soaks signoff serve.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=50.0, help="agents' requests a second")
    parser.add_argument("--looks", type=Path, default=Path("soak-looks.jsonl"), help="where each look is kept")
    asked = parser.parse_args(argv)
    result = asyncio.run(_run(asked))
    sys.stdout.write(f"{result.report()}\n")
    return 0 if result.held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
