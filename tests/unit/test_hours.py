"""bot.hours: days and spans of wall-clock time, over midnight and over daylight saving."""

from datetime import UTC, datetime

import pytest

from bot.hours import NotHours, parse_hours

OFFICE = "Mon-Fri 09:00-18:00 Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "at", "inside"),
    [
        (OFFICE, "2026-11-23T08:00:00+00:00", True),  # a Monday, 09:00 in Berlin
        (OFFICE, "2026-11-23T07:59:59+00:00", False),
        (OFFICE, "2026-11-23T16:59:59+00:00", True),
        (OFFICE, "2026-11-23T17:00:00+00:00", False),
        (OFFICE, "2026-11-22T12:00:00+00:00", False),  # a Sunday
        ("Sat-Sun 00:00-00:00 UTC", "2026-11-22T23:59:59+00:00", True),
        ("Sat-Sun 00:00-00:00 UTC", "2026-11-23T00:00:00+00:00", False),
        ("00:00-24:00 UTC", "2026-11-23T00:00:00+00:00", True),
        ("Fri-Mon 08:00-12:00 UTC", "2026-11-22T09:00:00+00:00", True),  # round the end of the week
        ("Fri-Mon 08:00-12:00 UTC", "2026-11-24T09:00:00+00:00", False),
        ("Fri 22:00-06:00 UTC", "2026-11-28T05:59:00+00:00", True),  # Saturday morning belongs to Friday night
        ("Fri 22:00-06:00 UTC", "2026-11-27T05:59:00+00:00", False),
        ("Fri 22:00-06:00 UTC", "2026-11-28T22:00:00+00:00", False),
        ("02:30-03:30 Europe/Berlin", "2027-03-28T01:15:00+00:00", True),  # 03:15, the hour before was skipped
        ("02:00-03:00 Europe/Berlin", "2026-10-25T00:30:00+00:00", True),  # 02:30 for the first time
        ("02:00-03:00 Europe/Berlin", "2026-10-25T01:30:00+00:00", True),  # and for the second
        ("02:00-03:00 Europe/Berlin", "2026-10-25T02:00:00+00:00", False),
    ],
)
def test_what_is_inside(text: str, at: str, inside: bool) -> None:
    assert parse_hours(text).include(datetime.fromisoformat(at)) is inside
    assert parse_hours(text).include(datetime.fromisoformat(at).astimezone(UTC)) is inside


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "wants days"),
        ("9-18 UTC", "wants days"),
        ("Mon-Fri 09:00-18:00", "wants days"),
        ("mon-fri 09:00-18:00 UTC", "wants days"),
        ("Mon-Fry 09:00-18:00 UTC", "no day Fry"),
        ("Mon 25:00-26:00 UTC", "no time"),
        ("Mon 09:00-18:00 Europe/Nowhere", "no time zone"),
        ("Mon 09:00-18:00 ../etc/passwd", "wants days"),
    ],
)
def test_what_is_none_says_why(text: str, words: str) -> None:
    with pytest.raises(NotHours, match=words):
        parse_hours(text)
