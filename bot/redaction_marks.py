"""Patterns, marks, and how both come into a text: the craft of ``bot.redaction``. Pure.

A pattern is a key, or several with dots between them, any of which may be ``*`` for any one key or list index. It fits
a value by the end of its path, wherever that stands; the path begins with ``arguments`` (or ``context``), and keys are
compared without regard to case. In doubt more is hidden: a key with dots in it counts as several.

A mark is keyed and salted per request: equal values have equal marks within a drawing and others in the next, and
without the secret key nobody can try values against it. It tells neither length nor type. Its first character is half
of a surrogate pair, which no stored text can hold (``bot.call`` refuses it, and it has no UTF-8), so that nothing an
agent writes is ever taken for a mark; the renderer of texts draws it as a bracket.
"""

import hmac
import json
import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from json.decoder import scanstring  # type: ignore[attr-defined]  # there, but not in typeshed
from typing import Any, Final

from bot.call import MAX_EXPONENT, digest_of_form, load_json

MARK_SIGN: Final = "\udfff"
"""Begins a mark, in the place of its opening bracket."""
MARK: Final = re.compile(f"{MARK_SIGN}redacted · hmac:[0-9a-f]{{8}}]")
_AROUND_MARKS = re.compile(f"({MARK.pattern})")
LEAST_CHARACTERS: Final = 4
"""A hidden text or number shorter than this is not looked for elsewhere: it would be found in half of all words."""
LONGEST_PATTERN: Final = 255
_MARK_DIGITS = 8
_MOST_CHECKS = 1_000_000  # half a second of looking; only a call made for that purpose takes more
_CHARACTERS_A_CHECK = 256
_FEW_BEGINNINGS = 16
AS_SENT: Final = "(as you sent it)"
"""Stands in a note in place of a hidden value that stays as it was. In words about a call it is not hidden."""
_ANY = "*"

Path = tuple[str, ...]


def parse_pattern(text: str) -> Path:
    """Return a pattern's segments. Raises ``ValueError`` that says what is wrong with it."""
    if not 1 <= len(text) <= LONGEST_PATTERN:
        raise ValueError(f"has {len(text)} characters, where 1 to {LONGEST_PATTERN} are allowed")
    if not text.isprintable():
        raise ValueError("has control or invisible characters")
    segments = text.split(".")
    if not all(segments):
        raise ValueError("has nothing on one side of a dot")
    if any(segment != segment.strip() for segment in segments):
        raise ValueError("has a space at the end of a key")
    if any(_ANY in segment and segment != _ANY for segment in segments):
        raise ValueError("has a * within a key; it stands for a whole one")
    return segments_of(text)


@lru_cache(maxsize=4096)
def _plain(key: str) -> str:
    return unicodedata.normalize("NFKC", key).casefold()


def segments_of(key: str) -> Path:
    """Return what a key adds to a path."""
    return tuple(_plain(key).split("."))


def hides(patterns: Iterable[Path], path: Path) -> bool:
    """Whether one of ``patterns`` fits the value at ``path``, whose keys are those of ``segments_of``."""
    return any(
        len(pattern) <= len(path)
        and all(wanted in (_ANY, key) for wanted, key in zip(pattern, path[-len(pattern) :], strict=True))
        for pattern in patterns
    )


class Marker:
    """Tells what is hidden, and makes the marks of one request."""

    def __init__(self, key: bytes, salt: bytes, patterns: tuple[Path, ...]) -> None:
        self._key = key
        self._salt = salt
        self._by_end: dict[str, list[Path]] = {}
        for pattern in patterns:
            self._by_end.setdefault(pattern[-1], []).append(pattern)

    def hides(self, path: Path) -> bool:
        return any(hides(self._by_end.get(end, ()), path) for end in (path[-1], _ANY))

    def mark(self, value: Any) -> str:
        mac = hmac.digest(self._key, self._salt + digest_of_form(value), "sha256").hex()
        return f"{MARK_SIGN}redacted · hmac:{mac[:_MARK_DIGITS]}]"


