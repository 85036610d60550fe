"""A bot whose channel takes few messages, and what a burst leaves in it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from handlers.pacing import Pace
from handlers.slack import queue_card
from playground import Playground, PlaygroundSettings
from playground.model import Message, View
from store.tables import Instance, Request
from tests.conftest import SAMPLE
from tests.scenario.service_support import AT_ONCE
from tests.scenario.slack_support import Bot, running_bot
from tests.waiting import until

CHANNEL = "C0REFUNDS"
TIGHT = Pace(timedelta(minutes=1), burst=2)  # two cards at once, and a minute for the next: more are gathered
TWO_AGENTS = (
    SAMPLE
    + """
[agents.mail-bot]
owners = ["U0OWNER"]
tools = ["issue_refund"]

[[rules]]
name = "mails"
agent = "mail-bot"
tool = "issue_refund"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
"""
)


@asynccontextmanager
async def crowded_bot(
    database: Path,
    *,
    text: str = SAMPLE,
    playground: PlaygroundSettings | None = None,
    queue_draws: Pace = AT_ONCE,
    arrange: Callable[[Playground], None] = lambda slack: None,
) -> AsyncIterator[Bot]:
    """A bot that sends nothing until ``deliverer.start``, and takes its time for new messages."""
    async with running_bot(
        database,
        text=text,
        playground=playground,
        arrange=arrange,
        posts=TIGHT,
        queue_draws=queue_draws,
        delivers=False,
    ) as bot:
        yield bot


async def burst(bot: Bot, count: int, instance: Instance | None = None, lasts: str = "10m") -> list[Request]:
    """Ask for so many calls before anything is sent."""
    return [await bot.submit(f'{{"amount": {at}}}', lasts, instance) for at in range(count)]


def is_queue_card(message: Message) -> bool:
    return (message.metadata or {}).get("event_type") == queue_card.QUEUE_EVENT


def queue_cards(bot: Bot, channel: str = CHANNEL) -> list[Message]:
    return [message for message in bot.slack.messages(channel) if is_queue_card(message)]


async def the_queue_card(bot: Bot, text: str = "", channel: str = CHANNEL) -> Message:
    """Wait for a channel's newest queue card to say ``text``, once the bot knows that it is there."""

    def newest() -> Message | None:
        found = queue_cards(bot, channel)
        return found[-1] if found and text in found[-1].all_text() else None

    message = await bot.slack.until(newest)
    assert message is not None
    await until(lambda: bot.queues.at(message.channel, message.ts))
    return message


def listed(blocks: list[dict[str, object]]) -> list[int]:
    """The numbers of the requests that have a line."""
    return [int(str(one["block_id"])[4:]) for one in blocks if str(one.get("block_id", "")).startswith("row_")]


async def press(bot: Bot, user: str, message: Message, request: Request) -> None:
    ack = await bot.slack.click(user, message.channel, message.ts, queue_card.REVIEW, block_id=f"row_{request.number}")
    assert ack.ok


async def settled(bot: Bot) -> None:
    """Wait until nothing is under way and nothing is due, for some turns: what was just claimed has yet to begin."""
    idle = 0

    async def is_settled() -> bool:
        nonlocal idle
        due = await bot.outbox.next_due()
        busy = bot.deliverer.under_way or (due is not None and due <= bot.clock())
        idle = 0 if busy else idle + 1
        return idle == 5

    await until(is_settled)


async def open_list(bot: Bot, user: str, message: Message) -> View:
    assert (await bot.slack.click(user, message.channel, message.ts, queue_card.LIST)).ok
    return await bot.modal(user, "by deadline")


async def delivered_in_time(bot: Bot) -> None:
    """Let time pass until nothing is left to send; the requests of a burst do not live to see more of it."""
    for _ in range(8):
        await settled(bot)
        if not await bot.outbox.waiting():
            return
        await bot.advance(minutes=1)
    raise TimeoutError("something is still to be sent")
