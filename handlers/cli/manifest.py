"""``signoff manifest``: which mode and address are meant, and the manifest on stdout."""

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from bot.config import ServerSettings, is_loopback_host, load_settings
from bot.config_faults import faults_of
from handlers.cli.say import CommandFailed, say
from handlers.manifest import Mode, build_manifest

_ADVICE = {
    "socket": "then install it, and make an app-level token with connections:write under Basic Information",
    "http": "then install it, and copy the signing secret from Basic Information",
}


def print_manifest(args: Namespace, env: Mapping[str, str], default_config: Path) -> None:
    """Print the manifest. Raises ``BadConfig`` or ``CommandFailed``."""
    mode, public_url = _meant(args, env, default_config)
    print(json.dumps(build_manifest(mode, public_url), indent=2))
    if not args.json:
        say(f"Paste this at https://api.slack.com/apps (Create New App, From a manifest), {_ADVICE[mode]}.")


def _meant(args: Namespace, env: Mapping[str, str], default_config: Path) -> tuple[Mode, str | None]:
    if args.public_url is not None:
        if args.mode == "socket":
            raise CommandFailed("--public-url is for http mode; in socket mode Slack calls no address", exit_code=2)
        return "http", _reachable(_address(args.public_url), "--public-url")
    if args.config is None and args.mode != "http":
        return "socket", None
    # http mode needs the address, so the configuration is read though nobody named it.
    if args.config is None and not default_config.exists():
        raise CommandFailed(
            "In http mode the manifest names the address under which Slack reaches Signoff. Give it with --public-url, "
            f"or make {default_config}.", exit_code=2,
        )  # fmt: skip
    settings = load_settings(default_config, env)
    mode: Mode = args.mode or settings.slack.mode
    return mode, _reachable(settings.server.public_url, "server.public_url") if mode == "http" else None


def _address(url: str) -> str:
    try:
        return ServerSettings.model_validate({"public_url": url}).public_url
    except ValidationError as error:
        (fault,) = faults_of(error, ServerSettings.model_fields, path=())
        raise CommandFailed(f"--public-url: {fault.problem}; {fault.remedy}", exit_code=2) from error


def _reachable(url: str, where: str) -> str:
    if is_loopback_host(urlsplit(url).hostname or ""):
        raise CommandFailed(
            f"{where} is {url}, which Slack cannot reach. Give the https address under which Slack reaches Signoff, "
            "with --public-url, or use --mode socket."
        )
    return url
