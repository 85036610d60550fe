"""What Slack hands out for a short while: trigger ids and response URLs.

Their lives run on real time, never on the clock people see. Tests end them with `expire()`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from playground.errors import SlackRefusal

RESPONSE_URL_USES = 5
RESPONSE_URL_SECONDS = 30 * 60.0


@dataclass
class Trigger:
    """Leave to open one view, given with an interaction."""

    user: str
    view_id: str | None
    """The modal the interaction came from, if any: only such a trigger can push."""
    issued: float
    used: bool = False


@dataclass
class ResponseUrl:
    """Leave to answer an interaction five times within half an hour."""

    channel: str
    user: str
    message_ts: str | None
    thread_ts: str | None
    issued: float
    uses: int = 0


class Tickets:
    """All triggers and response URLs handed out."""

    def __init__(self, trigger_seconds: float, monotonic: Callable[[], float]) -> None:
        self._trigger_seconds = trigger_seconds
        self._monotonic = monotonic
        self._triggers: dict[str, Trigger] = {}
        self._response_urls: dict[str, ResponseUrl] = {}

    def issue_trigger(self, user: str, view_id: str | None = None) -> str:
        """A new trigger id for this person."""
        key = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[key] = Trigger(user, view_id, self._monotonic())
        return key

    def exchange_trigger(self, trigger_id: str) -> Trigger:
        """Uses a trigger up; refuses an unknown, used or expired one as Slack does."""
        if trigger_id.count(".") != 2:
            raise SlackRefusal("invalid_arguments", messages=["invalid `trigger_id` [json-pointer:/trigger_id]"])
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise SlackRefusal("invalid_trigger_id")
        if trigger.used:
            raise SlackRefusal("exchanged_trigger_id")
        if self._monotonic() - trigger.issued > self._trigger_seconds:
            raise SlackRefusal("expired_trigger_id")
        trigger.used = True
        return trigger

    def issue_response_url(
        self, *, channel: str, user: str, message_ts: str | None = None, thread_ts: str | None = None
    ) -> str:
        """The key (last part) of a new response URL."""
        key = secrets.token_hex(16)
        self._response_urls[key] = ResponseUrl(channel, user, message_ts, thread_ts, self._monotonic())
        return key

    def use_response_url(self, key: str) -> ResponseUrl:
        """Counts one use; refuses with `used_url` or `expired_url`, HTTP 404, as Slack does."""
        ticket = self._response_urls.get(key)
        if ticket is None:
            raise SlackRefusal("invalid_url", status=404)
        if self._monotonic() - ticket.issued > RESPONSE_URL_SECONDS:
            raise SlackRefusal("expired_url", status=404)
        if ticket.uses >= RESPONSE_URL_USES:
            raise SlackRefusal("used_url", status=404)
        ticket.uses += 1
        return ticket

    def expire_triggers(self) -> None:
        """Ends the life of every trigger handed out so far."""
        for trigger in self._triggers.values():
            trigger.issued = float("-inf")

    def expire_response_urls(self) -> None:
        """Ends the life of every response URL handed out so far."""
        for ticket in self._response_urls.values():
            ticket.issued = float("-inf")
