"""How people displace an outcome: revoke an approval, report one that was used, reverse a denial or expiry, force.

Each act takes a reason, is judged by the facts of its moment, and is put on record with whose outcome it displaced.
None of it approves anything by itself: reversing leaves a vote cast ahead, and a forced vote is weighed where all votes
are (``bot.decisions``). Approving with changes is an override too, and is ``bot.standing``'s.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from bot.call import canonical_call, digest_of, load_json
from bot.conditions import Call
from bot.config import Rule
from bot.decisions import Election, StepUpCheck, ask_more, change_vote
from bot.drawings import load_overrides
from bot.errors import (
    AlreadyDecided,
    AlreadyReported,
    AlreadyReversed,
    AlreadyVoted,
    ApprovalTaken,
    CallAltered,
    CannotReverse,
    MoreIsAsked,
    NothingToOverride,
    NotSeenWhole,
    NotYourDecision,
    Refusal,
    UnknownRequest,
)
from bot.forcing import admins_needed, counts, judge_admin
from bot.halted import refuse_paused, ruling_now
from bot.hearings import Act, Hearing, Hearings, refuse_unless_open
from bot.lifecycle import State, state_of
from bot.overrides import is_reason, record_override
from bot.policy import FORBIDDEN, Course, Ruling, barred, judge, reviewer_usergroups
from bot.revocation import REVOKED_BY_PERSON, revoke_open, tell_revoked
from bot.rulebook import Edition, Rulebook, RulesChanged
from bot.standing import grant_standing
from bot.wishes import add_intent, wish_to_draw
from store import statements, statements_ahead, statements_instances
from store.engine import Store
from store.tables import (
    DeciderKind,
    IntentKind,
    OverrideKind,
    Request,
    StandingVote,
    Status,
    StepUp,
    VoteKind,
)
from store.unit import Unit

REPORTED = "reported"
"""Why an agent's owners are told."""

_REVERSIBLE = (DeciderKind.PERSON, DeciderKind.ADMIN, DeciderKind.MEMORY, DeciderKind.CLOCK)


