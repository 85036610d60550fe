"""The one door. Every path that decides a request ends in this room, and only here does one become approved.

A decision is a conditional write on ``pending`` together with its event, the cards' redrawing and the waiters' call,
all in the caller's transaction. Who loses the race is told who won. Timeouts never approve.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.changes import OutboxFilled, RequestChanged
from bot.clock import Clock
from bot.config import FrozenRule
from bot.errors import AlreadyDecided, ClosedChannel, NotSeenWhole, NotYourDecision, TooLate, UnknownRequest
from bot.events import EventType, append_event, commit_to_text
from bot.lifecycle import Happening, State, after
from bot.people import Directory, Facts
from bot.policy import judge, reviewer_usergroups, tally
from bot.rulebook import Rulebook
from store import statements
from store.engine import Store
from store.tables import CardState, DeciderKind, FullView, IntentKind, Request, Status, Vote, VoteKind
from store.unit import Unit


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a person did in Slack. ``id`` is its trigger or view id: a repeat of it does nothing.

    ``channel`` is where the card stands that was acted on, directly or through a modal opened from it; None for a DM or
    the Home tab. ``full_view`` says how this person has seen the whole call; without it nothing can be approved.
    """

    id: str
    user_id: str
    team_id: str
    surface: str
    channel: str | None = None
    full_view: FullView | None = None


@dataclass(frozen=True, slots=True)
class Ballot:
    """A request with the rule it is decided by and the votes cast so far, as they were when they were read."""

    request: Request
    rule: FrozenRule
    votes: tuple[Vote, ...]


_DECIDING = {
    Status.APPROVED: Happening.APPROVE,
    Status.DENIED: Happening.DENY,
    Status.EXPIRED: Happening.EXPIRE,
    Status.CANCELLED: Happening.CANCEL,
}


