"""What is wrong with a configuration, said so that a person can put it right at the first try.

A `Fault` names the key, the problem and the remedy; `BadConfig` carries all faults of a file (or of the secrets)
at once. This room also translates pydantic's errors into faults. It must not decide what is valid: the models in
config_tables.py and the loaders do. No fault ever shows a secret.
"""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

_SHOWN_LENGTH_CHARS = 60
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SLACK_TOKEN = re.compile(r"xox[a-z.]*-|xapp-", re.IGNORECASE)
_SECRET_WORD = re.compile(r"token|secret|password", re.IGNORECASE)
_KINDS: dict[type, str] = {
    bool: "true or false",
    str: "text",
    int: "a whole number",
    float: "a decimal number",
    list: "a list",
    dict: "a table",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: where (`rules[0].max_timeout`, a variable's name), what, and what would be right."""

    key_path: str
    problem: str
    remedy: str
    rule: str | None = None
    """The rule's name, where the key belongs to a rule: people do not count rules from zero."""

    def __str__(self) -> str:
        where = f'{self.key_path} (rule "{self.rule}")' if self.rule else self.key_path
        return f"{where}: {self.problem}; {self.remedy}"


class BadConfig(Exception):
    """The configuration cannot be used. `str()` is the list to show to the operator, all faults in it."""

    code = "bad_config"

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        self.source = source
        self.faults = tuple(faults)
        super().__init__(source, self.faults)

    def __str__(self) -> str:
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        return "\n".join([f"{self.source}: {count}", *(f"  {fault}" for fault in self.faults)])


def wrong(problem: str, remedy: str) -> PydanticCustomError:
    """The error that a validator raises: it comes out as a Fault with these two texts."""
    return PydanticCustomError("signoff", "{problem}", {"problem": problem, "remedy": remedy})


def shown(value: object) -> str:
    """A value as it may stand in a fault: short, printable, and not if it looks like a Slack token."""
    if isinstance(value, dict):
        return "a table"
    text = json.dumps(value, default=str)
    if _SLACK_TOKEN.search(text):
        return "a Slack token (not shown)"
    return text if len(text) <= _SHOWN_LENGTH_CHARS else text[:_SHOWN_LENGTH_CHARS] + "…"


def key_path(parts: Sequence[str | int]) -> str:
    """The parts as TOML writes them: `agents.refund-bot.tools[1]`, `agents."a.b".owners`."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = part if _BARE_KEY.fullmatch(part) else json.dumps(part)
            path += f".{name}" if path else name
    return path


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most likely stands for, if one is near enough."""
    close = difflib.get_close_matches(word.lower(), sorted(known), n=1)
    return close[0] if close else None


def unknown_key(path: Sequence[str | int], known: Sequence[str], value: object) -> Fault:
    """The fault of a key that does not exist, with the nearest one that does."""
    key = str(path[-1])
    near = nearest(key, known)
    if near:
        remedy = f'did you mean "{near}"?'
    elif _SECRET_WORD.search(key):
        remedy = "secrets never stand in this file: they come from the environment (docs/configuration.md)"
    elif path[0] in ("agents", "reviewers") and len(path) == 3 and isinstance(value, dict):
        dotted = f"{path[1]}.{key}"
        remedy = f'a name with a dot is written in quotes: [{path[0]}."{dotted}"]'
    else:
        remedy = f"known here: {', '.join(known)}" if known else "remove it"
    return Fault(key_path(path), "is not a known key", remedy)


def faults_of(
    error: ValidationError,
    fields: dict[str, FieldInfo],
    *,
    path: Sequence[str | int],
    given: Sequence[str] = (),
    rule: str | None = None,
) -> list[Fault]:
    """The faults in pydantic's report on one table.

    `fields` are the table's model fields, `path` leads to the table, `given` names the fields that the loader
    fills from elsewhere (a table's own name): an error in one of those is an error of the table.
    """
    known = [name for name in fields if name not in given]
    faults = []
    for detail in error.errors(include_url=False):
        loc = [part for part in detail["loc"] if part not in given]
        where = [*path, *loc]
        if detail["type"] == "extra_forbidden":
            fault = unknown_key(where, known, detail["input"])
        else:
            field = fields.get(str(loc[0])) if loc else None
            fault = Fault(key_path(where), *_problem_and_remedy(detail, field))
        faults.append(Fault(fault.key_path, fault.problem, fault.remedy, rule))
    return faults


def _problem_and_remedy(detail: ErrorDetails, field: FieldInfo | None) -> tuple[str, str]:
    context: dict[str, Any] = detail.get("ctx", {})
    example = _example(field, whole=len(detail["loc"]) == 1)
    value = detail["input"]
    match detail["type"]:
        case "signoff":
            return context["problem"], context["remedy"]
        case "missing":
            return "is missing", f"add it{example}"
        case "literal_error" | "enum":
            expected = context["expected"].replace("'", '"')
            return f"is {shown(value)}", f"use one of {expected}" if " or " in expected else f"use {expected}"
        case "greater_than_equal":
            return f"is {shown(value)}", f"use at least {context['ge']}"
        case "less_than_equal":
            return f"is {shown(value)}", f"use at most {context['le']}"
        case "string_type":
            return _wrong_kind(value), f"write text in quotes{example}"
        case "int_type":
            return _wrong_kind(value), f"write a whole number, without quotes{example}"
        case "bool_type":
            return _wrong_kind(value), "write true or false, without quotes"
        case "model_type":
            return _wrong_kind(value), 'write a table in braces, such as { reviewers = "finance", quorum = 1 }'
        case "tuple_type":
            return _wrong_kind(value), f"write a list in brackets{example}"
        case _:
            return f"is {shown(value)}", detail["msg"] + example


def _wrong_kind(value: object) -> str:
    return f"is {_KINDS.get(type(value), 'a date or time')} ({shown(value)})"


def _example(field: FieldInfo | None, *, whole: bool) -> str:
    """`, such as …` in TOML's notation; for an item of a list an item of the example."""
    if field is None or not field.examples:
        return ""
    example = field.examples[0]
    if not whole and isinstance(example, list):
        example = example[0]
    return f", such as {json.dumps(example)}"
