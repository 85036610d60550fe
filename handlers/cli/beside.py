"""What a command works on that runs beside the server: the database, the secret key, the ids of people.

Nothing here ever migrates: the server may be running on the schema that is there.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bot.clock import Clock
from bot.config import Settings
from bot.config_values import UserId
from bot.secrets import load_secret_key
from handlers.cli.say import CommandFailed, say
from store.engine import SqliteStore
from store.schema import prepare


@asynccontextmanager
async def open_beside(settings: Settings, clock: Clock) -> AsyncIterator[SqliteStore]:
    """Open the database, which is made if it is not there. Raises what ``prepare`` does, and ``CommandFailed``."""
    path = database_of(settings)
    prepare(path, clock(), upgrade=False)
    store = await SqliteStore.open(path)
    try:
        yield store
    finally:
        await store.close()


def database_of(settings: Settings) -> Path:
    """Where the database is, or would be. Raises ``CommandFailed`` for one that is no file."""
    path = settings.store.sqlite_path
    if path is None:
        raise CommandFailed("PostgreSQL is not supported yet.")
    return path


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
