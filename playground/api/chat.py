"""The chat.* methods."""

from __future__ import annotations

import contextlib
from typing import Any

from playground.api.context import Method, answer, channel_to_post, channel_to_write, known_user, visible_channel
from playground.api.params import Params
from playground.blockkit import check_message
from playground.errors import NotThere, SlackRefusal
from playground.model import Channel, Json, Message
from playground.parts import Parts
from playground.shapes import message_object
from playground.workspace import TEXT_CUT

UPDATE_TEXT_MOST = 4000
ATTACHMENTS_MOST = 100


async def post_message(parts: Parts, params: Params) -> Json:
    """chat.postMessage"""
    channel = channel_to_post(parts, params.required("channel"))
    attachments = _attachments(params)
    text, blocks = _content(params, attachments)
    metadata = _metadata(params)
    thread_ts = _thread(params, channel)
    parts.pacing.new_message(channel.id)
    message = parts.workspace.post(
        channel,
        user=parts.bot_user_id,
        text=text,
        blocks=blocks,
        attachments=attachments,
        bot=True,
        thread_ts=thread_ts,
        metadata=metadata,
        broadcast=params.flag("reply_broadcast"),
    )
    if parts.settings.message_events and parts.events.concerns_bot(channel):
        parts.spawn(parts.events.message_posted(message, channel))
    result = answer(
        channel=channel.id,
        ts=message.ts,
        message=message_object(message, channel, parts.settings, with_metadata=True),
    )
    if len(text) > TEXT_CUT:
        result |= {"warning": "message_truncated", "response_metadata": {"warnings": ["message_truncated"]}}
    return result


async def post_ephemeral(parts: Parts, params: Params) -> Json:
    """chat.postEphemeral"""
    channel = channel_to_write(parts, params.required("channel"))
    user = known_user(parts, params.required("user"))
    attachments = _attachments(params)
    text, blocks = _content(params, attachments)
    if user.id not in channel.members:
        raise SlackRefusal("user_not_in_channel")
    message = parts.workspace.post(
        channel,
        user=parts.bot_user_id,
        text=text,
        blocks=blocks,
        attachments=attachments,
        bot=True,
        thread_ts=_thread(params, channel),
        visible_to=user.id,
    )
    return answer(message_ts=message.ts)


async def update(parts: Parts, params: Params) -> Json:
    """chat.update. Without `blocks` the old ones go if there is a text, and stay if there is none."""
    channel = channel_to_write(parts, params.required("channel"))
    message = own_message(channel, parts, params.required("ts"), "cant_update_message")
    if not {"text", "blocks", "attachments"} & set(params.values):
        raise SlackRefusal("no_text")
    text = params.text("text")
    if text is not None and len(text) > UPDATE_TEXT_MOST:
        raise SlackRefusal("msg_too_long")
    changed: dict[str, Any] = {}
    attachments = _attachments(params)
    if "attachments" in params:
        changed["attachments"] = attachments
    kept_blocks = [] if text is not None else message.blocks
    given = params.structure("blocks") if "blocks" in params else None
    new_text, blocks = check_message(
        text if text is not None else message.text, given, attachments=attachments or kept_blocks
    )
    changed["text"] = new_text
    changed["blocks"] = blocks if given is not None else kept_blocks
    if "metadata" in params:
        changed["metadata"] = _metadata(params)
    before = message_object(message, channel, parts.settings, with_metadata=True)
    parts.workspace.edit(message, **changed)
    if parts.settings.message_events and parts.events.concerns_bot(channel):
        parts.spawn(parts.events.message_changed(message, channel, before))
    shape = message_object(message, channel, parts.settings, with_metadata=True)
    return answer(channel=channel.id, ts=message.ts, text=message.text, message=shape)


async def delete(parts: Parts, params: Params) -> Json:
    """chat.delete"""
    channel = visible_channel(parts, params.required("channel"))
    message = own_message(channel, parts, params.required("ts"), "cant_delete_message")
    before = message_object(message, channel, parts.settings, with_metadata=True)
    parts.workspace.delete(message)
    if parts.events.concerns_bot(channel):
        parts.spawn(parts.events.message_deleted(before, channel))
    return answer(channel=channel.id, ts=message.ts)


