"""``signoff demo``: a local Slack in the browser, the bot, and an agent to play, all in one process.

The only room that knows the playground. Everything lives in a temporary folder and on loopback, and is gone at the end.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from bot.clock import Clock, MovableClock, monotonic_clock
from bot.config import parse_settings
from bot.secrets import Secrets
from handlers.app import Service
from playground import Playground, PlaygroundSettings
from playground.sample import fill_sample
from playground.sample_calls import sample_presets

_CONFIG = """
[server]
host = "127.0.0.1"
public_url = "http://127.0.0.1:8080"

[slack]
mode = "socket"
api_url = "{api_url}"

[store]
url = "sqlite:///{database}"

[delivery]
allow_loopback = true

[admins]
users = ["U0ADMIN"]

[agents.refund-bot]
owners = ["U0OWNER"]
tools = ["issue_refund", "send_*", "look_up_*", "pay_supplier"]

[agents.report-bot]
owners = ["U0CAROL"]
tools = ["run_sql"]

[agents.deploy-bot]
owners = ["U0DAN"]
tools = ["terraform_*"]

[reviewers.finance]
users = ["U0ALICE"]
usergroups = ["S0FINANCE"]

[reviewers.support]
usergroups = ["S0SUPPORT"]

[reviewers.infrastructure]
usergroups = ["S0INFRA"]

[oncall.infrastructure]
users = ["U0ADMIN"]

[plans.standard]
before_deadline = "2m"

[[plans.standard.steps]]
after = "25%"
notify = ["thread"]

[[plans.standard.steps]]
after = "5m"
notify = ["oncall:infrastructure", "channel:C0OPS"]
widen = ["oncall:infrastructure"]

[[plans.standard.steps]]
after = "5m"
notify = ["owners", "thread"]

[[rules]]
name = "look-ups"
agent = "refund-bot"
tool = "look_up_*"
stage = "autonomous"
channel = "C0REFUNDS"
reviewers = ["finance"]

[[rules]]
name = "refunds"
agent = "refund-bot"
tool = "issue_refund"
stage = "approve"
channel = "C0REFUNDS"
fallback_channel = "C0OPS"
reviewers = ["finance"]

[[rules]]
name = "supplier payments"
domain = "financial"
agent = "refund-bot"
tool = "pay_supplier"
stage = "approve"
channel = "C0REFUNDS"
fallback_channel = "C0OPS"
reviewers = ["finance"]
quorum = 2
reason = "required"

[[rules]]
name = "customer mail"
agent = "refund-bot"
tool = "send_*"
stage = "approve"
channel = "C0SUPPORT"
fallback_channel = "C0OPS"
reviewers = ["support"]

[[rules]]
name = "production data"
agent = "report-bot"
tool = "run_sql"
stage = "approve"
channel = "C0OPS"
reviewers = ["infrastructure"]

[[rules]]
name = "deploys"
agent = "deploy-bot"
tool = "terraform_*"
stage = "approve"
channel = "C0DEPLOYS"
fallback_channel = "C0OPS"
reviewers = ["infrastructure"]
plan = "standard"
"""


@dataclass(frozen=True)
class Demo:
    """A running demo: the local Slack, and the bot in it."""

    slack: Playground
    service: Service


async def run_demo(*, port: int, told_to_stop: asyncio.Event) -> None:
    """Run the demo until ``told_to_stop`` is set. ``port`` is the page's; 0 takes a free one."""
    async with running_demo(port=port) as demo:
        _, token = await demo.service.instances.create("yours", "refund-bot")
        sys.stdout.write(_greeting(demo.slack.page_url, demo.service.base_url, token))
        sys.stdout.flush()
        await told_to_stop.wait()


@contextlib.asynccontextmanager
async def running_demo(*, port: int = 0, clock: Clock | None = None) -> AsyncIterator[Demo]:
    """Start the local Slack, the bot in it and the agents' console; at the end stop them and leave nothing behind.

    ``clock`` is what people, requests and cards go by, until somebody moves it on from the page; None is the machine's.
    Signatures and delivery stamps go by the wall clock all the same.
    """
    moved = MovableClock(clock or monotonic_clock())
    with tempfile.TemporaryDirectory(prefix="signoff-demo-") as folder:
        async with Playground(PlaygroundSettings(port=port, now=moved, team_name="Example Goods")) as slack:
            fill_sample(slack.workspace)
            service = await _start_bot(slack, Path(folder), moved)
            try:
                tokens = await _issue_tokens(service)
                slack.connect_agents(f"{service.base_url}/aap", tokens, sample_presets())
                slack.connect_clock(_clock_hand(moved, service))
                await service.door.wait_until_open()
                yield Demo(slack, service)
            finally:
                await service.stop()


async def _issue_tokens(service: Service) -> dict[str, str]:
    """Give the console an instance of each agent; return its credentials by the agents' names."""
    create = service.instances.create
    return {
        agent: (await create(f"console-{number}", agent))[1]
        for number, agent in enumerate(service.settings.agents, start=1)
    }


def _clock_hand(clock: MovableClock, service: Service) -> Callable[[timedelta], None]:
    """Return what the page moves the clock with: the bot's timers stand by real time, so they must look again."""

    def advance(by: timedelta) -> None:
        clock.advance(by)
        service.sweeper.moved_on()
        service.deliverer.wake()
        service.webhooks.wake()

    return advance


async def _start_bot(slack: Playground, folder: Path, clock: Clock) -> Service:
    text = _CONFIG.format(api_url=slack.api_url, database=folder / "demo.db")
    settings = parse_settings(text.encode(), {}, source="the demo's configuration")
    secrets = Secrets(
        slack_bot_token=SecretStr(slack.bot_token),
        slack_app_token=SecretStr(slack.app_token),
        slack_signing_secret=None,
        secret_key=slack.signing_secret.encode(),  # made anew for each run, as the demo's key may be
    )
    return await Service.start(settings, secrets, clock=clock, port=0)


def _greeting(page: str, agents: str, token: str) -> str:
    return (
        f"\n  Signoff's demo is running. Open  {page}\n\n"
        "  On the right you are the agents: ask for the refund. In the middle you are Alice: approve it.\n"
        f"  Agents of your own may ask at {agents}/aap with the token {token}\n"
        "  Ctrl-C ends it; nothing is kept.\n"
    )
