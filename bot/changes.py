"""What a committed unit of work announces to the rest of the process. Values only."""

from dataclasses import dataclass

from store.tables import Request


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
