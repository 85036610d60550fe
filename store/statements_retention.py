"""The statements of retention: what is old enough to be forgotten, and the forgetting of it.

The conventions are those of ``store.statements``. Whatever else a row holds stays: who asked, who decided, and when.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, exists, literal, select, update

from store.compiled import Statement
from store.parameters import param
from store.statements import requests, votes
from store.statements_ahead import standing_votes
from store.statements_halts import halts
from store.statements_overrides import overrides

NOTHING = b""


class Old(NamedTuple):
    """A request that is old enough to be forgotten."""

    number: int
    decided_at: datetime


# Nothing more may come of it: no use, no outcome, no vote that was cast ahead on it. By time, so that whoever goes on
# from the last does not pass over what is forgotten already.
OLD_REQUESTS = Statement(
    select(requests.c.number, requests.c.decided_at)
    .where(
        requests.c.decided_at >= param("after", requests.c.decided_at),
        requests.c.decided_at < param("before", requests.c.decided_at),
        requests.c.forgotten_at.is_(None),
        requests.c.due_at.is_(None),
        ~exists().where(
            standing_votes.c.request_number == requests.c.number,
            standing_votes.c.taken_at.is_(None),
            standing_votes.c.lifted_at.is_(None),
            standing_votes.c.expires_at > param("now", standing_votes.c.expires_at),
        ),
    )
    .order_by(requests.c.decided_at)
    .limit(bindparam("limit")),
    Old,
)
# Touches no row of a request that was forgotten since, or that something may still come of.
FORGET_REQUEST = Statement(
    update(requests)
    .where(
        requests.c.number == param("number", requests.c.number),
        requests.c.forgotten_at.is_(None),
        requests.c.due_at.is_(None),
    )
    .values(
        arguments="",
        **dict.fromkeys(("agent_reasoning", "context", "note", "outcome_note")),
        **dict.fromkeys(("submission_digest", "digest", "salt"), NOTHING),
        forgotten_at=param("forgotten_at_", requests.c.forgotten_at),
    )
)
_of_request = "request_number"
FORGET_NOTES = Statement(
    update(votes).where(votes.c.request_number == param(_of_request, votes.c.request_number)).values(note=None)
)
FORGET_REASONS = Statement(
    update(overrides)
    .where(overrides.c.request_number == param(_of_request, overrides.c.request_number))
    .values(reason=None)
)
# What is unique among those that wait stays so.
FORGET_STANDING = Statement(
    update(standing_votes)
    .where(standing_votes.c.id == param("standing_id", standing_votes.c.id))
    .values(note=None, digest=param("digest_", standing_votes.c.digest))
)
# Why something was stopped and let go on again; that it was, by whom and until when, stays.
FORGET_HALTS = Statement(
    update(halts)
    .where(halts.c.ended_at < param("before", halts.c.ended_at), halts.c.reason != literal(""))
    .values(reason="", end_reason=None, salt=NOTHING)
)
