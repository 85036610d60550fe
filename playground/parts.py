"""The parts of a running playground, wired once.

The layers over it: looks.py (what people see), acts.py (what people do), server.py (the server itself).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from playground.changes import Signal
from playground.delivery import Delivery
from playground.events import Events
from playground.faults import Faults
from playground.pacing import Pacing
from playground.payloads import Payloads
from playground.results import Ack, Call
from playground.settings import PlaygroundSettings
from playground.sockets import Sockets
from playground.tickets import Tickets
from playground.views import Views
from playground.workspace import Workspace

T = TypeVar("T")


class Parts:
    """State and delivery, without a server of their own."""

    def __init__(self, settings: PlaygroundSettings | None = None) -> None:
        self.settings = settings or PlaygroundSettings()
        self.changes = Signal()
        self.workspace = Workspace(self.settings, self.changes)
        self.views = Views(self.changes)
        self.faults = Faults(self.settings.seed, self._faults_changed)
        self.sockets = Sockets(self.settings, self.changes, self.faults)
        self.delivery = Delivery(self.settings, self.sockets, self.faults, self.changes)
        self.payloads = Payloads(self.settings)
        self.tickets = Tickets(self.settings.trigger_seconds, self._monotonic)
        self.pacing = Pacing(self._monotonic, enforced=self.settings.one_message_a_second)
        self.events = Events(self.settings, self.payloads, self.delivery)
        self.scopes: set[str] = set(self.settings.scopes)
        """The bot token's scopes now."""
        self.auth_error: str | None = None
        """When set, every call with the bot token answers it: `token_revoked`, `account_inactive`, ..."""
        self.calls: list[Call] = []
        """Every Web API call and response_url post so far, oldest first."""
        self.base_url = ""
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def bot_token(self) -> str:
        return self.settings.bot_token

    @property
    def app_token(self) -> str:
        return self.settings.app_token

    @property
    def signing_secret(self) -> str:
        return self.settings.signing_secret

    @property
    def bot_user_id(self) -> str:
        return self.settings.bot_user_id

    @property
    def team_id(self) -> str:
        return self.settings.team_id

    @property
    def request_url(self) -> str | None:
        """Where payloads are POSTed; None means Socket Mode."""
        return self.delivery.request_url

    @request_url.setter
    def request_url(self, url: str | None) -> None:
        self.delivery.request_url = url
        self.changes.fire()

    @property
    def deliveries(self) -> list[Ack]:
        """Every payload sent to the app so far, with what became of it, in the order they ended."""
        return self.delivery.log

    @property
    def connections(self) -> int:
        """How many sockets the app holds open."""
        return len(self.sockets)

    async def until(self, predicate: Callable[[], T], timeout: float = 20.0) -> T:  # noqa: ASYNC109
        """Waits, without polling, until the predicate is true, and gives back its value.

        It is asked again after every change of the workspace, every API call, delivery and connection.
        Raises TimeoutError after `timeout` seconds.
        """
        return await self.changes.until(predicate, timeout)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Runs something beside the caller; `stop()` ends what is left of it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def _faults_changed(self) -> None:
        if self.faults.dead:
            self.sockets.drop()
        self.changes.fire()
