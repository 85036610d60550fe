"""The targets of the steps that a plan took: what it takes to notify one, whom it writes to, and what became of it.

A target is settled once, and with it the intent that carried it out. If none of a step's targets reached anybody, the
step has failed and the plan goes on at once. Taking steps is ``bot.escalations``; nothing here is sent, or decides.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bot.changes import PlanMoved, StepTaken
from bot.clock import Clock
from bot.config import FrozenRule
from bot.config_plans import StepTable
from bot.decisions import wish_to_draw
from bot.escalation import Position, place_of, seat_index, step_at
from bot.events import EventType, append_event
from bot.plan_state import move_plan
from bot.rulebook import Rulebook
from store import statements, statements_escalation
from store.engine import Store
from store.escalation_tables import StepTarget, TakenStep
from store.tables import Intent, Request, Status
from store.unit import Unit
from store.vocabulary import StepState, TargetState


@dataclass(frozen=True, slots=True)
class StepToCarry:
    """One target of a step, with what it takes to notify it.

    ``rule`` is the request's as widened by now; ``planned`` is the step as the plan has it, None for the last reminder.
    ``joining``: the seats that people on call are to join by this step and have not yet, each with their table's name.
    """

    target: StepTarget
    step: TakenStep
    request: Request
    rule: FrozenRule
    planned: StepTable | None
    joining: tuple[tuple[str | None, str], ...] = ()


class StepTargets:
    """The use cases of whoever carries steps out."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook

    async def load(self, step_target_id: int) -> StepToCarry:
        """Load what it takes to notify one target of a step."""
        return await self._store.peek(partial(self._load, step_target_id=step_target_id))

    async def _load(self, unit: Unit, step_target_id: int) -> StepToCarry:
        target = await unit.one(statements_escalation.TARGET, target_id=step_target_id)
        step = await unit.one(statements_escalation.STEP, step_id=target.step_id) if target else None
        request = await unit.one(statements.REQUEST, number=step.request_number) if step else None
        rule = await self._rulebook.rule_of(unit, request) if request else None
        if target is None or step is None or request is None or rule is None or rule.plan is None:
            raise LookupError(f"there is no step target {step_target_id}")
        planned = step_at(rule.plan, Position(step.round, step.index, step.due_at))
        return StepToCarry(target, step, request, rule, planned, await self._joining(unit, request, planned))

    async def _joining(
        self, unit: Unit, request: Request, planned: StepTable | None
    ) -> tuple[tuple[str | None, str], ...]:
        wanted = [(one.seat, name) for one in (planned.widen if planned is not None else ()) for name in one.oncall]
        if not wanted:
            return ()
        rule = await self._rulebook.planned(unit, request)  # in the widened one a group may stand in several seats
        joined = await unit.all(statements_escalation.WIDENINGS_OF, request_number=request.number)
        known = {(one.seat, one.source) for one in joined}
        return tuple((seat, name) for seat, name in wanted if (seat_index(rule, seat), f"oncall:{name}") not in known)

    async def take_on(self, step: StepToCarry, people: Iterable[str]) -> frozenset[str]:
        """Return those of ``people`` whom this target is to write to; to the rest another of the step's targets does.

        Whoever asks first for somebody gets them, and gets them again when asking again.
        """
        wanted = dict.fromkeys(people)

        async def work(unit: Unit) -> frozenset[str]:
            place = {"step_id": step.step.id}
            for user_id in wanted:
                await unit.run(
                    statements_escalation.INSERT_NOTICE, **place, user_id=user_id, step_target_id=step.target.id
                )
            own = await unit.all(statements_escalation.NOTICES_OF_TARGET, **place, target_id=step.target.id)
            return frozenset(wanted).intersection(own)

        return await self._store.write(work) if wanted else frozenset()

    async def settle(
        self,
        step_target_id: int,
        state: TargetState,
        code: str | None = None,
        reached: str | None = None,
        *,
        intent: Intent | None = None,
    ) -> bool:
        """Record what became of a step's target, once. ``reached`` is JSON: user ids, or a channel.

        ``intent`` is finished with it, in the same transaction, if it is still leased to whoever claimed it; if its
        lease ran out, another carries it out, and nothing is recorded. Returns whether something was. When all targets
        of a step have failed while the request was pending, the step has, and the next becomes due at once, unless
        somebody is on it; the last reminder keeps its time.
        """

        async def work(unit: Unit) -> bool:
            if intent is not None and not await unit.run(
                statements.FINISH_INTENT, intent_id=intent.id, is_fence=intent.fence
            ):
                return False
            now = self._clock()
            target = await unit.one(
                statements_escalation.SETTLE_TARGET,
                target_id=step_target_id,
                state_=state,
                code_=code,
                reached_=reached,
                settled_at_=now,
            )
            if target is None:
                return False
            await _record_target(unit, target, now)
            targets = await unit.all(statements_escalation.TARGETS_OF_STEP, step_id=target.step_id)
            if all(one.state is TargetState.FAILED for one in targets):
                await self._fail(unit, targets, now)
            return True

        return await self._store.write(work)

    async def widen_by_oncall(
        self, step_id: int, seat: str | None, name: str, users: Iterable[str], usergroups: Iterable[str]
    ) -> bool:
        """Let the people on call, as they are now, decide a step's request too. Once: who is on call later does not.

        ``seat`` is as the plan's widening has it, ``name`` that of `[oncall.NAME]`. Returns whether that is news.
        Nothing changes for a request that is decided.
        """
        people, groups = tuple(dict.fromkeys(users)), tuple(dict.fromkeys(usergroups))

        async def work(unit: Unit) -> bool:
            step, request = await _load_step(unit, step_id)
            if request.status is not Status.PENDING or not (people or groups):
                return False
            now, index = self._clock(), seat_index(await self._rulebook.planned(unit, request), seat)
            if not await let_decide(unit, step, index, f"oncall:{name}", people, groups, now):
                return False
            await append_event(
                unit, now, EventType.SEAT_WIDENED, request,
                round=step.round, step=step.index, seat=index, source=f"oncall:{name}",
                users=", ".join(people) or None, usergroups=", ".join(groups) or None,
            )  # fmt: skip
            await wish_to_draw(unit, request, "widened", now)
            return True

        return await self._store.write(work)

    async def _fail(self, unit: Unit, targets: list[StepTarget], now: datetime) -> None:
        step_id = targets[0].step_id
        step, request = await _load_step(unit, step_id)
        if request.status is not Status.PENDING:  # nobody had to be notified any more: the step did not fail
            return
        if not await unit.run(statements_escalation.FAIL_STEP, step_id=step_id):
            return
        codes = dict.fromkeys(target.code for target in targets if target.code)
        await append_event(
            unit, now, EventType.STEP_FAILED, request, round=step.round, step=step.index, codes=", ".join(codes)
        )
        unit.announce(StepTaken(StepState.FAILED))
        await self._hurry(unit, request, step, now)
        await wish_to_draw(unit, request, "step_failed", now)

    async def _hurry(self, unit: Unit, request: Request, failed: TakenStep, now: datetime) -> None:
        """Make the step after a failed one due at once, if the plan still stands before it and nobody is on it."""
        place, plan = place_of(request), (await self._rulebook.planned(unit, request)).plan
        if place is None or plan is None or place.due_at <= now:
            return
        steps = await unit.all(statements_escalation.STEPS_OF, request_number=request.number)
        if steps[-1].id != failed.id or place.is_reminder_of(plan):
            return
        paused_until = await unit.one(statements_escalation.PAUSED_UNTIL, request_number=request.number)
        if paused_until is not None and paused_until > now:
            return
        if await move_plan(unit, request, Position(place.round, place.index, now)):
            unit.announce(PlanMoved(now))


