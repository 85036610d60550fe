"""Where a request's plan stands, as cards show it, and moving it on.

A plan's place is in the request's row, and every change of it names the place it leaves: whoever else moved the plan
on, or decided the request, was faster then.
"""

from dataclasses import dataclass

from bot.config import FrozenRule, Plan
from bot.config_plans import StepTable
from bot.escalation import Position, columns_of, place_of, step_at
from store import statements_escalation
from store.escalation_tables import Claim, StepTarget, TakenStep
from store.tables import Request
from store.unit import Unit


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was taken, with what became of its targets."""

    step: TakenStep
    targets: tuple[StepTarget, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanState:
    """What a plan did so far, and what comes next: None where nothing does. Oldest first.

    Of a request in a list only ``next`` is told.
    """

    plan: Plan
    next: Position | None
    claims: tuple[Claim, ...] = ()
    taken: tuple[Taken, ...] = ()

    @property
    def next_step(self) -> StepTable | None:
        """What comes next, as the plan has it; None where nothing does, and for the last reminder."""
        return step_at(self.plan, self.next) if self.next is not None else None


async def load_plan_state(
    unit: Unit, request: Request, rule: FrozenRule | None, *, whole: bool = True
) -> PlanState | None:
    """Return where the plan of a request stands; None where its rule has none. ``whole``: with what was done so far."""
    if rule is None or rule.plan is None:
        return None
    following = place_of(request)
    if not whole:
        return PlanState(rule.plan, following)
    number = request.number
    targets = await unit.all(statements_escalation.TARGETS_OF_REQUEST, request_number=number)
    taken = [
        Taken(step, tuple(target for target in targets if target.step_id == step.id))
        for step in await unit.all(statements_escalation.STEPS_OF, request_number=number)
    ]
    claims = await unit.all(statements_escalation.CLAIMS_OF, request_number=number)
    return PlanState(rule.plan, following, tuple(claims), tuple(taken))


async def move_plan(unit: Unit, request: Request, to: Position | None) -> bool:
    """Move a plan from the place at which ``request`` was read; False if another was faster."""
    return bool(
        await unit.run(
            statements_escalation.MOVE_PLAN,
            number=request.number,
            is_round=request.step_round,
            is_index=request.step_index,
            is_due_at=request.next_step_at,
            **{f"{column}_": value for column, value in columns_of(to).items()},
        )
    )
