"""The statements about escalation: steps taken, their targets, widened seats, claims.

The conventions are those of ``store.statements``.
"""

from sqlalchemy import bindparam, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import SQLModel

from store import escalation_tables as e
from store import tables as t
from store.compiled import Statement
from store.parameters import given, param, set_to
from store.statements import lean_request, outbox, requests
from store.vocabulary import StepState, TargetState

taken_steps = SQLModel.metadata.tables["taken_steps"]
step_targets = SQLModel.metadata.tables["step_targets"]
seat_widenings = SQLModel.metadata.tables["seat_widenings"]
claims = SQLModel.metadata.tables["claims"]
step_notices = SQLModel.metadata.tables["step_notices"]
stuck_plans = SQLModel.metadata.tables["stuck_plans"]


_now = param("now", requests.c.created_at)
_this = requests.c.number == param("number", requests.c.number)
# Spelled out rather than bound, so that SQLite sees that the partial index serves. What is past its deadline takes no
# step any more, whether it was swept yet or not.
_steps_on = (text("requests.next_step_at IS NOT NULL"), requests.c.deadline_at > _now)
_is_due = (*_steps_on, requests.c.status == t.Status.PENDING, requests.c.next_step_at <= _now)

# --- plans that go on -------------------------------------------------------------------------------------

# Changes nothing: whoever claims them moves them on in the same unit, and no two units write at once. No FOR UPDATE: a
# subquery with it may be run again for each row, and then takes more than the limit.
CLAIM_STEPS = Statement(
    update(requests)
    .where(
        requests.c.number.in_(
            select(requests.c.number)
            .where(*_is_due)
            .order_by(requests.c.next_step_at, requests.c.number)
            .limit(bindparam("limit"))
            .scalar_subquery()
        ),
        *_is_due,
    )
    .values(step_round=requests.c.step_round)
    .returning(*lean_request),
    t.Request,
)
DUE_STEPS = Statement(
    select(*lean_request)
    .where(*_is_due)
    .order_by(requests.c.next_step_at, requests.c.number)
    .limit(bindparam("limit")),
    t.Request,
)
CLAIM_STEP = Statement(
    update(requests).where(_this, *_is_due).values(step_round=requests.c.step_round).returning(*lean_request),
    t.Request,
)
NEXT_STEP_DUE = Statement(
    select(requests.c.next_step_at).where(*_steps_on).order_by(requests.c.next_step_at).limit(1), lambda at: at
)
# Once for a place: it is stuck since it first was.
INSERT_STUCK = Statement(upsert(stuck_plans).values(given(stuck_plans)).on_conflict_do_nothing())
STUCK_SINCE = Statement(
    select(func.min(stuck_plans.c.since))
    .join(requests, requests.c.number == stuck_plans.c.request_number)
    .where(
        *_steps_on,
        requests.c.status == t.Status.PENDING,
        requests.c.step_round == stuck_plans.c.round,
        requests.c.step_index == stuck_plans.c.index,
    ),
    lambda since: since,
)
# Since when the oldest target of a step waits whose request does, too. The outbox is short, and has it by its kind.
NOTIFYING_SINCE = Statement(
    select(func.min(outbox.c.created_at))
    .join(requests, requests.c.number == outbox.c.request_number)
    .where(outbox.c.kind == t.IntentKind.NOTIFY, requests.c.status == t.Status.PENDING, requests.c.deadline_at > _now),
    lambda since: since,
)
# Names the place it leaves: whoever else moved the plan on, or decided the request, was faster.
MOVE_PLAN = Statement(
    update(requests)
    .where(
        _this,
        requests.c.status == t.Status.PENDING,
        requests.c.step_round == param("is_round", requests.c.step_round),
        requests.c.step_index == param("is_index", requests.c.step_index),
        requests.c.next_step_at == param("is_due_at", requests.c.next_step_at),
    )
    .values(
        set_to(requests, "next_step_at", "step_round", "step_index"),
    )
)