_SPACE = re.compile(r"[ \t\n\r]*")
_LITERAL = re.compile(r"[-+.\w]+")


class Copy:
    """Copies the JSON text of an object to the letter, but for what is hidden.

    ``veil`` covers hidden values where they stand elsewhere; ``covered`` counts those places. With ``found`` the texts
    of hidden values are taken down there, with their marks. ``in_words``: the JSON stands in words about a call.
    """

    def __init__(
        self,
        text: str,
        marker: Marker,
        veil: "Veil | None" = None,
        *,
        found: dict[str, str] | None = None,
        in_words: bool = False,
    ) -> None:
        self.covered = 0
        self._text = text
        self._marker = marker
        self._veil = veil
        self._found = found
        self._spared = _written(AS_SENT) if in_words else ""
        self._out: list[str] = []

    def make(self, root: str) -> str:
        """Return the copy. ``root`` is what paths begin with. Raises ``ValueError`` where the text is not JSON."""
        start = self._space(0)
        self._out.append(self._text[:start])
        end = self._value(start, (root,), within=False, is_root=True)
        self._out.append(self._text[end:])
        return "".join(self._out)

    def _value(self, at: int, path: Path, *, within: bool, is_root: bool = False) -> int:
        """Copy the value at ``at`` and return where it ends. ``within``: in something hidden."""
        is_hidden = not within and not is_root and self._marker.hides(path)
        written, covered = len(self._out), self.covered
        within = within or is_hidden
        match self._text[at : at + 1]:
            case "{":
                end = self._object(at, path, within=within)
            case "[":
                end = self._list(at, path, within=within)
            case '"':
                end = self._string(at, within=within)
            case _:
                end = self._literal(at, within=within)
        if is_hidden and self._text[at:end] != self._spared:
            del self._out[written:]
            self.covered = covered
            self._out.append(_written(self._marker.mark(load_json(self._text[at:end]))))
        return end

    def _object(self, at: int, path: Path, *, within: bool) -> int:
        at = self._through(at)
        while self._text[at] != "}":
            key, start = scanstring(self._text, at + 1, True)
            self._string(at, within=False)
            self._out.append(self._text[start : (at := self._space(start))])
            at = self._through(at)  # the colon
            below = (*path, *segments_of(key))
            at = self._after(self._value(at, below, within=within))
        return self._close(at)

    def _list(self, at: int, path: Path, *, within: bool) -> int:
        at, index = self._through(at), 0
        while self._text[at] != "]":
            at = self._after(self._value(at, (*path, str(index)), within=within))
            index += 1
        return self._close(at)

    def _string(self, at: int, *, within: bool) -> int:
        value, end = scanstring(self._text, at + 1, True)
        if within and self._text[at:end] != self._spared:
            self._take_down(_texts_of_string(value), value)
            return int(end)
        # In JSON that is quoted in a text, an escape may make what no JSON of a call has.
        covered, is_covered = self._cover(value.replace(MARK_SIGN, "\ufffd"))
        self._out.append(_written(covered) if is_covered else self._text[at:end])
        return int(end)

    def _literal(self, at: int, *, within: bool) -> int:
        found = _LITERAL.match(self._text, at)
        if found is None:
            raise ValueError(f"no JSON at character {at}")
        texts = _texts_of_number(found[0])
        if within:
            self._take_down(texts, load_json(found[0]))
            return found.end()
        covered = next((mark for text in texts if (mark := self._first_in(text))), None)
        self.covered += covered is not None
        self._out.append(_written(covered) if covered is not None else found[0])
        return found.end()

    def _cover(self, text: str) -> tuple[str, bool]:
        if self._veil is None:
            return text, False
        covered, places = self._veil.over(text)
        self.covered += bool(places)
        return covered, bool(places)

    def _first_in(self, text: str) -> str | None:
        places = self._veil.over(text)[1] if self._veil is not None else []
        return places[0] if places else None

    def _take_down(self, texts: Iterable[str], value: Any) -> None:
        if self._found is not None:
            for text in texts:
                if len(text) >= LEAST_CHARACTERS:
                    self._found.setdefault(text, self._marker.mark(value))

    def _space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _through(self, at: int) -> int:
        """Copy one sign and the space behind it."""
        end = self._space(at + 1)
        self._out.append(self._text[at:end])
        return end

    def _after(self, at: int) -> int:
        """Go from the end of a value to what comes next: another, or the end of its container."""
        end = self._space(at)
        self._out.append(self._text[at:end])
        return self._through(end) if self._text[end] == "," else end

    def _close(self, at: int) -> int:
        self._out.append(self._text[at])
        return at + 1


