"""The long form: ``uv run --group test python -m tests.faults --rounds 1000``, for as long as one has time.

Plays the rounds of every scenario, a seed after the other, until each has so many. What was played is kept in a file,
so that whoever breaks it off goes on from there; a failure is told with its seed and does not end it. At the end, or
with ``--rounds 0``, a table says how many rounds there were, which failed, and what that says of all others.
"""

import argparse
import asyncio
import json
import logging
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from tests.faults.bounds import upper_bound
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.stage import Stage

STATE = Path("faults-state.json")


@dataclass
class Tally:
    """How many rounds of a scenario were played, from the first seed on, and what became of them."""

    rounds: int = 0
    failed: list[int] = field(default_factory=list)
    """Seeds of rounds in which a promise was broken."""
    again: list[int] = field(default_factory=list)
    """Seeds of rounds that did not come to an end, were played once more, and then did."""
    seconds: float = 0
    """How long all of them took, by the clock on the wall."""


class State:
    """What was played so far, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        kept = json.loads(path.read_text()) if path.exists() else {}
        self.tallies = {name: Tally(**tally) for name, tally in kept.items()}

    def of(self, scenario: Scenario) -> Tally:
        return self.tallies.setdefault(str(scenario), Tally())

    def save(self) -> None:
        """Write it whole, or not at all."""
        draft = self._path.with_name(f"{self._path.name}.new")
        draft.write_text(json.dumps({name: asdict(tally) for name, tally in self.tallies.items()}, indent=1))
        draft.replace(self._path)


async def play(scenarios: list[Scenario], rounds: int, state: State, stage: Stage) -> None:
    """Play until each scenario has ``rounds``, one of each in turn."""
    for seed in range(rounds):
        for scenario in scenarios:
            tally = state.of(scenario)
            if tally.rounds > seed:
                continue
            began = time.monotonic()
            await _play_one(scenario, seed, tally, stage)
            tally.seconds += time.monotonic() - began
            tally.rounds = seed + 1
            state.save()


async def _play_one(scenario: Scenario, seed: int, tally: Tally, stage: Stage) -> None:
    """Play one round; one that the machine was too slow for twice."""
    for is_last in (False, True):
        try:
            await stage.play(scenario.round, scenario.kind, seed)
        except Exception as error:
            sys.stderr.write(f"{scenario}, seed {seed}:\n{traceback.format_exc()}\n")
            if isinstance(error, TimeoutError) and not is_last:
                tally.again.append(seed)
                continue
            tally.failed.append(seed)
        finally:
            stage.clear()
        return


def table(state: State) -> str:
    """What was played, in Markdown."""
    lines = [
        "| scenario | rounds | promises broken | played again | minutes | at most, with 95 % confidence |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, tally in sorted(state.tallies.items()):
        failures = len(tally.failed)
        seeds = f" (seeds {', '.join(map(str, tally.failed[:10]))})" if failures else ""
        bound = f"{upper_bound(tally.rounds, failures):.2%}"
        cells = [name, tally.rounds, f"{failures}{seeds}", len(tally.again), f"{tally.seconds / 60:.0f}", bound]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """Play, and print the table. 1 if any round failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Plays rounds of faults.")
    parser.add_argument("--rounds", type=int, default=100, help="of each scenario, those that were played included")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="WORDS", help="scenarios whose names have any of them"
    )
    parser.add_argument("--state", type=Path, default=STATE, help=f"where to go on from; {STATE} if left out")
    asked = parser.parse_args(argv)
    state, stage = State(asked.state), Stage()
    try:
        wanted = [one for one in SCENARIOS if any(words in str(one) for words in asked.only)]
        asyncio.run(play(wanted, asked.rounds, state, stage))
    except KeyboardInterrupt:
        sys.stderr.write("broken off; the same command goes on from here\n")
    finally:
        stage.close()
    sys.stdout.write(f"{table(state)}\n")
    return 1 if any(tally.failed for tally in state.tallies.values()) else 0


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # in the background a shell lets the first be ignored
        signal.signal(number, signal.default_int_handler)
    # Not in main, which a test calls too: its process is to keep its log.
    logging.disable()  # of the service, which says of every fault that it met it
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(main(sys.argv[1:]))
