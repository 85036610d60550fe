"""An iCalendar file becomes shifts: who is on call, from when until when. Pure.

The libraries that read it are loaded with the first calendar, since most installations have none. What is in the file
is somebody else's: its size, its events and what they expand to are bounded here, and the time that takes by whoever
calls this, in a thread.

People are those who attend, unless they declined; where nobody attends, the e-mail addresses in the summary. That is
what PagerDuty and Grafana OnCall (an attendee with an address), Opsgenie, and calendars kept by hand (the address as
the summary) have in common. All-day events, and times without a zone, are those of the calendar's own zone, or UTC.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bot.oncall import Shift

if TYPE_CHECKING:
    from icalendar import Calendar
    from icalendar.cal import Component

MAX_CALENDAR_BYTES = 5_000_000
MAX_EVENTS = 20_000
MAX_SHIFTS = 5_000
BEFORE, AFTER = timedelta(days=1), timedelta(days=8)
"""How far a calendar is expanded, from the moment at which it is read."""

_MAX_PEOPLE = 50  # of one event
_LONGEST_ADDRESS = 254
_ADDRESS = re.compile(r"[^\s@<>()\[\]\",;:]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_FAST = {"SECONDLY", "MINUTELY"}  # nobody's shifts; expanded since some year they would take hours
_NO_PEOPLE = {"RESOURCE", "ROOM"}


class NotACalendar(ValueError):
    """What was read is no calendar that can be used. ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Expanded:
    """The shifts of a calendar near a moment, earliest first.

    ``unpeopled`` counts the events that name nobody, ``unreadable`` those that were left out because of a fault.
    """

    shifts: tuple[Shift, ...]
    unpeopled: int = 0
    unreadable: int = 0


def load_libraries() -> None:
    """Load what reads calendars, before whatever may be broken off: a module must not be loaded by half."""
    import icalendar  # noqa: F401
    import recurring_ical_events  # type: ignore[import-untyped]  # noqa: F401  # it ships no types


def expand_calendar(content: bytes, now: datetime) -> Expanded:
    """Read a calendar and expand it around ``now``. May take seconds. Raises ``NotACalendar``."""
    if len(content) > MAX_CALENDAR_BYTES:
        raise NotACalendar("calendar_too_large")
    try:
        return _expand(_parse(content), now - BEFORE, now + AFTER)
    except NotACalendar:
        raise
    except Exception as error:  # whatever the libraries stumble over, it is the file's fault
        raise NotACalendar("calendar_unreadable") from error


def _parse(content: bytes) -> "Calendar":
    from icalendar import Calendar

    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].upper() != b"BEGIN:VCALENDAR":
        raise NotACalendar("not_a_calendar")  # such as a page that asks to log in
    calendar = Calendar.from_ical(content)
    if not isinstance(calendar, Calendar):
        raise NotACalendar("not_a_calendar")
    return calendar


def _expand(calendar: "Calendar", start: datetime, end: datetime) -> Expanded:
    events = calendar.walk("VEVENT")
    if len(events) > MAX_EVENTS:
        raise NotACalendar("calendar_too_large")
    zone = _zone_of(calendar)
    series: dict[str, list[Component]] = {}
    unreadable, unpeopled = 0, 0
    for event in events:
        if event.errors or _is_too_fast(event) or _is_nowhere(event):
            unreadable += 1
        else:
            series.setdefault(str(event.get("UID", f" {id(event)}")), []).append(event)
    shifts: list[Shift] = []
    for group in series.values():
        try:
            found = [
                (_moment(occurrence, "DTSTART", zone), _moment(occurrence, "DTEND", zone), occurrence)
                for occurrence in _occurrences(group, start, end)
                if str(occurrence.get("STATUS", "")).upper() != "CANCELLED"
            ]
        except Exception:  # one series that the libraries stumble over must not take the others with it
            unreadable += len(group)
            continue
        for first, last, occurrence in found:
            if not (first < last and first < end and last > start):
                continue
            addresses = tuple(sorted(set(_people(occurrence))))
            if addresses:
                shifts.append(Shift(first, last, addresses))
            else:
                unpeopled += 1
        if len(shifts) > MAX_SHIFTS:
            raise NotACalendar("calendar_too_large")
    return Expanded(tuple(sorted(shifts, key=lambda one: (one.start, one.end))), unpeopled, unreadable)


def _occurrences(series: "list[Component]", start: datetime, end: datetime) -> "list[Component]":
    """Expand the events that share a UID."""
    import recurring_ical_events
    from icalendar import Calendar

    alone = Calendar()
    alone.subcomponents = series
    # A day more at each side: what lasts all day is looked for by its date alone, in whatever zone.
    day = timedelta(days=1)
    found: list[Component] = recurring_ical_events.of(alone).between(start - day, end + day)
    return found


def _is_too_fast(event: "Component") -> bool:
    rules: Any = event.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        if {str(frequency).upper() for frequency in rule.get("FREQ", [])} & _FAST:
            return True
    return False


def _is_nowhere(event: "Component") -> bool:
    """Whether an event begins in a zone that neither the calendar nor the system knows."""
    start: Any = event.get("DTSTART")
    return start is not None and bool(start.params.get("TZID")) and getattr(start.dt, "tzinfo", UTC) is None


def _zone_of(calendar: "Calendar") -> tzinfo:
    """The calendar's own zone: said by itself, or the only one that it defines; else UTC."""
    names = [str(calendar["X-WR-TIMEZONE"])] if "X-WR-TIMEZONE" in calendar else []
    zones = calendar.walk("VTIMEZONE")
    if len(zones) == 1:
        names.append(str(zones[0].get("TZID", "")))
    for name in names:
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, LookupError):
            continue
    return UTC


def _moment(event: "Component", name: str, zone: tzinfo) -> datetime:
    """When an occurrence begins or ends."""
    given: Any = event[name]  # the library's union of all that any property may be
    at: date | datetime = given.dt
    if not isinstance(at, datetime):
        at = datetime.combine(at, time(0))
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    return at.astimezone(UTC)


def _people(event: "Component") -> Iterator[str]:
    """The e-mail addresses of an event's people, in lower case."""
    attendees: Any = event.get("ATTENDEE", [])
    attendees = attendees if isinstance(attendees, list) else [attendees]
    found = False
    for attendee in attendees[:_MAX_PEOPLE]:
        params = attendee.params
        if str(params.get("CUTYPE", "")).upper() in _NO_PEOPLE:
            continue
        found = True  # who declined is no reason to look for others in the summary
        if str(params.get("PARTSTAT", "")).upper() == "DECLINED":
            continue
        for text in (str(attendee), str(params.get("EMAIL", ""))):
            address = _ADDRESS.fullmatch(re.sub(r"^mailto:", "", text.strip(), flags=re.IGNORECASE))
            if address and len(address[0]) <= _LONGEST_ADDRESS:
                yield address[0].lower()
                break
    if not found:
        summary = str(event.get("SUMMARY", ""))[:2000]
        yield from (address.lower() for address in _ADDRESS.findall(summary)[:_MAX_PEOPLE])
