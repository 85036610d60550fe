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


Form = Callable[[Any], Hashable]


def pair(new: Sequence[Any], old: Sequence[Any], form: Form) -> Paired:
    """Find for each item of a list what it was in the old list: by place where lengths agree, else by what it is."""
    forms, old_forms = [form(item) for item in new], [form(item) for item in old]
    by_form = _by_form(new, forms, old, old_forms, form)
    if len(new) != len(old):
        return by_form
    was = [SAME if one == other else item for one, other, item in zip(forms, old_forms, old, strict=True)]
    moved = sum(item is not SAME for item in was)
    if moved > 2 * max(len(by_form.gone), 1):
        return Paired(by_form.was, by_form.gone, is_reordered=True)
    return Paired(was)


def _by_form(
    new: Sequence[Any], forms: Sequence[Hashable], old: Sequence[Any], old_forms: Sequence[Hashable], form: Form
) -> Paired:
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
    return Paired(*_by_name(new, was, gone[::-1], form))


def _by_name(new: Sequence[Any], was: list[Any], gone: list[Any], form: Form) -> tuple[list[Any], list[Any]]:
    """Let an object follow the one that begins as it does (``sku: "A-1"``), where no other does."""
    names = Counter(_name(item, form) for item in gone)
    by_name = {name: item for item in gone if (name := _name(item, form)) is not None and names[name] == 1}
    if not by_name:
        return was, gone
    new_names = [_name(item, form) if old is ABSENT else None for item, old in zip(new, was, strict=True)]
    counts = Counter(new_names)
    found = [by_name.get(name) if name is not None and counts[name] == 1 else None for name in new_names]
    taken = {id(item) for item in found if item is not None}
    return (
        [old if item is None else item for old, item in zip(was, found, strict=True)],
        [item for item in gone if id(item) not in taken],
    )


def _name(item: Any, form: Form) -> Hashable:
    if isinstance(item, Object) and len(item) > 1 and isinstance(item[0][1], str):  # a text or a number
        return item[0][0], form(item[0][1])
    return None


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
