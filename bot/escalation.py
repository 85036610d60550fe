"""How a plan runs while nobody decides: which step comes when, for how long it waits, what it says. Pure.

A place in a plan is a round and an index; the row of a request carries the next one. Every step's time follows from the
due time of the one before it, so that a late sweep shifts nothing; only who was away for long goes on from now, so that
what was missed does not come down all at once. The last reminder before the deadline is the last thing a plan does. No
step is at or after the deadline, and nothing here ever decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.config import FrozenRule, Plan, ReviewerGroup, Seat
from bot.config_plans import StepTable
from bot.hours import parse_hours
from store.tables import Request

LATE = timedelta(minutes=1)
"""After a step taken later than this, the next is counted from then: the plan stood still, or nobody swept."""
CLAIMED_AT_MOST = 4
"""Claims may hold a request's plan up for one part in so many of its window, all of them together."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a plan: step ``index`` of ``round`` (both from 0) and when it is due.

    The last reminder has the index after the last step's, in the round in which it comes.
    """

    round: int
    index: int
    due_at: datetime

    def is_reminder_of(self, plan: Plan) -> bool:
        """Whether this is the last reminder before the deadline."""
        return self.index == len(plan.steps)


def next_position(
    plan: Plan, taken: Position | None, created_at: datetime, deadline_at: datetime, *, taken_at: datetime | None = None
) -> Position | None:
    """Return the place after ``taken`` (None: the first), or None where the plan ends.

    ``taken_at`` is when ``taken`` was taken in fact.
    """
    if taken is not None and taken.is_reminder_of(plan):
        return None
    since = created_at
    if taken is not None:
        since = taken_at if taken_at is not None and taken_at - taken.due_at > LATE else taken.due_at
    place = _following(plan, taken)
    reminder_at = _reminder_at(plan, created_at, deadline_at)
    if place is not None:
        at = since + plan.steps[place[1]].after.within(deadline_at - created_at)
        if at < (reminder_at or deadline_at):
            return Position(*place, at)
    if reminder_at is None or reminder_at >= deadline_at:
        return None
    return Position(taken.round if taken else 0, len(plan.steps), max(reminder_at, since))


def _following(plan: Plan, taken: Position | None) -> tuple[int, int] | None:
    """The round and index after a step, or None after the last of the last round."""
    if not plan.steps:
        return None
    if taken is None:
        return 0, 0
    if taken.index + 1 < len(plan.steps):
        return taken.round, taken.index + 1
    return (taken.round + 1, 0) if taken.round < plan.repeat else None


def step_at(plan: Plan, position: Position) -> StepTable | None:
    """Return the step at a place; None for the last reminder."""
    return None if position.is_reminder_of(plan) else plan.steps[position.index]


def is_skipped(step: StepTable, at: datetime) -> bool:
    """Whether a step that is due at ``at`` lies outside its hours."""
    return step.hours is not None and not parse_hours(step.hours).include(at)


def targets_at(plan: Plan, position: Position) -> tuple[str, ...]:
    """Return whom the plan notifies at a place, as the plan names them. The last reminder goes to the thread."""
    step = step_at(plan, position)
    return step.notify if step is not None else ("thread",)


def claim_until(
    plan: Plan, next_at: datetime, now: datetime, window: timedelta, held_up: timedelta
) -> tuple[datetime, timedelta]:
    """Return until when a claim at ``now`` puts the next step off, and by how much.

    ``held_up`` is what earlier claims have cost; all of them together cost at most a quarter of the ``window``.
    """
    left = max(window / CLAIMED_AT_MOST - held_up, timedelta(0))
    until = max(next_at, min(now + plan.claim_pause, next_at + left))
    return until, until - next_at


def put_off(
    plan: Plan, position: Position, created_at: datetime, deadline_at: datetime, now: datetime, held_up: timedelta
) -> Position:
    """Return where a plan that stands at ``position`` stands after a claim at ``now``; see ``claim_until``.

    A claim loses no step: it takes at most half of the time that is left until the last reminder, or the deadline. The
    last reminder itself waits for nobody.
    """
    if position.is_reminder_of(plan):
        return position
    end = _reminder_at(plan, created_at, deadline_at) or deadline_at
    until, _ = claim_until(plan, position.due_at, now, deadline_at - created_at, held_up)
    halfway = position.due_at + max(end - position.due_at, timedelta(0)) / 2
    return replace(position, due_at=min(until, halfway))


def _reminder_at(plan: Plan, created_at: datetime, deadline_at: datetime) -> datetime | None:
    """When the last reminder comes; None for none, and where there is less time than that in all."""
    reminder_at = None if plan.before_deadline is None else deadline_at - plan.before_deadline
    return reminder_at if reminder_at is not None and reminder_at > created_at else None


@dataclass(frozen=True, slots=True)
class Joined:
    """People who may fill a seat as well, from a step on. ``source`` is what the plan calls them."""

    seat: int
    source: str
    users: tuple[str, ...]
    usergroups: tuple[str, ...]


def widened(rule: FrozenRule, joined: Iterable[Joined]) -> FrozenRule:
    """Return the rule with more people to fill its seats. How many are needed stays as it was."""
    more: dict[int, list[ReviewerGroup]] = {}
    for one in joined:
        group = ReviewerGroup.model_construct(name=one.source, users=one.users, usergroups=one.usergroups)
        more.setdefault(one.seat, []).append(group)
    if not more:
        return rule
    seats = tuple(
        Seat.model_construct(reviewers=(*seat.reviewers, *more.get(at, ())), quorum=seat.quorum)
        for at, seat in enumerate(rule.seats)
    )
    # Not model_copy, which would carry on what the rule has worked out about its own seats.
    terms = {name: getattr(rule, name) for name in FrozenRule.model_fields}
    return FrozenRule.model_construct(**terms | {"need": seats, "reviewers": (), "quorum": 1})


def may_widen(plan: Plan | None) -> bool:
    """Whether a plan lets others decide too, sooner or later."""
    return plan is not None and any(step.widen for step in plan.steps)


def at_its_widest(rule: FrozenRule) -> tuple[FrozenRule, bool]:
    """Return the rule with all the groups that its plan lets decide in the end.

    The flag tells whether people on call may join as well: who that will be, nobody knows beforehand.
    """
    steps = rule.plan.steps if rule.plan is not None else ()
    widenings = [one for step in steps for one in step.widen]
    joined = (
        Joined(seat_index(rule, one.seat), group.name, group.users, group.usergroups)
        for one in widenings
        for group in one.groups
    )
    return widened(rule, joined), any(one.oncall for one in widenings)


def seat_index(rule: FrozenRule, seat: str | None) -> int:
    """Return the index of the seat that a widening names; 0 where it names none."""
    if seat is None:
        return 0
    return next(at for at, one in enumerate(rule.seats) if any(group.name == seat for group in one.reviewers))


def columns_of(position: Position | None) -> dict[str, datetime | int | None]:
    """A place in a plan as a request's columns."""
    if position is None:
        return {"next_step_at": None, "step_index": None, "step_round": None}
    return {"next_step_at": position.due_at, "step_index": position.index, "step_round": position.round}


def place_of(request: Request) -> Position | None:
    """Return the place at which a request's plan goes on, or None."""
    if request.next_step_at is None or request.step_round is None or request.step_index is None:
        return None
    return Position(request.step_round, request.step_index, request.next_step_at)
