"""The one renderer of text that Signoff did not write: agents' calls and claims, people's notes, typed words.

Whatever comes out is inert and visible. Characters that a reader could not see, or that would move others about, are
written as ``\\u{…}``; what is markup in Slack is not. The notation is unambiguous: text that itself says ``\\u{``
comes out as ``\\u{5C}u{``, and so is the mark of what a rule hides: where text that is none begins like one, its
bracket is written as a code point. The tables follow Unicode's categories as this Python knows them; what it does not
know yet is shown as a code point, never trusted to be visible.

Pure. Knows neither requests nor blocks. It cuts nothing but in ``excerpt``, which says how much it left out.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache

from bot.redaction import MARK, MARK_SIGN

MAX_SPACES = 24
"""A longer run of spaces is written as a count, so that nothing is pushed out of sight."""
MAX_MARKS = 3
"""Combining marks shown on one letter; the fourth on is written as a code point (no living script needs more)."""

# Seen as nothing or as a plain gap although their category says otherwise: Unicode's Default_Ignorable_Code_Point,
# fillers, and blank-looking signs.
_BLANK = (
    *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0xFFFC, 0x16FE4, 0x1D159),
    *range(0x180B, 0x1810),
    *range(0xFE00, 0xFE10),
)
# Marks that strike through, underline or enclose what they follow: they imitate formatting and frames.
_DRAWN_OVER = (0x0305, 0x0332, 0x0333, 0x033F, *range(0x0334, 0x0339), *range(0x20D0, 0x2100), *range(0xFE20, 0xFE30))
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Me"})
# Beyond this come unassigned planes, tags, variation selectors and private use: nothing that is surely visible.
_LAST_SCANNED = 0x3347F


@dataclass(frozen=True, slots=True)
class _Tables:
    hidden: re.Pattern[str]
    marks: re.Pattern[str]
    right_to_left: re.Pattern[str]


@cache
def _tables() -> _Tables:
    """Build the patterns once, on first use: a scan of 210 000 code points, some 50 ms."""
    hidden = bytearray(_LAST_SCANNED + 1)
    marks = bytearray(_LAST_SCANNED + 1)
    right_to_left = bytearray(_LAST_SCANNED + 1)
    for code in range(0x7F, _LAST_SCANNED + 1):
        char = chr(code)
        category = unicodedata.category(char)
        hidden[code] = category in _HIDDEN_CATEGORIES
        marks[code] = category == "Mn"
        right_to_left[code] = unicodedata.bidirectional(char) in ("R", "AL", "AN")
    for code in (*range(0x20), *_BLANK, *_DRAWN_OVER):
        hidden[code] = True
    hidden[0x0A] = False
    hidden[ord(MARK_SIGN)] = False  # comes from Signoff alone, and is drawn as a bracket
    return _Tables(
        hidden=re.compile(f"[{_class_of(hidden)}{chr(_LAST_SCANNED + 1)}-\U0010ffff]"),
        marks=re.compile(f"[{_class_of(marks)}]+"),
        right_to_left=re.compile(f"[{_class_of(right_to_left)}]"),
    )


def _class_of(flags: bytearray) -> str:
    """Write a table of flags as the inside of a regular expression's character class."""
    pieces = [f"\\U{run.start():08x}-\\U{run.end() - 1:08x}" for run in re.finditer(rb"\x01+", bytes(flags))]
    return "".join(pieces)


_LITERAL_ESCAPE = re.compile(r"\\(?=u\{)")
_LITERAL_COUNT = re.compile(r"(?<= )\{(?=x\d)")
_LITERAL_SIGNS = re.compile("[⇥␍]")
_LIKE_A_MARK = re.compile(r"[\[［⁅⟦〚【〖〔〘❲⦗「｢⎡](?=\W{0,3}redacted)", re.IGNORECASE)  # noqa: RUF001
_MANY_SPACES = re.compile(rf" {{{MAX_SPACES + 1},}}")
_TRAILING_SPACES = re.compile(r" +(?=\n|\Z)")


