"""The bot in Slack: the real use cases, the real slack_sdk and Bolt, a real database, and the playground's Slack."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from bot.approvals import Approvals
from bot.clock import MovableClock, monotonic_clock
from bot.config import Settings, parse_settings
from bot.deadlines import Deadlines
from bot.decisions import Decisions
from bot.instances import Instances
from bot.outbox import Outbox
from bot.queries import Queries
from bot.rulebook import Rulebook
from handlers.clock import SweepClock
from handlers.delivery import Deliverer
from handlers.pacing import Pace
from handlers.slack.actions import Actions
from handlers.slack.afterwards import Afterwards
from handlers.slack.bolt import EVENTS_PATH, SlackDoor, serve_events
from handlers.slack.client import SlackClient
from handlers.slack.commands import Commands, reading_commands
from handlers.slack.directory import SlackDirectory
from handlers.slack.hometab import HomeTab
from handlers.slack.intake import Intake
from handlers.slack.posting import SlackCarrier
from playground import Playground, PlaygroundSettings
from playground.model import Message, View
from playground.sample import fill_sample
from store import statements
from store.engine import SqliteStore
from store.tables import Instance, Request, Status
from tests.conftest import SAMPLE, submission

AT_ONCE = Pace(timedelta(milliseconds=1), burst=1000)
SHORT = timedelta(seconds=2)


@dataclass
class Bot:
    """Everything of one bot that runs against one playground."""

    slack: Playground
    clock: MovableClock
    store: SqliteStore
    rulebook: Rulebook
    approvals: Approvals
    decisions: Decisions
    outbox: Outbox
    queries: Queries
    client: SlackClient
    directory: SlackDirectory
    carrier: SlackCarrier
    deliverer: Deliverer
    sweeper: SweepClock
    door: SlackDoor
    actions: Actions
    commands: Commands
    afterwards: Afterwards
    instance: Instance
    faults: list[str]
    address: str = ""
    _keys: Any = field(default_factory=count)

    async def submit(self, arguments: str = '{"amount": 4900}', lasts: str = "10m") -> Request:
        request, _ = await self.approvals.submit(
            self.instance, submission(arguments=arguments, timeout=lasts), f"key{next(self._keys)}"
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
        while await self.queries.card_at(message.channel, message.ts) is None:
            await self.store.read(lambda unit: unit.one(statements.INTENT_COUNT))  # one turn of the store, no nap

    async def until_delivered(self) -> None:
        """Wait until nothing is left in the outbox."""
        while await self.outbox.waiting():
            pass

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


def settings_for(slack: Playground, mode: str = "socket", text: str = SAMPLE) -> Settings:
    table = f'[slack]\nmode = "{mode}"\napi_url = "{slack.api_url}"\n'
    return parse_settings((table + text).encode(), {}, source="sample")


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
    delivers: bool = True,
) -> AsyncIterator[Bot]:
    """Start a playground and a bot in it; stop both. ``arrange`` changes the workspace before the bot comes."""
    async with Playground(playground or PlaygroundSettings()) as slack:
        fill_sample(slack.workspace)
        arrange(slack)
        async with bot_in(slack, database, mode=mode, text=text, posts=posts, draws=draws, delivers=delivers) as bot:
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
    delivers: bool = True,
) -> AsyncIterator[Bot]:
    """Start a bot in a playground that runs; stop it as the process would."""
    settings = settings_for(slack, mode, text)
    clock = MovableClock(monotonic_clock())
    store = await SqliteStore.open(database)
    rulebook = await Rulebook.load(store, settings, clock)
    client = SlackClient(settings.slack, SecretStr(slack.bot_token))
    directory = SlackDirectory(client, clock)
    outbox = Outbox(store, clock, rulebook, "test")
    queries = Queries(store, clock, rulebook, directory)
    decisions = Decisions(store, clock, rulebook, directory)
    faults: list[str] = []
    carrier = SlackCarrier(client, directory, outbox, clock, faults.append, posts=posts, draws=draws)
    deliverer = Deliverer(store, outbox, carrier, clock, faults.append)
    sweeper = SweepClock(store, Deadlines(store, clock), clock)
    afterwards = Afterwards()
    home = HomeTab(client, queries, clock)
    commands = Commands(client, afterwards, reading_commands(queries, clock))
    actions = Actions(client, decisions, queries, outbox, home, afterwards)
    door = SlackDoor(
        settings.slack,
        client,
        Intake(actions, commands, home, outbox, afterwards),
        afterwards,
        app_token=SecretStr(slack.app_token),
        signing_secret=SecretStr(slack.signing_secret),
        ping_interval=timedelta(seconds=0.1),
    )
    instances = Instances(store, clock, b"k" * 32)
    existing = [listing.instance for listing in await instances.list_all()]
    instance = existing[0] if existing else (await instances.create("till", "refund-bot"))[0]
    bot = Bot(
        slack, clock, store, rulebook, Approvals(store, clock, rulebook), decisions, outbox, queries, client,
        directory, carrier, deliverer, sweeper, door, actions, commands, afterwards, instance, faults,
    )  # fmt: skip
    runner: web.AppRunner | None = None
    if mode == "http":
        app = web.Application()
        serve_events(app, door)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        bot.address = f"http://127.0.0.1:{runner.addresses[0][1]}{EVENTS_PATH}"
        slack.request_url = bot.address
    await sweeper.start()
    await door.open()
    if delivers:
        await deliverer.start()
    try:
        async with asyncio.timeout(5):
            await door.wait_until_open()
        yield bot
    finally:
        await deliverer.stop(SHORT)
        await sweeper.stop()
        await door.close(SHORT)
        if runner is not None:
            await runner.cleanup()
        await directory.close()
        await client.close()
        await store.close()


def long_arguments(items: int = 400) -> str:
    """Arguments that no card holds."""
    return json.dumps({f"field_{at:03}": f"value number {at}" for at in range(items)})
