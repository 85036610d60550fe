"""The one door. Every path that decides a request ends in this room, and only here does one become approved.

A decision is a conditional write on ``pending`` together with its event, the cards' redrawing and the waiters' call,
all in the caller's transaction. Who loses the race is told who won. Timeouts never approve.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Protocol

from bot.changes import RequestChanged
from bot.clock import Clock
from bot.config import FrozenRule
from bot.errors import AlreadyDecided, AlreadyVoted, MoreIsAsked, NothingToWithdraw, NotSeenWhole, Refusal
from bot.events import EventType, append_event, commit_to_text
from bot.forcing import FORCED, judge_admin, standing_of, tally_forced
from bot.halted import refuse_paused
from bot.hearings import Act as Act
from bot.hearings import Ballot as Ballot
from bot.hearings import Hearing, Hearings, refuse_unless_open
from bot.lifecycle import Happening, State, after
from bot.notifications import notify_resolved
from bot.overrides import record_override
from bot.people import Facts
from bot.policy import Parties, Verdict, judge, lacks, tally
from bot.sequels import end_pages, end_votes_ahead
from bot.wishes import add_intent as add_intent
from bot.wishes import queue_lane as queue_lane
from bot.wishes import wish_to_draw as wish_to_draw
from bot.wishes import wish_to_draw_queue as wish_to_draw_queue
from store import statements, statements_deciding
from store.compiled import changed_record, make_record
from store.engine import Store
from store.statements_deciding import Sequels
from store.tables import DeciderKind, IntentKind, OverrideKind, Request, Status, StepUp, Vote, VoteKind
from store.unit import Unit

_DECIDING = {
    Status.APPROVED: Happening.APPROVE,
    Status.DENIED: Happening.DENY,
    Status.EXPIRED: Happening.EXPIRE,
    Status.CANCELLED: Happening.CANCEL,
}


class StepUpCheck(Protocol):
    """Checks what an approval takes beyond a click."""

    async def check(self, unit: Unit, user_id: str, passcode: str, now: datetime) -> Refusal | None:
        """Use a passcode up. Returns why it is none; what that changes (a failure counted) is to be committed."""
        ...


class Decisions:
    """People's decisions, from a click to the committed outcome."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hearings: Hearings,
        step_up: StepUpCheck | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._hearings = hearings
        self._step_up = step_up

    async def ballot(self, number: int) -> Ballot:
        """Return what is voted on. Raises ``UnknownRequest``, or ``AlreadyDecided`` where nobody could ever vote."""
        return await self._hearings.ballot(number)

    async def vote(
        self,
        number: int,
        act: Act,
        kind: VoteKind,
        note: str | None = None,
        *,
        confirmed: bool = False,
        passcode: str | None = None,
        ballot: Ballot | None = None,
    ) -> Request:
        """Cast a vote and return the request as it is afterwards. ``ballot`` spares a look-up to whoever just read it.

        ``confirmed`` says that it came from a dialog which asked once more, ``passcode`` is what was typed there.
        Raises ``NotYourDecision``, ``AlreadyDecided``, ``AlreadyVoted``, ``TooLate``, ``NotSeenWhole``,
        ``MoreIsAsked``, ``WrongPasscode``, ``AgentPaused``, ``ClosedChannel``, ``UnknownRequest`` or
        ``FactsUnavailable``; then nothing has changed, but for the failures that a wrong passcode counts. A repeated
        ``act`` changes nothing either and is no error.
        """
        choice = _Choice(act, kind, note or None, confirmed, passcode)
        return await self._hearings.hear(number, act, partial(self._vote, choice=choice), ballot=ballot)

    async def approve_at_once(
        self, channel: str, ts: str, number: int, act: Act, suffices: Callable[[Ballot], bool]
    ) -> Request | None:
        """Cast the approval of a press on a card with what is at hand, as ``vote`` does; None: go the long way.

        See ``Hearings.hear_at_once``, and ``vote`` for what it raises.
        """
        choice = _Choice(act, VoteKind.APPROVE, None, confirmed=False, passcode=None)
        vote = partial(self._vote, choice=choice)
        return await self._hearings.hear_at_once(channel, ts, number, act, vote, suffices)

    async def withdraw(self, number: int, act: Act) -> Request:
        """Take a person's own approval back, as long as nothing is decided. Returns the request.

        Raises ``NothingToWithdraw``, ``AlreadyDecided``, ``TooLate`` or ``UnknownRequest``.
        """

        async def work(unit: Unit) -> Request:
            now = self._clock()
            ballot = await self._hearings.load(unit, number)
            request = ballot.request
            if not await unit.run(statements.TAKE_ACT, id=act.id, user_id=act.user_id, at=now):
                return request
            refuse_unless_open(request, now)
            if not await withdraw_votes(unit, request, ballot.votes, act, now):
                raise NothingToWithdraw
            await wish_to_draw(unit, request, "vote", now)
            return request

        return await self._store.write(work)

    async def check(self, number: int, user_id: str, channel: str | None) -> Request:
        """Say beforehand whether a person could decide; raises what ``vote`` would. Promises nothing."""
        hearing = await self._hearings.preview(number, user_id, channel)
        refuse_unless_open(hearing.request, hearing.now)
        hearing.refuse_unless_entitled(user_id)
        return hearing.request

    async def refuse_closed_channel(self, rule: FrozenRule, channel: str | None) -> None:
        """Raise ``ClosedChannel`` where ``channel`` is shared with another company and the rule does not allow it."""
        await self._hearings.refuse_closed_channel(rule, channel)

    async def _vote(self, unit: Unit, hearing: Hearing, choice: "_Choice") -> Request | Refusal:
        request, rule, now, act = hearing.request, hearing.rule, hearing.now, choice.act
        if hearing.is_repeat:
            return request
        refuse_unless_open(request, now)
        hearing.refuse_unless_entitled(act.user_id)
        if choice.kind is VoteKind.APPROVE:
            own = (vote for vote in hearing.votes if vote.user_id == act.user_id and not vote.is_forced)
            has_voted = any(lacks(vote, rule) is None for vote in own)
            if has_voted or act.full_view is None or rule.asks_on_approve:
                # Of all that may be refused here a pause is told first, and before a passcode is used up. Whoever
                # gets past this meets the door, which asks for itself.
                await refuse_paused(unit, request.agent, rule.name, now)
            if has_voted:
                # Nothing new from this person; but somebody else may have got a right back since.
                weighed = await Election.at(hearing).weigh(unit, hearing.votes, now)
                if weighed.status is Status.PENDING:
                    raise AlreadyVoted
                return weighed
            if act.full_view is None:
                raise NotSeenWhole
            if rule.asks_on_approve and not choice.confirmed:
                raise MoreIsAsked
            refused = await ask_more(unit, self._step_up, rule, act.user_id, choice.note, choice.passcode, now)
            if refused is not None:
                return refused
        return await change_vote(unit, hearing, act, choice.kind, choice.note)


