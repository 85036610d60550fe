"""Spans of time that have passed, as people write them."""

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NotATime
from bot.periods import RESOLUTION, Period, parse_period

BERLIN, NEW_YORK, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")
BEIRUT = ZoneInfo("Asia/Beirut")
NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)  # Tuesday, 15:30 in Berlin
TILL_NOW = "2026-11-24 15:30"


def read(text: str, now: datetime = NOW, zone: ZoneInfo = BERLIN) -> tuple[str, str]:
    """The span as the reader's own clock shows it."""
    period = parse_period(text, now, zone)
    assert parse_period(str(period), now, KOLKATA) == period  # as it stands on a button
    ends = period.since, period.until - (RESOLUTION if period.until == now + RESOLUTION else timedelta(0))
    first, last = (f"{end.astimezone(zone):%Y-%m-%d %H:%M}" for end in ends)
    return first, last


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        # lengths
        ("24h", "2026-11-23 15:30", TILL_NOW),
        ("7d", "2026-11-17 15:30", TILL_NOW),
        ("last 7 days", "2026-11-17 15:30", TILL_NOW),
        ("the past 2 weeks", "2026-11-10 15:30", TILL_NOW),
        ("an hour", "2026-11-24 14:30", TILL_NOW),
        ("last hour", "2026-11-24 14:30", TILL_NOW),
        ("1 day 12 hours", "2026-11-23 03:30", TILL_NOW),
        ("3 months", "2026-08-24 15:30", TILL_NOW),
        ("1 year", "2025-11-24 15:30", TILL_NOW),
        ("2y", "2024-11-24 15:30", TILL_NOW),
        ("since 9", "2026-11-24 09:00", TILL_NOW),
        ("2 weeks ago..1 week ago", "2026-11-10 15:30", "2026-11-17 15:30"),
        # days
        ("since monday", "2026-11-23 00:00", TILL_NOW),
        ("since Mon 9:00", "2026-11-23 09:00", TILL_NOW),
        ("monday", "2026-11-23 00:00", "2026-11-24 00:00"),
        ("since tuesday", "2026-11-24 00:00", TILL_NOW),
        ("last tuesday", "2026-11-17 00:00", "2026-11-18 00:00"),
        ("since wednesday", "2026-11-18 00:00", TILL_NOW),
        ("today", "2026-11-24 00:00", TILL_NOW),
        ("Yesterday", "2026-11-23 00:00", "2026-11-24 00:00"),
        ("since yesterday", "2026-11-23 00:00", TILL_NOW),
        ("since yesterday, 5 pm", "2026-11-23 17:00", TILL_NOW),
        ("9:00", "2026-11-24 09:00", TILL_NOW),
        ("2026-11-05", "2026-11-05 00:00", "2026-11-06 00:00"),
        ("5 November", "2026-11-05 00:00", "2026-11-06 00:00"),
        ("5.11.2025", "2025-11-05 00:00", "2025-11-06 00:00"),
        ("31 Dec", "2025-12-31 00:00", "2026-01-01 00:00"),
        # ranges
        ("2026-11-01..2026-11-07", "2026-11-01 00:00", "2026-11-08 00:00"),
        ("2026-11-01…2026-11-07", "2026-11-01 00:00", "2026-11-08 00:00"),
        ("2026-11-01 – 2026-11-07", "2026-11-01 00:00", "2026-11-08 00:00"),  # noqa: RUF001
        ("from 2026-11-01 to 2026-11-07", "2026-11-01 00:00", "2026-11-08 00:00"),
        ("1 Nov until 7 Nov", "2026-11-01 00:00", "2026-11-08 00:00"),
        ("monday..now", "2026-11-23 00:00", TILL_NOW),
        ("2026-11-01..", "2026-11-01 00:00", TILL_NOW),
        ("2026-11-20..2026-12-24", "2026-11-20 00:00", TILL_NOW),
        ("2026-11-01 9:00..2026-11-01 12:15", "2026-11-01 09:00", "2026-11-01 12:15"),
        ("2026-11-24T10:00Z..2026-11-24T12:30:00+01:00", "2026-11-24 11:00", "2026-11-24 12:30"),
        # weeks, months, years
        ("this week", "2026-11-23 00:00", TILL_NOW),
        ("last week", "2026-11-16 00:00", "2026-11-23 00:00"),
        ("since last week", "2026-11-16 00:00", TILL_NOW),
        ("this month", "2026-11-01 00:00", TILL_NOW),
        ("last month", "2026-10-01 00:00", "2026-11-01 00:00"),
        ("november", "2026-11-01 00:00", TILL_NOW),
        ("oct", "2026-10-01 00:00", "2026-11-01 00:00"),
        ("December", "2025-12-01 00:00", "2026-01-01 00:00"),
        ("nov 2025", "2025-11-01 00:00", "2025-12-01 00:00"),
        ("2026-10", "2026-10-01 00:00", "2026-11-01 00:00"),
        ("last year", "2025-01-01 00:00", "2026-01-01 00:00"),
    ],
)
def test_it_is_read_as_people_mean_it(text: str, since: str, until: str) -> None:
    assert read(text) == (since, until)


