"""The statements about pagers that were called.

The conventions are those of ``store.statements``.
"""

from sqlalchemy import select
from sqlmodel import SQLModel

from store import escalation_tables as t
from store.compiled import Statement
from store.parameters import param

steps = SQLModel.metadata.tables["taken_steps"]
targets = SQLModel.metadata.tables["step_targets"]

# Every time that a request's plan called a pager, in the order of the steps.
PAGES_OF = Statement(
    select(targets)
    .join(steps, steps.c.id == targets.c.step_id)
    .where(
        steps.c.request_number == param("request_number", steps.c.request_number),
        targets.c.target.startswith("pager:"),
    )
    .order_by(targets.c.id),
    t.StepTarget,
)
