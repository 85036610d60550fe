"""What a person's Home tab has below what waits for them: decisions, agents they may stop, overrides, votes ahead.

It gathers what other use cases answer, each narrowed to what that person may see. Nothing here writes or words.
"""

from dataclasses import dataclass
from datetime import timedelta

from bot.ahead import Ahead, Held
from bot.clock import Clock
from bot.halt_rights import EVERYTHING, Target, right_over, touched, why_not_end
from bot.halts import Halts
from bot.people import Directory
from bot.periods import Period
from bot.policy import barred
from bot.queries import Queries
from bot.reports import Decided, Overridden, Reports, Wanted
from bot.rulebook import Rulebook
from store.tables import Halt, HaltEffect, HaltScope

DECIDED_WITHIN = timedelta(days=7)
OVERRIDDEN_WITHIN = timedelta(days=30)
_TO_COME = timedelta(minutes=1)  # what was decided this moment, by another process's clock perhaps, is in it
MAX_DECIDED = 3
MAX_AGENTS = 4
MAX_STOPPED = 3
MAX_OVERRIDES = 3
MAX_VOTES = 2


@dataclass(frozen=True, slots=True)
class AgentHere:
    """An agent that somebody may stop. ``stages``: its rules with the stage of each, in the order they are matched.

    ``pauses`` are those of the agent itself that are in force, ``may_resume`` whether one of them is theirs to end.
    """

    name: str
    owns: bool
    stages: tuple[tuple[str, str], ...]
    pauses: tuple[Halt, ...]
    may_resume: bool = True


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it. ``agents`` and ``stopped`` are the first of so many; ``stopped`` is what else is stopped.

    ``kept`` has the numbers of those of ``stopped`` that are not for them to end.
    """

    decided: Decided
    agents: tuple[AgentHere, ...]
    agent_count: int
    stopped: tuple[Halt, ...]
    stopped_count: int
    overridden: Overridden
    held: Held
    kept: frozenset[int] = frozenset()


class Homes:
    """The use case."""

    def __init__(
        self, clock: Clock, rulebook: Rulebook, directory: Directory, queries: Queries, reports: Reports, ahead: Ahead,
        halts: Halts,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._rulebook = rulebook
        self._directory = directory
        self._queries = queries
        self._reports = reports
        self._ahead = ahead
        self._halts = halts

    async def overview(self, user_id: str) -> Overview | None:
        """Return what a person's tab has; None for somebody who may see nothing at all. Raises ``FactsUnavailable``."""
        policy = self._rulebook.policy
        facts = await self._directory.load_facts({user_id}, touched(EVERYTHING, policy.settings).usergroups)
        now = self._clock()
        if barred(user_id, facts, now) is not None:
            return None
        halts = await self._halts.in_force()
        agents = []
        for name in policy.settings.agents:
            known = touched(Target(HaltScope.AGENT, name), policy.settings)
            right = right_over(user_id, known, policy, facts)
            if right.rank is None:
                continue
            pauses = tuple(one for one in halts if _is_of(one, name))
            stages = tuple((rule.name, rule.stage) for rule in known.rules)
            may_resume = any(why_not_end(one, user_id, right) is None for one in pauses)
            agents.append(AgentHere(name, user_id in policy.owners(name), stages, pauses, may_resume))
        # One's own first, and what is paused before what is not.
        agents.sort(key=lambda one: (not one.owns, not one.pauses, one.name))
        listed = {one.name for one in agents[:MAX_AGENTS]}
        stopped = [one for one in await self._halts.in_force_for(user_id) if not any(_is_of(one, it) for it in listed)]
        kept = frozenset(
            one.id
            for one in stopped
            if why_not_end(
                one, user_id, right_over(user_id, touched(Target(one.scope, one.name), policy.settings), policy, facts)
            )
        )
        sight = await self._queries.sights.of(user_id)
        mine = Wanted(Period(now - DECIDED_WITHIN, now + _TO_COME), by=user_id)
        overrides = Wanted(Period(now - OVERRIDDEN_WITHIN, now + _TO_COME))
        return Overview(
            decided=await self._reports.decided(sight, mine, limit=MAX_DECIDED),
            agents=tuple(agents[:MAX_AGENTS]),
            agent_count=len(agents),
            stopped=tuple(stopped[:MAX_STOPPED]),
            stopped_count=len(stopped),
            overridden=await self._reports.overridden(sight, overrides, limit=MAX_OVERRIDES),
            held=await self._ahead.held(user_id, limit=MAX_VOTES),
            kept=kept,
        )


def _is_of(halt: Halt, agent: str) -> bool:
    return halt.scope is HaltScope.AGENT and halt.name == agent and halt.effect is HaltEffect.DENY