class Decisions:
    """People's decisions, from a click to the committed outcome."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook, directory: Directory) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._directory = directory

    async def ballot(self, number: int) -> Ballot:
        """Return what is voted on. Raises ``UnknownRequest``, or ``AlreadyDecided`` where nobody could ever vote."""
        return await self._store.peek(lambda unit: self._load(unit, number))

    async def vote(
        self, number: int, act: Act, kind: VoteKind, note: str | None = None, ballot: Ballot | None = None
    ) -> Request:
        """Cast a vote and return the request as it is afterwards. ``ballot`` spares a look-up to whoever just read it.

        Raises ``NotYourDecision``, ``AlreadyDecided``, ``TooLate``, ``NotSeenWhole``, ``ClosedChannel``,
        ``UnknownRequest`` or ``FactsUnavailable``; then nothing has changed. A repeated ``act`` changes nothing either
        and is no error.
        """
        # Only to know whom to look up: all is read again, and judged, in the transaction.
        read = ballot or await self.ballot(number)
        await self.refuse_closed_channel(read.rule, act.channel)
        facts = await self._directory.load_facts(
            {act.user_id, *(vote.user_id for vote in read.votes)}, reviewer_usergroups(read.rule)
        )
        return await self._store.write(lambda unit: self._vote(unit, number, act, kind, note, facts))

    async def check(self, number: int, user_id: str, channel: str | None) -> Request:
        """Say beforehand whether a person could decide; raises what ``vote`` would. Promises nothing."""
        ballot = await self.ballot(number)
        request, rule = ballot.request, ballot.rule
        await self.refuse_closed_channel(rule, channel)
        facts = await self._directory.load_facts({user_id}, reviewer_usergroups(rule))
        now = self._clock()
        self._refuse_unless_open(request, now)
        self._refuse_unless_entitled(request, rule, user_id, facts, now)
        return request

    async def refuse_closed_channel(self, rule: FrozenRule, channel: str | None) -> None:
        """Raise ``ClosedChannel`` where ``channel`` is shared with another company and the rule does not allow it."""
        if channel is None or rule.external:
            return
        if (await self._directory.load_channel(channel)).is_shared:
            raise ClosedChannel

    async def _load(self, unit: Unit, number: int) -> Ballot:
        request = await unit.one(statements.REQUEST, number=number)
        if request is None:
            raise UnknownRequest
        if request.rule_id is None:  # denied because no rule matched: nobody could ever decide it
            raise AlreadyDecided(request)
        rule = await self._rulebook.frozen(unit, request.rule_id)
        return Ballot(request, rule, tuple(await unit.all(statements.VOTES_OF, request_number=number)))

    async def _vote(self, unit: Unit, number: int, act: Act, kind: VoteKind, note: str | None, facts: Facts) -> Request:
        now = self._clock()
        ballot = await self._load(unit, number)
        request, rule, votes = ballot.request, ballot.rule, ballot.votes
        if not await unit.run(statements.TAKE_ACT, id=act.id, user_id=act.user_id, at=now):
            return request
        self._refuse_unless_open(request, now)
        self._refuse_unless_entitled(request, rule, act.user_id, facts, now)
        if kind is VoteKind.APPROVE and act.full_view is None:
            raise NotSeenWhole
        for earlier in votes:
            if earlier.user_id == act.user_id:
                await unit.run(statements.WITHDRAW_VOTE, vote_id=earlier.id, withdrawn_at_=now)
        cast = await unit.one(
            statements.INSERT_VOTE,
            request_number=number,
            user_id=act.user_id,
            team_id=act.team_id,
            kind=kind,
            note=note,
            surface=act.surface,
            full_view=act.full_view,
            cast_at=now,
        )
        await append_event(
            unit, now, EventType.VOTE_CAST, request,
            user=act.user_id, team=act.team_id, kind=kind.value, surface=act.surface,
            full_view=act.full_view.value if act.full_view else None,
            note=commit_to_text(request, note),
        )  # fmt: skip
        if cast is None:
            raise LookupError("a vote was written and not returned")
        standing = [vote for vote in votes if vote.user_id != act.user_id]
        return await self._weigh(unit, request, rule, [*standing, cast], facts, now)

    async def _weigh(
        self, unit: Unit, request: Request, rule: FrozenRule, votes: list[Vote], facts: Facts, now: datetime
    ) -> Request:
        """Decide ``request`` if its votes do. Each vote is judged anew, by the facts and owners of this moment."""
        owners = self._rulebook.policy.owners(request.agent)

        def may_decide(vote: Vote) -> bool:
            return judge(vote.user_id, rule, owners, facts, now).allowed

        outcome = tally(votes, may_decide)
        if outcome is None:
            await wish_to_draw(unit, request, "vote", now)
            return request
        deciding = next(vote for vote in reversed(votes) if vote.kind is outcome)
        return await _decide(
            unit, request, now,
            status=Status.APPROVED if outcome is VoteKind.APPROVE else Status.DENIED,
            by_kind=DeciderKind.PERSON, by=deciding.user_id, code="decided_by_votes", note=deciding.note,
            validity=rule.validity if outcome is VoteKind.APPROVE else None,
        )  # fmt: skip

    def _refuse_unless_open(self, request: Request, now: datetime) -> None:
        if request.status is not Status.PENDING:
            raise AlreadyDecided(request)
        if now >= request.deadline_at:
            raise TooLate(request)

    def _refuse_unless_entitled(
        self, request: Request, rule: FrozenRule, user_id: str, facts: Facts, now: datetime
    ) -> None:
        policy = self._rulebook.policy
        if policy.agent(request.agent) is None:
            raise NotYourDecision(f"Agent {request.agent} is no longer configured.", code="unknown_agent")
        verdict = judge(user_id, rule, policy.owners(request.agent), facts, now)
        if not verdict.allowed:
            raise NotYourDecision(verdict.reason, code=verdict.code)


async def close_request(
    unit: Unit, request: Request, now: datetime, *, status: Status, by_kind: DeciderKind, by: str | None, code: str,
    note: str | None = None,
) -> Request:  # fmt: skip
    """End a pending request without approving it. Raises ``AlreadyDecided`` when another was faster."""
    if status is Status.APPROVED:
        raise ValueError("an approval comes from votes or a rule, never from here")
    return await _decide(unit, request, now, status=status, by_kind=by_kind, by=by, code=code, note=note, validity=None)


async def _decide(
    unit: Unit, request: Request, now: datetime, *, status: Status, by_kind: DeciderKind, by: str | None, code: str,
    note: str | None, validity: timedelta | None,
) -> Request:  # fmt: skip
    if request.status is not Status.PENDING:
        raise AlreadyDecided(request)
    after(State.PENDING, _DECIDING[status])
    # A restart may have set the clock back; no stored time precedes the one it follows.
    decided_at = max(now, request.created_at)
    expires_at = decided_at + validity if validity is not None else None
    decided = await unit.one(
        statements.DECIDE,
        number=request.number,
        status_=status,
        decided_at_=decided_at,
        decided_by_kind_=by_kind,
        decided_by_=by,
        decision_code_=code,
        note_=note or None,
        expires_at_=expires_at,
        due_at_=expires_at,
    )
    if decided is None:
        winner = await unit.one(statements.REQUEST, number=request.number)
        raise AlreadyDecided(winner or request)
    await record_decision(unit, decided, now)
    await wish_to_draw(unit, decided, "decided", now)
    unit.announce(RequestChanged(decided))
    return decided


async def record_decision(unit: Unit, request: Request, now: datetime) -> None:
    """Put a request's decision on the audit chain."""
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


async def wish_to_draw(unit: Unit, request: Request, reason: str, now: datetime) -> None:
    """Ask the outbox to draw every card of ``request`` anew from the stored state."""
    cards = await unit.all(statements.CARDS_OF, request_number=request.number)
    live = [card for card in cards if card.state is not CardState.GONE]
    for card in live:
        await add_intent(
            unit, IntentKind.DRAW_CARD, f"card:{card.id}", now, reason=reason, request=request, card_id=card.id
        )


async def add_intent(
    unit: Unit, kind: IntentKind, lane: str, now: datetime, *, reason: str, request: Request | None,
    card_id: int | None = None,
) -> None:  # fmt: skip
    """Write to the outbox what is to be sent, in the transaction of its cause."""
    await unit.run(
        statements.INSERT_INTENT,
        kind=kind,
        lane=lane,
        request_number=request.number if request else None,
        card_id=card_id,
        reason=reason,
        created_at=now,
        due_at=now,
    )
    unit.announce(OutboxFilled())


def not_before(now: datetime, others: Iterable[datetime | None]) -> datetime:
    """Return ``now``, or the latest of ``others`` if the clock was set back behind it."""
    return max([now, *(at for at in others if at is not None)])
