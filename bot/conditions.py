"""Conditions: what a rule's `when` says of a call, in CEL.

Compiled when the configuration is read, evaluated for each call whose names fit the rule. A condition sees the call
alone: agent, tool, server, arguments; nothing that the agent says about its call. Numbers are compared exactly or not
at all: what CEL's integers and doubles cannot hold exactly makes a condition that reads it fail. A condition that
failed is neither true nor false, and whoever asks must treat it as a no. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import TypeAlias

from cel_expr_python import cel  # type: ignore[import-untyped]  # it has stubs, and no mark to say so

from bot.call import load_json
from bot.condition_text import LARGEST_EXACT, Path, Reading, is_exact, read

MOST_CHARACTERS = 4000
"""The longest condition."""
MOST_CHARACTERS_NESTED = 4 * 1024
"""The largest arguments, as JSON text, that a condition may go through for each of many: work grows with the square."""

_LARGEST_INT = 2**63 - 1
_SMALLEST_INT = -(2**63)

_Plain: TypeAlias = "bool | int | float | str | list[_Plain] | dict[str, _Plain] | None"
Json: TypeAlias = "bool | int | Decimal | str | list[Json] | dict[str, Json] | None"

# Conversion to double is left out: it would round what must compare exactly.
_ENVIRONMENT = cel.NewEnv(
    config=cel.NewEnvConfigFromYaml('name: "signoff"\nstdlib:\n  exclude_functions:\n    - name: "double"\n'),
    variables={
        "agent": cel.Type.STRING,
        "tool": cel.Type.STRING,
        "server": cel.Type.STRING,
        "arguments": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    },
)
_CARET = re.compile(r"\n\s*\|[^\n]*")
_PLACE = re.compile(r"(?:INVALID_ARGUMENT: )?ERROR: <input>:(\d+):(\d+): ")
_EXPECTING = re.compile(r" expecting \{.*?\}(?=$|\n)", re.DOTALL)


class BadCondition(ValueError):
    """A text that is no condition. Its problem and its remedy are for the person who wrote it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class Failure(StrEnum):
    """Why a condition is neither true nor false for a call. In words that quote nothing of the call."""

    MISSING = "something that it reads is not in the call"
    KIND = "a value is of a kind that it cannot compare or calculate with"
    INEXACT = "a number that it reads cannot be compared exactly"
    TOO_LARGE = "the arguments are too large for it to go through"
    NO_ANSWER = "it has no answer for this call"


@dataclass(frozen=True)
class Call:
    """What a rule goes by in a call. ``arguments`` is the exact JSON text, which is parsed once, if at all."""

    agent: str
    tool: str
    server: str | None
    arguments: str

    @cached_property
    def values(self) -> dict[str, Json]:
        """The arguments, their numbers exact."""
        values: dict[str, Json] = load_json(self.arguments)
        return values


class _Inexact(Exception):
    """A number that is read has no exact counterpart in CEL."""


class Condition:
    """A compiled condition. Made by ``compile_condition``."""

    def __init__(self, expression: cel.Expression, reading: Reading) -> None:
        self._expression = expression
        self._reading = reading

    def holds(self, call: Call) -> bool | Failure:
        """Whether the condition is true of ``call``; a ``Failure`` where it has no answer. Never raises."""
        if self._reading.nested and len(call.arguments) > MOST_CHARACTERS_NESTED:
            return Failure.TOO_LARGE
        try:
            arguments = self._readable(call.values) if self._reads_arguments else {}
            names = {"agent": call.agent, "tool": call.tool, "server": call.server or ""}
            value = self._expression.eval(data={**names, "arguments": arguments})
            if value.type() == cel.Type.BOOL:
                return value.plain_value() is True
            return _failure_of(str(value.plain_value()) if value.type() == cel.Type.ERROR else "")
        except _Inexact:
            return Failure.INEXACT
        except Exception as error:  # whatever the library does, it must not let a call through, nor end the service
            return _failure_of(str(error))

    @property
    def _reads_arguments(self) -> bool:
        return bool(self._reading.values or self._reading.presence)

    def _readable(self, arguments: dict[str, Json]) -> dict[str, _Plain]:
        """Only what the condition reads, in CEL's kinds: a number elsewhere cannot make it fail.

        Raises ``_Inexact`` for a number that it does read.
        """
        exact_only = self._reading.calculates
        if () in self._reading.values:
            return {key: _plain(value, exact_only) for key, value in arguments.items()}
        kept: dict[str, _Plain] = {}
        # What a shorter path leads to holds all that longer ones reach; of what is only there, the longer tell more.
        for path in sorted(self._reading.values, key=len):
            _keep(path, arguments, kept, exact_only, whole=True)
        for path in sorted(self._reading.presence, key=len, reverse=True):
            _keep(path, arguments, kept, exact_only, whole=False)
        return kept


