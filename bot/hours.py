"""Hours of the week in some zone: "Mon-Fri 09:00-18:00 Europe/Berlin". Pure.

A time is inside if its wall clock there is: where daylight saving skips or repeats an hour, so does that clock. A span
that ends before it begins runs over midnight and belongs to the day on which it begins.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM = re.compile(
    r"(?:(?P<first>[A-Z][a-z]{2})(?:-(?P<last>[A-Z][a-z]{2}))? )?"
    r"(?P<start>[0-2][0-9]:[0-5][0-9])-(?P<end>[0-2][0-9]:[0-5][0-9]) (?P<zone>[A-Za-z0-9_+/-]{1,64})"
)


class NotHours(ValueError):
    """The text is not days, a span of hours and a zone."""

    code = "not_hours"


@dataclass(frozen=True, slots=True)
class Hours:
    """Days of the week (0 is Monday) and the span of wall-clock time on each. Equal ends mean the whole day."""

    days: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo

    def include(self, at: datetime) -> bool:
        """Whether a moment is inside."""
        local = at.astimezone(self.zone)
        clock = local.time().replace(tzinfo=None)
        if self.start < self.end:
            return local.weekday() in self.days and self.start <= clock < self.end
        if clock >= self.start:
            return local.weekday() in self.days
        return clock < self.end and (local - timedelta(days=1)).weekday() in self.days


@lru_cache(maxsize=256)
def parse_hours(text: str) -> Hours:
    """The hours that `text` states. Raises ``NotHours`` saying what is wrong."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise NotHours('wants days, a span and a zone, such as "Mon-Fri 09:00-18:00 Europe/Berlin"')
    first, last = form["first"] or "Mon", form["last"] or form["first"] or "Sun"
    for day in (first, last):
        if day not in DAYS:
            raise NotHours(f"has no day {day}; days are {', '.join(DAYS)}")
    from_day, to_day = DAYS.index(first), DAYS.index(last)
    days = frozenset(day % 7 for day in range(from_day, to_day + 1 if to_day >= from_day else to_day + 8))
    try:
        zone = ZoneInfo(form["zone"])
    except (ValueError, OSError, LookupError) as error:
        raise NotHours(f"has no time zone {form['zone']}; use a name such as Europe/Berlin or UTC") from error
    return Hours(days, _clock(form["start"]), _clock(form["end"]), zone)


def _clock(text: str) -> time:
    hours, minutes = int(text[:2]), int(text[3:])
    if text == "24:00":
        return time(0)
    if hours > 23:
        raise NotHours(f"has no time {text}")
    return time(hours, minutes)
