"""What a rule hides from people: which arguments, and the mark that stands in their place. Pure.

A rule's ``redact`` names arguments whose values nobody is to see, on no surface. Whoever draws a request gets a
redacted copy of it from here, so that no renderer can leak; what is stored stays as the agent sent it, and so does the
digest.

A pattern is a key, or several with dots between them, any of which may be ``*`` for any one key or list index. It fits
a value by the end of its path, wherever that stands; the path begins with ``arguments`` (or ``context``), and keys are
compared without regard to case. In doubt more is hidden: a key with dots in it counts as several.

The mark is keyed and salted per request: equal values have equal marks within a drawing and others in the next, and
without the secret key nobody can try values against it. It tells neither length nor type. Its first character is half
of a surrogate pair, which no stored text can hold (``bot.call`` refuses it, and it has no UTF-8), so that nothing an
agent writes is ever taken for a mark; the renderer of texts draws it as a bracket.
"""

import hmac
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from json.decoder import scanstring  # type: ignore[attr-defined]  # there, but not in typeshed
from typing import Any, Final, TypeVar

from bot.call import MAX_EXPONENT, digest_of_form, load_json
from store.compiled import changed_record
from store.tables import Request, StandingVote, Vote

MARK_SIGN: Final = "\udfff"
"""Begins a mark, in the place of its opening bracket."""
MARK: Final = re.compile(f"{MARK_SIGN}redacted · hmac:[0-9a-f]{{8}}]")
_AROUND_MARKS = re.compile(f"({MARK.pattern})")
LEAST_CHARACTERS: Final = 4
"""A hidden text or number shorter than this is not looked for elsewhere: it would be found in half of all words."""
LONGEST_PATTERN: Final = 255
_MARK_DIGITS = 8
_MOST_CHECKS = 3_000_000  # about a second of looking; only a call made for that purpose takes more
_MOST_TRIES = 16  # to find JSON objects in a text
_ANY = "*"

Path = tuple[str, ...]
Noted = TypeVar("Noted", Vote, StandingVote)


def parse_pattern(text: str) -> Path:
    """Return a pattern's segments. Raises ``ValueError`` that says what is wrong with it."""
    if not 1 <= len(text) <= LONGEST_PATTERN:
        raise ValueError(f"has {len(text)} characters, where 1 to {LONGEST_PATTERN} are allowed")
    if not text.isprintable():
        raise ValueError("has control or invisible characters")
    segments = text.split(".")
    if not all(segments):
        raise ValueError("has nothing before, between or after its dots")
    if any(segment != segment.strip() for segment in segments):
        raise ValueError("has a space at the end of a key")
    if any(_ANY in segment and segment != _ANY for segment in segments):
        raise ValueError("has a * within a key; it stands for a whole one")
    return tuple(map(_plain, segments))


_parsed = lru_cache(maxsize=1024)(parse_pattern)


@lru_cache(maxsize=4096)
def _plain(key: str) -> str:
    return unicodedata.normalize("NFKC", key).casefold()


def hides(patterns: Iterable[Path], path: Path) -> bool:
    """Whether one of ``patterns`` fits the value at ``path``, whose keys are those of ``segments_of``."""
    return any(
        len(pattern) <= len(path)
        and all(wanted in (_ANY, key) for wanted, key in zip(pattern, path[-len(pattern) :], strict=True))
        for pattern in patterns
    )


def segments_of(key: str) -> Path:
    """Return what a key adds to a path."""
    return tuple(map(_plain, key.split(".")))


class Redactor:
    """Makes redacted copies. ``secret_key`` is SIGNOFF_SECRET_KEY; the marks' own key is derived from it."""

    def __init__(self, secret_key: bytes) -> None:
        self._key = hmac.digest(secret_key, b"redaction\0", "sha256")

    def redact(self, request: Request, patterns: Iterable[str], beside: "Redacted | None" = None) -> "Redacted":
        """Return ``request`` as people may see it under a rule's ``patterns``.

        ``beside``: the request that it is shown with. What is hidden there is hidden here too, and equal values have
        equal marks. Arguments and context that were not loaded stay away.
        """
        hidden = tuple(map(_parsed, patterns))
        other = beside.hiding if beside is not None else None
        if not hidden and other is None:
            return Redacted(request)
        salt = request.salt if beside is None else beside.request.salt
        marker = _Marker(self._key, salt, hidden)
        secrets = dict(other.secrets) if other is not None else {}
        if request.arguments:
            _Copy(request.arguments, marker, found=secrets).make("arguments")
        # What stands in the context hides none of the arguments: else an agent could hide them with it.
        claimed = dict(secrets)
        if request.context is not None:
            _Copy(request.context, marker, found=claimed).make("context")
        hiding, of_claims = Hiding(marker, secrets), Hiding(marker, claimed)
        copies = 0
        changed: dict[str, str] = {}
        if request.arguments:
            copy = _Copy(request.arguments, marker, hiding.veil)
            changed["arguments"] = copy.make("arguments")
            copies = copy.covered
        if request.context is not None:
            changed["context"] = _Copy(request.context, marker, of_claims.veil).make("context")
        for name, by in (("agent_reasoning", of_claims), ("outcome_note", of_claims), ("note", hiding)):
            text = getattr(request, name)
            if text is not None:
                changed[name] = by.words(text)
        return Redacted(changed_record(request, **changed), copies, hiding)


