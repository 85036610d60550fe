"""What time it is. Every use case is given a clock; none asks the machine.

The process's clock is set from UTC once, when it starts, and then runs monotonically: a wall clock that jumps
while the bot runs makes nothing expire early and nothing be approved late. It goes on while the machine sleeps, or an
approval of before would be good for as much longer afterwards.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

Clock = Callable[[], datetime]


def monotonic_clock() -> Clock:
    """Return a clock of aware UTC times that never goes back."""
    running_ns = _running_ns()
    start, origin = datetime.now(UTC), running_ns()
    return lambda: start + timedelta(0, 0, (running_ns() - origin) // 1000)


def set_by(clock: Clock, ahead: timedelta) -> Clock:
    """Return ``clock`` set forward (or back) by ``ahead``: replicas go by the clock of their database."""
    return lambda: clock() + ahead


def _running_ns() -> Callable[[], int]:
    # Linux stops its monotonic clock in sleep and has another that goes on; elsewhere the one there is must do.
    if sys.platform == "linux":
        return partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    return time.monotonic_ns


class MovableClock:
    """A clock that somebody may move forward: for tests and the demo."""

    def __init__(self, base: Clock) -> None:
        self._base = base
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return self._base() + self._ahead

    def advance(self, by: timedelta) -> None:
        """Move the clock forward. Raises ``ValueError`` for a step back."""
        if by < timedelta(0):
            raise ValueError("a clock does not go back")
        self._ahead += by
