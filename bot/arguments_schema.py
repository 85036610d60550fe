"""JSON Schemas for the arguments of a tool: what a rule's `arguments_schema` says, and where a call does not fit it.

Draft 2020-12 unless the schema names another. Numbers are exact: 0.1 is not below a minimum of 0.1, and multiples are
computed without rounding. Patterns are RE2's, whose time grows with the text alone, so no call can stall the service
by one. A reference leads nowhere but into the schema itself. What does not fit is told by its place and the schema's
own words, never by the value. Pure: a schema's file is read by whoever reads the configuration.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]  # it has stubs, and no mark to say so
from jsonschema import Draft7Validator, Draft201909Validator, Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry, Specification
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from bot.call import canonical_form

MOST_BYTES = 256 * 1024
"""The largest file of a schema."""
MOST_CHECKS = 100_000
"""How often keywords are tried on one call, before it is denied as too large to check: a second or two."""
_SHOWN_CHARACTERS = 200

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_TEXTS = cel.NewEnv(variables={"text": cel.Type.STRING})

_Errors = Iterator[ValidationError]
_Validator = Any  # the library's stubs lack `descend`, by which keywords go into parts


class BadSchema(ValueError):
    """A value that is no schema Signoff can go by. Its problem and its remedy are for the person who wrote it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Misfit:
    """Where arguments do not fit (a JSON pointer, cut if long), and the requirement in the schema's own words."""

    pointer: str
    requirement: str

    def __str__(self) -> str:
        return f"{self.pointer or 'at the top'}: {self.requirement}"


class ArgumentsSchema:
    """A schema, ready to be asked. Made by ``compile_schema``.

    ``refers``: whether a part of it refers to another. Then even a short call may take all of ``MOST_CHECKS``: what
    goes in circles doubles its work with each level.
    """

    def __init__(self, validator: _Validator, *, refers: bool) -> None:
        self._validator = validator
        self.refers = refers

    def misfit(self, arguments: object) -> Misfit | None:
        """The first thing that does not fit; None if all does. ``arguments`` have int and Decimal for numbers."""
        _left.set([MOST_CHECKS])
        try:
            error = next(self._validator.iter_errors(arguments), None)
        except RecursionError:
            return Misfit("", "the schema refers to itself without end")
        except _TooMuch:
            return Misfit("", "the arguments are too large to be checked")
        return None if error is None else Misfit(_pointer(error), _requirement(error))


