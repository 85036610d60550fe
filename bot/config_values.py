"""The kinds of values in the configuration file: ids, names, patterns, durations, addresses.

Each is a pydantic annotation or a check that refuses a value with a sentence on what would be right. Pure: nothing
is resolved or looked up. Whether an id exists in Slack is for `signoff check`; whether a pattern fits a call, for
bot/policy.py.
"""

import ipaddress
import re
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from bot.config_faults import shown, wrong
from bot.durations import NotADuration, parse_duration, render_duration

LONGEST_TIMEOUT = timedelta(hours=168)
LONGEST_VALIDITY = timedelta(hours=24)
LONGEST_STANDING = timedelta(hours=168)
SHORTEST_KEEPING = timedelta(days=7)
"""Agents may ask for a request for so long after its decision (agent-api.md)."""

_RULE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,73}[A-Za-z0-9])?")
_TABLE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_LONGEST_PATTERN_CHARS = 255
_DAYS = re.compile(r"([1-9][0-9]{0,4})d")
_RATE = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5}[smh])")

Item = TypeVar("Item", bound=Hashable)


# Ids


def _slack_id(kind: str, prefixes: str, example: str, how: str) -> AfterValidator:
    form = re.compile(f"[{prefixes}][A-Z0-9]{{2,30}}")

    def check(value: str) -> str:
        if not form.fullmatch(value):
            raise wrong(f"{shown(value)} is not the id of a {kind}", f'use its id, such as "{example}" ({how})')
        return value

    return AfterValidator(check)


_HOW_USER = "in Slack: the person's profile, the three dots, Copy member ID"
_HOW_GROUP = "in Slack: Directories, User groups, the group's menu; needs a paid plan"
_HOW_CHANNEL = "in Slack: the channel's details, at the very end"
UserId = Annotated[str, _slack_id("user", "UW", "U012AB3CD", _HOW_USER)]
UsergroupId = Annotated[str, _slack_id("user group", "S", "S012AB3CD", _HOW_GROUP)]
ChannelId = Annotated[str, _slack_id("channel", "CG", "C012AB3CD", _HOW_CHANNEL)]


# Names and patterns


def _table_name(value: str) -> str:
    if not _TABLE_NAME.fullmatch(value):
        raise wrong(
            f"{shown(value)} cannot be a name",
            "use 1 to 63 of a-z, 0-9, dot, underscore and hyphen, a letter or digit first",
        )
    return value


def _rule_name(value: str) -> str:
    if not _RULE_NAME.fullmatch(value):
        raise wrong(
            f"{shown(value)} cannot be a rule's name",
            "use 1 to 75 of A-Z, a-z, 0-9, space, dot, underscore and hyphen, a letter or digit first and last",
        )
    return value


def _pattern(value: str) -> str:
    if not value or len(value) > _LONGEST_PATTERN_CHARS:
        raise wrong(
            f"has {len(value)} characters",
            f"write a name or a pattern of 1 to {_LONGEST_PATTERN_CHARS} characters",
        )
    if not value.isprintable() or value != value.strip():
        raise wrong(
            f"{shown(value)} has control characters, or spaces at an end",
            "write the name exactly as agents send it",
        )
    if _has_open_bracket(value):
        raise wrong(
            f"{shown(value)} opens a bracket that is never closed", "close it, or write [[] for the character itself"
        )
    return value


def _has_open_bracket(pattern: str) -> bool:
    position = 0
    while (position := pattern.find("[", position)) >= 0:
        first = position + 1 + pattern.startswith("!", position + 1)
        # A closing bracket in the first place stands for itself, as in fnmatch.
        end = pattern.find("]", first + 1)
        if end < 0:
            return True
        position = end + 1
    return False


TableName = Annotated[str, AfterValidator(_table_name)]
RuleName = Annotated[str, AfterValidator(_rule_name)]
Pattern = Annotated[str, AfterValidator(_pattern)]


# Durations


def _duration(value: object) -> timedelta:
    remedy = 'write a number and a unit in quotes, such as "90s", "15m" or "1h"'
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise wrong(f"{shown(value)} is not a duration", remedy)
    try:
        return parse_duration(value)
    except NotADuration as error:
        raise wrong(f"{shown(value)} is not a duration", remedy) from error


