"""The statements about a database that was restored: what may have been used up since the backup was made.

The conventions are those of ``store.statements``.
"""

from sqlalchemy import bindparam, or_, select, text, update

from store import tables as t
from store.compiled import Statement
from store.parameters import param
from store.statements import requests
from store.statements_ahead import standing_votes
from store.statements_config import is_open
from store.statements_passcodes import authenticators

_page = (requests.c.number > param("after", requests.c.number),)
# By number and not by an index: whatever is open is to be found, once, before anything is served.
OPEN_REQUESTS = Statement(
    select(requests).where(is_open, *_page).order_by(requests.c.number).limit(bindparam("limit")), t.Request
)
PENDING_AFTER = Statement(
    select(requests)
    .where(text("requests.status = 'pending'"), *_page)
    .order_by(requests.c.number)
    .limit(bindparam("limit")),
    t.Request,
)
LIFT_EVERY_STANDING = Statement(
    update(standing_votes)
    .where(standing_votes.c.taken_at.is_(None), standing_votes.c.lifted_at.is_(None))
    .values(lifted_at=param("lifted_at_", standing_votes.c.lifted_at))
    .returning(standing_votes),
    t.StandingVote,
)
OPEN_ENROLMENTS = Statement(
    select(authenticators.c.user_id).where(
        or_(authenticators.c.code_hash.is_not(None), authenticators.c.offered_seed.is_not(None))
    ),
    str,
)
_step = param("step", authenticators.c.last_step)
# No passcode up to this time step is good any more.
SPEND_PASSCODES = Statement(
    update(authenticators)
    .where(
        authenticators.c.seed.is_not(None),
        or_(authenticators.c.last_step.is_(None), authenticators.c.last_step < _step),
    )
    .values(last_step=_step)
)
