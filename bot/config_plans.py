"""Escalation plans, who is on call, and pagers, as the configuration has them. Pure: no I/O.

What a plan means in time is for bot/escalation.py; who is on call, for whoever carries a step out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, field_validator

from bot.addresses import BadAddress, parse_operator_destination
from bot.config_faults import nearest, shown, wrong
from bot.config_tables import ReviewerGroup, Table
from bot.config_values import (
    Duration,
    FilledListOf,
    ListOf,
    TableName,
    UsergroupId,
    UserId,
    is_loopback_host,
    split_web_address,
)
from bot.durations import NotADuration, parse_duration, render_duration
from bot.hours import NotHours, parse_hours

MOST_STEPS = 20
MOST_REPEATS = 9
LONGEST_CLAIM = timedelta(hours=4)
SHORTEST_AFTER = timedelta(seconds=10)
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"

TargetKind = Literal["thread", "owners", "channel", "user", "usergroup", "oncall", "pager"]
_ALONE = ("thread", "owners")
_IDS = {
    "channel": re.compile(r"[CG][A-Z0-9]{2,30}"),
    "user": re.compile(r"[UW][A-Z0-9]{2,30}"),
    "usergroup": re.compile(r"S[A-Z0-9]{2,30}"),
}
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a step notifies, as the file has it: looked up when the step is carried out."""

    kind: TargetKind
    id: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


def parse_target(text: str) -> Target:
    """Read a target. Raises ``ValueError`` for none."""
    kind, colon, its_id = text.partition(":")
    if kind in _ALONE and not colon:
        return Target(kind)  # type: ignore[arg-type]  # one of the literal's
    if kind in _IDS and _IDS[kind].fullmatch(its_id):
        return Target(kind, its_id)  # type: ignore[arg-type]  # one of the literal's
    if kind in ("oncall", "pager") and its_id:
        return Target(kind, its_id)  # type: ignore[arg-type]  # one of the literal's
    raise ValueError(text)


@dataclass(frozen=True, slots=True)
class After:
    """How long a step waits: a percentage of the request's window, or a duration. Exactly one is set."""

    percent: int | None = None
    duration: timedelta | None = None

    def within(self, window: timedelta) -> timedelta:
        """How long that is for a request with ``window`` from its creation to its deadline."""
        if self.duration is not None:
            return self.duration
        return window * (self.percent or 0) / 100

    def __str__(self) -> str:
        return f"{self.percent}%" if self.duration is None else render_duration(self.duration)


def _after(value: object) -> After:
    if isinstance(value, After):
        return value
    remedy = 'write a percentage of the time to decide, such as "25%", or a duration, such as "5m"'
    if not isinstance(value, str):
        raise wrong(f"is {shown(value)}", remedy)
    if percent := re.fullmatch(r"([1-9][0-9]?)%", value):
        return After(percent=int(percent[1]))
    try:
        duration = parse_duration(value)
    except NotADuration as error:
        raise wrong(f"{shown(value)} is neither a percentage nor a duration", remedy) from error
    if duration < SHORTEST_AFTER:
        raise wrong(f"is {render_duration(duration)}", f'use at least "{render_duration(SHORTEST_AFTER)}"')
    return After(duration=duration)


def _target(value: str) -> str:
    try:
        parse_target(value)
    except ValueError as error:
        raise wrong(
            f"{shown(value)} is nobody to notify",
            'use "thread", "owners", "channel:C…", "user:U…", "usergroup:S…", "oncall:NAME" or "pager:NAME"',
        ) from error
    return value


def _hours(value: str) -> str:
    try:
        parse_hours(value)
    except NotHours as error:
        raise wrong(f"{shown(value)} {error}", 'write it as in "Mon-Fri 09:00-18:00 Europe/Berlin"') from error
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        # Not shown: it may be the secret itself, put into the wrong place.
        raise wrong(
            "is not the name of a variable",
            "name the variable of the environment that holds it, such as PAGER_MAIN_KEY",
        )
    return value


VariableName = Annotated[str, AfterValidator(_variable)]


