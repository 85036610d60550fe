"""What a committed unit of work announces to the rest of the process. Values only."""

from dataclasses import dataclass
from datetime import datetime

from store.tables import Request
from store.vocabulary import StepState


@dataclass(frozen=True, slots=True)
class RequestChanged:
    """A request was made, decided, consumed or ended; this is its committed state."""

    request: Request


@dataclass(frozen=True, slots=True)
class OutboxFilled:
    """There is something new to send."""


@dataclass(frozen=True, slots=True)
class CredentialsChanged:
    """A credential was revoked; whoever remembers credentials must forget them."""


@dataclass(frozen=True, slots=True)
class NotificationsFilled:
    """There is something new to send to a receiver."""


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A step of a plan was taken, or failed after all."""

    state: StepState


@dataclass(frozen=True, slots=True)
class PlanMoved:
    """The next step of a plan is due at another time than before."""

    due_at: datetime


@dataclass(frozen=True, slots=True)
class PlanStuck:
    """A plan could not be moved on, and is left for a while."""


@dataclass(frozen=True, slots=True)
class HaltsChanged:
    """Something was stopped, or goes on. ``due_at``: when the clock ends it, None if nobody said until when."""

    due_at: datetime | None
