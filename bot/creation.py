"""How a request comes to be: an agent's call meets the rules, and what follows at once is written in one transaction.

A rule may approve or deny it there and then, and what is paused is denied (``bot.halted``). Where it asks people,
standing votes for the call are taken first; without any that may count, a remembered denial is given again, and what
nobody can decide is denied; else the request waits, and its card is planned. A repeated submission is the request that
was made before. Waiting, cancelling, consuming and outcomes are ``bot.approvals``'.
"""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from uuid_utils import uuid7

from bot.availability import Availability
from bot.call import CANONICAL_VERSION, Submission
from bot.cards import add_card
from bot.changes import RequestChanged
from bot.clock import Clock
from bot.conditions import Call
from bot.config import Plan, Rule
from bot.decisions import Election, record_decision
from bot.durations import parse_capped
from bot.errors import BadCredential, FactsUnavailable, IdempotencyConflict, Limited
from bot.escalation import columns_of, next_position
from bot.events import EventType, append_event, commit
from bot.halted import ruling_now
from bot.limits import Admission, Limits
from bot.memory import count_try, recall
from bot.people import Directory, Facts
from bot.policy import DEFAULT_TIMEOUT, Course, Parties, Ruling, reviewer_usergroups
from bot.rulebook import Edition, Rulebook, RulesChanged
from bot.standing import may_count, take_standing
from store import statements, statements_ahead, statements_halts, statements_instances
from store.compiled import make_record
from store.engine import Store
from store.tables import DeciderKind, Instance, Place, Request, StandingVote, Status
from store.unit import Unit

_SALT_BYTES = 16
_OVERTAKEN_AT_MOST = 5  # how often what a call meets may change between our look at it and our writing

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Met:
    """What a call that people are to decide meets, as read before its request is written.

    ``facts`` are about the voters of ``standing``, None where there are none or Slack could not be asked. ``lack`` says
    why nobody can decide. ``is_binding``: whether to look again if something else is met when the request is written.
    """

    standing: tuple[StandingVote, ...] = ()
    denial: Request | None = None
    facts: Facts | None = None
    lack: str | None = None
    is_binding: bool = False

    def settled(self, call: "_Call", now: datetime) -> "_Met":
        """Return what of this matters: standing votes go before a denial only if one may count, as far as is known."""
        rule, facts = call.ruling.rule, self.facts
        if self.denial is None or not self.standing or rule is None:
            return self
        if facts is None or any(may_count(one, rule.as_frozen, call.parties, facts, now) for one in self.standing):
            return replace(self, denial=None)
        return replace(self, standing=())

    def differs(self, other: "_Met") -> bool:
        """Whether ``other`` standing votes or another denial are met."""
        return [one.id for one in self.standing] != [one.id for one in other.standing] or (
            (self.denial.number if self.denial else None) != (other.denial.number if other.denial else None)
        )


_NOTHING = _Met()


class _Overtaken(Exception):
    """Something else is met now than when Slack was asked."""


class _Stopped(Exception):
    """The rule that would approve this by itself was stopped: people are to be asked, as its look ahead must be."""


