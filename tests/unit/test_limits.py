"""bot.limits: never more than the limit in any window, nobody starves, and the memory is bounded."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import RateLimit
from bot.limits import Demand, Limiter, Places
from tests.conftest import START

SECOND = timedelta(seconds=1)
limits = st.builds(RateLimit, st.integers(1, 6), st.integers(1, 90).map(lambda seconds: timedelta(seconds=seconds)))
# Steps of half a second often hit the edges of a window exactly.
steps = st.lists(st.integers(0, 60).map(lambda halves: halves * SECOND / 2), min_size=1, max_size=120)


@given(limits, steps)
def test_never_more_than_the_limit_in_any_window_of_its_length(limit: RateLimit, steps: list[timedelta]) -> None:
    limiter, now, let_in = Limiter(), START, []
    for step in steps:
        now += step
        if isinstance(limiter.take([Demand("a", limit)], now), Places):
            let_in.append(now)
    for at in let_in:
        assert sum(at <= other < at + limit.per for other in let_in) <= limit.most


@given(limits, steps)
def test_whoever_waits_as_long_as_told_is_let_in_and_not_a_moment_sooner(
    limit: RateLimit, steps: list[timedelta]
) -> None:
    limiter, now = Limiter(), START
    for step in steps:
        now += step
        taken = limiter.take([Demand("a", limit)], now)
        if isinstance(taken, timedelta):
            assert timedelta(0) < taken <= limit.per
            soon = limiter.take([Demand("a", limit)], now + taken - timedelta(microseconds=1))
            assert soon == timedelta(microseconds=1)
            now += taken
            assert isinstance(limiter.take([Demand("a", limit)], now), Places)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=80))
def test_who_is_refused_in_one_log_takes_no_place_in_the_other(tries: list[tuple[int, int]]) -> None:
    """The whole agent's rate and each instance's, against a count of what was let in."""
    whole, each = RateLimit(5, 10 * SECOND), RateLimit(2, 4 * SECOND)
    limiter, now, let_in = Limiter(), START, []
    for instance, seconds in tries:
        now += seconds * SECOND / 4
        taken = limiter.take([Demand("agent", whole), Demand(f"i{instance}", each)], now)
        ours = [at for at, who in let_in if who == instance and at + each.per > now]
        everybodys = [at for at, _ in let_in if at + whole.per > now]
        has_room = len(ours) < each.most and len(everybodys) < whole.most
        assert isinstance(taken, Places) is has_room
        if has_room:
            let_in.append((now, instance))


def test_what_is_given_back_may_be_taken_again() -> None:
    limiter, limit = Limiter(), RateLimit(2, 60 * SECOND)
    first = limiter.take([Demand("a", limit)], START)
    assert isinstance(first, Places)
    assert isinstance(limiter.take([Demand("a", limit)], START + SECOND), Places)
    assert limiter.take([Demand("a", limit)], START + 2 * SECOND) == 58 * SECOND
    limiter.give_back(first)
    limiter.give_back(first)  # twice is once
    assert isinstance(limiter.take([Demand("a", limit)], START + 2 * SECOND), Places)
    assert limiter.take([Demand("a", limit)], START + 2 * SECOND) == 59 * SECOND


def test_a_limit_that_was_lowered_or_shortened_counts_from_the_next_request_on() -> None:
    limiter = Limiter()
    for second in range(10):
        assert isinstance(limiter.take([Demand("a", RateLimit(10, 60 * SECOND))], START + second * SECOND), Places)
    now = START + 10 * SECOND
    assert limiter.take([Demand("a", RateLimit(3, 60 * SECOND))], now) == 57 * SECOND  # until only two of them count
    assert limiter.take([Demand("a", RateLimit(3, 5 * SECOND))], now) == 2 * SECOND


def test_a_clock_set_back_lets_nobody_in_too_early() -> None:
    limiter, limit = Limiter(), RateLimit(2, 10 * SECOND)
    assert isinstance(limiter.take([Demand("a", limit)], START), Places)
    assert isinstance(limiter.take([Demand("a", limit)], START - 5 * SECOND), Places)
    assert limiter.take([Demand("a", limit)], START - 5 * SECOND) == 15 * SECOND
    assert isinstance(limiter.take([Demand("a", limit)], START + 10 * SECOND), Places)


def test_memory_is_bounded_however_many_instances_there_are() -> None:
    limiter, limit = Limiter(), RateLimit(3, 10 * SECOND)
    for number in range(20_000):
        for _ in range(5):
            limiter.take([Demand(f"instance:{number}", limit)], START + number * SECOND)
        assert len(limiter) <= 128


@pytest.mark.parametrize("most", [1, 1000])
def test_nothing_is_demanded_nothing_is_refused(most: int) -> None:
    limiter = Limiter()
    assert all(isinstance(limiter.take([], START), Places) for _ in range(most))
    assert len(limiter) == 0