# --- steps and their targets ------------------------------------------------------------------------------

# Returns nothing for a place whose step was taken before.
INSERT_STEP = Statement(
    upsert(taken_steps)
    .values(given(taken_steps, "id"))
    .on_conflict_do_nothing(index_elements=["request_number", "round", "index"])
    .returning(taken_steps),
    e.TakenStep,
)
STEP = Statement(select(taken_steps).where(taken_steps.c.id == param("step_id", taken_steps.c.id)), e.TakenStep)
STEPS_OF = Statement(
    select(taken_steps)
    .where(taken_steps.c.request_number == param("request_number", taken_steps.c.request_number))
    .order_by(taken_steps.c.id),
    e.TakenStep,
)
FAIL_STEP = Statement(
    update(taken_steps)
    .where(taken_steps.c.id == param("step_id", taken_steps.c.id), taken_steps.c.state == StepState.FIRED)
    .values(state=StepState.FAILED)
)
INSERT_TARGET = Statement(
    insert(step_targets)
    .values(
        step_id=param("step_id", step_targets.c.step_id),
        target=param("target", step_targets.c.target),
        state=TargetState.WAITING,
    )
    .returning(step_targets.c.id),
    int,
)
TARGET = Statement(select(step_targets).where(step_targets.c.id == param("target_id", step_targets.c.id)), e.StepTarget)
TARGETS_OF_STEP = Statement(
    select(step_targets)
    .where(step_targets.c.step_id == param("step_id", step_targets.c.step_id))
    .order_by(step_targets.c.id),
    e.StepTarget,
)
TARGETS_OF_REQUEST = Statement(
    select(step_targets)
    .join(taken_steps, taken_steps.c.id == step_targets.c.step_id)
    .where(taken_steps.c.request_number == param("request_number", taken_steps.c.request_number))
    .order_by(step_targets.c.id),
    e.StepTarget,
)
# Once: what is settled stays so, whoever comes late.
SETTLE_TARGET = Statement(
    update(step_targets)
    .where(step_targets.c.id == param("target_id", step_targets.c.id), step_targets.c.state == TargetState.WAITING)
    .values(set_to(step_targets, "state", "code", "reached", "settled_at"))
    .returning(step_targets),
    e.StepTarget,
)

# Once for a person and step: the target that comes first.
INSERT_NOTICE = Statement(upsert(step_notices).values(given(step_notices)).on_conflict_do_nothing())
NOTICES_OF_TARGET = Statement(
    select(step_notices.c.user_id).where(
        step_notices.c.step_id == param("step_id", step_notices.c.step_id),
        step_notices.c.step_target_id == param("target_id", step_notices.c.step_target_id),
    ),
    str,
)

# --- widened seats ----------------------------------------------------------------------------------------

INSERT_WIDENING = Statement(
    upsert(seat_widenings)
    .values(given(seat_widenings, "id"))
    .on_conflict_do_nothing(index_elements=["request_number", "seat", "source"])
)
WIDENINGS_OF = Statement(
    select(seat_widenings)
    .where(seat_widenings.c.request_number == param("request_number", seat_widenings.c.request_number))
    .order_by(seat_widenings.c.id),
    e.SeatWidening,
)

# --- claims -----------------------------------------------------------------------------------------------

# Touches a row only the first time that a person claims a request.
INSERT_CLAIM = Statement(upsert(claims).values(given(claims)).on_conflict_do_nothing())
CLAIMS_OF = Statement(
    select(claims)
    .where(claims.c.request_number == param("request_number", claims.c.request_number))
    .order_by(claims.c.at, claims.c.user_id),
    e.Claim,
)
PAUSED_UNTIL = Statement(
    select(func.max(claims.c.paused_until)).where(
        claims.c.request_number == param("request_number", claims.c.request_number)
    ),
    lambda at: at,
)
