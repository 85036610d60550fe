"""Calendars as the products export them, and what else may be in one."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from bot.calendars import MAX_CALENDAR_BYTES, MAX_EVENTS, Expanded, NotACalendar, expand_calendar
from bot.oncall import next_roster, roster_at
from tests.unit.calendar_samples import BERLIN, GRAFANA, OPSGENIE, PAGERDUTY, calendar

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"


def at(text: str) -> datetime:
    """A time of November 2026 in UTC, such as "24 08:30"."""
    day, clock = text.split()
    return datetime.fromisoformat(f"2026-11-{day}T{clock}+00:00")


def on_call(content: bytes, moment: str, now: datetime = NOW) -> tuple[str, ...]:
    return roster_at(expand_calendar(content, now).shifts, at(moment)).addresses


def shifts(content: bytes, now: datetime = NOW) -> list[tuple[str, str, str]]:
    found = expand_calendar(content, now).shifts
    return [(f"{one.start:%d %H:%M}", f"{one.end:%d %H:%M}", " ".join(one.addresses)) for one in found]


# --- the products' shapes ---


@pytest.mark.parametrize(
    ("moment", "addresses"),
    [
        ("22 12:00", (ALICE,)),
        ("23 07:59", (ALICE,)),
        ("23 08:00", (BOB,)),
        ("27 07:59", (BOB,)),
        ("27 08:00", ()),
    ],
)
def test_pagerduty(moment: str, addresses: tuple[str, ...]) -> None:
    assert on_call(PAGERDUTY, moment) == addresses


@pytest.mark.parametrize(
    ("moment", "addresses"),
    [
        ("23 08:00", (ALICE,)),  # nine o'clock in Berlin
        ("23 07:59", ()),
        ("24 08:30", ()),  # that day it begins an hour later, with another person
        ("24 09:00", (BOB,)),
        ("25 09:00", ()),  # left out
        ("26 15:59", (ALICE,)),
        ("28 09:00", ()),  # a Saturday
    ],
)
def test_grafana_oncall(moment: str, addresses: tuple[str, ...]) -> None:
    assert on_call(GRAFANA, moment) == addresses


@pytest.mark.parametrize(
    ("moment", "addresses"),
    [("22 13:00", (ALICE,)), ("22 19:00", (ALICE, CAROL)), ("22 20:00", (CAROL,)), ("23 06:00", ())],
)
def test_opsgenie_and_overlapping_rotations(moment: str, addresses: tuple[str, ...]) -> None:
    assert on_call(OPSGENIE, moment) == addresses


# --- people ---

SPAN = "DTSTART:20261122T080000Z\nDTEND:20261122T200000Z"


@pytest.mark.parametrize(
    ("event", "addresses"),
    [
        ("ATTENDEE;CN=Alice;ROLE=REQ-PARTICIPANT:MAILTO:ALICE@Example.COM", (ALICE,)),
        ("ATTENDEE:mailto:alice@example.com\nATTENDEE:mailto:bob@example.com", (ALICE, BOB)),
        ("ATTENDEE;PARTSTAT=DECLINED:mailto:alice@example.com\nATTENDEE:mailto:bob@example.com", (BOB,)),
        ("ATTENDEE;PARTSTAT=DECLINED:mailto:alice@example.com\nSUMMARY:bob@example.com", ()),
        ("ATTENDEE;CUTYPE=ROOM:mailto:room@example.com\nSUMMARY:bob@example.com", (BOB,)),
        ("ATTENDEE;EMAIL=alice@example.com:urn:uuid:2ac0", (ALICE,)),
        ("ATTENDEE:tel:+49-30-1\nSUMMARY:bob@example.com", ()),
        ("SUMMARY:[L1] Alice <alice@example.com>\\, bob@example.com", (ALICE, BOB)),
        ("SUMMARY:Alice\nDESCRIPTION:bob@example.com", ()),
        ("ORGANIZER:mailto:alice@example.com", ()),
    ],
)
def test_people(event: str, addresses: tuple[str, ...]) -> None:
    assert on_call(calendar(f"UID:1\n{SPAN}\n{event}"), "22 12:00") == addresses


def test_events_without_people_are_counted() -> None:
    assert expand_calendar(calendar(f"UID:1\n{SPAN}\nSUMMARY:Nobody"), NOW) == Expanded((), unpeopled=1)


# --- times ---


@pytest.mark.parametrize(
    ("event", "head", "start", "end"),
    [
        ("DTSTART;VALUE=DATE:20261122", "", "22 00:00", "23 00:00"),
        ("DTSTART;VALUE=DATE:20261122\nDTEND;VALUE=DATE:20261125", "", "22 00:00", "25 00:00"),
        ("DTSTART;VALUE=DATE:20261122", "X-WR-TIMEZONE:Europe/Berlin", "21 23:00", "22 23:00"),
        ("DTSTART;VALUE=DATE:20261122", BERLIN, "21 23:00", "22 23:00"),
        ("DTSTART:20261122T090000\nDURATION:PT8H", "X-WR-TIMEZONE:Europe/Berlin", "22 08:00", "22 16:00"),
        ("DTSTART:20261122T090000\nDTEND:20261122T100000", "", "22 09:00", "22 10:00"),
        ("DTSTART;TZID=W. Europe Standard Time:20261122T090000\nDURATION:PT1H", "", "22 08:00", "22 09:00"),
        ("DTSTART;TZID=America/New_York:20261122T090000\nDURATION:PT1H", "", "22 14:00", "22 15:00"),
    ],
)
def test_times(event: str, head: str, start: str, end: str) -> None:
    assert shifts(calendar(f"UID:1\n{event}\nSUMMARY:{ALICE}", head=head)) == [(start, end, ALICE)]


def test_the_window_is_a_day_back_and_eight_ahead() -> None:
    daily = calendar(f"UID:1\nDTSTART:20260101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nSUMMARY:{ALICE}")
    found = shifts(daily)
    assert (found[0][0], found[-1][0], len(found)) == ("22 00:00", "30 00:00", 9)


@pytest.mark.parametrize(
    ("now", "starts"),
    [
        (datetime(2026, 3, 28, 12, tzinfo=UTC), ["28 08:00", "29 07:00"]),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), ["24 07:00", "25 08:00"]),
    ],
    ids=["spring", "autumn"],
)
def test_daylight_saving_moves_shifts_with_the_wall_clock(now: datetime, starts: list[str]) -> None:
    daily = "UID:1\nDTSTART;TZID=Europe/Berlin:20260101T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY\nSUMMARY:a@example.com"
    found = [start for start, _, _ in shifts(calendar(daily, head=BERLIN), now)]
    assert found[:2] == starts


def test_cancelled_events_and_occurrences_are_none() -> None:
    content = calendar(
        f"UID:1\n{SPAN}\nSTATUS:CANCELLED\nSUMMARY:{ALICE}",
        f"UID:2\nDTSTART:20261120T080000Z\nDURATION:PT4H\nRRULE:FREQ=DAILY\nSUMMARY:{BOB}",
        f"UID:2\nRECURRENCE-ID:20261122T080000Z\nDTSTART:20261122T080000Z\nDURATION:PT4H\nSTATUS:CANCELLED\nSUMMARY:{BOB}",
    )
    assert on_call(content, "22 09:00") == ()
    assert on_call(content, "23 09:00") == (BOB,)


# --- faults ---


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_a_calendar"),
        (b"<!doctype html><title>Log in</title>", "not_a_calendar"),
        (b"BEGIN:VCARD\r\nEND:VCARD\r\n", "not_a_calendar"),
        (b"BEGIN:VCALENDAR\r\n\x00\xff\x00\r\n", "calendar_unreadable"),
        (b"BEGIN:VCALENDAR\r\n" + b"X" * MAX_CALENDAR_BYTES, "calendar_too_large"),
        (
            b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\nEND:VEVENT\r\n" * (MAX_EVENTS + 1) + b"END:VCALENDAR\r\n",
            "calendar_too_large",
        ),
    ],
    ids=["empty", "page", "card", "bytes", "large", "events"],
)
def test_what_is_no_calendar_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(NotACalendar) as caught:
        expand_calendar(content, NOW)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "event",
    [
        "DTSTART:yesterday",
        "DTSTART;TZID=Nowhere/Land:20261122T090000\nDURATION:PT1H",
        "DTSTART:20000101T000000Z\nDURATION:PT1S\nRRULE:FREQ=SECONDLY",
        "DTSTART:20000101T000000Z\nDURATION:PT1S\nRRULE:FREQ=MINUTELY",
    ],
)
def test_a_bad_event_is_counted_and_does_not_take_the_others_with_it(event: str) -> None:
    found = expand_calendar(calendar(f"UID:1\nSUMMARY:{BOB}\n{event}", f"UID:2\n{SPAN}\nSUMMARY:{ALICE}"), NOW)
    assert [one.addresses for one in found.shifts] == [(ALICE,)]
    assert found.unreadable == 1


# --- rosters ---


def test_now_until_and_next() -> None:
    known = expand_calendar(PAGERDUTY, NOW).shifts
    now = roster_at(known, NOW)
    assert (now.addresses, now.until) == ((ALICE,), at("23 08:00"))
    then = next_roster(known, NOW)
    assert then is not None
    assert (then.addresses, then.start, then.until) == ((BOB,), at("23 08:00"), at("27 08:00"))
    assert next_roster(known, at("24 00:00")) is None


def test_shifts_of_one_person_in_a_row_are_one_and_a_gap_parts_them() -> None:
    rows = [(f"UID:{day}\nDTSTART:202611{day}T000000Z\nDURATION:P1D\nSUMMARY:{ALICE}") for day in (22, 23, 25)]
    known = expand_calendar(calendar(*rows), NOW).shifts
    assert roster_at(known, NOW).until == at("24 00:00")
    then = next_roster(known, NOW)
    assert then is not None
    assert (then.addresses, then.start) == ((ALICE,), at("25 00:00"))
    gap = roster_at(known, at("24 12:00"))
    assert (gap.addresses, gap.until) == ((), at("25 00:00"))


def test_a_large_calendar_is_read_in_a_moment() -> None:
    began = datetime.now(UTC)
    rows = [
        f"UID:{index}\nDTSTART:20261001T000000Z\nDURATION:PT8H\nRRULE:FREQ=WEEKLY\nSUMMARY:{ALICE}"
        for index in range(300)
    ]
    assert expand_calendar(calendar(*rows), NOW).shifts
    assert datetime.now(UTC) - began < timedelta(seconds=10)


def test_whoever_has_no_calendar_does_not_load_what_reads_them() -> None:
    code = "import sys, handlers.app; sys.exit(bool({'icalendar', 'recurring_ical_events'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
