"""What a committed unit of work announces to the rest of the process. Values only.

What other replicas must hear of as well has a ``topic`` (``store.announcing``). Deadlines have none: every replica
looks for what is due every few seconds anyway.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from store.tables import DeciderKind, Request, Status
from store.vocabulary import StepState


def topic_of_request(request_id: str) -> str:
    """What is told of a decision that an agent may be waiting for."""
    return f"request:{request_id}"


@dataclass(frozen=True, slots=True)
class RequestChanged:
    """A request was made, decided, consumed or ended; this is its committed state."""

    request: Request

    @property
    def topic(self) -> str | None:
        """That of a decision. Nobody waits for what a rule decides at once, nor for what comes after a decision."""
        request = self.request
        if request.status is Status.PENDING or request.decided_by_kind is DeciderKind.RULE or request.consumed_at:
            return None
        return topic_of_request(request.id)


@dataclass(frozen=True, slots=True)
class OutboxFilled:
    """There is something new to send."""

    topic: ClassVar[str] = "outbox"


@dataclass(frozen=True, slots=True)
class CredentialsChanged:
    """A credential was revoked; whoever remembers credentials must forget them."""

    topic: ClassVar[str] = "credentials"


@dataclass(frozen=True, slots=True)
class NotificationsFilled:
    """There is something new to send to a receiver."""

    topic: ClassVar[str] = "notifications"


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
