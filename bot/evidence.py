"""Everything there is about one request, gathered in one snapshot for who has to account for it. Only reads.

What a rule hides is hidden here too, and then the salt stays away: with it, who knows how a hidden value looks could
try them all against the commitments on record.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from bot.drawings import Drawing, load_drawing
from bot.redaction import Redactor
from bot.rulebook import Rulebook
from store import statements, statements_audit
from store.compiled import changed_record
from store.statements_audit import Link
from store.tables import Card, Event, Request, Status
from store.unit import Unit

_SINCE_ASKED = (
    "decided_at", "decided_by_kind", "decided_by", "decision_code", "note", "expires_at", "reopened_at", "reopened_by",
    "revoked_at", "revoked_code", "consumed_at", "consume_key", "lapsed_at", "overdue_at", "outcome", "outcome_note",
    "outcome_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evidence:
    """A request with all that belongs to it. ``before``: the event that its first one is chained to.

    ``asked`` is what its card was drawn from when it was asked, ``drawing`` what it is drawn from now. ``salt`` is None
    where the rule hides something, and once it was removed.
    """

    drawing: Drawing
    asked: Drawing
    cards: tuple[Card, ...]
    events: tuple[Event, ...]
    before: dict[int, bytes]
    head: Link | None
    salt: bytes | None


async def load_evidence(
    unit: Unit, rulebook: Rulebook, redactor: Redactor, request: Request, now: datetime
) -> Evidence:
    """Gather all there is about a request."""
    drawing = await load_drawing(unit, rulebook, redactor, request, now)
    events = await unit.all(statements.EVENTS_OF, request_number=request.number)
    hides = drawing.rule is not None and bool(drawing.rule.redact)
    return Evidence(
        drawing=drawing,
        asked=as_asked(drawing),
        cards=tuple(await unit.all(statements.CARDS_OF, request_number=request.number)),
        events=tuple(events),
        before={event.number: await _hash_before(unit, event.number) for event in events},
        head=await unit.one(statements_audit.LAST_LINK),
        salt=None if hides or not request.salt else request.salt,
    )


def as_asked(drawing: Drawing) -> Drawing:
    """What a request's card was drawn from before anybody decided."""
    request = changed_record(drawing.request, status=Status.PENDING, **dict.fromkeys(_SINCE_ASKED))
    return replace(
        drawing, request=request, votes=(), withdrawn=(), granted=(), taken=(), overrides=(), tries=0,
        last_try_at=None, remembered_until=None, plan_state=None, witness=None, pauses=(),
    )  # fmt: skip


async def _hash_before(unit: Unit, number: int) -> bytes:
    before = await unit.all(statements_audit.LINKS_AFTER, number=number - 2, limit=1)
    return before[0].hash if number > 1 and before else statements.CHAIN_START
