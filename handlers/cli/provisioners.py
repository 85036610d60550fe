"""``signoff provisioner``: tokens with which a platform makes instances of one agent by itself.

A token goes to stdout, alone and once; it is never logged, stored or listed.
"""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from bot.config import Settings
from bot.provisioners import Provisioners
from handlers.cli.beside import (
    all_of,
    carry_out,
    checked_agent,
    checked_name,
    expect_database,
    hand_out,
    print_list,
    secret_key,
    stamp,
    use_cases,
)
from handlers.cli.say import say, shown
from store.delivery_tables import Provisioner


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Carry out one of the commands. Raises what the use cases do, ``BadConfig`` and ``CommandFailed``."""
    carry_out({"create": _create, "list": _list, "revoke": _revoke}, args, env, config)


async def _create(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    name, agent = checked_name(args.name, "A provisioner"), checked_agent(args.agent, settings)
    async with use_cases(Provisioners, settings, secret_key(env, settings)) as provisioners:
        _, token = await provisioners.create(name, agent)
    hand_out(token, f"Run `signoff provisioner revoke {shown(name)}`, and make another.")
    say(f"Made provisioner {name} of agent {agent}. Its token is shown this once.")


async def _list(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    print_list(
        await all_of(Provisioners, settings), "provisioners", _as_json, _as_text, as_json=args.json,
        none_yet="There is no provisioner yet. Make one: signoff provisioner create NAME --agent AGENT",
    )  # fmt: skip


async def _revoke(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    await expect_database(settings, "provisioner")
    async with use_cases(Provisioners, settings) as provisioners:
        await provisioners.revoke(args.name)
    print(f"Revoked {shown(args.name)}. The instances that it made live on: signoff instance list")


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
