"""The Events API: what happens in the workspace, told to the app, and told again when not acknowledged."""

from __future__ import annotations

import time
from dataclasses import dataclass

from playground.delivery import Delivery
from playground.model import Channel, Json, Message
from playground.payloads import Payloads
from playground.results import Ack
from playground.settings import PlaygroundSettings
from playground.shapes import message_object

# Slack repeats an event that was not acknowledged three times: at once, after a minute, after five.
MOST_RETRIES = 3


@dataclass
class Undelivered:
    """An event that was not acknowledged yet."""

    payload: Json
    tries: int
    reason: str


class Events:
    """Tells the app of events it subscribed to."""

    def __init__(self, settings: PlaygroundSettings, payloads: Payloads, delivery: Delivery) -> None:
        self._settings = settings
        self._payloads = payloads
        self._delivery = delivery
        self.undelivered: list[Undelivered] = []
        """Events still to be repeated; `redeliver` does it, so that no test waits minutes."""

    def concerns_bot(self, channel: Channel) -> bool:
        """Whether the bot hears of what happens in this channel: only as a member."""
        return self._settings.bot_user_id in channel.members

    async def app_home_opened(self, user_id: str, dm: Channel, view: Json | None) -> Ack:
        """The person has opened the app's Home tab."""
        event: Json = {"type": "app_home_opened", "user": user_id, "channel": dm.id, "tab": "home"}
        if view is not None:
            event["view"] = view
        return await self.emit(event, dm)

    async def message_posted(self, message: Message, channel: Channel) -> Ack:
        """A message was posted, by whomever."""
        shape = message_object(message, channel, self._settings, with_metadata=True)
        return await self.emit(shape | _where(channel, message.ts), channel)

    async def message_changed(self, message: Message, channel: Channel, before: Json) -> Ack:
        """A message was edited."""
        now = message_object(message, channel, self._settings, with_metadata=True)
        event = {"type": "message", "subtype": "message_changed", "hidden": True, "message": now}
        event |= {"previous_message": before, "ts": message.edited}
        return await self.emit(event | _where(channel, message.edited or message.ts), channel)

    async def message_deleted(self, before: Json, channel: Channel) -> Ack:
        """A message was deleted; `before` is what it looked like."""
        at = f"{time.time():.6f}"
        event = {"type": "message", "subtype": "message_deleted", "hidden": True, "ts": at}
        event |= {"deleted_ts": before["ts"], "previous_message": before}
        return await self.emit(event | _where(channel, at), channel)

    async def emit(self, event: Json, channel: Channel) -> Ack:
        """Sends an event; one that is not acknowledged is sent again once, then kept for `redeliver`."""
        event = {"event_ts": event.get("ts", f"{time.time():.6f}"), **event}
        payload = self._payloads.event(event, time=int(time.time()), is_ext_shared_channel=channel.is_ext_shared)
        ack = await self._delivery.send(payload)
        if ack.ok:
            return ack
        waiting = Undelivered(payload, 0, _reason(ack))
        self.undelivered.append(waiting)
        return await self._repeat(waiting)

    async def redeliver(self) -> list[Ack]:
        """Repeats every event that was not acknowledged, as Slack does after a while."""
        return [await self._repeat(waiting) for waiting in list(self.undelivered)]

    async def _repeat(self, waiting: Undelivered) -> Ack:
        waiting.tries += 1
        ack = await self._delivery.send(waiting.payload, retry=waiting.tries, reason=waiting.reason)
        waiting.reason = _reason(ack)
        if (ack.ok or waiting.tries >= MOST_RETRIES) and waiting in self.undelivered:
            self.undelivered.remove(waiting)
        return ack


def _where(channel: Channel, at: str) -> Json:
    kinds = {"im": "im", "private_channel": "group", "public_channel": "channel"}
    return {"channel": channel.id, "channel_type": kinds[channel.kind], "event_ts": at}


def _reason(ack: Ack) -> str:
    if ack.error in ("timeout", "connection_failed"):
        return {"timeout": "http_timeout", "connection_failed": "connection_failed"}[ack.error]
    return "http_error" if ack.status else "unknown_error"
