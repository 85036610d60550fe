"""Whether anybody could decide a request, asked before one is made. Advisory: it may deny, it never approves.

Slack is asked about few people at a time, until there are enough, and not again for the same rule for a while. What is
not known in time is not held against the request: it then waits for whoever turns up.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.clock import Clock
from bot.config import FrozenRule
from bot.errors import FactsUnavailable
from bot.escalation import at_its_widest
from bot.people import Directory, Facts, Person
from bot.policy import Parties, judge, reviewer_usergroups, reviewer_users
from bot.seats import are_filled

PATIENCE = timedelta(seconds=2)  # while an agent waits for the answer to its call
REMEMBERED_FOR = timedelta(seconds=30)
_STEP = 8  # people asked about at a time
_MOST_REMEMBERED = 1024  # rules and whose business their requests are


class _NotKnown(Exception):
    """What Slack said does not tell whether somebody can decide."""


class Availability:
    """Looks for the people that a rule needs."""

    def __init__(self, clock: Clock, directory: Directory, patience: timedelta = PATIENCE) -> None:
        self._clock = clock
        self._directory = directory
        self._patience = patience
        self._known: OrderedDict[tuple[int, Parties], tuple[datetime, str | None]] = OrderedDict()

    async def find_lack(self, rule_id: int, rule: FrozenRule, parties: Parties) -> str | None:
        """Say why nobody can decide a request of ``parties`` under a rule; None if somebody can or Slack cannot tell.

        Whom the rule's plan lets decide later counts as well. ``rule_id`` names the rule's wording.
        """
        key = (rule_id, parties)
        now = self._clock()
        known = self._known.get(key)
        if known is not None and timedelta(0) <= now - known[0] < REMEMBERED_FOR:
            return known[1]
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                lack = await self._look(rule, parties)
        except (FactsUnavailable, TimeoutError, _NotKnown):
            lack = None
        self._known[key] = (now, lack)
        self._known.move_to_end(key)
        while len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
        return lack

    async def _look(self, rule: FrozenRule, parties: Parties) -> str | None:
        rule, others_may_join = at_its_widest(rule)
        places = [seat.quorum for seat in rule.seats]
        barred = parties.barred_by(rule)
        found = _Found(rule, parties)
        named = [user for user in reviewer_users(rule) if user not in barred]
        if await self._look_at(named, found, places):
            return None
        usergroups = reviewer_usergroups(rule)
        if usergroups:
            told = await self._directory.load_facts((), usergroups)
            if told.unknown_groups:
                raise _NotKnown
            found.learn(told, self._clock())
            members = {user for group in usergroups for user in told.groups.get(group, frozenset())}
            if await self._look_at(sorted(members - barred - set(named)), found, places):
                return None
        if others_may_join:
            raise _NotKnown
        return (
            f"nobody_can_decide: rule {rule.name} needs {_people(sum(places))} to approve, and of those it lets decide"
            f" {_people(len(found.seats))} could. Tell whoever runs Signoff."
        )

    async def _look_at(self, users: Sequence[str], found: "_Found", places: list[int]) -> bool:
        """Look people up until there are enough; False if there are not."""
        for start in range(0, len(users), _STEP):
            found.learn(await self._directory.load_facts(users[start : start + _STEP], ()), self._clock())
            if are_filled(places, found.seats):
                return True
        return are_filled(places, found.seats)


@dataclass(slots=True)
class _Found:
    """What is known so far of people and groups, and which seats each person could fill."""

    rule: FrozenRule
    parties: Parties
    facts: Facts | None = None
    people: dict[str, Person] = field(default_factory=dict)
    seats: dict[str, frozenset[int]] = field(default_factory=dict)

    def learn(self, told: Facts, now: datetime) -> None:
        """Add what Slack told. Raises ``_NotKnown`` for what is too old to be judged by."""
        known = self.facts
        self.facts = (
            told
            if known is None
            else replace(told, loaded_at=min(told.loaded_at, known.loaded_at), groups={**known.groups, **told.groups})
        )
        if not self.facts.are_fresh(now):
            raise _NotKnown
        new_groups = bool(told.groups)
        self.people.update(told.people)
        self._judge(self.people if new_groups else told.people, now)

    def _judge(self, users: Iterable[str], now: datetime) -> None:
        if self.facts is None:
            return
        facts = replace(self.facts, people=self.people)
        for user in users:
            verdict = judge(user, self.rule, self.parties, facts, now)
            if verdict.allowed:
                self.seats[user] = verdict.seats


def _people(count: int) -> str:
    return "nobody" if count == 0 else "1 person" if count == 1 else f"{count} people"
