"""Escalation: who is written to because of a step, once; plans that are stuck"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from store.types import UtcDateTime

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "step_notices",
        sa.Column("step_id", BIG, nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("step_target_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(["step_id"], ["taken_steps.id"]),
        sa.ForeignKeyConstraint(["step_target_id"], ["step_targets.id"]),
        sa.PrimaryKeyConstraint("step_id", "user_id"),
    )
    op.create_table(
        "stuck_plans",
        sa.Column("request_number", BIG, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["request_number"], ["requests.number"]),
        sa.PrimaryKeyConstraint("request_number", "round", "index"),
    )


def downgrade() -> None:
    raise NotImplementedError("a backup made before the upgrade leads back")
