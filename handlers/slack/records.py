"""What Slack's Web API tells about people, channels and messages, as values of ours. Pure.

Where a fact that opens a door is missing, it is read as the closed one; where a fact that closes one is missing,
Slack's documentation decides. Malformed answers raise ``BadAnswer``, never anything else.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.people import Channel, Person

_ADDRESS = re.compile(r"https://[a-z0-9-]+(?:\.[a-z0-9-]+)+/", re.ASCII)
SLACKBOT = "USLACKBOT"  # Slack's own bot, whose record does not say that it is one


class BadAnswer(ValueError):
    """Slack's answer does not have the documented shape."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are in Slack. ``scopes``: what the token may do, as the answer's header has it."""

    team_id: str
    enterprise_id: str | None
    user_id: str
    bot_id: str
    scopes: frozenset[str] = frozenset()
    address: str | None = None
    """Where the workspace is in the browser, with a slash at the end."""

    @property
    def home(self) -> str:
        """What people must belong to: the organisation on Enterprise Grid, the workspace elsewhere."""
        return self.enterprise_id or self.team_id


@dataclass(frozen=True, slots=True)
class Sighting:
    """A message of our own bot, found in Slack, with its blocks and its metadata (empty if it has none)."""

    channel: str
    ts: str
    event_type: str = ""
    event_payload: Mapping[str, Any] = field(default_factory=dict)
    blocks: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class DoNotDisturb:
    """When a person wants no notifications: spans of Unix seconds, from and until."""

    spans: tuple[tuple[float, float], ...] = ()

    def holds(self, at: datetime) -> bool:
        """Whether a message at this time would make no phone buzz."""
        return any(start <= at.timestamp() < end for start, end in self.spans)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; ``cursor`` leads to the next, None after the last."""

    rows: list[Mapping[str, Any]]
    cursor: str | None


def identity_of(answer: Mapping[str, Any], scopes: str | None) -> Identity:
    """Read auth.test's answer and the header that lists the scopes."""
    enterprise, address = answer.get("enterprise_id"), answer.get("url")
    return Identity(
        team_id=text(answer, "team_id"),
        enterprise_id=enterprise if isinstance(enterprise, str) and enterprise else None,
        user_id=text(answer, "user_id"),
        bot_id=text(answer, "bot_id"),
        scopes=frozenset(scope.strip() for scope in (scopes or "").split(",") if scope.strip()),
        address=address if isinstance(address, str) and _ADDRESS.fullmatch(address) else None,
    )


def person_of(user: Mapping[str, Any], home: Identity) -> Person:
    """Read a user object. On Enterprise Grid a person's team is the organisation: ``team_id`` may name any part."""
    profile = user.get("profile")
    names = [profile.get("display_name"), profile.get("real_name")] if isinstance(profile, Mapping) else []
    identifier = text(user, "id")
    zone = user.get("tz")
    return Person(
        id=identifier,
        team_id=_team_of(user, home),
        name=next((name for name in [*names, user.get("name")] if isinstance(name, str) and name), identifier),
        is_deactivated=bool(user.get("deleted")),
        is_bot=bool(user.get("is_bot")) or bool(user.get("is_workflow_bot")) or identifier == SLACKBOT,
        is_guest=bool(user.get("is_restricted")) or bool(user.get("is_ultra_restricted")),
        is_stranger=bool(user.get("is_stranger")),
        zone=zone if isinstance(zone, str) and zone else "UTC",
    )


def _team_of(user: Mapping[str, Any], home: Identity) -> str:
    if home.enterprise_id is None:
        return text(user, "team_id")
    enterprise_user = user.get("enterprise_user")
    enterprise = enterprise_user.get("enterprise_id") if isinstance(enterprise_user, Mapping) else None
    return enterprise if isinstance(enterprise, str) else text(user, "team_id")


