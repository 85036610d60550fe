"""Who may stop what, and let it go on: what a stop touches in today's configuration, and on what ground somebody can.

Pure. The use cases are ``bot.halts``'.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from bot.config import Rule, Settings
from bot.errors import NotYourPause
from bot.halted import name_of
from bot.people import Facts
from bot.policy import Policy, reviewer_usergroups, reviews
from store.tables import Halt, HaltEffect, HaltScope, Rank

_HEIGHT = {Rank.OWNER: 0, Rank.REVIEWER: 1, Rank.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class Target:
    """What is stopped: an agent, a rule, or all of it. ``name`` is empty for all."""

    scope: HaltScope
    name: str = ""

    def __str__(self) -> str:
        return name_of(self.scope, self.name)


EVERYTHING = Target(HaltScope.ALL)


@dataclass(frozen=True, slots=True)
class Touched:
    """The rules and agents of today's configuration that a halt touches. ``is_known``: whether there is such a one."""

    is_known: bool
    rules: tuple[Rule, ...]
    agents: frozenset[str]

    @property
    def usergroups(self) -> frozenset[str]:
        """The user groups whose members review one of the rules."""
        return frozenset(group for rule in self.rules for group in reviewer_usergroups(rule.as_frozen))


def denies_too(halt: Halt, target: Target, known: Touched) -> bool:
    """Tell whether ``halt`` denies calls of ``target``, which touches ``known``."""
    other = Target(halt.scope, halt.name)
    if halt.effect is not HaltEffect.DENY:
        return False
    if other == target or HaltScope.ALL in (other.scope, target.scope):
        return True
    if other.scope is target.scope:
        return False
    return halt.name in (known.agents if other.scope is HaltScope.AGENT else {rule.name for rule in known.rules})


@dataclass(frozen=True, slots=True)
class Right:
    """What somebody may do about a target. ``rank``: the highest ground on which they may stop it, None for none.

    ``owns``: whether they own an agent that it touches.
    """

    rank: Rank | None
    owns: bool


def touched(target: Target, settings: Settings) -> Touched:
    """Return what ``target`` touches."""
    if target.scope is HaltScope.ALL:
        return Touched(True, tuple(settings.rules), frozenset(settings.agents))
    if target.scope is HaltScope.AGENT:
        rules = tuple(rule for rule in settings.rules if fnmatchcase(target.name, rule.agent))
        known = target.name in settings.agents
        return Touched(known, rules if known else (), frozenset({target.name} if known else ()))
    rules = tuple(rule for rule in settings.rules if rule.name == target.name)
    agents = (agent for agent in settings.agents for rule in rules if fnmatchcase(agent, rule.agent))
    return Touched(bool(rules), rules, frozenset(agents))


def right_over(user_id: str, known: Touched, policy: Policy, facts: Facts) -> Right:
    """Return what a member in good standing may do about what is touched."""
    owned = [user_id in policy.owners(agent) for agent in known.agents]
    rank = None
    if user_id in policy.admins:
        rank = Rank.ADMIN
    elif any(reviews(user_id, rule.as_frozen, facts) for rule in known.rules):
        rank = Rank.REVIEWER
    elif owned and all(owned):
        rank = Rank.OWNER
    return Right(rank, any(owned))


STOPPERS = {
    HaltScope.AGENT: "Only reviewers of the agent's rules, its owners and admins can stop it.",
    HaltScope.RULE: "Only reviewers of the rule, owners of all its agents and admins can stop it.",
    HaltScope.ALL: "Only reviewers and admins can stop everything.",
}


def why_not_end(halt: Halt, user_id: str, right: Right) -> NotYourPause | None:
    """Say why somebody may not end ``halt``; None if they may."""
    is_own = halt.user_id == user_id
    if right.owns and not is_own:
        return NotYourPause("You own an agent that somebody else stopped. Another one lets it go on.", code="owner")
    if right.rank is None:
        return NotYourPause("You may not let this go on. Its reviewers and admins may.")
    if halt.effect is HaltEffect.ASK:
        # Lifting a stop gives the rule its say back: that is never the owner's own to give, but as an admin.
        if right.rank is Rank.ADMIN or (right.rank is Rank.REVIEWER and not right.owns):
            return None
        return NotYourPause("Only an admin, or a reviewer who does not own the agent, can lift this.", code="owner")
    if _HEIGHT[right.rank] < _HEIGHT[halt.rank]:
        return NotYourPause(f"{_BY_RANK[halt.rank]} paused this, and only {_ABOVE[halt.rank]} can resume it.",
                            code="lower_rank")  # fmt: skip
    return None


_BY_RANK = {Rank.OWNER: "An owner", Rank.REVIEWER: "A reviewer", Rank.ADMIN: "An admin"}
_ABOVE = {Rank.OWNER: "owners, reviewers and admins", Rank.REVIEWER: "reviewers and admins", Rank.ADMIN: "admins"}
