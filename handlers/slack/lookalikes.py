"""Warnings about letters that may not be what they look like.

Pure. A warning never blocks: it says in one line what a reader cannot see, in words of ours, with letters named by
their Unicode names; the agent's word beside them is for a frame. Hidden characters themselves are shown by
``handlers.slack.text``.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from handlers.slack.text import count_hidden, how_many, runs_right_to_left, visible

MAX_SAMPLE = 40
_WORD = re.compile(r"[^\W\d_]+(?:[^\W_]*[^\W\d_])?")
# Scripts that stand in one word by custom: Japanese and Korean mix several, and Latin letters among them.
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC"})
# Letters of other scripts that look like Latin ones in most fonts, small and capital.
_LIKE_LATIN = frozenset(
    "аеорсухѕіјԁһӏԛԝѵкАВЕКМНОРСТУХЅІЈҺԚԜ"  # Cyrillic
    "αονρτυχικΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"  # Greek
    "օսոհցք"  # noqa: RUF001  # Armenian
)
_LIKE_SIGNS = {
    "\u2044": "/", "\u2215": "/", "\u29f8": "/", "\u2571": "/", "\u2216": "\\", "\u29f5": "\\", "\u2212": "-",
    "\u02d7": "-", "\u2010": "-", "\ua789": ":", "\u05c3": ":", "\u0589": ":", "\u2236": ":", "\u01c3": "!",
    "\u2223": "|", "\u01c0": "|", "\u2217": "*", "\u204e": "*", "\u037e": ";", "\u201a": ",", "\ua4f8": ".",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something odd about a text. ``words`` are ours; ``sample`` is the agent's word that shows it, if one does."""

    words: str
    sample: str | None = None


def oddities(texts: Iterable[str]) -> list[Oddity]:
    """Say what is odd about the letters of some texts, each oddity once, with its first example."""
    found: dict[str, Oddity] = {}
    hidden = 0
    for text in texts:
        if text.isascii() and text.isprintable():
            continue
        hidden += count_hidden(text)
        if runs_right_to_left(text):
            found["right_to_left"] = Oddity("Written from right to left: may stand in another order than sent.")
        _look_at_words(text, found)
    if hidden:
        found["hidden"] = Oddity(f"Has {how_many(hidden, 'invisible character')}, shown as \\u{{…}}.")
    return [found[kind] for kind in sorted(found)]


def _look_at_words(text: str, found: dict[str, Oddity]) -> None:
    words = [word for word in dict.fromkeys(_WORD.findall(text)) if not word.isascii()]
    for word in words:
        if "mixed" not in found and (mixed := _mixed(word)):
            found["mixed"] = Oddity(f"mixes scripts: {mixed}.", _sample(word))
        if "styled" not in found and _is_styled(word):
            found["styled"] = Oddity("is not written in the plain letters it looks like.", _sample(word))
    if "whole" not in found and (lookalike := _whole_lookalike(words)):
        script = script_of(lookalike[0]).capitalize()
        found["whole"] = Oddity(f"may look like Latin letters but is {script}.", _sample(lookalike))
    for char in dict.fromkeys(text):
        if char.isascii():
            continue
        if "digit" not in found and char.isdecimal():
            found["digit"] = Oddity(f"Has digits of another script: {_named(char)}.")
        if "sign" not in found and char in _LIKE_SIGNS:
            found["sign"] = Oddity(f"Has {_named(char)}, which looks like “{_LIKE_SIGNS[char]}”.")


@lru_cache(maxsize=4096)
def script_of(char: str) -> str:
    """Name the script of a letter, by the first word of its Unicode name; empty for what belongs to none."""
    if not unicodedata.category(char).startswith("L"):
        return ""
    first = unicodedata.name(char, "").split(" ")[0]
    return "" if first in ("MODIFIER", "MICRO", "FEMININE", "MASCULINE") else first


def _mixed(word: str) -> str | None:
    scripts = dict.fromkeys(script for char in word if (script := script_of(char)))
    if len(scripts) < 2 or scripts.keys() <= _EAST_ASIAN | {"LATIN"}:
        return None
    rarest = min(scripts, key=lambda script: sum(script_of(char) == script for char in word))
    odd = next(char for char in word if script_of(char) == rarest)
    return f"{' and '.join(script.capitalize() for script in scripts)}, such as {_named(odd)}"


def _is_styled(word: str) -> bool:
    """Whether a word of styled letters (bold, full-width, circled) looks like one of plain letters."""
    return unicodedata.normalize("NFKC", word).isascii()


def _whole_lookalike(words: Sequence[str]) -> str | None:
    """A word made of nothing but look-alikes, in a text that has no other sign of being in that script."""
    plainly_foreign = {
        script_of(char) for word in words for char in word if not char.isascii() and char not in _LIKE_LATIN
    }
    for word in words:
        if len(word) > 1 and all(char in _LIKE_LATIN for char in word) and script_of(word[0]) not in plainly_foreign:
            return word
    return None


def _named(char: str) -> str:
    return f"{unicodedata.name(char, 'a character without a name')} (U+{ord(char):04X})"


def _sample(word: str) -> str:
    shown = visible(word)
    return shown if len(shown) <= MAX_SAMPLE else f"{shown[:MAX_SAMPLE]}…"
