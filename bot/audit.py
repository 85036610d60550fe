"""What auditors and operators do with the record: verify it, take checkpoints of it, read events, note an export.

Everything is read in pages, each a transaction of its own: events are never changed, so a chain that grows meanwhile is
checked up to where it ends then, and a million of them need no more memory than a thousand. What is found is told, and
nothing is mended.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from functools import partial

from bot.chain import ChainCheck, Faults, Verdict, Witness
from bot.checkpoints import Checkpoint
from bot.clock import Clock
from bot.events import EventType, append_event
from bot.references import find_request
from store import statements, statements_audit, statements_config
from store.engine import Store
from store.statements_audit import Link
from store.tables import Event, Request
from store.unit import Unit

PAGE = 2_000
"""Events that are read at once."""


class Audit:
    """Use cases of the audit."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def verify(self, witnesses: Iterable[Witness] = (), faults: Faults | None = None) -> Verdict:
        """Check the whole chain, and that it agrees with ``witnesses``. ``faults``: what was found so far."""
        check = ChainCheck(witnesses, faults)
        async for links in self.pages():
            check.check(links)
        return check.verdict()

    async def pages(self, after: int = 0) -> AsyncIterator[list[Link]]:
        """Go through the events with higher numbers than ``after``, page by page."""
        while links := await self._store.read(partial(_page, after=after)):
            yield links
            after = links[-1].number

    async def first_since(self, since: datetime) -> int:
        """Return the number of the last event before ``since``; 0 if there is none."""
        return await self._store.read(lambda unit: unit.one(statements_audit.LAST_BEFORE, at=since)) or 0

    async def find(self, reference: str) -> Request | None:
        """Return a request by its number or id."""
        return await self._store.read(lambda unit: find_request(unit, reference))

    async def events_of(self, request: Request) -> list[Event]:
        """Return what is on record of a request, oldest first."""
        return await self._store.read(lambda unit: unit.all(statements.EVENTS_OF, request_number=request.number))

    async def link_before(self, number: int) -> Link | None:
        """Return the event that another follows; None before the first."""
        links = await self._store.read(partial(_page, after=number - 2, limit=1)) if number > 1 else []
        return links[0] if links and links[0].number == number - 1 else None

    async def take_checkpoint(self, origin: str, key_id: str, why: str) -> Checkpoint:
        """Put on record that a checkpoint is signed with the key ``key_id``, and return what is to be signed."""

        async def note(unit: Unit) -> None:
            await append_event(unit, self._clock(), EventType.CHECKPOINT_SIGNED, key=key_id, why=why)

        await self._store.write(note)
        last = await self._store.read(lambda unit: unit.one(statements_audit.LAST_LINK))
        if last is None:
            raise LookupError("an event was written and is not there")
        return Checkpoint(origin, last.number, last.hash, self._clock())

    async def remembers(self, checkpoint: Checkpoint) -> bool:
        """Whether the record holds what a checkpoint kept, or tells of a restore since then, after which it may not."""
        last = await self.link_before(checkpoint.size + 1)
        if last is not None and last.hash == checkpoint.root:
            return True
        kind = EventType.DATABASE_RESTORED
        restored = await self._store.read(
            lambda unit: unit.one(statements_config.LAST_GENERAL_EVENT, type=kind, other_type=kind)
        )
        return restored is not None and restored.at >= checkpoint.time

    async def note_export(self, what: str, by: str, request: Request | None = None, **facts: str | int) -> None:
        """Put on record that somebody took something out of the record."""

        async def note(unit: Unit) -> None:
            now = self._clock()
            await append_event(unit, now, EventType.RECORD_EXPORTED, request, what=what, by=by, **facts)

        await self._store.write(note)


async def _page(unit: Unit, after: int, limit: int = PAGE) -> list[Link]:
    return await unit.all(statements_audit.LINKS_AFTER, number=after, limit=limit)
