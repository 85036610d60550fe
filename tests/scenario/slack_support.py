"""The service seen from Slack: as it is wired, its parts within reach, and the playground's Slack before it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from bot.clock import MovableClock, monotonic_clock
from handlers.app import Service, Tempo
from handlers.manifest import EVENTS_PATH
from handlers.pacing import Pace
from handlers.slack.bolt import PING_INTERVAL
from playground import Playground, PlaygroundSettings
from playground.model import Message, View
from playground.sample import fill_sample
from store import statements
from store.tables import Instance, Request, Status
from tests.conftest import SAMPLE, submission
from tests.scenario.service_support import AT_ONCE, secrets_for, settings_for
from tests.waiting import PATIENCE_SECONDS, until, within

SHORT = timedelta(seconds=2)


class WatchedService(Service):
    """The service as it is, with what it counts written down, and deliveries only when they are wanted."""

    delivers = True

    def __init__(self, *parts: Any) -> None:
        self.faults: list[str] = []
        super().__init__(*parts)

    async def begin_delivering(self) -> None:
        if self.delivers:
            await super().begin_delivering()

    def note_fault(self, code: str) -> None:
        self.faults.append(code)
        super().note_fault(code)


class SilentService(WatchedService):
    """One that sends nothing until its deliverer is started."""

    delivers = False


class Bot:
    """Everything of one bot that runs against one playground."""

    def __init__(self, slack: Playground, clock: MovableClock, service: WatchedService, instance: Instance) -> None:
        self.slack = slack
        self.clock = clock
        self.service = service
        self.instance = instance
        self.store = service.store
        self.rulebook = service.rulebook
        self.creation = service.creation
        self.approvals = service.approvals
        self.decisions = service.decisions
        self.outbox = service.outbox
        self.queries = service.queries
        self.queues = service.queues
        self.client = service.client
        self.directory = service.directory
        self.carrier = service.carrier
        self.deliverer = service.deliverer
        self.sweeper = service.sweeper
        self.door = service.door
        self.actions = service.actions
        self.commands = service.commands
        self.afterwards = service.afterwards
        self.faults = service.faults
        self.address = service.base_url + EVENTS_PATH
        self._keys = count()

    async def submit(
        self, arguments: str = '{"amount": 4900}', lasts: str = "10m", instance: Instance | None = None
    ) -> Request:
        request, _ = await self.creation.submit(
            instance or self.instance, submission(arguments=arguments, timeout=lasts), f"key{next(self._keys)}"
        )
        return request

    async def card(self, request: Request, channel: str = "C0REFUNDS") -> Message:
        """Wait for a request's card and return it, once the bot knows that it is there."""
        message = await self.slack.until(lambda: next(iter(self.cards(request, channel)), None))
        assert message is not None
        await self.until_recorded(message)
        return message

    def cards(self, request: Request, channel: str = "C0REFUNDS") -> list[Message]:
        return [message for message in self.slack.messages(channel) if _is_card_of(message, request)]

    async def until_recorded(self, message: Message) -> None:
        await until(lambda: self.queries.card_at(message.channel, message.ts))

    async def until_delivered(self) -> None:
        """Wait until nothing is left in the outbox, which may take as long as Slack's pace makes it."""

        async def is_empty() -> bool:
            return not await self.outbox.waiting()

        await until(is_empty, 3 * PATIENCE_SECONDS)

    async def until_idle(self) -> None:
        """Wait until nothing is under way to Slack."""
        await until(lambda: not self.deliverer.under_way)

    async def load(self, request: Request) -> Request:
        found = await self.store.read(lambda unit: unit.one(statements.REQUEST, number=request.number))
        assert found is not None
        return found

    async def status(self, request: Request) -> Status:
        return (await self.load(request)).status

    async def modal(self, user: str, text: str = "") -> View:
        """Wait for the topmost modal of a person that shows ``text``."""

        def top() -> View | None:
            stack = self.slack.modals(user)
            return stack[-1] if stack and text in stack[-1].all_text() else None

        shown = await self.slack.until(top)
        assert shown is not None
        return shown

    async def advance(self, **by: float) -> None:
        """Let time pass for the bot."""
        self.clock.advance(timedelta(**by))
        self.sweeper.wake()
        self.deliverer.wake()


def _is_card_of(message: Message, request: Request) -> bool:
    metadata = message.metadata or {}
    return metadata.get("event_payload", {}).get("request_id") == request.id and "card_id" in metadata["event_payload"]


@asynccontextmanager
async def running_bot(
    database: Path,
    *,
    mode: str = "socket",
    text: str = SAMPLE,
    playground: PlaygroundSettings | None = None,
    arrange: Callable[[Playground], None] = lambda slack: None,
    posts: Pace = AT_ONCE,
    draws: Pace = AT_ONCE,
    queue_draws: Pace = AT_ONCE,
    delivers: bool = True,
    ping_interval: timedelta = PING_INTERVAL,
) -> AsyncIterator[Bot]:
    """Start a playground and a bot in it; stop both. ``arrange`` changes the workspace before the bot comes."""
    async with Playground(playground or PlaygroundSettings()) as slack:
        fill_sample(slack.workspace)
        arrange(slack)
        async with bot_in(
            slack,
            database,
            mode=mode,
            text=text,
            posts=posts,
            draws=draws,
            queue_draws=queue_draws,
            delivers=delivers,
            ping_interval=ping_interval,
        ) as bot:
            yield bot


@asynccontextmanager
async def bot_in(
    slack: Playground,
    database: Path,
    *,
    mode: str = "socket",
    text: str = SAMPLE,
    posts: Pace = AT_ONCE,
    draws: Pace = AT_ONCE,
    queue_draws: Pace = AT_ONCE,
    delivers: bool = True,
    ping_interval: timedelta = PING_INTERVAL,
) -> AsyncIterator[Bot]:
    """Start a bot in a playground that runs; stop it as the process would."""
    clock = MovableClock(monotonic_clock())
    service = await (WatchedService if delivers else SilentService).start(
        settings_for(slack, database, mode, text),
        secrets_for(slack),
        clock=clock,
        port=0,
        tempo=Tempo(posts, draws, ping_interval, queue_draws),
    )
    try:
        existing = [listing.instance for listing in await service.instances.list_all()]
        instance = existing[0] if existing else (await service.instances.create("till", "refund-bot"))[0]
        bot = Bot(slack, clock, service, instance)
        if mode == "http":
            slack.request_url = bot.address
        await within(service.door.wait_until_open())
        yield bot
    finally:
        await within(service.stop())


def long_arguments(items: int = 400) -> str:
    """Arguments that no card holds."""
    return json.dumps({f"field_{at:03}": f"value number {at}" for at in range(items)})
