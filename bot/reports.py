"""What was decided and what people overrode, asked across requests: lists in pages, counts, rates, times.

Everything is narrowed to what the one who asks may see (``bot.sight``). Rates are of the same requests that are listed
and counted: nothing here tells of a request that is out of sight. Nothing here writes, and nothing here words.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from bot.config import FrozenRule
from bot.drawings import is_reported
from bot.periods import Period
from bot.redaction import Redacted, Redactor
from bot.rulebook import Rulebook
from bot.sight import Sight
from store import statements, statements_ahead, statements_queues
from store import statements_reports as sql
from store.compiled import Statement, changed_record
from store.engine import Store
from store.tables import (
    Card,
    CardState,
    DeciderKind,
    Override,
    OverrideKind,
    Place,
    Request,
    StandingVote,
    Status,
    VoteKind,
)
from store.unit import Unit

T = TypeVar("T")

MOST_NAMES = 200
"""Among how many names the one that was meant is looked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: a span of time, and what it is narrowed to (None: not).

    ``by`` is who decided or overrode. ``with_automatic``: also what a rule approved by itself.
    """

    period: Period
    agent: str | None = None
    tool: str | None = None
    rule: str | None = None
    by: str | None = None
    kind: OverrideKind | None = None
    status: Status | None = None
    with_automatic: bool = True

    def values(self, *names: str) -> dict[str, str]:
        """Those of the filters ``names`` that are set, as parameters of the statements that have them."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Row:
    """One request in a list, without what its rule hides and what its agent says beside the call.

    ``card`` is a card of it that stands where others may see it, with the ``ts`` of the message that it is on.
    ``is_reported``: somebody reported its approval as wrong.
    """

    request: Request
    rule: FrozenRule | None
    card: Card | None
    is_reported: bool = False


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """One override in a list, with its request as it stands now.

    ``standing`` is the vote cast ahead that came of it; ``taker`` the request that took that vote, which may be
    reported as wrong itself.
    """

    override: Override
    row: Row
    standing: StandingVote | None = None
    taker: Request | None = None
    is_taker_reported: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list: ``rows`` after the first ``offset`` of ``total``."""

    rows: tuple[T, ...]
    total: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided in a period. ``automatic`` counts what rules approved by themselves, if that is left out."""

    wanted: Wanted
    page: Page[Row]
    automatic: int = 0


@dataclass(frozen=True, slots=True)
class Overridden:
    """What people overrode in a period.

    ``requests`` counts the requests that these overrides are of, ``decided`` all that was decided in the same time of
    the same agent and tool, whoever overrode it and how.
    """

    wanted: Wanted
    page: Page[OverrideRow]
    kinds: "Counter[OverrideKind]"
    requests: int
    decided: int

    @property
    def rate(self) -> float | None:
        """Overridden requests to decided ones; None where nothing was decided."""
        return self.requests / self.decided if self.decided else None


@dataclass(slots=True)
class Figures:
    """Counts of one agent, or of all. ``waits`` is how long each took that people decided, in no order."""

    approved: int = 0
    approved_by_rule: int = 0
    denied: int = 0
    denied_by_people: int = 0
    expired: int = 0
    overrides: int = 0
    overridden: int = 0
    consumed: int = 0
    overdue: int = 0
    succeeded: int = 0
    failed: int = 0
    revoked: int = 0
    lapsed: int = 0
    waits: list[timedelta] = field(default_factory=list)

    @property
    def decided(self) -> int:
        return self.approved + self.denied + self.expired

    @property
    def approval_rate(self) -> float | None:
        """Approved requests to decided ones."""
        return self.approved / self.decided if self.decided else None

    @property
    def override_rate(self) -> float | None:
        """Requests that people overrode to those decided."""
        return self.overridden / self.decided if self.decided else None

    @property
    def failure_rate(self) -> float | None:
        """Calls that failed to those whose outcome was reported."""
        reported = self.succeeded + self.failed
        return self.failed / reported if reported else None

    @property
    def median_wait(self) -> timedelta | None:
        return statistics.median(self.waits) if self.waits else None  # type: ignore[type-var]  # timedelta has a half

    @property
    def p90_wait(self) -> timedelta | None:
        """The shortest time within which nine of ten were decided."""
        return sorted(self.waits)[math.ceil(len(self.waits) * 0.9) - 1] if self.waits else None


@dataclass(slots=True)
class PersonFigures:
    """What one person did: votes that stand, requests that their vote decided, overrides, and how long those took."""

    approvals: int = 0
    denials: int = 0
    decided: int = 0
    overrides: int = 0
    waits: list[timedelta] = field(default_factory=list)

    @property
    def median_wait(self) -> timedelta | None:
        return statistics.median(self.waits) if self.waits else None  # type: ignore[type-var]  # timedelta has a half


