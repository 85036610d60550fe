"""Times as people write them."""

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NotATime
from bot.when import parse_when

BERLIN, NEW_YORK, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)  # Tuesday, 15:30 in Berlin


def read(text: str, now: datetime = NOW, zone: ZoneInfo = BERLIN) -> str:
    """The moment as the reader's own clock shows it."""
    return f"{parse_when(text, now, zone).astimezone(zone):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        # days of the week
        ("until Monday 9:00", "2026-11-30 09:00"),
        ("until monday 9:00", "2026-11-30 09:00"),
        ("mon 9", "2026-11-30 09:00"),
        ("next Monday at 9am", "2026-11-30 09:00"),
        ("Monday", "2026-11-30 09:00"),
        ("9:00 Monday", "2026-11-30 09:00"),
        ("Tuesday 16:00", "2026-11-24 16:00"),
        ("tuesday 15:00", "2026-12-01 15:00"),
        ("Thurs. 5.30pm", "2026-11-26 17:30"),
        ("sunday noon", "2026-11-29 12:00"),
        ("friday midnight", "2026-11-28 00:00"),
        # near days
        ("until tomorrow", "2026-11-25 09:00"),
        ("tomorrow, 12:15 pm", "2026-11-25 12:15"),
        ("tomorrow at 12am", "2026-11-25 00:00"),
        ("today 18:00", "2026-11-24 18:00"),
        # times alone
        ("18:00", "2026-11-24 18:00"),
        ("9:00", "2026-11-25 09:00"),
        ("at 9", "2026-11-25 09:00"),
        ("3", "2026-11-25 03:00"),
        ("midnight", "2026-11-25 00:00"),
        ("24:00", "2026-11-25 00:00"),
        # dates
        ("until 2026-11-30 18:00", "2026-11-30 18:00"),
        ("2026-11-30T18:00", "2026-11-30 18:00"),
        ("2026-11-30", "2026-11-30 09:00"),
        ("30 November 18:00", "2026-11-30 18:00"),
        ("Nov 30th", "2026-11-30 09:00"),
        ("30. Nov 2026 8:00", "2026-11-30 08:00"),
        ("30.11. 8:00", "2026-11-30 08:00"),
        ("30.11.2026", "2026-11-30 09:00"),
        ("3 January", "2027-01-03 09:00"),
        ("3.1.", "2027-01-03 09:00"),
        # lengths
        ("for 3d", "2026-11-27 15:30"),
        ("3 days", "2026-11-27 15:30"),
        ("90m", "2026-11-24 17:00"),
        ("for 4 hours", "2026-11-24 19:30"),
        ("1w", "2026-12-01 15:30"),
        ("a week", "2026-12-01 15:30"),
        ("1 day and 12 hours", "2026-11-26 03:30"),
        ("1d12h", "2026-11-26 03:30"),
    ],
)
def test_what_is_meant(text: str, moment: str) -> None:
    assert read(text) == moment
    assert read(f"  {text.upper()} ") == moment


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("9:00", BERLIN, datetime(2026, 11, 25, 8, tzinfo=UTC)),
        ("9:00", NEW_YORK, datetime(2026, 11, 25, 14, tzinfo=UTC)),  # 9:30 there now
        ("10:00", NEW_YORK, datetime(2026, 11, 24, 15, tzinfo=UTC)),
        ("tomorrow", KOLKATA, datetime(2026, 11, 25, 3, 30, tzinfo=UTC)),
    ],
)
def test_it_is_the_readers_own_clock(text: str, zone: ZoneInfo, moment: datetime) -> None:
    assert parse_when(text, NOW, zone) == moment


@pytest.mark.parametrize(
    ("now", "text", "moment"),
    [
        # the clock goes from 2:00 to 3:00 on 29 March 2026
        (datetime(2026, 3, 28, 12, tzinfo=UTC), "tomorrow 2:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        (datetime(2026, 3, 28, 12, tzinfo=UTC), "tomorrow 9:00", datetime(2026, 3, 29, 7, tzinfo=UTC)),
        (datetime(2026, 3, 28, 12, tzinfo=UTC), "1d", datetime(2026, 3, 29, 11, tzinfo=UTC)),
        (datetime(2026, 3, 28, 12, tzinfo=UTC), "24h", datetime(2026, 3, 29, 12, tzinfo=UTC)),
        # and from 3:00 back to 2:00 on 25 October 2026
        (datetime(2026, 10, 24, 12, tzinfo=UTC), "tomorrow 2:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), "sunday", datetime(2026, 10, 25, 8, tzinfo=UTC)),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), "1d", datetime(2026, 10, 25, 13, tzinfo=UTC)),
    ],
)
def test_daylight_saving(now: datetime, text: str, moment: datetime) -> None:
    assert parse_when(text, now, BERLIN) == moment


@pytest.mark.parametrize(
    "text",
    [
        "", "until", "soon", "monday tuesday", "9:00 10:00", "monday 9:00 sharp", "25:00", "9:60", "13pm", "0am",
        "31 November", "30.13.", "2026-02-30", "11/30", "-3d", "3 fortnights", " ".join(["9999w"] * 60), "mo", "may",
        "x" * 500, "1" * 300, "٣d",
    ],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(NotATime):
        parse_when(text, NOW, BERLIN)


@pytest.mark.parametrize("text", ["today 9:00", "2026-11-24 15:30", "2020-01-01", "0d", "24.11.2026"])
def test_what_is_over(text: str) -> None:
    with pytest.raises(NotATime) as caught:
        parse_when(text, NOW, BERLIN)
    assert caught.value.code == "time_is_over"


@given(st.text(max_size=60) | st.from_regex(r"[0-9a-z:. -]{1,30}", fullmatch=True))
def test_nothing_else_is_raised_and_the_past_never_returned(text: str) -> None:
    with contextlib.suppress(NotATime):
        assert parse_when(text, NOW, BERLIN) > NOW
