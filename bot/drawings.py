"""What a card or a modal about a request is drawn from, gathered in one snapshot.

Here, and nowhere else, what people may see is parted from what is stored. Nothing here writes, and nothing here words.
"""

from dataclasses import dataclass
from datetime import datetime

from bot.config import FrozenRule
from bot.halted import load_pauses
from bot.memory import find_near_denial, load_tries
from bot.plan_state import PlanState, load_plan_state
from bot.policy import Parties
from bot.redaction import Redactor
from bot.rulebook import Rulebook
from bot.standing import load_granted, load_taken
from store import statements, statements_audit, statements_instances, statements_overrides
from store.statements_audit import EventMark
from store.tables import Halt, Instance, Override, OverrideKind, Request, StandingVote, Status, Vote
from store.unit import Unit


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything a card or a modal about a request is drawn from.

    ``rule`` is None when none matched. ``previous`` is the last request of the same agent, tool and rule that
    people had approved when this one was made, for the differences to be marked. ``near_denial`` is the newest request
    of the same agent and tool that people had denied in the day before this one was made, and that differs from it in
    one argument (``bot.memory``).

    ``withdrawn`` are votes that were taken back, ``granted`` the standing votes that were left on this request,
    ``taken`` those that were cast on it. ``tries`` counts how often its denial was met again, ``last_try_at`` says when
    last; before ``remembered_until`` it would be met once more, and may be reopened. ``plan_state`` is where the rule's
    plan stands, None for a rule without one; ``rule`` has whom its steps let decide since. ``overrides`` are people's
    corrections of what became of it, oldest first. ``witness`` is the last event on record of a request that is
    decided, which its cards show, so that Slack can vouch for it; not loaded for lists. ``pauses`` keep a request that
    is pending or open from being approved or used, what lasts the longest first.

    ``is_reported``: one of the corrections says that the approval was wrong.

    What the rule hides is in none of it: requests, and notes of votes, are as people may see them (``bot.redaction``).
    ``copies`` counts the places of the call that the rule shows and that are hidden too: they repeat what it hides.
    """

    request: Request
    rule: FrozenRule | None
    instance: Instance
    votes: tuple[Vote, ...]
    parties: Parties
    previous: Request | None = None
    near_denial: Request | None = None
    granted: tuple[StandingVote, ...] = ()
    taken: tuple[StandingVote, ...] = ()
    tries: int = 0
    last_try_at: datetime | None = None
    remembered_until: datetime | None = None
    copies: int = 0
    withdrawn: tuple[Vote, ...] = ()
    plan_state: PlanState | None = None
    overrides: tuple[Override, ...] = ()
    witness: EventMark | None = None
    pauses: tuple[Halt, ...] = ()

    @property
    def is_reported(self) -> bool:
        return any(one.kind is OverrideKind.REPORTED for one in self.overrides)


async def is_reported(unit: Unit, request: Request) -> bool:
    """Whether somebody reported the approval as wrong, which only one that was used can be."""
    if request.consumed_at is None:
        return False
    return bool(await unit.one(statements_overrides.REPORTS_OF, request_number=request.number))


async def load_overrides(unit: Unit, request: Request) -> list[Override]:
    """Return people's corrections of what became of ``request``, oldest first, as they are stored."""
    return await unit.all(statements_overrides.OVERRIDES_OF, request_number=request.number)


async def load_witness(unit: Unit, request: Request) -> EventMark | None:
    """Return the last event on record of a request that is decided; None while it is pending."""
    if request.status is Status.PENDING:
        return None
    return await unit.one(statements_audit.LAST_MARK_OF, request_number=request.number)


async def load_drawing(
    unit: Unit, rulebook: Rulebook, redactor: Redactor, request: Request, now: datetime, *, compare: bool = True
) -> Drawing:
    """Gather what a card of ``request`` is drawn from at ``now``, in one snapshot.

    ``compare``: also with what it is compared with.

    Here, and nowhere else, what people may see is parted from what is stored.
    """
    instance = await unit.one(statements_instances.INSTANCE_BY_ID, instance_id=request.instance_id)
    if instance is None:
        raise LookupError(f"request {request.id} has no instance")
    rule = await rulebook.rule_of(unit, request)
    previous = near_denial = None
    if compare and rule is not None and rule.stage == "approve":
        previous = await unit.one(
            statements.LAST_APPROVED,
            agent=request.agent,
            tool=request.tool,
            number=request.number,
            asked_at=request.created_at,
            rule=rule.name,
        )
        near_denial = await find_near_denial(unit, request)
    cast = await unit.all(statements.EVERY_VOTE_OF, request_number=request.number)
    votes = tuple(vote for vote in cast if vote.withdrawn_at is None)
    tries = await load_tries(unit, request)
    drawn = redactor.redact(request, rule.redact if rule is not None else ())

    async def redacted(other: Request | None) -> Request | None:
        """What its own rule hides is not shown under a later one, and what this one hides is not shown of it."""
        if other is None:
            return None
        theirs = await rulebook.frozen(unit, other.rule_id) if other.rule_id is not None else None
        patterns = (*(rule.redact if rule is not None else ()), *(theirs.redact if theirs is not None else ()))
        return redactor.redact(other, dict.fromkeys(patterns), beside=drawn).request

    return Drawing(
        request=drawn.request,
        rule=rule,
        previous=await redacted(previous),
        near_denial=await redacted(near_denial),
        instance=instance,
        votes=tuple(map(drawn.noted, votes)),
        granted=tuple(map(drawn.noted, await load_granted(unit, request))),
        taken=tuple(map(drawn.noted, await load_taken(unit, votes))),
        tries=tries.count,
        last_try_at=tries.last_at,
        remembered_until=tries.remembered_until,
        copies=drawn.copies,
        withdrawn=tuple(drawn.noted(vote) for vote in cast if vote.withdrawn_at is not None),
        parties=rulebook.policy.parties(request.agent, instance.person),
        plan_state=await load_plan_state(unit, request, rule, whole=compare),
        overrides=tuple(map(drawn.reasoned, await load_overrides(unit, request))),
        witness=await load_witness(unit, request) if compare else None,
        pauses=await load_pauses(unit, request, rule.name if rule is not None else None, now),
    )
