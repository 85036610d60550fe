"""The rules in force, and the rules as they were.

A rule is written to the store once per wording; requests refer to that version and are judged under it for as long
as they live. The rulebook knows the versions of today's rules by heart, so that a submitted call costs no look-up.

A changed file comes into force at one moment, see ``replace``. Nobody keeps a policy: it is asked for each time.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bot.aside import Aside
from bot.clock import Clock
from bot.conditions import Call
from bot.config import FrozenRule, Rule, Settings
from bot.escalation import Joined, may_widen, widened
from bot.policy import Policy, Ruling
from store import statements, statements_escalation
from store.engine import Store
from store.escalation_tables import SeatWidening
from store.tables import Request
from store.unit import Unit

T = TypeVar("T")


class RulesChanged(Exception):
    """Other rules came into force since a call was judged. It must be judged anew; nothing was written."""


@dataclass(frozen=True, slots=True, eq=False)
class Edition:
    """The rules of one file as a whole, with the stored versions of them. A call is judged by one edition."""

    policy: Policy
    versions: Mapping[str, int]
    _judging: Aside = field(default_factory=Aside, repr=False)

    async def rule_on(self, call: Call, wanted_timeout: str) -> Ruling:
        """Judge a call, as ``Policy.rule_on``.

        A schema may take half a second over the largest arguments there can be; clicks do not wait for that, and one
        thread is all that such calls get, however many come.
        """
        if self.policy.is_quick(call):
            return self.policy.rule_on(call, wanted_timeout)
        return await self._judging.run(self.policy.rule_on, call, wanted_timeout)

    def version_of(self, rule: Rule) -> int:
        """Return the id of the stored version of one of these rules."""
        return self.versions[rule.name]

    @property
    def wordings(self) -> str:
        """Every rule's stored version with the SHA-256 of its wording, for the record."""
        digests = {self.versions[rule.name]: _digest_of(rule.frozen()).hex() for rule in self.policy.settings.rules}
        return ", ".join(f"{version}:{digest}" for version, digest in sorted(digests.items()))


class Rulebook:
    """Today's rules with their stored versions. Made by ``load``."""

    def __init__(self, edition: Edition) -> None:
        self._edition = edition
        self._coming: asyncio.Event | None = None
        self._frozen: dict[int, FrozenRule] = {}

    @classmethod
    async def load(cls, store: Store, settings: Settings, clock: Clock) -> "Rulebook":
        """Write down the versions of the rules that are new, and return the rulebook."""
        return cls(await _store_edition(store, settings, clock))

    @property
    def wordings(self) -> str:
        """What the record has of the rules in force, see ``Edition.wordings``."""
        return self._edition.wordings

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._edition.policy

    async def edition(self) -> Edition:
        """Return the rules in force, for a call to be judged by; while others are coming, those, once they are here."""
        while self._coming is not None:
            await self._coming.wait()
        return self._edition

    def refuse_outdated(self, edition: Edition) -> None:
        """Raise ``RulesChanged`` inside the transaction of a call that was judged by other rules than today's."""
        if self._coming is not None or edition is not self._edition:
            raise RulesChanged

    async def replace(
        self, store: Store, settings: Settings, clock: Clock, record: Callable[[Unit, Edition], Awaitable[T]]
    ) -> T:
        """Put other rules in force, in the transaction in which ``record`` says so; returns what that does.

        The versions are stored before, on their own: if the process ends in between, they are there and nobody refers
        to them. From then on no call is judged until it is decided which rules are in force, and no call judged before
        is written any more: the writer takes units in order, so none of the old file follows the event. The swap is
        the last act of the transaction, not something done after its commit: whoever writes after it (a use, a vote)
        meets the new rules. If the transaction fails the old ones are put back; a vote or a use may have met the new
        ones for that moment, a call never. Raises ``StoreUnavailable``, and then nothing has changed.
        """
        edition = await _store_edition(store, settings, clock)
        before = self._edition
        self._coming = settled = asyncio.Event()

        async def work(unit: Unit) -> T:
            done = await record(unit, edition)
            self._edition = edition
            return done

        try:
            return await store.write(work)
        except Exception:
            self._edition = before
            raise
        finally:
            self._coming = None
            settled.set()

    async def frozen(self, unit: Unit, rule_id: int) -> FrozenRule:
        """Return a rule as it was. Raises ``UnreadableRule`` for a version this code does not know.

        Whom it lets decide may have become more since, for one request; see ``rule_of``.
        """
        rule = self._frozen.get(rule_id)
        if rule is None:
            stored = await unit.one(statements.RULE_VERSION, id=rule_id)
            if stored is None:
                raise LookupError(f"there is no rule version {rule_id}")
            rule = self._frozen[rule_id] = FrozenRule.parse(stored.body)
        return rule

    async def planned(self, unit: Unit, request: Request) -> FrozenRule:
        """Return a request's rule as it was when the request was made: its plan, and its own seats."""
        if request.rule_id is None:
            raise LookupError(f"request {request.id} has no rule")
        return await self.frozen(unit, request.rule_id)

    async def rule_of(self, unit: Unit, request: Request) -> FrozenRule | None:
        """Return the rule that a request is judged and shown by; None where no rule matched it.

        That is its rule as it was, with the people whom steps of its plan let decide since. No plan, no query.
        """
        return None if request.rule_id is None else await self.rule_at(unit, request.rule_id, request.number)

    async def rule_at(self, unit: Unit, rule_id: int, request_number: int) -> FrozenRule:
        """Return the same for a request of which only so much is at hand."""
        rule = await self.frozen(unit, rule_id)
        if not may_widen(rule.plan):
            return rule
        widenings = await unit.all(statements_escalation.WIDENINGS_OF, request_number=request_number)
        return widened(rule, map(_joined, widenings))


def _joined(widening: SeatWidening) -> Joined:
    users, usergroups = json.loads(widening.users), json.loads(widening.usergroups)
    return Joined(widening.seat, widening.source, tuple(users), tuple(usergroups))


def _digest_of(body: str) -> bytes:
    return hashlib.sha256(body.encode()).digest()


async def _store_edition(store: Store, settings: Settings, clock: Clock) -> Edition:
    async def work(unit: Unit) -> dict[str, int]:
        versions = {}
        for rule in settings.rules:
            body = rule.frozen()
            digest = _digest_of(body)
            await unit.run(statements.INSERT_RULE_VERSION, digest=digest, name=rule.name, body=body, seen_at=clock())
            stored = await unit.one(statements.RULE_VERSION_BY_DIGEST, digest=digest)
            if stored is None:
                raise LookupError(f"rule {rule.name} was written and is not there")
            versions[rule.name] = stored.id
        return versions

    return Edition(Policy(settings), await store.write(work))