@dataclass(frozen=True, slots=True)
class _Choice:
    """A vote as it was put in. The passcode is a secret, though a short-lived one."""

    act: Act
    kind: VoteKind
    note: str | None
    confirmed: bool
    passcode: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Election:
    """What the votes on one request are judged by: its frozen rule, and the people and facts of this moment."""

    request: Request
    rule: FrozenRule
    parties: Parties
    facts: Facts
    admins: frozenset[str] = frozenset()
    """Whose forced votes count; nobody's on a request that was just made."""

    @classmethod
    def at(cls, hearing: Hearing) -> "Election":
        """The election of an act's moment."""
        return cls(hearing.request, hearing.rule, hearing.parties, hearing.facts, hearing.admins)

    async def weigh(self, unit: Unit, votes: Sequence[Vote], now: datetime, *, cast: VoteKind | None = None) -> Request:
        """Decide the request if its votes do, each judged anew. Returns it as it is afterwards.

        ``cast`` is the kind of the one that is new. Raises ``AgentPaused`` where they would approve what is paused, or
        the new one is an approval of it, though it decides nothing yet.
        """

        @cache
        def verdict_on(user_id: str) -> Verdict:
            return judge(user_id, self.rule, self.parties, self.facts, now)

        def verdict_on_admin(user_id: str) -> Verdict:
            return judge_admin(user_id, self.admins, self.parties, self.facts, now)

        outcome, counted = tally(votes, self.rule, verdict_on), tuple[Vote, ...]()
        if outcome is not VoteKind.DENY:
            forced = tally_forced(votes, self.rule, verdict_on_admin)
            if forced is VoteKind.DENY or (forced is not None and outcome is None):
                counted = tuple(one for one in standing_of(votes, verdict_on_admin) if one.kind is forced)
                outcome = forced
        if VoteKind.APPROVE in (outcome, cast):
            await refuse_paused(unit, self.request.agent, self.rule.name, now)
        if outcome is None:
            await wish_to_draw(unit, self.request, "vote", now)
            return self.request
        deciding = next(
            vote for vote in reversed(counted or votes)
            if vote.kind is outcome and (counted or (not vote.is_forced and verdict_on(vote.user_id).allowed))
        )  # fmt: skip
        decided, sequels = await _decide(
            unit, self.request, now,
            status=Status.APPROVED if outcome is VoteKind.APPROVE else Status.DENIED,
            by_kind=DeciderKind.ADMIN if counted else DeciderKind.PERSON, by=deciding.user_id,
            code=FORCED if counted else "decided_by_votes", note=deciding.note,
            validity=self.rule.validity if outcome is VoteKind.APPROVE else None,
        )  # fmt: skip
        if sequels.has_standing or outcome is VoteKind.DENY:  # a denial ends those of other instances too
            await end_votes_ahead(unit, decided, deciding.user_id, now)
        for vote in counted:
            await record_override(
                unit, decided, OverrideKind.FORCED, vote, vote.note or "", now, displaced=State.PENDING
            )
        if counted:
            lane = f"reviewers:{decided.number}"
            await add_intent(unit, IntentKind.TELL_REVIEWERS, lane, now, reason=FORCED, request=decided)
        return decided


