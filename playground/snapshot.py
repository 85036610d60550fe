"""What one person's page shows: the whole workspace through their eyes, as JSON. Reads, changes nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from playground.agent import rfc3339
from playground.connected import Connected
from playground.looks import Looks
from playground.model import Channel, Json, Message, User
from playground.shapes import view_object

# A page shows no more of a channel than this; older messages are there but not sent.
MESSAGES_MOST = 300

PAGE_FAULTS: tuple[Json, ...] = (
    {
        "key": "pace",
        "label": "Slack's own pace",
        "explain": "One new message a second in a channel, the next gets 429.",
    },
    {"key": "429", "label": "Too many requests", "explain": "Slack answers every call with 429 and Retry-After."},
    {"key": "500", "label": "Server errors", "explain": "Slack answers every call with an error page."},
    {"key": "drop", "label": "Calls do not arrive", "explain": "The connection breaks before Slack does anything."},
    {"key": "lost", "label": "Answers get lost", "explain": "Slack does it, but its answer never arrives."},
    {"key": "is_archived", "label": "Channels archived", "explain": "Nothing can be posted to any channel."},
    {"key": "dead", "label": "Slack is down", "explain": "Nothing answers, and no click reaches the bot."},
)


def snapshot(looks: Looks, viewer: User, connected: Connected, *, since: str = "") -> Json:
    """Everything this person's page draws. Ephemeral messages older than `since` (a `ts`) are gone, as they
    are from a Slack client that was loaded anew.
    """
    workspace, settings = looks.workspace, looks.settings
    console, clock = connected.console, connected.clock
    home = looks.home(viewer.id)
    kinds: set[str] = {fault.kind for fault in looks.faults.active} | ({"pace"} if looks.pacing.enforced else set())
    channels = [c for c in workspace.channels.values() if viewer.id in c.members]
    return {
        "type": "state",
        "team": {"id": settings.team_id, "name": settings.team_name},
        "me": _user(viewer),
        "users": [_user(user) for user in workspace.users.values()],
        "usergroups": [
            {"id": group.id, "handle": group.handle, "name": group.name}
            for group in workspace.usergroups.values()
            if not group.deleted
        ],
        "channels": [_channel(looks, channel, viewer, since) for channel in channels],
        "home": {"id": home.id, "blocks": home.blocks, "state": {"values": home.values}} if home else None,
        "modals": [view_object(view, settings) for view in looks.modals(viewer.id)],
        "faults": {
            "available": list(PAGE_FAULTS),
            "active": [fault["key"] for fault in PAGE_FAULTS if fault["key"] in kinds],
        },
        "agent": {
            "ready": console is not None,
            "names": list(console.agents) if console else [],
            "presets": [preset.shape() for preset in console.presets.values()] if console else [],
            "runs": [run.shape() for run in console.runs] if console else [],
        },
        "commands": list(settings.commands),
        "clock": {"ahead_seconds": int(clock.ahead.total_seconds())} if clock else None,
        "now": rfc3339(workspace.now()),
    }


def _user(user: User) -> Json:
    names = "id name real_name title is_bot deleted is_restricted is_ultra_restricted is_stranger team_id tz"
    return {name: getattr(user, name) for name in names.split()}


def _channel(looks: Looks, channel: Channel, viewer: User, since: str) -> Json:
    unread, mentions = looks.workspace.unread(channel, viewer.id)
    shown: list[Message] = [
        *channel.messages.values(),
        *(m for m in looks.ephemerals(viewer.id, channel.id) if m.ts >= since),
    ]
    shown.sort(key=lambda message: message.ts)
    replies = Counter(message.thread_ts for message in channel.messages.values() if message.is_reply)
    shape: dict[str, Any] = {
        "id": channel.id,
        "name": channel.name,
        "kind": "dm" if channel.is_im else "channel",
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "is_ext_shared": channel.is_ext_shared,
        "unread": unread,
        "mentions": mentions,
        "messages": [_message(message, replies[message.ts], viewer) for message in shown[-MESSAGES_MOST:]],
    }
    if channel.is_im:
        shape |= {"user": looks.bot_user_id, "name": looks.settings.bot_name}
    if channel.topic:
        shape["topic"] = channel.topic
    return shape


def _message(message: Message, replies: int, viewer: User) -> Json:
    shape: Json = {
        "ts": message.ts,
        "user": message.user,
        "bot": message.bot,
        "text": message.text,
        # Slack marks an edited message only when it is drawn from its text.
        "edited": message.edited is not None and not message.blocks,
        "ephemeral": message.ephemeral,
        "notified": viewer.id in message.notified,
        "reply_count": replies,
    }
    if message.blocks:
        shape["blocks"] = message.blocks
    if message.thread_ts:
        shape["thread_ts"] = message.thread_ts
    return shape
