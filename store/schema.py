"""Bringing a SQLite database to the schema this code knows; PostgreSQL's is ``store.postgres_schema``'s.

A new file is created, an older one is copied and then migrated, a newer one is refused. The migration is one
transaction: it happens whole or not at all. Alembic is imported only when there is something to do.
"""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from store import copies
from store.unit import NewerSchema, OlderSchema, RestoredCopy, StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

HEAD = "0008"  # the newest revision in store/migrations/versions
_SCRIPTS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was done to the database: nothing (both None), created, or migrated from a revision after a backup."""

    created: bool = False
    migrated_from: str | None = None
    backup: Path | None = None


def prepare(path: Path, now: datetime, *, upgrade: bool, is_restored: bool = False) -> Prepared:
    """Make the database at ``path`` ready for this code.

    A missing one is created. An older one is migrated after a backup copy beside it if ``upgrade``, and refused with
    ``OlderSchema`` if not. Who upgrades is going to serve it, so a copy that was put back is refused then too, with
    ``RestoredCopy``, unless ``is_restored`` says that this is known. Raises ``NewerSchema`` or ``StoreUnavailable``.
    """
    try:
        revision = current_revision(path)
        if upgrade and not is_restored:
            _refuse_copy(path)
        if revision == HEAD:
            return Prepared()
        if revision is not None and revision not in known_revisions():
            raise NewerSchema(
                f"The database {path} has the schema {revision}, which this version of Signoff does not know. "
                "Use the version that wrote it, or restore a backup made before it."
            )
        if revision is None:
            _upgrade(path)
            return Prepared(created=True)
        if not upgrade:
            raise OlderSchema(
                f"The database {path} has the older schema {revision}. Start `signoff serve` once: it makes a backup "
                "and migrates it."
            )
        backup = _back_up(path, revision, now)
        _upgrade(path)
        return Prepared(migrated_from=revision, backup=backup)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"cannot prepare the database {path}: {error}") from error


def current_revision(path: Path) -> str | None:
    """Return the schema revision of the database at ``path``; None where there is none yet.

    Raises ``sqlite3.Error`` for a file that is no database, ``NewerSchema`` for a database of something else.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not names:
            return None
        if "alembic_version" not in names:
            raise NewerSchema(f"{path} is a database, but not one of Signoff's.")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else None


def _refuse_copy(path: Path) -> None:
    copied_at = copies.copied_at(path)
    if copied_at is not None:
        raise RestoredCopy(
            f"The database {path} is a copy of {copied_at:%Y-%m-%d %H:%M} UTC that was put back. What was approved in "
            "it may have been used since. Run `signoff restored` once: it revokes that; then start again."
        )


def known_revisions() -> set[str]:
    """The revisions that this code can migrate from, and ``HEAD``."""
    return {path.name.split("_")[0] for path in (_SCRIPTS / "versions").glob("[0-9]*.py")}


def _back_up(path: Path, revision: str, now: datetime) -> Path:
    backup = path.with_name(f"{path.name}.{revision}-{now:%Y%m%dT%H%M%SZ}.backup")
    copies.copy(path, backup, now)
    return backup


def _upgrade(path: Path, revision: str = HEAD) -> None:
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    # The driver would begin transactions by itself, and not before DDL; two processes that start at once must
    # take turns, and a half-done migration must vanish.
    @event.listens_for(engine, "connect")
    def _manual(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: object) -> None:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")  # type: ignore[attr-defined]  # SQLAlchemy's Connection

    with engine.begin() as connection:
        migrate(connection, revision)
    engine.dispose()


def migrate(connection: "Connection", revision: str = HEAD) -> None:
    """Run the migrations up to ``revision`` that are missing, in the transaction that ``connection`` has begun."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config
