"""The conversations.* methods, and users.conversations."""

from __future__ import annotations

from collections.abc import Iterable

from playground.api.context import Method, answer, known_user, need, need_for, page, visible_channel
from playground.api.params import Params
from playground.errors import SlackRefusal
from playground.model import Channel, Json, Message
from playground.parts import Parts
from playground.shapes import channel_object, message_object, replies_to

_READ = ("channels:read", "groups:read", "im:read")
_HISTORY = ("channels:history", "groups:history", "im:history")
_SCOPE_OF_TYPE = {
    "public_channel": "channels:read",
    "private_channel": "groups:read",
    "im": "im:read",
    "mpim": "mpim:read",
}


async def info(parts: Parts, params: Params) -> Json:
    """conversations.info"""
    channel = visible_channel(parts, params.required("channel"))
    need_for(parts, channel, "read")
    shape = channel_object(channel, parts.bot_user_id, parts.settings)
    if params.flag("include_num_members"):
        shape["num_members"] = len(channel.members)
    return answer(channel=shape)


async def history(parts: Parts, params: Params) -> Json:
    """conversations.history: newest first, replies only when they were sent to the channel too."""
    channel = _channel_to_read(parts, params)
    shown = [m for m in channel.messages.values() if not m.is_reply or m.broadcast]
    messages = _within(params, sorted(shown, key=lambda m: m.ts, reverse=True))
    return _messages(parts, params, channel, messages)


async def replies(parts: Parts, params: Params) -> Json:
    """conversations.replies: the thread's first message, then its replies, oldest first."""
    channel = _channel_to_read(parts, params)
    ts = params.required("ts")
    parent = channel.messages.get(ts)
    thread = replies_to(channel, ts)
    if parent is None and not thread:
        raise SlackRefusal("thread_not_found")
    if parent is not None and parent.is_reply:
        return _messages(parts, params, channel, [parent])
    found = list(_within(params, thread))
    return _messages(parts, params, channel, [parent, *found] if parent else found)


async def members(parts: Parts, params: Params) -> Json:
    """conversations.members"""
    channel = visible_channel(parts, params.required("channel"))
    need_for(parts, channel, "read")
    ids, metadata = page(parts, params, channel.members)
    return answer(members=ids, response_metadata=metadata)


async def list_(parts: Parts, params: Params) -> Json:
    """conversations.list: every public channel, and the private ones the bot is in."""
    found = [
        channel
        for channel in _of_types(parts, params)
        if channel.kind == "public_channel" or parts.bot_user_id in channel.members
    ]
    return _channels(parts, params, found)


async def of_user(parts: Parts, params: Params) -> Json:
    """users.conversations: those that someone is in, as far as the bot may know."""
    user_id = params.text("user") or parts.bot_user_id
    known_user(parts, user_id)
    found = [
        channel
        for channel in _of_types(parts, params)
        if user_id in channel.members and (channel.kind == "public_channel" or parts.bot_user_id in channel.members)
    ]
    return _channels(parts, params, found)


async def open_(parts: Parts, params: Params) -> Json:
    """conversations.open: a direct message with one person."""
    channel_id = params.text("channel")
    if channel_id:
        channel = visible_channel(parts, channel_id)
        if not channel.is_im:
            raise SlackRefusal("method_not_supported_for_channel_type")
        return answer(channel=_opened(parts, params, channel), no_op=True, already_open=True)
    users = [user for user in (params.text("users") or "").split(",") if user]
    if not users:
        raise SlackRefusal("users_list_not_supplied")
    if len(users) > 1:
        # Slack would open a group message; the playground has none.
        raise SlackRefusal("method_not_supported_for_channel_type")
    user = known_user(parts, users[0])
    if user.is_bot:
        raise SlackRefusal("cannot_dm_bot")
    if user.deleted:
        raise SlackRefusal("user_disabled")
    already = any(c.user == user.id for c in parts.workspace.channels.values())
    channel = parts.workspace.dm(user.id)
    result = answer(channel=_opened(parts, params, channel))
    return result | {"no_op": True, "already_open": True} if already else result


def _opened(parts: Parts, params: Params, channel: Channel) -> Json:
    if params.flag("return_im"):
        return channel_object(channel, parts.bot_user_id, parts.settings)
    return {"id": channel.id}


def _channel_to_read(parts: Parts, params: Params) -> Channel:
    channel = visible_channel(parts, params.required("channel"))
    need_for(parts, channel, "history")
    if parts.bot_user_id not in channel.members:
        raise SlackRefusal("not_in_channel")
    return channel


def _within(params: Params, messages: Iterable[Message]) -> list[Message]:
    oldest, latest = params.text("oldest") or "0", params.text("latest")
    inclusive = params.flag("inclusive")

    def fits(ts: str) -> bool:
        after = float(ts) >= float(oldest) if inclusive else float(ts) > float(oldest)
        if latest is None:
            return after
        return after and (float(ts) <= float(latest) if inclusive else float(ts) < float(latest))

    try:
        return [m for m in messages if fits(m.ts)]
    except ValueError:
        raise SlackRefusal("invalid_ts_latest") from None


def _messages(parts: Parts, params: Params, channel: Channel, messages: list[Message]) -> Json:
    found, metadata = page(parts, params, messages, most=999)
    with_metadata = params.flag("include_all_metadata")
    return answer(
        messages=[message_object(m, channel, parts.settings, with_metadata=with_metadata) for m in found],
        has_more=bool(metadata["next_cursor"]),
        response_metadata=metadata,
    )


def _of_types(parts: Parts, params: Params) -> list[Channel]:
    types = [kind.strip() for kind in (params.text("types") or "public_channel").split(",")]
    for kind in types:
        if kind not in _SCOPE_OF_TYPE:
            raise SlackRefusal("invalid_types")
        need(parts, _SCOPE_OF_TYPE[kind])
    hide_archived = params.flag("exclude_archived")
    return [c for c in parts.workspace.channels.values() if c.kind in types and not (hide_archived and c.is_archived)]


def _channels(parts: Parts, params: Params, channels: list[Channel]) -> Json:
    found, metadata = page(parts, params, channels)
    shapes = [channel_object(channel, parts.bot_user_id, parts.settings) for channel in found]
    return answer(channels=shapes, response_metadata=metadata)


METHODS = {
    "conversations.info": Method(info, _READ),
    "conversations.history": Method(history, _HISTORY),
    "conversations.replies": Method(replies, _HISTORY),
    "conversations.members": Method(members, _READ),
    "conversations.list": Method(list_, _READ),
    "conversations.open": Method(open_, ("im:write",)),
    "users.conversations": Method(of_user, _READ),
}
