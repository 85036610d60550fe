"""The fields of the form in which a call is changed: which input a value gets, and how what is typed is read back.

Pure. A field that nobody touched gives back what the agent sent, to the letter. Numbers are read as JSON numbers and
never become floats. Slack's inputs show what they hold: a text with characters that nobody could see, that Slack may
drop or put into words of its own (spaces at the ends, emoji), stands in its field as a JSON string with those escaped.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from bot.call import canonical_form, load_json, texts_of_pairs
from bot.errors import Refusal
from bot.redaction import MARK_SIGN
from handlers.slack.outline import shown_key
from handlers.slack.sent import Number, Object, decode, is_scalar, is_string
from handlers.slack.text import MAX_SPACES, count_hidden, quoted, visible

MOST_FIELDS = 40
INPUT_CHARACTERS = 3000
"""The most that an input of Slack's holds."""
KEY_CHARACTERS = 70
OPTION_CHARACTERS = 75
MOST_OPTIONS = 99
_LINE = 36  # a list that fits a line of a phone stays on it
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_MANY_SPACES = re.compile(rf"^ +| +$| {{{MAX_SPACES + 1},}}")
_EMOJI_ELSEWHERE = "‼⁉↔〰"  # emoji that are signs of another kind to Unicode; Slack may write any as :name:
_NOT_EMOJI = "°"
_CURLY = re.compile("[\u201c-\u201f\u2018\u2019]")


class CannotBeChanged(Refusal):
    """This call cannot be changed in a form. Deny it with a note that says what you want instead."""

    code = "cannot_be_changed"


class Misread(ValueError):
    """What was typed is not what the field holds. The message tells the person what would be right."""


class Kind(Enum):
    """What a field holds, and so how it is read."""

    TEXT = auto()  # a text as it is
    WRITTEN = auto()  # a text as JSON writes it, in quotes
    NUMBER = auto()
    CHOICE = auto()  # one of some values
    JSON = auto()  # anything, as JSON


@dataclass(frozen=True, slots=True)
class Field:
    """One argument in the form.

    ``sent`` is its JSON text to the letter, None for one that the call does not have; ``shown`` is what stands in the
    input at first; ``choices`` are JSON texts, ``shown`` then one of them. ``title`` and ``about`` are the schema's.
    ``may_go``: whether it may be left out of the call.
    """

    key: str
    kind: Kind
    sent: str | None
    shown: str
    choices: tuple[str, ...] = ()
    title: str = ""
    about: str = ""
    may_go: bool = True

    @property
    def is_long(self) -> bool:
        """Whether the input has several lines."""
        return self.kind is Kind.JSON or "\n" in self.shown or len(self.shown) > 2 * _LINE

    def read(self, typed: str | None) -> str | None:
        """Return the JSON text that a filled-in field stands for; None where the argument stays out of the call.

        Raises ``Misread``.
        """
        text = (typed or "").replace("\r\n", "\n")
        if text == self.shown:
            return self.sent
        if self.kind is Kind.TEXT:
            return self._read_text(text.strip())
        if not text.strip():
            if self.sent is None:
                return None
            raise Misread("This must not be empty. To leave the argument out of the call, choose it below.")
        if self.kind is Kind.CHOICE and text not in self.choices:
            raise Misread("Choose one of the values.")
        _refuse_hidden(text)
        read = _number(text.strip()) if self.kind is Kind.NUMBER else _json(text.strip())
        if self.kind is Kind.WRITTEN and not isinstance(load_json(read), str):
            raise Misread('Write a text in double quotes, such as "like this".')
        return self.sent if self.sent is not None and _is_same(read, self.sent) else read

    def _read_text(self, text: str) -> str | None:
        if not text and self.sent is None:
            return None
        _refuse_hidden(text)
        read = json.dumps(text, ensure_ascii=False)
        return self.sent if self.sent is not None and _is_same(read, self.sent) else read


def _refuse_hidden(typed: str) -> None:
    """Refuse what was pasted without being seen; whoever means it writes it as JSON does, with a backslash."""
    if count_hidden(typed):
        raise Misread(f"This has characters that nobody could see: {quoted(typed)[:200]}. Please type it anew.")


