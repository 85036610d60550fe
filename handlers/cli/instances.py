"""``signoff instance``: the operator's side of credentials, in a process of its own beside the server.

A token goes to stdout, alone and once; it is never logged, stored or listed.
"""

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.clock import monotonic_clock
from bot.config import Settings, load_settings
from bot.instances import InstanceListing, Instances
from handlers.cli.beside import checked_user, database_of, open_beside, secret_key
from handlers.cli.say import CommandFailed, say, shown
from store.tables import Credential

_LONGEST_NAME_CHARS = 75


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Carry out one of the commands. Raises what the use cases do, ``BadConfig`` and ``CommandFailed``."""
    settings = load_settings(config, env)
    work = {"create": _create, "list": _list, "rotate": _rotate, "revoke": _revoke}[args.act]
    asyncio.run(work(args, env, settings))


async def _create(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    name = _checked_name(args.name)
    if args.agent not in settings.agents:
        configured = ", ".join(sorted(settings.agents)) or "none"
        raise CommandFailed(f"There is no agent {shown(args.agent)} in the configuration. Configured: {configured}.")
    person = checked_user(args.person, "--person") if args.person is not None else None
    async with _instances(settings, secret_key(env, settings)) as instances:
        _, token = await instances.create(name, args.agent, person)
    _hand_out(token, name)
    made_for = f" for {person}, who will not decide on its requests" if person else ""
    say(f"Made instance {name} of agent {args.agent}{made_for}. Its token is shown this once.")


async def _list(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    listings: list[InstanceListing] = []
    if database_of(settings).exists():
        async with _instances(settings) as instances:
            listings = await instances.list_all()
    if args.json:
        print(json.dumps({"instances": [_as_json(listing) for listing in listings]}, indent=2))
    elif listings:
        print("\n".join(_as_text(listing) for listing in listings))
    else:
        say("There is no instance yet. Make one: signoff instance create NAME --agent AGENT")


async def _rotate(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    name = args.name
    _expect_database(settings)
    if args.retire:
        async with _instances(settings) as instances:
            retired = await instances.retire(name)
        print(f"Revoked {_count(retired, 'older token')} of {shown(name)}; the newest goes on working.")
        return
    async with _instances(settings, secret_key(env, settings)) as instances:
        token = await instances.rotate(name)
    _hand_out(token, name)
    say(f"This is {shown(name)}'s new token, shown this once.")
    say(f"Older ones work until: signoff instance rotate {shown(name)} --retire")


async def _revoke(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    _expect_database(settings)
    async with _instances(settings) as instances:
        cancelled = await instances.revoke(args.name)
    print(f"Revoked {shown(args.name)} and cancelled {_count(len(cancelled), 'pending request')} of it.")


# --- the store ---


@asynccontextmanager
async def _instances(settings: Settings, key: bytes = b"") -> AsyncIterator[Instances]:
    """Open the store for the use cases. Without ``key`` no token can be made, and none is."""
    clock = monotonic_clock()
    async with open_beside(settings, clock) as store:
        yield Instances(store, clock, key)


def _expect_database(settings: Settings) -> None:
    path = database_of(settings)
    if not path.exists():
        raise CommandFailed(f"There is no database {path} yet, so there is no instance either.")


# --- words ---


def _checked_name(name: str) -> str:
    if not 1 <= len(name) <= _LONGEST_NAME_CHARS:
        raise CommandFailed(f"An instance's name has 1 to {_LONGEST_NAME_CHARS} characters.", exit_code=2)
    if not name.isprintable() or name != name.strip():
        raise CommandFailed("An instance's name has printable characters only, and no space at its ends.", exit_code=2)
    return name


def _hand_out(token: str, name: str) -> None:
    try:
        print(token)
        sys.stdout.flush()
    except OSError as error:
        raise CommandFailed(
            f"The token could not be written ({error.strerror}), though it was made. Run `signoff instance rotate "
            f"{shown(name)}` for another, and then the same with --retire."
        ) from error


def _as_json(listing: InstanceListing) -> dict[str, Any]:
    instance = listing.instance
    return {
        "id": instance.id,
        "name": instance.name,
        "agent": instance.agent,
        "person": instance.person,
        "state": _state(instance.revoked_at),
        "created_at": _stamp(instance.created_at),
        "revoked_at": _stamp(instance.revoked_at),
        "credentials": [
            {
                "id": credential.id,
                "state": _state(credential.revoked_at),
                "created_at": _stamp(credential.created_at),
                "revoked_at": _stamp(credential.revoked_at),
            }
            for credential in listing.credentials
        ],
    }


def _as_text(listing: InstanceListing) -> str:
    instance = listing.instance
    made_for = f", for {shown(instance.person)}" if instance.person else ""
    head = f"{shown(instance.name)}  (agent {shown(instance.agent)}{made_for}, {_state(instance.revoked_at)})"
    return "\n".join([head, *(_credential_text(credential) for credential in listing.credentials)])


def _credential_text(credential: Credential) -> str:
    revoked = f", revoked {_minute(credential.revoked_at)}" if credential.revoked_at else ""
    return f"  credential {credential.id}  made {_minute(credential.created_at)}{revoked}"


def _state(revoked_at: datetime | None) -> str:
    return "live" if revoked_at is None else "revoked"


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
