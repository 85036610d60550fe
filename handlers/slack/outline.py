"""A call's arguments as people read them: an indented outline, from the agent's JSON text, nothing left out.

Pure. Numbers stand as the agent wrote them (``1.10`` stays ``1.10``), strings in quotes (so that ``"5"`` is not
``5``), empty and null told apart. Every line begins with what is ours (a plain name, a quote, ``-``, ``┌`` or ``│``),
so that no value can imitate another line of the outline. A list of few short values stands on one line, and one of rows
is a table (``handlers.slack.rows``).

The arguments stand by their length: those of a short line first, in the order sent, then the others, the shortest
first. The order of an object's pairs means nothing (``bot.call`` sorts them), the deciding facts are the short ones,
and a list of 30 recipients must not push the subject off a phone's first screen. Inside an argument nothing moves, and
the JSON text in the details is as it was sent.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any

from handlers.slack.differences import ABSENT, SAME, old_value, pair
from handlers.slack.marks import CHANGED, NEW, UNMARKED, Line
from handlers.slack.rows import TABLE_CHARACTERS, as_table
from handlers.slack.sent import Object, Sameness, decode, is_scalar, is_string
from handlers.slack.text import how_many, quoted, visible

LINE_CHARACTERS = 36
"""What a phone of 390 points shows of a frame without breaking the line."""
_SHORT = 3 * LINE_CHARACTERS
_INDENT = "  "
_DEEPEST_INDENT = 8
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,75}", re.ASCII)
_EMPTY_LINES = 3  # more of them in a row are counted, so that nothing is pushed out of sight


@dataclass(frozen=True, slots=True)
class Entry:
    """One argument: its lines in the outline."""

    key: str
    lines: tuple[Line, ...]

    @property
    def size(self) -> int:
        """Its length in characters, line breaks included, marks left out."""
        return sum(len(line.text) for line in self.lines) + len(self.lines)

    @property
    def is_short(self) -> bool:
        return len(self.lines) == 1 and len(self.lines[0].text) <= _SHORT

    @property
    def height(self) -> int:
        """The lines it takes on a phone."""
        return sum(1 + len(line.text) // LINE_CHARACTERS for line in self.lines)


@dataclass(frozen=True, slots=True)
class Outline:
    """All arguments of a call.

    ``is_reordered``: they do not stand in the order sent; ``is_marked``: something differs from the call it was
    compared with; ``gone``: the lines of what that had and this has not.
    """

    entries: tuple[Entry, ...]
    is_reordered: bool
    is_marked: bool
    gone: tuple[str, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(line for entry in self.entries for line in entry.lines)

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)

    def without_old_values(self) -> "Outline":
        """The same with its marks, and without what was there before."""
        entries = (Entry(one.key, tuple(line._replace(was="") for line in one.lines)) for one in self.entries)
        return replace(self, entries=tuple(entries))


NOTHING = Outline(entries=(), is_reordered=False, is_marked=False, gone=())
"""The outline of a call that is not kept any more."""


@lru_cache(maxsize=16)  # one drawing asks several times
def outline(arguments: str, previous: str | None = None) -> Outline:
    """Outline the JSON text of an object, as stored, marked against that of the ``previous`` call if there is one.

    The lines and their order depend on ``arguments`` alone. Raises ``ValueError`` or ``TypeError`` for other text.
    """
    pairs = decode(arguments)
    pen = _Pen()
    old = SAME if previous is None else decode(previous)
    sent = tuple(
        Entry(key, tuple(pen.entry(_key(key), value, 0, was, (shown_key(key),))))
        for (key, value), was in zip(pairs, pen.of_pairs(pairs, old, ()), strict=True)
    )
    entries = tuple(sorted(sent, key=lambda entry: 0 if entry.is_short else entry.height))
    return Outline(
        entries=entries,
        is_reordered=entries != sent,
        is_marked=bool(pen.gone) or any(line.mark != UNMARKED for entry in sent for line in entry.lines),
        gone=tuple(pen.gone),
    )


Path = tuple[str, ...]


class _Pen:
    """Draws values and takes down what is gone. ``SAME`` is the old value of what gets no mark."""

    def __init__(self) -> None:
        self.gone: list[str] = []
        self._sameness = Sameness()

    def entry(self, label: str, value: Any, depth: int, was: Any = SAME, path: Path = ()) -> Iterator[Line]:
        """The lines of one value behind its label (``name: `` or ``- ``)."""
        margin = _margin(depth)
        short = _on_one_line(value, LINE_CHARACTERS - len(margin) - len(label)) if isinstance(value, list) else None
        if short is not None:
            yield self._marked(f"{margin}{label}{short}", value, was)
            return
        if isinstance(value, Object) and value:
            yield from self._object(label, value, depth, was, path)
        elif isinstance(value, list) and value:
            yield from self._list(label, value, depth, was, path)
        elif is_string(value) and "\n" in value:
            yield from self._text(f"{margin}{label}", f"{margin}  ", value, was, path)
        else:
            yield self._marked(f"{margin}{label}{_value(value)}", value, was)

    def of_pairs(self, pairs: Object, was: Any, path: Path) -> Iterator[Any]:
        """What the value of each pair was, given what the object was."""
        if not isinstance(was, Object):
            yield from (SAME if was is SAME else ABSENT for _ in pairs)
            return
        old = dict(was)
        for key, value in pairs:
            before = old.pop(key, ABSENT)
            is_same = before is not ABSENT and self._sameness.same(value, before)
            yield SAME if is_same else before
        for key, value in was:
            if key in old:
                self._leave((*path, shown_key(key)), "", value)

    def _object(self, label: str, value: Object, depth: int, was: Any, path: Path) -> Iterator[Line]:
        head = self._marked(f"{_margin(depth)}{label.rstrip()}", value, was)
        if isinstance(was, Object):
            head = Line(head.text)  # what changed in it is marked
        lines: Iterator[Line] = (
            line
            for (key, item), old in zip(value, self.of_pairs(value, was, path), strict=True)
            for line in self.entry(_key(key), item, depth + 1, old, (*path, shown_key(key)))
        )
        if label == "- ":  # an item of a list: its first line takes the dash
            first = next(lines)
            text = f"{_margin(depth)}- {first.text[len(_margin(depth + 1)) :]}"
            yield Line(text, first.mark if head.mark == UNMARKED else head.mark, head.was or first.was)
        else:
            yield head
        yield from lines

    def _list(self, label: str, value: list[Any], depth: int, was: Any, path: Path) -> Iterator[Line]:
        margin = _margin(depth)
        inner = _margin(depth + 1)
        table = as_table(value, TABLE_CHARACTERS - len(inner) - 2, _value)
        head = self._marked(f"{margin}{label}list of {len(value):,}{' rows' if table else ''}", value, was)
        olds = [SAME if was is SAME else ABSENT for _ in value]
        if isinstance(was, list) and not isinstance(was, Object):
            paired = pair(value, was, self._sameness.form)
            olds = paired.was
            if len(was) == len(value):
                head = Line(head.text, CHANGED, "in another order") if paired.is_reordered else Line(head.text)
            for item in paired.gone:
                self._leave(path, "- ", item)
        yield head
        if table is None:
            for item, old in zip(value, olds, strict=True):
                yield from self.entry("- ", item, depth + 1, old, path)
            return
        yield Line(f"{inner}┌ {table.columns}")
        for row, item, old in zip(table.rows, value, olds, strict=True):
            yield self._row(f"{inner}- {row}", item, old, path)

    def _row(self, text: str, row: Object, was: Any, path: Path) -> Line:
        if not isinstance(was, Object):
            return self._marked(text, row, was)
        old = dict(was)
        if old.keys() != {key for key, _ in row}:
            self._leave(path, "- ", was)
            return Line(text, CHANGED)
        changed = [(key, item) for key, item in row if not self._sameness.same(item, old[key])]
        return Line(text, CHANGED, ", ".join(f"{key} {old_value(old[key], item)}" for key, item in changed))

    def _text(self, head: str, margin: str, value: str, was: Any, path: Path) -> Iterator[Line]:
        lines = _lines(value)
        count = f"text of {how_many(len(lines), 'line')}"
        olds = [SAME if was is SAME else ABSENT for _ in lines]
        marked = self._marked(f"{head}{count}", value, was)
        if is_string(was):
            before = _lines(was)
            paired = pair(lines, before, lambda line: line)
            olds = paired.was
            if len(before) == len(lines):
                marked = Line(marked.text, CHANGED, "in another order") if paired.is_reordered else Line(marked.text)
            replaced = [old for old in olds if old is not SAME and old is not ABSENT]
            if "\n" in was:  # else it is told on the first line
                self.gone += [" / ".join((*path, f"│ {line}")) for line in (*replaced, *paired.gone)]
        yield marked
        at = 0
        for is_empty, run in groupby(lines, lambda line: not line):
            together = list(run)
            marks = [_mark_of(old) for old in olds[at : at + len(together)]]
            at += len(together)
            if is_empty and len(together) > _EMPTY_LINES:
                yield Line(f"{margin}┆ {how_many(len(together), 'empty line')}", max(marks, key=" +~".index))
            else:
                yield from (Line(f"{margin}│ {line}", mark) for line, mark in zip(together, marks, strict=True))

    def _marked(self, text: str, value: Any, was: Any) -> Line:
        mark = _mark_of(was)
        if mark != CHANGED:
            return Line(text, mark)
        told = _on_one_line(was, LINE_CHARACTERS) if isinstance(was, list) else None
        return Line(text, mark, told or old_value(was, value))

    def _leave(self, path: Path, label: str, value: Any) -> None:
        """Take down what was there and is not any more, under its path."""
        lead = " / ".join(path)
        first, *rest = (line.text for line in _Pen().entry(label or f"{lead}: ", value, 0))
        self.gone += [f"{lead} / {first}" if label else first, *rest]


def _mark_of(was: Any) -> str:
    if was is SAME:
        return UNMARKED
    return NEW if was is ABSENT else CHANGED


def _on_one_line(value: list[Any], room: int) -> str | None:
    """Write a list of few short scalars in brackets; None for what wants lines of its own."""
    if isinstance(value, Object) or not 0 < len(value) <= room or not all(map(is_scalar, value)):
        return None
    if any(is_string(item) and ("\n" in item or not item) for item in value):
        return None
    written = f"[{', '.join(map(_value, value))}]"
    return written if len(written) <= room else None


def _value(value: Any) -> str:
    """Write a value that takes one line."""
    if is_string(value):
        return quoted(value) if value else '"" (empty)'
    if isinstance(value, Object):
        return "{} (empty)"
    if isinstance(value, list):
        return "[] (empty)"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _lines(value: str) -> list[str]:
    return visible(value, lines=True).split("\n")


def _key(key: str) -> str:
    return f"{shown_key(key)}: "


def shown_key(key: str) -> str:
    """Write the name of an argument: as it is, or in quotes if it is more than a plain name."""
    return key if _PLAIN_KEY.fullmatch(key) else quoted(key)


def _margin(depth: int) -> str:
    """The indentation; below the eighth level its number, so that deep calls do not consist of spaces."""
    return _INDENT * depth if depth <= _DEEPEST_INDENT else f"{depth}| "
