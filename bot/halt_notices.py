"""Telling people that something was stopped, or goes on: who did it, why and until when. One message for a burst.

What changes a target leaves one wish to tell of it, until somebody takes that up; what is told is what is so by then,
and what ended since the wish was written. The owners of the agents that a stop touches are told, and of a stop of
everything the admins too; not who did all of it themselves. Nobody is told of the end of a time that was told.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from bot.events import body_bytes
from bot.halt_rights import Target, denies_too, touched
from bot.policy import Policy
from bot.wishes import add_intent
from store import statements_halts
from store import statements_pauses as sql
from store.tables import Halt, HaltScope, Intent, IntentKind
from store.unit import Unit

MOST_TOLD = 30
"""So many people hear of one change, admins first; the others see it on their Home tab and on cards."""


@dataclass(frozen=True, slots=True)
class HaltNotice:
    """A claimed intent with what is to be told. ``in_force`` stop ``target`` itself, the oldest first.

    ``ended`` did until lately, ``still`` are other pauses that deny calls of the same. ``people`` are to be told, the
    first of so many; ``left_out`` counts the others. Whether they are members in good standing is for who tells them.
    """

    intent: Intent
    target: Target
    in_force: tuple[Halt, ...]
    ended: tuple[Halt, ...]
    still: tuple[Halt, ...]
    people: tuple[str, ...]
    left_out: int


async def wish_to_tell(unit: Unit, target: Target, now: datetime) -> None:
    """Have people told of ``target``, in the transaction of what changed it."""
    lane = _lane(target)
    if not await unit.run(sql.HOLD_WAITING, lane=lane):
        about = body_bytes({"scope": target.scope.value, "name": target.name}).decode()
        await add_intent(unit, IntentKind.TELL_HALTED, lane, now, reason="halted", request=None, about=about)


async def load_notice(unit: Unit, intent: Intent, target: Target, policy: Policy, now: datetime) -> HaltNotice:
    """Gather what people are told of ``target``."""
    halts = await unit.all(sql.HALTS_LATELY, scope=target.scope, name=target.name, since=intent.created_at)
    in_force = tuple(one for one in halts if one.ended_at is None and (one.until is None or one.until > now))
    gone = [one for one in halts if one not in in_force]
    ended = tuple(one for one in gone if not any(_replaces(other, one) for other in halts))
    known = touched(target, policy.settings)
    everything = await unit.all(statements_halts.HALTS_IN_FORCE, now=now)
    mine = {one.id for one in in_force}
    still = tuple(one for one in everything if one.id not in mine and denies_too(one, target, known))
    actors = {one.user_id for one in in_force if one.at >= intent.created_at} | {one.ended_by for one in ended}
    owners = {owner for agent in known.agents for owner in policy.owners(agent)}
    admins = policy.admins if target.scope is HaltScope.ALL else frozenset[str]()
    everybody = [*sorted(admins), *sorted(owners - admins)]
    people = [user for user in everybody if actors != {user}]
    return HaltNotice(
        intent, target, in_force, ended, still, tuple(people[:MOST_TOLD]), max(len(people) - MOST_TOLD, 0)
    )


def _replaces(other: Halt, ended: Halt) -> bool:
    """Whether somebody put ``other`` in the place of their own pause."""
    follows = other.id > ended.id and other.at == ended.ended_at
    return follows and (other.user_id, other.effect) == (ended.user_id, ended.effect)


def _lane(target: Target) -> str:
    """A lane of each target's own, whatever the length of its name."""
    return f"halt:{sha256(f'{target.scope.value}:{target.name}'.encode()).hexdigest()[:32]}"