def code_point(char: str) -> str:
    """Write a character as its code point: ``\\u{202E}``."""
    return f"\\u{{{ord(char):X}}}"


def visible(text: str, *, lines: bool = False) -> str:
    """Show ``text`` so that every character of it can be seen, and text that differs looks different.

    ``lines``: keep line breaks (for a frame that sets each line apart), and show tabs and carriage returns, which such
    text is full of, as ``⇥`` and ``␍``; otherwise all are written as code points.
    """
    shown = _LITERAL_COUNT.sub(r"\\u{7B}", _LITERAL_ESCAPE.sub(r"\\u{5C}", text))
    shown = _like_no_mark(shown)
    if lines:
        shown = shown if shown.isascii() else _LITERAL_SIGNS.sub(lambda found: code_point(found[0]), shown)
        shown = shown.replace("\t", "⇥").replace("\r", "␍")
    shown = _show_hidden(shown)
    if not lines:
        shown = shown.replace("\n", r"\u{A}")
    if "  " in shown:
        shown = _MANY_SPACES.sub(lambda run: rf"\u{{20}}{{x{len(run[0])}}}", shown)
    if shown.endswith(" ") or " \n" in shown:
        shown = _TRAILING_SPACES.sub(lambda run: _spaces(len(run[0])), shown)
    shown = rf"\u{{20}}{shown[1:]}" if shown.startswith(" ") and not lines else shown
    return shown.replace(MARK_SIGN, "[")


def quoted(text: str) -> str:
    """Show ``text`` on one line in double quotes, as JSON would, so that where it ends is beyond doubt.

    A mark that stands for all of it has no quotes: what is hidden may have been no text.
    """
    if MARK.fullmatch(text):
        return text.replace(MARK_SIGN, "[")
    shown = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\t", r"\t")
    shown = _show_hidden(_like_no_mark(shown.replace("\r", r"\r")))
    if "  " in shown:
        shown = _MANY_SPACES.sub(lambda run: rf"\u{{20}}{{x{len(run[0])}}}", shown)
    return f'"{shown.replace(MARK_SIGN, "[")}"'


def _like_no_mark(text: str) -> str:
    """Break what looks like a mark and is none."""
    return _LIKE_A_MARK.sub(lambda found: code_point(found[0]), text)


def barred(shown: str) -> str:
    """Put a bar before each line of a rendered text of several, so that none of them passes for a line of ours."""
    return "\n".join(f"│ {line}" for line in shown.split("\n")) if "\n" in shown else shown


def _spaces(count: int) -> str:
    return r"\u{20}" if count == 1 else rf"\u{{20}}{{x{count}}}"


