"""What is held ahead: votes that wait for a call, and denials that are remembered; and the lifting of such a vote.

Lifting takes a vote away and gives nobody anything, so who cast it may always do it, and any admin. A remembered denial
is ended by *Reopen* (``bot.memory``): for whoever could decide the request today.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.clock import Clock
from bot.decisions import wish_to_draw
from bot.errors import FactsUnavailable, NothingToLift, NotYourVote
from bot.events import EventType, append_event
from bot.hearings import Act
from bot.memory import REMEMBERED_FOR
from bot.people import Directory
from bot.policy import barred
from bot.reports import Reports, Row
from bot.rulebook import Rulebook
from bot.sight import Sight, Sights
from store import statements, statements_ahead, statements_held
from store.engine import Store
from store.tables import StandingVote
from store.unit import Unit


@dataclass(frozen=True, slots=True)
class HeldVote:
    """A vote that waits, with the request it was left on. ``may_lift``: whether the one who asks can lift it."""

    standing: StandingVote
    row: Row
    may_lift: bool


@dataclass(frozen=True, slots=True)
class HeldDenial:
    """A request whose denial its call would meet again until ``until``.

    ``votes_first``: a vote that the one who asks may see waits for the same call, and goes before the denial.
    """

    row: Row
    until: datetime
    votes_first: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """Some of what is held ahead and one person may see: ``votes`` and ``denials`` count all of it.

    The votes come first, each kind the newest first. ``untold``: see ``bot.sight``.
    """

    shown: tuple[HeldVote | HeldDenial, ...]
    votes: int
    denials: int
    offset: int = 0
    untold: int = 0

    @property
    def total(self) -> int:
        return self.votes + self.denials


NOTHING = Held((), 0, 0)


class Ahead:
    """The use cases."""

    def __init__(
        self, store: Store, clock: Clock, rulebook: Rulebook, directory: Directory, sights: Sights, reports: Reports
    ) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._directory = directory
        self._sights = sights
        self._reports = reports

    async def held(self, user_id: str, *, offset: int = 0, limit: int, own_votes: bool = False) -> Held:
        """Return what is held ahead, as far as one person may see it; one's own votes always.

        ``own_votes``: only these. Guests, bots and members of other teams see nothing. Raises ``FactsUnavailable``.
        """
        facts = await self._directory.load_facts({user_id}, ())
        if barred(user_id, facts, self._clock()) is not None:
            return NOTHING
        sight = await self._sights.of(user_id)
        now = self._clock()

        async def work(unit: Unit) -> Held:
            votes: Sequence[int]
            denials: Sequence[int] = ()
            if own_votes:
                votes = await unit.all(statements_held.OWN_VOTES_HELD, now=now, user=user_id)
            else:
                votes = await unit.all(
                    statements_held.votes_held(sight.filters), now=now, user=user_id, **sight.parameters
                )
                denials = await unit.all(
                    statements_held.denials_held(sight.filters), since=now - REMEMBERED_FOR, **sight.parameters
                )
            shown: list[HeldVote | HeldDenial] = [
                await self._vote(unit, one, user_id, sight) for one in votes[offset : offset + limit]
            ]
            first = max(offset - len(votes), 0)
            for number in denials[first : first + limit - len(shown)]:
                row, _ = await self._reports.row(unit, number)
                waits = await unit.all(statements_held.VOTES_HELD_FOR, now=now, number=number)
                until = (row.request.decided_at or now) + REMEMBERED_FOR
                shown.append(HeldDenial(row, until, not set(votes).isdisjoint(waits)))
            return Held(tuple(shown), len(votes), len(denials), offset, sight.untold)

        return await self._store.read(work)

    async def lift(self, standing_id: int, act: Act) -> StandingVote:
        """Take a vote away that waits for a call.

        Raises ``NotYourVote``, also for what does not exist, ``NothingToLift`` or ``FactsUnavailable``. A repeated
        ``act`` changes nothing.
        """
        facts = await self._directory.load_facts({act.user_id}, ())

        async def work(unit: Unit) -> StandingVote:
            now = self._clock()
            if not facts.are_fresh(now):
                raise FactsUnavailable
            if (no := barred(act.user_id, facts, now)) is not None:
                raise NotYourVote(no.reason, code=no.code)
            standing = await unit.one(statements_ahead.STANDING, id=standing_id)
            is_admin = act.user_id in self._rulebook.policy.admins
            if standing is None or (standing.user_id != act.user_id and not is_admin):
                raise NotYourVote
            if not await unit.run(statements.TAKE_ACT, id=act.id, user_id=act.user_id, at=now):
                return standing
            return await self._lift(unit, standing, act, now)

        return await self._store.write(work)

    @staticmethod
    async def _lift(unit: Unit, standing: StandingVote, act: Act, now: datetime) -> StandingVote:
        lifted = await unit.one(
            statements_held.LIFT_ONE, standing_id=standing.id, now=now, lifted_at_=max(now, standing.granted_at)
        )
        if lifted is None:
            if standing.taken_by is not None:
                raise NothingToLift(f"It was counted on #{standing.taken_by} already.", code="vote_taken")
            raise NothingToLift
        origin = await unit.one(statements.REQUEST, number=standing.request_number)
        await append_event(
            unit, now, EventType.STANDING_LIFTED, origin, standing=standing.id, user=standing.user_id,
            by=act.user_id, team=act.team_id, surface=act.surface, code="lifted",
        )  # fmt: skip
        if origin is not None:
            await wish_to_draw(unit, origin, "standing_lifted", now)
        return lifted

    async def _vote(self, unit: Unit, standing_id: int, user_id: str, sight: Sight) -> HeldVote:
        standing = await unit.one(statements_ahead.STANDING, id=standing_id)
        if standing is None:
            raise LookupError(f"standing vote {standing_id} is not there")
        row, redacted = await self._reports.row(unit, standing.request_number)
        return HeldVote(redacted.noted(standing), row, sight.is_admin or standing.user_id == user_id)