async def ask_more(
    unit: Unit, check: StepUpCheck | None, rule: FrozenRule, user_id: str, reason: str | None, passcode: str | None,
    now: datetime,
) -> Refusal | None:  # fmt: skip
    """Refuse an approval without the reason or the passcode that ``rule`` asks for.

    The passcode comes last: it is good only once. A wrong one is returned, not raised: that it was tried is to be
    committed.
    """
    if rule.reason == "required" and not reason:
        raise MoreIsAsked("This rule asks for a reason. Nothing was decided.", code="reason_missing")
    if rule.step_up is None:
        return None
    if passcode is None or check is None:
        raise MoreIsAsked("This rule asks for a passcode. Nothing was decided.", code="step_up_missing")
    return await check.check(unit, user_id, passcode, now)


async def change_vote(
    unit: Unit, hearing: Hearing, act: Act, kind: VoteKind, note: str | None, *, is_forced: bool = False
) -> Request:
    """Cast a person's vote in place of what they have voted so far, and decide the request if the votes now do."""
    request, now = hearing.request, hearing.now
    await withdraw_votes(unit, request, hearing.votes, act, now)
    step_up = hearing.rule.step_up if kind is VoteKind.APPROVE and not is_forced else None
    cast = await cast_vote(unit, request, act, kind, note, now, step_up=step_up, is_forced=is_forced)
    others = [vote for vote in hearing.votes if vote.user_id != act.user_id]
    weighed = await Election.at(hearing).weigh(unit, [*others, cast], now, cast=kind)
    if weighed.status is Status.PENDING:
        await end_votes_ahead(unit, weighed, act.user_id, now)
    return weighed


async def cast_vote(
    unit: Unit, request: Request, act: Act, kind: VoteKind, note: str | None, now: datetime, *,
    step_up: StepUp | None = None, standing_id: int | None = None, is_forced: bool = False,
) -> Vote:  # fmt: skip
    """Write a vote down. What it leads to is for ``Election.weigh``."""
    vote = {
        "request_number": request.number,
        "user_id": act.user_id,
        "team_id": act.team_id,
        "kind": kind,
        "note": note,
        "surface": act.surface,
        "full_view": act.full_view,
        "step_up": step_up,
        "standing_id": standing_id,
        "is_forced": is_forced,
        "cast_at": now,
    }
    vote_id = await unit.one(statements.INSERT_VOTE, **vote)
    if vote_id is None:
        raise LookupError("a vote was written and not returned")
    await append_event(
        unit, now, EventType.VOTE_CAST, request,
        user=act.user_id, team=act.team_id, kind=kind.value, surface=act.surface,
        full_view=act.full_view.value if act.full_view else None,
        step_up=step_up.value if step_up else None, standing=standing_id, forced=is_forced or None,
        note=commit_to_text(request, note),
    )  # fmt: skip
    return make_record(Vote, id=vote_id, **vote)


