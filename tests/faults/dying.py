"""Makes a process of ``signoff serve`` kill itself, with -9, when it comes to a named point for the so-manieth time.

Used by ``tests.scenario.starter`` in the process it forked, before anything of the service runs. Each point lies
between two things of which one must not be taken for the other: a statement, the commit, the answer, the sending.
"""

import itertools
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from aiohttp.web_protocol import RequestHandler
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.web.async_base_client import AsyncBaseClient

from store.announcing import Announcer
from store.engine import SqliteStore, SqliteUnit
from store.postgres_beside import BesideUnit
from store.postgres_writer import PostgresUnit, Writer

Hit = Callable[[], None]

POINTS = {
    "statement": "before a statement that writes",
    "commit": "before a commit",
    "committing": "within a moment of a commit's beginning: whether it came about is not known",
    "committed": "after a commit, before anybody heard of it",
    "settled": "after the callers were told in the process",
    "ack": "before Slack's payload is acknowledged",
    "acked": "after it was",
    "answer": "before an agent is answered",
    "answered": "after it was",
    "send": "before Slack is called",
    "sending": "within a moment of calling Slack: whether it heard is not known",
    "sent": "after Slack answered, before that is noted",
}
"""Where a process may die."""


def arm(point: str) -> None:
    """Die at ``NAME:TIMES:SECONDS``: so long after the so-manieth time that a point is come to."""
    name, times, seconds = point.split(":")
    count, wanted, delay = itertools.count(1), int(times), float(seconds)

    def hit() -> None:
        if next(count) == wanted:
            if delay:
                threading.Timer(delay, die).start()
            else:
                die()

    _ARMS[name](hit)


def die() -> None:
    """End this process at once, as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def go_before(owner: Any, name: str, hit: Hit, *, only: Callable[..., bool] = lambda *_: True) -> None:
    """Call ``hit`` before each call of ``owner.name`` whose arguments are ``only`` such."""
    whole = getattr(owner, name)

    def dying(*given: Any, **named: Any) -> Any:
        if only(*given):
            hit()
        return whole(*given, **named)

    setattr(owner, name, dying)


def _after(owner: Any, name: str, hit: Hit) -> None:
    whole = getattr(owner, name)

    def dying(*given: Any, **named: Any) -> Any:
        result = whole(*given, **named)
        hit()
        return result

    setattr(owner, name, dying)


def _after_awaited(owner: Any, name: str, hit: Hit) -> None:
    whole = getattr(owner, name)

    async def dying(*given: Any, **named: Any) -> Any:
        result = await whole(*given, **named)
        hit()
        return result

    setattr(owner, name, dying)


def _at_statements(hit: Hit) -> None:
    for unit in (SqliteUnit, PostgresUnit, BesideUnit):
        for name in ("one", "all", "run"):
            go_before(unit, name, hit, only=lambda _, statement: statement.is_write)


def _at_commit(hit: Hit) -> None:
    go_before(Writer, "_end", hit)
    prepare = SqliteStore.__init__

    def trace(sql: str) -> None:
        if sql == "COMMIT":  # SQLite tells of a statement before it runs it
            hit()

    def prepare_dying(store: SqliteStore, *given: Any) -> None:
        prepare(store, *given)
        store._writer.set_trace_callback(trace)

    SqliteStore.__init__ = prepare_dying  # type: ignore[method-assign]


def _at_committed(hit: Hit) -> None:
    _after(SqliteStore, "_commit", hit)
    _after_awaited(Writer, "_end", hit)


_ARMS: dict[str, Callable[[Hit], None]] = {
    "statement": _at_statements,
    "commit": _at_commit,
    "committing": _at_commit,
    "committed": _at_committed,
    "settled": lambda hit: _after(Announcer, "_settle", hit),
    "ack": lambda hit: go_before(AsyncBaseSocketModeClient, "send_socket_mode_response", hit),
    "acked": lambda hit: _after_awaited(AsyncBaseSocketModeClient, "send_socket_mode_response", hit),
    "answer": lambda hit: go_before(RequestHandler, "finish_response", hit),
    "answered": lambda hit: _after_awaited(RequestHandler, "finish_response", hit),
    "send": lambda hit: go_before(AsyncBaseClient, "_request", hit),
    "sending": lambda hit: go_before(AsyncBaseClient, "_request", hit),
    "sent": lambda hit: _after_awaited(AsyncBaseClient, "_request", hit),
}
