"""The tables of the configuration file as frozen, strict models, and the rule as it is stored with a request.

One model per table, one field per key; a validator per field, each reading only the fields above it, so that all
faults of a file are found at once. Pure: no I/O, no environment. What a rule *means* (which call it matches, who
may decide) is for bot/policy.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from bot.config_faults import nearest, shown, wrong
from bot.config_values import (
    ChannelId,
    Duration,
    FilledListOf,
    ListeningHost,
    ListOf,
    Pattern,
    RuleName,
    TableName,
    Timeout,
    UsergroupId,
    UserId,
    Validity,
    is_loopback_host,
    split_web_address,
)
from bot.durations import render_duration

SLACK_API_URL = "https://slack.com/api/"

Stage = Literal["approve", "autonomous"]


class Table(BaseModel):
    """One table of the file: strict, frozen, no key but its fields."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    given: ClassVar[tuple[str, ...]] = ()
    """Fields that are no keys of the file: the loader fills them, such as a table's own name."""

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """The keys that the file may have in this table."""
        return tuple(name for name in cls.model_fields if name not in cls.given)


class ServerSettings(Table):
    """`[server]`: where Signoff listens, and under which address others reach it."""

    host: ListeningHost = Field("127.0.0.1", examples=["127.0.0.1"])
    port: int = Field(8080, ge=1, le=65535, examples=[8080])
    public_url: str = Field(examples=["https://signoff.example.com"])
    """Absolute, https unless its host is loopback, kept without a slash at its end."""

    @field_validator("public_url")
    @classmethod
    def _public_url_is_safe(cls, value: str) -> str:
        parts = split_web_address(value)
        if parts.scheme == "http" and not is_loopback_host(parts.hostname or ""):
            raise wrong(f"{shown(value)} is plain http", "use https; only a loopback address may do without")
        return value.rstrip("/")

    @property
    def is_loopback_only(self) -> bool:
        """Whether the listening and the public address are both loopback, so that only this machine gets in."""
        return is_loopback_host(self.host) and is_loopback_host(urlsplit(self.public_url).hostname or "")


class SlackSettings(Table):
    """`[slack]`: how Slack reaches us, and we it."""

    mode: Literal["socket", "http"] = Field("socket", examples=["socket"])
    api_url: str = Field(SLACK_API_URL, examples=[SLACK_API_URL])
    """Slack's Web API, or a stand-in on loopback; with a slash at its end."""

    @field_validator("api_url")
    @classmethod
    def _api_url_is_slack_or_loopback(cls, value: str) -> str:
        parts = split_web_address(value)
        if value == SLACK_API_URL:
            return value
        if not value.endswith("/"):
            raise wrong(f"{shown(value)} has no slash at its end", f"write {shown(value + '/')}")
        if not is_loopback_host(parts.hostname or ""):
            raise wrong(
                f"{shown(value)} is neither Slack's address nor a loopback address",
                f'use "{SLACK_API_URL}": tokens go to no other host',
            )
        return value


class StoreSettings(Table):
    """`[store]`: the database. The address may hold a password, so neither repr nor a fault shows it."""

    url: str = Field(repr=False, examples=["sqlite:///signoff.db"])
    """`sqlite:///` and a path (relative to the working directory, absolute with four slashes), or PostgreSQL's."""

    @field_validator("url")
    @classmethod
    def _url_is_a_store(cls, value: str) -> str:
        remedy = 'use "sqlite:///signoff.db" (relative to the working directory) or "sqlite:////var/lib/signoff.db"'
        if value.startswith(("postgresql://", "postgres://")):
            return value
        scheme, separator, path = value.partition(":///")
        if value in ("sqlite://", "sqlite:///") or path.startswith((":memory:", "file:")):
            raise wrong("names no file", f"{remedy}: what is approved must outlive the process")
        if scheme != "sqlite" or not separator:
            raise wrong("is not the address of a store", remedy)
        if not path.isprintable() or "?" in path or path.endswith("/"):
            raise wrong("has a query, control characters or a slash at its end", remedy)
        return value

    @property
    def sqlite_path(self) -> Path | None:
        """The database file, relative to the working directory unless absolute; None for PostgreSQL."""
        scheme, _, path = self.url.partition(":///")
        return Path(path) if scheme == "sqlite" else None


