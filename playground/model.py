"""The things in a workspace: people, channels, user groups, messages, views.

Plain values with what can be read off them. They are changed through the workspace (workspace.py,
views.py), which tells those who wait; nothing here sends, checks or answers anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass
class User:
    """A person or a bot, with the fields of Slack's user object that a bot may judge by."""

    id: str
    name: str
    team_id: str
    real_name: str = ""
    email: str | None = None
    title: str = ""
    tz: str = "Europe/London"
    deleted: bool = False
    is_bot: bool = False
    is_admin: bool = False
    is_owner: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    enterprise_id: str | None = None
    """Set for people of an Enterprise Grid; their `enterprise_user` object is made of it."""
    enterprise_user_id: str | None = None
    """The person's id within the organisation; the user id when None."""
    dnd: bool = False
    """Whether Do Not Disturb is on right now."""


@dataclass
class UserGroup:
    """A user group, such as @finance."""

    id: str
    handle: str
    name: str
    users: list[str] = field(default_factory=list)
    deleted: bool = False
    """Whether the group is disabled."""


@dataclass
class Revision:
    """What a message looked like before an edit."""

    text: str
    blocks: list[Json]
    at: datetime


@dataclass
class Message:
    """One message, ephemeral or not."""

    ts: str
    channel: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    bot: bool = False
    thread_ts: str | None = None
    metadata: Json | None = None
    edited: str | None = None
    """The `ts` of the last edit."""
    visible_to: str | None = None
    """For an ephemeral message: the one person who sees it."""
    notified: set[str] = field(default_factory=set)
    """Whom it notified when it was posted. An edit notifies nobody."""
    revisions: list[Revision] = field(default_factory=list)
    broadcast: bool = False
    """A thread reply that is shown in the channel too."""

    @property
    def ephemeral(self) -> bool:
        return self.visible_to is not None

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts

    def all_text(self) -> str:
        """Everything a reader sees: the blocks' texts, or the fallback text where there are none."""
        return "\n".join(texts_of(self.blocks)) if self.blocks else self.text

    def action_ids(self) -> list[str]:
        """The action ids of its elements, in order."""
        return [element["action_id"] for _, element in elements_of(self.blocks)]

    def element(self, action_id: str, block_id: str | None = None) -> Json:
        """The element with this action id; LookupError if there is none."""
        return find_element(self.blocks, action_id, block_id)[1]


@dataclass
class Channel:
    """A channel, or a direct message between the bot and one person (`user`)."""

    id: str
    name: str
    created: int
    is_private: bool = False
    is_archived: bool = False
    is_ext_shared: bool = False
    is_pending_ext_shared: bool = False
    is_org_shared: bool = False
    shared_team_ids: list[str] = field(default_factory=list)
    pending_shared: list[str] = field(default_factory=list)
    topic: str = ""
    purpose: str = ""
    user: str | None = None
    """The person on the other end, for a direct message."""
    members: list[str] = field(default_factory=list)
    messages: dict[str, Message] = field(default_factory=dict)
    last_read: dict[str, str] = field(default_factory=dict)
    """Who has read up to which `ts`."""

    @property
    def is_im(self) -> bool:
        return self.user is not None

    @property
    def kind(self) -> str:
        """Slack's word for it: `im`, `private_channel` or `public_channel`."""
        if self.is_im:
            return "im"
        return "private_channel" if self.is_private else "public_channel"


@dataclass
class View:
    """A modal or a Home tab as Slack keeps it."""

    id: str
    user: str
    type: str
    blocks: list[Json]
    hash: str
    title: Json | None = None
    submit: Json | None = None
    close: Json | None = None
    callback_id: str = ""
    private_metadata: str = ""
    external_id: str = ""
    clear_on_close: bool = False
    notify_on_close: bool = False
    root_view_id: str = ""
    previous_view_id: str | None = None
    values: dict[str, dict[str, Json]] = field(default_factory=dict)
    """What the person has put in so far: Slack's `state.values`."""

    def all_text(self) -> str:
        """Everything a reader sees, the title first."""
        head = [part["text"] for part in (self.title,) if part]
        return "\n".join([*head, *texts_of(self.blocks)])

    def action_ids(self) -> list[str]:
        """The action ids of its elements, in order."""
        return [element["action_id"] for _, element in elements_of(self.blocks)]

    def element(self, action_id: str, block_id: str | None = None) -> Json:
        """The element with this action id; LookupError if there is none."""
        return find_element(self.blocks, action_id, block_id)[1]


def elements_of(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every interactive element with the block it sits in, in the order a reader meets them."""
    for block in blocks:
        candidates = [block.get("accessory"), block.get("element"), *(block.get("elements") or [])]
        for candidate in candidates:
            if isinstance(candidate, dict) and isinstance(candidate.get("action_id"), str):
                yield block, candidate


def find_element(blocks: list[Json], action_id: str, block_id: str | None) -> tuple[Json, Json]:
    """The block and element with this action id (and block id, if given); LookupError if none."""
    for block, element in elements_of(blocks):
        if element["action_id"] == action_id and block_id in (None, block.get("block_id")):
            return block, element
    raise LookupError(f"no element {action_id!r} in {[e['action_id'] for _, e in elements_of(blocks)]}")


def texts_of(value: Any) -> Iterator[str]:
    """The strings of a block structure that are shown to a reader, in order."""
    if isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, dict):
        kind = value.get("type")
        if kind == "link":
            yield str(value.get("text") or value.get("url") or "")
        elif kind == "user":
            yield f"<@{value.get('user_id')}>"
        elif kind == "usergroup":
            yield f"<!subteam^{value.get('usergroup_id')}>"
        elif kind == "broadcast":
            yield f"<!{value.get('range')}>"
        elif kind == "channel":
            yield f"<#{value.get('channel_id')}>"
        elif kind == "emoji":
            yield f":{value.get('name')}:"
        elif kind == "date":
            yield str(value.get("fallback") or value.get("timestamp"))
        elif kind in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
            yield "".join(texts_of(value.get("elements")))
        elif isinstance(value.get("text"), str):
            yield value["text"]
        else:
            for key, item in value.items():
                if key not in ("value", "action_id", "block_id", "type", "style", "url", "confirm"):
                    yield from texts_of(item)
