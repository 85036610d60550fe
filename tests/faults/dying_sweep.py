"""Takes due steps in processes that are killed, with -9, before their first statement, before their second, and so on.

Each time on a fresh copy of one database, on which another process then sweeps to the end, as after a restart: each
step is there once, none doubled, none missing. What forks is a process of its own, which ``tests.scenario.starter``
starts with a database and a seed, because a test's has threads.
"""

import asyncio
import gc
import itertools
import os
import random
import shutil
import signal
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import asyncpg

from store.engine import SqliteStore
from store.opening import Database, open_database
from store.postgres import PostgresStore
from tests.conftest import START, StandingClock, Town
from tests.faults.dying import die, go_before
from tests.faults.stage import MOST_SECONDS, POSTGRESQL, Stage
from tests.scenario.escalation_support import (
    assert_each_target_has_its_intent,
    furnish_planned,
    request_of,
    run_to,
)
from tests.scenario.service_support import assert_sound
from tests.stores import rows_at

MINUTES = 15  # after the start: two steps of each request are due, of which the first was taken
_WITHIN_SECONDS = 0.002


async def statements_die(stage: Stage, kind: str, seed: int) -> None:
    """Kill at every statement that there is: just before it, or with every other seed a moment after it began."""
    folder = stage.folder()
    database = stage.server.new_database() if kind == POSTGRESQL else stage.database(kind, folder)
    log = folder / "sweep.log"
    pid = await asyncio.to_thread(
        stage.starter.start, [str(database), str(seed)], {}, log, runs="tests.faults.dying_sweep"
    )
    assert await asyncio.to_thread(stage.starter.wait, pid, MOST_SECONDS) == 0, log.read_text()


def main(argv: list[str], _env: Mapping[str, str]) -> int:
    """Take the steps of some requests, dying at each statement; returns an exit code."""
    database: Database = argv[0] if "://" in argv[0] else Path(argv[0])
    chance = random.Random(int(argv[1]))
    requests = chance.randint(1, 3)
    is_within = int(argv[1]) % 2 == 1
    asyncio.run(_ask(database, requests))
    gc.freeze()  # what each process to come would else walk over
    for statement in itertools.count(1):
        copy = _copy_of(database, statement)
        ended = _run(copy, statement, chance.uniform(0, _WITHIN_SECONDS) if is_within else 0)
        again = _run(copy, None, 0)
        try:
            assert ended in (0, -signal.SIGKILL)
            assert again == 0
            _assert_as_if_nothing_happened(copy, requests)
        except AssertionError:
            traceback.print_exc()
            return 1
        _remove(copy)
        if ended == 0:
            assert statement > 12 * requests  # BEGIN, the claim, nine for each request, its event, COMMIT, a look
            return 0
    return 1


async def _ask(database: Database, requests: int) -> None:
    clock = StandingClock()
    store = await open_database(database)
    house = await furnish_planned(store, clock, Town(clock))  # type: ignore[arg-type]  # a house takes either store
    for number in range(requests):
        await request_of(house, f"k{number}")
    await run_to(house, 10)
    await store.close()


def _run(database: Database, dies_at: int | None, seconds: float) -> int:
    """Sweep in a process of its own; returns its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            asyncio.run(_sweep(database, dies_at, seconds))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def _sweep(database: Database, dies_at: int | None, seconds: float) -> None:
    clock = StandingClock(START + timedelta(minutes=MINUTES))
    store = await open_database(database)
    house = await furnish_planned(store, clock, Town(clock))  # type: ignore[arg-type]  # a house takes either store
    told = itertools.count(1)

    def hit() -> None:
        if next(told) == dies_at:
            if seconds:
                threading.Timer(seconds, die).start()
            else:
                die()

    _tell_of_statements(store, hit)
    while (await house.escalations.sweep()).steps:
        pass
    await store.close()


def _tell_of_statements(store: object, hit: Callable[[], None]) -> None:
    """Call ``hit`` before each statement of the connection that writes."""
    if isinstance(store, SqliteStore):
        store._writer.execute("PRAGMA synchronous=OFF")  # it is the process that dies, not the machine
        store._writer.set_trace_callback(lambda _: hit())
        return
    assert isinstance(store, PostgresStore)
    for name in ("execute", "fetch", "fetchmany", "fetchrow"):
        go_before(asyncpg.Connection, name, hit, only=lambda connection, *_: connection is store._writer._connection)


def _copy_of(database: Database, number: int) -> Database:
    if isinstance(database, Path):
        return Path(shutil.copy(database, database.with_name(f"{number}.db")))
    name = database.rpartition("/")[2]
    _execute(database, f"CREATE DATABASE {name}_{number} TEMPLATE {name} STRATEGY WAL_LOG")
    return f"{database}_{number}"


def _remove(copy: Database) -> None:
    if isinstance(copy, Path):
        copy.unlink()
    else:
        _execute(copy, f"DROP DATABASE {copy.rpartition('/')[2]} WITH (FORCE)")


def _execute(database: str, sql: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(f"{database.rpartition('/')[0]}/postgres")
        await connection.execute(sql)
        await connection.close()

    asyncio.run(run())


def _assert_as_if_nothing_happened(copy: Database, requests: int) -> None:
    taken = rows_at(copy, 'SELECT "index", state, count(*) FROM taken_steps GROUP BY 1, 2 ORDER BY 1')
    assert taken == [(0, "fired", requests), (1, "fired", requests)], taken
    told = rows_at(copy, "SELECT target, state, count(*) FROM step_targets GROUP BY 1, 2 ORDER BY 1")
    assert told == [(target, "waiting", requests) for target in ("channel:C0LEADS", "thread", "user:U0LEA")], told
    assert rows_at(copy, "SELECT source, count(*) FROM seat_widenings GROUP BY 1") == [("leads", requests)]
    assert rows_at(copy, "SELECT count(*) FROM events WHERE type = 'step.taken'") == [(2 * requests,)]
    assert rows_at(copy, "SELECT count(*) FROM outbox WHERE reason = 'step'") == [(5 * requests,)]
    assert rows_at(copy, "SELECT DISTINCT step_round, step_index FROM requests") == [(0, 2)]
    assert_each_target_has_its_intent(copy)
    assert_sound(copy)
