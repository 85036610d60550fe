"""The statements that ask across requests: what was decided, what was overridden, what waits; and how much of each.

The conventions are those of ``store.statements``. A statement is built once for each set of filters that it is asked
with, so that the database plans each for itself. ``Sight`` names the filter that leaves what one person may see: a
request under a rule that they review, or with a card in a channel they are in (``bot.sight``); without it all is seen.
"""

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
)

from store import tables as t
from store.among import among, list_holds
from store.compiled import Statement
from store.parameters import param
from store.statements import cards, instances, lean_request, requests, rule_versions, votes
from store.statements_escalation import seat_widenings
from store.statements_overrides import overrides

SIGHT = "sight"
Filters = frozenset[str]
"""Which filters a statement has: names of parameters beside ``since`` and ``until``."""

# Not IN: its list would be expanded with each call, and a statement is compiled once.
_by_people = or_(requests.c.decided_by_kind == t.DeciderKind.PERSON, requests.c.decided_by_kind == t.DeciderKind.ADMIN)


# What a rule approves by itself is decided when it is made, has no card and no plan: to know that spares looking.
# Spelled out rather than bound, so that the databases see that the partial index ix_requests_asked serves.
_was_asked = text("(requests.status != 'approved' OR requests.decided_by_kind != 'rule')")


def in_sight() -> ColumnElement[bool]:
    """Whether a person may see a request. Its parameters are ``bot.sight.Sight.parameters``."""
    has_card = (
        select(literal_column("1"))
        .select_from(cards)
        .where(
            cards.c.request_number == requests.c.number, cards.c.place != t.Place.DM, among(cards.c.channel, "channels")
        )
        .correlate(requests)
        .exists()
    )
    joined = (
        select(literal_column("1"))
        .select_from(seat_widenings)
        .where(
            seat_widenings.c.request_number == requests.c.number,
            or_(list_holds(seat_widenings.c.users, "users"), list_holds(seat_widenings.c.usergroups, "usergroups")),
        )
        .correlate(requests)
        .exists()
    )
    return or_(
        among(requests.c.rule_id, "reviewed"),
        and_(_was_asked, or_(has_card, and_(among(requests.c.rule_id, "widening"), joined))),
    )


# --- what was decided -------------------------------------------------------------------------------------

ASKED = "asked"
"""The filter that leaves out what a rule approved by itself."""
AUTOMATIC = "automatic"
"""The filter that leaves nothing but that, of the rules that one person reviews."""

# An agent that takes its own request back is no decision.
_was_decided = (
    requests.c.decided_at >= param("since", requests.c.decided_at),
    requests.c.decided_at < param("until", requests.c.decided_at),
    requests.c.status != t.Status.CANCELLED,
)
_of_request: dict[str, Any] = {
    "agent": requests.c.agent == param("agent", requests.c.agent),
    "tool": requests.c.tool == param("tool", requests.c.tool),
    "status": requests.c.status == param("status", requests.c.status),
    "by": and_(requests.c.decided_by == param("by", requests.c.decided_by), _by_people),
    "rule": requests.c.rule_id.in_(
        select(rule_versions.c.id).where(rule_versions.c.name == param("rule", rule_versions.c.name)).scalar_subquery()
    ),
    ASKED: _was_asked,
    AUTOMATIC: and_(
        requests.c.status == t.Status.APPROVED,
        requests.c.decided_by_kind == t.DeciderKind.RULE,
        among(requests.c.rule_id, "automatic"),
    ),
    SIGHT: in_sight(),
}


def _narrowed(filters: Filters) -> tuple[Any, ...]:
    return tuple(_of_request[name] for name in sorted(filters))


@cache
def decided_count(filters: Filters) -> Statement[int]:
    """How many requests were decided in a period."""
    return Statement(select(func.count()).select_from(requests).where(*_was_decided, *_narrowed(filters)), int)


@cache
def decided_page(filters: Filters) -> Statement[int]:
    """The numbers of some of them, the newest first."""
    return Statement(
        select(requests.c.number)
        .where(*_was_decided, *_narrowed(filters))
        .order_by(requests.c.decided_at.desc(), requests.c.number.desc())
        .limit(bindparam("limit"))
        .offset(bindparam("offset")),
        int,
    )


@cache
def names_decided(filters: Filters, name: str) -> Statement[str]:
    """The agents, tools or rules (``name``) of what was decided in a period, for a name that was mistyped."""
    if name == "rule":
        of_rules = select(requests.c.rule_id).where(*_was_decided, *_narrowed(filters))
        found = select(rule_versions.c.name).where(rule_versions.c.id.in_(of_rules.scalar_subquery()))
    else:
        found = select(requests.c[name]).where(*_was_decided, *_narrowed(filters))
    return Statement(found.distinct().limit(bindparam("limit")), str)


