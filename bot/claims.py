"""*I'm on it*: somebody who may decide says that they are looking, and the plan's next step waits for a while.

Nobody gains or loses a right by it, and it decides nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.changes import PlanMoved
from bot.decisions import wish_to_draw
from bot.errors import NotAgain
from bot.escalation import place_of, put_off
from bot.events import EventType, append_event
from bot.hearings import Act, Hearing, refuse_unless_open
from bot.plan_state import move_plan
from store import statements_escalation
from store.escalation_tables import Claim
from store.tables import Request
from store.unit import Unit


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim led to. ``next_at`` is when the plan goes on, None where it has ended; ``paused``: later for it."""

    request: Request
    next_at: datetime | None
    paused: bool


async def take_claim(unit: Unit, hearing: Hearing, act: Act) -> Claimed:
    """Write a claim down and put the next step off. See ``Escalations.claim``."""
    request, plan, now = hearing.request, hearing.rule.plan, hearing.now
    claims = await unit.all(statements_escalation.CLAIMS_OF, request_number=request.number)
    if hearing.is_repeat:
        own = next((one for one in claims if one.user_id == act.user_id), None)
        return Claimed(request, request.next_step_at, own is not None and own.paused_until > own.was_due_at)
    refuse_unless_open(request, now)
    hearing.refuse_unless_entitled(act.user_id)
    place = put = place_of(request)
    if place is not None and plan is not None:
        put = put_off(plan, place, request.created_at, request.deadline_at, now, _held_up(claims))
    was_due_at, paused_until = (place.due_at, put.due_at) if place is not None and put is not None else (now, now)
    if not await unit.run(
        statements_escalation.INSERT_CLAIM,
        request_number=request.number,
        user_id=act.user_id,
        at=now,
        was_due_at=was_due_at,
        paused_until=paused_until,
    ):
        raise NotAgain
    paused = paused_until > was_due_at
    if paused:
        await move_plan(unit, request, put)
        unit.announce(PlanMoved(paused_until))
    await append_event(
        unit, now, EventType.REQUEST_CLAIMED, request,
        user=act.user_id, team=act.team_id, surface=act.surface,
        paused_until=paused_until.isoformat() if paused else None,
    )  # fmt: skip
    await wish_to_draw(unit, request, "claimed", now)
    return Claimed(request, put.due_at if put is not None else None, paused)


def _held_up(claims: Iterable[Claim]) -> timedelta:
    """How long claims have held a plan up in all."""
    return sum((one.paused_until - one.was_due_at for one in claims), timedelta(0))
