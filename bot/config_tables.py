"""The tables of the configuration file as frozen, strict models; its rules are in bot/config_rules.py.

One model per table, one field per key; a validator per field, each reading only the fields above it, so that all
faults of a file are found at once. Pure: no I/O, no environment.
"""

from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from bot.config_faults import shown, wrong
from bot.config_values import (
    FilledListOf,
    Keeping,
    ListeningHost,
    ListOf,
    Pattern,
    Rate,
    TableName,
    UsergroupId,
    UserId,
    is_loopback_host,
    split_web_address,
)

SLACK_API_URL = "https://slack.com/api/"
MOST_PENDING = 10_000


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
    def is_public_url_loopback(self) -> bool:
        """Whether only this machine reaches us under the public address."""
        return is_loopback_host(urlsplit(self.public_url).hostname or "")

    @property
    def is_loopback_only(self) -> bool:
        """Whether the listening and the public address are both loopback, so that only this machine gets in."""
        return is_loopback_host(self.host) and self.is_public_url_loopback


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
        if value.startswith(("postgresql", "postgres")):
            return _postgresql_address(value)
        scheme, separator, path = value.partition(":///")
        if value in ("sqlite://", "sqlite:///") or path.startswith((":memory:", "file:")):
            raise wrong("names no file", f"{remedy}: what is approved must outlive the process")
        if scheme != "sqlite" or not separator:
            raise wrong("is not the address of a store", remedy)
        if not path.isprintable() or "?" in path or path.endswith("/"):
            raise wrong("has a query, control characters or a slash at its end", remedy)
        return value

    @property
    def database(self) -> Path | str:
        """SQLite's file, or PostgreSQL's address: what the store opens."""
        return self.sqlite_path or self.url

    @property
    def sqlite_path(self) -> Path | None:
        """The database file, relative to the working directory unless absolute; None for PostgreSQL."""
        scheme, _, path = self.url.partition(":///")
        return Path(path) if scheme == "sqlite" else None


def _postgresql_address(value: str) -> str:
    remedy = 'use "postgresql://USER:PASSWORD@HOST/DATABASE", with % for what is no letter or digit of the password'
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise wrong("is not the address of a store", remedy) from error
    if parts.scheme not in ("postgresql", "postgres") or not value.partition("://")[1]:
        raise wrong("is not the address of a store", remedy)
    if not value.isprintable() or " " in value:
        raise wrong("has spaces or control characters", remedy)
    if len(parts.path) < 2 and "dbname=" not in parts.query and "database=" not in parts.query:
        raise wrong("names no database", remedy)
    return value


class DeliverySettings(Table):
    """`[delivery]`: how notifications go to agents' receivers."""

    allow_loopback: bool = Field(False, examples=[False])
    """For development: whether receivers on this machine are called too, and by plain http."""


class AuditSettings(Table):
    """`[audit]`: what vouches for the record."""

    checkpoints: str | None = Field(None, examples=["checkpoints.txt"])
    """The file that signed checkpoints are added to: at the start, and every hour. None: none are made unasked."""

    @field_validator("checkpoints")
    @classmethod
    def _checkpoints_is_a_file(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or not value.isprintable() or value.endswith("/")):
            raise wrong(f"{shown(value)} names no file", 'write a path, such as "/var/lib/signoff/checkpoints.txt"')
        return value


class RetentionSettings(Table):
    """`[retention]`: how long what people and agents wrote is kept."""

    arguments: Keeping | None = Field(None, examples=["90d"])
    """How long after its decision a request keeps its arguments and notes. None: for ever."""


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
    rate: Rate | None = Field(None, examples=["60/1m"])
    """How many requests all its instances together may make in how long. None: any number."""
    max_pending: int | None = Field(None, ge=1, le=MOST_PENDING, examples=[20])
    """How many of its requests may wait for people at once, of all its instances. None: any number."""
    instance_rate: Rate | None = Field(None, examples=["30/1m"])
    """The same as `rate`, for each of its instances."""
    instance_max_pending: int | None = Field(None, ge=1, le=MOST_PENDING, examples=[10])
    """The same as `max_pending`, for each of its instances."""


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
            raise wrong("is empty, and so is users", "list at least one user or user group")
        return value
