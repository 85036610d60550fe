"""Pausing and resuming agents, rules and everything, and stopping a rule that approves by itself.

While something is paused its new calls are denied and no approval of it is used (``bot.halted`` and the statement that
uses one see to that); a stopped rule asks people. Stopping is easy and undoing it is not: reviewers of any rule that is
touched may stop, admins may stop all, owners their own agents. Whoever resumes needs at least the rank of who paused,
and an owner never undoes what somebody else stopped. Several may stop the same thing, each for themselves.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from bot.changes import HaltsChanged
from bot.clock import Clock
from bot.digests import wish_to_draw_digest
from bot.errors import (
    AlreadyHalted,
    FactsUnavailable,
    NotATime,
    NotHalted,
    NotYourPause,
    ReasonMissing,
    UnknownTarget,
)
from bot.events import EventType, append_event, commit
from bot.halt_notices import wish_to_tell
from bot.halt_rights import EVERYTHING, STOPPERS, Right, Target, Touched, denies_too, right_over, touched, why_not_end
from bot.halted import name_of
from bot.hearings import Act
from bot.overrides import is_reason
from bot.pause_draws import wish_to_draw_paused
from bot.people import Directory
from bot.policy import barred
from bot.rulebook import Rulebook
from store import statements, statements_halts
from store.engine import Store
from store.tables import Halt, HaltEffect, HaltScope
from store.unit import Unit

T = TypeVar("T")

MAX_REASON = 1000
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Resumed:
    """What resuming came to: what it ended, and what others stopped that goes on.

    ``still``: other pauses that deny calls of the same, such as one of everything beside one of an agent.
    """

    ended: tuple[Halt, ...]
    left: tuple[Halt, ...] = ()
    still: tuple[Halt, ...] = ()


class Halts:
    """The use cases."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook, directory: Directory) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._directory = directory

    # --- what people do ---

    async def pause(self, target: Target, act: Act, reason: str, until: datetime | None = None) -> Halt:
        """Deny the calls of ``target`` from now on, until it is resumed or ``until``.

        Who paused it before replaces their own pause. Raises ``NotYourPause``, ``UnknownTarget``, ``ReasonMissing``,
        ``NotATime``, ``AlreadyHalted`` or ``FactsUnavailable``. A repeated ``act`` changes nothing.
        """
        return await self._act(target, act, reason, partial(self._begin, effect=HaltEffect.DENY, until=until))

    async def resume(self, target: Target, act: Act, reason: str, effect: HaltEffect | None = None) -> Resumed:
        """Let ``target`` go on: end whatever stops it, or only what does to ``effect``, that this person may end.

        Raises ``NotHalted``, ``NotYourPause`` where they may end nothing of it, ``ReasonMissing`` or
        ``FactsUnavailable``. A repeated ``act`` changes nothing.
        """
        return await self._act(target, act, reason, partial(self._end, effect=effect))

    async def stop_rule(self, rule: str, act: Act, reason: str) -> Halt:
        """Let a rule that approves by itself ask people from now on, until ``resume``. Raises as ``pause`` does."""
        target = Target(HaltScope.RULE, rule)
        return await self._act(target, act, reason, partial(self._begin, effect=HaltEffect.ASK, until=None))

    async def refuse_stranger(self, user_id: str) -> None:
        """Raise ``NotYourPause`` for somebody who may stop nothing at all, by what Slack says of them."""
        if no := barred(user_id, await self._directory.load_facts({user_id}, ()), self._clock()):
            raise NotYourPause(no.reason, code=no.code)

    # --- what is stopped ---

    async def in_force(self) -> list[Halt]:
        """Return everything that is stopped now, the oldest first."""
        return await self._store.read(lambda unit: unit.all(statements_halts.HALTS_IN_FORCE, now=self._clock()))

    async def in_force_for(self, user_id: str) -> list[Halt]:
        """Return what of it somebody could have stopped themselves. Raises ``NotYourPause``, ``FactsUnavailable``."""
        policy = self._rulebook.policy
        facts = await self._directory.load_facts({user_id}, touched(EVERYTHING, policy.settings).usergroups)
        if no := barred(user_id, facts, self._clock()):
            raise NotYourPause(no.reason, code=no.code)

        def concerns(halt: Halt) -> bool:
            known = touched(Target(halt.scope, halt.name), policy.settings)
            right = right_over(user_id, known, policy, facts)
            return right.rank is not None or right.owns

        return [halt for halt in await self.in_force() if concerns(halt)]

    async def count(self, effect: HaltEffect) -> int:
        """Count what is stopped now to this effect."""

        async def work(unit: Unit) -> int | None:
            return await unit.one(statements_halts.HALT_COUNT, effect=effect, now=self._clock())

        return await self._store.read(work) or 0

    # --- the clock ---

    async def next_due(self) -> datetime | None:
        """Return when a timed pause next ends; None when none will."""
        return await self._store.read(lambda unit: unit.one(statements_halts.NEXT_HALT_OVER))

    async def sweep(self) -> Sequence[Halt]:
        """Write down the end of timed pauses, which counts since their time. Returns those that this ended."""

        async def work(unit: Unit) -> list[Halt]:
            now = self._clock()
            over = await unit.all(statements_halts.HALTS_OVER, now=now)
            return [await _end_halt(unit, halt, now, "time_over") for halt in over]

        return await self._store.write(work)

    # --- inside ---

    async def _act(self, target: Target, act: Act, reason: str, work: "Callable[[Unit, _Case], Awaitable[T]]") -> T:
        """Judge an act by what Slack says now, and do ``work`` in a transaction."""
        why = _checked(reason)
        wanted = touched(target, self._rulebook.policy.settings).usergroups
        facts = await self._directory.load_facts({act.user_id}, wanted)

        async def transaction(unit: Unit) -> T:
            now = self._clock()
            for over in await unit.all(statements_halts.HALTS_OVER, now=now):
                await _end_halt(unit, over, now, "time_over")
            policy = self._rulebook.policy
            known = touched(target, policy.settings)
            if not facts.are_fresh(now) or not (facts.groups.keys() | facts.unknown_groups) >= known.usergroups:
                raise FactsUnavailable("Slack could not be asked who may do that. Nothing changed; try again.")
            if no := barred(act.user_id, facts, now):
                raise NotYourPause(no.reason, code=no.code)
            halts = await unit.all(statements_halts.HALTS_OF, scope=target.scope, name=target.name, now=now)
            is_new = await unit.run(statements.TAKE_ACT, id=act.id, user_id=act.user_id, at=now)
            right = right_over(act.user_id, known, policy, facts)
            if right.rank is None and not facts.unknown_groups.isdisjoint(known.usergroups):
                raise FactsUnavailable("Slack could not be asked who is in the reviewers' user groups. Try again.")
            return await work(unit, _Case(target, known, act, why, right, tuple(halts), now, not is_new))

        return await self._store.write(transaction)

    @staticmethod
    async def _begin(unit: Unit, case: "_Case", effect: HaltEffect, until: datetime | None) -> Halt:
        target, act, now = case.target, case.act, case.now
        alike = [halt for halt in case.halts if halt.effect is effect]
        own = next((halt for halt in alike if halt.user_id == act.user_id), None)
        if case.is_repeat:
            if own is None:
                raise NotHalted(f"You stopped that before, and {target} goes on again since. Nothing changed.")
            return own
        if not case.touched.is_known:
            raise UnknownTarget(f"There is no {target.scope} {target.name} in the configuration.")
        rank = case.right.rank
        if rank is None:
            raise NotYourPause(STOPPERS[target.scope])
        if until is not None and until <= now:
            raise NotATime("That time is over already.", code="time_is_over")
        if effect is HaltEffect.ASK:
            if alike:
                raise AlreadyHalted(f"{target} asks people already: it was stopped. Nothing changed.")
            if any(rule.stage != "autonomous" for rule in case.touched.rules):
                raise AlreadyHalted(f"{target} asks people anyway. Nothing changed.", code="rule_asks")
        if own is not None:
            if why_not_end(own, act.user_id, case.right) is not None:
                raise AlreadyHalted("You paused it before, on a right that you no longer have. That pause goes on.")
            await _end_halt(unit, own, now, "replaced", act.user_id, case.reason)
        begun = await unit.one(
            statements_halts.INSERT_HALT,
            effect=effect, scope=target.scope, name=target.name, user_id=act.user_id, team_id=act.team_id, rank=rank,
            reason=case.reason, salt=os.urandom(_SALT_BYTES), at=now, until=until,
        )  # fmt: skip
        if begun is None:
            raise LookupError("a halt was written and not returned")
        await append_event(
            unit, now, EventType.HALT_BEGUN,
            halt=begun.id, effect=effect.value, scope=target.scope.value, name=target.name or None,
            user=act.user_id, team=act.team_id, surface=act.surface, rank=rank.value,
            until=until.isoformat() if until else None, reason=commit(begun.salt, case.reason.encode()),
        )  # fmt: skip
        unit.announce(HaltsChanged(until))
        await wish_to_draw_paused(unit, begun, now)
        if target.scope is HaltScope.RULE:
            await wish_to_draw_digest(unit, target.name, "halted", now)
        await wish_to_tell(unit, target, now)
        return begun

    @staticmethod
    async def _end(unit: Unit, case: "_Case", effect: HaltEffect | None) -> Resumed:
        act, now = case.act, case.now
        halts = [halt for halt in case.halts if effect is None or halt.effect is effect]
        if case.is_repeat:
            return Resumed((), tuple(halts))
        if not halts:
            if not case.touched.is_known:
                raise UnknownTarget(f"There is no {case.target.scope} {case.target.name} in the configuration.")
            in_force = await unit.all(statements_halts.HALTS_IN_FORCE, now=now)
            raise NotHalted(_why_none(case, [halt for halt in in_force if denies_too(halt, case.target, case.touched)]))
        kept = [(halt, why) for halt in halts if (why := why_not_end(halt, act.user_id, case.right))]
        left = tuple(halt for halt, _ in kept)
        if len(left) == len(halts):
            raise kept[0][1]
        ended = [
            await _end_halt(unit, halt, now, "resumed", act.user_id, case.reason) for halt in halts if halt not in left
        ]
        await wish_to_tell(unit, case.target, now)
        gone = {halt.id for halt in ended} | {halt.id for halt in left}
        in_force = await unit.all(statements_halts.HALTS_IN_FORCE, now=now)
        still = (halt for halt in in_force if halt.id not in gone and denies_too(halt, case.target, case.touched))
        return Resumed(tuple(ended), left, tuple(still))


