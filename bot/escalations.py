"""The use cases of escalation: a plan's steps as they come due, people who are on it.

One pass claims the requests whose plan goes on, moves each to its next place and writes down the step it left: whom it
notifies, as the plan names them, with an intent for each, and who may decide from now on. All of it in one transaction,
so that a step is taken once, whenever the process dies and however many of them sweep. Who is meant by a target is
asked when its intent is carried out (``bot.step_targets``). Nothing here decides a request.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from bot.batches import do_together
from bot.changes import PlanStuck, StepTaken
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
from bot.step_targets import let_decide
from store import statements_escalation
from store.engine import Store
from store.escalation_tables import TakenStep
from store.tables import IntentKind, Request
from store.unit import Unit
from store.vocabulary import StepState

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
        rule, place = await self._rulebook.planned(unit, request), place_of(request)
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
            widens = await self._widen(unit, rule, taken, step)
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
    async def _widen(unit: Unit, rule: FrozenRule, taken: TakenStep, step: StepTable | None) -> list[str]:
        """Let the groups of a step decide; return those that did not before. People on call join later."""
        joined: list[str] = []
        for widening in step.widen if step is not None else ():
            seat = seat_index(rule, widening.seat)
            joined += [
                group.name
                for group in widening.groups
                if await let_decide(unit, taken, seat, group.name, group.users, group.usergroups, taken.taken_at)
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

    # --- people's ---

    async def claim(self, number: int, act: Act) -> Claimed:
        """Say that somebody is on it: the next step waits for a while. Once a person.

        Whoever may decide may say so. Where there is no next step, or no more delay to be had, it is recorded all the
        same. Raises ``NotAgain``, ``NotYourDecision``, ``AlreadyDecided``, ``TooLate``, ``ClosedChannel``,
        ``UnknownRequest`` or ``FactsUnavailable``. A repeated ``act`` changes nothing.
        """
        return await self._hearings.hear(number, act, partial(take_claim, act=act))