class Outcomes(NamedTuple):
    """How many requests of one agent were decided the same way by the same kind of decider."""

    agent: str
    status: t.Status
    by: t.DeciderKind | None
    number: int


@cache
def outcomes(filters: Filters) -> Statement[Outcomes]:
    """Count what was decided, by agent, status and kind of decider."""
    by = (requests.c.agent, requests.c.status, requests.c.decided_by_kind)
    return Statement(select(*by, func.count()).where(*_was_decided, *_narrowed(filters)).group_by(*by), Outcomes)


class Fates(NamedTuple):
    """What became of one agent's approvals."""

    agent: str
    consumed: int
    overdue: int
    succeeded: int
    failed: int
    revoked: int
    lapsed: int


@cache
def fates(filters: Filters) -> Statement[Fates]:
    """Count what became of the approvals of a period, by agent."""

    def outcome(word: t.OutcomeStatus) -> ColumnElement[int]:
        return func.count(case((requests.c.outcome == word, 1)))

    return Statement(
        select(
            requests.c.agent,
            func.count(requests.c.consumed_at),
            func.count(requests.c.overdue_at),
            outcome(t.OutcomeStatus.SUCCEEDED),
            outcome(t.OutcomeStatus.FAILED),
            func.count(requests.c.revoked_at),
            func.count(requests.c.lapsed_at),
        )
        .where(*_was_decided, requests.c.status == t.Status.APPROVED, *_narrowed(filters))
        .group_by(requests.c.agent),
        Fates,
    )


class Answer(NamedTuple):
    """How long people took for one request."""

    agent: str
    by: str
    asked_at: datetime
    decided_at: datetime


@cache
def answers(filters: Filters) -> Statement[Answer]:
    """What people decided in a period, with the times: the median is not the database's to compute."""
    return Statement(
        select(requests.c.agent, requests.c.decided_by, requests.c.created_at, requests.c.decided_at).where(
            *_was_decided, _was_asked, _by_people, *_narrowed(filters)
        ),
        Answer,
    )


class VotesOf(NamedTuple):
    """How many votes of one kind a person cast."""

    user_id: str
    kind: t.VoteKind
    number: int


@cache
def votes_cast(filters: Filters) -> Statement[VotesOf]:
    """Count votes that stand, by person: filters ``agent``, and ``voter`` for one person's own."""
    narrowed: list[Any] = [_of_request[name] for name in sorted(filters - {"voter"})]
    if "voter" in filters:
        narrowed.append(votes.c.user_id == param("voter", votes.c.user_id))
    return Statement(
        select(votes.c.user_id, votes.c.kind, func.count())
        .join(requests, requests.c.number == votes.c.request_number)
        .where(
            votes.c.cast_at >= param("since", votes.c.cast_at),
            votes.c.cast_at < param("until", votes.c.cast_at),
            votes.c.withdrawn_at.is_(None),
            *narrowed,
        )
        .group_by(votes.c.user_id, votes.c.kind),
        VotesOf,
    )


# --- what was overridden ----------------------------------------------------------------------------------

_was_made = (
    overrides.c.at >= param("since", overrides.c.at),
    overrides.c.at < param("until", overrides.c.at),
)
_of_override: dict[str, Any] = {
    "agent": overrides.c.agent == param("agent", overrides.c.agent),
    "tool": overrides.c.tool == param("tool", overrides.c.tool),
    "rule": overrides.c.rule == param("rule", overrides.c.rule),
    "by": overrides.c.user_id == param("by", overrides.c.user_id),
    "kind": overrides.c.kind == param("kind", overrides.c.kind),
    SIGHT: select(literal_column("1"))
    .select_from(requests)
    .where(requests.c.number == overrides.c.request_number, in_sight())
    .correlate(overrides)
    .exists(),
}


def _overridden(filters: Filters) -> tuple[Any, ...]:
    return (*_was_made, *(_of_override[name] for name in sorted(filters)))


class OverridesOf(NamedTuple):
    """How many overrides of one kind one person made on one agent's requests.

    One that names neither kind nor person counts the ``requests`` of its agent that were overridden, each once.
    """

    agent: str
    kind: t.OverrideKind | None
    user_id: str | None
    number: int
    requests: int


@cache
def overrides_made(filters: Filters) -> Statement[OverridesOf]:
    """Count the overrides of a period, by agent, kind and person, and the requests that they are of, by agent."""
    conditions = _overridden(filters)
    made: FromClause = overrides
    if SIGHT in filters:  # to judge who may see a request is what this costs: once for both counts
        wanted = ("agent", "kind", "user_id", "request_number")
        made, conditions = select(*(overrides.c[name] for name in wanted)).where(*conditions).cte("made"), ()
    by = (made.c.agent, made.c.kind, made.c.user_id)
    none: ColumnElement[int] = literal_column("0")
    each = select(*by, func.count().label("number"), none.label("requests")).where(*conditions).group_by(*by)
    once = select(made.c.agent, null(), null(), none, func.count(made.c.request_number.distinct())).where(*conditions)
    return Statement(union_all(each, once.group_by(made.c.agent)), OverridesOf)


