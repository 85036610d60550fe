"""Who a message mentions. Pure: blocks and text in, ids out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from playground.model import Message

_TOKEN = re.compile(r"<(?:@([UW][A-Z0-9]+)|!subteam\^(S[A-Z0-9]+)|!(channel|here|everyone))(?:[|^][^>]*)?>")


@dataclass
class Mentions:
    """User ids, user group ids, and whether the whole channel is meant."""

    users: set[str] = field(default_factory=set)
    usergroups: set[str] = field(default_factory=set)
    everyone: bool = False


def mentioned_in(message: Message) -> Mentions:
    """Whom a message mentions.

    When there are blocks, only they count: the text is then a fallback that nobody is shown, and a
    mention that is only there makes no phone buzz.
    """
    mentions = Mentions()
    if message.blocks:
        _walk(message.blocks, mentions)
    else:
        _scan(message.text, mentions)
    return mentions


def _walk(value: Any, mentions: Mentions) -> None:
    if isinstance(value, list):
        for item in value:
            _walk(item, mentions)
    elif isinstance(value, dict):
        kind = value.get("type")
        if kind == "user":
            mentions.users.add(str(value.get("user_id")))
        elif kind == "usergroup":
            mentions.usergroups.add(str(value.get("usergroup_id")))
        elif kind == "broadcast":
            mentions.everyone = True
        elif kind in ("mrkdwn", "markdown"):
            _scan(str(value.get("text", "")), mentions)
        elif kind != "plain_text":
            for item in value.values():
                _walk(item, mentions)


def _scan(text: str, mentions: Mentions) -> None:
    for user, group, broadcast in _TOKEN.findall(text):
        if user:
            mentions.users.add(user)
        if group:
            mentions.usergroups.add(group)
        if broadcast:
            mentions.everyone = True
