"""What a command works on that runs beside the server: the database, the secret key, the ids of people; and lists.

Nothing here ever migrates: the server may be running on the schema that is there.
"""

import asyncio
import json
import os
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from bot.clock import Clock, monotonic_clock, set_by
from bot.config import Settings, load_settings
from bot.config_values import UserId
from bot.secrets import load_secret_key
from handlers.cli.say import CommandFailed, say, shown
from store.engine import Store
from store.opening import is_there, open_database, prepare_database

_LONGEST_NAME_CHARS = 75

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Act = Callable[[Namespace, Mapping[str, str], Settings], Awaitable[None]]
"""What one part of a command does."""


class Listing(Protocol[T_co]):
    """Use cases about things that can be listed."""

    async def list_all(self) -> Sequence[T_co]:
        """Return them all, oldest first."""
        ...


def carry_out(acts: Mapping[str, Act], args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Do the part of a command that was asked for. Raises what it does, ``BadConfig`` and ``CommandFailed``."""
    settings = load_settings(config, env)

    async def act() -> None:
        await acts[args.act](args, env, settings)

    asyncio.run(act())


@asynccontextmanager
async def use_cases(make: Callable[[Store, Clock, bytes], T], settings: Settings, key: bytes = b"") -> AsyncIterator[T]:
    """Open the database for use cases that ``make`` makes. Without ``key`` nothing secret can be made, and is not."""
    async with open_beside(settings) as (store, clock):
        yield make(store, clock, key)


async def all_of(make: Callable[[Store, Clock, bytes], Listing[T]], settings: Settings) -> Sequence[T]:
    """List what there is: nothing where there is no database yet, which is not made for it."""
    if not await is_there(settings.store.database):
        return []
    async with use_cases(make, settings) as listing:
        return await listing.list_all()


def print_list(
    things: Sequence[T],
    name: str,
    json_of: Callable[[T], object],
    text_of: Callable[[T], str],
    *,
    as_json: bool,
    none_yet: str,
) -> None:
    """Print a list: as JSON under ``name``, or a text for each; where there is nothing, say ``none_yet``."""
    if as_json:
        print(json.dumps({name: [json_of(thing) for thing in things]}, indent=2))
    elif things:
        print("\n".join(map(text_of, things)))
    else:
        say(none_yet)


@asynccontextmanager
async def open_beside(settings: Settings) -> AsyncIterator[tuple[Store, Clock]]:
    """Open the database, which is made if it is not there; the clock is that of all who work on it.

    Raises what ``prepare_database`` does.
    """
    clock = monotonic_clock()
    await prepare_database(settings.store.database, clock(), upgrade=False)
    store = await open_database(settings.store.database)
    try:
        yield store, set_by(clock, await store.offset_of(clock))
    finally:
        await store.close()


async def expect_database(settings: Settings, kind: str) -> None:
    """Raise ``CommandFailed`` where there is no database, and so nothing of a ``kind``."""
    if not await is_there(settings.store.database):
        raise CommandFailed(f"There is no database {named(settings)} yet, so there is no {kind} either.")


def named(settings: Settings) -> str:
    """What to call the database."""
    path = settings.store.sqlite_path  # PostgreSQL's address may hold a password
    return str(path) if path is not None else "with Signoff's tables"


def secret_key(env: Mapping[str, str], settings: Settings) -> bytes:
    """The secret key, made if there is none; then that is said. Raises ``BadConfig``."""
    key = load_secret_key(env, settings.store, create_key=True)
    if key.created is not None:
        say(f"Made the secret key {key.created}. Keep it with your backups, but apart from the database's.")
    return key.as_bytes()


def checked_user(user: str, argument: str) -> str:
    """Check that an id has the form of a Slack user's; whether there is such a user, only Slack knows."""
    try:
        return TypeAdapter(UserId).validate_python(user)
    except ValidationError as error:
        detail = error.errors()[0]["ctx"]
        raise CommandFailed(f"{argument}: {detail['problem']}; {detail['remedy']}.", exit_code=2) from error


def checked_agent(agent: str, settings: Settings) -> str:
    """Check that an agent is configured. Raises ``CommandFailed``."""
    if agent not in settings.agents:
        configured = ", ".join(sorted(settings.agents)) or "none"
        raise CommandFailed(f"There is no agent {shown(agent)} in the configuration. Configured: {configured}.")
    return agent


def checked_name(name: str, kind: str) -> str:
    """Check the name of a new thing. Raises ``CommandFailed``."""
    if not 1 <= len(name) <= _LONGEST_NAME_CHARS:
        raise CommandFailed(f"{kind}'s name has 1 to {_LONGEST_NAME_CHARS} characters.", exit_code=2)
    if not name.isprintable() or name != name.strip():
        raise CommandFailed(f"{kind}'s name has printable characters only, and no space at its ends.", exit_code=2)
    return name


def hand_out(token: str, if_lost: str) -> None:
    """Print a token alone on stdout, this once. ``if_lost`` says what to do if it could not be written."""
    try:
        print(token)
        sys.stdout.flush()
    except OSError as error:
        raise CommandFailed(
            f"The token could not be written ({error.strerror}), though it was made. {if_lost}"
        ) from error


def operator() -> str:
    """Who runs this, as the host knows them: for the record."""
    return f"uid {os.getuid()}"


def stamp(moment: datetime | None) -> str | None:
    """A time as lists have it."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