@dataclass(frozen=True, slots=True)
class Stats:
    """What came of a period: of all agents, of each, and what people did (of others only for admins)."""

    wanted: Wanted
    total: Figures
    agents: dict[str, Figures]
    people: dict[str, PersonFigures]


class Reports:
    """Use cases that ask across requests."""

    def __init__(self, store: Store, rulebook: Rulebook, redactor: Redactor) -> None:
        self._store = store
        self._rulebook = rulebook
        self._redactor = redactor

    async def decided(self, sight: Sight, wanted: Wanted, *, offset: int = 0, limit: int) -> Decided:
        """Return a page of what was decided, the newest first."""
        values = wanted.values("agent", "tool", "rule", "by", "status")
        given = {**_span(wanted), **sight.parameters, **values}
        asked = sight.asked.union(values)
        listed = sight.filters.union(values) if wanted.with_automatic and sight.parts != (sight.asked,) else asked

        async def work(unit: Unit) -> Decided:
            everything = await _count_decided(unit, sight, values, given)
            total = everything if wanted.with_automatic else await unit.one(sql.decided_count(asked), **given) or 0
            numbers = await unit.all(sql.decided_page(listed), offset=offset, limit=limit, **given)
            rows = [(await self.row(unit, number))[0] for number in numbers]
            return Decided(wanted, Page(tuple(rows), total, offset), everything - total)

        return await self._store.read(work)

    async def overridden(self, sight: Sight, wanted: Wanted, *, offset: int = 0, limit: int) -> Overridden:
        """Return a page of what people overrode, the newest first, and the rate."""
        values = wanted.values("agent", "tool", "rule", "by", "kind")
        filters = sight.filters.union(values)
        given = {**_span(wanted), **sight.parameters, **values}
        of_which = wanted.values("agent", "tool", "rule")

        async def work(unit: Unit) -> Overridden:
            kinds: Counter[OverrideKind] = Counter()
            overridden = 0
            for made in await unit.all(sql.overrides_made(filters), **given):
                overridden += made.requests
                if made.kind is not None:
                    kinds[made.kind] += made.number
            found = await unit.all(sql.overrides_page(filters), offset=offset, limit=limit, **given)
            rows = [await self._override_row(unit, override) for override in found]
            decided = await _count_decided(unit, sight, of_which, given)
            return Overridden(wanted, Page(tuple(rows), kinds.total(), offset), kinds, overridden, decided)

        return await self._store.read(work)

    async def stats(self, sight: Sight, wanted: Wanted) -> Stats:
        """Count what came of a period."""
        values = wanted.values("agent")
        filters, asked = sight.filters.union(values), sight.asked.union(values)
        given = {**_span(wanted), **sight.parameters, **values}
        # One's own acts are in one's own sight, whatever became of the channel or the rule.
        own = frozenset(values) if sight.is_admin else frozenset({*values, "voter"})

        async def work(unit: Unit) -> Stats:
            stats = Stats(wanted, Figures(), {}, {})
            for part in (part.union(values) for part in sight.parts):
                for outcome in await unit.all(sql.outcomes(part), **given):
                    for figures in _of(stats, outcome.agent):
                        _count_outcome(figures, outcome)
                for fates in await unit.all(sql.fates(part), **given):
                    for figures in _of(stats, fates.agent):
                        for name in ("consumed", "overdue", "succeeded", "failed", "revoked", "lapsed"):
                            setattr(figures, name, getattr(figures, name) + getattr(fates, name))
            for made in await unit.all(sql.overrides_made(filters), **given):
                for figures in _of(stats, made.agent):
                    figures.overrides += made.number
                    figures.overridden += made.requests
                if made.user_id is not None and (sight.is_admin or made.user_id == sight.user_id):
                    stats.people.setdefault(made.user_id, PersonFigures()).overrides += made.number
            for answer in await unit.all(sql.answers(asked), **given):
                took = answer.decided_at - answer.asked_at
                for figures in _of(stats, answer.agent):
                    figures.waits.append(took)
                if sight.is_admin or answer.by == sight.user_id:
                    person = stats.people.setdefault(answer.by, PersonFigures())
                    person.decided += 1
                    person.waits.append(took)
            for cast in await unit.all(sql.votes_cast(own), voter=sight.user_id, **given):
                person = stats.people.setdefault(cast.user_id, PersonFigures())
                if cast.kind is VoteKind.APPROVE:
                    person.approvals += cast.number
                else:
                    person.denials += cast.number
            return stats

        return await self._store.read(work)

    async def names(self, sight: Sight, wanted: Wanted, name: str, *, of_overrides: bool) -> list[str]:
        """Return the agents, tools or rules (``name``) that are in sight in the period, for one that was mistyped.

        Of what was decided, tools are those of which people were asked: there may be any number of others.
        """
        given = {**_span(wanted), **sight.parameters}
        parts = (sight.asked,) if name == "tool" else sight.parts
        which: list[Statement[str]] = (
            [sql.names_overridden(sight.filters, name)]
            if of_overrides
            else [sql.names_decided(one, name) for one in parts]
        )

        async def work(unit: Unit) -> list[str]:
            found = [one for statement in which for one in await unit.all(statement, limit=MOST_NAMES, **given)]
            return sorted(set(found))

        return await self._store.read(work)

    async def made(self, sight: Sight, wanted: Wanted, *, before: int, limit: int) -> list[Row]:
        """Return requests made in the period, whatever became of them, the newest first of those before a number."""
        values = wanted.values("agent", "tool", "rule", "by", "status")
        given = {**_span(wanted), **sight.parameters, **values}
        filters = sight.filters.union(values)

        async def work(unit: Unit) -> list[Row]:
            found = await unit.all(sql.made_page(filters), before=before, limit=limit, **given)
            return [(await self._drawn(unit, request, None))[0] for request in found]

        return await self._store.read(work)

    async def made_count(self, sight: Sight, wanted: Wanted) -> int:
        """Count the requests made in the period, whatever became of them."""
        values = wanted.values("agent", "tool", "rule", "by", "status")
        given = {**_span(wanted), **sight.parameters, **values}
        return await self._store.read(lambda unit: unit.one(sql.made_count(sight.filters.union(values)), **given)) or 0

    # --- rows ---

    async def row(self, unit: Unit, number: int) -> tuple[Row, Redacted]:
        """Return one request as a list shows it, for whoever is entitled to that, and what hides the rest of it."""
        request = await unit.one(sql.ROW, number=number)
        if request is None:
            raise LookupError(f"request {number} is not there")
        return await self._drawn(unit, request, await _card_of(unit, number))

    async def _drawn(self, unit: Unit, request: Request, card: Card | None) -> tuple[Row, Redacted]:
        rule = await self._rulebook.frozen(unit, request.rule_id) if request.rule_id is not None else None
        redacted = self._redactor.redact(request, rule.redact if rule is not None else ())
        return Row(redacted.request, rule, card, await is_reported(unit, request)), redacted

    async def _override_row(self, unit: Unit, override: Override) -> OverrideRow:
        row, redacted = await self.row(unit, override.request_number)
        standing = taker = None
        if override.standing_id is not None:
            standing = await unit.one(statements_ahead.STANDING, id=override.standing_id)
        if standing is not None and standing.taken_by is not None:
            taker = await unit.one(sql.ROW, number=standing.taken_by)
        is_wrong = taker is not None and await is_reported(unit, taker)
        return OverrideRow(redacted.reasoned(override), row, standing, taker, is_wrong)


