"""The tables of escalation: steps taken, whom they notified, who joined a seat, who is on it, who is away; stuck plans.

The same conventions as in ``store.tables``: each thing a frozen record and a table, times aware UTC.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Text
from sqlmodel import Field

from store.columns import BIG, Record
from store.types import UtcDateTime, word
from store.vocabulary import StepState, TargetState


class TakenStep(Record):
    """One step of a request's plan, written when it was due: fired or skipped. Never twice for one round and index.

    ``index`` counts the plan's steps from 0; the last reminder before the deadline has that of the step after the last.
    """

    id: int = Field(default=None, primary_key=True, sa_type=BIG)
    request_number: int = Field(sa_type=BIG, sa_column_args=[ForeignKey("requests.number")])
    round: int
    index: int
    due_at: datetime = Field(sa_type=UtcDateTime)
    taken_at: datetime = Field(sa_type=UtcDateTime)
    state: StepState = Field(sa_type=word(StepState))


class TakenStepTable(TakenStep, table=True):
    __tablename__ = "taken_steps"
    __table_args__ = (Index("uq_taken_steps_place", "request_number", "round", "index", unique=True),)


class StepTarget(Record):
    """One target of a step, as the plan names it (``target``), and what became of it. ``code`` says why it failed.

    ``reached`` names those it was resolved to, as JSON: user ids, or a channel.
    """

    id: int = Field(default=None, primary_key=True, sa_type=BIG)
    step_id: int = Field(sa_type=BIG, sa_column_args=[ForeignKey("taken_steps.id")])
    target: str = Field(max_length=100)
    state: TargetState = Field(sa_type=word(TargetState))
    code: str | None = Field(default=None, max_length=75)
    reached: str | None = Field(default=None, sa_type=Text)
    settled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class StepTargetTable(StepTarget, table=True):
    __tablename__ = "step_targets"
    __table_args__ = (Index("ix_step_targets_step", "step_id"),)


class StepNotice(Record):
    """Who is written to because of a step, beside the cards: by one of its targets, however many of them mean them."""

    step_id: int = Field(primary_key=True, sa_type=BIG, sa_column_args=[ForeignKey("taken_steps.id")])
    user_id: str = Field(primary_key=True, max_length=32)
    step_target_id: int = Field(sa_type=BIG, sa_column_args=[ForeignKey("step_targets.id")])


class StepNoticeTable(StepNotice, table=True):
    __tablename__ = "step_notices"


class StuckPlan(Record):
    """A place of a request's plan from which the plan could not be moved on, and since when it should have been.

    It says so for as long as the request stands at that place.
    """

    request_number: int = Field(primary_key=True, sa_type=BIG, sa_column_args=[ForeignKey("requests.number")])
    round: int = Field(primary_key=True)
    index: int = Field(primary_key=True)
    since: datetime = Field(sa_type=UtcDateTime)


class StuckPlanTable(StuckPlan, table=True):
    __tablename__ = "stuck_plans"


class SeatWidening(Record):
    """People who may fill a seat of a request from a step on. ``users`` and ``usergroups`` are JSON lists of ids.

    ``seat`` is the seat's index, ``source`` what the plan calls them: a group's name, or ``oncall:NAME``, whose people
    are those of the moment at which the step was carried out.
    """

    id: int = Field(default=None, primary_key=True, sa_type=BIG)
    request_number: int = Field(sa_type=BIG, sa_column_args=[ForeignKey("requests.number")])
    step_id: int = Field(sa_type=BIG, sa_column_args=[ForeignKey("taken_steps.id")])
    seat: int
    source: str = Field(max_length=100)
    users: str = Field(sa_type=Text)
    usergroups: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=UtcDateTime)


class SeatWideningTable(SeatWidening, table=True):
    __tablename__ = "seat_widenings"
    __table_args__ = (Index("uq_seat_widenings", "request_number", "seat", "source", unique=True),)


class Claim(Record):
    """Somebody is on it: once a person and request. The next step waits until ``paused_until``.

    ``was_due_at`` is when it would have come; the time between is what the claim cost. Equal where it cost nothing.
    """

    request_number: int = Field(primary_key=True, sa_type=BIG, sa_column_args=[ForeignKey("requests.number")])
    user_id: str = Field(primary_key=True, max_length=32)
    at: datetime = Field(sa_type=UtcDateTime)
    was_due_at: datetime = Field(sa_type=UtcDateTime)
    paused_until: datetime = Field(sa_type=UtcDateTime)


class ClaimTable(Claim, table=True):
    __tablename__ = "claims"


class Absence(Record):
    """Somebody is away until a time; what is meant for them goes to a stand-in as well, who gains no right by it."""

    user_id: str = Field(primary_key=True, max_length=32)
    stand_in: str = Field(max_length=32)
    until: datetime = Field(sa_type=UtcDateTime)
    said_at: datetime = Field(sa_type=UtcDateTime)


class AbsenceTable(Absence, table=True):
    __tablename__ = "absences"
