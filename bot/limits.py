"""How many requests an agent may make, and how many of them may wait for people at once.

``Limiter`` is pure: a sliding log, so that never more than N are let in within any window of the length, whatever the
pattern; ``now`` is passed in. ``Limits`` asks it, and the database, for one agent's call. What is counted is what is
really made: whoever asked for a place and made nothing gives it back.

The rates are counted in the memory of this process, and a restart forgets them. What waits is counted in the database,
in the transaction that would add to it.
"""

import threading
from collections import deque
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType

from bot.config import Agent, RateLimit
from bot.errors import Limited, RateLimited, TooManyPending
from store import statements
from store.unit import Unit

ASK_AGAIN = timedelta(seconds=10)
"""The longest that an agent with too much pending is told to wait: people may decide at any time, and the protocol's
client gives up at once on what is beyond its own patience of 30 seconds."""

_SWEEP_AT_LEAST = 64  # logs, before it is worth a look which of them are over


@dataclass(frozen=True, slots=True)
class Demand:
    """A place under ``limit`` in the log of ``key``."""

    key: str
    limit: RateLimit


@dataclass(slots=True)
class _Log:
    """When places were taken that still count, oldest first. ``per``: for how long they do."""

    per: timedelta
    taken: deque[datetime]

    def forget(self, now: datetime) -> None:
        while self.taken and self.taken[0] + self.per <= now:
            self.taken.popleft()


class Limiter:
    """Sliding logs by key. A log has at most as many entries as its limit allows, and goes when they are all over.

    Its methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        self._sweep_at = _SWEEP_AT_LEAST
        self._lock = threading.Lock()

    def take(self, demands: Iterable[Demand], now: datetime) -> "timedelta | Places":
        """Take a place in every log, or in none: then returns how long until there is one in each."""
        wanted = list(demands)
        with self._lock:
            logs = [self._log(demand, now) for demand in wanted]
            delay = max(
                (_delay(log, demand.limit, now) for log, demand in zip(logs, wanted, strict=True)), default=timedelta(0)
            )
            if delay > timedelta(0):
                return delay
            places = []
            for log, demand in zip(logs, wanted, strict=True):
                # A clock that was set back must not put entries out of order: the oldest is the first to go.
                at = max(now, log.taken[-1]) if log.taken else now
                log.taken.append(at)
                places.append((demand.key, at))
            return Places(tuple(places))

    def give_back(self, places: "Places") -> None:
        """Free what was taken for something that did not come about."""
        with self._lock:
            for key, at in places.taken:
                log = self._logs.get(key)
                if log is not None and at in log.taken:
                    log.taken.remove(at)

    def __len__(self) -> int:
        """How many logs are kept."""
        return len(self._logs)

    def _log(self, demand: Demand, now: datetime) -> _Log:
        log = self._logs.get(demand.key)
        if log is None:
            if len(self._logs) >= self._sweep_at:
                self._sweep(now)
            log = self._logs[demand.key] = _Log(demand.limit.per, deque())
        log.per = demand.limit.per  # a new file may have changed it
        log.forget(now)
        return log

    def _sweep(self, now: datetime) -> None:
        """Forget the logs in which nothing counts any more. Seldom enough to cost nothing per call."""
        for log in self._logs.values():
            log.forget(now)
        self._logs = {key: log for key, log in self._logs.items() if log.taken}
        self._sweep_at = max(_SWEEP_AT_LEAST, 2 * len(self._logs))


@dataclass(frozen=True, slots=True)
class Places:
    """What was taken: the keys of the logs, and the times written there."""

    taken: tuple[tuple[str, datetime], ...]


def _delay(log: _Log, limit: RateLimit, now: datetime) -> timedelta:
    """How long until fewer than ``limit.most`` entries of the last window count."""
    if len(log.taken) < limit.most:
        return timedelta(0)
    # More than ``most`` if the limit was lowered: then several have to go first.
    return log.taken[len(log.taken) - limit.most] + log.per - now


class Limits:
    """The limits of all agents. One for a process."""

    def __init__(self) -> None:
        self._limiter = Limiter()

    def admission(self, agent: Agent | None, instance_id: str) -> "AbstractContextManager[Admission | None]":
        """Return what lets one call of an agent in, or nothing where there is nothing to be asked."""
        if agent is None or (
            agent.rate is None
            and agent.instance_rate is None
            and agent.max_pending is None
            and agent.instance_max_pending is None
        ):
            return _NO_LIMITS
        return Admission(self._limiter, agent, instance_id)


_NO_LIMITS: AbstractContextManager[None] = nullcontext()


class Admission:
    """Whether one call is let in. As a context it gives its place back when what is inside fails.

    A caller who goes away keeps it: what was begun is carried out all the same.
    """

    def __init__(self, limiter: Limiter, agent: Agent, instance_id: str) -> None:
        self._limiter = limiter
        self._agent = agent
        self._instance_id = instance_id
        self._places: Places | None = None

    def __enter__(self) -> "Admission":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self.leave()

    async def enter(self, unit: Unit, now: datetime, *, waits: bool) -> Limited | None:
        """Take a place; returns why there is none. ``waits``: whether the call would wait for people.

        To be asked before anything is written: a refusal then costs no transaction that others share.
        """
        self.leave()  # a unit may be run twice
        if waits and (refused := await self._too_many_pending(unit, now)) is not None:
            return refused
        taken = self._limiter.take(self._demands(), now)
        if isinstance(taken, Places):
            self._places = taken
            return None
        return RateLimited(taken)

    def leave(self) -> None:
        """Give the place back: nothing was made."""
        if self._places is not None:
            self._limiter.give_back(self._places)
            self._places = None

    def _demands(self) -> Iterable[Demand]:
        if self._agent.rate is not None:
            yield Demand(f"agent:{self._agent.name}", self._agent.rate)
        if self._agent.instance_rate is not None:
            yield Demand(f"instance:{self._instance_id}", self._agent.instance_rate)

    async def _too_many_pending(self, unit: Unit, now: datetime) -> TooManyPending | None:
        of_agent, of_instance = self._agent.max_pending, self._agent.instance_max_pending
        full: list[datetime] = []  # the first deadline of each limit's requests: then there is a place, if not before
        if of_agent is not None:
            found = await unit.one(statements.PENDING_OF_AGENT, agent=self._agent.name)
            if found is not None and found.pending >= of_agent:
                full.append(found.first_deadline_at)
        if of_instance is not None:
            found = await unit.one(
                statements.PENDING_OF_AGENTS_INSTANCE, agent=self._agent.name, instance_id=self._instance_id
            )
            if found is not None and found.pending >= of_instance:
                full.append(found.first_deadline_at)
        return TooManyPending(min(max(full) - now, ASK_AGAIN)) if full else None
