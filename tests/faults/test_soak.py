"""A moment of the soak that ``python -m tests.faults.soak`` plays for half an hour, and what it says of memory."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.faults.soak import Look, Result, memory_of, soak
from tests.scenario.process_support import Starter


async def test_a_moment_of_everything_leaves_nothing_behind(tmp_path: Path, starter: Starter) -> None:
    looks = tmp_path / "looks.jsonl"
    result = await soak(
        tmp_path,
        seconds=1.4,  # one story of each kind: what is redrawn once more than fifteen times has its pace
        per_second=50,
        starter=starter,
        stop=asyncio.Event(),
        look_seconds=0.3,
        seconds_between_cards=0.2,
        expires_in="1s",
        drains=False,
        kept=looks,
    )
    assert result.faults == []
    assert set(result.ended) == {
        "approved", "by_rule", "by_two", "cancelled", "denied", "expired", "left", "looked", "refused", "replayed"
    }  # fmt: skip
    assert [json.loads(line)["requests"] for line in looks.read_text().splitlines()] == [
        look.requests for look in result.looks
    ]
    assert "| faults | none |" in result.report()


@pytest.mark.parametrize(
    ("mb_an_hour", "faults", "held"),
    [(0.0, [], True), (8.0, [], True), (20.0, [], False), (0.0, ["not sent: [(7,)]"], False)],
)
def test_memory_is_judged_when_it_is_warm(mb_an_hour: float, faults: list[str], held: bool) -> None:
    """It grows by 60 MB in the first minutes, which nobody minds, and then steadily."""
    looks = [
        Look(
            at, 60 + min(at / 3, 60) + at * mb_an_hour / 3600, files=20, threads=4, cpu_seconds=0, requests=0, wal_mb=4
        )
        for at in range(0, 1801, 5)
    ]
    assert memory_of(looks).slope == pytest.approx(mb_an_hour)
    assert Result(looks, {}, faults).held is held
