"""``bot.oncall.OnCallDirectory``: who is on call, from users, user groups and calendars.

The tables are asked for each time, so that a changed configuration counts at once; ``follow`` starts the calendars that
are new or changed and stops those that are gone. A user group is asked of Slack through the directory, which gives up
after two seconds; what it said last is used then. A calendar is answered from its last good copy.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.clock import Clock
from bot.config import OnCall
from bot.errors import FactsUnavailable
from bot.oncall import OLD, OnCallNext, OnCallNow, OnCallSource, OnCallTrouble, next_roster, roster_at
from bot.people import Directory
from handlers.address_book import AddressBook
from handlers.calendar_feeds import CalendarReader, Feed

PATIENCE = timedelta(seconds=2)
"""For the first reading of a calendar, and for Slack to say who is in a user group (handlers/slack/directory.py)."""


@dataclass(frozen=True, slots=True)
class CalendarState:
    """How it stands with one calendar. ``failure`` is why the last try failed; ``age`` None: there is no copy."""

    age: timedelta | None
    failure: str | None
    unpeopled: int = 0
    unreadable: int = 0


class OnCallSources:
    """The directory of who is on call. ``start`` it, ``follow`` after each reload, ``stop`` it before the client."""

    def __init__(
        self,
        tables: Callable[[], Mapping[str, OnCall]],
        directory: Directory,
        people: AddressBook,
        reader: CalendarReader,
        clock: Clock,
        failed: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._tables = tables
        self._directory = directory
        self._people = people
        self._reader = reader
        self._clock = clock
        self._failed = failed
        self._feeds: dict[str, Feed] = {}
        self._members: dict[str, tuple[datetime, tuple[str, ...]]] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._runs = False

    def start(self) -> None:
        """Begin to read the calendars there are."""
        self._runs = True
        self.follow()

    async def stop(self) -> None:
        self._runs = False
        await asyncio.gather(*(feed.stop() for feed in self._feeds.values()), *self._stopping)

    def follow(self) -> None:
        """Take the tables of the configuration in force."""
        tables = {name: table for name, table in self._tables().items() if table.is_calendar}
        for name in [name for name, feed in self._feeds.items() if tables.get(name) != feed.table]:
            stopping = asyncio.get_running_loop().create_task(self._feeds.pop(name).stop())
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)
        for name, table in tables.items():
            if name not in self._feeds:
                self._feeds[name] = Feed(table, self._reader, self._people, self._clock, self._failed)
                if self._runs:
                    self._feeds[name].start()

    async def refresh(self) -> None:
        """Read all calendars now. Raises nothing."""
        self.follow()
        await asyncio.gather(*(feed.refresh() for feed in self._feeds.values()))

    def names(self) -> list[str]:
        """Return the names of the configuration in force, in its order."""
        return list(self._tables())

    def calendars(self) -> dict[str, CalendarState]:
        """Say how it stands with each calendar, by its table's name."""
        self.follow()
        return {name: self._state(feed) for name, feed in self._feeds.items()}

    def calendar_ages(self) -> dict[str, timedelta | None]:
        """Return how old the last good copy of each calendar is; None where there is none."""
        return {name: state.age for name, state in self.calendars().items()}

    def _state(self, feed: Feed) -> CalendarState:
        if feed.copy is None:
            return CalendarState(None, feed.failure)
        age = max(self._clock() - feed.copy.read_at, timedelta(0))
        return CalendarState(age, feed.failure, feed.copy.expanded.unpeopled, feed.copy.expanded.unreadable)

    # --- OnCallDirectory ---

    async def on_call(self, name: str, at: datetime) -> OnCallNow:
        """See ``bot.oncall.OnCallDirectory``."""
        table = self._tables().get(name)
        if table is None:
            return OnCallNow(trouble=OnCallTrouble.UNKNOWN_NAME)
        if table.usergroup is not None:
            return await self._group(table.usergroup)
        if table.is_calendar:
            return self._calendar(await self._feed(name), at)
        return OnCallNow(users=table.users, source=OnCallSource.USERS)

    async def next_on_call(self, name: str, at: datetime) -> OnCallNext | None:
        """See ``bot.oncall.OnCallDirectory``."""
        table = self._tables().get(name)
        if table is None or not table.is_calendar:
            return None
        copy = (await self._feed(name)).copy
        roster = None if copy is None else next_roster(copy.expanded.shifts, at)
        if roster is None:
            return None
        users, unknown, _ = self._people_of(roster.addresses)
        return OnCallNext(roster.start, roster.until, users, unknown)

    async def _feed(self, name: str) -> Feed:
        """A calendar that was tried once, if that does not take long: right after the start nothing is known yet."""
        self.follow()
        feed = self._feeds[name]
        await feed.until_tried(PATIENCE)
        return feed

    async def _group(self, usergroup: str) -> OnCallNow:
        try:
            facts = await self._directory.load_facts((), (usergroup,))
        except FactsUnavailable:
            members = None
        else:
            members = facts.groups.get(usergroup)
            if members is not None:
                self._members[usergroup] = (facts.loaded_at, tuple(sorted(members)))
        trouble = None if members is not None else OnCallTrouble.GROUP_UNAVAILABLE
        read_at, users = self._members.get(usergroup, (None, ()))
        if trouble is None and not users:
            trouble = OnCallTrouble.NO_ONE
        age = None if read_at is None else max(self._clock() - read_at, timedelta(0))
        return OnCallNow(users=users, usergroups=(usergroup,), source=OnCallSource.USERGROUP, age=age, trouble=trouble)

    def _calendar(self, feed: Feed, at: datetime) -> OnCallNow:
        copy = feed.copy
        if copy is None:
            return OnCallNow(source=OnCallSource.CALENDAR, trouble=OnCallTrouble.CALENDAR_UNAVAILABLE)
        roster = roster_at(copy.expanded.shifts, at)
        users, unknown, are_asked = self._people_of(roster.addresses)
        age = max(self._clock() - copy.read_at, timedelta(0))
        trouble = None
        if age > OLD:
            trouble = OnCallTrouble.CALENDAR_UNAVAILABLE
        elif not roster.addresses:
            trouble = OnCallTrouble.NO_ONE
        elif not are_asked:
            trouble = OnCallTrouble.PEOPLE_UNAVAILABLE
        elif unknown:
            trouble = OnCallTrouble.PERSON_UNKNOWN
        return OnCallNow(
            users=users,
            until=roster.until,
            source=OnCallSource.CALENDAR,
            age=age,
            trouble=trouble,
            unknown=unknown,
        )

    def _people_of(self, addresses: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        """The users whose addresses they are, those that are nobody's, and whether Slack was asked about all."""
        found = {address: self._people.user_of(address) for address in addresses}
        users = tuple(dict.fromkeys(user for user in found.values() if user is not None))
        unknown = tuple(address for address, user in found.items() if user is None)
        return users, unknown, all(self._people.is_known(address) for address in unknown)
