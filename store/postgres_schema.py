"""Bringing a PostgreSQL database to the schema this code knows: created, migrated, or refused.

The same history as SQLite's. The migration is one transaction, which holds the writers' lock: replicas that start at
once take turns, and nobody writes meanwhile. No backup is made here: that is the operator's (docs/operations.md).

A database that was put back from a dump is known by a comment on one of its tables, which says the number that the
server gave to the table. The comment is in the dump; the tables that are made from it get other numbers.
"""

from typing import TYPE_CHECKING

from store.postgres_connections import TURN, Trouble, connect, unavailable
from store.schema import HEAD, Prepared, known_revisions, migrate
from store.unit import NewerSchema, OlderSchema, RestoredCopy

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

_REVISION = "SELECT version_num FROM alembic_version"
_MARK = "'signoff: table ' || 'alembic_version'::regclass::oid"
_IS_RESTORED = f"SELECT obj_description('alembic_version'::regclass, 'pg_class') IS DISTINCT FROM {_MARK}"  # noqa: S608 (above)
_SET_MARK = f"DO $$ BEGIN EXECUTE format('COMMENT ON TABLE alembic_version IS %L', {_MARK}); END $$"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"


async def prepare(url: str, *, upgrade: bool, is_restored: bool = False) -> Prepared:
    """Make the database at ``url`` ready for this code.

    An empty one gets its tables. An older one is migrated if ``upgrade``, and refused with ``OlderSchema`` if not. Who
    upgrades is going to serve it, so one that was put back from a dump is refused then too, with ``RestoredCopy``,
    unless ``is_restored`` says that this is known. Raises ``NewerSchema`` or ``StoreUnavailable``.
    """
    try:
        connection = await connect(url)
        try:
            revision = await _read_revision(connection)
            _refuse_unknown(revision)
            if revision is not None and upgrade and not is_restored and await connection.fetchval(_IS_RESTORED):
                raise RestoredCopy(
                    "The database was put back from a dump. What was approved in it may have been used since. Run "
                    "`signoff restored` once: it revokes that; then start again."
                )
        finally:
            await connection.close()
        if revision == HEAD:
            return Prepared()
        if revision is not None and not upgrade:
            raise OlderSchema(
                f"The database has the older schema {revision}. Make a backup, then start `signoff serve` once: it "
                "migrates it."
            )
        before = await _upgrade(url)
    except Trouble as error:
        raise unavailable(error) from error
    if before == HEAD:
        return Prepared()
    return Prepared(created=True) if before is None else Prepared(migrated_from=before)


async def is_restored(url: str) -> bool:
    """Whether a database with tables was put back from a dump, and that not dealt with. Raises ``StoreUnavailable``."""
    try:
        connection = await connect(url)
        try:
            return bool(await connection.fetchval(_IS_RESTORED))
        finally:
            await connection.close()
    except Trouble as error:
        raise unavailable(error) from error


async def end_mark(url: str) -> None:
    """Make a database that was put back one like any other. Raises ``StoreUnavailable``."""
    try:
        connection = await connect(url)
        try:
            await connection.execute(_SET_MARK)
        finally:
            await connection.close()
    except Trouble as error:
        raise unavailable(error) from error


async def current_revision(url: str) -> str | None:
    """Return the schema revision of the database at ``url``; None where there are no tables yet.

    Raises ``StoreUnavailable``, or ``NewerSchema`` for a database of something else.
    """
    try:
        connection = await connect(url)
        try:
            return await _read_revision(connection)
        finally:
            await connection.close()
    except Trouble as error:
        raise unavailable(error) from error


async def _read_revision(connection: "asyncpg.Connection") -> str | None:
    names = {row[0] for row in await connection.fetch(_TABLES)}
    if not names:
        return None
    if "alembic_version" not in names:
        raise NewerSchema("This is a database, but not one of Signoff's.")
    revision: str | None = await connection.fetchval(_REVISION)
    return revision


def _refuse_unknown(revision: str | None) -> None:
    if revision is not None and revision not in known_revisions():
        raise NewerSchema(
            f"The database has the schema {revision}, which this version of Signoff does not know. Use the version "
            "that wrote it, or restore a backup made before it."
        )


async def _upgrade(url: str) -> str | None:
    """Migrate to ``HEAD`` if no other replica just did; returns the revision that was met, once it was our turn."""
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connected() -> "asyncpg.Connection":
        connection = await connect(url)
        # A long migration, and the wait for another replica's, are no reason to give up.
        await connection.execute("SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        connection._config = connection._config._replace(command_timeout=None)
        return connection

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connected, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TURN})")
            names = {row[0] for row in await connection.exec_driver_sql(_TABLES)}
            before: str | None = None
            if "alembic_version" in names:
                before = (await connection.exec_driver_sql(_REVISION)).scalar()
                _refuse_unknown(before)
            if before != HEAD:
                await connection.run_sync(migrate)
            if before is None:
                await connection.exec_driver_sql(_SET_MARK)
            return before
    except DBAPIError as error:
        raise unavailable(error.orig or error) from error
    finally:
        await engine.dispose()