async def get_permalink(parts: Parts, params: Params) -> Json:
    """chat.getPermalink"""
    channel = visible_channel(parts, params.required("channel"))
    ts = params.required("message_ts")
    if ts not in channel.messages:
        raise SlackRefusal("message_not_found")
    link = f"https://{parts.settings.team_domain}.slack.com/archives/{channel.id}/p{ts.replace('.', '')}"
    thread_ts = channel.messages[ts].thread_ts
    if thread_ts and thread_ts != ts:
        link += f"?thread_ts={thread_ts}&cid={channel.id}"
    return answer(channel=channel.id, permalink=link)


def own_message(channel: Channel, parts: Parts, ts: str, refusal: str) -> Message:
    """A message the bot posted; ephemeral ones cannot be found by their `ts`."""
    message = channel.messages.get(ts)
    if message is None:
        raise SlackRefusal("message_not_found")
    if message.user != parts.bot_user_id:
        raise SlackRefusal(refusal)
    return message


def _content(params: Params, attachments: list[Json]) -> tuple[str, list[Json]]:
    markdown = params.text("markdown_text")
    if markdown is not None:
        if "text" in params or "blocks" in params:
            raise SlackRefusal("markdown_text_conflict")
        return check_message(markdown, [{"type": "markdown", "text": markdown}])
    return check_message(params.text("text"), params.structure("blocks"), attachments=attachments)


def _attachments(params: Params) -> list[Json]:
    given = params.structure("attachments")
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise SlackRefusal("invalid_attachments")
    if len(given) > ATTACHMENTS_MOST:
        raise SlackRefusal("too_many_attachments")
    return given


def _metadata(params: Params) -> Json | None:
    given = params.structure("metadata")
    if given is None or given == {}:
        return None
    payload = given.get("event_payload") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(given.get("event_type"), str) or not given["event_type"]:
        raise SlackRefusal("invalid_metadata_format")
    if not isinstance(payload, dict) or set(given) - {"event_type", "event_payload", "entities"}:
        raise SlackRefusal("invalid_metadata_schema")
    return given


def _thread(params: Params, channel: Channel) -> str | None:
    thread_ts = params.text("thread_ts")
    if not thread_ts:
        return None
    seconds, dot, micros = thread_ts.partition(".")
    if not (dot and seconds.isdigit() and micros.isdigit()):
        raise SlackRefusal("invalid_thread_ts")
    message = channel.messages.get(thread_ts)
    if message is None:
        # The thread lives on when its first message is gone, as long as it has replies.
        if not any(m.thread_ts == thread_ts for m in channel.messages.values()):
            raise SlackRefusal("thread_not_found")
        return thread_ts
    return message.thread_ts or thread_ts


async def respond(parts: Parts, key: str, body: Json) -> None:
    """A post to a response URL: a new message, or the original replaced or deleted."""
    ticket = parts.tickets.use_response_url(key)
    channel = parts.workspace.channels.get(ticket.channel)
    if channel is None:
        raise SlackRefusal("channel_not_found", status=404)
    original: Message | None = None
    if ticket.message_ts is not None:
        with contextlib.suppress(NotThere):
            original = parts.workspace.message(channel.id, ticket.message_ts)
    if body.get("delete_original") is True:
        if original is None:
            raise SlackRefusal("message_not_found", status=404)
        before = message_object(original, channel, parts.settings, with_metadata=True)
        parts.workspace.delete(original)
        if not original.ephemeral and parts.events.concerns_bot(channel):
            parts.spawn(parts.events.message_deleted(before, channel))
        return
    kind = body.get("response_type", "ephemeral")
    if kind not in ("ephemeral", "in_channel"):
        raise SlackRefusal("invalid_response_type", status=400)
    text, blocks = check_message(body.get("text"), body.get("blocks"), attachments=body.get("attachments"))
    if body.get("replace_original") is True and original is not None:
        parts.workspace.edit(original, text=text, blocks=blocks)
        return
    parts.workspace.post(
        channel,
        user=parts.bot_user_id,
        text=text,
        blocks=blocks,
        bot=True,
        thread_ts=ticket.thread_ts if body.get("thread_ts") is None else str(body["thread_ts"]),
        visible_to=ticket.user if kind == "ephemeral" else None,
    )


METHODS = {
    "chat.postMessage": Method(post_message, ("chat:write",), writes_to_channel=True),
    "chat.postEphemeral": Method(post_ephemeral, ("chat:write",), writes_to_channel=True),
    "chat.update": Method(update, ("chat:write",), writes_to_channel=True),
    "chat.delete": Method(delete, ("chat:write",), writes_to_channel=True),
    "chat.getPermalink": Method(get_permalink),
}
