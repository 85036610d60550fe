"""Who asked what across requests: one event for each answer, in the record before the answer is given.

Looks at one request are in ``bot.tellings``; nothing here says what somebody was shown, only what they asked for.
"""

from bot.clock import Clock
from bot.events import EventType, append_event
from bot.reports import Wanted
from store import statements
from store.engine import Store
from store.unit import Unit

_LONGEST_CHARS = 300
"""Of what somebody typed: a name that is longer is nobody's."""

Facts = dict[str, str | int | bool | None]


class Lookups:
    """Puts queries on record. ``user`` is who asked in Slack, ``by`` who ran a command, as the host knows them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def note_query(
        self,
        what: str,
        found: int,
        *,
        user: str | None = None,
        by: str | None = None,
        page: int = 1,
        wanted: Wanted | None = None,
        **narrowed: str | None,
    ) -> None:
        """Put on record that somebody asked ``what``, narrowed how, and that there are ``found`` in all.

        A page that was turned to is a query of its own. Raises ``StoreUnavailable``: then nothing is to be shown.
        """
        facts: Facts = {"what": what, "found": found, "user": user, "by": by, "page": page if page > 1 else None}
        asked: Facts = {**_facts_of(wanted), **narrowed}
        facts |= {name: value[:_LONGEST_CHARS] if isinstance(value, str) else value for name, value in asked.items()}

        async def note(unit: Unit) -> None:
            await append_event(unit, self._clock(), EventType.RECORD_QUERIED, **facts)

        await self._store.write(note)

    async def note_look(self, number: int, by: str, what: str) -> None:
        """Put on record that somebody is shown one request on the command line. Raises ``StoreUnavailable``."""

        async def note(unit: Unit) -> None:
            request = await unit.one(statements.REQUEST, number=number)
            await append_event(unit, self._clock(), EventType.REQUEST_LOOKED_AT, request, by=by, what=what)

        await self._store.write(note)


def _facts_of(wanted: Wanted | None) -> Facts:
    """The filters; ``person`` is who decided or overrode."""
    if wanted is None:
        return {}
    return {
        "since": wanted.period.since.isoformat(),
        "until": wanted.period.until.isoformat(),
        "person": wanted.by,
        **wanted.values("agent", "tool", "rule", "kind", "status"),
    }