class AdminSettings(Table):
    """`[admins]`: who sees every request."""

    users: FilledListOf[UserId] = Field(examples=[["U0ADMIN"]])


class Agent(Table):
    """`[agents.NAME]`: one agent, the people who answer for it, and all that it may ever ask for."""

    given = ("name",)

    name: TableName
    owners: FilledListOf[UserId] = Field(examples=[["U0OWNER"]])
    """They are told what goes wrong, and never decide for their own agent."""
    tools: FilledListOf[Pattern] = Field(examples=[["issue_refund"]])
    """Exact names or case-sensitive globs; a tool outside of them is denied whatever the rules say."""


class ReviewerGroup(Table):
    """`[reviewers.NAME]`: people who may decide, by Slack user or Slack user group."""

    given = ("name",)

    name: TableName
    users: ListOf[UserId] = Field((), examples=[["U0ALICE"]])
    usergroups: ListOf[UsergroupId] = Field((), validate_default=True, examples=[["S0FINANCE"]])

    @field_validator("usergroups")
    @classmethod
    def _somebody_is_in_it(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not value and info.data.get("users") == ():
            raise wrong("and users are both empty", "list at least one user or user group")
        return value


@dataclass(frozen=True, slots=True)
class Known:
    """What a rule of the file may refer to; its validators get it as pydantic's context."""

    agents: tuple[str, ...] = ()
    groups: Mapping[str, ReviewerGroup] = field(default_factory=dict)


def _group(value: object, info: ValidationInfo) -> object:
    if not isinstance(info.context, Known):
        return value
    if not isinstance(value, str):
        raise wrong(f"is {shown(value)}", 'write the name of a group in quotes, such as "finance"')
    if value in info.context.groups:
        return info.context.groups[value]
    near = nearest(value, info.context.groups)
    remedy = f"did you mean {shown(near)}?" if near else f"add [reviewers.{value}], or name a group of this file"
    raise wrong(f"{shown(value)} is not a group of reviewers", remedy)


class _Terms(Table):
    """What a rule says, in the file and as stored alike.

    Stored rules are read with these same checks: whoever narrows one, or adds or changes a field, gives
    FrozenRule a new format and keeps reading the old one.
    """

    name: RuleName = Field(examples=["refunds"])
    stage: Stage = Field(examples=["approve"])
    """`approve`: people decide. `autonomous`: approved at once, by the rule."""
    agent: Pattern = Field(examples=["refund-bot"])
    tool: Pattern = Field(examples=["issue_refund"])
    server: Pattern | None = Field(None, examples=["payments"])
    """None: whatever server the call names, or none at all."""
    channel: ChannelId | None = Field(None, validate_default=True, examples=["C0REFUNDS"])
    fallback_channel: ChannelId | None = Field(None, examples=["C0OPS"])
    reviewers: ListOf[Annotated[ReviewerGroup, BeforeValidator(_group)]] = Field(
        (), validate_default=True, examples=[["finance"]]
    )
    mention: bool = Field(True, examples=[True])
    max_timeout: Timeout = Field(timedelta(hours=1), examples=["1h"])
    """The longest time to decide; a longer request is shortened to it."""
    min_timeout: Duration | None = Field(None, examples=["1m"])
    """A request that leaves people less than this is denied at once."""
    validity: Validity = Field(timedelta(minutes=5), examples=["5m"])
    """How long after the decision an approval may be used."""
    execution_timeout: Timeout = Field(timedelta(minutes=15), examples=["15m"])
    """How long after its use the outcome may stay out before the call is overdue."""
    external: bool = Field(False, examples=[False])
    """Whether the card may go to a channel shared with another company."""

    @field_validator("channel")
    @classmethod
    def _people_need_a_channel(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("stage") == "approve":
            raise wrong("is missing", 'a rule with stage "approve" names the channel for its cards')
        return value

    @field_validator("fallback_channel")
    @classmethod
    def _fallback_is_another(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == info.data.get("channel"):
            raise wrong("is the same as channel", "name another one, or leave it out: reviewers then get a DM")
        return value

    @field_validator("reviewers")
    @classmethod
    def _people_decide(cls, value: tuple[ReviewerGroup, ...], info: ValidationInfo) -> tuple[ReviewerGroup, ...]:
        if not value and info.data.get("stage") == "approve":
            raise wrong("is missing or empty", 'a rule with stage "approve" names at least one group')
        return value

    @field_validator("min_timeout")
    @classmethod
    def _least_is_less(cls, value: timedelta | None, info: ValidationInfo) -> timedelta | None:
        longest = info.data.get("max_timeout")
        if value is not None and longest is not None and value >= longest:
            raise wrong(
                f"is {render_duration(value)}",
                f"use less than max_timeout, which is {render_duration(longest)}",
            )
        return value


class Rule(_Terms):
    """One of `[[rules]]`: which calls it is for, and what happens to them.

    In the file `reviewers` names groups; here they are the groups themselves.
    """

    @field_validator("agent")
    @classmethod
    def _some_agent_is_meant(cls, value: str, info: ValidationInfo) -> str:
        known = info.context.agents if isinstance(info.context, Known) else None
        if known is not None and not any(fnmatchcase(name, value) for name in known):
            near = nearest(value, known)
            remedy = f"did you mean {shown(near)}?" if near else "name one of them, or a pattern that fits one"
            raise wrong(f"{shown(value)} fits no agent of this file", remedy)
        return value

    @cached_property
    def as_frozen(self) -> "FrozenRule":
        """This rule as it is stored with a request, its groups written out."""
        return FrozenRule(version=1, **{key: getattr(self, key) for key in type(self).model_fields})

    @cached_property
    def _frozen_text(self) -> str:
        stored = self.as_frozen.model_dump(mode="json")
        return json.dumps(stored, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def frozen(self) -> str:
        """Canonical JSON of `as_frozen`, to store with each request. Written once per rule, then kept."""
        return self._frozen_text


class UnreadableRule(ValueError):
    """A stored rule that this version cannot read whole. It is refused, never read in part."""

    code = "unreadable_rule"


class FrozenRule(_Terms):
    """A rule as it was when a request was made under it, its reviewers written out."""

    given = ("version",)

    version: Literal[1]
    """The number of the format; every change of a field needs a new one."""

    @staticmethod
    @lru_cache(maxsize=512)
    def parse(text: str) -> "FrozenRule":
        """The rule in a text by `Rule.frozen`. Raises UnreadableRule, also for a field or format unknown here."""
        try:
            stored = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UnreadableRule("the stored rule is not JSON") from error
        version = stored.get("version") if isinstance(stored, dict) else None
        if version != 1:
            raise UnreadableRule(f"the stored rule has format {shown(version)}, and only 1 is known here")
        unknown = sorted(stored.keys() - FrozenRule.model_fields.keys())
        missing = sorted(FrozenRule.model_fields.keys() - stored.keys())
        if unknown or missing:
            raise UnreadableRule(f"the stored rule has unknown fields {unknown} and lacks {missing}")
        try:
            return FrozenRule.model_validate(stored)
        except ValidationError as error:
            what = "; ".join(f"{detail['loc']}: {detail['msg']}" for detail in error.errors(include_url=False))
            raise UnreadableRule(f"the stored rule cannot be read: {what}") from error
