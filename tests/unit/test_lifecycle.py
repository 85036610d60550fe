"""bot.lifecycle: every state with every happening; what the table does not list is refused and changes nothing."""

from dataclasses import dataclass
from itertools import product

import pytest

from bot.lifecycle import FINAL, STATUS, TRANSITIONS, Happening, IllegalTransition, State, after, state_of
from store.tables import OutcomeStatus, Request, Status
from tests.conftest import START


@pytest.mark.parametrize(("state", "happening"), list(product(State, Happening)))
def test_every_pair(state: State, happening: Happening) -> None:
    if (state, happening) in TRANSITIONS:
        assert after(state, happening) is TRANSITIONS[state, happening]
    else:
        with pytest.raises(IllegalTransition, match=state.value):
            after(state, happening)


def test_final_states_stay() -> None:
    assert {
        State.DENIED, State.EXPIRED, State.CANCELLED, State.REVOKED, State.LAPSED, State.SUCCEEDED, State.FAILED,
    } == FINAL  # fmt: skip


def test_approval_only_comes_from_pending_and_an_approved_status_never_changes() -> None:
    for (source, _), target in TRANSITIONS.items():
        if STATUS[source] is not Status.PENDING:
            assert STATUS[target] is STATUS[source]
        if target is State.OPEN:
            assert source is State.PENDING


@dataclass
class _Row:
    status: Status = Status.APPROVED
    revoked_at: object = None
    consumed_at: object = None
    lapsed_at: object = None
    overdue_at: object = None
    outcome: OutcomeStatus | None = None


@pytest.mark.parametrize(
    ("columns", "state"),
    [
        ({"status": Status.PENDING}, State.PENDING),
        ({"status": Status.DENIED}, State.DENIED),
        ({"status": Status.EXPIRED}, State.EXPIRED),
        ({"status": Status.CANCELLED}, State.CANCELLED),
        ({}, State.OPEN),
        ({"revoked_at": START}, State.REVOKED),
        ({"lapsed_at": START}, State.LAPSED),
        ({"revoked_at": START, "lapsed_at": START}, State.REVOKED),
        ({"consumed_at": START}, State.CONSUMED),
        ({"consumed_at": START, "overdue_at": START}, State.OVERDUE),
        ({"consumed_at": START, "overdue_at": START, "outcome": OutcomeStatus.SUCCEEDED}, State.SUCCEEDED),
        ({"consumed_at": START, "outcome": OutcomeStatus.FAILED}, State.FAILED),
    ],
)
def test_the_state_is_read_from_the_columns(columns: dict[str, object], state: State) -> None:
    row: Request = _Row(**columns)  # type: ignore[assignment, arg-type]  # the columns that count
    assert state_of(row) is state
    assert STATUS[state] is row.status
