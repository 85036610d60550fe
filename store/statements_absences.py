"""The statements about absences. The conventions are those of ``store.statements``."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import SQLModel

from store import escalation_tables as e
from store.compiled import Statement
from store.parameters import param, set_to

absences = SQLModel.metadata.tables["absences"]
_c = absences.c


_set = set_to(absences, "stand_in", "until", "said_at")
_is_now = _c.until > param("now", _c.until)

SAY_ABSENCE = Statement(
    upsert(absences)
    .values(user_id=param("user_id", _c.user_id), **_set)
    .on_conflict_do_update(index_elements=["user_id"], set_=_set)
)
END_ABSENCE = Statement(
    delete(absences).where(_c.user_id == param("user_id", _c.user_id), _is_now).returning(*_c), e.Absence
)
CURRENT_ABSENCES = Statement(select(absences).where(_is_now).order_by(_c.until, _c.user_id), e.Absence)