async def _load_step(unit: Unit, step_id: int) -> tuple[TakenStep, Request]:
    step = await unit.one(statements_escalation.STEP, step_id=step_id)
    request = await unit.one(statements.REQUEST, number=step.request_number) if step else None
    if step is None or request is None:
        raise LookupError(f"there is no step {step_id}")
    return step, request


async def _record_target(unit: Unit, target: StepTarget, now: datetime) -> None:
    """Put on record what became of a target: whom it reached, or why it reached nobody."""
    step, request = await _load_step(unit, target.step_id)
    is_told = target.state is TargetState.NOTIFIED
    await append_event(
        unit, now, EventType.NOTIFICATION_SENT if is_told else EventType.NOTIFICATION_FAILED, request,
        kind="step", round=step.round, step=step.index, target=target.target, code=target.code,
        to=", ".join(_names(target.reached)) or None,
    )  # fmt: skip


def _names(reached: str | None) -> list[str]:
    found = json.loads(reached) if reached is not None else []
    return [str(one) for one in found] if isinstance(found, list) else [str(found)]


async def let_decide(
    unit: Unit, step: TakenStep, seat: int, source: str, users: Iterable[str], usergroups: Iterable[str], now: datetime
) -> bool:
    """Write down who may fill a seat from a step on; False if they might before."""
    return bool(
        await unit.run(
            statements_escalation.INSERT_WIDENING,
            request_number=step.request_number,
            step_id=step.id,
            seat=seat,
            source=source,
            users=json.dumps(list(users)),
            usergroups=json.dumps(list(usergroups)),
            at=now,
        )
    )