async def _card_of(unit: Unit, number: int) -> Card | None:
    """A live card of a request that others may see. One on a queue card comes with the ``ts`` of that message."""
    for card in await unit.all(statements.CARDS_OF, request_number=number):
        if card.state is not CardState.LIVE or card.place in (Place.DM, Place.THREAD) or card.channel is None:
            continue
        if card.queue_id is None:
            return card
        queue = await unit.one(statements_queues.QUEUE, queue_id=card.queue_id)
        if queue is not None and queue.ts is not None:
            return changed_record(card, ts=queue.ts)
    return None


async def _count_decided(unit: Unit, sight: Sight, values: Iterable[str], given: Mapping[str, Any]) -> int:
    """Count what was decided and is in sight, narrowed by ``values``."""
    counts = [await unit.one(sql.decided_count(part.union(values)), **given) for part in sight.parts]
    return sum(count or 0 for count in counts)


def _span(wanted: Wanted) -> dict[str, datetime]:
    return {"since": wanted.period.since, "until": wanted.period.until}


def _of(stats: Stats, agent: str) -> tuple[Figures, Figures]:
    return stats.total, stats.agents.setdefault(agent, Figures())


def _count_outcome(figures: Figures, outcome: sql.Outcomes) -> None:
    match outcome.status:
        case Status.APPROVED:
            figures.approved += outcome.number
            if outcome.by is DeciderKind.RULE:
                figures.approved_by_rule += outcome.number
        case Status.DENIED:
            figures.denied += outcome.number
            if outcome.by in (DeciderKind.PERSON, DeciderKind.ADMIN):
                figures.denied_by_people += outcome.number
        case Status.EXPIRED:
            figures.expired += outcome.number
