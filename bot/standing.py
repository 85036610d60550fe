"""Votes cast ahead: approve with changes, and the taking of a standing vote by the request that it waited for.

An approval belongs to the call that was submitted, so a person's edit is never slipped into one. Who approves with
changes denies the call as it was sent, with a note that states the changed call, and leaves a standing vote for exactly
that call. When the same instance submits it in time, the vote counts as theirs on the new request, under whatever rule
matches that: never more than a vote, and never twice.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from bot.call import CANONICAL_VERSION, Submission
from bot.changed_calls import parse_changed, refuse_hidden_changes, render_note, shown_arguments
from bot.conditions import Call
from bot.config import FrozenRule, Rule
from bot.decisions import StepUpCheck, ask_more, cast_vote, change_vote, wish_to_draw
from bot.errors import ChangeRefused, NothingChanged, NotSeenWhole, Refusal, UnknownRequest
from bot.events import EventType, append_event, commit, commit_to_text
from bot.halted import ruling_now
from bot.hearings import Act, Hearing, Hearings, refuse_unless_open
from bot.lifecycle import State
from bot.overrides import record_override
from bot.people import Facts
from bot.policy import Course, Parties, Ruling, judge, lacks, reviewer_usergroups
from bot.rulebook import Edition, Rulebook, RulesChanged
from store import statements, statements_ahead
from store.engine import Store
from store.tables import FullView, OverrideKind, Request, StandingVote, Status, Vote, VoteKind
from store.unit import Unit


@dataclass(frozen=True, slots=True)
class Granted:
    """What approving with changes came to: the denied request, and the vote that waits for the changed call.

    ``standing`` is None where the rule for the changed call approves by itself. ``arguments`` are those of the changed
    call as the note states them: JSON, without what a rule hides. ``people_needed`` counts those who must approve it,
    the one who changed it included.
    """

    request: Request
    standing: StandingVote | None
    arguments: str
    people_needed: int = 0


class Standing:
    """The use case of approving with changes."""

    def __init__(
        self,
        store: Store,
        rulebook: Rulebook,
        hearings: Hearings,
        step_up: StepUpCheck | None = None,
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._hearings = hearings
        self._step_up = step_up

    async def approve_with_changes(
        self,
        number: int,
        act: Act,
        changed_arguments_text: str,
        *,
        seen: FullView | None,
        reason: str | None = None,
        passcode: str | None = None,
    ) -> Granted:
        """Deny a request with the changed call in the note, and leave a standing vote for that call.

        ``act.full_view`` must be ``FORM``, since the form held the changed call whole; ``seen`` says how the person had
        seen the call as it was sent when they opened it. Reason and passcode are what the rule for the *changed* call
        asks for. A repeated ``act`` changes nothing.

        Raises ``BadInput`` or ``CallTooLarge`` for the arguments, ``NothingChanged``, ``ChangeRefused`` (a rule denies
        the changed call, or lets others decide it), and whatever ``Decisions.vote`` raises for an approval. Then
        nothing has changed, but for the failures that a wrong passcode counts.
        """
        request = await self._store.peek(lambda unit: unit.one(statements.REQUEST, number=number))
        if request is None:
            raise UnknownRequest
        call = parse_changed(request, changed_arguments_text)
        changed = Call(request.agent, request.tool, request.server, call.arguments)
        while True:
            edition = await self._rulebook.edition()
            ruling = await edition.rule_on(changed, request.timeout)
            work = partial(
                self._approve,
                act=act, call=call, edition=edition, ruling=ruling, seen=seen, reason=reason or None, passcode=passcode,
            )  # fmt: skip
            groups = reviewer_usergroups(ruling.rule.as_frozen) if ruling.rule else ()
            try:
                return await self._hearings.hear(number, act, work, also_groups=groups)
            except RulesChanged:
                continue

    async def _approve(
        self,
        unit: Unit,
        hearing: Hearing,
        act: Act,
        call: Submission,
        edition: Edition,
        ruling: Ruling,
        seen: FullView | None,
        reason: str | None,
        passcode: str | None,
    ) -> Granted | Refusal:
        request, now = hearing.request, hearing.now
        needed = ruling.rule.people_needed if ruling.rule else 0
        if hearing.is_repeat:
            standing = await self._granted_before(unit, request, act, call)
            return Granted(request, standing, shown_arguments(call, hearing.rule.redact), needed)
        self._rulebook.refuse_outdated(edition)
        refuse_unless_open(request, now)
        hearing.refuse_unless_entitled(act.user_id)
        if act.full_view is not FullView.FORM or seen is None:
            raise NotSeenWhole
        if call.digest == request.digest:
            raise NothingChanged
        ruling = await ruling_now(unit, request.agent, ruling, now)
        rule = ruling.rule
        if ruling.course is Course.DENY or rule is None:
            raise ChangeRefused(f"The changed call would be denied. {ruling.reason}", code=ruling.code)
        hidden = tuple(dict.fromkeys([*hearing.rule.redact, *rule.redact]))
        refuse_hidden_changes(request, call, hidden)
        if ruling.course is Course.ASK:
            verdict = judge(act.user_id, rule.as_frozen, hearing.parties, hearing.facts, now)
            if not verdict.allowed:
                raise ChangeRefused(f"You may not approve the changed call. {verdict.reason}", code=verdict.code)
            refused = await ask_more(unit, self._step_up, rule.as_frozen, act.user_id, reason, passcode, now)
            if refused is not None:
                return refused
        shown = shown_arguments(call, hidden)
        note = render_note(request, shown, ruling, now, reason)
        denied = await change_vote(unit, hearing, replace(act, full_view=seen), VoteKind.DENY, note)
        if denied.status is not Status.DENIED:
            raise LookupError(f"request {request.id} was denied and is not")
        standing = None
        if ruling.course is Course.ASK:
            standing = await grant_standing(unit, denied, act, call.canonical, rule, reason, now)
        await record_override(
            unit, denied, OverrideKind.CHANGED, act, reason or note, now,
            displaced=State.PENDING, standing_id=standing.id if standing is not None else None,
        )  # fmt: skip
        return Granted(denied, standing, shown, needed)

    @staticmethod
    async def _granted_before(unit: Unit, request: Request, act: Act, call: Submission) -> StandingVote | None:
        granted = await unit.all(statements_ahead.STANDING_GRANTED_ON, request_number=request.number)
        return next((one for one in granted if (one.user_id, one.digest) == (act.user_id, call.digest)), None)


async def grant_standing(
    unit: Unit, request: Request, act: Act, canonical: bytes, rule: Rule, note: str | None, now: datetime
) -> StandingVote:
    """Write a standing vote down on ``request``, in place of an older one of the same person for the same call.

    ``canonical`` is the canonical form of the call that it is for, and ``rule`` the one that matches it today.
    """
    digest = hashlib.sha256(canonical).digest()
    lifted = await unit.all(
        statements_ahead.LIFT_STANDING,
        instance_id=request.instance_id,
        digest=digest,
        canonical_version=CANONICAL_VERSION,
        user_id=act.user_id,
        lifted_at_=now,
    )
    for one in lifted:
        await append_event(
            unit, now, EventType.STANDING_LIFTED, request, standing=one.id, user=one.user_id, code="granted_anew"
        )
    granted = await unit.one(
        statements_ahead.INSERT_STANDING,
        request_number=request.number,
        instance_id=request.instance_id,
        canonical_version=CANONICAL_VERSION,
        digest=digest,
        user_id=act.user_id,
        team_id=act.team_id,
        note=note,
        surface=act.surface,
        full_view=act.full_view,
        step_up=rule.step_up,
        granted_at=now,
        expires_at=now + rule.standing,
    )
    if granted is None:
        raise LookupError("a standing vote was written and not returned")
    await append_event(
        unit, now, EventType.STANDING_GRANTED, request,
        standing=granted.id, user=act.user_id, team=act.team_id, surface=act.surface,
        full_view=act.full_view.value if act.full_view else None,
        step_up=rule.step_up.value if rule.step_up else None,
        call=commit(request.salt, canonical), canonical=CANONICAL_VERSION,
        rule=rule.name, note=commit_to_text(request, note), expires_at=granted.expires_at.isoformat(),
    )  # fmt: skip
    return granted


def may_count(standing: StandingVote, rule: FrozenRule, parties: Parties, facts: Facts, now: datetime) -> bool:
    """Whether a standing vote would count on a request under ``rule`` at this moment."""
    return judge(standing.user_id, rule, parties, facts, now).allowed and lacks(_as_vote(standing), rule) is None


async def take_standing(
    unit: Unit, request: Request, rule: Rule, parties: Parties, facts: Facts, waiting: Sequence[StandingVote],
    now: datetime,
) -> list[Vote]:  # fmt: skip
    """Cast as votes on a new request what of ``waiting`` may count on it, and use that up. Returns the votes.

    Not taken is the vote of somebody who may no longer decide, or of whom Slack told nothing, and one that lacks what
    the rule asks for now. What they lead to is for ``Election.weigh``.
    """
    frozen = rule.as_frozen
    taken: list[Vote] = []
    for standing in waiting:
        if not may_count(standing, frozen, parties, facts, now):
            continue
        if not await unit.run(
            statements_ahead.TAKE_STANDING,
            standing_id=standing.id, now=now, taken_at_=max(now, standing.granted_at), taken_by_=request.number,
        ):  # fmt: skip
            continue
        await append_event(
            unit, now, EventType.STANDING_TAKEN, request, standing=standing.id, user=standing.user_id,
            granted_on=standing.request_number,
        )  # fmt: skip
        act = Act(
            f"standing:{standing.id}", standing.user_id, standing.team_id, standing.surface,
            full_view=standing.full_view,
        )  # fmt: skip
        taken.append(
            await cast_vote(
                unit, request, act, VoteKind.APPROVE, standing.note, now,
                step_up=standing.step_up, standing_id=standing.id,
            )
        )  # fmt: skip
        origin = await unit.one(statements.REQUEST, number=standing.request_number)
        if origin is not None:
            await wish_to_draw(unit, origin, "standing_taken", now)
    return taken


async def load_granted(unit: Unit, request: Request) -> tuple[StandingVote, ...]:
    """Return the standing votes that were left on a request; only a decided one has any."""
    if request.status is Status.PENDING:
        return ()
    return tuple(await unit.all(statements_ahead.STANDING_GRANTED_ON, request_number=request.number))


async def load_taken(unit: Unit, votes: Iterable[Vote]) -> tuple[StandingVote, ...]:
    """Return the standing votes that some of ``votes`` were."""
    ids = [vote.standing_id for vote in votes if vote.standing_id is not None]
    found = [await unit.one(statements_ahead.STANDING, id=standing_id) for standing_id in ids]
    return tuple(one for one in found if one is not None)


def _as_vote(standing: StandingVote) -> Vote:
    """The vote that a standing vote would be, to be judged before it is cast."""
    return Vote.model_construct(
        kind=VoteKind.APPROVE, note=standing.note, full_view=standing.full_view, step_up=standing.step_up
    )