def kept_keys(arguments: str) -> tuple[str, ...]:
    """Return the arguments that stay as they are, because a rule hides something in them (``bot.redaction``)."""
    return tuple(key for key, raw in texts_of_pairs(arguments).items() if MARK_SIGN in key or MARK_SIGN in raw)


def fields_of(arguments: str, schema: Mapping[str, Any] | None) -> tuple[Field, ...]:
    """Choose the fields of the form for a call's arguments, its JSON text as people may see it.

    ``schema`` is the rule's for the arguments; what it has and the call has not gets an empty field. What is hidden
    gets none. Raises ``CannotBeChanged``.
    """
    properties, required = _properties(schema)
    texts = texts_of_pairs(arguments)
    kept = kept_keys(arguments)
    fields = [
        _field(key, texts[key], value, properties.get(key, {}), may_go=key not in required)
        for key, value in decode(arguments)
        if key not in kept
    ]
    fields += [_absent(key, about) for key, about in properties.items() if key not in texts]
    if not fields:
        raise CannotBeChanged("This call has no arguments that could be changed. Deny it with a note instead.")
    if len(fields) > MOST_FIELDS:
        raise CannotBeChanged(
            f"This call has more than {MOST_FIELDS} arguments, too many for a form. Deny it with a note instead."
        )
    for field in fields:
        if len(shown_key(field.key)) > KEY_CHARACTERS:
            raise CannotBeChanged("The name of an argument is too long for a form. Deny the call with a note instead.")
        if len(field.shown) > INPUT_CHARACTERS and field.kind is not Kind.CHOICE:
            raise CannotBeChanged(
                f"{shown_key(field.key)} is longer than {INPUT_CHARACTERS:,} characters, too long for a form. "
                "Deny the call with a note instead."
            )
    return tuple(fields)


def changed_arguments(arguments: str, edits: Mapping[str, str | None]) -> str:
    """Return the arguments with some changed: what is not in ``edits`` to the letter, in the order sent.

    ``arguments`` are those that are stored, with what nobody may see. ``edits`` are JSON texts by key; None leaves the
    argument out. Without a change the whole text is as it was.
    """
    texts = texts_of_pairs(arguments)
    changed = {key: edits.get(key, raw) for key, raw in texts.items()} | {
        key: raw for key, raw in edits.items() if key not in texts
    }
    kept = {key: raw for key, raw in changed.items() if raw is not None}
    if kept == texts:
        return arguments
    return f"{{{', '.join(f'{json.dumps(key, ensure_ascii=False)}: {raw}' for key, raw in kept.items())}}}"


# --- what a value gets ------------------------------------------------------------------------------------


def _field(key: str, raw: str, value: Any, about: Mapping[str, Any], *, may_go: bool) -> Field:
    choices = ("true", "false") if isinstance(value, bool) else _choices(about)
    same = next((one for one in choices if _is_same(one, raw)), None)
    if same is not None:
        kind, shown = Kind.CHOICE, same
    elif isinstance(value, Number):
        kind, shown = Kind.NUMBER, str(value)
    elif is_string(value):
        kind, shown = (Kind.TEXT, value) if _shows_itself(value) else (Kind.WRITTEN, _written(value))
    else:
        kind, shown = Kind.JSON, _pretty_or_short(value)
    given = choices if kind is Kind.CHOICE else ()
    return Field(key, kind, raw, shown, given, _words(about, "title"), _words(about, "description"), may_go)


def _absent(key: str, about: Mapping[str, Any]) -> Field:
    kind = {"string": Kind.TEXT, "number": Kind.NUMBER, "integer": Kind.NUMBER}.get(str(about.get("type")), Kind.JSON)
    choices = ("true", "false") if about.get("type") == "boolean" else _choices(about)
    if choices:
        kind = Kind.CHOICE
    return Field(key, kind, None, "", choices, _words(about, "title"), _words(about, "description"), may_go=False)


def _properties(schema: Mapping[str, Any] | None) -> tuple[dict[str, Mapping[str, Any]], frozenset[str]]:
    """What a schema says of each argument, and which it wants."""
    given = schema or {}
    properties, required = given.get("properties"), given.get("required")
    about = properties if isinstance(properties, dict) else {}
    return (
        {key: one if isinstance(one, dict) else {} for key, one in about.items() if one is not False},
        frozenset(required if isinstance(required, list) else ()),
    )