class Overrides:
    """The use cases. Each raises ``MoreIsAsked`` without a reason, ``UnknownRequest`` and ``FactsUnavailable``.

    A repeated ``act`` changes nothing and is no error.
    """

    def __init__(
        self, store: Store, rulebook: Rulebook, hearings: Hearings, step_up: StepUpCheck | None = None
    ) -> None:
        self._store = store
        self._rulebook = rulebook
        self._hearings = hearings
        self._step_up = step_up

    # --- revoke ---

    async def revoke(self, number: int, act: Act, reason: str | None) -> Request:
        """Withdraw an approval that was not used yet, for good. Returns the request.

        Reviewers of its rule, admins, owners of the agent and whom its instance was made for may do that: it only
        stops. Raises ``NotYourDecision``, ``ApprovalTaken`` where the agent was faster, or ``NothingToOverride``.
        """
        return await self._hear(number, act, self._revoke, reason)

    async def check_revoke(self, number: int, user_id: str, channel: str | None) -> Request:
        """Say beforehand whether a person could revoke; raises what ``revoke`` would. Promises nothing."""
        return await self._check(number, user_id, channel, _refuse_unless_revocable)

    async def _revoke(self, unit: Unit, hearing: Hearing, act: Act, reason: str) -> Request:
        request, now = hearing.request, hearing.now
        if hearing.is_repeat:
            return request
        _refuse_unless_theirs(hearing, act.user_id)
        _refuse_unless_revocable(hearing)
        revoked = await revoke_open(
            unit, request, now, code=REVOKED_BY_PERSON, by_kind=DeciderKind.PERSON, by=act.user_id
        )
        if revoked is None:
            raise ApprovalTaken(await unit.one(statements.REQUEST, number=request.number) or request)
        await record_override(
            unit, revoked, OverrideKind.REVOKED, act, reason, now,
            displaced=State.OPEN, displaced_by_kind=request.decided_by_kind, displaced_by=request.decided_by,
        )  # fmt: skip
        await tell_revoked(unit, revoked, now)
        return revoked

    # --- report ---

    async def report(self, number: int, act: Act, reason: str | None) -> Request:
        """Declare wrong an approval that the agent has used: its owners are told. Returns the request.

        Who may revoke may report, once. Raises ``NotYourDecision``, ``AlreadyReported`` or ``NothingToOverride``.
        """
        return await self._hear(number, act, self._report, reason)

    async def check_report(self, number: int, user_id: str, channel: str | None) -> Request:
        """Say beforehand whether a person could report; raises what ``report`` would. Promises nothing."""
        return await self._check(number, user_id, channel, _refuse_unless_used)

    async def _report(self, unit: Unit, hearing: Hearing, act: Act, reason: str) -> Request:
        request, now = hearing.request, hearing.now
        if hearing.is_repeat:
            return request
        _refuse_unless_theirs(hearing, act.user_id)
        _refuse_unless_used(hearing)
        for one in await load_overrides(unit, request):
            if one.kind is OverrideKind.REPORTED and one.user_id == act.user_id:
                raise AlreadyReported
        await record_override(
            unit, request, OverrideKind.REPORTED, act, reason, now,
            displaced=state_of(request), displaced_by_kind=request.decided_by_kind, displaced_by=request.decided_by,
        )  # fmt: skip
        await add_intent(
            unit, IntentKind.TELL_OWNERS, f"owners:{request.number}", now, reason=REPORTED, request=request
        )
        await wish_to_draw(unit, request, REPORTED, now)
        return request

    # --- reverse ---

    async def reverse(
        self, number: int, act: Act, reason: str | None, passcode: str | None = None
    ) -> tuple[Request, StandingVote | None]:
        """Leave a vote for the call of a denied or expired request, counted when the same instance sends it again.

        Whoever could approve the call today may do that, by the rule that matches it today, with what that rule asks
        for and a view of the whole call; who denied it too. It is one vote and never more. Raises ``CannotReverse``,
        ``AlreadyReversed``, and what ``Decisions.vote`` raises for an approval.
        """
        reason = _given(reason)
        while True:
            edition, ruling = await self._rule_on_today(number)
            work = partial(
                self._reverse, act=act, edition=edition, ruling=ruling, reason=reason, passcode=passcode
            )  # fmt: skip
            try:
                return await self._hearings.hear(number, act, work, also_groups=_usergroups(ruling.rule))
            except RulesChanged:
                continue
            except AlreadyDecided as never_open:  # no rule matched it
                raise _why_not(never_open.request) from never_open

    async def check_reverse(self, number: int, user_id: str, channel: str | None) -> StepUp | None:
        """Say beforehand whether a person could reverse, and what it would take beside a reason. Promises nothing."""
        _, ruling = await self._rule_on_today(number)
        try:
            hearing = await self._hearings.preview(number, user_id, channel, _usergroups(ruling.rule))
        except AlreadyDecided as never_open:
            raise _why_not(never_open.request) from never_open
        ruling = await self._store.peek(
            partial(ruling_now, agent=hearing.request.agent, ruling=ruling, now=hearing.now)
        )
        return _rule_to_vote_under(hearing, user_id, ruling).step_up

    async def _rule_on_today(self, number: int) -> tuple[Edition, Ruling]:
        """Judge the call of a request by today's rules. Raises ``CannotReverse`` for one that nothing could reverse."""
        request = await self._store.peek(lambda unit: unit.one(statements.REQUEST, number=number))
        if request is None:
            raise UnknownRequest
        _refuse_unless_reversible(request)
        call = Call(request.agent, request.tool, request.server, request.arguments)
        edition = await self._rulebook.edition()
        return edition, await edition.rule_on(call, request.timeout)

    async def _reverse(
        self,
        unit: Unit,
        hearing: Hearing,
        act: Act,
        edition: Edition,
        ruling: Ruling,
        reason: str,
        passcode: str | None,
    ) -> tuple[Request, StandingVote | None] | Refusal:
        request, now = hearing.request, hearing.now
        granted = await unit.all(statements_ahead.STANDING_GRANTED_ON, request_number=request.number)
        waiting = [
            one
            for one in granted
            if (one.user_id, one.digest) == (act.user_id, request.digest)
            and one.taken_at is None and one.lifted_at is None and one.expires_at > now
        ]  # fmt: skip
        if hearing.is_repeat:
            return request, waiting[0] if waiting else None
        self._rulebook.refuse_outdated(edition)
        _refuse_unless_reversible(request)
        rule = _rule_to_vote_under(hearing, act.user_id, await ruling_now(unit, request.agent, ruling, now))
        if act.full_view is None:
            raise NotSeenWhole
        if waiting:
            raise AlreadyReversed
        if digest_of(request.tool, request.server, request.arguments) != request.digest:
            raise CallAltered
        if await unit.one(statements_instances.LIVE_INSTANCE, instance_id=request.instance_id) is None:
            raise CannotReverse("The instance of the agent that asked was revoked; nobody will send this call again.")
        refused = await ask_more(unit, self._step_up, rule.as_frozen, act.user_id, reason, passcode, now)
        if refused is not None:
            return refused
        canonical = canonical_call(request.tool, request.server, load_json(request.arguments))
        standing = await grant_standing(unit, request, act, canonical, rule, reason, now)
        await record_override(
            unit, request, OverrideKind.REVERSED, act, reason, now,
            displaced=state_of(request), displaced_by_kind=request.decided_by_kind, displaced_by=request.decided_by,
            standing_id=standing.id,
        )  # fmt: skip
        await wish_to_draw(unit, request, "reversed", now)
        return request, standing

    # --- force ---

    async def force(self, number: int, act: Act, kind: VoteKind, reason: str | None) -> Request:
        """Cast an admin's vote past reviewers and quorum. Returns the request, decided or still waiting.

        A denial decides at once. An approval takes a view of the whole call, and a second admin's where the rule wants
        several people or a passcode. Raises ``NotYourDecision``, ``AlreadyDecided``, ``TooLate``, ``NotSeenWhole``,
        ``AgentPaused`` or ``AlreadyVoted``.
        """
        return await self._hear(number, act, partial(self._force, kind=kind), reason)

    async def check_force(self, number: int, user_id: str, channel: str | None) -> Request:
        """Say beforehand whether a person could force; raises what ``force`` would. Promises nothing."""
        hearing = await self._hearings.preview(number, user_id, channel)
        _refuse_unless_admin(hearing, user_id)
        return hearing.request

    async def _force(self, unit: Unit, hearing: Hearing, act: Act, reason: str, kind: VoteKind) -> Request:
        request, now = hearing.request, hearing.now
        if hearing.is_repeat:
            return request
        _refuse_unless_admin(hearing, act.user_id)
        if kind is VoteKind.APPROVE:
            if act.full_view is None:
                raise NotSeenWhole
            await refuse_paused(unit, request.agent, hearing.rule.name, now)
            if any(vote.user_id == act.user_id and vote.kind is kind and counts(vote) for vote in hearing.votes):
                # Nothing new from this admin; but another may have become one since.
                weighed = await Election.at(hearing).weigh(unit, hearing.votes, now)
                if weighed.status is Status.PENDING:
                    raise AlreadyVoted(_another(admins_needed(hearing.rule)))
                return weighed
        return await change_vote(unit, hearing, act, kind, reason, is_forced=True)

    # --- inside ---

    async def _hear(
        self, number: int, act: Act, work: Callable[..., Awaitable[Request]], reason: str | None
    ) -> Request:
        try:
            return await self._hearings.hear(number, act, partial(work, act=act, reason=_given(reason)))
        except AlreadyDecided as decided:
            if decided.request.rule_id is None:
                raise NothingToOverride(decided.request, "No rule matched this call; it was denied at once.") from None
            raise

    async def _check(
        self, number: int, user_id: str, channel: str | None, refuse: Callable[[Hearing], None]
    ) -> Request:
        hearing = await self._hearings.preview(number, user_id, channel)
        _refuse_unless_theirs(hearing, user_id)
        refuse(hearing)
        return hearing.request


