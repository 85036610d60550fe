"""What every Web API method shares: the parts it works on, scopes, finding channels, paging."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from playground.api.params import Params
from playground.errors import NotThere, SlackRefusal
from playground.model import Channel, Json, User
from playground.parts import Parts

T = TypeVar("T")
Handler = Callable[[Parts, Params], Awaitable[Json]]


@dataclass(frozen=True)
class Method:
    """One Web API method: what it does, and which scopes (any one of them) it needs."""

    handler: Handler
    scopes: tuple[str, ...] = ()
    token: str = "bot"  # noqa: S105  # the kind of token: bot, app or none
    writes_to_channel: bool = False
    """Whether an archived channel stops it."""


def need(parts: Parts, *scopes: str) -> None:
    """Refuses with `missing_scope` unless the bot token has one of these scopes."""
    if not parts.scopes.intersection(scopes):
        raise SlackRefusal("missing_scope", needed=",".join(scopes), provided=",".join(sorted(parts.scopes)))


_KIND_PREFIX = {"im": "im", "private_channel": "groups", "public_channel": "channels"}


def need_for(parts: Parts, channel: Channel, right: str) -> None:
    """The scope for this kind of channel: `right` is `read` or `history`."""
    need(parts, f"{_KIND_PREFIX[channel.kind]}:{right}")


def visible_channel(parts: Parts, channel_id: str) -> Channel:
    """A channel the bot may know of: `channel_not_found` for private ones it is not in."""
    channel = parts.workspace.channels.get(channel_id)
    if channel is None or (channel.kind != "public_channel" and parts.bot_user_id not in channel.members):
        raise SlackRefusal("channel_not_found")
    return channel


def channel_to_write(parts: Parts, channel_id: str) -> Channel:
    """A channel the bot may write to: a member, and not archived."""
    channel = visible_channel(parts, channel_id)
    if channel.is_archived:
        raise SlackRefusal("is_archived")
    if parts.bot_user_id not in channel.members:
        raise SlackRefusal("not_in_channel")
    if channel.user is not None and parts.workspace.user(channel.user).deleted:
        raise SlackRefusal("channel_not_found")
    return channel


def channel_to_post(parts: Parts, name: str) -> Channel:
    """Where chat.postMessage posts: a channel id, a `#name`, or a user id for a direct message."""
    workspace = parts.workspace
    if name in workspace.users:
        user = workspace.users[name]
        if user.deleted or user.is_bot:
            raise SlackRefusal("channel_not_found")
        return channel_to_write(parts, workspace.dm(user.id).id)
    if name.startswith("#"):
        for channel in workspace.channels.values():
            if channel.name == name[1:] and not channel.is_im:
                return channel_to_write(parts, channel.id)
    return channel_to_write(parts, name)


def known_user(parts: Parts, user_id: str) -> User:
    """A user; `user_not_found` if there is none."""
    try:
        return parts.workspace.user(user_id)
    except NotThere:
        raise SlackRefusal("user_not_found") from None


def page(
    parts: Parts, params: Params, items: Sequence[T], *, default: int = 100, most: int = 1000
) -> tuple[list[T], Json]:
    """One page of a listing and the `response_metadata` that leads to the next."""
    limit = min(params.number("limit", default, most), parts.settings.page_size)
    start = _position(params.text("cursor"))
    following = start + limit
    cursor = ""
    if following < len(items):
        cursor = base64.b64encode(f"next:{following}".encode()).decode()
    return list(items[start:following]), {"next_cursor": cursor}


def _position(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
    except (ValueError, binascii.Error):
        raise SlackRefusal("invalid_cursor") from None


def answer(**fields: Any) -> Json:
    """A successful answer."""
    return {"ok": True, **fields}
