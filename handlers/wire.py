"""The agents' protocol as text: requests and errors rendered, headers and small bodies parsed.

Pure, and as strict as the protocol (agent-api.md). Nothing here reads from a connection or knows a use case; the body
of a create call is parsed in ``bot.call``. Absent is absent: a field without a value is left out, never null.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted

from bot.call import parse_object
from bot.durations import parse_capped
from bot.errors import BadCredential, BadInput, UnknownRequest
from store.tables import OutcomeStatus, Request

MAX_WAIT = timedelta(seconds=30)

ERROR_TYPES = {
    400: "invalid_request",
    401: "authentication",
    403: "authorization",
    404: "not_found",
    405: "invalid_request",
    409: "conflict",
    413: "invalid_request",
    415: "invalid_request",
    422: "invalid_request",
    429: "rate_limit",
    500: "internal",
    503: "dependency",
}
"""The protocol's error type for each status this API answers with."""

_BEARER = re.compile(r"bearer +([!-~]+)", re.IGNORECASE)
_KEY = re.compile(r"[!-~]{1,255}")
_WAIT = re.compile(r"[1-9][0-9]*[smh]")
_OUTCOMES = {outcome.value: outcome for outcome in OutcomeStatus}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


# --- out --------------------------------------------------------------------------------------------------


def render_request(request: Request) -> bytes:
    """Render a request as the protocol's resource. ``arguments`` and ``context`` are the agent's text to the letter."""
    # Put together by hand: the stored JSON goes in without being parsed, and an encoder would cost more than the rest.
    server = f',"server":{_quoted(request.server)}' if request.server is not None else ""
    reasoning = f',"agent_reasoning":{_quoted(request.agent_reasoning)}' if request.agent_reasoning is not None else ""
    context = f',"context":{request.context}' if request.context is not None else ""
    return (
        f'{{"id":"{request.id}","tool":{_quoted(request.tool)}{server},"arguments":{request.arguments}'
        f',"timeout":{_quoted(request.timeout)}{reasoning}{context},"status":"{request.status}"'
        f',"created_at":"{_timestamp(request.created_at)}","deadline_at":"{_timestamp(request.deadline_at)}"'
        f"{_decision(request)}{_consumption(request)}}}"
    ).encode()


def _decision(request: Request) -> str:
    if request.decided_at is None:
        return ""
    note = f',"note":{_quoted(request.note)}' if request.note else ""
    expires = f',"expires_at":"{_timestamp(request.expires_at)}"' if request.expires_at is not None else ""
    decided = _timestamp(request.decided_at)
    return f',"decision":{{"status":"{request.status}"{note},"decided_at":"{decided}"{expires}}}'


def _consumption(request: Request) -> str:
    if request.consumed_at is None:
        return ""
    outcome = ""
    if request.outcome is not None and request.outcome_at is not None:
        note = f',"note":{_quoted(request.outcome_note)}' if request.outcome_note else ""
        reported = _timestamp(request.outcome_at)
        outcome = f',"outcome":{{"status":"{request.outcome}"{note},"reported_at":"{reported}"}}'
    return f',"consumption":{{"consumed_at":"{_timestamp(request.consumed_at)}"{outcome}}}'


@lru_cache(1_024)  # one request's times are rendered three times within a moment, and are a third of its rendering
def _timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds and ``Z``. ``at`` is UTC, as everything read from the store is."""
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def render_error(status: int, code: str, message: str, http_id: str, param: str | None = None) -> bytes:
    """Render the body of an error. ``http_id`` is what ``X-Request-ID`` says."""
    named = f',"param":{_quoted(param)}' if param else ""  # a field may be named by the empty string
    return (
        f'{{"error":{{"type":"{ERROR_TYPES[status]}","code":"{code}","message":{_quoted(message)}{named}'
        f',"request_id":"{http_id}"}}}}'
    ).encode()


# --- in ---------------------------------------------------------------------------------------------------


def parse_bearer(headers: Sequence[str]) -> str:
    """Return the token of the ``Authorization`` headers. Raises ``BadCredential`` unless there is exactly one."""
    if len(headers) != 1:
        raise BadCredential("Send one Authorization header: Bearer and the token.")
    match = _BEARER.fullmatch(headers[0])
    if match is None:
        raise BadCredential("The Authorization header must be: Bearer and the token.")
    return match[1]


def parse_key(headers: Sequence[str]) -> str:
    """Return the key of the ``Idempotency-Key`` headers. Raises ``BadInput``."""
    if not headers:
        raise BadInput("Send an Idempotency-Key header.", param="Idempotency-Key", code="missing_idempotency_key")
    if len(headers) > 1 or _KEY.fullmatch(headers[0]) is None:
        raise BadInput(
            "The Idempotency-Key must be given once, as 1 to 255 visible ASCII characters.",
            param="Idempotency-Key",
            code="invalid_idempotency_key",
        )
    return headers[0]


def parse_wait(values: Sequence[str]) -> timedelta:
    """Return how long ``wait`` asks to be held, at most ``MAX_WAIT``. Raises ``BadInput``."""
    if len(values) != 1 or _WAIT.fullmatch(values[0]) is None:
        raise BadInput(
            "wait must be given once, as a whole number from 1 on and s, m or h, such as 30s.",
            param="wait",
            code="invalid_wait",
        )
    return parse_capped(values[0], MAX_WAIT)


def is_uuid(text: str) -> bool:
    """Whether a text has the form of our ids."""
    return _UUID.fullmatch(text) is not None


def parse_request_id(text: str) -> str:
    """Return a request's id. Raises ``UnknownRequest`` for what cannot be one: then no look-up is needed."""
    if not is_uuid(text):
        raise UnknownRequest
    return text


def parse_outcome(body: bytes) -> tuple[OutcomeStatus, str | None]:
    """Parse the body of an outcome report; an empty note is none. Raises ``BadInput`` naming the field."""
    fields = parse_object(body, ("status", "note"))
    if "status" not in fields:
        raise BadInput("The field status is missing.", param="status", code="missing_field")
    status, note = fields["status"][0], fields["note"][0] if "note" in fields else ""
    outcome = _OUTCOMES.get(status) if isinstance(status, str) else None
    if outcome is None:
        raise BadInput("status must be succeeded or failed.", param="status", code="invalid_field")
    if not isinstance(note, str):
        raise BadInput("note must be a string.", param="note", code="invalid_field")
    return outcome, note or None
