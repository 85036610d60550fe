"""Slack's pace: about one new message a second in a channel. Off unless asked for."""

from __future__ import annotations

from collections.abc import Callable

from playground.errors import SlackRefusal

SECONDS_BETWEEN_MESSAGES = 1.0


class Pacing:
    """Refuses new messages that come too fast."""

    def __init__(self, monotonic: Callable[[], float], *, enforced: bool) -> None:
        self._monotonic = monotonic
        self.enforced = enforced
        self._last: dict[str, float] = {}

    def new_message(self, channel_id: str) -> None:
        """Counts a new message; 429 `ratelimited` with Retry-After when the last is too young."""
        if not self.enforced:
            return
        now = self._monotonic()
        if now - self._last.get(channel_id, float("-inf")) < SECONDS_BETWEEN_MESSAGES:
            raise SlackRefusal("ratelimited", status=429, headers={"Retry-After": "1"})
        self._last[channel_id] = now
