"""Durations as text: the one notation of the configuration and of the agents' protocol.

A whole number and one unit, `s`, `m` or `h` (`^[1-9][0-9]*(s|m|h)$`, agent-api.md). No other unit, no sum,
no zero. Pure; knows nothing of rules or requests, so bounds belong to the callers.
"""

import re
from datetime import timedelta
from functools import lru_cache

_FORM = re.compile(r"([1-9][0-9]*)([smh])")
_COUNTABLE = 10  # characters: some three hundred thousand years, in hours
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class NotADuration(ValueError):
    """The text is not `^[1-9][0-9]*(s|m|h)$`, or more than a timedelta can hold (2.7 million years)."""

    code = "not_a_duration"


def parse_duration(text: str) -> timedelta:
    """The duration that `text` states, such as `90s`, `15m` or `1h`. Raises NotADuration."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise NotADuration("wants a whole number from 1 on and s, m or h, such as 90s, 15m or 1h")
    try:
        return timedelta(seconds=int(form[1]) * _SECONDS[form[2]])
    except (ValueError, OverflowError) as error:
        raise NotADuration("is too long to count") from error


@lru_cache(1_024)  # agents state the same few, and each is parsed twice for a call
def parse_capped(text: str, longest: timedelta) -> timedelta:
    """The duration that `text` states, or `longest` if that is less. Raises NotADuration.

    The agents' protocol bounds no duration: what is too long to count is merely longer than any cap.
    """
    if _FORM.fullmatch(text) is None:
        return parse_duration(text)
    return longest if len(text) > _COUNTABLE else min(parse_duration(text), longest)


def render_duration(duration: timedelta) -> str:
    """The shortest exact text of a positive duration in whole seconds. Raises ValueError for any other."""
    seconds, rest = divmod(duration, timedelta(seconds=1))
    if rest or seconds < 1:
        raise ValueError(f"not a positive number of whole seconds: {duration!r}")
    for unit in ("h", "m"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"
