"""Faults on demand: what goes wrong between the bot and Slack, chosen by a test or on the page.

Decides only whether a fault strikes a call. Carrying it out (dropping the connection, losing the
answer) is the Web API's and the delivery's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, get_args

Kind = Literal["429", "500", "drop", "lost", "is_archived", "dead", "slow", "error"]
KINDS: tuple[str, ...] = get_args(Kind)
SOCKET = "socket"
"""What stands for an envelope on its way down a socket among the methods. A fault must name it."""
SOCKET_KINDS = ("drop", "lost", "slow")


@dataclass(eq=False)
class Fault:
    """One fault. It strikes the Web API calls that match, until its `times` are used up.

    Kinds: `429` (with Retry-After), `500`, `drop` (the connection breaks before the effect), `lost`
    (the effect happens, the answer does not arrive), `is_archived` (channels answer as archived), `dead`
    (nothing answers: connections dropped, sockets closed, no deliveries), `slow` (held until
    `release()`), `error` (answers `error_code`).
    """

    kind: Kind
    _: KW_ONLY
    methods: str | tuple[str, ...] | None = None
    """Method names or globs (`chat.*`, `response_url`); None is every method.

    `socket` is an envelope to the app: its socket breaks before it is sent (`drop`) or before its ack arrives (`lost`),
    and Slack sends it again down another one; or it is held back (`slow`)."""
    channel: str | None = None
    times: int | None = None
    """How often it strikes; None is for ever."""
    probability: float = 1.0
    retry_after: int = 1
    """Seconds, for `429`."""
    error_code: str = "internal_error"
    """For `error`."""
    after_effect: bool = False
    """For `slow`: hold the answer instead of the effect."""
    struck: int = 0
    """How often it has struck so far."""
    held: int = 0
    """For `slow`: how many calls it holds right now."""
    _released: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; there are {', '.join(KINDS)}")

    def matches(self, method: str, channel: str | None) -> bool:
        """Whether this fault is meant for the call; says nothing of chance or of `times`."""
        patterns = (self.methods,) if isinstance(self.methods, str) else self.methods
        if method == SOCKET:
            return self.kind in SOCKET_KINDS and patterns is not None and SOCKET in patterns
        if patterns is not None and not any(fnmatchcase(method, pattern) for pattern in patterns):
            return False
        if self.channel is not None and self.channel != channel:
            return False
        # Direct messages cannot be archived; the bot names them by their own id or by the person's.
        return self.kind != "is_archived" or (channel is not None and channel[:1] not in ("D", "U", "W"))

    def release(self) -> None:
        """Lets go of the calls that `slow` holds, and of those still to come."""
        self._released.set()

    async def until_released(self) -> None:
        """Waits for `release()`."""
        await self._released.wait()


class Faults:
    """The faults that are on."""

    def __init__(self, seed: int, changed: Callable[[], None]) -> None:
        self._random = random.Random(seed)  # noqa: S311  # a repeatable choice, not a secret
        self._changed = changed
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Switches a fault on and gives it back, so that it can be taken away or released."""
        self._faults.append(fault)
        self._changed()
        return fault

    def remove(self, fault: Fault) -> None:
        """Switches one fault off; what `slow` held goes on."""
        if fault in self._faults:
            self._faults.remove(fault)
        fault.release()
        self._changed()

    def clear(self) -> None:
        """Switches every fault off."""
        for fault in list(self._faults):
            self.remove(fault)

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults that can still strike."""
        return tuple(f for f in self._faults if f.times is None or f.struck < f.times)

    @property
    def dead(self) -> bool:
        """Whether Slack as a whole is out."""
        return any(f.kind == "dead" and f.methods is None and f.channel is None for f in self.active)

    def strike(self, method: str, channel: str | None) -> Fault | None:
        """The fault that hits this call, if any; counts it."""
        for fault in self.active:
            if fault.matches(method, channel) and (
                fault.probability >= 1.0 or self._random.random() < fault.probability
            ):
                fault.struck += 1
                self._changed()
                return fault
        return None
