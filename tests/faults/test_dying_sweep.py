"""Killed between any two statements of a step and started again: each step once, none doubled, none missing."""

import asyncio
import sys
from pathlib import Path

from store.engine import SqliteStore
from tests.conftest import StandingClock, Town
from tests.scenario.escalation_support import (
    assert_each_target_has_its_intent,
    furnish_planned,
    request_of,
    run_to,
)
from tests.scenario.process_support import ROOT
from tests.scenario.service_support import assert_sound
from tests.stores import rows_at
from tests.waiting import within

REQUESTS = 2


async def test_killed_before_any_statement_and_started_again_each_step_is_there_once(
    database: Path, store: SqliteStore, clock: StandingClock, town: Town, tmp_path: Path
) -> None:
    house = await furnish_planned(store, clock, town)
    for number in range(REQUESTS):
        await request_of(house, f"k{number}")
    await run_to(house, 10)
    await store.close()
    folder = tmp_path / "copies"
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.dying_sweep", str(database), str(folder), "15", cwd=ROOT
    )
    assert await within(process.wait(), 60) == 0
    copies = sorted(folder.glob("*.db"), key=lambda path: int(path.stem))
    assert len(copies) > 25  # BEGIN, the claim, nine for each request, its event, COMMIT, the look that finds no more
    for copy in copies:
        assert_as_if_nothing_happened(copy)


def assert_as_if_nothing_happened(copy: Path) -> None:
    taken = rows_at(copy, 'SELECT "index", state, count(*) FROM taken_steps GROUP BY 1, 2')
    assert taken == [(0, "fired", REQUESTS), (1, "fired", REQUESTS)], copy
    told = rows_at(copy, "SELECT target, state, count(*) FROM step_targets GROUP BY 1, 2 ORDER BY 1")
    assert told == [(target, "waiting", REQUESTS) for target in ("channel:C0LEADS", "thread", "user:U0LEA")], copy
    assert rows_at(copy, "SELECT source, count(*) FROM seat_widenings GROUP BY 1") == [("leads", REQUESTS)], copy
    assert rows_at(copy, "SELECT count(*) FROM events WHERE type = 'step.taken'") == [(2 * REQUESTS,)], copy
    assert rows_at(copy, "SELECT count(*) FROM outbox WHERE reason = 'step'") == [(5 * REQUESTS,)], copy
    assert rows_at(copy, "SELECT step_round, step_index, count(*) FROM requests") == [(0, 2, REQUESTS)], copy
    assert_each_target_has_its_intent(copy)
    assert_sound(copy)