# --- what can be overridden ---


def is_reversible(request: Request) -> bool:
    """Whether a vote may be left for the call of a request that was denied or has expired."""
    is_over = request.status in (Status.DENIED, Status.EXPIRED)
    return is_over and request.decided_by_kind in _REVERSIBLE and request.forgotten_at is None


def _refuse_unless_reversible(request: Request) -> None:
    if not is_reversible(request):
        raise _why_not(request)


def _why_not(request: Request) -> CannotReverse:
    """Say why a request cannot be reversed."""
    if request.status is Status.PENDING:
        return CannotReverse("This is not decided yet: approve or deny it.", code="still_pending")
    if request.status is Status.APPROVED:
        return CannotReverse("This was approved; there is no denial to reverse.", code="was_approved")
    if request.status is Status.CANCELLED:
        return CannotReverse("This was cancelled, not denied; the agent may ask again.", code="was_cancelled")
    if request.forgotten_at is not None:
        return CannotReverse("Its arguments were removed after their time; the call is not known any more.")
    reason = request.note or "No rule allows it."
    return CannotReverse(
        f"A rule denied this, not a person: {reason} Only another configuration can change that.", code="denied_by_rule"
    )


def _rule_to_vote_under(hearing: Hearing, user_id: str, ruling: Ruling) -> Rule:
    """Return the rule that would ask people about the call today. Raises unless this person may approve under it."""
    rule = ruling.rule
    if ruling.course is Course.DENY or rule is None:
        raise CannotReverse(f"The call would be denied today. {ruling.reason}", code=ruling.code)
    if ruling.course is Course.APPROVE:
        raise CannotReverse(
            f"Rule {rule.name} approves this call by itself today: the agent need only send it again.", code=ruling.code
        )
    verdict = judge(user_id, rule.as_frozen, hearing.parties, hearing.facts, hearing.now)
    if not verdict.allowed:
        raise NotYourDecision(verdict.reason, code=verdict.code)
    return rule


