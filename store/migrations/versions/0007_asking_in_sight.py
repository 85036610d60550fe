"""Asking across requests: what people were asked about, and who may see it, each read in an index alone"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    asked = sa.text("decided_at IS NOT NULL AND (status != 'approved' OR decided_by_kind != 'rule')")
    op.create_index(
        "ix_requests_asked",
        "requests",
        ["decided_at", "rule_id", "status", "decided_by_kind", "agent"],
        sqlite_where=asked,
        postgresql_where=asked,
    )
    op.drop_index("ix_cards_request", "cards")
    op.create_index("ix_cards_request", "cards", ["request_number", "channel", "place"])


def downgrade() -> None:
    raise NotImplementedError("a backup made before the upgrade leads back")
