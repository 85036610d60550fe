"""The workspace's things in the shapes Slack's Web API and payloads give them. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from playground.model import Channel, Json, Message, User, UserGroup, View
from playground.settings import PlaygroundSettings

# Slack names at most this many people in the summary of a thread.
_REPLY_USERS = 5


def user_object(user: User, now: datetime, *, with_email: bool = True) -> Json:
    """Slack's user object. For a deactivated user Slack leaves most flags out, and so does this."""
    profile: Json = {
        "title": user.title,
        "phone": "",
        "real_name": user.real_name,
        "real_name_normalized": user.real_name,
        "display_name": user.name,
        "display_name_normalized": user.name,
        "status_text": "",
        "status_emoji": "",
        "team": user.team_id,
    }
    if with_email and user.email and not user.is_bot:
        profile["email"] = user.email
    shape: Json = {
        "id": user.id,
        "team_id": user.team_id,
        "name": user.name,
        "deleted": user.deleted,
        "profile": profile,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "updated": 1,
    }
    if user.is_stranger:
        shape["is_stranger"] = True
    if user.enterprise_id:
        shape["enterprise_user"] = {
            "id": user.enterprise_user_id or user.id,
            "enterprise_id": user.enterprise_id,
            "enterprise_name": user.enterprise_id,
            "is_admin": user.is_admin,
            "is_owner": user.is_owner,
            "teams": [user.team_id],
        }
    if not user.deleted:
        shape |= {
            "real_name": user.real_name,
            "tz": user.tz,
            "tz_label": user.tz,
            "tz_offset": _tz_offset_seconds(user.tz, now),
            "color": "9f69e7",
            "is_admin": user.is_admin,
            "is_owner": user.is_owner,
            "is_primary_owner": False,
            "is_restricted": user.is_restricted,
            "is_ultra_restricted": user.is_ultra_restricted,
            "is_email_confirmed": True,
        }
    return shape


def _tz_offset_seconds(name: str, now: datetime) -> int:
    try:
        offset = now.astimezone(ZoneInfo(name)).utcoffset()
    except ZoneInfoNotFoundError:
        # A machine without the time zone data.
        return 0
    return int(offset.total_seconds()) if offset else 0


def channel_object(channel: Channel, viewer: str, settings: PlaygroundSettings) -> Json:
    """Slack's conversation object, as this viewer is told it."""
    shape: Json = {
        "id": channel.id,
        "created": channel.created,
        "is_archived": channel.is_archived,
        "is_im": channel.is_im,
        "is_org_shared": channel.is_org_shared,
        "context_team_id": settings.team_id,
        "updated": channel.created * 1000,
    }
    if channel.is_im:
        return shape | {
            "user": channel.user,
            "is_user_deleted": False,
            "is_open": True,
            "priority": 0,
        }
    shared = channel.is_ext_shared or channel.is_org_shared
    return shape | {
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_general": False,
        "unlinked": 0,
        "creator": channel.members[0] if channel.members else "",
        "is_shared": shared,
        "is_ext_shared": channel.is_ext_shared,
        "is_pending_ext_shared": channel.is_pending_ext_shared,
        "pending_shared": channel.pending_shared,
        "shared_team_ids": [settings.team_id, *channel.shared_team_ids],
        "pending_connected_team_ids": channel.pending_shared,
        "is_member": viewer in channel.members,
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": channel.purpose, "creator": "", "last_set": 0},
        "previous_names": [],
    }


def message_object(message: Message, channel: Channel, settings: PlaygroundSettings, *, with_metadata: bool) -> Json:
    """Slack's message object; a thread's first message carries the thread's summary."""
    shape: Json = {
        "user": message.user,
        "type": "message",
        "ts": message.ts,
        "text": message.text,
        "team": settings.team_id,
    }
    if message.bot:
        shape |= {
            "bot_id": settings.bot_id,
            "app_id": settings.app_id,
            "bot_profile": {
                "id": settings.bot_id,
                "app_id": settings.app_id,
                "name": settings.bot_name,
                "deleted": False,
                "updated": 1,
                "team_id": settings.team_id,
            },
        }
    if message.blocks:
        shape["blocks"] = message.blocks
    if message.attachments:
        shape["attachments"] = message.attachments
    if message.edited:
        shape["edited"] = {"user": message.user, "ts": message.edited}
    if message.metadata and with_metadata:
        shape["metadata"] = message.metadata
    if message.is_reply:
        shape["thread_ts"] = message.thread_ts
        if (parent := channel.messages.get(message.thread_ts or "")) is not None:
            shape["parent_user_id"] = parent.user
        if message.broadcast:
            shape["subtype"] = "thread_broadcast"
    elif replies := replies_to(channel, message.ts):
        shape |= {
            "thread_ts": message.ts,
            "reply_count": len(replies),
            "reply_users_count": len({r.user for r in replies}),
            "latest_reply": replies[-1].ts,
            "reply_users": list(dict.fromkeys(r.user for r in replies))[:_REPLY_USERS],
            "is_locked": False,
            "subscribed": False,
        }
    return shape


def replies_to(channel: Channel, thread_ts: str) -> list[Message]:
    """The replies of a thread, oldest first, without the message they answer."""
    return [m for m in channel.messages.values() if m.thread_ts == thread_ts and m.ts != thread_ts]


def usergroup_object(group: UserGroup, settings: PlaygroundSettings, *, with_users: bool) -> Json:
    """Slack's user group object."""
    shape: Json = {
        "id": group.id,
        "team_id": settings.team_id,
        "is_usergroup": True,
        "is_subteam": True,
        "name": group.name,
        "description": "",
        "handle": group.handle,
        "is_external": False,
        "date_create": 1,
        "date_update": 1,
        "date_delete": 1 if group.deleted else 0,
        "auto_type": None,
        "created_by": "",
        "updated_by": "",
        "deleted_by": None,
        "prefs": {"channels": [], "groups": []},
        "user_count": len(group.users),
    }
    if with_users:
        shape["users"] = list(group.users)
    return shape


def view_object(view: View, settings: PlaygroundSettings) -> Json:
    """Slack's view object, with what the person has put in."""
    shape: Json = {
        "id": view.id,
        "team_id": settings.team_id,
        "type": view.type,
        "blocks": view.blocks,
        "private_metadata": view.private_metadata,
        "callback_id": view.callback_id,
        "state": {"values": view.values},
        "hash": view.hash,
        "title": view.title,
        "clear_on_close": view.clear_on_close,
        "notify_on_close": view.notify_on_close,
        "close": view.close,
        "submit": view.submit,
        "previous_view_id": view.previous_view_id,
        "root_view_id": view.root_view_id,
        "app_id": settings.app_id,
        "external_id": view.external_id,
        "app_installed_team_id": settings.team_id,
        "bot_id": settings.bot_id,
    }
    return shape


def team_object(settings: PlaygroundSettings) -> Json:
    """The `team` of an interaction payload."""
    shape: dict[str, Any] = {"id": settings.team_id, "domain": settings.team_domain}
    if settings.enterprise_id:
        shape |= {"enterprise_id": settings.enterprise_id, "enterprise_name": settings.enterprise_id}
    return shape
