"""``signoff check``: whether this configuration, on this machine and in this workspace, will work. Changes nothing.

It asks what `serve` would need and reports all it finds, not the first thing. What Slack says is checked in
handlers/check_slack.py, how plans run in handlers/check_plans.py. No secret is ever in a finding.
"""

import asyncio
import os
import secrets as random
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from bot.config import (
    SLACK_API_URL,
    BadConfig,
    ServerSettings,
    Settings,
    StoreSettings,
    is_loopback_host,
    load_settings,
)
from bot.secret_reader import METRICS_TOKEN, SECRET_KEY, key_file
from bot.secrets import Secrets, load_secrets
from handlers.check_plans import check_plans
from handlers.check_slack import Sleep, check_slack
from handlers.findings import Report
from store.copies import copied_at
from store.schema import current_revision, prepare
from store.unit import NewerSchema, OlderSchema, StoreUnavailable


async def run_check(path: Path, env: Mapping[str, str], now: datetime, sleep: Sleep = asyncio.sleep) -> Report:
    """Check everything that can be checked; what rests on something faulty is left out, and said to be."""
    report = Report()
    settings = check_configuration(report, path, env)
    if settings is None:
        return report
    secrets = check_secrets(report, settings, env)
    check_server(report, settings, secrets)
    check_plans(report, settings)
    await check_database(report, settings.store, now)
    if secrets is None:
        report.warning("slack", "was not asked, for want of the secrets above", "put those right, then check again")
    else:
        await check_slack(report, settings, secrets, now, sleep)
    return report


def check_configuration(report: Report, path: Path, env: Mapping[str, str]) -> Settings | None:
    try:
        settings = load_settings(path, env)
    except BadConfig as bad:
        for fault in bad.faults:
            where = f'{fault.key_path} (rule "{fault.rule}")' if fault.rule else fault.key_path
            report.fault("configuration", f"{where} {fault.problem}", fault.remedy)
        return None
    report.ok("configuration", f"{path}: {_count(settings.agents, 'agent')}, {_count(settings.rules, 'rule')}")
    if not settings.rules:
        report.warning("configuration", "there is no rule, so every call will be denied", "write [[rules]]")
    return settings


def check_secrets(report: Report, settings: Settings, env: Mapping[str, str]) -> Secrets | None:
    """Return the secrets if they are all there. A key that the first start will make may be missing."""
    waits = _key_to_be_made(settings.store, env)
    # A key of the moment takes its place, so that the tokens are looked at too. Nothing is derived from it.
    given = {**env, SECRET_KEY: random.token_urlsafe(32)} if waits else env
    try:
        secrets = load_secrets(given, settings, create_key=False)
    except BadConfig as bad:
        for fault in bad.faults:
            report.fault("secrets", f"{fault.key_path} {fault.problem}", fault.remedy)
        secrets = None
    else:
        report.ok("secrets", "all that these settings need are there")
    if waits:
        database = settings.store.sqlite_path
        if database is not None and database.exists():
            report.warning(
                "secrets",
                f"{waits} is gone, though there is a database; `signoff serve` will make a new key",
                f"if the database is to be kept, bring its key back from a backup, or set {SECRET_KEY}",
            )
        else:
            report.ok("secrets", f"`signoff serve` will make the key {waits} at its first start")
    return secrets


def check_server(report: Report, settings: Settings, secrets: Secrets | None) -> None:
    server = settings.server
    if secrets is not None and secrets.metrics_token is None and not server.is_loopback_only:
        report.warning(
            "server", "/metrics is closed to everybody, as no token is set", f"set {METRICS_TOKEN} if it is to be read"
        )
    if settings.slack.mode == "http" and settings.slack.api_url == SLACK_API_URL and _only_here(server):
        report.warning(
            "server",
            f"Slack cannot reach public_url, {server.public_url}",
            'give the address of the TLS proxy in front of Signoff, or use mode = "socket"',
        )


async def check_database(report: Report, store: StoreSettings, now: datetime) -> None:
    path = store.sqlite_path
    if path is None:
        await _check_postgresql(report, store.url)
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        report.fault("database", f"there is no folder {folder}", "make it, writable for the user that runs Signoff")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        # An existing database is no way out: SQLite keeps its journal beside it.
        report.fault("database", f"the folder {folder} is not writable", "let the user that runs Signoff write there")
        return
    try:
        if not path.exists() or current_revision(path) is None:
            report.ok("database", f"`signoff serve` will make {path} at its first start")
            return
        if copied_at(path) is not None:
            report.fault("database", f"{path} is a backup that was put back", "run `signoff restored` once")
        prepare(path, now, upgrade=False)
    except OlderSchema:
        report.warning("database", f"{path} is of an older version", "`signoff serve` migrates it, after a backup copy")
    except NewerSchema as newer:
        report.fault("database", str(newer), "run the version that wrote it")
    except (StoreUnavailable, sqlite3.Error, OSError) as error:
        report.fault("database", f"{path} cannot be read: {error}", "is it a SQLite database, and this user's?")
    else:
        if os.access(path, os.W_OK):
            report.ok("database", f"{path} is there, with the schema of this version")
        else:
            report.fault("database", f"{path} is not writable", "let the user that runs Signoff write it")


async def _check_postgresql(report: Report, url: str) -> None:
    from store import postgres_schema

    try:
        if await postgres_schema.current_revision(url) is None:
            report.ok("database", "PostgreSQL answers; `signoff serve` will make the tables at its first start")
            return
        if await postgres_schema.is_restored(url):
            report.fault("database", "it was put back from a dump", "run `signoff restored` once")
        await postgres_schema.prepare(url, upgrade=False)
    except OlderSchema:
        report.warning("database", "it is of an older version", "make a backup; then `signoff serve` migrates it")
    except NewerSchema as newer:
        report.fault("database", str(newer), "run the version that wrote it")
    except StoreUnavailable as error:
        report.fault("database", str(error), "is PostgreSQL there, and are address, user and password right?")
    else:
        report.ok("database", "PostgreSQL answers, and has the schema of this version")


def _key_to_be_made(store: StoreSettings, env: Mapping[str, str]) -> Path | None:
    path = key_file(store)
    if path is None or SECRET_KEY in env or f"{SECRET_KEY}_FILE" in env or os.path.lexists(path):
        return None
    return path


def _only_here(server: ServerSettings) -> bool:
    return is_loopback_host(urlsplit(server.public_url).hostname or "")


def _count(things: Mapping[str, object] | tuple[object, ...], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