class Creation:
    """The use case of submitting a call."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook, directory: Directory) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._directory = directory
        self._availability = Availability(clock, directory)
        self._limits = Limits()

    async def submit(self, instance: Instance, submission: Submission, key: str) -> tuple[Request, bool]:
        """Make a request, or find the one made before under the same ``key``; the flag tells whether it is new.

        Slack is asked only where people are to decide, and nothing fails because it does not answer. Raises
        ``IdempotencyConflict`` when the key was used for other fields, ``BadCredential`` for an instance that was
        revoked meanwhile, ``RateLimited`` or ``TooManyPending`` for a new one beyond its agent's limits.
        """
        while True:
            edition = await self._rulebook.edition()
            try:
                return await self._submit_under(edition, instance, submission, key)
            except RulesChanged:
                continue

    async def _submit_under(
        self, edition: Edition, instance: Instance, submission: Submission, key: str
    ) -> tuple[Request, bool]:
        policy = edition.policy
        judged = Call(instance.agent, submission.tool, submission.server, submission.arguments)
        ruling = await edition.rule_on(judged, submission.timeout)
        call = _Call(edition, instance, submission, key, ruling)
        with self._limits.admission(policy.agent(instance.agent), instance.id) as admission:
            if ruling.course is not Course.ASK:
                with suppress(_Stopped):
                    return await self._store.write_beside(lambda unit: self._submit(unit, call, admission, None))
            for tries_left in reversed(range(_OVERTAKEN_AT_MOST)):
                foreseen = await self._look_ahead(call)
                if not tries_left:
                    foreseen = replace(foreseen, is_binding=False)
                try:
                    return await self._store.write(
                        partial(self._submit, call=call, admission=admission, foreseen=foreseen)
                    )
                except _Overtaken:
                    continue
        raise LookupError("a request that was not bound to what it met was overtaken")

    # --- before the transaction: what needs Slack ---

    async def _look_ahead(self, call: "_Call") -> _Met:
        rule = call.ruling.rule

        async def look(unit: Unit) -> _Met | None:
            if await unit.one(statements.REQUEST_BY_KEY, instance_id=call.instance.id, create_key=call.key) is not None:
                return None
            return await self._meet(unit, call, self._clock())

        met = await self._store.peek(look)
        if met is None or rule is None:
            return _NOTHING  # nothing new will be made
        met = replace(met, is_binding=True)
        try:
            if met.standing:
                voters = {standing.user_id for standing in met.standing}
                met = replace(met, facts=await self._directory.load_facts(voters, reviewer_usergroups(rule.as_frozen)))
            if met.settled(call, self._clock()).denial is None:
                version = call.edition.version_of(rule)
                met = replace(met, lack=await self._availability.find_lack(version, rule.as_frozen, call.parties))
        except FactsUnavailable:
            pass  # the standing votes wait for another try of the agent's, and this one waits for people
        return met

    @staticmethod
    async def _meet(unit: Unit, call: "_Call", now: datetime) -> _Met:
        """Look for standing votes for the call, and for a denial that is remembered."""
        submission, instance = call.submission, call.instance
        standing = await unit.all(
            statements_ahead.STANDING_FOR,
            instance_id=instance.id,
            digest=submission.digest,
            canonical_version=CANONICAL_VERSION,
            now=now,
        )
        return _Met(tuple(standing), await recall(unit, instance.agent, submission.tool, submission.digest, now))

    # --- the transaction ---

    async def _submit(
        self, unit: Unit, call: "_Call", admission: Admission | None, foreseen: _Met | None
    ) -> tuple[Request, bool]:
        self._rulebook.refuse_outdated(call.edition)
        now = self._clock()
        instance, rule = call.instance, call.ruling.rule
        if foreseen is None and (approved := await self._approve_at_once(unit, call, admission, now)) is not None:
            return approved, True
        ruling = await ruling_now(unit, instance.agent, call.ruling, now)
        met = _NOTHING
        if ruling.course is Course.ASK:
            if foreseen is None:
                raise _Stopped
            met = await self._meet(unit, call, now)
            if foreseen.is_binding and foreseen.differs(met):
                raise _Overtaken
            met = replace(met, facts=foreseen.facts, lack=foreseen.lack).settled(call, now)
        values = _new_request(call, ruling, met, now)
        waits = values["status"] is Status.PENDING
        if admission is not None and (limited := await admission.enter(unit, now, waits=waits)) is not None:
            return await self._find_submitted(unit, call, limited), False
        number = await unit.one(statements.INSERT_REQUEST, **values)
        if number is None:
            if admission is not None:
                admission.leave()
            return await self._find_submitted(unit, call), False
        request = await _record_made(unit, call, number, values, now)
        if request.status is not Status.PENDING:
            await record_decision(unit, request, now)
            if met.denial is not None:
                await count_try(unit, met.denial, now)
        elif rule is not None:
            request = await self._take_votes(unit, request, rule, call, met, now)
            if request.status is not Status.PENDING:
                return request, True  # announced where it was decided
            if rule.channel:
                await add_card(unit, request, Place.CHANNEL, rule.channel, now, reason="asked")
        unit.announce(RequestChanged(request))
        return request, True

    @staticmethod
    async def _approve_at_once(unit: Unit, call: "_Call", admission: Admission | None, now: datetime) -> Request | None:
        """Write a request that its rule approves by itself, in one statement that asks all that may be in the way.

        None where something is, or where the rule does not approve: then nothing was written, and the long way, which
        asks one thing after the other, finds out what. Most calls at the higher stages pass here.
        """
        rule = call.ruling.rule
        if call.ruling.course is not Course.APPROVE or rule is None:
            return None
        if admission is not None and await admission.enter(unit, now, waits=False) is not None:
            return None
        values = _new_request(call, call.ruling, _NOTHING, now)
        made = await unit.one(statements_halts.INSERT_APPROVED_REQUEST, now=now, rule=rule.name, **values)
        if made is None:
            if admission is not None:
                admission.leave()
            return None
        request = await _record_made(unit, call, made.number, values, now)
        await record_decision(unit, request, now, made.has_receiver)
        unit.announce(RequestChanged(request))
        return request

    async def _take_votes(
        self, unit: Unit, request: Request, rule: Rule, call: "_Call", met: _Met, now: datetime
    ) -> Request:
        """Let standing votes count on a new request, which they may decide. Returns it as it is then."""
        if met.facts is None:
            return request
        votes = await take_standing(unit, request, rule, call.parties, met.facts, met.standing, now)
        if not votes:
            return request
        return await Election(request, rule.as_frozen, call.parties, met.facts).weigh(unit, votes, now)

    @staticmethod
    async def _find_submitted(unit: Unit, call: "_Call", limited: Limited | None = None) -> Request:
        """Say why a request was not written: the instance is revoked, its key was used before, or it is ``limited``."""
        await refuse_revoked(unit, call.instance)
        known = await unit.one(statements.REQUEST_BY_KEY, instance_id=call.instance.id, create_key=call.key)
        if known is None:
            raise limited or LookupError("a request was not written and is not there")
        if known.submission_digest != call.submission.fields_digest:
            raise IdempotencyConflict
        return known


@dataclass(frozen=True, slots=True)
class _Call:
    """What an instance submitted under which key, and how it was judged by which edition of the rules."""

    edition: Edition
    instance: Instance
    submission: Submission
    key: str
    ruling: Ruling

    @property
    def parties(self) -> Parties:
        """Whose own business the call is."""
        return self.edition.policy.parties(self.instance.agent, self.instance.person)


def _new_request(call: _Call, ruling: Ruling, met: _Met, now: datetime) -> Values:
    """The columns of a new request, as ``ruling`` has its call treated."""
    instance, submission, rule = call.instance, call.submission, call.ruling.rule
    deadline_at = now + parse_capped(submission.timeout, rule.max_timeout if rule else DEFAULT_TIMEOUT)
    decision = _decision(ruling, met, now, deadline_at)
    plan = rule.plan if rule and decision["status"] is Status.PENDING else None
    return {
        "id": str(uuid7()),
        "instance_id": instance.id,
        "agent": instance.agent,
        "create_key": call.key,
        "submission_digest": submission.fields_digest,
        "tool": submission.tool,
        "server": submission.server,
        "arguments": submission.arguments,
        "agent_reasoning": submission.agent_reasoning,
        "context": submission.context,
        "timeout": submission.timeout,
        "canonical_version": CANONICAL_VERSION,
        "digest": submission.digest,
        "salt": os.urandom(_SALT_BYTES),
        "rule_id": call.edition.version_of(rule) if rule else None,
        "created_at": now,
        "deadline_at": deadline_at,
        "repeats": met.denial.number if met.denial else None,
        **first_step(plan, now, deadline_at),
        **decision,
    }


async def _record_made(unit: Unit, call: _Call, number: int, values: Values, now: datetime) -> Request:
    """Put a request that was just written on the audit chain, and return it: it need not be read back."""
    request, rule = make_record(Request, number=number, **values), call.ruling.rule
    await append_event(
        unit, now, EventType.REQUEST_MADE, request,
        agent=request.agent, instance=request.instance_id, tool=request.tool, server=request.server,
        call=commit(request.salt, call.submission.canonical), canonical=CANONICAL_VERSION,
        rule=rule.name if rule else None, rule_version=request.rule_id, deadline_at=request.deadline_at.isoformat(),
        repeats=request.repeats,
    )  # fmt: skip
    return request


def _decision(ruling: Ruling, met: _Met, now: datetime, deadline_at: datetime) -> Values:
    """How a request starts: decided by its rule or by a remembered denial, or pending."""
    decided: Values = {
        "status": Status.DENIED,
        "decided_at": now,
        "decided_by_kind": DeciderKind.RULE,
        "decided_by": ruling.rule.name if ruling.rule else None,
        "decision_code": ruling.code,
        "note": ruling.reason,
        "expires_at": None,
        "due_at": None,
    }
    if ruling.course is Course.DENY or ruling.rule is None:
        return decided
    if ruling.course is Course.APPROVE:
        expires_at = now + ruling.rule.validity
        return decided | {"status": Status.APPROVED, "note": None, "expires_at": expires_at, "due_at": expires_at}
    if met.denial is not None:
        memory = {"decided_by_kind": DeciderKind.MEMORY, "decided_by": None, "decision_code": "denied_before"}
        return decided | memory | {"note": met.denial.note}
    if met.lack is not None:
        return decided | {"decision_code": "nobody_can_decide", "note": met.lack}
    return dict.fromkeys(decided) | {"status": Status.PENDING, "due_at": deadline_at}


def first_step(plan: Plan | None, now: datetime, deadline_at: datetime) -> Values:
    """When a new request's plan begins, as columns; all null where there is none."""
    first = next_position(plan, None, now, deadline_at) if plan is not None else None
    return columns_of(first)


async def refuse_revoked(unit: Unit, instance: Instance) -> None:
    """Raise ``BadCredential`` for an instance that was revoked since its credential was found good.

    That may have been another process's doing a moment ago. It cancelled what was pending, and must not be followed by
    a new request, nor by the use of an approval.
    """
    if await unit.one(statements_instances.LIVE_INSTANCE, instance_id=instance.id) is None:
        raise BadCredential
