"""Rows as an operator wants them: JSON, CSV that is safe to open in a spreadsheet, or lines for a terminal.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula and runs it; what agents and
people wrote must not be run. Rows are written as they come: there may be a million.
"""

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from handlers.cli.say import shown

Cell = str | int | float | bool | None
Row = Mapping[str, Cell]
Format = Literal["json", "csv", "text"]

# Also behind what a spreadsheet skips or takes for the end of a cell: one that parts cells at semicolons or quotes sees
# another cell there. The wide forms are read as the plain ones by some.
_FORMULA = re.compile(r"(^[\s'\"]*|[;\"|] *)([=+\-@＝＋－＠])")  # noqa: RUF001


def cell(value: Cell) -> str:
    """Write a value as a cell that no spreadsheet runs: an apostrophe makes it text.

    What cannot be seen is written out. Numbers stay numbers, a minus sign and all.
    """
    if isinstance(value, str):
        return _FORMULA.sub(r"\1'\2", shown(value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def printing(
    columns: tuple[str, ...], name: str, how: Format, text: Callable[[Row], str]
) -> Iterator[Callable[[Row], None]]:
    """Give what prints one row: into a JSON object with a list under ``name``, as CSV with a head, or as ``text``."""
    if how == "text":
        yield lambda row: print(text(row))
    elif how == "csv":
        write = csv.writer(sys.stdout, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow
        write(columns)
        yield lambda row: write([cell(row[column]) for column in columns])
    else:
        between = iter([""])
        sys.stdout.write(f'{{"{name}": [')
        yield lambda row: _write_json(row, next(between, ","))
        sys.stdout.write("\n]}\n")


def _write_json(row: Row, before: str) -> None:
    sys.stdout.write(f"{before}\n  {json.dumps(row)}")
