"""What an act or a call comes back with: values only, no behaviour that touches the playground."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ack:
    """How the app answered one delivery (a click, a submission, a command, an event).

    `error` is None when the app acknowledged in time, else one of `timeout` (no ack within
    `ack_seconds`), `not_connected` (no socket, no request URL), `http_NNN`, `connection_failed`,
    `invalid_body`, `invalid_view` (a `response_action` with a view Slack would refuse), `input_missing`
    (Slack's own client refused to submit: nothing was sent), `dead` (the fault of that name is on).
    """

    ok: bool
    error: str | None = None
    status: int | None = None
    """The HTTP status; None in Socket Mode."""
    body: Any = None
    """The ack's payload: a dict, a text, or None when it was empty."""
    elapsed: float = 0.0
    """Seconds from sending to the ack."""
    sent: Json | None = field(default=None, repr=False)
    """The payload as it was delivered."""
    details: tuple[str, ...] = ()
    """Slack's own messages about a refused view in the answer."""
    client_errors: dict[str, str] = field(default_factory=dict)
    """For `input_missing`: block_id to what Slack's client shows under the field."""

    @property
    def response_action(self) -> str | None:
        """`errors`, `update`, `push`, `clear`, or None (the view just closes)."""
        return self.body.get("response_action") if isinstance(self.body, dict) else None

    @property
    def errors(self) -> dict[str, str]:
        """block_id to text, from `response_action: errors` or from Slack's own client."""
        if self.client_errors:
            return self.client_errors
        errors = self.body.get("errors") if isinstance(self.body, dict) else None
        return errors if isinstance(errors, dict) else {}

    @property
    def text(self) -> str | None:
        """The text in the ack's body: what a slash command answers at once."""
        if isinstance(self.body, str):
            return self.body
        return self.body.get("text") if isinstance(self.body, dict) else None


@dataclass(kw_only=True)
class Call:
    """One Web API call (or response_url post) as the playground saw it."""

    method: str
    """`chat.postMessage`, …; a post to a response URL is `response_url`."""
    params: Json
    at: datetime
    outcome: str = "running"
    """`ok`, Slack's error code, or `fault:drop`, `fault:lost`, `fault:429`, … when a fault struck."""
    response: Json | None = None

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"
