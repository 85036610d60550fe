"""A bot whose rule has a plan, people and places for its steps, and what a test wants to know of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import func, select

from handlers.pacing import Pace
from playground import Playground
from playground.model import Message
from store import statements_escalation
from store.compiled import Statement
from store.tables import IntentKind, IntentTable, Request
from tests.conftest import SAMPLE
from tests.scenario.service_support import AT_ONCE
from tests.scenario.slack_support import Bot, running_bot
from tests.waiting import until

STEPS = """
[reviewers.leads]
users = ["U0MIA"]

[oncall.finance]
users = ["U0IVY"]

[plans.standard]
[[plans.standard.steps]]
after = "10m"
notify = ["thread"]
[[plans.standard.steps]]
after = "5m"
notify = ["channel:C0LEADS"]
widen = ["leads"]
[[plans.standard.steps]]
after = "5m"
notify = ["oncall:finance"]
widen = ["oncall:finance"]
[[plans.standard.steps]]
after = "5m"
notify = ["owners"]
"""


def planned(steps: str = STEPS, rule: str = "") -> str:
    return SAMPLE.replace('reviewers = ["finance"]', f'reviewers = ["finance"]\nplan = "standard"\n{rule}') + steps


def one_step(*targets: str, widen: str = "", more: str = "") -> str:
    """A plan of one step after ten minutes, and a reminder that shows whether the next came at once."""
    named = ", ".join(f'"{target}"' for target in targets)
    return planned(
        '[oncall.finance]\nusers = ["U0IVY"]\n[oncall.nobody]\nusergroup = "S0EMPTY"\n[plans.standard]\n'
        f'[[plans.standard.steps]]\nafter = "10m"\nnotify = [{named}]\n{widen}\n{more}'
    )


def arrange(slack: Playground) -> None:
    bot = slack.workspace.settings.bot_user_id
    slack.workspace.add_channel("C0LEADS", name="leads", members=["U0MIA", "U0ALICE", bot])
    slack.workspace.add_channel("C0VAULT", name="vault", members=["U0ALICE", bot], is_private=True)
    slack.workspace.add_usergroup("S0EMPTY", handle="empty", users=[])


@asynccontextmanager
async def escalating(
    database: Path, text: str, change: Callable[[Playground], None] = lambda slack: None, posts: Pace = AT_ONCE
) -> AsyncIterator[Bot]:
    def both(slack: Playground) -> None:
        arrange(slack)
        change(slack)

    async with running_bot(database, text=text, arrange=both, posts=posts) as bot:
        yield bot


DUE = Statement(select(func.count()).select_from(IntentTable).where(IntentTable.kind != IntentKind.TELL_OWNERS), int)


async def quiet(bot: Bot) -> None:
    """Wait until nothing is left to send, but what is gathered for owners."""

    async def is_quiet() -> bool:
        return not await bot.store.read(lambda unit: unit.one(DUE)) and not bot.deliverer.under_way

    await until(is_quiet, 30)


async def passes(bot: Bot, minutes: float, steps: int) -> None:
    """Let minutes pass and so many steps be taken in all, and everything be sent."""
    await bot.advance(minutes=minutes)

    async def are_taken() -> bool:
        bot.sweeper.wake()
        return len(await taken(bot)) >= steps

    await until(are_taken, 30)
    await quiet(bot)


async def taken(bot: Bot) -> list[str]:
    return [
        step.state.value
        for step in await bot.store.read(lambda unit: unit.all(statements_escalation.STEPS_OF, request_number=1))
    ]


async def became(bot: Bot) -> list[tuple[str, str, str | None]]:
    """Each target of the first request's steps, and what became of it."""
    targets = await bot.store.read(lambda unit: unit.all(statements_escalation.TARGETS_OF_REQUEST, request_number=1))
    return [(one.target, one.state.value, one.code) for one in targets]


async def asked(bot: Bot, lasts: str = "1h") -> tuple[Request, Message]:
    request = await bot.submit(lasts=lasts)
    card = await bot.card(request)
    await quiet(bot)
    return request, card


def replies(bot: Bot, channel: str = "C0REFUNDS") -> list[Message]:
    return [message for message in bot.slack.messages(channel) if message.is_reply]
