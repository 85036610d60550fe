"""Opening the database that an address names: SQLite's file, or PostgreSQL's server.

What only PostgreSQL needs is imported only for it: a start on SQLite must not wait for it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from store import copies, schema
from store.announcing import Work
from store.engine import SqliteStore, Store
from store.lock import ServingLock
from store.schema import Prepared

Database = Path | str
"""SQLite's file, or PostgreSQL's address."""


async def prepare_database(database: Database, now: datetime, *, upgrade: bool, is_restored: bool = False) -> Prepared:
    """Bring a database to today's schema; one that is there and older only if ``upgrade``.

    Raises ``NewerSchema``, ``OlderSchema``, ``StoreUnavailable``, or what ``store.schema`` says of copies.
    """
    if isinstance(database, Path):
        return await asyncio.to_thread(schema.prepare, database, now, upgrade=upgrade, is_restored=is_restored)
    from store import postgres_schema

    return await postgres_schema.prepare(database, upgrade=upgrade, is_restored=is_restored)


async def open_database(database: Database) -> Store:
    """Open a database whose schema is today's, beside whoever serves it. Raises ``StoreUnavailable``."""
    if isinstance(database, Path):
        return await SqliteStore.open(database)
    from store.postgres import PostgresStore

    return await PostgresStore.open(database)


async def open_to_serve(database: Database, when_alone: Work[object]) -> Store:
    """Open a database, whose schema is today's, to serve agents and people from it.

    ``when_alone`` is written first where others might serve a PostgreSQL database, and nobody does. Whoever serves
    SQLite's is alone as long as it has the lock. Raises ``StoreUnavailable``.
    """
    if isinstance(database, Path):
        return await SqliteStore.open(database)
    from store.postgres import PostgresStore

    return await PostgresStore.open(database, serves=True, when_alone=when_alone)


@asynccontextmanager
async def unserved(database: Database) -> AsyncIterator[None]:
    """Keep everybody from serving a database. Raises ``StoreUnavailable`` where somebody does."""
    if isinstance(database, Path):
        lock = ServingLock.acquire(database)
        try:
            yield
        finally:
            lock.release()
    else:
        from store.postgres_connections import unserved as unserved_on_postgresql

        async with unserved_on_postgresql(database):
            yield


async def end_mark(database: Database) -> None:
    """Make a database that was put back one like any other. Raises ``StoreUnavailable``."""
    if isinstance(database, Path):
        await asyncio.to_thread(copies.end_mark, database)
        return
    from store import postgres_schema

    await postgres_schema.end_mark(database)


async def is_there(database: Database) -> bool:
    """Whether there is a database with tables. Raises ``StoreUnavailable``, or ``NewerSchema`` for another's tables."""
    if isinstance(database, Path):
        return database.exists()
    from store import postgres_schema

    return await postgres_schema.current_revision(database) is not None
