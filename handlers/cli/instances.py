"""``signoff instance``: the operator's side of credentials, in a process of its own beside the server.

A token goes to stdout, alone and once; it is never logged, stored or listed.
"""

import asyncio
import json
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.clock import monotonic_clock
from bot.config import Settings, load_settings
from bot.instances import InstanceListing, Instances
from handlers.cli.beside import (
    checked_agent,
    checked_name,
    checked_user,
    database_of,
    hand_out,
    open_beside,
    secret_key,
    stamp,
)
from handlers.cli.say import CommandFailed, say, shown
from store.tables import Credential


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Carry out one of the commands. Raises what the use cases do, ``BadConfig`` and ``CommandFailed``."""
    settings = load_settings(config, env)
    work = {"create": _create, "list": _list, "rotate": _rotate, "revoke": _revoke}[args.act]
    asyncio.run(work(args, env, settings))


async def _create(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    name, agent = checked_name(args.name, "An instance"), checked_agent(args.agent, settings)
    person = checked_user(args.person, "--person") if args.person is not None else None
    async with _instances(settings, secret_key(env, settings)) as instances:
        _, token = await instances.create(name, agent, person)
    hand_out(token, _if_lost(name))
    made_for = f" for {person}, who will not decide on its requests" if person else ""
    say(f"Made instance {name} of agent {agent}{made_for}. Its token is shown this once.")


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
    hand_out(token, _if_lost(name))
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


def _if_lost(name: str) -> str:
    return f"Run `signoff instance rotate {shown(name)}` for another, and then the same with --retire."


def _as_json(listing: InstanceListing) -> dict[str, Any]:
    instance = listing.instance
    return {
        "id": instance.id,
        "name": instance.name,
        "agent": instance.agent,
        "person": instance.person,
        "state": _state(instance.revoked_at),
        "created_at": stamp(instance.created_at),
        "revoked_at": stamp(instance.revoked_at),
        "credentials": [
            {
                "id": credential.id,
                "state": _state(credential.revoked_at),
                "created_at": stamp(credential.created_at),
                "revoked_at": stamp(credential.revoked_at),
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


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
