"""What the agent's console keeps: the ready-made calls, and the time line of each call that was sent.

Values only; console.py does the talking.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from playground.model import Json

StepKind = Literal[
    "asked",
    "waiting",
    "approved",
    "denied",
    "expired",
    "cancelled",
    "consumed",
    "ran",
    "reported",
    "refused",
    "error",
]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One ready-made call."""

    key: str
    label: str
    explain: str
    tool: str
    arguments_text: str
    """The arguments as JSON text: numbers stay as they are written."""
    agent: str | None = None
    """Whose call it is; the first agent's, if None."""
    server: str | None = None
    reasoning: str | None = None
    timeout: str = "10m"
    also: tuple[str, ...] = ()
    """The arguments of further calls of this kind, sent in the same moment."""
    result: str = "Done"
    """What the pretended tool answers."""
    answer_as: str | None = None
    """The user id of somebody who may answer it, for the page to offer; nobody is told of it."""
    answer_in: str | None = None
    """The channel that its card appears in."""

    def shape(self) -> Json:
        """For the page: what is absent is left out, and the result is not told beforehand."""
        shown = asdict(self)
        del shown["result"], shown["also"]
        return {key: value for key, value in shown.items() if value is not None}


@dataclass(frozen=True)
class Step:
    """One thing that happened to a call, as the agent sees it."""

    at: datetime
    kind: StepKind
    text: str
    """May name a time with `{moment}`, once: each reader sees it in their own zone."""
    moment: datetime | None = None

    def shape(self) -> Json:
        """For the page."""
        shape: Json = {"at": rfc3339(self.at), "kind": self.kind, "text": self.text}
        return shape if self.moment is None else shape | {"moment": rfc3339(self.moment)}


@dataclass
class Run:
    """One call on its way."""

    id: str
    call: Preset
    agent: str
    started_at: datetime
    state: Literal["running", "done"] = "running"
    result: str | None = None
    request_id: str | None = None
    burst: str | None = None
    """What the calls that were sent in one moment have in common."""
    steps: list[Step] = field(default_factory=list)

    def shape(self) -> Json:
        """For the page."""
        shape: Json = {
            "id": self.id,
            "label": self.call.label,
            "agent": self.agent,
            "tool": self.call.tool,
            "arguments_text": self.call.arguments_text,
            "started_at": rfc3339(self.started_at),
            "state": self.state,
            "steps": [step.shape() for step in self.steps],
        }
        if self.burst is not None:
            shape["burst"] = self.burst
        if self.call.answer_as and self.call.answer_in:
            shape |= {"answer_as": self.call.answer_as, "answer_in": self.call.answer_in}
        return shape | {"result": self.result} if self.result is not None else shape


class BadCall(ValueError):
    """A call that cannot be sent; says why in a sentence."""


def read_arguments(text: str) -> Json:
    """The arguments of a call typed as JSON. Refuses what the protocol refuses: duplicate keys, NaN."""

    def pairs(items: list[tuple[str, Any]]) -> Json:
        found: Json = {}
        for key, value in items:
            if key in found:
                raise BadCall(f"The arguments have the key “{key}” twice.")
            found[key] = value
        return found

    def constant(name: str) -> Any:
        raise BadCall(f"The arguments hold {name}, which is not JSON.")

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_float=Decimal, parse_constant=constant)
    except BadCall:
        raise
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadCall(f"The arguments are not valid JSON{where}.") from error
    if not isinstance(value, dict):
        raise BadCall("The arguments must be a JSON object: {…}.")
    return value


def rfc3339(at: datetime) -> str:
    """A time as the page and the protocol write it: UTC, ending in Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
