"""The workspace: its people, channels, user groups and messages, and the one way to change them.

Every change goes through a method here (or in views.py) and fires `changes`, so that those who wait
and the pages that watch learn of it. Knows nothing of HTTP, tokens or the app.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from playground.changes import Signal
from playground.errors import NotThere
from playground.mentions import mentioned_in
from playground.model import Channel, Json, Message, Revision, User, UserGroup
from playground.settings import PlaygroundSettings

T = TypeVar("T")

# Slack's documented cut for a message's text, in characters.
TEXT_CUT = 40_000


class Workspace:
    """People, channels, user groups and messages of one team."""

    def __init__(self, settings: PlaygroundSettings, changes: Signal) -> None:
        self.settings = settings
        self.changes = changes
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.usergroups: dict[str, UserGroup] = {}
        self.ephemeral_messages: list[Message] = []
        self.free_plan = settings.free_plan
        self._last_ts: dict[str, int] = {}
        self.add_user(settings.bot_user_id, name=settings.bot_name, is_bot=True)

    # People and user groups

    def add_user(self, user_id: str, *, name: str | None = None, **fields: Any) -> User:
        """Adds a person (or a bot, `is_bot=True`). `fields` are those of `User`."""
        if user_id in self.users:
            raise ValueError(f"there is a user {user_id} already")
        name = name or user_id.removeprefix("U0").lower()
        fields.setdefault("real_name", name.replace(".", " ").title())
        if not fields.get("is_bot"):
            fields.setdefault("email", f"{name}@example.com")
        fields.setdefault("team_id", self.settings.team_id)
        if self.settings.enterprise_id and fields["team_id"] == self.settings.team_id:
            fields.setdefault("enterprise_id", self.settings.enterprise_id)
        user = User(id=user_id, name=name, **fields)
        self.users[user_id] = user
        self.changes.fire()
        return user

    def change_user(self, user_id: str, **fields: Any) -> User:
        """Changes fields of a person: `deleted`, `is_restricted`, `team_id`, `dnd`, ..."""
        return self._change(self.user(user_id), fields)

    def user(self, user_id: str) -> User:
        """The person; NotThere if there is none."""
        try:
            return self.users[user_id]
        except KeyError:
            raise NotThere(f"there is no user {user_id}") from None

    def add_usergroup(
        self, group_id: str, *, handle: str, users: Iterable[str] = (), name: str | None = None
    ) -> UserGroup:
        """Adds a user group."""
        group = UserGroup(id=group_id, handle=handle, name=name or handle.title(), users=list(users))
        self.usergroups[group_id] = group
        self.changes.fire()
        return group

    def set_usergroup_users(self, group_id: str, users: Iterable[str]) -> UserGroup:
        """Replaces the people of a user group."""
        return self._change(self.usergroups[group_id], {"users": list(users)})

    def change_usergroup(self, group_id: str, **fields: Any) -> UserGroup:
        """Changes fields of a user group: `deleted`, `handle`, `name`."""
        return self._change(self.usergroups[group_id], fields)

    # Channels

    def add_channel(
        self, channel_id: str, *, name: str | None = None, members: Iterable[str] = (), **fields: Any
    ) -> Channel:
        """Adds a channel. `fields` are those of `Channel`."""
        if channel_id in self.channels:
            raise ValueError(f"there is a channel {channel_id} already")
        name = name or channel_id.removeprefix("C0").lower()
        channel = Channel(
            id=channel_id,
            name=name,
            created=int(self.settings.now().timestamp()),
            members=list(members),
            **fields,
        )
        self.channels[channel_id] = channel
        self.changes.fire()
        return channel

    def change_channel(self, channel_id: str, **fields: Any) -> Channel:
        """Changes fields of a channel: `is_archived`, `is_private`, `is_ext_shared`, ..."""
        return self._change(self.channel(channel_id), fields)

    def remove_channel(self, channel_id: str) -> None:
        """Deletes a channel with everything in it."""
        self.channel(channel_id)
        del self.channels[channel_id]
        self.changes.fire()

    def invite(self, channel_id: str, user_id: str) -> None:
        """Makes someone a member; once is enough."""
        channel = self.channel(channel_id)
        if user_id not in channel.members:
            channel.members.append(user_id)
            self.changes.fire()

    def kick(self, channel_id: str, user_id: str) -> None:
        """Takes someone out of a channel."""
        channel = self.channel(channel_id)
        if user_id in channel.members:
            channel.members.remove(user_id)
            self.changes.fire()

    def channel(self, channel_id: str) -> Channel:
        """The channel; for a user's id, the direct message with them. NotThere if there is none."""
        if channel_id in self.channels:
            return self.channels[channel_id]
        for channel in self.channels.values():
            if channel.user is not None and channel.user == channel_id:
                return channel
        raise NotThere(f"there is no channel {channel_id}")

    def dm(self, user_id: str) -> Channel:
        """The direct message between the bot and this person, opened if it was not."""
        user = self.user(user_id)
        for channel in self.channels.values():
            if channel.user == user.id:
                return channel
        return self.add_channel(
            f"D{user.id[1:]}", name=user.name, user=user.id, members=[user.id, self.settings.bot_user_id]
        )

    # Messages

    def post(
        self,
        channel: Channel,
        *,
        user: str,
        text: str,
        blocks: list[Json] | None = None,
        attachments: list[Json] | None = None,
        bot: bool = False,
        thread_ts: str | None = None,
        metadata: Json | None = None,
        visible_to: str | None = None,
        broadcast: bool = False,
    ) -> Message:
        """Puts a message into a channel, or, with `visible_to`, before one person's eyes."""
        message = Message(
            ts=self._next_ts(channel.id),
            channel=channel.id,
            user=user,
            text=text[:TEXT_CUT],
            blocks=blocks or [],
            attachments=attachments or [],
            bot=bot,
            thread_ts=thread_ts,
            metadata=metadata,
            visible_to=visible_to,
            broadcast=broadcast,
        )
        if visible_to is not None:
            self.ephemeral_messages.append(message)
        else:
            message.notified = self._whom_to_notify(channel, message)
            channel.messages[message.ts] = message
            if user in self.users and not bot:
                channel.last_read[user] = message.ts
        self.changes.fire()
        return message

    def edit(self, message: Message, **changed: Any) -> None:
        """Changes a message's text, blocks, attachments or metadata. Notifies nobody."""
        message.revisions.append(Revision(text=message.text, blocks=message.blocks, at=self.settings.now()))
        message.edited = self._next_ts(message.channel)
        self._change(message, changed)

    def delete(self, message: Message) -> None:
        """Takes a message away. Its thread's replies stay, as they do in Slack."""
        if message.ephemeral:
            self.ephemeral_messages.remove(message)
        else:
            del self.channel(message.channel).messages[message.ts]
        self.changes.fire()

    def message(self, channel_id: str, ts: str) -> Message:
        """The message, ephemeral ones included; NotThere if it is gone."""
        channel = self.channel(channel_id)
        if ts in channel.messages:
            return channel.messages[ts]
        for message in self.ephemeral_messages:
            if (message.channel, message.ts) == (channel.id, ts):
                return message
        raise NotThere(f"there is no message {ts} in {channel_id}")

    def read(self, channel_id: str, user_id: str) -> None:
        """This person has seen everything in the channel so far."""
        channel = self.channel(channel_id)
        if channel.messages:
            channel.last_read[user_id] = max(channel.messages)
            self.changes.fire()

    def unread(self, channel: Channel, user_id: str) -> tuple[int, int]:
        """How many messages this person has not seen, and how many of all unseen ones notified them.

        A reply counts as unread only if it notified: an unseen thread does not make a channel bold.
        """
        seen = channel.last_read.get(user_id, "")
        unseen = [m for m in channel.messages.values() if m.ts > seen and m.user != user_id]
        mentions = sum(user_id in m.notified for m in unseen)
        return sum(not m.is_reply or m.broadcast or user_id in m.notified for m in unseen), mentions

    def now(self) -> datetime:
        """The clock people see."""
        return self.settings.now()

    # Inside

    def _change(self, thing: T, fields: dict[str, Any]) -> T:
        for key, value in fields.items():
            if key.startswith("_") or not hasattr(thing, key):
                raise TypeError(f"a {type(thing).__name__.lower()} has no {key!r}")
            setattr(thing, key, value)
        self.changes.fire()
        return thing

    def _next_ts(self, channel_id: str) -> str:
        # Microseconds since the epoch, unique and increasing in a channel even when the clock stands still.
        micros = int(self.settings.now().timestamp() * 1_000_000)
        micros = max(micros, self._last_ts.get(channel_id, 0) + 1)
        self._last_ts[channel_id] = micros
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"

    def _whom_to_notify(self, channel: Channel, message: Message) -> set[str]:
        if channel.is_im:
            people = {channel.user} if channel.user else set()
        else:
            mentions = mentioned_in(message)
            people = set(mentions.users)
            for group_id in mentions.usergroups:
                if (group := self.usergroups.get(group_id)) is not None and not group.deleted:
                    people.update(group.users)
            if mentions.everyone:
                people.update(channel.members)
            people &= set(channel.members)
        return {p for p in people if p != message.user and p in self.users and not self.users[p].deleted}


