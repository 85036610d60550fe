"""Opening the database to serve: brought to today's schema, freed of what dead replicas held, with its own clock."""

from datetime import timedelta
from pathlib import Path

import structlog

from bot.clock import Clock, set_by
from store import statements, statements_delivery
from store.engine import Store
from store.opening import Database, open_to_serve, prepare_database
from store.unit import Unit

_CLOCKS_AGREE = timedelta(seconds=1)  # this machine's and the database's

log = structlog.get_logger(__name__)


async def open_store(database: Database, clock: Clock) -> Store:
    """Bring ``database`` to today's schema and open it. Raises ``StoreUnavailable`` or ``NewerSchema``."""
    prepared = await prepare_database(database, clock(), upgrade=True)
    path = database if isinstance(database, Path) else None  # an address may hold a password
    if prepared.created:
        log.info("database_created", path=path)
    if prepared.migrated_from is not None:
        log.warning("database_migrated", path=path, migrated_from=prepared.migrated_from, backup=prepared.backup)
    return await open_to_serve(database, _free_leases)


async def _free_leases(unit: Unit) -> None:
    """Free what replicas held that are gone, as ``handlers.worker`` does where one process owns the database."""
    await unit.run(statements.RELEASE_LEASES)
    await unit.run(statements_delivery.RELEASE_NOTIFICATIONS)


async def clock_of(store: Store, clock: Clock) -> Clock:
    """Return the clock that all replicas go by: that of their database."""
    ahead = await store.offset_of(clock)
    if abs(ahead) > _CLOCKS_AGREE:
        log.warning("clock_differs", database_ahead_seconds=round(ahead.total_seconds(), 3))
    return set_by(clock, ahead) if ahead else clock
