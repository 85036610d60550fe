"""The statements about all that is held ahead: votes that wait for a call, and denials that are remembered.

The conventions are those of ``store.statements``; what narrows them to one person's sight is that of
``store.statements_reports``.
"""

from functools import cache

from sqlalchemy import and_, exists, literal_column, or_, select, text, update

from store import tables as t
from store.compiled import Statement
from store.parameters import param
from store.statements import instances, requests
from store.statements_ahead import standing_votes
from store.statements_reports import SIGHT, Filters, in_sight

_now = param("now", standing_votes.c.expires_at)
# Spelled out rather than bound, so that SQLite sees that the partial index serves.
_waits = and_(
    text("standing_votes.taken_at IS NULL AND standing_votes.lifted_at IS NULL"), standing_votes.c.expires_at > _now
)


@cache
def votes_held(filters: Filters) -> Statement[int]:
    """The ids of the votes that wait, the newest first: ``user``'s own, and those on requests in sight."""
    of_request = (
        select(literal_column("1"))
        .select_from(requests)
        .where(requests.c.number == standing_votes.c.request_number, in_sight())
        .correlate(standing_votes)
        .exists()
    )
    own = standing_votes.c.user_id == param("user", standing_votes.c.user_id)
    narrowed = [or_(own, of_request)] if SIGHT in filters else []
    return Statement(select(standing_votes.c.id).where(_waits, *narrowed).order_by(standing_votes.c.id.desc()), int)


OWN_VOTES_HELD = Statement(
    select(standing_votes.c.id)
    .where(_waits, standing_votes.c.user_id == param("user", standing_votes.c.user_id))
    .order_by(standing_votes.c.id.desc()),
    int,
)

# For the call of one request, of whichever instance of its agent: that is whose denials are remembered.
VOTES_HELD_FOR = Statement(
    select(standing_votes.c.id)
    .join(instances, instances.c.id == standing_votes.c.instance_id)
    .join(
        requests,
        and_(
            requests.c.agent == instances.c.agent,
            requests.c.digest == standing_votes.c.digest,
            requests.c.canonical_version == standing_votes.c.canonical_version,
        ),
    )
    .where(_waits, requests.c.number == param("number", requests.c.number)),
    int,
)

_newer = requests.alias("newer")


@cache
def denials_held(filters: Filters) -> Statement[int]:
    """The numbers of the requests whose denial by people a call would meet again, the newest first.

    What is older than the newest denial of the same call is forgotten with it, as in ``LAST_DENIED``.
    """
    same_call = and_(
        text("newer.status = 'denied' AND newer.decided_by_kind = 'person'"),
        *(_newer.c[name] == requests.c[name] for name in ("agent", "tool", "digest", "canonical_version")),
        or_(
            _newer.c.decided_at > requests.c.decided_at,
            and_(_newer.c.decided_at == requests.c.decided_at, _newer.c.number > requests.c.number),
        ),
    )
    return Statement(
        select(requests.c.number)
        .where(
            text("requests.status = 'denied' AND requests.decided_by_kind = 'person'"),
            requests.c.decided_at > param("since", requests.c.decided_at),
            requests.c.reopened_at.is_(None),
            ~exists(literal_column("1")).select_from(_newer).where(same_call).correlate(requests),
            *([in_sight()] if SIGHT in filters else []),
        )
        .order_by(requests.c.decided_at.desc(), requests.c.number.desc()),
        int,
    )


LIFT_ONE = Statement(
    update(standing_votes)
    .where(standing_votes.c.id == param("standing_id", standing_votes.c.id), _waits)
    .values(lifted_at=param("lifted_at_", standing_votes.c.lifted_at))
    .returning(standing_votes),
    t.StandingVote,
)
