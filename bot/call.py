"""What an agent asks for: strict parsing, the canonical form of a call, and its digest.

Pure. The canonical form (version 1) is JSON with sorted keys and no white space in which numbers are exact
decimals in normal form, so that ``4900``, ``4900.0`` and ``4.9e3`` are one call and ``4900.0000000000001`` is
another. RFC 8785 is not used: it turns numbers into doubles, which would make those the same. The limits are
those of the agents' protocol.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from json.decoder import scanstring  # type: ignore[attr-defined]  # there, but not in typeshed
from typing import Any

from bot.compact_json import compact_encoder
from bot.durations import NotADuration, parse_capped
from bot.errors import BadInput, CallTooLarge

CANONICAL_VERSION = 1
MAX_BODY_BYTES = 1024 * 1024
MAX_CALL_BYTES = 64 * 1024
MAX_DEPTH = 64
MAX_EXPONENT = 400
MAX_NAME = 255

_encode = compact_encoder(ensure_ascii=False)
_SPACE = re.compile(r"[ \t\n\r]*")
_OPENING = re.compile(r"[ \t\n\r]*\{[ \t\n\r]*(?:(\})[ \t\n\r]*)?")
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_NEXT = re.compile(r"[ \t\n\r]*([,}])[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Submission:
    """What an agent submitted, parsed.

    ``arguments`` and ``context`` are the JSON text to the letter. ``digest`` is the SHA-256 of the call's canonical
    form ``canonical``; ``fields_digest`` that of all fields, by which a replayed key is recognised.
    """

    tool: str
    server: str | None
    arguments: str
    agent_reasoning: str | None
    context: str | None
    timeout: str
    canonical: bytes
    digest: bytes
    fields_digest: bytes


def parse_submission(body: bytes) -> Submission:
    """Parse the body of a create call. Raises ``BadInput`` naming the field, or ``CallTooLarge``."""
    fields = parse_object(body, ("tool", "server", "arguments", "timeout", "agent_reasoning", "context"))
    for name in ("tool", "arguments", "timeout"):
        if name not in fields:
            raise BadInput(f"The field {name} is missing.", param=name, code="missing_field")
    tool, server = _name(fields, "tool"), _name(fields, "server") if "server" in fields else None
    timeout = _text(fields, "timeout")
    if len(timeout) > MAX_NAME:
        raise BadInput(f"timeout has more than {MAX_NAME} characters.", param="timeout", code="invalid_timeout")
    try:
        parse_capped(timeout, timedelta.max)
    except NotADuration as error:
        raise BadInput(f"timeout {error}.", param="timeout", code="invalid_timeout") from error
    for name in ("arguments", "context"):
        if name in fields and not isinstance(fields[name][0], dict):
            raise BadInput(f"{name} must be a JSON object.", param=name, code="invalid_field")
    reasoning = _text(fields, "agent_reasoning") if "agent_reasoning" in fields else None
    canonical = canonical_call(tool, server, fields["arguments"][0])
    return Submission(
        tool=tool,
        server=server,
        arguments=fields["arguments"][1],
        agent_reasoning=reasoning,
        context=fields["context"][1] if "context" in fields else None,
        timeout=timeout,
        canonical=canonical,
        digest=hashlib.sha256(canonical).digest(),
        fields_digest=digest_of_form({name: value for name, (value, _) in fields.items()}),
    )


def parse_object(body: bytes, known: tuple[str, ...], *, nullable: tuple[str, ...] = ()) -> dict[str, tuple[Any, str]]:
    """Parse a protocol object: each field's value, and its text to the letter.

    Raises ``BadInput`` for anything but one JSON object in UTF-8 whose fields are all ``known`` and not null (unless
    ``nullable``), without duplicate keys, NaN, lone surrogates, more than 64 levels, or numbers beyond 1e±400.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadInput("The body is not UTF-8.", code="invalid_json") from error
    try:
        fields = _top_level(text)
        if text.count("{") + text.count("[") > MAX_DEPTH:
            _refuse_depth([value for value, _ in fields.values()])
        if "\\u" in text:
            for name, (value, _) in fields.items():
                json.dumps([name, value], ensure_ascii=False, default=str).encode()
    except RecursionError as error:
        raise _too_deep() from error
    except UnicodeEncodeError as error:
        raise BadInput("A string has half of a surrogate pair.", code="invalid_json") from error
    except StopIteration as error:
        raise BadInput(f"The body is not JSON: see character {error.value}.", code="invalid_json") from error
    except ValueError as error:
        raise BadInput(f"The body is not JSON: {error}.", code="invalid_json") from error
    for name, (value, _) in fields.items():
        if name not in known:
            raise BadInput(
                "The body has a field that the protocol does not know.", param=name[:75], code="unknown_field"
            )
        if value is None and name not in nullable:
            raise BadInput(f"{name} is null; leave an absent field out.", param=name, code="invalid_field")
    return fields