@lru_cache(maxsize=1024)
def compile_condition(text: str) -> Condition:
    """Compile a condition. Raises ``BadCondition`` with all that can be known without a call."""
    if len(text) > MOST_CHARACTERS:
        raise BadCondition(f"has {len(text)} characters", f"write at most {MOST_CHARACTERS}, or more than one rule")
    try:
        expression = _ENVIRONMENT.compile(text)
    except RuntimeError as error:
        raise BadCondition(*_readable_error(str(error))) from error
    result = expression.return_type()
    if result not in (cel.Type.BOOL, cel.Type.DYN):
        raise BadCondition(
            f"is not a condition: its result is of type {result.name().lower()}, not true or false",
            "compare something, such as arguments.amount <= 5000",
        )
    reading = read(text)
    for literal in reading.doubles:
        if not is_exact(literal):
            raise BadCondition(
                f"has the number {literal[:60]}, which cannot be compared exactly",
                f"use a whole number without dot and exponent, or fewer digits, below {LARGEST_EXACT}",
            )
    if reading.builds_messages:
        raise BadCondition(
            "names google, as protobuf's messages do, and they may round numbers",
            'write numbers plainly, and arguments["google"] for a field of that name',
        )
    if reading.free_patterns:
        raise BadCondition(
            "matches by a pattern that is not written in it",
            'write it as text.matches("pattern"): a pattern from the call would match whatever the agent likes',
        )
    for pattern in reading.patterns:
        found = _ENVIRONMENT.compile(f'"".matches({pattern})').eval(data={})
        if found.type() != cel.Type.BOOL:
            raise BadCondition(f"has a pattern that cannot be read: {pattern}", "write it in the syntax of RE2")
    return Condition(expression, reading)


def _readable_error(message: str) -> tuple[str, str]:
    """The library's first error in one line: its problem with the place, and what to do."""
    message = _EXPECTING.sub("", _CARET.sub("", message.removesuffix(" [INVALID_ARGUMENT]")))
    first = message.split("\nERROR: ")[0].strip()
    place = _PLACE.match(first)
    what = re.sub(r"\s+", " ", first[place.end() :] if place else first.removeprefix("INVALID_ARGUMENT: "))
    what = what.replace(" (in container '')", "").replace("'_", "'").replace("_'", "'").strip()
    where = f"line {place[1]}, character {place[2]}: " if place else ""
    remedy = "see docs/configuration.md#conditions for what a condition may say"
    if "'double'" in what:
        remedy = "compare numbers as they are: 4900, 4900.0 and 49e2 are the same; rounding to double is left out"
    elif "token recognition error at: '=" in what:
        remedy = 'compare with ==, such as arguments.currency == "GBP"'
    elif what.startswith("undeclared reference"):
        remedy = "a condition may use agent, tool, server and arguments, and CEL's own functions"
    return f"is not a condition: {where}{what}", remedy


def _failure_of(message: str) -> Failure:
    # The message itself may quote arguments, so it goes nowhere.
    if message.startswith("NOT_FOUND"):
        return Failure.MISSING
    if "overload" in message or "non-message" in message:
        return Failure.KIND
    if "budget" in message:
        return Failure.TOO_LARGE
    return Failure.NO_ANSWER


def _keep(path: Path, source: Mapping[str, Json], kept: dict[str, _Plain], exact_only: bool, *, whole: bool) -> None:
    """Copy what ``path`` leads to into ``kept``, or only that it is there."""
    for depth, key in enumerate(path):
        if key not in source:
            return
        value = source[key]
        if depth == len(path) - 1:
            if whole:
                kept[key] = _plain(value, exact_only)
            else:
                kept.setdefault(key, True)
            return
        if not isinstance(value, dict):
            kept[key] = _plain(value, exact_only)
            return
        inner = kept.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        source, kept = value, inner


def _plain(value: Json, exact_only: bool) -> _Plain:
    if isinstance(value, dict):
        return {key: _plain(item, exact_only) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, exact_only) for item in value]
    if isinstance(value, Decimal):
        return _number(value, exact_only)
    if isinstance(value, int) and not _SMALLEST_INT <= value <= _LARGEST_INT:
        raise _Inexact
    return value


def _number(value: Decimal, exact_only: bool) -> int | float:
    if value == value.to_integral_value():
        if not _SMALLEST_INT <= value <= _LARGEST_INT:
            raise _Inexact
        return int(value)
    # Decimals that read back as written keep their order as doubles, among each other and among whole numbers.
    if exact_only or Decimal(repr(float(value))) != value:
        raise _Inexact
    return float(value)
