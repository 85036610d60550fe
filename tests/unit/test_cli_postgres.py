"""The command line beside a PostgreSQL database: the same commands, and what of them can be done there."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.config import StoreSettings
from bot.errors import BadCredential
from bot.instances import Instances
from bot.tokens import looks_like_instance_token
from handlers.check import check_database
from handlers.cli import main
from handlers.findings import Level, Report
from store import postgres as store_postgres
from store import postgres_connections
from store.opening import unserved
from store.postgres import PostgresStore
from store.postgres_schema import prepare
from store.unit import RestoredCopy, StoreUnavailable
from tests.conftest import SAMPLE, START
from tests.postgres import PostgresServer, rows_of

KEY = "k" * 32


@pytest.fixture
def config(tmp_path: Path, postgres_url: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(SAMPLE.replace("sqlite:///signoff.db", postgres_url))
    return path


@pytest.fixture
async def server(postgres_url: str) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(postgres_url)
    yield store
    await store.close()


async def run(config: Path, line: str, **env: str) -> int:
    """Run a command as another process would: on an event loop of its own."""
    return await asyncio.to_thread(
        main, line.split(), {"SIGNOFF_CONFIG": str(config), "SIGNOFF_SECRET_KEY": KEY, **env}
    )


async def test_an_instance_is_made_and_revoked_beside_the_server(
    config: Path, server: PostgresStore, capsys: pytest.CaptureFixture[str]
) -> None:
    instances = Instances(server, lambda: START, KEY.encode())
    assert await run(config, "instance create till --agent refund-bot") == 0
    token = capsys.readouterr().out.strip()
    assert looks_like_instance_token(token)
    assert (await instances.authenticate(token)).name == "till"
    assert await run(config, "instance list --json") == 0
    [listed] = json.loads(capsys.readouterr().out)["instances"]
    assert listed["name"] == "till"
    assert await run(config, "instance revoke till") == 0

    async def is_refused() -> bool:
        try:
            await instances.authenticate(token)
        except BadCredential:
            return True
        return False

    async with asyncio.timeout(1):  # told by NOTIFY
        while not await is_refused():  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.01)


async def test_where_there_are_no_tables_yet_nothing_is_listed_and_nothing_revoked(
    config: Path, postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres.create("bare", like="template0")
    url = postgres.url("bare")
    assert await run(config, "instance list", SIGNOFF_STORE_URL=url) == 0
    assert await run(config, "instance revoke till", SIGNOFF_STORE_URL=url) == 1
    assert "There is no database with Signoff's tables yet" in capsys.readouterr().err
    assert rows_of(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


async def test_a_key_must_be_given(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        await asyncio.to_thread(
            main, ["instance", "create", "a", "--agent", "refund-bot"], {"SIGNOFF_CONFIG": str(config)}
        )
        == 1
    )
    assert "with PostgreSQL it is required" in capsys.readouterr().err


async def test_reload_says_how_replicas_are_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(config, "reload") == 1
    assert "send each of them SIGHUP" in capsys.readouterr().err


async def test_check_says_how_the_database_stands(postgres: PostgresServer, postgres_url: str) -> None:
    async def found(url: str) -> tuple[Level, str]:
        report = Report()
        await check_database(report, StoreSettings(url=url), START)
        [finding] = report.findings
        return finding.level, finding.text

    assert await found(postgres_url) == (Level.OK, "PostgreSQL answers, and has the schema of this version")
    rows_of(postgres_url, "UPDATE alembic_version SET version_num = '0001'")
    assert await found(postgres_url) == (Level.WARNING, "it is of an older version")
    rows_of(postgres_url, "UPDATE alembic_version SET version_num = '9999'")
    level, text = await found(postgres_url)
    assert level is Level.FAULT
    assert "9999" in text
    level, text = await found(postgres_url.replace("signoff@", "signoff:hunter2@") + "_gone")
    assert level is Level.FAULT
    assert "hunter2" not in text
    level, text = await found("postgresql://u:hunter2/hunter3@127.0.0.1/signoff")
    assert level is Level.FAULT
    assert "hunter" not in text
    postgres.create("blank", like="template0")
    assert (await found(postgres.url("blank")))[0] is Level.OK


async def test_restored_waits_for_no_replica_and_keeps_each_from_starting(
    config: Path, postgres_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = await PostgresStore.open(postgres_url, serves=True)
    assert await run(config, "restored") == 1
    assert "Stop all replicas first" in capsys.readouterr().err
    await serving.close()
    assert await run(config, "restored") == 0
    assert "The database has no mark of a backup" in capsys.readouterr().out
    assert rows_of(postgres_url, "SELECT count(*) FROM events WHERE type = 'database.restored'") == [(1,)]
    monkeypatch.setattr(postgres_connections, "BUSY_TIMEOUT_MS", 100)
    monkeypatch.setattr(store_postgres, "CONNECT_SECONDS", 1)
    async with unserved(postgres_url):
        with pytest.raises(StoreUnavailable, match="is at work on it"):
            await PostgresStore.open(postgres_url, serves=True)


async def test_what_was_put_back_from_a_dump_is_not_served_before_it_was_dealt_with(
    config: Path, postgres: PostgresServer, postgres_url: str
) -> None:
    """The server gives tables that are made from a dump other numbers than the comment says."""
    assert await run(config, "instance create till --agent refund-bot") == 0
    await prepare(postgres_url, upgrade=True)
    restored = postgres.restore(postgres.dump(postgres_url), "restored")
    assert rows_of(restored, "SELECT name FROM instances") == [("till",)]
    await prepare(restored, upgrade=False)  # the commands beside the server take it
    with pytest.raises(RestoredCopy, match="signoff restored"):
        await prepare(restored, upgrade=True)
    report = Report()
    await check_database(report, StoreSettings(url=restored), START)
    assert [finding.remedy for finding in report.findings if finding.remedy] == ["run `signoff restored` once"]
    assert await run(config, "restored", SIGNOFF_STORE_URL=restored) == 0
    await prepare(restored, upgrade=True)
    rows_of(restored, "COMMENT ON TABLE alembic_version IS NULL")  # as from a dump without comments
    with pytest.raises(RestoredCopy):
        await prepare(restored, upgrade=True)


async def test_the_record_is_shown_and_verified(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(config, "instance create till --agent refund-bot") == 0
    assert await run(config, "audit verify") == 0
    assert await run(config, "audit export --format jsonl") == 0
    assert "credential.created" in capsys.readouterr().out
