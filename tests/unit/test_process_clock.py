"""bot.clock: the process's clock goes on whatever happens to the wall clock, and while the machine sleeps."""

import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from bot.clock import MovableClock, monotonic_clock

HOUR_NS = 3_600 * 10**9


class Machine:
    """The machine's clocks: one stops in sleep, one does not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.awake_ns, self.asleep_ns = HOUR_NS, 0
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.awake_ns)
        monkeypatch.setattr(time, "clock_gettime_ns", self._read)

    def _read(self, clock: int) -> int:
        return self.awake_ns + (self.asleep_ns if clock == time.CLOCK_BOOTTIME else 0)


def test_it_starts_at_utc_and_never_goes_back() -> None:
    before = datetime.now(UTC)
    clock = monotonic_clock()
    times = [clock() for _ in range(100)]
    assert times == sorted(times)
    assert before <= times[0] < before + timedelta(minutes=1)
    assert times[0].tzinfo is UTC


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one such clock only")
def test_it_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
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
