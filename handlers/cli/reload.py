"""``signoff reload``: have the server that runs take the changed file, and say what came of it.

The file is checked here first; its faults are told without a word to the server. The server is found through the lock
beside the database, told by SIGHUP, and answers on the record: what it took or refused is an event.
"""

import asyncio
import json
import os
import signal
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bot.clock import monotonic_clock
from bot.config import Settings, load_settings
from bot.config_changes import effective_digest
from bot.events import EventType
from bot.reload import last_known
from handlers.cli.say import CommandFailed, say, shown
from store import statements_config
from store.engine import SqliteStore, Store
from store.lock import ServingLock
from store.schema import prepare
from store.tables import Event
from store.unit import Unit

PATIENCE_SECONDS = 10.0
_LOOK_EVERY_SECONDS = 0.05
_MOST_EVENTS = 100

_WORDS = {
    "rules_added": "rules added",
    "rules_changed": "rules changed",
    "rules_removed": "rules removed",
    "rules_reordered": "rules in another order",
    "agents_added": "agents added",
    "agents_changed": "agents changed",
    "agents_removed": "agents removed",
    "groups_added": "groups added",
    "groups_changed": "groups changed",
    "groups_removed": "groups removed",
    "plans_added": "plans added",
    "plans_changed": "plans changed",
    "plans_removed": "plans removed",
    "oncall_added": "on call added",
    "oncall_changed": "on call changed",
    "oncall_removed": "on call removed",
    "pagers_added": "pagers added",
    "pagers_changed": "pagers changed",
    "pagers_removed": "pagers removed",
    "tables_changed": "tables changed",
    "admins_added": "admins added",
    "admins_removed": "admins removed",
    "cancelled": "pending requests that are forbidden now, and cancelled",
    "revoked": "approvals that are forbidden now, and revoked",
}


def run(args: Namespace, env: Mapping[str, str], config: Path) -> int:
    """Carry it out; returns the exit code. Raises ``BadConfig`` for the file's faults, and ``CommandFailed``."""
    settings = load_settings(config, env)
    return asyncio.run(_reload(settings))


async def _reload(settings: Settings) -> int:
    path = settings.store.sqlite_path
    if path is None:
        raise CommandFailed(
            "The file has no fault. Which processes serve a PostgreSQL database cannot be told from here: send each of "
            "them SIGHUP, or restart them one after the other."
        )
    if not path.exists():
        raise CommandFailed("There is no database yet, so nothing runs that could reload. Start it: signoff serve")
    server = ServingLock.holder(path)
    if server is None:
        raise CommandFailed(f"Nothing serves the database {path}. The file has no fault; the next start reads it.")
    async with _opened(path) as store:
        last = await store.read(lambda unit: unit.one(statements_config.LAST_EVENT_NUMBER)) or 0
        if await store.read(lambda unit: _is_in_force(unit, settings)):
            print(f"Nothing changed: the server goes by this file already ({settings.digest}).")
            return 0
        try:
            os.kill(server, signal.SIGHUP)
        except OSError as error:
            raise CommandFailed(
                f"The server, process {server}, cannot be told ({error.strerror}). Run this as the user it runs as."
            ) from error
        answer = await _wait_for_answer(store, last)
    facts = json.loads(answer.body)
    if answer.type == EventType.CONFIG_REFUSED:
        say(f"The server refused it and goes on as before. Faults: {facts['faults']}.")
        say(f"  {shown(facts['first_fault'])}")
        return 1
    return _tell_taken(facts, settings)


def _tell_taken(facts: Mapping[str, object], settings: Settings) -> int:
    print(f"The server took the file {facts['digest']}.")
    told = [f"  {words}: {shown(str(facts[name]))}" for name, words in _WORDS.items() if name in facts]
    print("\n".join(told or ["  Nothing that it says differs."]))
    if facts["digest"] != settings.digest:
        say("That is another file than was checked here: it was changed meanwhile, or the server reads another one.")
        return 1
    return 0


async def _is_in_force(unit: Unit, settings: Settings) -> bool:
    known = await last_known(unit)
    return known is not None and (known.get("digest"), known.get("effective")) == (
        settings.digest,
        effective_digest(settings),
    )


async def _wait_for_answer(store: Store, last: int) -> Event:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:  # it is another process's doing: only looking again tells
                if (answer := await store.read(lambda unit: _answer_after(unit, last))) is not None:
                    return answer
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
    except TimeoutError as error:
        raise CommandFailed(
            f"The server was told and has not answered within {PATIENCE_SECONDS:.0f} seconds. Its log says more."
        ) from error


async def _answer_after(unit: Unit, last: int) -> Event | None:
    events = await unit.all(statements_config.GENERAL_EVENTS_AFTER, number=last, limit=_MOST_EVENTS)
    answers = (EventType.CONFIG_RELOADED, EventType.CONFIG_REFUSED)
    return next((event for event in events if event.type in answers), None)


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[SqliteStore]:
    prepare(path, monotonic_clock()(), upgrade=False)
    store = await SqliteStore.open(path)
    try:
        yield store
    finally:
        await store.close()
