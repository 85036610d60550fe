"""Turns: so many at once, and whoever is sent away comes again in turn, as fast as places become free."""

from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from handlers.turns import LATEST_SECONDS, SOONEST_SECONDS, Busy, Turns


@dataclass
class Watch:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


def sent_away(turns: Turns, name: str = "host", most: int = 2) -> float:
    with pytest.raises(Busy) as busy, turns.take(name, most):
        pass
    return busy.value.after.total_seconds()


def test_a_thousand_who_wait_for_a_slow_place_do_not_all_knock_every_second() -> None:
    watch = Watch()
    turns = Turns(watch)
    with turns.take("host", 2):
        watch.seconds += 8.0
    with turns.take("host", 2), turns.take("host", 2):
        assert [sent_away(turns) for _ in range(4)] == [SOONEST_SECONDS + 4.0 * at for at in range(4)]
        waits = [sent_away(turns) for _ in range(1000)]
        assert waits[0] == SOONEST_SECONDS + 16.0
        assert max(waits) == LATEST_SECONDS  # and nobody waits for ever
    assert turns.running == 0


def test_a_quick_place_is_knocked_at_quickly() -> None:
    watch = Watch()
    turns = Turns(watch)
    with turns.take("host", 2):
        watch.seconds += 0.01
    with turns.take("host", 2), turns.take("host", 2):
        waits = [sent_away(turns) for _ in range(100)]
    assert waits[-1] == pytest.approx(SOONEST_SECONDS + 99 * 0.005)


def test_a_place_that_was_full_further_on_tells_nothing_of_how_long_a_call_takes() -> None:
    watch = Watch()
    turns = Turns(watch)
    with turns.take("host", 1):
        watch.seconds += 4.0
    with turns.take("address", 1), pytest.raises(Busy), turns.take("host", 1), turns.take("address", 1):
        pass
    with turns.take("host", 1):
        first, second = (sent_away(turns, most=1) for _ in range(2))
    assert second - first == pytest.approx(4.0)


def test_places_are_apart_and_forgotten_when_they_are_over() -> None:
    watch = Watch()
    turns = Turns(watch)
    with ExitStack() as held:
        held.enter_context(turns.take("one", 1))
        with turns.take("another", 1):
            assert turns.running == 2
        for at in range(5000):
            with turns.take(f"name {at}", 1):
                pass
        assert sent_away(turns, "one", 1) == SOONEST_SECONDS  # it was not forgotten while it was taken
    assert len(turns._places) <= 1024
