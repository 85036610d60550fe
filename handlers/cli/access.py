"""``signoff access``: who can approve what today, and by which rule. Changes nothing."""

import asyncio
from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.config import Settings, load_settings
from bot.secrets import load_bot_token
from handlers.access import Known, access_of, load_known, render_json, render_text
from handlers.cli.beside import checked_user
from handlers.cli.say import CommandFailed, shown
from handlers.slack.client import SlackClient

_PATIENCE = timedelta(seconds=10)


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Print who may approve. Raises ``BadConfig`` and ``CommandFailed``."""
    settings = load_settings(config, env)
    if args.agent is not None and args.agent not in settings.agents:
        configured = ", ".join(sorted(settings.agents)) or "none"
        raise CommandFailed(f"There is no agent {shown(args.agent)} in the configuration. Configured: {configured}.")
    user = checked_user(args.user, "--user") if args.user is not None else None
    known = asyncio.run(_ask(settings, env, user, args.agent))
    access = list(access_of(settings, known, datetime.now(UTC), user=user, agent=args.agent))
    text = render_json(access, known) if args.json else render_text(access, known)
    print("\n".join(shown(line) for line in text.split("\n")))


async def _ask(settings: Settings, env: Mapping[str, str], user: str | None, agent: str | None) -> Known:
    token = load_bot_token(env)
    if token is None:
        return await load_known(settings, None, asyncio.sleep, user=user, agent=agent)
    client = SlackClient(settings.slack, token, timeout=_PATIENCE)
    try:
        return await load_known(settings, client, asyncio.sleep, user=user, agent=agent)
    finally:
        await client.close()
