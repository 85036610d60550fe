"""The statements about passcode devices. The conventions are those of ``store.statements``.

What may happen once only (a passcode is used, a code is brought, an offer is confirmed) names in its WHERE clause what
it uses up: of two at once the second touches no row.
"""

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import SQLModel

from store import tables as t
from store.compiled import Statement
from store.parameters import param, set_to

authenticators = SQLModel.metadata.tables["authenticators"]
_c = authenticators.c


_this = _c.user_id == param("user_id", _c.user_id)
_now = param("now", _c.code_expires_at)

AUTHENTICATOR = Statement(select(authenticators).where(_this), t.Authenticator)

# --- passcodes ---

USE_PASSCODE = Statement(
    update(authenticators)
    .where(_this, _c.seed.is_not(None), or_(_c.last_step.is_(None), _c.last_step < param("step", _c.last_step)))
    .values(last_step=param("step", _c.last_step), failures=0, locked_until=None)
)
COUNT_FAILURE = Statement(
    update(authenticators).where(_this).values(failures=_c.failures + 1).returning(_c.failures), int
)
LOCK = Statement(update(authenticators).where(_this).values(failures=0, **set_to(authenticators, "locked_until")))

# --- enrolment ---

_code = set_to(authenticators, "code_hash", "code_expires_at")
OPEN_ENROLMENT = Statement(
    upsert(authenticators)
    .values(user_id=param("user_id", _c.user_id), failures=0, code_failures=0, **_code)
    .on_conflict_do_update(index_elements=["user_id"], set_={"code_failures": 0, "offered_seed": None, **_code})
)
# An enrolment that is open has a code, or the seed that was offered for it.
_is_open = or_(_c.code_hash.is_not(None), _c.offered_seed.is_not(None))
COUNT_CODE_FAILURE = Statement(
    update(authenticators)
    .where(_this, _is_open)
    .values(code_failures=_c.code_failures + 1)
    .returning(_c.code_failures),
    int,
)
_over = {"code_hash": None, "code_expires_at": None, "code_failures": 0, "offered_seed": None}
END_ENROLMENT = Statement(update(authenticators).where(_this).values(_over))
OFFER_SEED = Statement(
    update(authenticators)
    .where(_this, _c.code_hash == param("is_code_hash", _c.code_hash), _c.code_expires_at > _now)
    .values(code_hash=None, code_failures=0, **set_to(authenticators, "offered_seed"))
)
CONFIRM_SEED = Statement(
    update(authenticators)
    .where(_this, _c.offered_seed == param("is_offered_seed", _c.offered_seed), _c.code_expires_at > _now)
    .values(
        {**_over, "failures": 0, "locked_until": None, "seed": param("is_offered_seed", _c.offered_seed)}
        | set_to(authenticators, "enrolled_at", "last_step")
    )
)