def channel_of(channel: Mapping[str, Any], home: Identity) -> Channel:
    """Read a conversation object. Shared means with another company; being shared within one's own is not."""
    return Channel(
        id=text(channel, "id"),
        is_private=bool(channel.get("is_private")) or bool(channel.get("is_im")) or bool(channel.get("is_mpim")),
        is_shared=_is_shared(channel, home),
        is_archived=bool(channel.get("is_archived")),
        is_member=bool(channel.get("is_member")),
    )


def _is_shared(channel: Mapping[str, Any], home: Identity) -> bool:
    if any(
        channel.get(flag)
        for flag in ("is_ext_shared", "is_pending_ext_shared", "pending_shared", "pending_connected_team_ids")
    ):
        return True
    ours = {home.team_id, home.enterprise_id, *_texts(channel.get("internal_team_ids"))}
    if set(_texts(channel.get("connected_team_ids"))) - ours:
        return True
    # Within an organisation the list names its own workspaces, and is_ext_shared has the last word.
    return not channel.get("is_org_shared") and bool(set(_texts(channel.get("shared_team_ids"))) - ours)


def own_sighting(channel: str, message: Mapping[str, Any], home: Identity) -> Sighting | None:
    """Read a message of a channel's history; None unless our own bot wrote it."""
    if message.get("bot_id") != home.bot_id and message.get("user") != home.user_id:
        return None
    found, metadata = message.get("blocks"), message.get("metadata")
    blocks = tuple(block for block in found if isinstance(block, Mapping)) if isinstance(found, list) else ()
    if not isinstance(metadata, Mapping):
        return Sighting(channel, text(message, "ts"), blocks=blocks)
    payload = metadata.get("event_payload")
    return Sighting(
        channel,
        text(message, "ts"),
        str(metadata.get("event_type", "")),
        payload if isinstance(payload, Mapping) else {},
        blocks,
    )


def text(answer: Mapping[str, Any], key: str) -> str:
    """Return a text that must be there."""
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise BadAnswer(f"{key} is missing")
    return value


def table(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object that must be there."""
    value = answer.get(key)
    if not isinstance(value, Mapping):
        raise BadAnswer(f"{key} is missing")
    return value


def rows(answer: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return a list of objects that must be there."""
    value = answer.get(key)
    if not isinstance(value, list):
        raise BadAnswer(f"{key} is missing")
    return [row for row in value if isinstance(row, Mapping)]


def next_cursor(answer: Mapping[str, Any]) -> str | None:
    """Return where the next page of a listing starts; None on the last."""
    metadata = answer.get("response_metadata")
    cursor = metadata.get("next_cursor") if isinstance(metadata, Mapping) else None
    return cursor if isinstance(cursor, str) and cursor else None


def texts(answer: Mapping[str, Any], key: str) -> list[str]:
    """Return a list of texts that must be there."""
    value = answer.get(key)
    if not isinstance(value, list):
        raise BadAnswer(f"{key} is missing")
    return _texts(value)


def do_not_disturb_of(answer: Mapping[str, Any]) -> DoNotDisturb:
    """Read dnd.info's answer: the quiet hours that come next or run, and a snooze."""
    spans = []
    if answer.get("dnd_enabled"):
        spans.append((_seconds(answer, "next_dnd_start_ts"), _seconds(answer, "next_dnd_end_ts")))
    if answer.get("snooze_enabled"):
        spans.append((0.0, _seconds(answer, "snooze_endtime")))
    return DoNotDisturb(tuple(spans))


def _seconds(answer: Mapping[str, Any], key: str) -> float:
    value = answer.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def view_id_of(answer: Mapping[str, Any]) -> str:
    """Read the id of a view that was opened."""
    return text(table(answer, "view"), "id")


def is_older(messages: Sequence[Mapping[str, Any]], than: datetime) -> bool:
    """Whether the last of some messages, newest first, is older than a time. Slack's ``ts`` is seconds since 1970."""
    if not messages:
        return False
    try:
        return float(text(messages[-1], "ts")) < than.timestamp()
    except ValueError:
        return False


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
