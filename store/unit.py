"""The unit of work: what a use case may do inside one transaction.

A unit's methods are coroutines so that the same use case runs on either database. On SQLite they never suspend
(the writer thread drives the coroutine from start to end); on a database across the network they do.
"""

from abc import ABC, abstractmethod
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

from store import statements
from store.compiled import Statement

R = TypeVar("R")


class StoreUnavailable(Exception):
    """The database cannot serve right now: locked, read-only, full or gone. Nothing of the unit was kept."""


class NewerSchema(Exception):
    """The database was written by a newer version of Signoff. Use that version, or restore an older backup."""


class OlderSchema(Exception):
    """The database was written by an older version of Signoff and has not been migrated."""


class RestoredCopy(Exception):
    """The database is a copy that was put back, and nobody has dealt with what happened since it was made.

    It bears the mark of a copy, or lacks what a checkpoint of it saw.
    """


class Unit(ABC):
    """One transaction. It is committed when the use case returns and undone when it raises.

    ``head`` is the hash of the last event as far as it is known; ``changes`` what is to be announced.
    """

    def __init__(self, head: bytes | None = None) -> None:
        self.head = head
        self.changes: list[object] = []

    @abstractmethod
    async def one(self, statement: Statement[R], /, **values: Any) -> R | None:
        """Run ``statement`` and return its first row, or None."""

    @abstractmethod
    async def all(self, statement: Statement[R], /, **values: Any) -> list[R]:
        """Run ``statement`` and return its rows."""

    @abstractmethod
    async def run(self, statement: Statement[Any], /, **values: Any) -> int:
        """Run ``statement`` and return how many rows it touched."""

    async def be_alone(self) -> None:  # noqa: B027  # only to units that run beside others does it matter
        """Say that what follows must not run beside other units. Where this one does, it is run again, alone."""

    def announce(self, change: object) -> None:
        """Tell the store's subscribers of ``change`` after the commit; never when it fails."""
        self.changes.append(change)

    async def append(self, at: datetime, type: str, request_number: int | None, body: bytes) -> None:
        """Append an event to the chain in this transaction. ``body``: its canonical bytes, ASCII."""
        if self.head is None:
            self.head = await self.one(statements.CHAIN_HEAD) or statements.CHAIN_START
        self.head = sha256(self.head + body).digest()
        await self.run(
            statements.INSERT_EVENT,
            at=at, type=type, request_number=request_number, body=body.decode(), hash=self.head,
        )  # fmt: skip
