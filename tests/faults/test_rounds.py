"""A few rounds of each scenario that ``python -m tests.faults`` plays at length, and what keeps count of them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.__main__ import State, main, play, table
from tests.faults.bounds import upper_bound
from tests.faults.rounds import asked_for
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.stage import SQLITE, Stage
from tests.scenario.process_support import Starter


@pytest.fixture
def stage(request: pytest.FixtureRequest, starter: Starter) -> Iterator[Stage]:
    stage = Stage(starter=starter, server=lambda: request.getfixturevalue("postgres"))
    yield stage
    stage.close()


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [
        pytest.param(one, seed, id=f"{str(one).replace(' ', '-')}-{seed}")
        for one in SCENARIOS
        for seed in asked_for() or range(one.in_suite)
    ],
)
async def test_a_round(stage: Stage, scenario: Scenario, seed: int) -> None:
    await stage.play(scenario.round, scenario.kind, seed)


async def test_broken_off_it_goes_on_and_a_failure_is_kept_with_its_seed_and_what_hung_is_played_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    played: list[int] = []

    async def third_fails(_: Stage, __: str, seed: int) -> None:
        played.append(seed)
        if seed == 2:
            raise AssertionError("a promise was broken")
        if seed == 4 and played.count(4) == 1:
            raise KeyboardInterrupt
        if seed == 3 and played.count(3) == 1:
            raise TimeoutError

    scenario, path, stage = Scenario("sample", SQLITE, third_fails, 0), tmp_path / "state.json", Stage()
    with pytest.raises(KeyboardInterrupt):
        await play([scenario], 6, State(path), stage)
    state = State(path)
    await play([scenario], 6, state, stage)
    stage.close()
    assert played == [0, 1, 2, 3, 3, 4, 4, 5]
    assert "sample, sqlite, seed 2" in capsys.readouterr().err
    assert table(State(path)).splitlines()[-1] == "| sample, sqlite | 6 | 1 (seeds 2) | 1 | 0 | 58.18% |"
    assert await asyncio.to_thread(main, ["--rounds", "0", "--state", str(path)]) == 1  # for one failed


@pytest.mark.parametrize(
    ("rounds", "failures", "bound"),
    [(0, 0, 1.0), (1, 1, 1.0), (1, 0, 0.95), (100, 0, 0.0295), (1000, 0, 0.00299), (1000, 3, 0.00773), (10, 2, 0.5069)],
)
def test_a_bound_is_clopper_and_pearson_s(rounds: int, failures: int, bound: float) -> None:
    assert upper_bound(rounds, failures) == pytest.approx(bound, rel=2e-3)
