"""The life of a request, as one literal table. Pure.

Two rules. Everything that decides which event a state admits is in this file, and nothing in this file knows
who asks, where the state is stored or what must be told to whom. An event that the table does not list for a
state is refused and changes nothing.

A request is ``pending`` until a decision, which is final (the agents' protocol knows only these statuses). What
happens to an approval afterwards is told by the columns beside it, which ``state_of`` reads into one word. The
diagram in the docs is drawn from ``TRANSITIONS``.
"""

from enum import StrEnum

from store.tables import OutcomeStatus, Request, Status


class State(StrEnum):
    """Where a request stands, finer than the protocol's status."""

    PENDING = "pending"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    OPEN = "open"  # approved, may be consumed
    REVOKED = "revoked"
    LAPSED = "lapsed"
    CONSUMED = "consumed"
    OVERDUE = "overdue"  # consumed, and no outcome within the execution timeout
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Happening(StrEnum):
    """What can happen to a request."""

    APPROVE = "approve"
    DENY = "deny"
    EXPIRE = "expire"
    CANCEL = "cancel"
    CONSUME = "consume"
    REVOKE = "revoke"
    LAPSE = "lapse"
    RUN_LATE = "run_late"
    SUCCEED = "succeed"
    FAIL = "fail"


TRANSITIONS: dict[tuple[State, Happening], State] = {
    (State.PENDING, Happening.APPROVE): State.OPEN,
    (State.PENDING, Happening.DENY): State.DENIED,
    (State.PENDING, Happening.EXPIRE): State.EXPIRED,
    (State.PENDING, Happening.CANCEL): State.CANCELLED,
    (State.OPEN, Happening.CONSUME): State.CONSUMED,
    (State.OPEN, Happening.REVOKE): State.REVOKED,
    (State.OPEN, Happening.LAPSE): State.LAPSED,
    (State.CONSUMED, Happening.RUN_LATE): State.OVERDUE,
    (State.CONSUMED, Happening.SUCCEED): State.SUCCEEDED,
    (State.CONSUMED, Happening.FAIL): State.FAILED,
    (State.OVERDUE, Happening.SUCCEED): State.SUCCEEDED,
    (State.OVERDUE, Happening.FAIL): State.FAILED,
}

FINAL = frozenset(State) - {state for state, _ in TRANSITIONS}

STATUS: dict[State, Status] = {
    State.PENDING: Status.PENDING,
    State.DENIED: Status.DENIED,
    State.EXPIRED: Status.EXPIRED,
    State.CANCELLED: Status.CANCELLED,
    **dict.fromkeys(
        (
            State.OPEN,
            State.REVOKED,
            State.LAPSED,
            State.CONSUMED,
            State.OVERDUE,
            State.SUCCEEDED,
            State.FAILED,
        ),
        Status.APPROVED,
    ),
}


class IllegalTransition(Exception):
    """This cannot happen to a request in this state."""

    def __init__(self, state: State, happening: Happening) -> None:
        super().__init__(f"{happening} cannot happen to a request that is {state}")
        self.state = state
        self.happening = happening


def after(state: State, happening: Happening) -> State:
    """Return the state that ``happening`` leads to. Raises ``IllegalTransition``."""
    try:
        return TRANSITIONS[state, happening]
    except KeyError:
        raise IllegalTransition(state, happening) from None


def state_of(request: Request) -> State:
    """Read a stored request's state from its columns."""
    if request.status is not Status.APPROVED:
        return State(request.status.value)
    if request.outcome is not None:
        return State.SUCCEEDED if request.outcome is OutcomeStatus.SUCCEEDED else State.FAILED
    if request.consumed_at is not None:
        return State.OVERDUE if request.overdue_at is not None else State.CONSUMED
    if request.revoked_at is not None:
        return State.REVOKED
    return State.LAPSED if request.lapsed_at is not None else State.OPEN
