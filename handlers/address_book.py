"""Whose e-mail addresses they are in Slack, remembered. Only members of this workspace count.

Looking up is for the background: it may take as long as Slack takes. Asking what is known takes no time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.people import Facts, Person
from bot.policy import barred
from handlers.slack.client import SlackClient
from handlers.slack.trouble import ContentRefused, Refused, SlackTrouble, UnknownPerson

KNOWN_FOR = timedelta(hours=12)
UNKNOWN_FOR = timedelta(minutes=10)
_REMEMBERED = 5_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    user: str | None
    asked_at: datetime


class AddressBook:
    """E-mail addresses, in lower case, and the people they belong to."""

    def __init__(self, client: SlackClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def is_known(self, address: str) -> bool:
        """Whether Slack has been asked about an address."""
        return address in self._entries

    def user_of(self, address: str) -> str | None:
        """Return whose address it is; None for nobody's, and for one that was not looked up."""
        entry = self._entries.get(address)
        return entry.user if entry else None

    async def look_up(self, addresses: Iterable[str]) -> bool:
        """Look up what is not known or was asked long ago, in the order given; False if Slack did not tell all.

        What is known stays known while Slack cannot be asked.
        """
        for address in addresses:
            entry = self._entries.get(address)
            now = self._clock()
            if entry is not None and now - entry.asked_at < (KNOWN_FOR if entry.user else UNKNOWN_FOR):
                continue
            try:
                home = await self._client.load_identity()
            except SlackTrouble as trouble:
                log.warning("address_lookup_failed", code=trouble.code)
                return False
            try:
                person = await self._client.load_person_by_address(address)
            except (UnknownPerson, ContentRefused, Refused):  # what Slack takes for no address is nobody's either
                self._remember(address, None, now)
            except SlackTrouble as trouble:
                log.warning("address_lookup_failed", code=trouble.code)
                return False
            else:
                self._remember(address, _member(person, home.home, now), now)
        return True

    def _remember(self, address: str, user: str | None, asked_at: datetime) -> None:
        self._entries.pop(address, None)
        self._entries[address] = _Entry(user, asked_at)
        while len(self._entries) > _REMEMBERED:
            del self._entries[next(iter(self._entries))]


def _member(person: Person, home: str, now: datetime) -> str | None:
    """The person's id, unless they could decide nothing at all: guests, bots and outsiders are nobody on call."""
    return None if barred(person.id, Facts(now, home, {person.id: person}), now) else person.id
