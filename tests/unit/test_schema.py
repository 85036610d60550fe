"""store.schema: a database is created, migrated after a backup, or refused with a clear message."""

import asyncio
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from store import delivery_tables, escalation_tables, postgres_schema, schema, tables  # noqa: F401  # they fill the metadata
from store.types import Word
from store.unit import NewerSchema, OlderSchema, StoreUnavailable
from tests.postgres import PostgresServer

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
VOCABULARIES = [
    (table.name, column)
    for table in SQLModel.metadata.sorted_tables
    for column in table.columns
    if isinstance(column.type, Word)
]


def test_creates_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    assert schema.prepare(path, NOW, upgrade=False) == schema.Prepared(created=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert schema.current_revision(path) == schema.HEAD
    assert schema.prepare(path, NOW, upgrade=True) == schema.Prepared()


def test_the_migrations_lead_to_the_tables(database: Path) -> None:
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
        tables = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        built = {str(row[0]): str(row[1]) for row in tables}
    engine.dispose()
    # What Alembic's comparison does not see: checks, and numbers that are never given out twice.
    checks = {"ck_requests_deadline", "ck_requests_decided", "ck_requests_expires", "ck_requests_consumed"}
    for check in checks | {"status", "deciderkind", "outcomestatus"}:
        assert built["requests"].count(f"CONSTRAINT {check} CHECK") == 1
    for table, column in VOCABULARIES:
        words = ", ".join(repr(word) for word in column.type.enums)
        assert built[table].count(f"CHECK ({column.name} IN ({words}))") == 1
    assert "AUTOINCREMENT" in built["requests"]
    assert "AUTOINCREMENT" in built["outbox"]


def test_head_is_the_newest_revision() -> None:
    assert ScriptDirectory.from_config(schema._config()).get_current_head() == schema.HEAD


def _stamp(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def test_a_newer_schema_is_refused_and_untouched(database: Path) -> None:
    _stamp(database, "9999")
    before = database.read_bytes()
    with pytest.raises(NewerSchema, match="9999"):
        schema.prepare(database, NOW, upgrade=True)
    assert database.read_bytes() == before


def test_an_older_schema_is_backed_up_then_migrated(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stamp(database, "0001")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO acts VALUES ('kept', 'U0', '2026-11-22T09:00:00.000000+00:00')")
    migrated: list[Path] = []
    monkeypatch.setattr(schema, "_upgrade", migrated.append)
    with pytest.raises(OlderSchema, match="signoff serve"):
        schema.prepare(database, NOW, upgrade=False)
    assert migrated == []
    done = schema.prepare(database, NOW, upgrade=True)
    assert migrated == [database]
    assert done.migrated_from == "0001"
    assert done.backup is not None
    assert done.backup.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(done.backup)) as copy:
        assert copy.execute("SELECT id FROM acts").fetchall() == [("kept",)]


def test_what_is_no_database_of_ours_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("this is not a database, and long enough to be sure of it" * 10)
    with pytest.raises(StoreUnavailable):
        schema.prepare(text, NOW, upgrade=True)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE somebody_elses (id INTEGER)")
    with pytest.raises(NewerSchema, match="not one of Signoff's"):
        schema.prepare(other, NOW, upgrade=True)
    with pytest.raises(StoreUnavailable):
        schema.prepare(tmp_path / "no" / "such" / "folder.db", NOW, upgrade=True)


# --- PostgreSQL -------------------------------------------------------------------------------------------


async def test_postgresqls_migrations_lead_to_the_tables(postgres_url: str) -> None:
    engine = create_async_engine(postgres_url.replace("postgresql:", "postgresql+asyncpg:"))

    def compare(connection: Connection) -> None:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
        rows = connection.exec_driver_sql(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'"
        )
        checks = [(str(table), str(definition)) for table, definition in rows]
        for table, column in VOCABULARIES:
            found = [text for name, text in checks if name == table and f"({column.name})::text" in text]
            assert [re.findall("'([a-z_]+)'", text) for text in found].count(list(column.type.enums)) == 1

    async with engine.connect() as connection:
        await connection.run_sync(compare)
    await engine.dispose()


async def test_a_postgresql_database_is_made_once_however_many_replicas_start(postgres: PostgresServer) -> None:
    postgres.create("empty", like="template0")
    url = postgres.url("empty")
    assert await postgres_schema.current_revision(url) is None
    done = await asyncio.gather(*(postgres_schema.prepare(url, upgrade=True) for _ in range(3)))
    assert sorted(one.created for one in done) == [False, False, True]
    assert await postgres_schema.current_revision(url) == schema.HEAD


async def test_a_newer_older_or_other_postgresql_database_is_refused(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerSchema, match="9999"):
        await postgres_schema.prepare(postgres_url, upgrade=True)
    await connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(OlderSchema, match="signoff serve"):
        await postgres_schema.prepare(postgres_url, upgrade=False)
    await connection.execute("DROP TABLE alembic_version")
    with pytest.raises(NewerSchema, match="not one of Signoff's"):
        await postgres_schema.prepare(postgres_url, upgrade=True)
    await connection.close()
    with pytest.raises(StoreUnavailable):
        await postgres_schema.prepare(postgres_url + "_that_is_not_there", upgrade=True)
