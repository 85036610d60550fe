"""Slots: at most so many at once, so fast in the long run, in the order of asking."""

from datetime import timedelta

from handlers.pacing import Pace, Pacer
from tests.conftest import START

SECOND = timedelta(seconds=1)
NOTHING = timedelta(0)


def test_a_burst_goes_at_once_and_the_rest_in_turn() -> None:
    pacer = Pacer(Pace(SECOND, burst=3))
    waits = [pacer.wait("C1", sender, START) for sender in range(6)]
    assert waits == [NOTHING, NOTHING, NOTHING, SECOND, 2 * SECOND, 3 * SECOND]


def test_each_key_has_a_pace_of_its_own() -> None:
    pacer = Pacer(Pace(SECOND))
    assert pacer.wait("C1", 1, START) == NOTHING
    assert pacer.wait("C2", 2, START) == NOTHING
    assert pacer.wait("C1", 3, START) == SECOND


def test_who_asks_again_keeps_the_slot() -> None:
    pacer = Pacer(Pace(SECOND))
    pacer.wait("C1", 1, START)
    assert pacer.wait("C1", 2, START) == SECOND
    assert pacer.wait("C1", 3, START) == 2 * SECOND
    assert pacer.wait("C1", 2, START) == SECOND
    assert pacer.wait("C1", 2, START + SECOND) == NOTHING
    assert pacer.wait("C1", 4, START + SECOND) == 2 * SECOND


def test_a_pause_fills_the_burst_again() -> None:
    pacer = Pacer(Pace(SECOND, burst=2))
    for sender in range(5):
        pacer.wait("C1", sender, START)
    later = START + timedelta(minutes=1)
    assert [pacer.wait("C1", sender, later) for sender in range(10, 13)] == [NOTHING, NOTHING, SECOND]


def test_what_slack_holds_back_moves_every_slot_by_as_much() -> None:
    pacer = Pacer(Pace(SECOND))
    pacer.wait("C1", 1, START)
    pacer.wait("C1", 2, START)
    pacer.wait("C1", 3, START)
    until = START + timedelta(seconds=30)
    pacer.hold("C1", START, until)
    pacer.hold("C1", START, until)  # several workers hear the same
    assert pacer.wait("C1", 2, START) == timedelta(seconds=31)
    assert pacer.wait("C1", 3, START) == timedelta(seconds=32)
    assert pacer.wait("C1", 4, START) == timedelta(seconds=33)
    assert pacer.wait("C2", 5, START) == NOTHING


def test_nobody_sends_while_slack_holds_back() -> None:
    pacer = Pacer(Pace(SECOND, burst=5))
    pacer.hold("C1", START, START + timedelta(seconds=10))
    assert all(pacer.wait("C1", sender, START) >= timedelta(seconds=10) for sender in range(8))


def test_a_forgotten_slot_is_given_anew_and_later_ones_move_up() -> None:
    pacer = Pacer(Pace(SECOND))
    pacer.wait("C1", 1, START)
    assert [pacer.wait("C1", sender, START) for sender in (2, 3, 4)] == [SECOND, 2 * SECOND, 3 * SECOND]
    pacer.forget("C1", 3)
    pacer.forget("C1", 3)
    pacer.forget("C9", 3)
    assert [pacer.wait("C1", sender, START) for sender in (2, 4, 3)] == [SECOND, 2 * SECOND, 3 * SECOND]


def test_what_is_urgent_goes_before_those_who_have_a_slot() -> None:
    pacer = Pacer(Pace(SECOND))
    pacer.wait("C1", 1, START)
    assert [pacer.wait("C1", sender, START) for sender in (2, 3)] == [SECOND, 2 * SECOND]
    assert pacer.wait("C1", 9, START, first=True) == SECOND
    assert pacer.wait("C1", 9, START + SECOND, first=True) == NOTHING
    assert [pacer.wait("C1", sender, START + SECOND) for sender in (2, 3)] == [SECOND, 2 * SECOND]


def test_a_turn_that_was_not_used_is_free_again() -> None:
    pacer = Pacer(Pace(SECOND))
    assert pacer.wait("C1", 1, START) == NOTHING
    pacer.give_back("C1")
    assert pacer.wait("C1", 2, START) == NOTHING
    assert pacer.wait("C1", 3, START) == SECOND


def test_asking_first_again_keeps_the_slot() -> None:
    pacer = Pacer(Pace(SECOND))
    pacer.wait("C1", 1, START)
    assert pacer.wait("C1", 9, START, first=True) == SECOND
    assert pacer.wait("C1", 9, START + SECOND / 2, first=True) == SECOND / 2


def test_what_is_urgent_keeps_its_order_among_itself() -> None:
    pacer = Pacer(Pace(SECOND))
    pacer.wait("C1", 1, START)
    pacer.wait("C1", 2, START)
    assert [pacer.wait("C1", sender, START, first=True) for sender in (8, 9)] == [SECOND, 2 * SECOND]
    assert pacer.wait("C1", 2, START) == 3 * SECOND
    assert pacer.wait("C1", 8, START, first=True) == SECOND
    assert pacer.wait("C1", 8, START + SECOND, first=True) == NOTHING
    assert pacer.wait("C1", 9, START + SECOND, first=True) == SECOND


def test_who_was_told_to_wait_has_no_burst_left() -> None:
    pacer = Pacer(Pace(SECOND, burst=3))
    pacer.wait("C1", 1, START)
    pacer.hold("C1", START, START + SECOND)
    later = START + SECOND
    assert [pacer.wait("C1", sender, later) for sender in (2, 3, 4)] == [NOTHING, SECOND, 2 * SECOND]


def test_how_many_go_within_a_time() -> None:
    assert Pace(SECOND, burst=3).most_within(3 * SECOND) == 6
    assert Pace(timedelta(minutes=1), burst=2).most_within(3 * SECOND) == 2
