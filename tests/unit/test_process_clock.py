"""bot.clock: the process's clock goes on whatever happens to the wall clock, and while the machine sleeps."""

import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from bot.clock import MovableClock, monotonic_clock

HOUR_NS = 3_600 * 10**9


BOOT_CLOCK = 7


class Machine:
    """A machine's clocks: one stops in sleep; on Linux there is one that does not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
        self.awake_ns, self.asleep_ns = HOUR_NS, 0
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.awake_ns)
        monkeypatch.setattr(time, "CLOCK_BOOTTIME", BOOT_CLOCK, raising=False)
        monkeypatch.setattr(time, "clock_gettime_ns", self._read, raising=False)

    def _read(self, clock: int) -> int:
        return self.awake_ns + (self.asleep_ns if clock == BOOT_CLOCK else 0)


def test_it_starts_at_utc_and_never_goes_back() -> None:
    before = datetime.now(UTC)
    clock = monotonic_clock()
    times = [clock() for _ in range(100)]
    assert times == sorted(times)
    assert before <= times[0] < before + timedelta(minutes=1)
    assert times[0].tzinfo is UTC


def test_elsewhere_the_one_clock_there_is_must_do(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "darwin")
    clock = monotonic_clock()
    start = clock()
    machine.awake_ns += 1_000
    machine.asleep_ns = HOUR_NS
    assert clock() - start == timedelta(microseconds=1)


def test_it_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "linux")
    clock = monotonic_clock()
    start = clock()
    machine.awake_ns += 1_000
    assert clock() - start == timedelta(microseconds=1)
    machine.asleep_ns = HOUR_NS
    assert clock() - start == timedelta(hours=1, microseconds=1)


def test_a_moved_clock_does_not_go_back() -> None:
    clock = MovableClock(lambda: datetime(2026, 11, 22, tzinfo=UTC))
    clock.advance(timedelta(minutes=5))
    assert clock() == datetime(2026, 11, 22, 0, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(timedelta(seconds=-1))
