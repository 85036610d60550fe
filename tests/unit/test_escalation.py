"""bot.escalation: plan and times in, places in the plan out."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import FrozenRule, Plan, ReviewerGroup, Rule, Seat
from bot.config_plans import StepTable
from bot.escalation import (
    Joined,
    Position,
    claim_until,
    is_skipped,
    next_position,
    put_off,
    seat_index,
    targets_at,
    widened,
)

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def plan(*after: str, repeat: int = 0, reminder: str | None = None, hours: str | None = None) -> Plan:
    steps = [{"after": one, "notify": ["thread"], "hours": hours} for one in after]
    return Plan.model_validate({"name": "p", "steps": steps, "repeat": repeat, "before_deadline": reminder})


def run(of: Plan, window: timedelta = HOUR) -> list[tuple[int, int, int]]:
    """Every place of a plan that is swept on time: round, index, minutes after creation."""
    places = []
    at: Position | None = None
    while (at := next_position(of, at, START, START + window, taken_at=at.due_at if at else None)) is not None:
        places.append((at.round, at.index, round((at.due_at - START) / timedelta(minutes=1))))
    return places


@pytest.mark.parametrize(
    ("steps", "window", "places"),
    [
        (plan("5m"), HOUR, [(0, 0, 5)]),
        (plan("25%"), HOUR, [(0, 0, 15)]),
        (plan("25%", "5m", "50%"), HOUR, [(0, 0, 15), (0, 1, 20), (0, 2, 50)]),
        (plan("25%", "5m"), timedelta(minutes=20), [(0, 0, 5), (0, 1, 10)]),
        (plan("20m", repeat=5), HOUR, [(0, 0, 20), (1, 0, 40)]),  # none at the deadline
        (plan("10m", "10m", repeat=1), HOUR, [(0, 0, 10), (0, 1, 20), (1, 0, 30), (1, 1, 40)]),
        (plan("10m", "10m", repeat=1, reminder="25m"), HOUR, [(0, 0, 10), (0, 1, 20), (1, 0, 30), (1, 2, 35)]),
        (plan(reminder="2m"), HOUR, [(0, 0, 58)]),
        (plan("5m", reminder="2m"), HOUR, [(0, 0, 5), (0, 1, 58)]),
        (plan("5m", reminder="2h"), HOUR, [(0, 0, 5)]),  # less time than that in all
        (plan("2h"), HOUR, []),
        (plan("99%", "99%"), HOUR, [(0, 0, 59)]),
    ],
)
def test_places(steps: Plan, window: timedelta, places: list[tuple[int, int, int]]) -> None:
    assert run(steps, window) == places


def test_a_step_a_little_late_shifts_nothing_and_one_very_late_is_followed_from_then() -> None:
    of = plan("5m", "5m")
    first = Position(0, 0, START + timedelta(minutes=5))
    prompt = next_position(of, first, START, START + HOUR, taken_at=first.due_at + timedelta(seconds=59))
    assert prompt is not None
    assert prompt.due_at == START + timedelta(minutes=10)
    late = next_position(of, first, START, START + HOUR, taken_at=START + timedelta(minutes=40))
    assert late is not None
    assert late.due_at == START + timedelta(minutes=45)


@given(
    st.lists(st.sampled_from(["10s", "5m", "25%", "99%", "1h"]), max_size=4),
    st.integers(0, 9),
    st.sampled_from([None, "10s", "2m", "30m"]),
    st.integers(30, 7200),
    st.lists(st.integers(0, 600), min_size=60, max_size=60),
)
def test_every_plan_ends_before_the_deadline_and_never_goes_back(
    after: list[str], repeat: int, reminder: str | None, seconds: int, late: list[int]
) -> None:
    if not after and reminder is None:
        return
    of = plan(*after, repeat=repeat, reminder=reminder)
    deadline = START + timedelta(seconds=seconds)
    seen: set[tuple[int, int]] = set()
    before = START
    at: Position | None = None
    for lateness in late:
        at = next_position(of, at, START, deadline, taken_at=at.due_at + timedelta(seconds=lateness) if at else None)
        if at is None:
            break
        assert (at.round, at.index) not in seen
        assert before <= at.due_at or at.is_reminder_of(of)
        assert at.due_at < deadline + timedelta(seconds=600)
        seen.add((at.round, at.index))
        before = at.due_at
    assert at is None


def test_hours_decide_by_the_due_time() -> None:
    step = StepTable.model_validate({"after": "5m", "notify": ["thread"], "hours": "Mon-Fri 09:00-18:00 UTC"})
    assert is_skipped(step, START)  # a Sunday
    assert not is_skipped(step, START + timedelta(days=1))


def test_the_last_reminder_goes_to_the_thread() -> None:
    of = plan("5m", reminder="2m")
    assert targets_at(of, Position(0, 1, START)) == ("thread",)


@pytest.mark.parametrize(
    ("next_in", "held_up", "costs"),
    [(5, 0, 10), (20, 0, 0), (1, 0, 14), (5, 14, 1), (5, 15, 0), (5, 60, 0)],
)
def test_a_claim_puts_the_next_step_off_within_a_quarter_of_the_window(next_in: int, held_up: int, costs: int) -> None:
    at = START + timedelta(minutes=next_in)
    until, cost = claim_until(plan("5m"), at, START, HOUR, timedelta(minutes=held_up))
    assert (until - at, cost) == (timedelta(minutes=costs), timedelta(minutes=costs))


@pytest.mark.parametrize(
    ("steps", "place", "now", "goes_on"),
    [
        (plan("5m"), Position(0, 0, START + timedelta(minutes=5)), 4, 19),
        (plan("5m"), Position(0, 0, START + timedelta(minutes=58)), 57, 59),  # half of what is left to the deadline
        (plan("5m", reminder="10m"), Position(0, 0, START + timedelta(minutes=46)), 45, 48),  # or to the reminder
        (plan("5m", reminder="2h"), Position(0, 0, START + timedelta(minutes=58)), 57, 59),  # which never comes
        (plan("5m", reminder="10m"), Position(0, 1, START + timedelta(minutes=50)), 45, 50),  # it waits for nobody
        (plan("5m"), Position(0, 0, START + timedelta(minutes=5)), 30, 20),  # overdue: no later than a quarter more
    ],
)
def test_a_claim_loses_no_step(steps: Plan, place: Position, now: int, goes_on: int) -> None:
    at = START + timedelta(minutes=now)
    put = put_off(steps, place, START, START + HOUR, at, timedelta(0))
    assert (put.round, put.index, put.due_at) == (place.round, place.index, START + timedelta(minutes=goes_on))


FINANCE = ReviewerGroup(name="finance", users=("U0ALICE",))
SECURITY = ReviewerGroup(name="security", users=("U0EVE",))


def rule(**terms: object) -> FrozenRule:
    given = {"name": "r", "stage": "approve", "agent": "*", "tool": "*", "channel": "C0PAY"}
    return Rule(**given | terms).as_frozen  # type: ignore[arg-type]  # a test's shorthand


def test_widening_adds_people_to_a_seat_and_changes_nothing_else() -> None:
    plain = rule(reviewers=(FINANCE,), quorum=2)
    assert plain.seats[0].quorum == 2  # worked out before it is widened
    wider = widened(plain, [Joined(0, "leads", ("U0LEA",), ()), Joined(0, "oncall:finance", (), ("S0ONCALL",))])
    assert [group.name for group in wider.seats[0].reviewers] == ["finance", "leads", "oncall:finance"]
    assert (wider.people_needed, len(wider.seats)) == (2, 1)
    assert wider.groups[2].usergroups == ("S0ONCALL",)
    assert widened(plain, []) is plain
    seats = rule(need=(Seat(reviewers=(FINANCE,)), Seat(reviewers=(SECURITY,))))
    assert seat_index(seats, "security") == 1
    assert seat_index(plain, None) == 0
    wider = widened(seats, [Joined(1, "leads", ("U0LEA",), ())])
    assert [[group.name for group in seat.reviewers] for seat in wider.seats] == [["finance"], ["security", "leads"]]
