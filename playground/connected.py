"""What is connected to a playground from outside for the page's sake: an agent's console, and a hand on the clock.

The playground cannot move the clock it is given (settings.now) and knows nobody who goes by it: whoever starts it
passes a callable that does both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from playground.agent import BadCall
from playground.console import Console

MOST_STEP = timedelta(days=1)
MOST_AHEAD = timedelta(days=30)  # what people see stays within a calendar they know


class ClockHand:
    """Moves the clock that people see, forward only. Signatures and delivery stamps go by the wall all the same."""

    def __init__(self, advance: Callable[[timedelta], None]) -> None:
        self._advance = advance
        self.ahead = timedelta(0)
        """How far it was moved so far."""

    def move(self, by: timedelta) -> None:
        """Moves it; BadCall when that is no step forward, or too far."""
        if by < timedelta(seconds=1):
            raise BadCall("The clock only goes forward.")
        if by > MOST_STEP or self.ahead + by > MOST_AHEAD:
            raise BadCall("The clock goes forward by a day at a time, and by 30 days in all.")
        self._advance(by)
        self.ahead += by


@dataclass
class Connected:
    """What there is so far; None where nothing was connected."""

    console: Console | None = None
    clock: ClockHand | None = None