@cache
def overrides_page(filters: Filters) -> Statement[t.Override]:
    """Some of the overrides of a period, the newest first."""
    return Statement(
        select(overrides)
        .where(*_overridden(filters))
        .order_by(overrides.c.at.desc(), overrides.c.id.desc())
        .limit(bindparam("limit"))
        .offset(bindparam("offset")),
        t.Override,
    )


@cache
def names_overridden(filters: Filters, name: str) -> Statement[str]:
    """The agents, tools or rules (``name``) that overrides of a period are about, for a name that was mistyped."""
    column = overrides.c[name]
    named = (*_overridden(filters), column.is_not(None))
    return Statement(select(column).where(*named).distinct().limit(bindparam("limit")), str)


# --- what waits -------------------------------------------------------------------------------------------


class Waiter(NamedTuple):
    """A pending request as far as it takes to say for whom it waits. ``has_voted``: whether ``user`` has."""

    number: int
    rule_id: int | None
    agent: str
    person: str | None
    has_voted: bool


# Spelled out rather than bound, so that SQLite sees that the partial index serves.
_is_pending = text("requests.status = 'pending'")
_in_channel = (
    select(literal_column("1"))
    .select_from(cards)
    .where(
        cards.c.request_number == requests.c.number,
        cards.c.place != t.Place.DM,
        cards.c.channel == param("channel", cards.c.channel),
    )
    .correlate(requests)
    .exists()
)


@cache
def waiting(filters: Filters) -> Statement[Waiter]:
    """What is pending and not past its deadline, the soonest first: filters ``sight``, ``agent``, ``channel``."""
    narrowed = {**_of_request, "channel": _in_channel}
    has_voted = (
        select(literal_column("1"))
        .select_from(votes)
        .where(
            votes.c.request_number == requests.c.number,
            votes.c.user_id == param("user", votes.c.user_id),
            votes.c.withdrawn_at.is_(None),
        )
        .correlate(requests)
        .exists()
    )
    return Statement(
        select(
            requests.c.number, requests.c.rule_id, requests.c.agent, instances.c.person, has_voted.label("has_voted")
        )
        .join(instances, instances.c.id == requests.c.instance_id)
        .where(
            _is_pending,
            requests.c.deadline_at > param("now", requests.c.deadline_at),
            *(narrowed[name] for name in sorted(filters)),
        )
        .order_by(requests.c.deadline_at, requests.c.number),
        lambda number, rule_id, agent, person, voted: Waiter(number, rule_id, agent, person, bool(voted)),
    )


@cache
def names_waiting(filters: Filters) -> Statement[str]:
    """The agents that have something pending, for a name that was mistyped."""
    waits = (_is_pending, requests.c.deadline_at > param("now", requests.c.deadline_at))
    agents = select(requests.c.agent).where(*waits, *_narrowed(filters)).distinct()
    return Statement(agents.limit(bindparam("limit")), str)


PENDING_REQUEST = Statement(
    select(*lean_request).where(_is_pending, requests.c.number == param("number", requests.c.number)), t.Request
)

# --- rows -------------------------------------------------------------------------------------------------

# With the arguments, which it takes to hide in people's words what a rule hides, and without what else an agent may
# send a megabyte of.
_without_claims = [
    literal_column("NULL", Text).label(column.name) if column.name in ("agent_reasoning", "context") else column
    for column in requests.c
]
ROW = Statement(select(*_without_claims).where(requests.c.number == param("number", requests.c.number)), t.Request)


_came_in = (
    requests.c.created_at >= param("since", requests.c.created_at),
    requests.c.created_at < param("until", requests.c.created_at),
)


@cache
def made_count(filters: Filters) -> Statement[int]:
    """Count the requests made in a period."""
    return Statement(select(func.count()).select_from(requests).where(*_came_in, *_narrowed(filters)), int)


@cache
def made_page(filters: Filters) -> Statement[t.Request]:
    """Some of the requests made in a period, the newest first, from one that is before ``before``."""
    return Statement(
        select(*_without_claims)
        .where(*_came_in, requests.c.number < param("before", requests.c.number), *_narrowed(filters))
        .order_by(requests.c.number.desc())
        .limit(bindparam("limit")),
        t.Request,
    )


RULE_VERSIONS = Statement(select(rule_versions.c.id).order_by(rule_versions.c.id), int)
# The lists of user groups that joined seats, each once.
WIDENED_BY = Statement(select(seat_widenings.c.usergroups).distinct(), str)