def _show_hidden(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    tables = _tables()
    shown = tables.hidden.sub(lambda found: code_point(found[0]), text)
    return shown if shown.isascii() else tables.marks.sub(_show_marks, shown)


def _show_marks(run: re.Match[str]) -> str:
    """Keep the marks that belong to a letter; show those on nothing, and those stacked beyond reading."""
    before = run.string[run.start() - 1] if run.start() else ""
    kept = MAX_MARKS if before.isalpha() or unicodedata.category(before or " ") == "Mc" else 0
    return run[0][:kept] + "".join(code_point(mark) for mark in run[0][kept:])


def count_hidden(text: str) -> int:
    """Count the characters of ``text`` that nobody could see."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return 0
    return len(_tables().hidden.findall(text.replace("\t", "").replace("\r\n", "\n")))


def without_hidden(text: str) -> str:
    """Return what people could see of ``text``."""
    return text if text.isascii() else _tables().hidden.sub("", text)


def runs_right_to_left(text: str) -> bool:
    """Tell whether ``text`` has letters that a screen orders from right to left."""
    return not text.isascii() and _tables().right_to_left.search(text) is not None


# --- mrkdwn -----------------------------------------------------------------------------------------------

_MARKUP = re.compile(r"[*~`]|(?<!\w)_|_(?!\w)|:(?=[\w+'-]+:)|:(?=//)|^>", re.ASCII)
_ONE_WORD = re.compile(r"[\w.:/@+-]+")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def mrkdwn(text: str) -> str:
    """Show ``text`` on one line where Slack reads markup (notifications, the bot's own lines): nothing in it is live.

    For names. Longer text belongs into a frame that knows no markup.
    """
    return _inert(visible(text))


def name_in_mrkdwn(name: str) -> str:
    """Show a name that an agent chose: in quotes, unless it is one word, so that it makes no sentence of ours."""
    return mrkdwn(name) if _ONE_WORD.fullmatch(name) else _inert(quoted(name))


def _inert(shown: str) -> str:
    return re.sub(r"[&<>]", lambda found: _ENTITIES[found[0]], _MARKUP.sub(lambda one: code_point(one[0]), shown))


_USER = re.compile(r"[UW][A-Z0-9]{1,31}")
_USERGROUP = re.compile(r"S[A-Z0-9]{1,31}")
_CHANNEL = re.compile(r"[CDG][A-Z0-9]{1,31}")


def user_mention(user_id: str | None) -> str:
    """Mention a person in mrkdwn. It pings in a new message; what is no user id is shown as text."""
    return f"<@{user_id}>" if user_id and _USER.fullmatch(user_id) else mrkdwn(user_id or "somebody")


def usergroup_mention(usergroup_id: str) -> str:
    """Mention a user group in mrkdwn. It pings in a new message."""
    return f"<!subteam^{usergroup_id}>" if _USERGROUP.fullmatch(usergroup_id) else mrkdwn(usergroup_id)


def channel_mention(channel_id: str) -> str:
    """Name a channel in mrkdwn; Slack shows its name to those who may know it."""
    return f"<#{channel_id}>" if _CHANNEL.fullmatch(channel_id) else mrkdwn(channel_id)


def date(at: datetime, lead: str = "") -> str:
    """Write a time in mrkdwn so that each reader sees it in their own zone; UTC where Slack cannot.

    ``lead`` are words of ours before it: Slack writes "Today" with a capital unless some stand in the same token.
    """
    return f"<!date^{int(at.timestamp())}^{lead}{{date_short_pretty}} at {{time}}|{lead}{plain_date(at)}>"


def soon(at: datetime) -> str:
    """Write in mrkdwn how far away a time is, which Slack keeps up to date, and which time that is."""
    return f"<!date^{int(at.timestamp())}^{{ago}} ({{date_short_pretty}} at {{time}})|{plain_date(at)}>"


def ago(at: datetime) -> str:
    """Write in mrkdwn how long ago something was, which Slack keeps up to date; the time in UTC where it cannot."""
    return f"<!date^{int(at.timestamp())}^{{ago}}|{plain_date(at)}>"


def plain_date(at: datetime, zone: tzinfo = UTC) -> str:
    """Write a time in UTC, or in the zone of the one reader where that is known."""
    return f"{at.astimezone(zone):%d %b %Y %H:%M %Z}".lstrip("0")


# --- lengths ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text, ready to be framed. ``left_out``: how many characters of the original are not in it."""

    shown: str
    left_out: int


def excerpt(text: str, max_characters: int, max_lines: int) -> Excerpt:
    """Show as much of ``text`` from its beginning as a frame of this size holds."""
    kept = text[:max_characters]
    if (lines := kept.split("\n", max_lines))[max_lines:]:
        kept = "\n".join(lines[:max_lines])
    while len(shown := visible(kept, lines=True)) > max_characters:
        kept = kept[: min(len(kept) - 1, len(kept) * max_characters // len(shown))]
    return Excerpt(shown, len(text) - len(kept))


def how_many(count: int, thing: str) -> str:
    """Write a count with its noun: ``1 line``, ``4,000 lines``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
