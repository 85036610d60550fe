"""What a playground is started with: its team, its app and bot, its tokens, and how strict it is.

Must not hold anything that changes while it runs: that is the workspace's (workspace.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

# What a Signoff installation asks for; a scope taken away shows what the bot does without it.
ALL_SCOPES = frozenset(
    {
        "chat:write",
        "commands",
        "users:read",
        "users:read.email",
        "usergroups:read",
        "im:write",
        "channels:read",
        "groups:read",
        "channels:history",
        "groups:history",
        "im:history",
        "dnd:read",
        "files:write",
    }
)


def utc_now() -> datetime:
    """The wall clock, aware UTC: the default clock."""
    return datetime.now(UTC)


def _token(prefix: str) -> Callable[[], str]:
    # Made anew for each run: a web page that guesses the port must not also know the token.
    return lambda: f"{prefix}{secrets.token_hex(12)}"


@dataclass(frozen=True, kw_only=True)
class PlaygroundSettings:
    """How one playground is set up. Every field has a default that suits a test."""

    port: int = 0
    """TCP port on 127.0.0.1; 0 takes a free one."""
    team_id: str = "T0PLAYGROUND"
    team_name: str = "Playground"
    team_domain: str = "playground"
    enterprise_id: str | None = None
    """The Enterprise Grid organisation the team belongs to, if any."""
    app_id: str = "A0SIGNOFF"
    bot_user_id: str = "U0SIGNOFF"
    bot_id: str = "B0SIGNOFF"
    bot_name: str = "signoff"
    bot_token: str = field(default_factory=_token("xoxb-playground-"))
    app_token: str = field(default_factory=_token("xapp-playground-"))
    signing_secret: str = field(default_factory=_token(""))
    commands: tuple[str, ...] = ("/signoff",)
    should_escape: bool = True
    """Whether `@bob` and `#chan` in a slash command arrive as `<@U…|bob>` and `<#C…|chan>`."""
    scopes: frozenset[str] = ALL_SCOPES
    """The bot token's scopes at the start; `Playground.scopes` changes them at runtime."""
    app_scopes: frozenset[str] = frozenset({"connections:write"})
    free_plan: bool = False
    """On a free plan the user group methods answer `plan_upgrade_required`."""
    one_message_a_second: bool = False
    """Refuse a second new message in a channel within a second: 429, `ratelimited`, Retry-After."""
    ack_seconds: float = 3.0
    """How long the app has to acknowledge a delivery."""
    trigger_seconds: float = 3.0
    """How long a trigger_id lives; real time, not `now`."""
    seed: int = 0
    """Seeds the generator behind faults that strike by probability."""
    message_events: bool = True
    """Tell the app of every message said, edited and deleted where its bot is a member, as the subscriptions
    to `message.*` do; when off, only of deleted ones."""
    page_size: int = 100
    """The most that a page of a listing holds, whatever `limit` asks for; 1 shows who forgets cursors."""
    now: Callable[[], datetime] = utc_now
    """The clock people see: `ts`, dates on the page. Signatures and expiries use real time."""
