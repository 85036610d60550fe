"""The use cases of escalation: a plan's steps as they come due, what became of them, people who are on it.

One pass claims the requests whose plan goes on, moves each to its next place and writes down the step it left: whom it
notifies, as the plan names them, with an intent for each, and who may decide from now on. All of it in one transaction,
so that a step is taken once, whenever the process dies and however many of them sweep. Who is meant by a target is
asked when its intent is carried out. Nothing here decides a request.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from bot.batches import do_together
from bot.changes import PlanMoved, PlanStuck, StepTaken
from bot.claims import Claimed, take_claim
from bot.clock import Clock
from bot.config import FrozenRule
from bot.config_plans import StepTable
from bot.decisions import add_intent, wish_to_draw
from bot.escalation import (
    LATE,
    Position,
    is_skipped,
    next_position,
    place_of,
    seat_index,
    step_at,
    targets_at,
)
from bot.events import EventType, append_event, body_bytes
from bot.hearings import Act, Hearings
from bot.plan_state import move_plan
from bot.rulebook import Rulebook
from store import statements, statements_escalation
from store.engine import Store
from store.escalation_tables import StepTarget, TakenStep
from store.tables import Intent, IntentKind, Request, Status
from store.unit import Unit
from store.vocabulary import StepState, TargetState

BATCH = 25
"""Few, so that who votes or asks meanwhile waits for a few milliseconds; there are at most as many in a transaction."""
STUCK_FOR = timedelta(minutes=1)
"""When a plan that could not be moved on is looked at again."""
NOTIFIED_WITHIN = timedelta(minutes=5)
"""What a step tells people may be late by so much: Slack has its limits. From then on it counts as overdue."""
STILL_FOR = timedelta(seconds=5)
"""While plans stand still, how often it is looked whether they still must."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one pass did: the steps it took, and by number why some requests' plans could not be moved on."""

    steps: tuple[TakenStep, ...] = ()
    stuck: Mapping[int, Exception] = field(default_factory=dict)


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


def _never() -> bool:
    return False