def _at_most(limit: timedelta) -> AfterValidator:
    def check(value: timedelta) -> timedelta:
        if value > limit:
            raise wrong(f"is {render_duration(value)}", f'use at most "{render_duration(limit)}"')
        return value

    return AfterValidator(check)


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(render_duration, return_type=str)]
Timeout = Annotated[Duration, _at_most(LONGEST_TIMEOUT)]
Validity = Annotated[Duration, _at_most(LONGEST_VALIDITY)]
Standing = Annotated[Duration, _at_most(LONGEST_STANDING)]


def _days(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    form = _DAYS.fullmatch(value) if isinstance(value, str) else None
    if form is None:
        raise wrong(f"{shown(value)} is no number of days", 'write a number and d in quotes, such as "90d"')
    return timedelta(days=int(form[1]))


def _long_enough(value: timedelta) -> timedelta:
    if value < SHORTEST_KEEPING:
        raise wrong(
            f"is {value.days}d", f'use at least "{SHORTEST_KEEPING.days}d": agents may ask for a request that long'
        )
    return value


Keeping = Annotated[
    timedelta,
    BeforeValidator(_days),
    AfterValidator(_long_enough),
    PlainSerializer(lambda value: f"{value.days}d", return_type=str),
]


# Rates


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many requests in so long."""

    most: int
    per: timedelta

    def __str__(self) -> str:
        return f"{self.most}/{render_duration(self.per)}"


def _rate(value: object) -> RateLimit:
    if isinstance(value, RateLimit):
        return value
    form = _RATE.fullmatch(value) if isinstance(value, str) else None
    if form is None:
        raise wrong(f"{shown(value)} is not a rate", 'write a number, a slash and a duration, such as "60/1m"')
    try:
        return RateLimit(int(form[1]), parse_duration(form[2]))
    except NotADuration as error:
        raise wrong(f"{shown(value)} is not a rate", 'write a duration after the slash, such as "60/1m"') from error


Rate = Annotated[RateLimit, BeforeValidator(_rate), PlainSerializer(str, return_type=str)]


# Lists


def _no_repeats(values: tuple[Item, ...]) -> tuple[Item, ...]:
    seen: set[Item] = set()
    for value in values:
        if value in seen:
            raise wrong(f"lists {shown(getattr(value, 'name', value))} twice", "list it once")
        seen.add(value)
    return values


def _at_least_one(values: tuple[Item, ...]) -> tuple[Item, ...]:
    if not values:
        raise wrong("is empty", "list at least one")
    return values


# TOML has lists, the models have tuples: strictness gives way for this one step, not for the items.
ListOf = Annotated[tuple[Item, ...], Field(strict=False), AfterValidator(_no_repeats)]
FilledListOf = Annotated[ListOf[Item], AfterValidator(_at_least_one)]


# Addresses


def is_loopback_host(host: str) -> bool:
    """Whether a host as written can only mean this machine: `localhost`, 127.0.0.0/8, `::1`. Resolves nothing."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return _HOST_NAME.fullmatch(value) is not None
    return True


def _listening_host(value: str) -> str:
    if not _is_host(value):
        raise wrong(
            f"{shown(value)} is not an address to listen on",
            'use an IP address or a host name alone, such as "127.0.0.1"; the port is a key of its own',
        )
    return value


def split_web_address(value: str) -> SplitResult:
    """The parts of an absolute http(s) address without user, query and fragment; anything else is refused."""
    remedy = 'write an absolute address, such as "https://signoff.example.com", without user, query or fragment'
    # urlsplit drops tabs and line breaks without a word, so they are refused before it sees them.
    if not value.isascii() or not value.isprintable() or " " in value or "\\" in value:
        raise wrong(f"{shown(value)} has characters that no address has", remedy)
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise wrong(f"{shown(value)} is not an address", remedy) from error
    if "@" in parts.netloc:
        raise wrong("has a user or password in it", remedy)
    if parts.scheme not in ("http", "https") or not _is_host(host) or port == 0:
        raise wrong(f"{shown(value)} is not an absolute http or https address", remedy)
    if "?" in value or "#" in value:
        raise wrong(f"{shown(value)} has a query or a fragment", remedy)
    return parts


ListeningHost = Annotated[str, AfterValidator(_listening_host)]
