"""So many calls at once to one place; whoever finds it full is told when to come again.

Those who are sent away get turns one after the other, as fast as places have been becoming free. Without that a
thousand who wait for one slow receiver would all knock every second, and each knock is a write to the database.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

SOONEST_SECONDS = 0.5
LATEST_SECONDS = 600.0
_FIRST_PACE_SECONDS = 0.05  # until a call has ended there, and told how long one takes
_REMEMBERED = 1024  # idle places whose turns are not over


class Busy(Exception):
    """As many calls as may run at once, to this host or address or at all, are running.

    ``after`` says when whoever was sent away may find a place.
    """

    def __init__(self, after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__()
        self.after = after


@dataclass(slots=True)
class _Place:
    """``pace``: seconds from one call's end to the next. ``turn``: when the last who was sent away comes again."""

    pace: float = _FIRST_PACE_SECONDS
    turn: float = 0.0
    running: int = 0


class Turns:
    """All places. ``now`` counts seconds; nobody's clock moves it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._places: dict[str, _Place] = {}

    @contextmanager
    def take(self, name: str, most: int) -> Iterator[None]:
        """Take one of ``most`` places for as long as the context lasts. Raises ``Busy``."""
        place, began = self._place(name), self._now()
        if place.running >= most:
            raise Busy(self._turn_at(place, began))
        place.running += 1
        was_tried = True
        try:
            yield
        except Busy:  # it was full further on
            was_tried = False
            raise
        finally:
            place.running -= 1
            if was_tried:
                place.pace = (self._now() - began) / most

    @property
    def running(self) -> int:
        """How many places are taken."""
        return sum(place.running for place in self._places.values())

    def _turn_at(self, place: _Place, now: float) -> timedelta:
        place.turn = min(max(now + SOONEST_SECONDS, place.turn + place.pace), now + LATEST_SECONDS)
        return timedelta(seconds=place.turn - now)

    def _place(self, name: str) -> _Place:
        place = self._places.get(name)
        if place is None:
            if len(self._places) >= _REMEMBERED:
                now = self._now()
                self._places = {key: one for key, one in self._places.items() if one.running or one.turn > now}
            place = self._places[name] = _Place()
        return place
