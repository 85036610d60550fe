"""Starts ``signoff`` processes fast: what is alike in each start is done already. Forks one for each line on stdin.

A line is JSON: ``argv``, ``env``, ``log`` (the file that takes the process's stderr), ``dies_at`` (see
``tests.faults.dying``), ``runs`` (the module whose ``main`` it is, ``handlers.cli`` for ``signoff``). Answers in lines:
``started PID`` and later ``ended PID CODE``, negative for a signal. When stdin ends, every process is killed. What runs
in a forked process is the command's own ``main``; what was done before is in ``_warm``: no more than imports, and what
is worked out once in a process and kept.
"""

import gc
import importlib
import json
import os
import resource
import select
import signal
import sys
from typing import Any, NoReturn

from handlers.outbound import _public_trust
from store.compiled import Statement

_USED = (
    "handlers.cli", "handlers.app", "handlers.cli.running", "store.schema", "store.postgres", "store.postgres_schema",
    "apscheduler.executors.asyncio", "tzdata", "tests.faults.dying",
)  # fmt: skip


def _warm() -> None:
    """Do what each process would do alike, from what is on the disk alone."""
    for name in _USED:
        importlib.import_module(name)
    for statement in [one for one in gc.get_objects() if isinstance(one, Statement)]:
        _ = statement.postgresql
    _public_trust()
    gc.collect()
    gc.freeze()  # or each process would walk over all of it, which also copies its memory


def serve() -> None:
    """Start processes until stdin ends."""
    _warm()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    alive: set[int] = set()
    pending = b""
    while True:
        ready, _, _ = select.select([0, reader], [], [])
        if reader in ready:
            os.read(reader, 4096)
            _tell_ended(alive)
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                break
            *lines, pending = (pending + read).split(b"\n")
            for line in lines:
                alive.add(_start(json.loads(line)))
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _tell_ended(alive: set[int]) -> None:
    while alive:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        alive.discard(pid)
        _say(f"ended {pid} {os.waitstatus_to_exitcode(status)}")


def _start(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _become(order)
    _say(f"started {pid}")
    return pid


def _become(order: dict[str, Any]) -> NoReturn:
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A small limit, as a shell may have it: the service must help itself.
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for target, source in ((0, nowhere), (1, nowhere), (2, log)):
            os.dup2(source, target)
        if order["dies_at"] is not None:
            from tests.faults.dying import arm

            arm(order["dies_at"])
        code = importlib.import_module(order["runs"]).main(order["argv"], order["env"])
        sys.stderr.flush()
    finally:
        os._exit(code)


def _say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    serve()
