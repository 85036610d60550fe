"""``signoff enroll``: a one-time code with which a person sets up a device for passcodes, made beside the server.

The code goes to stdout, alone and once; it is never logged, and stored as a keyed hash. That it is handed over outside
Slack is what a stolen Slack session cannot get around.
"""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from bot.config import Settings, load_settings
from bot.passcodes import Passcodes
from handlers.cli.beside import checked_user, secret_key, use_cases
from handlers.cli.say import CommandFailed, say
from handlers.manifest import COMMAND


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Print a code. Raises what the use case does, ``BadConfig`` and ``CommandFailed``."""
    settings = load_settings(config, env)
    user = checked_user(args.user, "USER")
    code, until = asyncio.run(_open(settings, secret_key(env, settings), user))
    try:
        print(code)
        sys.stdout.flush()
    except OSError as error:
        raise CommandFailed(
            f"The code could not be written ({error.strerror}), though it was made. Run the same again: a new code "
            "takes its place."
        ) from error
    say(f"A code for {user}, good once until {until:%H:%M} UTC. Earlier ones no longer are.")
    say(f"Give it to them yourself, not through Slack. In Slack they type {COMMAND} enroll and follow the form.")


async def _open(settings: Settings, key: bytes, user: str) -> tuple[str, datetime]:
    async with use_cases(Passcodes, settings, key) as passcodes:
        return await passcodes.open_enrolment(user)