def _written(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _texts_of_string(value: str) -> set[str]:
    """The texts by which a hidden string would be known elsewhere: itself, and as JSON writes it."""
    known = value.strip()
    return {known, _written(known)[1:-1], json.dumps(known)[1:-1]}


def _texts_of_number(literal: str) -> list[str]:
    """The texts by which a hidden number would be known: as sent, and in plain digits; none for true and null."""
    try:
        number = Decimal(literal)
    except ArithmeticError:
        return []
    if not number.is_finite() or abs(number.adjusted()) > MAX_EXPONENT:  # in what an agent quotes; no call has it
        return [literal]
    plain = format(number, "f")
    short = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return list(dict.fromkeys((literal, plain, short)))


class Veil:
    """Finds hidden values in other texts, and puts their marks there."""

    def __init__(self, secrets: dict[str, str]) -> None:
        self._secrets = secrets
        self._checks = 0
        # By their first characters, and then their lengths, so that a text is gone through once however many there are.
        lengths: dict[str, set[int]] = {}
        for text in secrets:
            lengths.setdefault(text[:LEAST_CHARACTERS], set()).add(len(text))
        self._lengths = {start: sorted(found, reverse=True) for start, found in lengths.items()}
        # Each length is a look into the text, and a long one takes as long as many short ones.
        self._costs = {
            start: sum(1 + length // _CHARACTERS_A_CHECK for length in found) for start, found in lengths.items()
        }
        # Few beginnings are found faster by one pattern; with many it would be tried in vain at every place.
        few = 0 < len(lengths) <= _FEW_BEGINNINGS
        self._beginnings = re.compile(f"(?={'|'.join(map(re.escape, lengths))})") if few else None

    def begin(self) -> None:
        """Look for as long again as for a whole call."""
        self._checks = 0

    def over(self, text: str) -> tuple[str, list[str]]:
        """Return ``text`` with marks for what is hidden, and those marks. What stands in a mark is not looked at."""
        if not self._secrets:
            return text, []
        pieces: list[str] = []
        marks: list[str] = []
        for piece in _AROUND_MARKS.split(text) if MARK_SIGN in text else [text]:
            if piece.startswith(MARK_SIGN):
                pieces.append(piece)
            else:
                self._cover(piece, pieces, marks)
        return "".join(pieces), marks

    def _cover(self, text: str, pieces: list[str], marks: list[str]) -> None:
        """Add ``text`` to the pieces with marks. What overlaps is hidden together."""
        shown_from = 0  # where the text goes on after the last mark
        for at in self._places(text):
            beginning = text[at : at + LEAST_CHARACTERS]
            lengths = self._lengths.get(beginning)
            if lengths is None:
                continue
            self._checks += self._costs[beginning]
            if self._checks > _MOST_CHECKS:  # then what is left is hidden whole
                mark = next(iter(self._secrets.values()))
                pieces += [text[shown_from : max(at, shown_from)], mark]
                marks.append(mark)
                return
            length = next((length for length in lengths if text[at : at + length] in self._secrets), 0)
            if at + length <= shown_from or not length:
                continue
            if at >= shown_from:
                mark = self._secrets[text[at : at + length]]
                pieces += [text[shown_from:at], mark]
                marks.append(mark)
            shown_from = at + length
        pieces.append(text[shown_from:])

    def _places(self, text: str) -> Iterable[int]:
        """Where a hidden value may begin."""
        if self._beginnings is None:
            return range(len(text) - LEAST_CHARACTERS + 1)
        return (found.start() for found in self._beginnings.finditer(text))
