"""bot.seats: the assignment of people to seats is found whenever there is one."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from bot.seats import are_filled, fill_seats

PLACES = st.lists(st.integers(1, 2), min_size=1, max_size=3)
PEOPLE = st.dictionaries(st.sampled_from(["U1", "U2", "U3", "U4", "U5"]), st.frozensets(st.integers(0, 2)), max_size=5)


def most_seated(places: list[int], people: dict[str, frozenset[int]]) -> int:
    """Try every way to sit down: the answer by brute force."""
    best = 0
    for seating in product(*[[None, *sorted(seats)] for seats in people.values()]):
        taken = [seating.count(at) for at in range(len(places))]
        if all(many <= room for many, room in zip(taken, places, strict=True)):
            best = max(best, sum(taken))
    return best


@given(PLACES, PEOPLE)
def test_as_many_sit_as_can(places: list[int], people: dict[str, frozenset[int]]) -> None:
    people = {user: frozenset(at for at in seats if at < len(places)) for user, seats in people.items()}
    seated = fill_seats(places, people)
    assert all(at in people[user] for user, at in seated.items())
    assert all(list(seated.values()).count(at) <= room for at, room in enumerate(places))
    assert len(seated) == most_seated(places, people)
    assert are_filled(places, people) == (most_seated(places, people) == sum(places))


def test_who_could_sit_anywhere_makes_room() -> None:
    assert fill_seats([1, 1], {"U1": {0, 1}, "U2": {0}}) == {"U2": 0, "U1": 1}


def test_nobody_is_unseated_for_a_later_one() -> None:
    assert fill_seats([1], {"U1": {0}, "U2": {0}}) == {"U1": 0}