def load_json(text: str) -> Any:
    """Parse JSON text that Signoff stored, keeping numbers exact (integers as int, others as Decimal)."""
    return _DECODER.decode(text)


def differ_in_one(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two calls' arguments, as ``load_json`` gives them, differ in exactly one of the topmost: changed, added
    or gone. Numbers by value. Stops at the second."""
    if abs(len(one) - len(other)) > 1:
        return False
    differing = 0
    for key in one.keys() | other.keys():
        if key not in one or key not in other or not _is_same(one[key], other[key]):
            differing += 1
            if differing > 1:
                return False
    return differing == 1


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values have the same canonical form, which takes much longer to write."""
    if isinstance(one, bool) or isinstance(other, bool):  # to Python True is 1
        return one is other
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(_is_same(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_is_same, one, other))
    return bool(one == other)


def texts_of_pairs(text: str) -> dict[str, str]:
    """Return the JSON text to the letter of each value of a stored object, in the order it was sent."""
    return {name: raw for name, (_, raw) in _top_level(text).items()}


def canonical_call(tool: str, server: str | None, arguments: Any) -> bytes:
    """Return the canonical form, version 1, of a call. Raises ``CallTooLarge``."""
    call: dict[str, Any] = {"arguments": arguments, "tool": tool, "v": CANONICAL_VERSION}
    if server is not None:
        call["server"] = server
    form = canonical_form(call, MAX_CALL_BYTES)
    if len(form) > MAX_CALL_BYTES:
        raise CallTooLarge(param="arguments")
    return form


def digest_of(tool: str, server: str | None, arguments_text: str) -> bytes:
    """Hash a stored call again, for comparison with the digest that was approved."""
    return hashlib.sha256(canonical_call(tool, server, load_json(arguments_text))).digest()


def canonical_form(value: Any, most_characters: int | None = None) -> bytes:
    """Return the canonical form of a JSON value whose numbers are int or Decimal.

    It may be many times longer than what was sent (``1e400`` has 401 digits): with ``most_characters`` the writing ends
    with ``CallTooLarge`` soon after that many.
    """
    try:
        # Most calls have no fraction in them; then the C encoder's output is the canonical form.
        return _encode(value).encode()
    except TypeError:
        pieces: list[str] = []
        size = 0

        def write(piece: str) -> None:
            nonlocal size
            size += len(piece)
            if most_characters is not None and size > most_characters:
                raise CallTooLarge(param="arguments") from None
            pieces.append(piece)

        _write(value, write)
        return "".join(pieces).encode()


def digest_of_form(value: Any) -> bytes:
    """Return the SHA-256 of ``canonical_form(value)`` without ever holding the form as a whole."""
    try:
        return hashlib.sha256(_encode(value).encode()).digest()
    except TypeError:
        hashed = hashlib.sha256()
        _write(value, lambda piece: hashed.update(piece.encode()))
        return hashed.digest()


def _write(value: Any, write: Callable[[str], None]) -> None:
    if isinstance(value, dict):
        separator = "{"
        for key in sorted(value):
            write(separator)
            write(_encode(key))
            write(":")
            _write(value[key], write)
            separator = ","
        write("}" if value else "{}")
    elif isinstance(value, list):
        separator = "["
        for item in value:
            write(separator)
            _write(item, write)
            separator = ","
        write("]" if value else "[]")
    elif isinstance(value, Decimal):
        write(_normal(value))
    else:
        write(_encode(value))


def _normal(number: Decimal) -> str:
    """Write a decimal exactly: whole numbers as integers, others as digits without trailing zero and an exponent."""
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    if not kept:
        return "0"
    exponent = int(exponent) + len(text) - len(kept)
    body = kept + "0" * exponent if exponent >= 0 else f"{kept}e{exponent}"
    return f"-{body}" if sign else body


# --- parsing ----------------------------------------------------------------------------------------------


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has the same key twice")
    return made


def _fraction(literal: str) -> Decimal:
    try:
        number = Decimal(literal)
    except InvalidOperation as error:
        raise ValueError("a number's exponent is beyond 400") from error
    if not -MAX_EXPONENT <= number.adjusted() <= MAX_EXPONENT:
        raise ValueError("a number's exponent is beyond 400")
    return number


def _integer(literal: str) -> int:
    if len(literal.removeprefix("-")) > MAX_EXPONENT + 1:
        raise ValueError("a number's exponent is beyond 400")
    return int(literal)


def _constant(literal: str) -> Any:
    raise ValueError(f"{literal} is not a JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_fraction, parse_int=_integer, parse_constant=_constant
)


def _top_level(text: str) -> dict[str, tuple[Any, str]]:
    """Parse one object, keeping the text of each field's value, which the standard decoder does not give."""
    scan: Any = _DECODER.scan_once  # type: ignore[attr-defined]  # there, but not in typeshed
    # The marks between names and values are found with the white space around them by one match each.
    mark = _OPENING.match(text)
    if mark is None:
        raise ValueError("it must be an object")
    fields: dict[str, tuple[Any, str]] = {}
    at = mark.end()
    if mark[1]:  # the closing brace of an empty object
        return _ended(text, at, fields)
    while True:
        if text[at : at + 1] != '"':
            raise ValueError(f"a field's name is expected at character {at}")
        name, at = scanstring(text, at + 1, True)
        mark = _COLON.match(text, at)
        if mark is None:
            raise ValueError(f"a colon is expected at character {_skip(text, at)}")
        start = mark.end()
        value, end = scan(text, start)
        if name in fields:
            raise ValueError("the object has the same key twice")
        fields[name] = (value, text[start:end])
        mark = _NEXT.match(text, end)
        if mark is None:
            raise ValueError(f"a comma or a closing brace is expected at character {_skip(text, end)}")
        at = mark.end()
        if mark[1] == "}":
            return _ended(text, at, fields)


def _ended(text: str, at: int, fields: dict[str, tuple[Any, str]]) -> dict[str, tuple[Any, str]]:
    if at != len(text):
        raise ValueError(f"something follows the object at character {at}")
    return fields


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _refuse_depth(values: list[Any]) -> None:
    """Raise ``BadInput`` when containers are nested too deep; ``values`` stand in the body, which is level one."""
    depth, level = 1, [value for value in values if isinstance(value, (dict, list))]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        inner = (item for box in level for item in (box.values() if isinstance(box, dict) else box))
        level = [item for item in inner if isinstance(item, (dict, list))]


def _too_deep() -> BadInput:
    return BadInput(f"The body is nested more than {MAX_DEPTH} levels deep.", code="too_deep")


def _text(fields: dict[str, tuple[Any, str]], name: str) -> str:
    value = fields[name][0]
    if not isinstance(value, str):
        raise BadInput(f"{name} must be a string.", param=name, code="invalid_field")
    return value


def _name(fields: dict[str, tuple[Any, str]], name: str) -> str:
    """A tool's or server's name. Rules match it and people read it, so nothing in it may be invisible."""
    value = _text(fields, name)
    if not 1 <= len(value) <= MAX_NAME or not value.isprintable() or value != value.strip():
        raise BadInput(
            f"{name} must be 1 to {MAX_NAME} printable characters without spaces at its ends.",
            param=name,
            code="invalid_field",
        )
    return value
