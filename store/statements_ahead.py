"""The statements about what is decided ahead or remembered: standing votes, remembered denials, near repeats.

The conventions are those of ``store.statements``.
"""

from datetime import datetime

from sqlalchemy import Text, bindparam, func, insert, literal_column, or_, select, text, update
from sqlmodel import SQLModel

from store import tables as t
from store.compiled import Statement
from store.parameters import param
from store.statements import cards, instances, outbox, requests

standing_votes = SQLModel.metadata.tables["standing_votes"]


_now = param("now", requests.c.created_at)

# --- standing votes ---------------------------------------------------------------------------------------

_BY_ITSELF = ("id", "taken_at", "taken_by", "lifted_at")
INSERT_STANDING = Statement(
    insert(standing_votes)
    .values(
        {column.name: param(column.name, column) for column in standing_votes.c if column.name not in _BY_ITSELF},
    )
    .returning(standing_votes),
    t.StandingVote,
)
# Spelled out rather than bound, so that SQLite sees that the partial index serves.
_is_alive = text("standing_votes.taken_at IS NULL AND standing_votes.lifted_at IS NULL")
_of_call = (
    standing_votes.c.instance_id == param("instance_id", standing_votes.c.instance_id),
    standing_votes.c.digest == param("digest", standing_votes.c.digest),
    standing_votes.c.canonical_version == param("canonical_version", standing_votes.c.canonical_version),
)
standing_for_call = (_is_alive, *_of_call)
"""Those for a call of an instance that were neither taken nor lifted; also one that has expired."""
STANDING_FOR = Statement(
    select(standing_votes)
    .where(_is_alive, *_of_call, standing_votes.c.expires_at > _now)
    .order_by(standing_votes.c.id),
    t.StandingVote,
)
# What one person granted on a request; also what was taken, lifted or has expired.
STANDING_GRANTED_ON = Statement(
    select(standing_votes)
    .where(standing_votes.c.request_number == param("request_number", standing_votes.c.request_number))
    .order_by(standing_votes.c.id),
    t.StandingVote,
)
STANDING = Statement(
    select(standing_votes).where(standing_votes.c.id == param("id", standing_votes.c.id)), t.StandingVote
)
# Also one that has expired: it would be in the way of a new one.
LIFT_STANDING = Statement(
    update(standing_votes)
    .where(_is_alive, *_of_call, standing_votes.c.user_id == param("user_id", standing_votes.c.user_id))
    .values(lifted_at=param("lifted_at_", standing_votes.c.lifted_at))
    .returning(standing_votes),
    t.StandingVote,
)
# Those of anybody for the same call of an agent, whichever of its instances they are for.
LIFT_STANDING_OF_AGENT = Statement(
    update(standing_votes)
    .where(
        _is_alive,
        standing_votes.c.instance_id.in_(
            select(instances.c.id).where(instances.c.agent == param("agent", instances.c.agent)).scalar_subquery()
        ),
        *_of_call[1:],
    )
    .values(lifted_at=param("lifted_at_", standing_votes.c.lifted_at))
    .returning(standing_votes),
    t.StandingVote,
)
LIFT_STANDING_OF_CALL = Statement(
    update(standing_votes)
    .where(*standing_for_call)
    .values(lifted_at=param("lifted_at_", standing_votes.c.lifted_at))
    .returning(standing_votes),
    t.StandingVote,
)
TAKE_STANDING = Statement(
    update(standing_votes)
    .where(
        standing_votes.c.id == param("standing_id", standing_votes.c.id),
        standing_votes.c.taken_at.is_(None),
        standing_votes.c.lifted_at.is_(None),
        standing_votes.c.expires_at > _now,
    )
    .values(
        taken_at=param("taken_at_", standing_votes.c.taken_at),
        taken_by=param("taken_by_", standing_votes.c.taken_by),
    )
)

# --- remembered denials -----------------------------------------------------------------------------------

_was_denied = text("requests.status = 'denied' AND requests.decided_by_kind = 'person'")
_denied_since = (
    _was_denied,
    requests.c.agent == param("agent", requests.c.agent),
    requests.c.tool == param("tool", requests.c.tool),
    requests.c.decided_at > param("since", requests.c.created_at),
)
# The newest denial of a call, whether it was reopened or not: what is older than a reopened one is forgotten with it.
LAST_DENIED = Statement(
    select(requests)
    .where(
        *_denied_since,
        requests.c.digest == param("digest", requests.c.digest),
        requests.c.canonical_version == param("canonical_version", requests.c.canonical_version),
    )
    .order_by(requests.c.decided_at.desc(), requests.c.number.desc())
    .limit(1),
    t.Request,
)
REOPEN = Statement(
    update(requests)
    .where(
        requests.c.number == param("number", requests.c.number),
        requests.c.status == t.Status.DENIED,
        requests.c.reopened_at.is_(None),
    )
    .values(
        reopened_at=param("reopened_at_", requests.c.reopened_at),
        reopened_by=param("reopened_by_", requests.c.reopened_by),
    )
    .returning(requests),
    t.Request,
)


def _tries(count: int, last: datetime | None) -> tuple[int, datetime | None]:
    return count, last


# How often a denied call was asked again, and when last.
TRIES = Statement(
    select(func.count(), func.max(requests.c.created_at)).where(
        text("requests.repeats IS NOT NULL"), requests.c.repeats == param("number", requests.c.number)
    ),
    _tries,
)
# Denials by people of the same agent and tool, before a request was made, newest first: without what their agent said
# beside the call, of which nothing is compared and which may be many megabytes.
_claims = ("agent_reasoning", "context")
_without_claims = [literal_column("NULL", Text).label(one.name) if one.name in _claims else one for one in requests.c]
DENIALS_BEFORE = Statement(
    select(*_without_claims)
    .where(
        *_denied_since,
        requests.c.decided_at <= param("until", requests.c.created_at),
        requests.c.number < param("number", requests.c.number),
    )
    .order_by(requests.c.decided_at.desc(), requests.c.number.desc())
    .limit(bindparam("limit")),
    t.Request,
)
# A wish to draw a card that nobody has begun to fulfil, so that its drawing will show what is written now.
WAITING_DRAW = Statement(
    select(outbox.c.id)
    .where(
        outbox.c.card_id == param("card_id", outbox.c.card_id),
        outbox.c.leased_until.is_(None),
        or_(outbox.c.kind == t.IntentKind.POST_CARD, outbox.c.kind == t.IntentKind.DRAW_CARD),
    )
    .limit(1),
    int,
)
CARDS_IN_PLACE = Statement(
    select(cards)
    .where(
        cards.c.request_number == param("request_number", cards.c.request_number),
        cards.c.place == param("place", cards.c.place),
    )
    .order_by(cards.c.id),
    t.Card,
)
