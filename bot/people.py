"""Who a Slack user is, and the facts about people that a decision rests on. Pure, but for the ``Directory``'s promise.

Names are for reading only; people are told apart by team and user id. Facts are loaded before a transaction and
passed into it; there they are refused when older than ``MAX_FACTS_AGE``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

MAX_FACTS_AGE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Person:
    """A Slack user as Slack describes them now."""

    id: str
    team_id: str
    name: str
    is_deactivated: bool = False
    is_bot: bool = False
    is_guest: bool = False
    is_stranger: bool = False
    zone: str = "UTC"


def zone_of(person: Person | None) -> ZoneInfo:
    """Return the zone that a person's times are in: UTC where Slack names none that is known here."""
    return zone_named(person.zone if person is not None else "UTC")


def zone_named(name: str) -> ZoneInfo:
    """Return the zone of a name; UTC for one that is not known here."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Channel:
    """A Slack channel as Slack describes it now. ``is_shared``: with another company, or about to be."""

    id: str
    is_private: bool = False
    is_shared: bool = False
    is_archived: bool = False
    is_member: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What Slack said about the people and groups concerned, and when the oldest of it was said.

    ``groups`` holds the members' user ids of each user group that was looked up; a group that Slack would not tell
    about is missing from it and named in ``unknown_groups``. ``home_team`` is the team (or enterprise) the bot
    belongs to.
    """

    loaded_at: datetime
    home_team: str
    people: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unknown_groups: frozenset[str] = frozenset()

    def are_fresh(self, now: datetime) -> bool:
        return now - self.loaded_at <= MAX_FACTS_AGE


class Directory(Protocol):
    """Slack's own record of people. Raises ``FactsUnavailable`` when it cannot be asked."""

    async def load_facts(self, users: Iterable[str], groups: Iterable[str]) -> Facts:
        """Look up people and user groups, at most ``MAX_FACTS_AGE`` old.

        A user whom Slack does not know is missing from the answer; a user it could not be asked about raises.
        """
        ...

    def at_hand(self, user: str, groups: Iterable[str], channel: str) -> tuple[Facts, Channel | None] | None:
        """Return what is remembered of a person, of those of the user groups it is remembered of, and of a channel.

        Nobody is asked. None if the person is not remembered, or we do not know yet who we are.
        """
        ...

    async def load_channels_of(self, user: str) -> frozenset[str]:
        """Look up the channels a person is in, of those the bot is in too."""
        ...

    async def load_channel(self, channel: str) -> Channel:
        """Look up a channel, at most ``MAX_FACTS_AGE`` old."""
        ...
