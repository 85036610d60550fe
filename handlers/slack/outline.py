"""A call's arguments as people read them: an indented outline, from the agent's JSON text, nothing left out.

Pure. Numbers stand as the agent wrote them (``1.10`` stays ``1.10``), strings in quotes (so that ``"5"`` is not
``5``), empty and null told apart. Every line begins with what is ours (a plain name, a quote, ``-`` or ``│``), so
that no value can imitate another line of the outline.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

from handlers.slack.text import how_many, quoted, visible

_INDENT = "  "
_DEEPEST_INDENT = 8
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,75}", re.ASCII)
_EMPTY_LINES = 3  # more of them in a row are counted, so that nothing is pushed out of sight


class _Number(str):
    """A number, as the agent wrote it."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """An object's pairs in the order they were sent."""

    __slots__ = ()


_DECODER = json.JSONDecoder(object_pairs_hook=_Object, parse_float=_Number, parse_int=_Number)


@dataclass(frozen=True, slots=True)
class Entry:
    """One argument: its lines in the outline, without the line break at their ends."""

    key: str
    lines: tuple[str, ...]

    @property
    def size(self) -> int:
        """Its length in characters, line breaks included."""
        return sum(map(len, self.lines)) + len(self.lines)


@dataclass(frozen=True, slots=True)
class Outline:
    """All arguments of a call, in the order sent. ``strings``: the agent's own texts, for looking at their letters."""

    entries: tuple[Entry, ...]
    strings: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(line for entry in self.entries for line in entry.lines)

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)


@lru_cache(maxsize=8)  # one drawing asks several times
def outline(arguments: str) -> Outline:
    """Outline the JSON text of an object, as stored. Raises ``ValueError`` or ``TypeError`` for other text."""
    pairs = _DECODER.decode(arguments)
    if not isinstance(pairs, _Object):
        raise TypeError("arguments are not an object")
    return Outline(
        entries=tuple(Entry(key, tuple(_entry(_key(key), value, 0))) for key, value in pairs),
        strings=tuple(_strings(pairs)),
    )


def _entry(label: str, value: Any, depth: int) -> Iterator[str]:
    """The lines of one value behind its label (``name: `` or ``- ``)."""
    margin = _margin(depth)
    if isinstance(value, _Object):
        if not value:
            yield f"{margin}{label}{{}} (empty)"
        elif label == "- ":
            yield from _under_dash(value, depth)
        else:
            yield f"{margin}{label.rstrip()}"
            yield from _pairs(value, depth + 1)
    elif isinstance(value, list):
        if value:
            yield f"{margin}{label}list of {len(value):,}"
            for item in value:
                yield from _entry("- ", item, depth + 1)
        else:
            yield f"{margin}{label}[] (empty)"
    elif isinstance(value, str) and not isinstance(value, _Number):
        yield from _string(margin, label, value)
    else:
        yield f"{margin}{label}{_scalar(value)}"


def _pairs(pairs: _Object, depth: int) -> Iterator[str]:
    for key, value in pairs:
        yield from _entry(_key(key), value, depth)


def _under_dash(pairs: _Object, depth: int) -> Iterator[str]:
    """An object that is an item of a list: its first line takes the dash."""
    mark, inner = f"{_margin(depth)}- ", _margin(depth + 1)
    for at, line in enumerate(_pairs(pairs, depth + 1)):
        yield mark + line[len(inner) :] if at == 0 else line


def _string(margin: str, label: str, value: str) -> Iterator[str]:
    if "\n" not in value:
        yield f"{margin}{label}{quoted(value)}" + ("" if value else " (empty)")
        return
    lines = visible(value, lines=True).split("\n")
    yield f"{margin}{label}text of {how_many(len(lines), 'line')}"
    for is_empty, run in groupby(lines, lambda line: not line):
        together = list(run)
        if is_empty and len(together) > _EMPTY_LINES:
            yield f"{margin}  ┆ {how_many(len(together), 'empty line')}"
        else:
            yield from (f"{margin}  │ {line}" for line in together)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _key(key: str) -> str:
    return f"{key if _PLAIN_KEY.fullmatch(key) else quoted(key)}: "


def _margin(depth: int) -> str:
    """The indentation; below the eighth level its number, so that deep calls do not consist of spaces."""
    return _INDENT * depth if depth <= _DEEPEST_INDENT else f"{depth}| "


def _strings(value: Any) -> Iterator[str]:
    """Every key and string of a value."""
    if isinstance(value, _Object):
        for key, item in value:
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str) and not isinstance(value, _Number):
        yield value
