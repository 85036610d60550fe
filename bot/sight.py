"""How far one person sees: what a query across requests is narrowed to. The rule is ``bot.queries``'s, as one filter.

A request is in sight of the admins, of the reviewers of its rule (also of those whom a step of its plan let join), and
of those in a channel with one of its cards; of guests, bots and members of other teams never.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from zoneinfo import ZoneInfo

import structlog

from bot.clock import Clock
from bot.config import FrozenRule, UnreadableRule
from bot.escalation import may_widen
from bot.people import Directory, zone_of
from bot.policy import barred, reviewer_usergroups, reviewer_users
from bot.rulebook import Rulebook
from store import statements_reports as sql
from store.among import as_list, list_of
from store.engine import Store
from store.unit import Unit

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one person may see. ``parameters`` are those of the statements that have ``filters``.

    ``user_id`` is None for the operator. ``is_admin``: may see what others did. ``untold`` counts the user groups of
    which Slack does not say who is in them: what this person may see by those alone is out of sight.
    """

    user_id: str | None
    zone: ZoneInfo
    is_admin: bool
    parameters: Mapping[str, str] = field(default_factory=dict)
    untold: int = 0

    @property
    def filters(self) -> frozenset[str]:
        return frozenset() if self.is_admin else frozenset({sql.SIGHT})

    @property
    def asked(self) -> frozenset[str]:
        """The filters for what is in sight and was not approved by a rule by itself."""
        return self.filters | {sql.ASKED}

    @property
    def parts(self) -> tuple[frozenset[str], ...]:
        """The sets of filters that find what was decided and is in sight: all together everything, none anything twice.

        Counted one after the other, each in an index that serves it, they take a third of the time of ``filters``.
        """
        if self.is_admin:
            return (frozenset(),)
        if self.parameters["automatic"] == as_list(()):
            return (self.asked,)
        return (self.asked, frozenset({sql.AUTOMATIC}))


EVERYTHING = Sight(None, ZoneInfo("UTC"), is_admin=True)
"""The operator's, who has the database anyway."""

_LISTS = ("reviewed", "automatic", "widening", "channels", "users", "usergroups")
_NOTHING = MappingProxyType(dict.fromkeys(_LISTS, as_list(())))


class Sights:
    """Finds out how far people see."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook, directory: Directory) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._directory = directory

    async def of(self, user_id: str) -> Sight:
        """Return how far a person sees now. Raises ``FactsUnavailable``."""
        facts = await self._directory.load_facts({user_id}, ())
        zone = zone_of(facts.people.get(user_id))
        if barred(user_id, facts, self._clock()) is not None:
            return Sight(user_id, zone, is_admin=False, parameters=_NOTHING)
        if user_id in self._rulebook.policy.admins:
            return Sight(user_id, zone, is_admin=True)
        versions, joined = await self._store.read(self._load)
        named = {number for number, rule in versions.items() if user_id in reviewer_users(rule)}
        others = {number: rule for number, rule in versions.items() if number not in named}
        wanted = joined.union(*map(reviewer_usergroups, others.values()))
        facts = await self._directory.load_facts({user_id}, wanted)
        mine = {usergroup for usergroup, members in facts.groups.items() if user_id in members}
        reviewed = named | {number for number, rule in others.items() if not mine.isdisjoint(reviewer_usergroups(rule))}
        channels = await self._directory.load_channels_of(user_id)
        return Sight(
            user_id,
            zone,
            is_admin=False,
            parameters={
                "reviewed": as_list(reviewed),
                "automatic": as_list(number for number in reviewed if versions[number].stage == "autonomous"),
                "widening": as_list(number for number, rule in others.items() if may_widen(rule.plan)),
                "channels": as_list(channels),
                "users": as_list([user_id]),
                "usergroups": as_list(mine),
            },
            untold=len(facts.unknown_groups),
        )

    async def _load(self, unit: Unit) -> tuple[dict[int, FrozenRule], set[str]]:
        """Every version of a rule that can be read, and the user groups that steps let join."""
        versions = {}
        for number in await unit.all(sql.RULE_VERSIONS):
            try:
                versions[number] = await self._rulebook.frozen(unit, number)
            except UnreadableRule:
                log.warning("rule_unreadable", version=number)
        joined: set[str] = set()
        if any(may_widen(rule.plan) for rule in versions.values()):
            for groups in await unit.all(sql.WIDENED_BY):
                joined.update(list_of(groups))
        return versions, joined
