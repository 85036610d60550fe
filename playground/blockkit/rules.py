"""The building blocks of the checks: small rules that look at one JSON value and report what is wrong.

A rule is a function of the value, its JSON pointer and the report. The words are Slack's where they are
known. Nothing here knows a block or an element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and what was expected."""

    pointer: str
    message: str
    constraint: dict[str, Any] | None = None

    def words(self) -> str:
        """As `response_metadata.messages` has it."""
        return f"{self.message} [json-pointer:{self.pointer}]"


@dataclass
class Report:
    """The problems found so far."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, pointer: str, message: str, **constraint: Any) -> None:
        """Reports a problem."""
        self.problems.append(Problem(pointer, message, constraint or None))


Rule = Callable[[Any, str, Report], None]


def string(
    *,
    most: int | None = None,
    least: int = 1,
    among: tuple[str, ...] = (),
    pattern: str | None = None,
    words: str = "has an invalid format",
) -> Rule:
    """A string of `least` to `most` characters, or one of a few, or one that matches a pattern.

    `words` is what is told of one that does not match.
    """

    def rule(value: Any, pointer: str, report: Report) -> None:
        if not isinstance(value, str):
            report.add(pointer, "must be a string", type="string")
        elif among and value not in among:
            report.add(pointer, f"must be one of: {', '.join(among)}", type="enum", expected=list(among))
        elif len(value) < least:
            report.add(pointer, f"must be more than {least - 1} characters", type="min_length", min=least)
        elif most is not None and len(value) > most:
            report.add(pointer, f"must be less than {most + 1} characters", type="max_length", max=most)
        elif pattern is not None and not re.fullmatch(pattern, value):
            report.add(pointer, words, type="pattern")

    return rule


def url(most: int = 3000) -> Rule:
    """An http or https address."""
    return string(most=most, pattern=r"https?://\S.*", words="must be a valid URL")


def boolean(value: Any, pointer: str, report: Report) -> None:
    """True or false."""
    if not isinstance(value, bool):
        report.add(pointer, "must be a boolean", type="boolean")


def integer(least: int | None = None, most: int | None = None) -> Rule:
    """A whole number within bounds."""

    def rule(value: Any, pointer: str, report: Report) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            report.add(pointer, "must be an integer", type="integer")
        elif least is not None and value < least:
            report.add(pointer, f"must be greater than or equal to {least}", type="minimum", min=least)
        elif most is not None and value > most:
            report.add(pointer, f"must be less than or equal to {most}", type="maximum", max=most)

    return rule


def array(item: Rule, *, most: int | None = None, least: int = 1) -> Rule:
    """A list of `least` to `most` things that each obey a rule."""

    def rule(value: Any, pointer: str, report: Report) -> None:
        if not isinstance(value, list):
            report.add(pointer, "must be an array", type="array")
            return
        if len(value) < least:
            report.add(pointer, f"no fewer than {least} items allowed", type="min_items", min=least)
        if most is not None and len(value) > most:
            report.add(pointer, f"no more than {most} items allowed", type="max_items", max=most)
            return
        for index, entry in enumerate(value):
            item(entry, f"{pointer}/{index}", report)

    return rule


def fields(
    required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None, *, kind: str | None = None
) -> Rule:
    """An object with these fields and no others. `kind` is the value its `type` is known to have."""
    known = {**required, **(optional or {})}

    def rule(value: Any, pointer: str, report: Report) -> None:
        if not isinstance(value, dict):
            report.add(pointer, "must be an object", type="object")
            return
        for name in required:
            if name not in value:
                report.add(pointer, f"missing required field: {name}", type="required", field=name)
        for name, entry in value.items():
            if name in known:
                known[name](entry, f"{pointer}/{name}", report)
            elif not (name == "type" and kind is not None):
                report.add(pointer, f"invalid additional property: {name}", type="additional", field=name)

    return rule


def by_type(rules: Mapping[str, Rule]) -> Rule:
    """An object whose `type` says which rule it must obey."""

    def rule(value: Any, pointer: str, report: Report) -> None:
        if not isinstance(value, dict):
            report.add(pointer, "must be an object", type="object")
        elif "type" not in value:
            report.add(pointer, "missing required field: type", type="required", field="type")
        elif not isinstance(value["type"], str) or value["type"] not in rules:
            report.add(f"{pointer}/type", f"unsupported type: {value['type']}", type="enum", expected=sorted(rules))
        else:
            rules[value["type"]](value, pointer, report)

    return rule


def both(*rules: Rule) -> Rule:
    """Several rules at once."""

    def rule(value: Any, pointer: str, report: Report) -> None:
        for one in rules:
            one(value, pointer, report)

    return rule


def when_object(check: Callable[[dict[str, Any], str, Report], None]) -> Rule:
    """A rule for objects alone; what is no object was reported elsewhere."""

    def rule(value: Any, pointer: str, report: Report) -> None:
        if isinstance(value, dict):
            check(value, pointer, report)

    return rule
