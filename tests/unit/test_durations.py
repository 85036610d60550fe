from datetime import timedelta

import pytest

from bot.durations import NotADuration, parse_capped, parse_duration, render_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("90s", 90), ("15m", 900), ("1h", 3600), ("168h", 604800), ("999999h", 3599996400)],
)
def test_reads_number_and_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0s",
        "01s",
        "s",
        "1",
        "1d",
        "1H",
        "1.5h",
        "-1s",
        "+1s",
        " 1s",
        "1s ",
        "1s\n",
        "1 s",
        "1h30m",
        "1_0s",
        "\u0661s",
    ],
)
def test_refuses_every_other_form(text: str) -> None:
    with pytest.raises(NotADuration):
        parse_duration(text)


@pytest.mark.parametrize("digits", [15, 400, 5000])
def test_refuses_what_cannot_be_counted(digits: int) -> None:
    with pytest.raises(NotADuration, match="too long"):
        parse_duration("9" * digits + "h")


@pytest.mark.parametrize("text", ["1s", "59s", "61s", "1m", "90m", "1h", "25h", "168h"])
def test_renders_what_it_read(text: str) -> None:
    assert render_duration(parse_duration(text)) == text


def test_renders_the_largest_exact_unit() -> None:
    assert render_duration(timedelta(days=1)) == "24h"
    assert render_duration(timedelta(seconds=120)) == "2m"


@pytest.mark.parametrize("duration", [timedelta(), timedelta(seconds=-60), timedelta(milliseconds=1500)])
def test_renders_no_duration_that_the_notation_lacks(duration: timedelta) -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        render_duration(duration)


@pytest.mark.parametrize(
    ("text", "capped"),
    [("1s", 1), ("59m", 3540), ("60m", 3600), ("2h", 3600), ("999999h", 3600), ("9" * 300 + "s", 3600)],
)
def test_what_is_too_long_to_count_is_longer_than_any_cap(text: str, capped: int) -> None:
    assert parse_capped(text, timedelta(hours=1)) == timedelta(seconds=capped)


@pytest.mark.parametrize("text", ["", "0s", "1d", "9" * 300, "-1h"])
def test_a_cap_makes_nothing_a_duration(text: str) -> None:
    with pytest.raises(NotADuration):
        parse_capped(text, timedelta(hours=1))
