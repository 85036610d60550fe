"""How a value differs from the one that stood in its place before: which items are new, which are gone, what it was.

Pure. Whatever differs gets a mark somewhere: two lists that are not the same never come out as if they were.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from handlers.slack.sent import Number, Object, is_string
from handlers.slack.text import how_many, quoted

MAX_OLD = 40
"""Characters of an old value that stand beside the new one."""
_BEFORE_THE_DIFFERENCE = 12

SAME: Final = object()
"""In the place of an old value: the same, or nothing to compare with."""
ABSENT: Final = object()
"""In the place of an old value: there was none."""


@dataclass(frozen=True, slots=True)
class Paired:
    """The items of a list with what each was before.

    ``was``: for each item ``SAME``, ``ABSENT`` or the old item; ``gone``: old items that have no successor;
    ``is_reordered``: the items were matched by what they are and may stand in another order than before.
    """

    was: list[Any]
    gone: list[Any] = field(default_factory=list)
    is_reordered: bool = False


def pair(new: Sequence[Any], old: Sequence[Any], form: Callable[[Any], Hashable]) -> Paired:
    """Find for each item of a list what it was in the old list: by place where lengths agree, else by what it is."""
    forms, old_forms = [form(item) for item in new], [form(item) for item in old]
    by_form = _by_form(forms, old_forms, old)
    if len(new) != len(old):
        return by_form
    was = [SAME if one == other else item for one, other, item in zip(forms, old_forms, old, strict=True)]
    moved = sum(item is not SAME for item in was)
    if moved > 2 * max(len(by_form.gone), 1):
        return Paired(by_form.was, by_form.gone, is_reordered=True)
    return Paired(was)


def _by_form(forms: Sequence[Hashable], old_forms: Sequence[Hashable], old: Sequence[Any]) -> Paired:
    left = Counter(old_forms)
    was: list[Any] = []
    for one in forms:
        known = left[one] > 0
        left[one] -= known
        was.append(SAME if known else ABSENT)
    gone = []
    for one, item in zip(reversed(old_forms), reversed(old), strict=True):
        if left[one] > 0:
            left[one] -= 1
            gone.append(item)
    return Paired(was, gone[::-1])


def old_value(old: Any, new: Any) -> str:
    """Tell an old value in a few words; of a long text the piece where the new one begins to differ."""
    if isinstance(old, Number):
        return old if len(old) <= MAX_OLD else f"{old[:MAX_OLD]}…"
    if is_string(old):
        if "\n" in old:
            return f"text of {how_many(old.count(chr(10)) + 1, 'line')}"
        return _window(old, new if is_string(new) else "")
    if isinstance(old, Object):
        return f"an object of {len(old):,}" if old else "{}"
    if isinstance(old, list):
        return f"list of {len(old):,}" if old else "[]"
    return {None: "null", True: "true", False: "false"}[old]


def _window(old: str, new: str) -> str:
    if len(old) <= MAX_OLD:
        return quoted(old)
    same = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start = max(0, min(same - _BEFORE_THE_DIFFERENCE, len(old) - MAX_OLD))
    end = start + MAX_OLD
    return f"{'…' if start else ''}{quoted(old[start:end])}{'…' if end < len(old) else ''}"
