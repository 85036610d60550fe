"""What both kinds of store share: a piece of work with its caller, and telling the house what was committed.

Nothing here runs a statement.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from store.unit import Unit

T = TypeVar("T")
Work = Callable[[Unit], Awaitable[T]]
Listener = Callable[[object], None]

MAX_GROUP = 128  # units in one commit: enough to share an fsync, few enough to answer the first soon
BUSY_TIMEOUT_MS = 2_000  # how long a writer waits for another process's lock before the caller hears 503


@dataclass(frozen=True, slots=True)
class ChangedElsewhere:
    """Announced when another process committed something: what is held in memory must be read again.

    ``topics`` are those that the other process named (see ``topic_of``); None where it is not known what changed.
    """

    topics: frozenset[str] | None = None

    def concerns(self, topic: str) -> bool:
        """Whether something about ``topic`` may have changed."""
        return self.topics is None or topic in self.topics


class Unheard:
    """Announced again and again while other processes are not heard: what is in memory must not be relied on."""


def topic_of(change: object) -> str | None:
    """What other processes are told of a change: its ``topic``, where it has one. None: nothing.

    A topic is a short word of letters, digits, colons, dashes and underscores.
    """
    topic: str | None = getattr(change, "topic", None)
    return topic


@dataclass(eq=False, slots=True)
class Job:
    """A unit that waits to be run, or was, with what came of it. ``is_beside``: whether it may run beside others."""

    work: Work[Any]
    future: asyncio.Future[Any]
    is_beside: bool = False
    result: Any = None
    error: BaseException | None = None
    changes: list[object] = field(default_factory=list)


class Announcer:
    """Whom a store tells of what it committed. On the event loop only."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners: list[tuple[Listener, tuple[type, ...]]] = []
        self._concerned: dict[type, list[Listener]] = {}  # found once for each kind: some come with every call

    def subscribe(self, listener: Listener, *kinds: type) -> None:
        self._listeners.append((listener, kinds or (object,)))
        self._concerned.clear()

    def _listeners_to(self, kind: type) -> list[Listener]:
        concerned = self._concerned.get(kind)
        if concerned is None:
            concerned = [listener for listener, kinds in self._listeners if issubclass(kind, kinds)]
            self._concerned[kind] = concerned
        return concerned

    def _settle(self, group: Sequence[Job]) -> None:
        """Announce what was committed, then answer the callers."""
        for job in group:
            if job.error is None and job.changes:
                self._announce(job.changes)
        for job in group:
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)

    def _announce(self, changes: Iterable[object]) -> None:
        for change in changes:
            for listener in self._listeners_to(type(change)):
                try:
                    listener(change)
                except Exception as error:
                    # What is committed is committed: the other listeners and the callers are still to hear of it.
                    self._loop.call_exception_handler({"message": "a listener of the store failed", "exception": error})
