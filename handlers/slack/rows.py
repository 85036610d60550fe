"""A table for a list whose items are rows: flat objects with the same few keys, no wider than a phone.

Pure. A table is chosen only where it shows as much as the outline would: each row has every key, in the same order,
each value on one line and in letters that are one column wide and run from left to right. Texts stay in quotes and
numbers as they were written, so that ``"5"`` is not ``5`` and no text reaches into the next column.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from handlers.slack.sent import Number, Object, is_scalar, is_string

TABLE_CHARACTERS = 36
"""The widest line of a table, marks left out: what a phone of 390 points shows of a frame without breaking the line."""
MAX_COLUMNS = 5
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,13}", re.ASCII)
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Table:
    """The lines of a table, without their margins: the names of the columns, and a line for each row."""

    columns: str
    rows: list[str]


def as_table(items: list[Any], room: int, scalar: Callable[[Any], str]) -> Table | None:
    """Draw a list as a table of at most ``room`` characters a line; None if the outline shows it better."""
    names = _columns(items)
    if names is None:
        return None
    widths = [len(name) for name in names]
    cells: list[list[str]] = []
    for row in items:
        drawn = [scalar(value) for _, value in row]
        widths = [max(width, len(cell)) for width, cell in zip(widths, drawn, strict=True)]
        if sum(widths) + len(_GAP) * (len(widths) - 1) > room or not all(map(_is_even, drawn)):
            return None
        cells.append(drawn)
    rights = [all(isinstance(row[at][1], Number) for row in items) for at in range(len(names))]
    return Table(_join(names, widths, rights), [_join(row, widths, rights) for row in cells])


def _columns(items: list[Any]) -> list[str] | None:
    first = items[0] if len(items) > 1 else None
    if not isinstance(first, Object) or not 2 <= len(first) <= MAX_COLUMNS:
        return None
    names = [key for key, _ in first]
    if not all(map(_COLUMN.fullmatch, names)):
        return None
    for row in items:
        if not isinstance(row, Object) or [key for key, _ in row] != names:
            return None
        if not all(is_scalar(value) and not (is_string(value) and "\n" in value) for _, value in row):
            return None
    return names


def _join(cells: list[str], widths: list[int], rights: list[bool]) -> str:
    padded = (
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, rights, strict=True)
    )
    return _GAP.join(padded).rstrip(" ")


def _is_even(cell: str) -> bool:
    """Whether every letter takes one column and stands where it was written."""
    return cell.isascii() or not any(
        unicodedata.east_asian_width(char) in ("W", "F")
        or unicodedata.category(char).startswith("M")
        or unicodedata.bidirectional(char) in ("R", "AL", "AN")
        for char in cell
    )
