"""What a person's act on a request is judged by: the request as it is, its frozen rule, its votes, and fresh facts.

Slack is asked before the transaction, about the actor and everybody whose vote counts; inside it all is read again. If
somebody else voted in between, Slack is asked once more. What an act leads to is for its use case; nothing is decided
here.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from bot.clock import Clock
from bot.config import FrozenRule
from bot.errors import (
    AlreadyDecided,
    ClosedChannel,
    FactsUnavailable,
    NotYourDecision,
    Refusal,
    TooLate,
    UnknownRequest,
)
from bot.people import Directory, Facts
from bot.policy import FORBIDDEN, Parties, Ruling, judge, reviewer_usergroups
from bot.rulebook import Rulebook
from store import statements, statements_instances
from store.engine import Store
from store.tables import Card, CardState, FullView, Place, Request, Status, Vote
from store.unit import Unit

T = TypeVar("T")

_PERSONS_REMEMBERED = 10_000
_VOTERS_IN_A_HURRY = 10  # how often others' votes may come between ours and what we know of the voters


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


@dataclass(frozen=True, slots=True)
class Hearing:
    """One act's moment inside its transaction. ``is_repeat``: the act was taken before and must do nothing.

    ``forbidden`` is what the configuration says of a call that it no longer allows, ``admins`` whom it names today.
    """

    request: Request
    rule: FrozenRule
    votes: tuple[Vote, ...]
    parties: Parties
    facts: Facts
    now: datetime
    forbidden: Ruling | None = None
    is_repeat: bool = False
    admins: frozenset[str] = frozenset()

    def refuse_unless_entitled(self, user_id: str) -> None:
        """Raise ``NotYourDecision`` for somebody who may not decide the request as things are now."""
        if self.forbidden is not None:
            raise NotYourDecision(self.forbidden.reason, code=FORBIDDEN)
        verdict = judge(user_id, self.rule, self.parties, self.facts, self.now)
        if not verdict.allowed:
            raise NotYourDecision(verdict.reason, code=verdict.code)


def refuse_unless_open(request: Request, now: datetime) -> None:
    """Raise ``AlreadyDecided`` or ``TooLate`` for a request that can no longer be decided."""
    if request.status is not Status.PENDING:
        raise AlreadyDecided(request)
    if now >= request.deadline_at:
        raise TooLate(request)


def is_pressable(card: Card) -> bool:
    """Whether there is something to press on a card: it stands in Slack, and is no reply."""
    return card.state is CardState.LIVE and card.place is not Place.THREAD


class _NotAtOnce(Exception):
    """More is needed than what is at hand. Nothing was written."""


class _UnknownVoters(_NotAtOnce):
    """Somebody voted since the facts were loaded, or may vote since; what Slack says of them is not among these."""


class Hearings:
    """Brings together what acts are judged by."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook, directory: Directory) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._directory = directory
        self._persons: dict[str, tuple[str | None]] = {}  # by instance; in a tuple, for most are made for nobody

    async def hear(
        self,
        number: int,
        act: Act,
        work: Callable[[Unit, Hearing], Awaitable[T | Refusal]],
        *,
        ballot: Ballot | None = None,
        also_groups: Iterable[str] = (),
    ) -> T:
        """Run ``work`` on a hearing of ``act`` in a transaction and return its result.

        ``ballot`` spares a look-up to whoever just read it; of ``also_groups``, user groups, Slack is asked too. A
        refusal that ``work`` returns is raised once what it wrote is committed; one that it raises undoes all. Raises
        ``ClosedChannel``, ``UnknownRequest``, ``AlreadyDecided`` for what no rule matched, ``FactsUnavailable``.
        """
        also = tuple(also_groups)
        for _ in range(_VOTERS_IN_A_HURRY):
            # Only to know whom to look up: all is read again, and judged, in the transaction.
            read = ballot or await self.ballot(number)
            ballot = None
            await self.refuse_closed_channel(read.rule, act.channel)
            voters = frozenset({act.user_id, *(vote.user_id for vote in read.votes)})
            facts = await self._directory.load_facts(voters, dict.fromkeys([*reviewer_usergroups(read.rule), *also]))
            try:
                done = await self._store.write(
                    partial(self._load_and_hold, number=number, act=act, work=work, facts=facts, asked=voters)
                )
            except _UnknownVoters:
                continue
            if isinstance(done, Refusal):
                raise done
            return done
        raise FactsUnavailable("Many people are voting at once. Nothing was decided by this press; try again.")

    async def hear_at_once(
        self,
        channel: str,
        ts: str,
        number: int,
        act: Act,
        work: Callable[[Unit, Hearing], Awaitable[T | Refusal]],
        suffices: Callable[[Ballot], bool],
    ) -> T | None:
        """Run ``work`` as ``hear`` does, on what is at hand: nothing is read beforehand, and nobody is asked.

        The act is a press on the message ``ts`` in ``channel``; that this is the live card of request ``number`` is
        seen in the transaction too, as is whether the channel is open to others. None if anything is missing or
        doubtful, or the ballot does not ``suffices``: then nothing was written, and the long way is to be gone, which
        says what is wrong. Raises what ``hear`` does otherwise. ``act.channel`` is not needed. ``work`` must refuse
        what is decided: what is at hand does not suffice to judge who decided it.
        """
        at_hand = self._directory.at_hand(act.user_id, self._rulebook.policy.usergroups, channel)
        if at_hand is None:
            return None
        facts, place = at_hand

        async def hold(unit: Unit) -> T | Refusal:
            card = await unit.one(statements.CARD_BY_MESSAGE, channel=channel, ts=ts)
            if card is None or not is_pressable(card) or card.request_number != number:
                raise _NotAtOnce
            ballot = await self.load(unit, number)
            is_ours = card.place is Place.DM or ballot.rule.external or (place is not None and not place.is_shared)
            if not is_ours or not suffices(ballot):
                raise _NotAtOnce
            # Nobody's vote is weighed again on what is decided: who comes late need not go the long way to hear so.
            is_pending = ballot.request.status is Status.PENDING
            settled = () if is_pending else (vote.user_id for vote in ballot.votes)
            return await self._hold(unit, act, work, facts, frozenset({act.user_id, *settled}), ballot)

        try:
            done = await self._store.write(hold)
        except _NotAtOnce:
            return None
        if isinstance(done, Refusal):
            raise done
        return done

    async def preview(self, number: int, user_id: str, channel: str | None, also_groups: Iterable[str] = ()) -> Hearing:
        """Return the hearing that an act of this person would get now, without holding it."""
        ballot = await self.ballot(number)
        await self.refuse_closed_channel(ballot.rule, channel)
        groups = dict.fromkeys([*reviewer_usergroups(ballot.rule), *also_groups])
        facts = await self._directory.load_facts({user_id}, groups)
        return await self._store.peek(lambda unit: self._gather(unit, ballot, facts))

    async def ballot(self, number: int) -> Ballot:
        """Return what is voted on. Raises ``UnknownRequest``, or ``AlreadyDecided`` where nobody could ever vote."""
        return await self._store.peek(lambda unit: self.load(unit, number))

    async def refuse_closed_channel(self, rule: FrozenRule, channel: str | None) -> None:
        """Raise ``ClosedChannel`` where ``channel`` is shared with another company and the rule does not allow it."""
        if channel is None or rule.external:
            return
        if (await self._directory.load_channel(channel)).is_shared:
            raise ClosedChannel

    async def load(self, unit: Unit, number: int) -> Ballot:
        """Load what people decide. Raises ``UnknownRequest``, or ``AlreadyDecided`` for what no rule matched."""
        request = await unit.one(statements.REQUEST, number=number)
        if request is None:
            raise UnknownRequest
        rule = await self._rulebook.rule_of(unit, request)
        if rule is None:  # denied because no rule matched: nobody could ever decide it
            raise AlreadyDecided(request)
        return Ballot(request, rule, tuple(await unit.all(statements.VOTES_OF, request_number=number)))

    async def _load_and_hold(
        self,
        unit: Unit,
        number: int,
        act: Act,
        work: Callable[[Unit, Hearing], Awaitable[T | Refusal]],
        facts: Facts,
        asked: frozenset[str],
    ) -> T | Refusal:
        return await self._hold(unit, act, work, facts, asked, await self.load(unit, number))

    async def _hold(
        self,
        unit: Unit,
        act: Act,
        work: Callable[[Unit, Hearing], Awaitable[T | Refusal]],
        facts: Facts,
        asked: frozenset[str],
        ballot: Ballot,
    ) -> T | Refusal:
        if not asked.issuperset(vote.user_id for vote in ballot.votes):
            raise _UnknownVoters
        if not (facts.groups.keys() | facts.unknown_groups).issuperset(reviewer_usergroups(ballot.rule)):
            raise _UnknownVoters  # a step of the plan let others decide in between
        is_new = await unit.run(statements.TAKE_ACT, id=act.id, user_id=act.user_id, at=self._clock())
        done = await work(unit, await self._gather(unit, ballot, facts, is_repeat=not is_new))
        if isinstance(done, Refusal) and is_new:
            # Committed, unlike one that is raised, but no act: the same form may come again with a right passcode.
            await unit.run(statements.FORGET_ACT, id=act.id)
        return done

    async def _person_of(self, unit: Unit, request: Request) -> str | None:
        """Return the person that a request's instance was made for. That is settled when the instance is made."""
        known = self._persons.get(request.instance_id)
        if known is None:
            instance = await unit.one(statements_instances.INSTANCE_BY_ID, instance_id=request.instance_id)
            if instance is None:
                raise LookupError(f"request {request.id} has no instance")
            if len(self._persons) >= _PERSONS_REMEMBERED:
                self._persons.clear()
            known = self._persons[instance.id] = (instance.person,)
        return known[0]

    async def _gather(self, unit: Unit, ballot: Ballot, facts: Facts, *, is_repeat: bool = False) -> Hearing:
        policy = self._rulebook.policy
        request = ballot.request
        return Hearing(
            request=request,
            rule=ballot.rule,
            votes=ballot.votes,
            parties=policy.parties(request.agent, await self._person_of(unit, request)),
            facts=facts,
            now=self._clock(),
            forbidden=policy.forbids(request.agent, request.tool),
            is_repeat=is_repeat,
            admins=policy.admins,
        )
