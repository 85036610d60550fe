"""Slack's own record of people, groups and channels, remembered for a moment.

What is handed out is never older than ``CACHE_FOR``, counted from before Slack was asked, so that it is still fresh
when the decision is written. Those who ask for the same thing at once share one call. What Slack does not tell is
``FactsUnavailable`` (for a user group: named as unknown), never a guess. Nothing here judges anybody.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import structlog

from bot.clock import Clock
from bot.errors import FactsUnavailable
from bot.people import MAX_FACTS_AGE, Channel, Facts, Person
from handlers.slack.client import SlackClient
from handlers.slack.records import Identity
from handlers.slack.trouble import PlaceClosed, SlackTrouble, Temporary, UnknownPerson

T = TypeVar("T")

CACHE_FOR = MAX_FACTS_AGE - timedelta(seconds=10)  # which are left for the decision to be written in
PATIENCE = timedelta(seconds=2)  # for one answer, while a click waits to be acknowledged within three
_REMEMBERED = 5_000  # of each kind
_AT_ONCE = 8  # calls under way, so that a large group does not use up Slack's patience

log = structlog.get_logger(__name__)


class ChannelClosed(FactsUnavailable):
    """Slack does not show us this channel. ``slack_code`` says why."""

    def __init__(self, slack_code: str) -> None:
        super().__init__()
        self.slack_code = slack_code


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    asked_at: datetime
    value: T


class _Memory(Generic[T]):
    """Answers of one kind by key: bounded, short-lived, one call at a time for each key."""

    def __init__(self, load: Callable[[str], Awaitable[T]], clock: Clock, gate: asyncio.Semaphore) -> None:
        self._load = load
        self._clock = clock
        self._gate = gate
        self._known: OrderedDict[str, _Known[T]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[_Known[T]]] = {}
        self._quiet_until: datetime | None = None  # Slack asked to be left alone until then

    def at_hand(self, key: str) -> _Known[T] | None:
        """Return what is remembered of ``key``, if it is fresh."""
        known = self._known.get(key)
        if known is None or not timedelta(0) <= self._clock() - known.asked_at <= CACHE_FOR:
            return None
        return known

    async def get(self, key: str, patience: timedelta) -> _Known[T]:
        """Return what is known of ``key``, asking Slack if need be. Raises what the call raised, or TimeoutError."""
        known = self.at_hand(key)
        if known is not None:
            return known
        task = self._asking.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(key))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._answered(key, done))
        async with asyncio.timeout(patience.total_seconds()):
            # Others may be waiting for the same answer: whoever gives up does not take it from them.
            return await asyncio.shield(task)

    def those_at_hand(self, keys: Iterable[str]) -> dict[str, _Known[T]]:
        """Return what is remembered of those of ``keys`` that anything fresh is remembered of."""
        return {key: known for key in keys if (known := self.at_hand(key)) is not None}

    async def close(self) -> None:
        """Give up what is still being asked."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, key: str) -> _Known[T]:
        async with self._gate:
            asked_at = self._clock()
            if self._quiet_until is not None and asked_at < self._quiet_until:
                raise Temporary("directory", "ratelimited", had_no_effect=True)
            try:
                known = _Known(asked_at, await self._load(key))
            except Temporary as trouble:
                if trouble.retry_after is not None:
                    self._quiet_until = asked_at + trouble.retry_after
                raise
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known

    def _answered(self, key: str, task: asyncio.Task[_Known[T]]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # those who still wait hear it; nobody else needs to


def _facts(
    now: datetime,
    home: Identity,
    people: Mapping[str, _Known[Person | None]],
    groups: Mapping[str, _Known[frozenset[str] | None]],
    unasked: Iterable[str] = (),
) -> Facts:
    """Put together what Slack said, as old as the oldest of it. What is None it does not know, nor ``unasked``."""
    ages = [answer.asked_at for answers in (people, groups) for answer in answers.values()]
    return Facts(
        loaded_at=min([now, *ages]),
        home_team=home.home,
        people={user: answer.value for user, answer in people.items() if answer.value is not None},
        groups={group: answer.value for group, answer in groups.items() if answer.value is not None},
        unknown_groups=frozenset(unasked).union(group for group, answer in groups.items() if answer.value is None),
    )


class SlackDirectory:
    """``bot.people.Directory`` over Slack's Web API."""

    def __init__(self, client: SlackClient, clock: Clock, *, patience: timedelta = PATIENCE) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        self._client = client
        self._clock = clock
        self._patience = patience
        self._people = _Memory(self._load_person, clock, gate)
        self._groups = _Memory(self._load_group, clock, gate)
        self._channels = _Memory(client.load_channel, clock, gate)
        self._memberships = _Memory(client.load_channels_of, clock, gate)

    async def close(self) -> None:
        """Give up what is still being asked."""
        for memory in (self._people, self._groups, self._channels, self._memberships):
            await memory.close()

    async def load_facts(self, users: Iterable[str], groups: Iterable[str]) -> Facts:
        """Look up people and user groups. Raises ``FactsUnavailable`` unless every user could be asked about."""
        now = self._clock()
        users, groups = set(users), set(groups)
        home = self._client.known_identity
        if home is not None:  # what is remembered costs no task and no turn of the loop
            known_people, known_groups = self._people.those_at_hand(users), self._groups.those_at_hand(groups)
            if len(known_people) == len(users) and len(known_groups) == len(groups):
                return _facts(now, home, known_people, known_groups)
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                home = await self._client.load_identity()
        except (SlackTrouble, TimeoutError) as trouble:
            raise _unavailable("identity", trouble) from trouble
        people, members = await asyncio.gather(self._gather(self._people, users), self._gather(self._groups, groups))
        for answer in people.values():
            if isinstance(answer, BaseException):
                raise _unavailable("people", answer) from answer
        told = {group: answer for group, answer in members.items() if isinstance(answer, _Known)}
        known = {user: answer for user, answer in people.items() if isinstance(answer, _Known)}
        return _facts(now, home, known, told, unasked=groups - told.keys())

    def at_hand(self, user: str, groups: Iterable[str], channel: str) -> tuple[Facts, Channel | None] | None:
        """See ``bot.people.Directory``."""
        home, person = self._client.known_identity, self._people.at_hand(user)
        if home is None or person is None:
            return None
        facts = _facts(self._clock(), home, {user: person}, self._groups.those_at_hand(groups))
        place = self._channels.at_hand(channel)
        return facts, None if place is None else place.value

    async def load_channels_of(self, user: str) -> frozenset[str]:
        """Look up the channels a person is in, as far as the bot may see them. Raises ``FactsUnavailable``."""
        try:
            return (await self._memberships.get(user, self._patience)).value
        except UnknownPerson:
            return frozenset()
        except (SlackTrouble, TimeoutError) as trouble:
            raise _unavailable("memberships", trouble) from trouble

    async def load_channel(self, channel: str) -> Channel:
        """Look a channel up. Raises ``ChannelClosed`` where we may not see it, else ``FactsUnavailable``."""
        try:
            return (await self._channels.get(channel, self._patience)).value
        except PlaceClosed as trouble:
            raise ChannelClosed(trouble.code) from trouble
        except (SlackTrouble, TimeoutError) as trouble:
            raise _unavailable("channel", trouble) from trouble

    async def _gather(self, memory: _Memory[T], keys: set[str]) -> dict[str, _Known[T] | SlackTrouble | TimeoutError]:
        """Ask for all ``keys`` at once and wait for each, so that what fails leaves none behind."""

        async def ask(key: str) -> _Known[T] | SlackTrouble | TimeoutError:
            try:
                return await memory.get(key, self._patience)
            except (SlackTrouble, TimeoutError) as trouble:
                return trouble

        return dict(zip(keys, await asyncio.gather(*map(ask, keys)), strict=True))

    async def _load_person(self, user: str) -> Person | None:
        """The person; None where Slack knows no such user."""
        try:
            return await self._client.load_person(user)
        except UnknownPerson:
            return None

    async def _load_group(self, group: str) -> frozenset[str] | None:
        """The group's members; None where Slack says it will not tell, as on a plan without user groups."""
        try:
            return await self._client.load_usergroup(group)
        except Temporary:
            raise
        except SlackTrouble as trouble:
            log.warning("usergroup_unknown", usergroup=group, code=trouble.code)
            return None


def _unavailable(what: str, trouble: BaseException) -> FactsUnavailable:
    log.warning("slack_facts_unavailable", what=what, code=_code(trouble))
    return FactsUnavailable()


def _code(trouble: BaseException) -> str:
    return trouble.code if isinstance(trouble, SlackTrouble) else "timeout"
