"""``signoff demo``: a local Slack in the browser, the bot, and an agent to play, all in one process.

The only room that knows the playground. Everything lives in a temporary folder and on loopback, and is gone at the end.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from bot.clock import Clock, monotonic_clock
from bot.config import parse_settings
from bot.secrets import Secrets
from handlers.app import Service
from playground import Playground, PlaygroundSettings
from playground.sample import fill_sample, sample_presets

_CONFIG = """
[server]
host = "127.0.0.1"
public_url = "http://127.0.0.1:8080"

[slack]
mode = "socket"
api_url = "{api_url}"

[store]
url = "sqlite:///{database}"

[admins]
users = ["U0ADMIN"]

[agents.refund-bot]
owners = ["U0OWNER"]
tools = ["issue_refund", "send_*", "look_up_*"]

[reviewers.finance]
users = ["U0ALICE"]
usergroups = ["S0FINANCE"]

[[rules]]
name = "look-ups"
agent = "refund-bot"
tool = "look_up_*"
stage = "autonomous"

[[rules]]
name = "refunds"
agent = "refund-bot"
tool = "issue_refund"
stage = "approve"
channel = "C0REFUNDS"
fallback_channel = "C0OPS"
reviewers = ["finance"]

[[rules]]
name = "customer mail"
agent = "refund-bot"
tool = "send_*"
stage = "approve"
channel = "C0OPS"
reviewers = ["finance"]
"""


@dataclass(frozen=True)
class Demo:
    """A running demo: the local Slack, and the bot in it."""

    slack: Playground
    service: Service


async def run_demo(*, port: int, told_to_stop: asyncio.Event) -> None:
    """Run the demo until ``told_to_stop`` is set. ``port`` is the page's; 0 takes a free one."""
    async with running_demo(port=port) as demo:
        sys.stdout.write(_greeting(demo.slack.page_url, demo.service.base_url))
        sys.stdout.flush()
        await told_to_stop.wait()


@contextlib.asynccontextmanager
async def running_demo(*, port: int = 0, clock: Clock | None = None) -> AsyncIterator[Demo]:
    """Start the local Slack, the bot in it and the agent's console; at the end stop them and leave nothing behind.

    ``clock`` is what people, requests and cards go by; None is the machine's. Signatures use real time all the same.
    """
    clock = clock or monotonic_clock()
    with tempfile.TemporaryDirectory(prefix="signoff-demo-") as folder:
        async with Playground(PlaygroundSettings(port=port, now=clock)) as slack:
            fill_sample(slack.workspace)
            service = await _start_bot(slack, Path(folder), clock)
            try:
                _, token = await service.instances.create("console", "refund-bot")
                slack.connect_agent(f"{service.base_url}/aap", token, sample_presets())
                await service.door.wait_until_open()
                yield Demo(slack, service)
            finally:
                await service.stop()


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


def _greeting(page: str, agents: str) -> str:
    return (
        f"\n  Signoff's demo is running. Open  {page}\n\n"
        "  On the right you are the agent: send the refund. In the middle you are Alice: approve it.\n"
        f"  Agents of your own may ask at {agents}/aap. Ctrl-C ends it; nothing is kept.\n"
    )