def _words(about: Mapping[str, Any], name: str) -> str:
    words = about.get(name)
    return visible(" ".join(words.split()))[:300] if isinstance(words, str) else ""


def _choices(about: Mapping[str, Any]) -> tuple[str, ...]:
    """The values that a schema lists, as JSON texts; none where a select could not show them."""
    listed = about.get("enum")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_OPTIONS:
        return ()
    if not all(one is None or isinstance(one, (str, bool, int)) for one in listed):
        return ()
    texts = tuple(dict.fromkeys(json.dumps(one, ensure_ascii=False) for one in listed))
    return texts if all(0 < len(shown_choice(one)) <= OPTION_CHARACTERS for one in texts) else ()


def shown_choice(choice: str) -> str:
    """Write one of the values of a select: a text in quotes, so that ``"5"`` is not ``5``."""
    value = load_json(choice)
    return quoted(value) if isinstance(value, str) else choice


# --- how texts are shown ----------------------------------------------------------------------------------


def _shows_itself(text: str) -> bool:
    """Whether an input shows all there is to a text, and Slack gives it back as it was."""
    return text == text.strip() and visible(text, lines=True) == text and not any(map(_is_emoji, text))


def _is_emoji(char: str) -> bool:
    return char in _EMOJI_ELSEWHERE or (
        unicodedata.category(char) in ("So", "Sk") and not char.isascii() and char not in _NOT_EMOJI
    )


def _written(text: str) -> str:
    """Write a text as JSON, what nobody could see as ``\\u`` and four digits."""
    spaced = _MANY_SPACES.sub(lambda run: "\\u0020" * len(run[0]), json.dumps(text, ensure_ascii=False)[1:-1])
    return f'"{"".join(_escaped(char) for char in spaced)}"'


def _escaped(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    return json.dumps(char)[1:-1] if visible(char) != char or _is_emoji(char) else char


def _pretty_or_short(value: Any) -> str:
    """Write a value over several lines, or on one if the lines are more than an input holds."""
    pretty = "\n".join(_pretty(value))
    return pretty if len(pretty) <= INPUT_CHARACTERS else _short(value)


def _pretty(value: Any, margin: str = "", after: str = "") -> Iterator[str]:
    short = _short(value)
    if is_scalar(value) or len(margin) + len(short) <= _LINE:
        yield f"{margin}{after}{short}"
        return
    inner = f"{margin}  "
    is_object = isinstance(value, Object)
    yield f"{margin}{after}{'{' if is_object else '['}"
    items = [(f"{_written(key)}: ", item) for key, item in value] if is_object else [("", item) for item in value]
    for at, (label, item) in enumerate(items):
        *lines, last = _pretty(item, inner, label)
        yield from lines
        yield f"{last}{',' if at < len(items) - 1 else ''}"
    yield f"{margin}{'}' if is_object else ']'}"


def _short(value: Any) -> str:
    if isinstance(value, Object):
        return f"{{{', '.join(f'{_written(key)}: {_short(item)}' for key, item in value)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    if is_string(value):
        return _written(value)
    return str(value) if isinstance(value, Number) else json.dumps(value)


# --- reading ----------------------------------------------------------------------------------------------


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise Misread("Write a number such as 4900.10: digits, a point for the fraction, no spaces and no unit.")
    return _json(text)


def _json(text: str) -> str:
    """Check a JSON value. Raises ``Misread`` saying where it is none."""
    try:
        value = load_json(text)
        canonical_form(value)
    except json.JSONDecodeError as error:
        words = f"This is not JSON: {error.msg} (line {error.lineno}, character {error.colno})."
        raise Misread(f"{words} Use straight quotes." if _CURLY.search(text) else words) from error
    except UnicodeEncodeError as error:
        raise Misread("This is not JSON: a text has half of a character in it.") from error
    except RecursionError as error:
        raise Misread("This is nested too deep.") from error
    except ValueError as error:
        raise Misread(f"This is not JSON: {error}.") from error
    return text


def _is_same(one: str, other: str) -> bool:
    """Whether two JSON texts are the same value, by their canonical form."""
    return canonical_form(load_json(one)) == canonical_form(load_json(other))
