"""Lines of an outline with their marks: what is new and what changed since the last call that people approved.

Pure. A mark never changes a line: where frames and pages end depends on the call alone, so that they stay where they
are when there is something to compare with. A mark stands in a column of its own before the line, which no text of an
agent's reaches; an old value stands in parentheses behind it, and texts there are in quotes.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from handlers.slack.blocks import FRAME_CHARACTERS

UNMARKED = " "
CHANGED = "~"
NEW = "+"

_GUTTER = 2
OLD_VALUES_CHARACTERS = 300
"""Old values that one frame of a card holds beside its lines; those beyond are left to the details of their request."""


class Line(NamedTuple):
    """One line. ``was``: the old value, if the line is marked as changed and the value can be told in a few words."""

    text: str
    mark: str = UNMARKED
    was: str = ""


def draw(lines: Sequence[Line], *, gutter: bool, old_values: int = 0) -> str:
    """Draw lines into one frame; marks if ``gutter``, and old values as far as ``old_values`` characters go."""
    if not gutter:
        return "\n".join(line.text for line in lines)
    drawn: list[str] = []
    for line in lines:
        was = f" (was {line.was})" if line.was else ""
        old_values -= len(was)
        drawn.append(f"{line.mark} {line.text}{was if old_values >= 0 else ''}")
    return "\n".join(drawn)


def fill(lines: Iterable[Line], limit: int = FRAME_CHARACTERS) -> list[list[Line]]:
    """Fill frames with lines, none dropped, with room for the marks. A line too long goes on after ``↳``."""
    filled: list[list[Line]] = []
    size = limit
    for line in (piece for whole in lines for piece in _broken(whole, limit - _GUTTER)):
        needed = len(line.text) + _GUTTER + 1
        if size + needed > limit:
            filled.append([])
            size = 0
        filled[-1].append(line)
        size += needed
    return filled


def _broken(whole: Line, limit: int) -> Iterator[Line]:
    if len(whole.text) < limit:
        yield whole
        return
    width = limit - 3
    for at in range(0, len(whole.text), width):
        piece = whole.text[at : at + width]
        is_last = at + width >= len(whole.text)
        yield Line(f"↳ {piece}" if at else piece, whole.mark, whole.was if is_last else "")
