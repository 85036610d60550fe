"""Spans of time that have passed, as people write them: "24h", "7d", "since monday", "2026-11-01..2026-11-07". Pure.

Days are those of the reader's own zone and whole: a range of days ends with its last one. A day of the week is the last
one there was, today included; a date without a year, the last time there was one. Weeks begin on Mondays. Where
daylight saving skips or repeats a time, the rules are those of ``bot.when``, which reads the words.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.errors import NotATime
from bot.when import MONTHS, named, read_length, take_clock, take_day, words_of

EXAMPLES = "24h, 7d, today, since monday, november or 2026-11-01..2026-11-07"
RESOLUTION = timedelta(microseconds=1)
"""The smallest difference between two times on record."""

_FILLERS = {"since", "from", "the", "past", "ago", "on", "at", "in", "of", "until", "till", "between"}
_SINCE = {"since", "from"}
_ONE = {"minute", "hour", "day", "week", "month", "year"}
_BETWEEN = re.compile(r"\s*(?:\.\.+|…|[–—])\s*|\s+(?:-|to|until|till)\s+", re.IGNORECASE)  # noqa: RUF001
_MACHINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_MONTHS_BACK = re.compile(r"(\d{1,3}) ?(?:mo|months?)", re.ASCII)
_YEARS_BACK = re.compile(r"(\d{1,2}) ?(?:y|years?)", re.ASCII)
_BARE = re.compile(r"\d{1,3}", re.ASCII)
_YEAR = re.compile(r"20\d\d", re.ASCII)
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time in UTC, from ``since`` on and before ``until``."""

    since: datetime
    until: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.since <= moment < self.until

    def __str__(self) -> str:
        """The period as ``parse_period`` reads it, to the microsecond and in no zone but UTC."""
        return f"{_machine(self.since)}..{_machine(self.until)}"


def parse_period(text: str, now: datetime, zone: ZoneInfo) -> Period:
    """Return the span of time that ``text`` means to somebody in ``zone``; it ends now at the latest.

    Raises ``NotATime``.
    """
    plain = text.strip()
    if len(plain) > _LONGEST:
        raise _not_understood(text)
    try:
        since, until = _read(plain, now, zone)
        since, end = since.astimezone(UTC), until.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise NotATime(f"There is no such day or time: “{plain[:60]}”. Write it as in {EXAMPLES}.") from error
    until = min(end, now + RESOLUTION)
    if since >= now + RESOLUTION and until == now + RESOLUTION:
        raise NotATime(f"“{plain[:60]}” is still to come.", code="time_to_come")
    if since >= until:
        raise NotATime(f"“{plain[:60]}” ends before it begins.", code="time_backwards")
    return Period(since, until)


def _read(text: str, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    ends = _BETWEEN.split(text)
    if len(ends) > 2 or not ends[0].strip():
        raise _not_understood(text)
    since, end = _span(ends[0], text, now, zone)
    if len(ends) == 2:
        return since, (_span(ends[1], text, now, zone)[1] if ends[1].strip() else now + RESOLUTION)
    is_open = since == end or not _SINCE.isdisjoint(ends[0].lower().split())
    return since, (now + RESOLUTION if is_open else end)


def _span(words: str, text: str, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Read a moment, a day, a week, a month or a year: where it begins and ends. A moment does both at once."""
    if _MACHINE.fullmatch(words.strip()):
        moment = datetime.fromisoformat(words.strip().upper())
        return moment, moment
    rest = [word for word in words_of(words) if word not in _FILLERS]
    if rest == ["now"]:
        return now + RESOLUTION, now + RESOLUTION
    today = now.astimezone(zone).date()
    if rest == words_of(words) and len(rest) == 1 and _BARE.fullmatch(rest[0]):
        raise NotATime(
            f"“{rest[0]}” of what? Write {rest[0]}h or {rest[0]}d; a time of day is written as in 9:00.", code="no_unit"
        )
    is_last = "last" in rest
    days = _calendar_days(rest, today)
    if days is None:
        rest = [word for word in rest if word not in ("last", "this")]
        if len(rest) == 1 and rest[0] in _ONE:
            rest.insert(0, "1")
        if (back := _back(rest, now, zone)) is not None:
            return back, back
        days = _month(rest, today) or _day(rest, today, is_last=is_last)
    first, after = days
    if rest:
        clock = take_clock(rest) if after - first == timedelta(days=1) else None
        if rest or clock is None:
            raise _not_understood(text)
        ends_day = clock == time.max  # the midnight at which that day ends
        moment = datetime.combine(after if ends_day else first, time(0) if ends_day else clock, zone)
        return moment, moment
    return _midnight(first, zone), _midnight(after, zone)


def _calendar_days(words: list[str], today: date) -> tuple[date, date] | None:
    """Read "this week", "last month" and the like: the first day, and the one after the last."""
    if len(words) != 2 or words[0] not in ("this", "last"):
        return None
    is_last = words[0] == "last"
    match words[1]:
        case "week":
            first = today - timedelta(days=today.weekday() + (7 if is_last else 0))
            after = first + timedelta(days=7)
        case "month":
            first = _months_on(today.replace(day=1), -1 if is_last else 0)
            after = _months_on(first, 1)
        case "year":
            first = date(today.year - is_last, 1, 1)
            after = date(first.year + 1, 1, 1)
        case _:
            return None
    words.clear()
    return first, after


def _back(words: list[str], now: datetime, zone: ZoneInfo) -> datetime | None:
    """Read a length of time, counted back from now."""
    joined = " ".join(words)
    months, years = _MONTHS_BACK.fullmatch(joined), _YEARS_BACK.fullmatch(joined)
    if months or years:
        count = int(months[1]) if months else 12 * int(years[1]) if years else 0
        local = now.astimezone(zone)
        return datetime.combine(_months_on(local.date(), -count), local.time(), zone)
    length = read_length(words)
    return None if length is None else length.before(now, zone)


def _month(words: list[str], today: date) -> tuple[date, date] | None:
    """Read a month: "november", "nov 2025", "2026-11"."""
    first = None
    if len(words) == 1 and (form := _MONTH.fullmatch(words[0])):
        first = date(int(form[1]), int(form[2]), 1)
    elif words and (month := named(words[0], MONTHS)) is not None:
        if len(words) == 1:
            first = date(today.year - (month + 1 > today.month), month + 1, 1)
        elif len(words) == 2 and _YEAR.fullmatch(words[1]):
            first = date(int(words[1]), month + 1, 1)
    if first is None:
        return None
    words.clear()
    return first, _months_on(first, 1)


def _day(words: list[str], today: date, *, is_last: bool) -> tuple[date, date]:
    """Take the words that name a day out of ``words``; a time of day alone is today's."""
    if "yesterday" in words:
        words.remove("yesterday")
        day: date | None = today - timedelta(days=1)
    else:
        day, is_weekly, is_yearly = take_day(words, today)
        if day is not None and is_weekly and (day > today or is_last):
            day -= timedelta(days=7)
        if day is not None and is_yearly and day > today:
            day = day.replace(year=day.year - 1)
    first = day or today
    if day is None and not words:
        words.append("?")  # nothing was said
    return first, first + timedelta(days=1)


def _months_on(day: date, months: int) -> date:
    """The same day so many months on, or that month's last. Raises ``ValueError`` before the year 1."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            if last == 28 or year < 1:
                raise
    raise ValueError(months)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), zone)


def _machine(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _not_understood(text: str) -> NotATime:
    return NotATime(f"“{text.strip()[:60]}” is no span of time that I understand. Write it as in {EXAMPLES}.")