class Escalations:
    """The use cases. ``slack_is_out`` says whether Slack as a whole is out: then plans stand still."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rulebook: Rulebook,
        hearings: Hearings,
        slack_is_out: Callable[[], bool] = _never,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._hearings = hearings
        self._slack_is_out = slack_is_out

    # --- the clock's ---

    async def sweep(self) -> Swept:
        """Take the steps that are due, at most ``BATCH``, one of each request, in one transaction.

        If one plan cannot be moved on, one by one; it is then left for ``STUCK_FOR`` and holds up nobody. While Slack
        is out nothing moves. Afterwards each plan goes on with the step that it stood at, and the next is counted from
        then: what was missed does not come down all at once.
        """
        if self._slack_is_out():
            return Swept()
        taken, stuck = await do_together(self._store, self._sweep, self._due, self._take_one)
        for number in stuck:
            await self._store.write(partial(self._leave, number=number))
        return Swept(tuple(taken), stuck)

    async def next_due(self) -> datetime | None:
        """Return when it is next worth sweeping; None while no plan goes on."""
        now = self._clock()
        due = await self._first_due(now)
        if due is not None and due <= now and self._slack_is_out():
            return now + STILL_FOR
        return due

    async def overdue_seconds(self) -> float:
        """Return for how many seconds the oldest step that is due has been waiting to be taken; 0 where none is.

        The step of a plan that is stuck waits since it was due, whenever the plan is looked at again. One that was
        taken is done when its targets are told: where that takes longer than ``NOTIFIED_WITHIN``, it waits again.
        """
        now = self._clock()

        async def work(unit: Unit) -> list[datetime]:
            due = await unit.one(statements_escalation.NEXT_STEP_DUE, now=now)
            stuck = await unit.one(statements_escalation.STUCK_SINCE, now=now)
            telling = await unit.one(statements_escalation.NOTIFYING_SINCE, now=now)
            return [at for at in (due, stuck, telling + NOTIFIED_WITHIN if telling else None) if at is not None]

        dues = await self._store.read(work)
        return max(0.0, (now - min(dues)).total_seconds()) if dues else 0.0

    async def _first_due(self, now: datetime) -> datetime | None:
        return await self._store.read(lambda unit: unit.one(statements_escalation.NEXT_STEP_DUE, now=now))

    async def _sweep(self, unit: Unit) -> list[TakenStep]:
        now = self._clock()
        due = await unit.all(statements_escalation.CLAIM_STEPS, now=now, limit=BATCH)
        return [step for one in due if (step := await self._take(unit, one, now)) is not None]

    async def _due(self) -> list[int]:
        now = self._clock()
        due = await self._store.read(lambda unit: unit.all(statements_escalation.DUE_STEPS, now=now, limit=BATCH))
        return [request.number for request in due]

    async def _take_one(self, unit: Unit, number: int) -> list[TakenStep]:
        now = self._clock()
        request = await unit.one(statements_escalation.CLAIM_STEP, number=number, now=now)
        step = await self._take(unit, request, now) if request is not None else None
        return [step] if step is not None else []

    async def _take(self, unit: Unit, request: Request, now: datetime) -> TakenStep | None:
        """Move a plan on and write the step down that it left. None if another was faster."""
        rule, place = await self._planned(unit, request), place_of(request)
        if place is None or rule.plan is None:
            raise LookupError(f"request {request.id} has no plan that goes on")
        plan, step = rule.plan, step_at(rule.plan, place)
        following = next_position(plan, place, request.created_at, request.deadline_at, taken_at=now)
        # One that comes late comes now, and its hours are for when people are told.
        skipped = step is not None and is_skipped(step, now if now - place.due_at > LATE else place.due_at)
        if not await move_plan(unit, request, following):
            return None
        taken = await unit.one(
            statements_escalation.INSERT_STEP,
            request_number=request.number,
            round=place.round,
            index=place.index,
            due_at=place.due_at,
            taken_at=now,
            state=StepState.SKIPPED if skipped else StepState.FIRED,
        )
        if taken is None:  # taken before; the plan only had to be moved on
            return None
        targets = () if skipped else tuple(dict.fromkeys(targets_at(plan, place)))
        widens: list[str] = []
        if not skipped:
            await self._notify(unit, request, taken, targets, now)
            widens = await self._widen(unit, request, rule, taken, step)
        await append_event(
            unit, now, EventType.STEP_SKIPPED if skipped else EventType.STEP_TAKEN, request,
            round=place.round, step=place.index, due_at=place.due_at.isoformat(),
            targets=", ".join(targets) or None, widens=", ".join(widens) or None,
        )  # fmt: skip
        await wish_to_draw(unit, request, "step", now)
        unit.announce(StepTaken(taken.state))
        return taken

    @staticmethod
    async def _notify(unit: Unit, request: Request, taken: TakenStep, targets: Iterable[str], now: datetime) -> None:
        for target in targets:
            target_id = await unit.one(statements_escalation.INSERT_TARGET, step_id=taken.id, target=target)
            await add_intent(
                unit, IntentKind.NOTIFY, f"step:{target_id}", now,
                reason="step", request=request, about=body_bytes({"step_target": target_id or 0}).decode(),
            )  # fmt: skip

    @staticmethod
    async def _widen(
        unit: Unit, request: Request, rule: FrozenRule, taken: TakenStep, step: StepTable | None
    ) -> list[str]:
        """Let the groups of a step decide; return those that did not before. On call: see ``widen_by_oncall``."""
        joined: list[str] = []
        for widening in step.widen if step is not None else ():
            seat = seat_index(rule, widening.seat)
            joined += [
                group.name
                for group in widening.groups
                if await _join(unit, taken, seat, group.name, group.users, group.usergroups, taken.taken_at)
            ]
        return joined

    async def _leave(self, unit: Unit, number: int) -> None:
        """Look again later at a plan that could not be moved on; it is stuck since its step was due first."""
        now = self._clock()
        request = await unit.one(statements_escalation.CLAIM_STEP, number=number, now=now)
        place = place_of(request) if request is not None else None
        if request is not None and place is not None:
            await move_plan(unit, request, Position(place.round, place.index, now + STUCK_FOR))
            await unit.run(
                statements_escalation.INSERT_STUCK,
                request_number=number,
                round=place.round,
                index=place.index,
                since=place.due_at,
            )
        unit.announce(PlanStuck())

    async def _planned(self, unit: Unit, request: Request) -> FrozenRule:
        """Return the rule as it was when the request was made: its plan, and its own seats."""
        if request.rule_id is None:
            raise LookupError(f"request {request.id} has no rule")
        return await self._rulebook.frozen(unit, request.rule_id)

    # --- whoever carries a step out ---

    async def step(self, step_target_id: int) -> StepToCarry:
        """The same as ``load_step``, in a snapshot of its own."""
        return await self._store.peek(lambda unit: self.load_step(unit, step_target_id))

    async def load_step(self, unit: Unit, step_target_id: int) -> StepToCarry:
        """Load what it takes to notify one target of a step."""
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
        rule = await self._planned(unit, request)  # in the widened one a group may stand in several seats
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
            step = await unit.one(statements_escalation.STEP, step_id=step_id)
            request = await unit.one(statements.REQUEST, number=step.request_number) if step else None
            if step is None or request is None:
                raise LookupError(f"there is no step {step_id}")
            if request.status is not Status.PENDING or not (people or groups):
                return False
            now, index = self._clock(), seat_index(await self._planned(unit, request), seat)
            if not await _join(unit, step, index, f"oncall:{name}", people, groups, now):
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
        step = await unit.one(statements_escalation.STEP, step_id=step_id)
        request = await unit.one(statements.REQUEST, number=step.request_number) if step else None
        if step is None or request is None:
            raise LookupError(f"there is no step {step_id}")
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
        place, plan = place_of(request), (await self._planned(unit, request)).plan
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

    # --- people's ---

    async def claim(self, number: int, act: Act) -> Claimed:
        """Say that somebody is on it: the next step waits for a while. Once a person.

        Whoever may decide may say so. Where there is no next step, or no more delay to be had, it is recorded all the
        same. Raises ``NotAgain``, ``NotYourDecision``, ``AlreadyDecided``, ``TooLate``, ``ClosedChannel``,
        ``UnknownRequest`` or ``FactsUnavailable``. A repeated ``act`` changes nothing.
        """
        return await self._hearings.hear(number, act, partial(take_claim, act=act))


async def _record_target(unit: Unit, target: StepTarget, now: datetime) -> None:
    """Put on record what became of a target: whom it reached, or why it reached nobody."""
    step = await unit.one(statements_escalation.STEP, step_id=target.step_id)
    request = await unit.one(statements.REQUEST, number=step.request_number) if step else None
    if step is None or request is None:
        raise LookupError(f"there is no step {target.step_id}")
    is_told = target.state is TargetState.NOTIFIED
    await append_event(
        unit, now, EventType.NOTIFICATION_SENT if is_told else EventType.NOTIFICATION_FAILED, request,
        kind="step", round=step.round, step=step.index, target=target.target, code=target.code,
        to=", ".join(_names(target.reached)) or None,
    )  # fmt: skip


def _names(reached: str | None) -> list[str]:
    found = json.loads(reached) if reached is not None else []
    return [str(one) for one in found] if isinstance(found, list) else [str(found)]


async def _join(
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
