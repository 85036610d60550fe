"""Who fills which seat of a quorum. Pure.

One person fills one seat. Where somebody could sit in several, the assignment is the one that fills the most: a
matching of people and places, found by augmenting paths (Kuhn), so that it succeeds if it can.
"""

from collections.abc import Collection, Mapping, Sequence


def fill_seats(places: Sequence[int], people: Mapping[str, Collection[int]]) -> dict[str, int]:
    """Seat as many people as can be, and say where.

    ``places`` holds the number of places of each seat, ``people`` the indexes of the seats that each person could fill.
    Who comes first in ``people`` is never unseated for somebody later.
    """
    seated: list[list[str]] = [[] for _ in places]

    def seat(person: str, tried: set[int]) -> bool:
        """Seat ``person``, if need be by moving others on."""
        for at in sorted(people[person]):
            if at in tried:
                continue
            tried.add(at)
            if len(seated[at]) < places[at]:
                seated[at].append(person)
                return True
            for index, other in enumerate(seated[at]):
                if seat(other, tried):
                    seated[at][index] = person
                    return True
        return False

    for person in people:
        seat(person, set())
    return {person: at for at, here in enumerate(seated) for person in here}


def are_filled(places: Sequence[int], people: Mapping[str, Collection[int]]) -> bool:
    """Whether every place is taken when people sit down as well as they can."""
    return len(fill_seats(places, people)) == sum(places)
