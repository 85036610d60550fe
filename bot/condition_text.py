"""What can be told of a condition from its text alone: which arguments it reads, what it does with numbers, what it
may cost.

The CEL library checks grammar and types, but gives no tree to walk; this reads the text's tokens. Where a token leaves
a doubt, more is taken to be read, never less. Pure; what a condition amounts to is for bot/conditions.py.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

LARGEST_EXACT = 2**53
"""From here on a double no longer tells neighbouring whole numbers apart."""

Path = tuple[str, ...]

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|//[^\n]*)
    | (?P<string>[bBrR]{0,2}(?:\"\"\"(?:\\.|.)*?\"\"\"|'''(?:\\.|.)*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    | (?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    | (?P<int>0[xX][0-9a-fA-F]+[uU]?|\d+[uU]?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>&&|\|\||[<>=!]=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_RAW = re.compile(r"[bB]?[rR][bB]?['\"]")
_PLAIN = re.compile(r"\"([^\"\\]*)\"|'([^'\\]*)'")
_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap"})
_WHOLE_NUMBERS = frozenset({"int", "uint"})


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str


_NO_TOKEN = Token("end", "")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a condition does, by its text.

    ``values``: the paths under ``arguments`` whose values it reads; the empty path is all of them. ``presence``: those
    of which it asks only whether they are there. ``calculates``: whether it makes new numbers. ``nested``: whether it
    may go through arguments for each of many. ``patterns``: the literals it matches by, as written.
    """

    values: frozenset[Path]
    presence: frozenset[Path]
    calculates: bool
    nested: bool
    patterns: tuple[str, ...]
    free_patterns: bool
    """Whether what it matches by is, or may be, no literal."""
    doubles: tuple[str, ...]
    builds_messages: bool
    """Whether it names protobuf's messages, some of which round the numbers in them."""


def read(text: str) -> Reading:
    """Read a condition that the library has found to be well formed."""
    tokens = [token for token in _tokens(text) if token.kind != "space"]
    values: set[Path] = set()
    presence: set[Path] = set()
    for at, token in enumerate(tokens):
        if token.kind == "name" and token.text == "arguments":
            path, end = _path(tokens, at + 1)
            asks = _texts(tokens, at - 2, at) == ["has", "("] and _text(tokens, end) == ")" and path
            (presence if asks else values).add(path)
    patterns = list(_patterns(tokens))
    return Reading(
        values=frozenset(values),
        presence=frozenset(presence),
        calculates=_calculates(tokens),
        nested=_is_nested(tokens),
        patterns=tuple(pattern for pattern in patterns if pattern is not None),
        free_patterns=None in patterns,
        doubles=tuple(token.text for token in tokens if token.kind == "double"),
        builds_messages=Token("name", "google") in tokens,
    )


def is_exact(literal: str) -> bool:
    """Whether a double holds a literal exactly enough: it reads back as written, and its neighbours are told apart."""
    number = Decimal(literal)
    return abs(number) < LARGEST_EXACT and Decimal(repr(float(literal))) == number


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        raw = _RAW.match(text, at)
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise ValueError("the text cannot be read")
        end = match.end()
        if raw is not None and match.lastgroup in ("name", "string"):
            end = _raw_end(text, raw.end() - 1)
            yield Token("string", text[at:end])
        else:
            yield Token(match.lastgroup, match[0])
        at = end


def _raw_end(text: str, quote_at: int) -> int:
    """Where a raw string ends: a backslash in it escapes nothing."""
    quote = text[quote_at]
    mark = quote * 3 if text.startswith(quote * 3, quote_at) else quote
    end = text.find(mark, quote_at + len(mark))
    return len(text) if end < 0 else end + len(mark)


def _text(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].text if 0 <= at < len(tokens) else ""


def _texts(tokens: Sequence[Token], start: int, end: int) -> list[str]:
    return [token.text for token in tokens[max(start, 0) : end]]


def _path(tokens: Sequence[Token], at: int) -> tuple[Path, int]:
    """The keys that follow ``arguments``, as far as the text names them, and where they end."""
    path: list[str] = []
    while True:
        sign = _text(tokens, at)
        nth = tokens[at + 1] if at + 1 < len(tokens) else _NO_TOKEN
        if sign == "." and nth.kind == "name" and _text(tokens, at + 2) != "(":
            path.append(nth.text)
            at += 2
        elif sign == "[" and (plain := _PLAIN.fullmatch(nth.text)) and _text(tokens, at + 2) == "]":
            path.append(plain[1] if plain[1] is not None else plain[2])
            at += 3
        else:
            return tuple(path), at


def _calculates(tokens: Sequence[Token]) -> bool:
    for at, token in enumerate(tokens):
        if token.kind == "name" and token.text in _WHOLE_NUMBERS and _text(tokens, at + 1) == "(":
            return True
        if token.kind == "sign" and token.text in "+*/%":
            return True
        if token.text == "-" and at > 0 and _ends_operand(tokens[at - 1]):
            return True
    return False


def _ends_operand(token: Token) -> bool:
    return token.text in (")", "]", "}") or (token.kind in ("name", "string", "int", "double") and token.text != "in")


def _is_nested(tokens: Sequence[Token]) -> bool:
    """Whether inside of a macro's brackets the arguments are gone to again, or another macro begins."""
    inside: list[bool] = []
    for at, token in enumerate(tokens):
        is_macro = token.text in _MACROS and _text(tokens, at - 1) == "." and _text(tokens, at + 1) == "("
        if any(inside) and (is_macro or token.text == "arguments"):
            return True
        if token.text == "(":
            inside.append(
                _text(tokens, at - 1) in _MACROS and _text(tokens, at - 2) == "." and tokens[at - 1].kind == "name"
            )
        elif token.text == ")" and inside:
            inside.pop()
    return False


def _patterns(tokens: Sequence[Token]) -> Iterator[str | None]:
    """The literal of each ``matches``; None for one that matches by something else."""
    for at, token in enumerate(tokens):
        if token.kind == "name" and token.text == "matches" and _text(tokens, at + 1) == "(":
            nth = tokens[at + 2] if at + 2 < len(tokens) else _NO_TOKEN
            is_literal = _text(tokens, at - 1) == "." and nth.kind == "string" and _text(tokens, at + 3) == ")"
            yield nth.text if is_literal else None
