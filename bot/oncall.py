"""Who is on call, as far as is known: values, and how shifts answer for a moment. Pure, but for the protocol's promise.

Being on call gives nobody a right: it says whom a step notifies, and who may join where a plan widens a seat.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

OLD = timedelta(days=1)
"""What is known from longer ago is still used, and said loudly to be old."""


class OnCallTrouble(StrEnum):
    """Why it is not known, or not known whole, who is on call."""

    NO_ONE = "no_one_on_call"
    CALENDAR_UNAVAILABLE = "calendar_unavailable"
    """There is no copy of the calendar, or only one older than ``OLD``."""
    GROUP_UNAVAILABLE = "usergroup_unavailable"
    """Slack does not say who is in the user group."""
    PERSON_UNKNOWN = "person_unknown"
    """Nobody in Slack has an e-mail address that the calendar names."""
    PEOPLE_UNAVAILABLE = "slack_unavailable"
    """Slack could not be asked yet whose e-mail addresses the calendar names."""
    UNKNOWN_NAME = "oncall_unknown"
    """The configuration in force has no such table."""


class OnCallSource(StrEnum):
    """Where it is known from."""

    USERS = "users"
    USERGROUP = "usergroup"
    CALENDAR = "calendar"


@dataclass(frozen=True, slots=True)
class OnCallNow:
    """Who is on call at a moment.

    ``users`` are all of them, in a stable order, those of ``usergroups`` among them. With a trouble there may be users
    all the same: those are to be reached, and the trouble said. Without users there always is a trouble.
    ``until`` is when that changes, None where it is not known to. ``age`` is how long ago a calendar or a user group
    was last read; None where nothing was, or where there is nothing to read. ``unknown`` are the e-mail addresses that
    belong to nobody in Slack.
    """

    users: tuple[str, ...] = ()
    usergroups: tuple[str, ...] = ()
    until: datetime | None = None
    source: OnCallSource | None = None
    age: timedelta | None = None
    trouble: OnCallTrouble | None = None
    unknown: tuple[str, ...] = ()

    @property
    def is_old(self) -> bool:
        """Whether what this rests on was read longer ago than ``OLD``."""
        return self.age is not None and self.age > OLD


@dataclass(frozen=True, slots=True)
class OnCallNext:
    """Who is on call next, from when and until when, as far as is known."""

    start: datetime
    until: datetime | None
    users: tuple[str, ...]
    unknown: tuple[str, ...] = ()


class OnCallDirectory(Protocol):
    """Says who is on call. Answers from what is known: it raises nothing, and takes two seconds at most."""

    async def on_call(self, name: str, at: datetime) -> OnCallNow:
        """Say who is on call under ``[oncall.NAME]`` at a moment near now."""
        ...

    async def next_on_call(self, name: str, at: datetime) -> OnCallNext | None:
        """Say who is on call after those of ``at``; None where that is not known, or never changes."""
        ...


# --- shifts ---


@dataclass(frozen=True, slots=True)
class Shift:
    """One event of a calendar: from ``start`` until before ``end``, with its people's addresses in lower case."""

    start: datetime
    end: datetime
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Roster:
    """The same people for a span of time. ``until`` None: as far as the shifts go, it does not change."""

    addresses: tuple[str, ...]
    start: datetime
    until: datetime | None


def roster_at(shifts: Iterable[Shift], at: datetime) -> Roster:
    """Return who is on call at ``at``. Where shifts overlap, the people of all of them are."""
    known = list(shifts)
    addresses = _addresses_at(known, at)
    until = next((edge for edge in _edges(known, at) if _addresses_at(known, edge) != addresses), None)
    return Roster(addresses, at, until)


def next_roster(shifts: Iterable[Shift], at: datetime) -> Roster | None:
    """Return the first people after ``at`` who are others than those at ``at``; None if no others are known."""
    known = list(shifts)
    here = _addresses_at(known, at)
    for edge in _edges(known, at):
        there = _addresses_at(known, edge)
        if there and there != here:
            return Roster(there, edge, roster_at(known, edge).until)
        here = there  # a gap: the same people may come again after it
    return None


def _edges(shifts: Sequence[Shift], after: datetime) -> list[datetime]:
    """The moments after ``after`` at which a shift begins or ends, in order."""
    return sorted({edge for shift in shifts for edge in (shift.start, shift.end) if edge > after})


def _addresses_at(shifts: Sequence[Shift], at: datetime) -> tuple[str, ...]:
    on = {address for shift in shifts if shift.start <= at < shift.end for address in shift.addresses}
    return tuple(sorted(on))