_LINK = re.compile(r"(<(?:@[UW]|#[CG]|!subteam\^S)[A-Z0-9]+(?:\|[^<>]*)?>)")


def escape_characters(text: str) -> str:
    """`&`, `<` and `>` as Slack hands on what a person typed; a mention picked from its list stays one."""
    parts = _LINK.split(text)
    for index in range(0, len(parts), 2):
        parts[index] = parts[index].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(parts)


def escape_entities(text: str, workspace: Workspace) -> str:
    """`@bob` and `#chan` as Slack hands them to a command that asks for escaping."""

    def user(match: re.Match[str]) -> str:
        for candidate in workspace.users.values():
            if candidate.name == match[1] and not candidate.deleted:
                return f"<@{candidate.id}|{candidate.name}>"
        for group in workspace.usergroups.values():
            if group.handle == match[1] and not group.deleted:
                return f"<!subteam^{group.id}|@{group.handle}>"
        return match[0]

    def channel(match: re.Match[str]) -> str:
        for candidate in workspace.channels.values():
            if candidate.name == match[1] and not candidate.is_im:
                return f"<#{candidate.id}|{candidate.name}>"
        return match[0]

    text = re.sub(r"(?<![\w<])@([\w.-]*\w)", user, text)
    return re.sub(r"(?<![\w<])#([\w-]+)", channel, text)
