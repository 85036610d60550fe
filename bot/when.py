"""Times to come as people write them: "Monday 9:00", "2026-11-30 18:00", "tomorrow", "3d". Pure.

Spans of time that have passed are ``bot.periods``'; both read days and clocks by what is here.

A time of day is that of the reader's own zone. A day without a time of day means nine in the morning of it, when people
come back; a time of day without a day, the next time that the clock shows it; a day of the week, the next one that
still comes. Where daylight saving skips the time, it is as much later; where it repeats it, the first of both.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.errors import NotATime

MORNING = time(9)
EXAMPLES = "Monday 9:00, tomorrow, 30 Nov 18:00, 2026-11-30 18:00, 3d or 4h"

FILLERS = frozenset(
    {"until", "till", "til", "for", "on", "at", "next", "this", "the", "from", "now", "in", "clock", "o'clock"}
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"(\d{1,4}) ?(m|min|mins|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?![a-z])", re.ASCII)
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?(am|pm)?", re.ASCII)
_LONGEST = 200


def parse_when(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment after ``now`` that ``text`` means to somebody in ``zone``, in UTC. Raises ``NotATime``."""
    words = [word for word in words_of(text) if word not in FILLERS]
    if not words:
        raise NotATime(f"Say until when, such as {EXAMPLES}.")
    try:
        length = read_length(words)
        moment = _at(words, text, now, zone) if length is None else length.after(now, zone)
        moment = moment.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise NotATime(f"There is no such day or time: “{text.strip()}”. Write it as in {EXAMPLES}.") from error
    if moment <= now:
        raise NotATime(f"“{text.strip()}” is over already.", code="time_is_over")
    return moment


def words_of(text: str) -> list[str]:
    """Take what was typed apart, in small letters and without commas. Raises ``NotATime`` for what is far too long."""
    plain = re.sub(r"(\d) ?(am|pm)\b", r"\1\2", " ".join(text.lower().replace(",", " ").split()))
    if len(plain) > _LONGEST:
        raise _not_understood(text)
    # A date and a time may be joined by a T, as machines write them.
    return re.sub(r"^((?:.* )?\d{4}-\d{1,2}-\d{1,2})t(?=\d)", r"\1 ", plain).split()


