"""``signoff provisioner``: tokens with which a platform makes instances of one agent by itself.

A token goes to stdout, alone and once; it is never logged, stored or listed.
"""

import asyncio
import json
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bot.clock import monotonic_clock
from bot.config import Settings, load_settings
from bot.provisioners import Provisioners
from handlers.cli.beside import (
    checked_agent,
    checked_name,
    database_of,
    hand_out,
    open_beside,
    secret_key,
    stamp,
)
from handlers.cli.say import CommandFailed, say, shown
from store.delivery_tables import Provisioner


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Carry out one of the commands. Raises what the use cases do, ``BadConfig`` and ``CommandFailed``."""
    settings = load_settings(config, env)
    work = {"create": _create, "list": _list, "revoke": _revoke}[args.act]
    asyncio.run(work(args, env, settings))


async def _create(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    name, agent = checked_name(args.name, "A provisioner"), checked_agent(args.agent, settings)
    async with _provisioners(settings, secret_key(env, settings)) as provisioners:
        _, token = await provisioners.create(name, agent)
    hand_out(token, f"Run `signoff provisioner revoke {shown(name)}`, and make another.")
    say(f"Made provisioner {name} of agent {agent}. Its token is shown this once.")


async def _list(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    listed: list[Provisioner] = []
    if database_of(settings).exists():
        async with _provisioners(settings) as provisioners:
            listed = await provisioners.list_all()
    if args.json:
        print(json.dumps({"provisioners": [_as_json(provisioner) for provisioner in listed]}, indent=2))
    elif listed:
        print("\n".join(_as_text(provisioner) for provisioner in listed))
    else:
        say("There is no provisioner yet. Make one: signoff provisioner create NAME --agent AGENT")


async def _revoke(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    path = database_of(settings)
    if not path.exists():
        raise CommandFailed(f"There is no database {path} yet, so there is no provisioner either.")
    async with _provisioners(settings) as provisioners:
        await provisioners.revoke(args.name)
    print(f"Revoked {shown(args.name)}. The instances that it made live on: signoff instance list")


@asynccontextmanager
async def _provisioners(settings: Settings, key: bytes = b"") -> AsyncIterator[Provisioners]:
    """Open the store for the use cases. Without ``key`` no token can be made, and none is."""
    clock = monotonic_clock()
    async with open_beside(settings, clock) as store:
        yield Provisioners(store, clock, key)


def _as_json(provisioner: Provisioner) -> dict[str, str | None]:
    return {
        "id": provisioner.id,
        "name": provisioner.name,
        "agent": provisioner.agent,
        "state": _state(provisioner),
        "created_at": stamp(provisioner.created_at),
        "revoked_at": stamp(provisioner.revoked_at),
    }


def _as_text(provisioner: Provisioner) -> str:
    made = f"made {stamp(provisioner.created_at)}"
    return f"{shown(provisioner.name)}  agent {shown(provisioner.agent)}  {_state(provisioner)}, {made}"


def _state(provisioner: Provisioner) -> str:
    return "live" if provisioner.revoked_at is None else "revoked"
