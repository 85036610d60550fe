"""The statements of the audit: reading the chain as it is stored, and the record that it must agree with.

The conventions are those of ``store.statements``. Rows come lean: an audit reads all there are.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, func, null, or_, select

from store import tables as t
from store.among import among
from store.compiled import Statement
from store.escalation_tables import SeatWidening
from store.parameters import param
from store.statements import cards, events, outbox, requests, rule_versions, votes
from store.statements_ahead import standing_votes
from store.statements_escalation import seat_widenings
from store.statements_halts import halts
from store.statements_overrides import overrides


class Link(NamedTuple):
    """One event as it is stored: what the chain is checked by."""

    number: int
    at: datetime
    type: str
    request_number: int | None
    body: str
    hash: bytes


_link = (
    events.c.number, events.c.at, events.c.type, events.c.request_number, events.c.body, events.c.hash
)  # fmt: skip
LINKS_AFTER = Statement(
    select(*_link)
    .where(events.c.number > param("number", events.c.number))
    .order_by(events.c.number)
    .limit(bindparam("limit")),
    Link,
)
LAST_LINK = Statement(select(*_link).order_by(events.c.number.desc()).limit(1), Link)
# Times run with the numbers but for a clock that was set back, so this is where an export begins.
LAST_BEFORE = Statement(
    select(func.max(events.c.number)).where(events.c.at < param("at", events.c.at)),
    lambda number: number,
)


class EventMark(NamedTuple):
    """An event by its number and hash."""

    number: int
    hash: bytes


LAST_MARK_OF = Statement(
    select(events.c.number, events.c.hash)
    .where(events.c.request_number == param("request_number", events.c.request_number))
    .order_by(events.c.number.desc())
    .limit(1),
    EventMark,
)


class FinishedCard(NamedTuple):
    """Where the card of a decided request stands."""

    id: int
    request_number: int
    channel: str
    ts: str
    posted_at: datetime


FINISHED_CARDS_AFTER = Statement(
    select(cards.c.id, cards.c.request_number, cards.c.channel, cards.c.ts, cards.c.posted_at)
    .join(requests, requests.c.number == cards.c.request_number)
    .where(
        cards.c.id > param("card_id", cards.c.id),
        cards.c.state == t.CardState.LIVE,
        or_(cards.c.place == t.Place.CHANNEL, cards.c.place == t.Place.FALLBACK, cards.c.place == t.Place.DM),
        cards.c.ts.is_not(None),
        requests.c.status != t.Status.PENDING,
    )
    .order_by(cards.c.id)
    .limit(bindparam("limit")),
    FinishedCard,
)
DRAWINGS_DUE = Statement(select(func.count()).where(outbox.c.card_id == param("card_id", outbox.c.card_id)), int)

# --- what is stored, against what is on record of it -------------------------------------------------------

_of_events = events.c.request_number
_from, _to = param("first", requests.c.number), param("last", requests.c.number)
# An agent's claims are not on record, and may be a megabyte.
_bulk = ("agent_reasoning", "context")
REQUESTS_BETWEEN = Statement(
    select(*(null().label(column.name) if column.name in _bulk else column for column in requests.c))
    .where(requests.c.number.between(_from, _to))
    .order_by(requests.c.number),
    t.Request,
)
EVENTS_BETWEEN = Statement(
    select(*_link).where(_of_events.between(_from, _to)).order_by(_of_events, events.c.number), Link
)
VOTES_BETWEEN = Statement(
    select(votes).where(votes.c.request_number.between(_from, _to)).order_by(votes.c.request_number, votes.c.id), t.Vote
)
OVERRIDES_BETWEEN = Statement(
    select(overrides)
    .where(overrides.c.request_number.between(_from, _to))
    .order_by(overrides.c.request_number, overrides.c.id),
    t.Override,
)
LAST_REQUEST = Statement(select(func.max(requests.c.number)), lambda number: number)
LAST_REQUEST_ON_RECORD = Statement(select(func.max(events.c.request_number)), lambda number: number)

# --- what gives a say, against what is on record of it ------------------------------------------------------

EVENTS_OF_TYPES = Statement(select(*_link).where(among(events.c.type, "types")).order_by(events.c.number), Link)
EVERY_STANDING = Statement(select(standing_votes).order_by(standing_votes.c.id), t.StandingVote)
EVERY_HALT = Statement(select(halts).order_by(halts.c.id), t.Halt)
EVERY_RULE_VERSION = Statement(select(rule_versions).order_by(rule_versions.c.id), t.RuleVersion)
EVERY_WIDENING = Statement(select(seat_widenings).order_by(seat_widenings.c.id), SeatWidening)