@dataclass(frozen=True, slots=True)
class Length:
    """A length of time. ``days`` are those of the calendar: three days on or back, the clock shows the same."""

    days: timedelta
    hours: timedelta

    def after(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the moment so much later, in UTC. Raises ``OverflowError``."""
        return (now.astimezone(zone) + self.days).astimezone(UTC) + self.hours

    def before(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the moment so much earlier, in UTC. Raises ``OverflowError``."""
        return (now.astimezone(zone) - self.days).astimezone(UTC) - self.hours


def read_length(words: Sequence[str]) -> Length | None:
    """Read a length of time, such as "3d" or "1 day 12 hours"; None if it is none.

    Raises ``OverflowError``, and ``NotATime`` for several lengths, which nobody means to be added up.
    """
    joined = re.sub(r"\b(?:a|an|one)\b", "1", " ".join(word for word in words if word != "and"))
    parts = _PART.findall(joined)
    if not parts or _PART.sub("", joined).strip():
        return None
    sizes = ["wdhm".index(unit[0]) for _, unit in parts]
    if sizes != sorted(set(sizes)):
        raise NotATime(
            f"“{' '.join(words)[:60]}” is more than one length of time. Write one, such as 7d; or 1d 12h, the larger "
            "part first.",
            code="times_given",
        )
    amounts = dict.fromkeys(_UNITS.values(), 0)
    for amount, unit in parts:
        amounts[_UNITS[unit[0]]] += int(amount)
    return Length(
        timedelta(days=amounts["days"], weeks=amounts["weeks"]),
        timedelta(hours=amounts["hours"], minutes=amounts["minutes"]),
    )


def _at(words: list[str], text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Read a day, a time of day, or both."""
    today = now.astimezone(zone).date()
    rest = list(words)
    day, is_weekly, is_yearly = take_day(rest, today)
    clock = take_clock(rest)
    if rest or (day is None and clock is None):
        raise _not_understood(text)
    if clock is None:
        clock = MORNING
    days = timedelta(days=1) if clock == time.max else timedelta(0)  # the midnight at which that day ends
    at_clock = time(0) if clock == time.max else clock

    def on(some_day: date) -> datetime:
        return datetime.combine(some_day + days, at_clock, zone)

    found = on(day or today)
    if found > now:
        return found
    if day is None:
        return on(today + timedelta(days=1))
    if is_weekly:
        return on(day + timedelta(days=7))
    if is_yearly and day < today:
        return on(day.replace(year=day.year + 1))
    return found


def take_day(words: list[str], today: date) -> tuple[date | None, bool, bool]:
    """Take the words that name a day out of ``words``: the day, and whether it comes every week or every year.

    Of a day of the week it is the next, today included. Raises ``ValueError`` for a day that there is not.
    """
    for at, word in enumerate(words):
        if word in ("today", "tonight"):
            del words[at]
            return today, False, False
        if word in ("tomorrow", "tmrw"):
            del words[at]
            return today + timedelta(days=1), False, False
        if (weekday := named(word, _DAYS)) is not None:
            del words[at]
            return today + timedelta(days=(weekday - today.weekday()) % 7), True, False
        if iso := _ISO.fullmatch(word):
            del words[at]
            return date(int(iso[1]), int(iso[2]), int(iso[3])), False, False
        if dotted := _DOTTED.fullmatch(word):
            del words[at]
            year = int(dotted[3] or today.year)
            return date(year, int(dotted[2]), int(dotted[1])), False, dotted[3] is None
        if (month := named(word, MONTHS)) is not None:
            return _take_date(words, at, month + 1, today)
    return None, False, False


def _take_date(words: list[str], at: int, month: int, today: date) -> tuple[date | None, bool, bool]:
    """Take "30 November" or "Nov 30th", with a year or without."""
    for beside in (at - 1, at + 1):
        number = (
            re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th|\.)?", words[beside], re.ASCII) if 0 <= beside < len(words) else None
        )
        if number is None:
            continue
        first, last = min(at, beside), max(at, beside)
        year = None
        if last + 1 < len(words) and re.fullmatch(r"20\d{2}", words[last + 1], re.ASCII):
            year = int(words[last + 1])
            last += 1
        del words[first : last + 1]
        return date(year or today.year, month, int(number[1])), False, year is None
    return None, False, False


def take_clock(words: list[str]) -> time | None:
    """Take a time of day out of ``words``. ``time.max`` stands for the midnight at the day's end.

    Raises ``ValueError`` for a time that no clock shows.
    """
    if len(words) != 1:
        return None
    word = words[0]
    if word in ("noon", "midday", "midnight"):
        words.clear()
        return time.max if word == "midnight" else time(12)
    form = _CLOCK.fullmatch(word)
    if form is None:
        return None
    hour, minute = int(form[1]), int(form[2] or 0)
    if form[3]:
        if not 1 <= hour <= 12:
            raise ValueError(word)
        hour = hour % 12 + (12 if form[3] == "pm" else 0)
    words.clear()
    return time.max if (hour, minute) == (24, 0) else time(hour, minute)


def named(word: str, names: tuple[str, ...]) -> int | None:
    """Which name a word is, if it is one or its beginning of three letters or more ("mon", "thurs", "sept")."""
    bare = word.rstrip(".")
    return next((at for at, name in enumerate(names) if len(bare) >= 3 and name.startswith(bare)), None)


def _not_understood(text: str) -> NotATime:
    return NotATime(f"“{text.strip()[:60]}” is no time that I understand. Write it as in {EXAMPLES}.")
