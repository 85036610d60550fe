"""The values of a call as the agent sent them: numbers to the letter, pairs in their order, and when two are the same.

Pure. Nothing here draws. Two values are the same when their canonical forms are (``bot.call``): numbers by their exact
value, objects whatever the order of their pairs, and true is not 1.
"""

import json
from collections.abc import Hashable, Iterator
from decimal import Decimal
from typing import Any


class Number(str):
    """A number, as the agent wrote it."""

    __slots__ = ()


class Object(list[tuple[str, Any]]):
    """An object's pairs in the order they were sent."""

    __slots__ = ()


_DECODER = json.JSONDecoder(object_pairs_hook=Object, parse_float=Number, parse_int=Number)


def decode(arguments: str) -> Object:
    """Parse the JSON text of an object, as stored. Raises ``ValueError`` or ``TypeError`` for other text."""
    pairs = _DECODER.decode(arguments)
    if not isinstance(pairs, Object):
        raise TypeError("arguments are not an object")
    return pairs


def is_string(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def is_scalar(value: Any) -> bool:
    """Whether a value is neither a list nor an object."""
    return not isinstance(value, list)  # objects are lists of pairs


def strings_in(value: Any) -> Iterator[str]:
    """Every key and string of a value."""
    if isinstance(value, Object):
        for key, item in value:
            yield key
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)
    elif is_string(value):
        yield value


class Sameness:
    """Tells which values are the same. Remembers the containers it has seen, which must live as long as it does."""

    def __init__(self) -> None:
        self._forms: dict[int, Hashable] = {}
        self._numbers: dict[str, Hashable] = {}

    def form(self, value: Any) -> Hashable:
        """Return what is equal for the same values, and for no others."""
        kind = type(value)
        if kind is str:
            return str(value)
        if kind is Number:
            number = self._numbers.get(value)
            if number is None:
                number = self._numbers[value] = "number", Decimal(value)
            return number
        if kind is not Object and kind is not list:
            return kind, value
        known = self._forms.get(id(value))
        if known is None:
            if kind is Object:
                known = "object", frozenset((key, self.form(item)) for key, item in value)
            else:
                known = "list", tuple(map(self.form, value))
            self._forms[id(value)] = known
        return known

    def same(self, one: Any, other: Any) -> bool:
        return self.form(one) == self.form(other)
