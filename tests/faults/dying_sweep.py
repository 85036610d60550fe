"""Takes due steps in processes that are killed, with -9, before their first statement, before their second, and so on.

``python -m tests.faults.dying_sweep DATABASE FOLDER MINUTES``: each time on a fresh copy of the database in the folder,
``1.db``, ``2.db`` and so on, which another process then sweeps to the end, as after a restart. The last copy is that of
the process that came to its end by itself. A process of its own, because a test's has threads, and must not fork.
"""

import asyncio
import itertools
import os
import shutil
import signal
import sys
from datetime import timedelta
from pathlib import Path

from store.engine import SqliteStore
from tests.conftest import START, StandingClock, Town
from tests.scenario.escalation_support import furnish_planned


async def sweep(path: Path, minutes: float, dies_before: int | None) -> None:
    """Take what is due some minutes after the start; SQLite tells of each statement before it runs it."""
    clock = StandingClock(START + timedelta(minutes=minutes))
    store = await SqliteStore.open(path)
    house = await furnish_planned(store, clock, Town(clock))
    told = itertools.count(1)

    def trace(_: str) -> None:
        if next(told) == dies_before:
            os.kill(os.getpid(), signal.SIGKILL)

    store._writer.set_trace_callback(trace)
    while (await house.escalations.sweep()).steps:
        pass
    await store.close()


def run(path: Path, minutes: float, dies_before: int | None) -> int:
    """Sweep in a process of its own; returns its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            asyncio.run(sweep(path, minutes, dies_before))
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(database: Path, folder: Path, minutes: float) -> int:
    """Kill at every statement there is; returns an exit code."""
    warm = Path(shutil.copy(database, folder / "warm"))
    asyncio.run(sweep(warm, 0, None))  # what is worked out once is worked out for all the processes to come
    for statement in itertools.count(1):
        copy = Path(shutil.copy(database, folder / f"{statement}.db"))
        ended = run(copy, minutes, statement)
        if ended not in (0, -signal.SIGKILL) or run(copy, minutes, None) != 0:
            return 1
        if ended == 0:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))
