"""Who is away, and who is told in their place.

A stand-in is told what is meant for the one who is away, as well; that gives no right to decide anything, and nothing
that judges people asks this room. One step only: if the stand-in is away too, theirs is not told.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot.clock import Clock
from bot.errors import FactsUnavailable, NotAMember, NotATime, UnfitStandIn
from bot.events import EventType, append_event
from bot.people import Facts
from bot.policy import barred
from store import statements_absences as statements
from store.engine import Store
from store.escalation_tables import Absence
from store.unit import Unit

LONGEST = timedelta(days=60)

_WHY_NOT = {
    "deactivated": "Their account is deactivated.",
    "bot": "A bot cannot stand in for a person.",
    "guest": "Guests cannot stand in for anybody.",
    "foreign_team": "They do not belong to this workspace.",
    "unknown_person": "Slack does not know them.",
}


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """How it stands with somebody: their own absence, that of their stand-in, and whom they stand in for."""

    own: Absence | None = None
    of_stand_in: Absence | None = None
    stands_in_for: tuple[Absence, ...] = ()


class Absences:
    """The use cases of being away."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def say(self, user_id: str, stand_in: str, until: datetime, facts: Facts) -> Whereabouts:
        """Be away until a time, in place of what was said before. ``facts`` are of both people.

        Raises ``NotAMember``, ``UnfitStandIn``, ``NotATime`` or ``FactsUnavailable``.
        """
        return await self._store.write(partial(self._say, user_id=user_id, stand_in=stand_in, until=until, facts=facts))

    async def end(self, user_id: str) -> Absence | None:
        """Be back. Returns the absence that this ends; None if there was none."""
        return await self._store.write(partial(self._end, user_id=user_id))

    async def whereabouts_of(self, user_id: str) -> Whereabouts:
        """Say how it stands with somebody."""

        async def work(unit: Unit) -> Whereabouts:
            return await _whereabouts(unit, user_id, self._clock())

        return await self._store.read(work)

    async def stand_ins(self, users: Collection[str]) -> dict[str, str]:
        """Return who is told as well now, by who of ``users`` is away."""
        return await self._store.read(lambda unit: stand_ins(unit, users, self._clock()))

    async def _say(self, unit: Unit, user_id: str, stand_in: str, until: datetime, facts: Facts) -> Whereabouts:
        now = self._clock()
        if not facts.are_fresh(now):
            raise FactsUnavailable("Slack could not be asked who you both are. Nothing changed; try again.")
        if no := barred(user_id, facts, now):
            raise NotAMember(f"{no.reason} So there is nothing to be away from.", code=no.code)
        if stand_in == user_id:
            raise UnfitStandIn("Nobody stands in for themselves. Name somebody else.", code="own_stand_in")
        if no := barred(stand_in, facts, now):
            why = _WHY_NOT.get(no.code, "")
            raise UnfitStandIn(
                f"They cannot stand in for you. {why} Name a member of this workspace.".replace("  ", " ")
            )
        if until <= now:
            raise NotATime("That time is over already.", code="time_is_over")
        if until > now + LONGEST:
            raise NotATime(f"That is more than {LONGEST.days} days ahead. Say a time before that.", code="time_too_far")
        await unit.run(statements.SAY_ABSENCE, user_id=user_id, stand_in_=stand_in, until_=until, said_at_=now)
        await append_event(unit, now, EventType.ABSENCE_SAID, user=user_id, stand_in=stand_in, until=until.isoformat())
        return await _whereabouts(unit, user_id, now)

    async def _end(self, unit: Unit, user_id: str) -> Absence | None:
        now = self._clock()
        ended = await unit.one(statements.END_ABSENCE, user_id=user_id, now=now)
        if ended is not None:
            await append_event(unit, now, EventType.ABSENCE_ENDED, user=user_id, stand_in=ended.stand_in)
        return ended


async def stand_ins(unit: Unit, users: Collection[str], now: datetime) -> dict[str, str]:
    """Return who is told in the place of those of ``users`` who are away: their stand-ins, by user.

    A stand-in who is away too is named all the same, and theirs is not: nobody asked for that. Whether a stand-in is
    still a member of the workspace is for whoever tells them.
    """
    away = await unit.all(statements.CURRENT_ABSENCES, now=now)
    return {absence.user_id: absence.stand_in for absence in away if absence.user_id in users}


async def _whereabouts(unit: Unit, user_id: str, now: datetime) -> Whereabouts:
    away = {absence.user_id: absence for absence in await unit.all(statements.CURRENT_ABSENCES, now=now)}
    own = away.get(user_id)
    return Whereabouts(
        own,
        None if own is None else away.get(own.stand_in),
        tuple(absence for absence in away.values() if absence.stand_in == user_id),
    )
