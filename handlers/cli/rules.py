"""``signoff rules test``: what a configuration makes of a call. Reads two files and asks nobody."""

import sys
from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bot.call import MAX_BODY_BYTES
from bot.config import load_settings
from handlers.cli.say import CommandFailed, shown
from handlers.trial import parse_call, render_json, render_text, try_call


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Print what becomes of the call. Raises ``BadConfig``, ``BadInput`` and ``CommandFailed``."""
    settings = load_settings(config, env)
    agent, submission = parse_call(_read(args.call), args.agent)
    trial = try_call(settings, agent, submission, datetime.now(UTC))
    text = render_json(trial) if args.json else render_text(trial)
    print("\n".join(shown(line) for line in text.split("\n")))


def _read(path: Path) -> bytes:
    """The file's bytes, or those of the standard input for ``-``; one more than are allowed if there are more."""
    try:
        if str(path) == "-":
            body = sys.stdin.buffer.read(MAX_BODY_BYTES + 1)
        else:
            with path.open("rb") as file:
                body = file.read(MAX_BODY_BYTES + 1)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read ({error.strerror}).") from error
    if len(body) > MAX_BODY_BYTES:
        raise CommandFailed(f"{path} is larger than an agent may send: {MAX_BODY_BYTES} bytes.")
    return body
