"""Pauses on cards: which one each shows; the wishes to draw them anew and to tell people"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_INTENTS = (
    "post_card", "draw_card", "post_queue", "draw_queue", "tell_owners", "tell_admins", "tell_reviewers", "notify",
    "post_digest", "draw_digest", "end_page", "draw_paused", "tell_halted",
)  # fmt: skip


def upgrade() -> None:
    # SQLite's table is made anew, and Alembic does not see that it never gives a number out twice.
    with op.batch_alter_table("outbox", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_constraint("intentkind", type_="check")
        batch_op.create_check_constraint("intentkind", f"kind IN ({', '.join(map(repr, _INTENTS))})")
    op.add_column("cards", sa.Column("shown_pause", sa.String(length=32), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("a backup made before the upgrade leads back")