class Hiding:
    """What is hidden about one request: its rule's patterns, and the values that they fit. Never to be drawn."""

    __slots__ = ("marker", "secrets", "veil")

    def __init__(self, marker: "_Marker", secrets: dict[str, str]) -> None:
        self.marker = marker
        self.secrets = secrets
        self.veil = _Veil(secrets)

    def words(self, text: str) -> str:
        """Return a text with marks for hidden values, and for what patterns fit in JSON objects that it quotes."""
        return self.veil.over("".join(self._quoted(text)))[0]

    def _quoted(self, text: str) -> Iterator[str]:
        at = 0
        for _ in range(_MOST_TRIES):
            start = text.find("{", at)
            if start < 0:
                break
            yield text[at:start]
            at = start
            try:
                end = _READER.raw_decode(text, start)[1]
            except (ValueError, RecursionError):
                yield text[at : at + 1]
                at += 1
                continue
            try:
                yield _Copy(text[start:end], self.marker, self.veil).make("arguments")
            except (ValueError, RecursionError):  # no JSON that an agent may send: half surrogates, keys twice
                yield self.marker.mark(text[start:end].encode("utf-8", "replace").decode())
            at = end
        yield text[at:]


_READER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Redacted:
    """A request as people may see it.

    ``copies`` counts the places of its arguments that no pattern fits and that are hidden because they hold a hidden
    value. It is to be said, lest a reader takes them for what the rule hides: an agent may have put them there.
    """

    request: Request
    copies: int = 0
    hiding: Hiding | None = None

    def noted(self, vote: Noted) -> Noted:
        """Return a vote on the request, its note as people may see it."""
        if vote.note is None or self.hiding is None:
            return vote
        return changed_record(vote, note=self.hiding.words(vote.note))


class _Marker:
    """Tells what is hidden, and makes the marks of one request."""

    def __init__(self, key: bytes, salt: bytes, patterns: tuple[Path, ...]) -> None:
        self._key = key
        self._salt = salt
        self._patterns = patterns

    def hides(self, path: Path) -> bool:
        return hides(self._patterns, path)

    def mark(self, value: Any) -> str:
        mac = hmac.digest(self._key, self._salt + digest_of_form(value), "sha256").hex()
        return f"{MARK_SIGN}redacted · hmac:{mac[:_MARK_DIGITS]}]"


_SPACE = re.compile(r"[ \t\n\r]*")
_LITERAL = re.compile(r"[-+.\w]+")


class _Copy:
    """Copies the JSON text of an object to the letter, but for what is hidden.

    ``veil`` covers hidden values where they stand elsewhere; ``covered`` counts those places. With ``found`` the texts
    of hidden values are taken down there, with their marks.
    """

    def __init__(
        self, text: str, marker: _Marker, veil: "_Veil | None" = None, *, found: dict[str, str] | None = None
    ) -> None:
        self.covered = 0
        self._text = text
        self._marker = marker
        self._veil = veil
        self._found = found
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
        if is_hidden:
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
        if within:
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


class _Veil:
    """Finds hidden values in other texts, and puts their marks there."""

    def __init__(self, secrets: dict[str, str]) -> None:
        self._secrets = secrets
        self._checks = 0
        # By their first characters, and then their lengths, so that a text is gone through once however many there are.
        lengths: dict[str, set[int]] = {}
        for text in secrets:
            lengths.setdefault(text[:LEAST_CHARACTERS], set()).add(len(text))
        self._lengths = {start: sorted(found, reverse=True) for start, found in lengths.items()}

    def over(self, text: str) -> tuple[str, list[str]]:
        """Return ``text`` with marks for what is hidden, and those marks. What stands in a mark is not looked at."""
        if not self._secrets:
            return text, []
        pieces: list[str] = []
        marks: list[str] = []
        for piece in _AROUND_MARKS.split(text):
            if piece.startswith(MARK_SIGN):
                pieces.append(piece)
            else:
                self._cover(piece, pieces, marks)
        return "".join(pieces), marks

    def _cover(self, text: str, pieces: list[str], marks: list[str]) -> None:
        """Add ``text`` to the pieces with marks. What overlaps is hidden together."""
        shown_from = 0  # where the text goes on after the last mark
        for at in range(len(text) - LEAST_CHARACTERS + 1):
            lengths = self._lengths.get(text[at : at + LEAST_CHARACTERS])
            if lengths is None:
                continue
            self._checks += len(lengths)
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