def _why_none(case: "_Case", others: Sequence[Halt]) -> str:
    """Say that nothing stops a target itself; and what else denies its calls, which is to be resumed in its place."""
    if case.target == EVERYTHING:
        told = "Not everything is paused" if others else "Nothing is paused"
    else:
        told = f"{case.target} is not paused or stopped{' by itself' if others else ''}"
    names = dict.fromkeys(name_of(one.scope, one.name) for one in others)
    return f"{told}{''.join(f'; {name[0].lower()}{name[1:]} is paused' for name in names)}."


async def _end_halt(
    unit: Unit, halt: Halt, now: datetime, code: str, user_id: str | None = None, reason: str | None = None
) -> Halt:
    """End a halt and put that on record; one that another ended first is left as it is."""
    ended_at = now if user_id is not None or halt.until is None else halt.until
    ended = await unit.one(
        statements_halts.END_HALT, halt_id=halt.id, ended_at_=ended_at, ended_by_=user_id, end_reason_=reason
    )
    if ended is None:
        return halt
    await append_event(
        unit, now, EventType.HALT_ENDED,
        halt=halt.id, effect=halt.effect.value, scope=halt.scope.value, name=halt.name or None, user=user_id, code=code,
        reason=commit(halt.salt, reason.encode()) if reason is not None else None,
    )  # fmt: skip
    unit.announce(HaltsChanged(None))
    await wish_to_draw_paused(unit, ended, now)
    if halt.scope is HaltScope.RULE:
        await wish_to_draw_digest(unit, halt.name, "resumed", now)
    return ended


@dataclass(frozen=True, slots=True)
class _Case:
    """One act's moment inside its transaction. ``halts``: what stops the very same target now."""

    target: Target
    touched: Touched
    act: Act
    reason: str
    right: Right
    halts: tuple[Halt, ...]
    now: datetime
    is_repeat: bool


def _checked(reason: str) -> str:
    """Return a reason on one line. Raises ``ReasonMissing``."""
    said = " ".join(reason.split())
    if not is_reason(said):
        raise ReasonMissing
    if len(said) > MAX_REASON:
        raise ReasonMissing(
            f"That reason has more than {MAX_REASON:,} characters. Nothing changed.", code="reason_too_long"
        )
    return said