class Widening(Table):
    """Who may decide from a step on: the groups and the people on call who join a seat.

    In the file groups are names; as stored with a request they are the groups themselves.
    """

    seat: str | None = Field(None, examples=["finance"])
    """The group that the seat is named after; None where the rule has one seat."""
    groups: tuple[ReviewerGroup, ...] = Field((), strict=False)
    oncall: tuple[str, ...] = Field((), strict=False)


class StepTable(Table):
    """One of `[[plans.NAME.steps]]`."""

    after: Annotated[After, BeforeValidator(_after), PlainSerializer(str, return_type=str)] = Field(examples=["25%"])
    """Counted from the previous step's due time, the first from the request's creation."""
    notify: FilledListOf[Annotated[str, AfterValidator(_target)]] = Field(examples=[["thread"]])
    widen: ListOf[Widening] = Field((), examples=[["leads"]])
    hours: Annotated[str, AfterValidator(_hours)] | None = Field(None, examples=["Mon-Fri 09:00-18:00 Europe/Berlin"])
    """Outside these the step is skipped."""

    @field_validator("widen", mode="before")
    @classmethod
    def _widen_names_groups(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(info.context, PlanWorld) or not isinstance(value, list):
            return value
        return [_widening(one, info.context) for one in value]

    @property
    def targets(self) -> tuple[Target, ...]:
        """Whom the step notifies."""
        return tuple(parse_target(text) for text in self.notify)


@dataclass(frozen=True, slots=True)
class PlanWorld:
    """What a plan may refer to; its validators get it as pydantic's context."""

    groups: Mapping[str, ReviewerGroup]
    oncall: tuple[str, ...]
    pagers: tuple[str, ...]


def _widening(one: object, known: PlanWorld) -> dict[str, object]:
    """Read one entry of `widen`: a name, or a table of a seat and names."""
    seat: object = None
    names: object = one
    if isinstance(one, dict):
        if set(one) != {"seat", "reviewers"}:
            raise wrong(f"has {', '.join(one) or 'nothing'}", 'write { seat = "finance", reviewers = "leads" }')
        seat, names = one["seat"], one["reviewers"]
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise wrong(f"is {shown(one)}", 'name groups of reviewers or people on call, such as "leads", "oncall:finance"')
    groups, oncall = [], []
    for name in names:
        if name.startswith("oncall:"):
            oncall.append(_known(name.removeprefix("oncall:"), known.oncall, "oncall"))
        elif name in known.groups:
            groups.append(known.groups[name])
        else:
            _known(name, tuple(known.groups), "reviewers")
    return {"seat": seat, "groups": groups, "oncall": oncall}


def _known(name: str, names: tuple[str, ...], table: str) -> str:
    if name in names:
        return name
    near = nearest(name, names)
    remedy = f"did you mean {shown(near)}?" if near else f"add [{table}.{name}]"
    raise wrong(f"there is no [{table}.{name}]", remedy)


class Plan(Table):
    """`[plans.NAME]`: what happens while nobody decides."""

    given = ("name",)

    name: TableName
    steps: tuple[StepTable, ...] = Field((), strict=False, examples=[[{"after": "25%", "notify": ["thread"]}]])
    repeat: int = Field(0, ge=0, le=MOST_REPEATS, examples=[1])
    """How often the steps run again."""
    before_deadline: Duration | None = Field(None, validate_default=True, examples=["2m"])
    """When the last reminder comes. None: there is none."""
    claim_pause: Duration = Field(timedelta(minutes=15), examples=["15m"])
    """How long *I'm on it* holds the next step up."""

    @field_validator("steps")
    @classmethod
    def _steps_are_few_and_known(cls, value: tuple[StepTable, ...], info: ValidationInfo) -> tuple[StepTable, ...]:
        if len(value) > MOST_STEPS:
            raise wrong(f"has {len(value)} steps", f"use at most {MOST_STEPS}")
        if isinstance(info.context, PlanWorld):
            for step in value:
                for target in step.targets:
                    if target.kind == "oncall":
                        _known(target.id, info.context.oncall, "oncall")
                    elif target.kind == "pager":
                        _known(target.id, info.context.pagers, "pagers")
        return value

    @field_validator("before_deadline")
    @classmethod
    def _something_happens(cls, value: timedelta | None, info: ValidationInfo) -> timedelta | None:
        if value is None and info.data.get("steps") == ():
            raise wrong("is missing, and so are steps", "write at least one of them")
        return value

    @field_validator("claim_pause")
    @classmethod
    def _claims_end(cls, value: timedelta) -> timedelta:
        if value > LONGEST_CLAIM:
            raise wrong(f"is {render_duration(value)}", f'use at most "{render_duration(LONGEST_CLAIM)}"')
        return value


def feed_address(text: str) -> str:
    """Return the address at which a calendar is fetched: schedules are often offered as webcal://, which is https."""
    return re.sub(r"^webcals?://", "https://", text.strip(), flags=re.IGNORECASE)


class OnCall(Table):
    """`[oncall.NAME]`: who is on call, and where that is known from. Exactly one of its keys says so."""

    given = ("name",)

    name: TableName
    usergroup: UsergroupId | None = Field(None, examples=["S0ONCALL"])
    users: ListOf[UserId] = Field((), examples=[["U0CAROL"]])
    ical: str | None = Field(None, examples=["https://calendar.example.com/finance.ics"])
    """An iCalendar feed's address or a file's path; people are matched by e-mail address."""
    ical_env: VariableName | None = Field(None, validate_default=True, examples=["FINANCE_ICAL"])
    """The variable that holds the address, where that is a secret."""

    @property
    def is_calendar(self) -> bool:
        """Whether a calendar says it."""
        return self.ical is not None or self.ical_env is not None

    @field_validator("ical")
    @classmethod
    def _ical_is_an_address_or_a_file(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.strip():
            raise wrong("is empty", "write the address of an iCalendar feed, or the path of a file")
        if "://" in value:
            try:
                parse_operator_destination(feed_address(value))
            except BadAddress as error:
                remedy = "write an https address; if it is a secret, put it into a variable and name that in ical_env"
                raise wrong(str(error), remedy) from error
        return value

    @field_validator("ical_env")
    @classmethod
    def _one_source(cls, value: str | None, info: ValidationInfo) -> str | None:
        given = [key for key in ("usergroup", "users", "ical") if info.data.get(key)]
        given += ["ical_env"] if value is not None else []
        if len(given) != 1:
            said = " and ".join(given) if given else "nothing"
            raise wrong(f"says who is on call by {said}", "use exactly one of usergroup, users, ical and ical_env")
        return value


class Pager(Table):
    """`[pagers.NAME]`: a pager that a step may call."""

    given = ("name",)

    name: TableName
    kind: Literal["pagerduty", "webhook"] = Field(examples=["pagerduty"])
    url: str = Field(PAGERDUTY_URL, validate_default=True, examples=[PAGERDUTY_URL])
    """Where it is called: https unless loopback. For `webhook` it must be given."""
    secret_env: VariableName = Field(examples=["PAGER_MAIN_KEY"])
    """The variable (or that name with _FILE) that holds the routing key, or the whsec_ secret of a webhook."""

    @field_validator("url")
    @classmethod
    def _url_is_one(cls, value: str, info: ValidationInfo) -> str:
        if value == PAGERDUTY_URL and info.data.get("kind") == "webhook":
            raise wrong("is missing", "say where the webhook is called, such as https://pager.example.com/signoff")
        parts = split_web_address(value)
        if parts.scheme == "http" and not is_loopback_host(parts.hostname or ""):
            raise wrong(f"{shown(value)} is plain http", "use https; only a loopback address may do without")
        return value


class EscalationSettings(Table):
    """`[escalation]`: what all plans have in common."""

    heartbeat_env: VariableName | None = Field(None, examples=["HEARTBEAT_URL"])
    """The variable (or that name with _FILE) that holds an address which is called every minute while steps run on
    time. None: none is."""
