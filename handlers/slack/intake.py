"""What Slack delivers, told apart and handed on: clicks, submissions, commands, events.

Reads payloads with ``handlers.slack.payloads`` alone, and answers with the body of the acknowledgement. A payload
that Slack would not send is logged by its fault and refused: 400 over HTTP, no acknowledgement on the socket.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from bot.outbox import Outbox
from handlers.slack import payloads
from handlers.slack.actions import Actions
from handlers.slack.afterwards import Afterwards
from handlers.slack.commands import Commands
from handlers.slack.hometab import HomeTab
from handlers.slack.payloads import BadPayload, Body

log = structlog.get_logger(__name__)


class Intake:
    """Takes verified payloads. Every method may raise; ``take`` does not."""

    def __init__(
        self,
        actions: Actions,
        commands: Commands,
        home: HomeTab,
        outbox: Outbox,
        afterwards: Afterwards,
    ) -> None:
        self._actions = actions
        self._commands = commands
        self._home = home
        self._outbox = outbox
        self._afterwards = afterwards
        self._by_type: dict[object, Callable[[Mapping[str, Any]], Awaitable[Body | None]]] = {
            "block_actions": self._click,
            "view_submission": self._submission,
            "event_callback": self._event,
        }

    async def take(self, payload: Mapping[str, Any]) -> tuple[int, Body | None]:
        """Do what a payload asks for; returns the status and body of its acknowledgement."""
        kind = payload.get("type")
        handle = self._command if kind is None and "command" in payload else self._by_type.get(_word(kind))
        if handle is None:
            log.info("payload_ignored", kind=_word(kind))
            return 200, None
        try:
            return 200, await handle(payload)
        except BadPayload as error:
            log.warning("payload_malformed", kind=_word(kind), fault=str(error))
            return 400, None
        except Exception:
            # An event is delivered again; anything else the person sees fail and repeats.
            log.exception("payload_failed", kind=_word(kind))
            return 503, None

    async def _click(self, payload: Mapping[str, Any]) -> Body | None:
        await self._actions.click(payloads.parse_click(payload))
        return None

    async def _submission(self, payload: Mapping[str, Any]) -> Body | None:
        return await self._actions.submit(payloads.parse_submission(payload))

    async def _command(self, payload: Mapping[str, Any]) -> Body | None:
        return await self._commands.answer(payloads.parse_command(payload))

    async def _event(self, payload: Mapping[str, Any]) -> Body | None:
        event = payload.get("event")
        kind = event.get("type") if isinstance(event, dict) else None
        if kind == "message":
            deleted = payloads.parse_deleted(event)
            if deleted is not None:
                await self._outbox.card_deleted(deleted.channel, deleted.ts)
        elif kind == "app_home_opened":
            opened = payloads.parse_home_opened(event)
            if opened is not None:
                self._afterwards.spawn(self._home.open(opened.user_id))
        return None


def _word(kind: object) -> str | None:
    """A payload's type as a log may have it."""
    return kind if isinstance(kind, str) and kind.isidentifier() and len(kind) < 64 else None
