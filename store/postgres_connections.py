"""Connections to PostgreSQL, with the settings that the store's promises rest on, and what its errors mean.

Nothing here knows what is stored.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from store.announcing import BUSY_TIMEOUT_MS
from store.unit import StoreUnavailable

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 10.0  # how long one statement may take before its caller hears 503
IDLE_IN_TRANSACTION_MS = 5_000  # a replica that froze within a transaction stops all others for no longer than this
_CACHED_STATEMENTS = 1024  # more than there are: each is parsed once per connection

TURN = 0x5349_474E
"""The advisory lock of whoever writes: one replica at a time, as on SQLite."""

SERVING = 0x5349_4753
"""The advisory lock that all replicas share while they serve, so that nobody can have it alone."""

Trouble = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What the driver raises for whatever is the matter with the database, the network or a statement."""

_OWN = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)


def is_trouble(error: BaseException) -> bool:
    """Whether ``error`` is the database's, not a use case's own; a value that it refuses is that too."""
    return isinstance(error, Trouble) and not isinstance(error, _OWN)


def unavailable(error: BaseException) -> StoreUnavailable:
    """Say what is the matter, without a word of any statement's values."""
    if isinstance(error, StoreUnavailable):
        return error
    what = str(error).partition("\n")[0] or type(error).__name__
    return StoreUnavailable(f"the database cannot serve: {what}")


async def connect(url: str) -> asyncpg.Connection:
    """Connect to the server of ``url`` that takes writes, if it names several. Raises ``StoreUnavailable``."""
    try:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            statement_cache_size=_CACHED_STATEMENTS,
            max_cached_statement_lifetime=0,
            target_session_attrs="read-write",
            server_settings={
                "application_name": "signoff",
                "lock_timeout": str(BUSY_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
                "synchronous_commit": "on",
                "standard_conforming_strings": "on",  # literals of store.statements_chain
            },
        )
    except ValueError as error:  # of the address, whose password it may repeat
        raise StoreUnavailable("the database cannot serve: its address is none that can be read") from error
    except Trouble as error:
        raise unavailable(error) from error


class Served(StoreUnavailable):
    """Somebody serves the database."""


async def say_serving(connection: asyncpg.Connection) -> None:
    """Let nobody have the database alone for as long as ``connection`` lives. Raises ``StoreUnavailable``."""
    try:
        await connection.execute(f"SELECT pg_advisory_lock_shared({SERVING})")
    except asyncpg.LockNotAvailableError as error:
        raise StoreUnavailable("The database is not to be served yet: `signoff restored` is at work on it.") from error


@asynccontextmanager
async def unserved(url: str) -> AsyncIterator[None]:
    """Keep every replica from starting. Raises ``Served`` while one does."""
    connection = await connect(url)
    try:
        if not await connection.fetchval(f"SELECT pg_try_advisory_lock({SERVING})"):
            raise Served("The database is being served. Stop all replicas first.")
        yield
        await connection.close(timeout=CONNECT_SECONDS)  # which gives the lock back before this returns
    finally:
        connection.terminate()


async def hang_up(connection: "asyncpg.Connection") -> None:
    """Close a connection politely, or else at once."""
    try:
        await connection.close(timeout=1)
    except Trouble:
        connection.terminate()