async def withdraw_votes(unit: Unit, request: Request, votes: Sequence[Vote], act: Act, now: datetime) -> bool:
    """Take back what a person has voted so far; False if that was nothing."""
    own = [vote for vote in votes if vote.user_id == act.user_id]
    for vote in own:
        await unit.run(statements.WITHDRAW_VOTE, vote_id=vote.id, withdrawn_at_=now)
        await append_event(
            unit, now, EventType.VOTE_WITHDRAWN, request,
            user=act.user_id, team=act.team_id, kind=vote.kind.value, surface=act.surface,
        )  # fmt: skip
    return bool(own)


async def close_request(
    unit: Unit, request: Request, now: datetime, *, status: Status, by_kind: DeciderKind, by: str | None, code: str,
    note: str | None = None,
) -> Request:  # fmt: skip
    """End a pending request without approving it. Raises ``AlreadyDecided`` when another was faster."""
    if status is Status.APPROVED:
        raise ValueError("an approval comes from votes or a rule, never from here")
    decided, _ = await _decide(
        unit, request, now, status=status, by_kind=by_kind, by=by, code=code, note=note, validity=None
    )
    return decided


async def _decide(
    unit: Unit, request: Request, now: datetime, *, status: Status, by_kind: DeciderKind, by: str | None, code: str,
    note: str | None, validity: timedelta | None,
) -> tuple[Request, Sequels]:  # fmt: skip
    """Write a decision down; returns the request as it is now, and what else may have to follow."""
    if request.status is not Status.PENDING:
        raise AlreadyDecided(request)
    after(State.PENDING, _DECIDING[status])
    # A restart may have set the clock back; no stored time precedes the one it follows.
    decided_at = max(now, request.created_at)
    expires_at = decided_at + validity if validity is not None else None
    decision = {
        "status": status,
        "decided_at": decided_at,
        "decided_by_kind": by_kind,
        "decided_by": by,
        "decision_code": code,
        "note": note or None,
        "expires_at": expires_at,
        "due_at": expires_at,
    }
    if not await unit.run(
        statements.DECIDE, number=request.number, **{f"{name}_": decision[name] for name in decision}
    ):
        winner = await unit.one(statements.REQUEST, number=request.number)
        raise AlreadyDecided(winner or request)
    decided = changed_record(request, next_step_at=None, **decision)
    unit.announce(RequestChanged(decided))  # first: an agent waits for it, nobody for a card
    sequels = await unit.one(
        statements_deciding.SEQUELS,
        number=request.number, instance_id=request.instance_id,
        digest=request.digest, canonical_version=request.canonical_version,
    )  # fmt: skip
    if sequels is None:
        raise LookupError("a question without a condition was not answered")
    await record_decision(unit, decided, now, sequels.has_receiver)
    await wish_to_draw(unit, decided, "decided", now)
    if sequels.took_steps:
        await end_pages(unit, decided, now)
    return decided, sequels


async def record_decision(unit: Unit, request: Request, now: datetime, has_receiver: bool | None = None) -> None:
    """Put a request's decision on the audit chain, and into the news for its instance's receiver.

    ``has_receiver``: see ``notify_resolved``.
    """
    await append_event(
        unit, now, EventType.REQUEST_DECIDED, request,
        status=request.status.value,
        by_kind=request.decided_by_kind.value if request.decided_by_kind else None,
        by=request.decided_by,
        code=request.decision_code,
        note=commit_to_text(request, request.note),
        decided_at=request.decided_at.isoformat() if request.decided_at else None,
        expires_at=request.expires_at.isoformat() if request.expires_at else None,
    )  # fmt: skip
    await notify_resolved(unit, request, now, has_receiver)


def not_before(now: datetime, others: Iterable[datetime | None]) -> datetime:
    """Return ``now``, or the latest of ``others`` if the clock was set back behind it."""
    latest = now
    for at in others:
        if at is not None and at > latest:
            latest = at
    return latest
