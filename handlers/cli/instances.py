"""``signoff instance``: the operator's side of credentials, in a process of its own beside the server.

A token goes to stdout, alone and once; it is never logged, stored or listed.
"""

from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.config import Settings
from bot.instances import InstanceListing, Instances
from handlers.cli.beside import (
    all_of,
    carry_out,
    checked_agent,
    checked_name,
    checked_user,
    expect_database,
    hand_out,
    print_list,
    secret_key,
    stamp,
    use_cases,
)
from handlers.cli.say import say, shown
from store.tables import Credential


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Carry out one of the commands. Raises what the use cases do, ``BadConfig`` and ``CommandFailed``."""
    acts = {"create": _create, "list": _list, "rotate": _rotate, "revoke": _revoke}
    carry_out(acts, args, env, config)


async def _create(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    name, agent = checked_name(args.name, "An instance"), checked_agent(args.agent, settings)
    person = checked_user(args.person, "--person") if args.person is not None else None
    async with use_cases(Instances, settings, secret_key(env, settings)) as instances:
        _, token = await instances.create(name, agent, person)
    hand_out(token, _if_lost(name))
    made_for = f" for {person}, who will not decide on its requests" if person else ""
    say(f"Made instance {name} of agent {agent}{made_for}. Its token is shown this once.")


async def _list(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    print_list(
        await all_of(Instances, settings), "instances", _as_json, _as_text, as_json=args.json,
        none_yet="There is no instance yet. Make one: signoff instance create NAME --agent AGENT",
    )  # fmt: skip


async def _rotate(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    name = args.name
    await expect_database(settings, "instance")
    if args.retire:
        async with use_cases(Instances, settings) as instances:
            retired = await instances.retire(name)
        print(f"Revoked {_count(retired, 'older token')} of {shown(name)}; the newest goes on working.")
        return
    async with use_cases(Instances, settings, secret_key(env, settings)) as instances:
        token = await instances.rotate(name)
    hand_out(token, _if_lost(name))
    say(f"This is {shown(name)}'s new token, shown this once.")
    say(f"Older ones work until: signoff instance rotate {shown(name)} --retire")


async def _revoke(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    await expect_database(settings, "instance")
    async with use_cases(Instances, settings) as instances:
        cancelled = await instances.revoke(args.name)
    print(f"Revoked {shown(args.name)} and cancelled {_count(len(cancelled), 'pending request')} of it.")


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
