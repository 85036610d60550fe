"""Why a request became what it is: its rule, and all that is on record of it, as a time line in pages.

Who may look is ``bot.queries``'. Nothing of the call is in a time line but what its cards show, and of what people
wrote only what people may see: both come from the drawing, never from what is stored. Nothing here writes or words.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.conditions import Call
from bot.drawings import Drawing
from bot.events import EventType
from bot.policy import Passed
from bot.queries import Queries
from bot.rulebook import Rulebook
from store import statements, statements_timeline
from store.engine import Store
from store.tables import DeciderKind, Event, Request
from store.unit import Unit

PER_PAGE = 14


@dataclass(frozen=True, slots=True)
class Moment:
    """One event: ``type`` is a word of ``bot.events.EventType``, ``facts`` is its body.

    ``words`` is what somebody wrote then, as people may see it: a reason, a note.
    """

    at: datetime
    type: str
    facts: Mapping[str, Any]
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of a request's time line, the oldest first; ``page`` counts from 0.

    ``passed`` are the rules that are passed over before its own, as the rules are today; empty where the same rule does
    not rule any more, or no rule fitted.
    """

    drawing: Drawing
    moments: tuple[Moment, ...]
    page: int
    pages: int
    passed: tuple[Passed, ...] = ()


class Timelines:
    """The use case of asking why."""

    def __init__(self, store: Store, rulebook: Rulebook, queries: Queries) -> None:
        self._store = store
        self._rulebook = rulebook
        self._queries = queries

    async def of(self, user_id: str, number: int, page: int = 0) -> Timeline | None:
        """Return a page of a request's time line, the nearest where there is none so high.

        None for what is not there, or not for this person's eyes. Raises ``FactsUnavailable``.
        """
        seen = await self._queries.show(user_id, str(number))
        if seen is None:
            return None

        async def work(unit: Unit) -> tuple[list[Event], int, int, Request | None]:
            total = await unit.one(statements_timeline.EVENT_COUNT_OF, request_number=number) or 0
            pages = max(-(-total // PER_PAGE), 1)
            at = min(page, pages - 1)
            events = await unit.all(
                statements_timeline.EVENTS_PAGE_OF, request_number=number, limit=PER_PAGE, offset=at * PER_PAGE
            )
            return events, at, pages, await unit.one(statements.REQUEST, number=number)

        events, at, pages, stored = await self._store.read(work)
        moments = tuple(_moment(event, seen.drawing) for event in events)
        return Timeline(seen.drawing, moments, at, pages, await self._passed(stored))

    async def _passed(self, stored: Request | None) -> tuple[Passed, ...]:
        if stored is None or stored.rule_id is None or stored.forgotten_at is not None:
            return ()
        edition = await self._rulebook.edition()
        call = Call(stored.agent, stored.tool, stored.server, stored.arguments)
        ruling = await edition.rule_on(call, stored.timeout)
        if ruling.rule is None or edition.version_of(ruling.rule) != stored.rule_id:
            return ()
        return ruling.passed


def _moment(event: Event, drawing: Drawing) -> Moment:
    try:
        body = json.loads(event.body)
    except ValueError:
        body = None
    # Who edits the database is found out by the chain's own check; here it must only not break the view.
    facts = body if isinstance(body, dict) else {}
    return Moment(event.at, event.type, facts, _words(event, facts, drawing))


def _words(event: Event, facts: Mapping[str, Any], drawing: Drawing) -> str | None:
    """Find what somebody wrote in an act that is on record: the event itself has a commitment alone."""
    request = drawing.request
    match event.type:
        case EventType.VOTE_CAST:
            cast = (*drawing.votes, *drawing.withdrawn)
            return next(
                (vote.note for vote in cast if (vote.user_id, vote.cast_at) == (facts.get("user"), event.at)), None
            )
        case EventType.OVERRIDE_MADE:
            return next((one.reason for one in drawing.overrides if one.id == facts.get("override")), None)
        case EventType.OUTCOME_REPORTED:
            return request.outcome_note
        case EventType.REQUEST_DECIDED:
            # What people wrote stands with their votes.
            is_theirs = request.decided_by_kind in (DeciderKind.PERSON, DeciderKind.ADMIN)
            return None if is_theirs else request.note
    return None