def _refuse_unless_revocable(hearing: Hearing) -> None:
    request = hearing.request
    state = state_of(request)
    if request.consumed_at is not None:
        raise ApprovalTaken(request)
    if state is not State.OPEN:
        raise NothingToOverride(request, "There is no open approval here to revoke.")
    if request.expires_at is None or hearing.now >= request.expires_at:
        raise NothingToOverride(request, "The approval's time is over: it can no longer be used anyway.")


def _refuse_unless_used(hearing: Hearing) -> None:
    if hearing.request.consumed_at is None:
        raise NothingToOverride(
            hearing.request, "The agent has not taken an approval here. What was not used can be revoked, not reported."
        )
    if hearing.request.forgotten_at is not None:  # a reason could not be committed to: the salt is gone
        raise NothingToOverride(
            hearing.request, "What was written about this was removed: nothing is added to it any more."
        )


def _refuse_unless_theirs(hearing: Hearing, user_id: str) -> None:
    """Raise ``NotYourDecision`` for somebody who may not say anything against an approval."""
    no = barred(user_id, hearing.facts, hearing.now)
    if no is not None:
        raise NotYourDecision(no.reason, code=no.code)
    parties = hearing.parties
    if user_id in parties.owners or user_id == parties.person or user_id in hearing.admins:
        return
    verdict = judge(user_id, hearing.rule, parties, hearing.facts, hearing.now)
    if verdict.code == "not_a_reviewer":
        raise NotYourDecision(
            f"Only reviewers of rule {hearing.rule.name}, owners of the agent and admins may do this."
        )
    if not verdict.allowed:
        raise NotYourDecision(verdict.reason, code=verdict.code)


def _refuse_unless_admin(hearing: Hearing, user_id: str) -> None:
    refuse_unless_open(hearing.request, hearing.now)
    if hearing.forbidden is not None:
        raise NotYourDecision(hearing.forbidden.reason, code=FORBIDDEN)
    verdict = judge_admin(user_id, hearing.admins, hearing.parties, hearing.facts, hearing.now)
    if not verdict.allowed:
        raise NotYourDecision(verdict.reason, code=verdict.code)


def _given(reason: str | None) -> str:
    given = (reason or "").strip()
    if not is_reason(given):
        raise MoreIsAsked("This takes a reason. Nothing was changed.", code="reason_missing")
    return given


def _another(needed: int) -> str:
    return f"You have forced this already. It takes {needed} different admins."


def _usergroups(rule: Rule | None) -> tuple[str, ...]:
    return reviewer_usergroups(rule.as_frozen) if rule is not None else ()
