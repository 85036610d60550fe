"""The statements about absences. The conventions are those of ``store.statements``."""

from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import SQLModel

from store import escalation_tables as e
from store.compiled import Statement

absences = SQLModel.metadata.tables["absences"]
_c = absences.c


def _p(name: str, column: str) -> Any:
    return bindparam(name, type_=_c[column].type)


_set = {name: _p(f"{name}_", name) for name in ("stand_in", "until", "said_at")}
_is_now = _c.until > _p("now", "until")

SAY_ABSENCE = Statement(
    upsert(absences)
    .values(user_id=_p("user_id", "user_id"), **_set)
    .on_conflict_do_update(index_elements=["user_id"], set_=_set)
)
END_ABSENCE = Statement(
    delete(absences).where(_c.user_id == _p("user_id", "user_id"), _is_now).returning(*_c), e.Absence
)
CURRENT_ABSENCES = Statement(select(absences).where(_is_now).order_by(_c.until, _c.user_id), e.Absence)
