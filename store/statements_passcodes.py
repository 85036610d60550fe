"""The statements about passcode devices. The conventions are those of ``store.statements``.

What may happen once only (a passcode is used, a code is brought, an offer is confirmed) names in its WHERE clause what
it uses up: of two at once the second touches no row.
"""

from typing import Any

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import SQLModel

from store import tables as t
from store.compiled import Statement

authenticators = SQLModel.metadata.tables["authenticators"]
_c = authenticators.c


def _p(name: str, column: str) -> Any:
    return bindparam(name, type_=_c[column].type)


def _set(*names: str) -> dict[str, Any]:
    """A parameter for each of the columns that an UPDATE sets."""
    return {name: _p(f"{name}_", name) for name in names}


_this = _c.user_id == _p("user_id", "user_id")
_now = _p("now", "code_expires_at")

AUTHENTICATOR = Statement(select(authenticators).where(_this), t.Authenticator)

# --- passcodes ---

USE_PASSCODE = Statement(
    update(authenticators)
    .where(_this, _c.seed.is_not(None), or_(_c.last_step.is_(None), _c.last_step < _p("step", "last_step")))
    .values(last_step=_p("step", "last_step"), failures=0, locked_until=None)
)
COUNT_FAILURE = Statement(
    update(authenticators).where(_this).values(failures=_c.failures + 1).returning(_c.failures), int
)
LOCK = Statement(update(authenticators).where(_this).values(failures=0, **_set("locked_until")))

# --- enrolment ---

_code = _set("code_hash", "code_expires_at")
OPEN_ENROLMENT = Statement(
    upsert(authenticators)
    .values(user_id=_p("user_id", "user_id"), failures=0, code_failures=0, **_code)
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
    .where(_this, _c.code_hash == _p("is_code_hash", "code_hash"), _c.code_expires_at > _now)
    .values(code_hash=None, code_failures=0, **_set("offered_seed"))
)
CONFIRM_SEED = Statement(
    update(authenticators)
    .where(_this, _c.offered_seed == _p("is_offered_seed", "offered_seed"), _c.code_expires_at > _now)
    .values(
        {**_over, "failures": 0, "locked_until": None, "seed": _p("is_offered_seed", "offered_seed")}
        | _set("enrolled_at", "last_step")
    )
)