@pytest.mark.parametrize(
    ("zone", "since"),
    [
        (BERLIN, datetime(2026, 11, 22, 23, 0, tzinfo=UTC)),
        (NEW_YORK, datetime(2026, 11, 23, 5, 0, tzinfo=UTC)),
        (KOLKATA, datetime(2026, 11, 22, 18, 30, tzinfo=UTC)),
    ],
)
def test_days_are_the_askers_own(zone: ZoneInfo, since: datetime) -> None:
    assert parse_period("monday", NOW, zone) == Period(since, since + timedelta(days=1))


def test_what_day_it_is_depends_on_where() -> None:
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    assert parse_period("today", late, BERLIN).since == datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
    assert parse_period("today", late, NEW_YORK).since == datetime(2026, 11, 24, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "zone", "hours"),
    [
        # Berlin goes back on 25 October 2026 and on on 28 March 2027.
        ("2026-10-25", datetime(2026, 11, 1, tzinfo=UTC), BERLIN, 25),
        ("2027-03-28", datetime(2027, 4, 1, tzinfo=UTC), BERLIN, 23),
        ("24h", datetime(2026, 10, 25, 12, tzinfo=UTC), BERLIN, 24),
        ("1d", datetime(2026, 10, 25, 12, tzinfo=UTC), BERLIN, 25),
        ("7d", datetime(2027, 3, 29, 12, tzinfo=UTC), BERLIN, 7 * 24 - 1),
        # A time that comes twice is the first of both, one that never comes as much later.
        ("2026-10-25 2:30..2026-10-25 3:30", datetime(2026, 11, 1, tzinfo=UTC), BERLIN, 2),
        ("2027-03-28 2:30..2027-03-28 4:00", datetime(2027, 4, 1, tzinfo=UTC), BERLIN, 0.5),
        # Where the clock skips midnight itself, the day begins an hour later.
        ("2026-03-29", datetime(2026, 4, 1, tzinfo=UTC), BEIRUT, 23),
    ],
)
def test_daylight_saving(text: str, now: datetime, zone: ZoneInfo, hours: float) -> None:
    period = parse_period(text, now, zone)
    until = min(period.until, now)
    assert until - period.since == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("x", "not_a_time", "no span of time"),
        ("", "not_a_time", "no span of time"),
        ("since", "not_a_time", "no span of time"),
        ("7x", "not_a_time", "no span of time"),
        ("..2026-11-07", "not_a_time", "no span of time"),
        ("a..b..c", "not_a_time", "no span of time"),
        ("monday tuesday", "not_a_time", "no span of time"),
        ("november 9:00", "not_a_time", "no span of time"),
        ("7d" * 150, "not_a_time", "no span of time"),
        ("30 Feb", "not_a_time", "no such day"),
        ("2026-13-01", "not_a_time", "no such day"),
        ("7d 8d", "times_given", "more than one length of time"),
        ("7", "no_unit", "Write 7h or 7d"),
        ("tomorrow", "time_to_come", "still to come"),
        ("2026-12-01..2026-12-05", "time_to_come", "still to come"),
        ("2026-11-07..2026-11-01", "time_backwards", "ends before it begins"),
        ("2026-12-05..2026-11-01", "time_backwards", "ends before it begins"),
    ],
)
def test_what_cannot_be_meant_is_said(text: str, code: str, words: str) -> None:
    with pytest.raises(NotATime, match=words) as refusal:
        parse_period(text, NOW, BERLIN)
    assert refusal.value.code == code


def test_it_holds_its_beginning_and_not_its_end() -> None:
    period = parse_period("2026-11-01..2026-11-07", NOW, BERLIN)
    assert period.since in period
    assert period.until not in period
    assert period.until - RESOLUTION in period
    assert NOW in parse_period("24h", NOW, BERLIN)  # what was decided this very moment


@given(st.text(alphabet="0123456789dhwm.-: TZsincemoayltu…", max_size=40))
def test_anything_is_a_span_that_passed_or_a_refusal(text: str) -> None:
    with contextlib.suppress(NotATime):
        period = parse_period(text, NOW, BERLIN)
        assert period.since < period.until <= NOW + RESOLUTION
        assert parse_period(str(period), NOW, KOLKATA) == period


@given(st.integers(-25 * 365 * 24, 10 * 365 * 24), st.sampled_from([BERLIN, NEW_YORK, KOLKATA, BEIRUT]))
def test_days_follow_each_other_without_gap(hours: int, zone: ZoneInfo) -> None:
    now = NOW + timedelta(hours=hours)
    assert parse_period("yesterday", now, zone).until == parse_period("today", now, zone).since
    assert now in parse_period("today", now, zone)
