"""A call as a person changed it: parsing it, guarding what a rule hides, and what its agent is told. Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from bot.call import MAX_BODY_BYTES, Submission, canonical_call, canonical_form, load_json, parse_object
from bot.errors import BadInput, CallTooLarge, ChangeRefused
from bot.policy import Course, Ruling
from bot.redaction_marks import AS_SENT, Path, hides, parse_pattern, segments_of
from store.tables import Request

_SPACES = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\n\r]+')


def parse_changed(request: Request, text: str) -> Submission:
    """Return the call of ``request`` with other arguments, as its agent would submit it, parsed as strictly.

    Raises ``BadInput`` or ``CallTooLarge``.
    """
    try:
        body = b'{"arguments":' + text.encode() + b"}"
    except UnicodeEncodeError as error:
        raise BadInput("A string has half of a surrogate pair.", code="invalid_json", param="arguments") from error
    if len(body) > MAX_BODY_BYTES:
        raise CallTooLarge(param="arguments")
    value, kept = parse_object(body, ("arguments",))["arguments"]
    if not isinstance(value, dict):
        raise BadInput("arguments must be a JSON object.", param="arguments", code="invalid_field")
    canonical = canonical_call(request.tool, request.server, value)
    digest = hashlib.sha256(canonical).digest()
    return Submission(
        tool=request.tool,
        server=request.server,
        arguments=_SPACES.sub(r"\1", kept),
        agent_reasoning=None,
        context=None,
        timeout=request.timeout,
        canonical=canonical,
        digest=digest,
        fields_digest=digest,
    )


_APPROVED_WITH_CHANGES = "Approved with changes."


def render_note(request: Request, shown: str, ruling: Ruling, now: datetime, reason: str | None) -> str:
    """Word the note of a denial that approves a changed call. Its second line is that call's arguments as JSON.

    The time is absolute: the note is given again to an agent that repeats the denied call later.
    """
    rule = ruling.rule
    within = ""
    if rule is not None and ruling.course is Course.ASK:
        within = f", before {(now + rule.standing).strftime('%Y-%m-%dT%H:%M:%SZ')}"
    lines = [f"{_APPROVED_WITH_CHANGES} Call {request.tool} again with exactly these arguments{within}:", shown]
    if AS_SENT in shown:
        lines.append(f'Where it says "{AS_SENT}", send the value that you sent before.')
    if rule is not None and rule.people_needed > 1:
        lines.append(f"It needs {rule.people_needed} approvals, and this is one of them.")
    if reason:
        lines.append(f"Reason: {reason}")
    return "\n".join(lines)


def changed_call_in(note: str | None) -> str | None:
    """Return the changed call's arguments that a note by ``render_note`` states, as JSON; None for any other note.

    No note that a person writes begins so: theirs begin with one of the reasons that Signoff offers.
    """
    lines = (note or "").split("\n")
    return lines[1] if len(lines) > 1 and lines[0].startswith(_APPROVED_WITH_CHANGES) else None


# --- what a rule hides ------------------------------------------------------------------------------------


def refuse_hidden_changes(request: Request, call: Submission, patterns: Iterable[str]) -> None:
    """Raise ``ChangeRefused`` where the changed call has another value than the agent sent in a hidden place."""
    parsed = tuple(map(parse_pattern, patterns))
    if parsed and _hidden(request.arguments, parsed) != _hidden(call.arguments, parsed):
        raise ChangeRefused("A value that the rule hides cannot be changed, added or left out.", code="hidden_value")


def shown_arguments(call: Submission, patterns: Iterable[str]) -> str:
    """Return the changed call's arguments for the note: JSON to the letter, but for what is hidden."""
    parsed = tuple(map(parse_pattern, patterns))
    if not _hidden(call.arguments, parsed):
        return call.arguments
    return _written(_without_hidden(load_json(call.arguments), parsed, _ROOT))


_Place = tuple[str | int, ...]
_ROOT: Path = ("arguments",)


def _hidden(arguments: str, patterns: tuple[Path, ...]) -> dict[_Place, bytes]:
    """What is hidden in a call: the canonical form of each value by its exact place."""
    if not patterns:
        return {}
    return dict(_find_hidden(load_json(arguments), patterns, (), _ROOT))


def _find_hidden(value: Any, patterns: tuple[Path, ...], place: _Place, path: Path) -> Iterator[tuple[_Place, bytes]]:
    if place and hides(patterns, path):
        yield place, canonical_form(value)
        return
    for key, inner, below in _inside(value, path):
        yield from _find_hidden(inner, patterns, (*place, key), below)


def _without_hidden(value: Any, patterns: tuple[Path, ...], path: Path) -> Any:
    def shown(inner: Any, below: Path) -> Any:
        return AS_SENT if hides(patterns, below) else _without_hidden(inner, patterns, below)

    if isinstance(value, dict):
        return {key: shown(inner, below) for key, inner, below in _inside(value, path)}
    if isinstance(value, list):
        return [shown(inner, below) for _, inner, below in _inside(value, path)]
    return value


def _inside(value: Any, path: Path) -> Iterator[tuple[str | int, Any, Path]]:
    """The values in a container, each with its key and its path as patterns see it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner, (*path, *segments_of(key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield at, inner, (*path, str(at))


def _written(value: Any) -> str:
    """JSON with exact numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_written(key)}:{_written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