def parse_schema(text: bytes) -> dict[str, Any]:
    """The schema in a file's bytes. Raises ``BadSchema``."""
    if len(text) > MOST_BYTES:
        raise BadSchema(f"has {len(text)} bytes", f"write at most {MOST_BYTES}")
    try:
        schema = json.loads(text.decode("utf-8-sig"), parse_float=_float)
    except UnicodeDecodeError as error:
        raise BadSchema("has bytes that are not UTF-8", "save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise BadSchema(f"is not JSON: {error}", "write one JSON object") from error
    if not isinstance(schema, dict):
        raise BadSchema("is not a JSON object", "write one, such as {}")
    return schema


def compile_schema(schema: Mapping[str, Any]) -> ArgumentsSchema:
    """Make a schema ready. Raises ``BadSchema`` with all that can be known without a call."""
    exact = _exact(schema)
    draft = _DRAFTS.get(schema.get("$schema", _DEFAULT_DRAFT))
    if draft is None:
        raise BadSchema("names a $schema that is not known here", f'use "{_DEFAULT_DRAFT}", or leave it out')
    try:
        # Without formats: theirs for patterns is Python's, and ours are RE2's.
        draft.check_schema(exact, format_checker=None)
    except SchemaError as error:
        where = f" at {_pointer(error)}" if error.absolute_path else ""
        raise BadSchema(f"is not a JSON Schema{where}: {error.message[:_SHOWN_CHARACTERS]}", _SEE) from error
    except RecursionError as error:
        raise BadSchema("is nested too deep", _SEE) from error
    specification: Specification[Any] = specification_with(schema.get("$schema", _DEFAULT_DRAFT))
    resource = specification.create_resource(exact)
    registry: Registry[Any] = Registry().with_resource("", resource)
    resolver = registry.resolver_with_root(resource)
    refers = False
    for keyword, value in _texts(exact, top=True):
        if keyword in _REFERENCES:
            refers = True
            _check_reference(value, resolver.lookup)
        elif keyword == "$id":
            raise BadSchema(f"has a part with a name of its own, {value!r}", "leave $id out and refer by #/$defs/…")
        elif keyword == "pattern":
            _pattern(value)
    patterns = list(_property_patterns(exact))
    for pattern in patterns:
        _pattern(pattern)
    if patterns and '"unevaluatedProperties"' in json.dumps(exact, default=str):
        # The library would try those patterns with Python's own, which may take for ever.
        raise BadSchema("has both patternProperties and unevaluatedProperties", "use additionalProperties")
    ready = ArgumentsSchema(draft(exact, registry=registry), refers=refers)
    try:
        # Circles show with the emptiest of arguments.
        next(draft(exact, registry=registry).iter_errors({}), None)
    except RecursionError as error:
        raise BadSchema("refers to itself without end", "let every circle of references pass a property") from error
    return ready


# --- reading a schema -------------------------------------------------------------------------------------

_SEE = "see https://json-schema.org/understanding-json-schema"


def _float(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number) or Decimal(repr(number)) != Decimal(literal):
        raise ValueError(f"the number {literal[:60]} has more digits than are kept")
    return number


def _exact(value: Any) -> Any:
    """A schema whose decimals are exactly what is written in it."""
    if isinstance(value, Mapping):
        return {str(key): _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadSchema(f"has the number {value}", "write a finite number")
        return Decimal(repr(value))
    if value is None or isinstance(value, bool | int | str):
        return value
    raise BadSchema(f"has a value that JSON does not know: {value}", "write dates and times as text in quotes")


def _texts(schema: Any, *, top: bool = False) -> Iterator[tuple[str, str]]:
    """Every key of the schema with a text for its value, but the name at its top."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if isinstance(value, str) and not (top and key == "$id"):
                yield key, value
            yield from _texts(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _texts(item)


def _property_patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        patterns = schema.get("patternProperties")
        if isinstance(patterns, dict):
            yield from patterns
        for value in schema.values():
            yield from _property_patterns(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _property_patterns(item)


def _check_reference(reference: str, look_up: Callable[[str], object]) -> None:
    remedy = "refer to a part of the same schema, such as #/$defs/amount: nothing else is ever fetched"
    if not reference.startswith("#"):
        raise BadSchema(f"refers to {reference[:_SHOWN_CHARACTERS]!r}", remedy)
    try:
        look_up(reference)
    except Unresolvable as error:
        raise BadSchema(f"refers to {reference[:_SHOWN_CHARACTERS]!r}, which is not there", remedy) from error


# --- exact keywords ---------------------------------------------------------------------------------------


def _is_number(_: object, value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_integer(_: object, value: object) -> bool:
    if isinstance(value, Decimal):
        return value == value.to_integral_value()
    return isinstance(value, int) and not isinstance(value, bool)


def _multiple_of(validator: _Validator, divisor: Any, instance: Any, _: object) -> _Errors:
    if validator.is_type(instance, "number") and Fraction(instance) % Fraction(divisor):
        yield ValidationError("is not a multiple")


def _unique_items(validator: _Validator, wanted: Any, instance: Any, _: object) -> _Errors:
    # By their canonical form: comparing each with each takes too long for a large list.
    if wanted and validator.is_type(instance, "array") and len(set(map(canonical_form, instance))) < len(instance):
        yield ValidationError("has an item twice")


def _matches(validator: _Validator, pattern: str, instance: Any, _: object) -> _Errors:
    if validator.is_type(instance, "string") and not _is_in(pattern, instance):
        yield ValidationError("does not match")


def _pattern_properties(validator: _Validator, patterns: Any, instance: Any, _: object) -> _Errors:
    if validator.is_type(instance, "object"):
        for pattern, schema in patterns.items():
            for name, value in instance.items():
                if _is_in(pattern, name):
                    yield from validator.descend(value, schema, path=name, schema_path=pattern)


def _additional_properties(validator: _Validator, allowed: Any, instance: Any, schema: Any) -> _Errors:
    if validator.is_type(instance, "object"):
        patterns = schema.get("patternProperties", {})
        for name, value in instance.items():
            if name not in schema.get("properties", {}) and not any(_is_in(pattern, name) for pattern in patterns):
                if allowed is False:
                    yield ValidationError("has a field too many")
                    return
                yield from validator.descend(value, allowed, path=name)


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> cel.Expression:
    """A pattern, compiled. Raises ``BadSchema`` for one that RE2 cannot read."""
    expression = _TEXTS.compile(f"text.matches({json.dumps(pattern)})")
    if expression.eval(data={"text": ""}).type() != cel.Type.BOOL:
        raise BadSchema(
            f"has a pattern that cannot be read: {pattern[:_SHOWN_CHARACTERS]}",
            "write it in the syntax of RE2, which has no look-ahead and no references back",
        )
    return expression


def _is_in(pattern: str, text: str) -> bool:
    return _pattern(pattern).eval(data={"text": text}).plain_value() is True


_left: ContextVar[list[int]] = ContextVar("checks left")


class _TooMuch(Exception):
    """A call takes more checks than it may."""


def _counted(keyword: Callable[..., _Errors | None]) -> Callable[..., _Errors | None]:
    def count(*args: Any) -> _Errors | None:
        left = _left.get(None)
        if left is not None:
            left[0] -= 1
            if left[0] < 0:
                raise _TooMuch
        return keyword(*args)

    return count


def _made_exact(draft: type[_Validator]) -> Any:
    checker = draft.TYPE_CHECKER.redefine_many({"number": _is_number, "integer": _is_integer})
    keywords = {
        "multipleOf": _multiple_of,
        "uniqueItems": _unique_items,
        "pattern": _matches,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }
    counted = {name: _counted(keyword) for name, keyword in {**draft.VALIDATORS, **keywords}.items()}
    return extend(draft, counted, type_checker=checker)  # type: ignore[no-untyped-call]


_DEFAULT_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DRAFTS = {
    _DEFAULT_DRAFT: _made_exact(Draft202012Validator),
    "https://json-schema.org/draft/2019-09/schema": _made_exact(Draft201909Validator),
    "http://json-schema.org/draft-07/schema#": _made_exact(Draft7Validator),
    "http://json-schema.org/draft-07/schema": _made_exact(Draft7Validator),
}


# --- words ------------------------------------------------------------------------------------------------


def _pointer(error: ValidationError | SchemaError) -> str:
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in error.absolute_path)
    return _cut("".join(f"/{part}" for part in parts))


def _requirement(error: ValidationError) -> str:
    """The keyword that is not met with what the schema says to it; what the arguments say stays out of it."""
    keyword, wanted = str(error.validator), error.validator_value
    if keyword == "required" and isinstance(wanted, list) and isinstance(error.instance, dict):
        return _cut("required: " + ", ".join(name for name in wanted if name not in error.instance))
    if error.validator is None:
        return "nothing is allowed here"
    return _cut(f"{keyword}: {json.dumps(wanted, ensure_ascii=False, default=_plain)}")


def _plain(number: object) -> object:
    return float(number) if isinstance(number, Decimal) else str(number)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
