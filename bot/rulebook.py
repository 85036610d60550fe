"""The rules in force, and the rules as they were.

A rule is written to the store once per wording; requests refer to that version and are judged under it for as long
as they live. The rulebook knows the versions of today's rules by heart, so that a submitted call costs no look-up.
"""

import hashlib

from bot.clock import Clock
from bot.config import FrozenRule, Rule, Settings
from bot.policy import Policy
from store import statements
from store.engine import Store
from store.unit import Unit


class Rulebook:
    """Today's policy with the stored versions of its rules. Made by ``load``."""

    def __init__(self, policy: Policy, versions: dict[str, int]) -> None:
        self.policy = policy
        self._versions = versions
        self._frozen: dict[int, FrozenRule] = {}

    @classmethod
    async def load(cls, store: Store, settings: Settings, clock: Clock) -> "Rulebook":
        """Write down the versions of the rules that are new, and return the rulebook."""

        async def work(unit: Unit) -> dict[str, int]:
            versions = {}
            for rule in settings.rules:
                body = rule.frozen()
                digest = hashlib.sha256(body.encode()).digest()
                await unit.run(
                    statements.INSERT_RULE_VERSION, digest=digest, name=rule.name, body=body, seen_at=clock()
                )
                stored = await unit.one(statements.RULE_VERSION_BY_DIGEST, digest=digest)
                if stored is None:
                    raise LookupError(f"rule {rule.name} was written and is not there")
                versions[rule.name] = stored.id
            return versions

        return cls(Policy(settings), await store.write(work))

    def version_of(self, rule: Rule) -> int:
        """Return the id of the stored version of one of today's rules."""
        return self._versions[rule.name]

    async def frozen(self, unit: Unit, rule_id: int) -> FrozenRule:
        """Return a rule as it was. Raises ``UnreadableRule`` for a version this code does not know."""
        rule = self._frozen.get(rule_id)
        if rule is None:
            stored = await unit.one(statements.RULE_VERSION, id=rule_id)
            if stored is None:
                raise LookupError(f"there is no rule version {rule_id}")
            rule = self._frozen[rule_id] = FrozenRule.parse(stored.body)
        return rule
