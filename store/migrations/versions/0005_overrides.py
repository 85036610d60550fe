"""Overrides, halts, gathered notices of automatic approvals, retention"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from store.types import UtcDateTime

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INTENTS = (
    "post_card", "draw_card", "post_queue", "draw_queue", "tell_owners", "tell_admins", "tell_reviewers", "notify",
    "post_digest", "draw_digest", "end_page",
)  # fmt: skip
# The vocabularies that grow: table, column, constraint, words.
_GROWN = (
    ("modals", "kind", "modalkind", ("deny", "details", "review", "approve", "changes", "override", "why")),
    ("outbox", "kind", "intentkind", _INTENTS),
)
_DECIDERS = ("person", "rule", "admin", "clock", "agent", "operator", "memory")


def _words(name: str, words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    for table, column, constraint, words in _GROWN:
        # SQLite's tables are made anew, and Alembic does not see which of them never give a number out twice.
        numbered = {"sqlite_autoincrement": True} if table == "outbox" else {}
        with op.batch_alter_table(table, table_kwargs=numbered) as batch_op:
            batch_op.drop_constraint(constraint, type_="check")
            batch_op.create_check_constraint(constraint, f"{column} IN ({', '.join(map(repr, words))})")
    op.add_column("requests", sa.Column("forgotten_at", UtcDateTime(), nullable=True))
    op.create_index(
        "ix_requests_decided_at", "requests", ["decided_at", "agent", "status", "decided_by_kind", "rule_id"]
    )
    op.add_column("votes", sa.Column("is_forced", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("votes") as batch_op:
        batch_op.alter_column("is_forced", server_default=None)
    op.create_table(
        "overrides",
        sa.Column("id", BIG, nullable=False),
        sa.Column(
            "kind", _words("overridekind", ("changed", "revoked", "reversed", "reported", "forced")), nullable=False
        ),
        sa.Column("request_number", BIG, nullable=False),
        sa.Column("agent", sa.String(length=75), nullable=False),
        sa.Column("tool", sa.String(length=255), nullable=False),
        sa.Column("rule", sa.String(length=75), nullable=True),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("displaced", sa.String(length=32), nullable=False),
        sa.Column("displaced_by_kind", _words("deciderkind", _DECIDERS), nullable=True),
        sa.Column("displaced_by", sa.String(length=75), nullable=True),
        sa.Column("standing_id", BIG, nullable=True),
        sa.ForeignKeyConstraint(["request_number"], ["requests.number"]),
        sa.ForeignKeyConstraint(["standing_id"], ["standing_votes.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_overrides_request", "overrides", ["request_number"])
    op.create_index("ix_overrides_at", "overrides", ["at"])
    op.create_index("ix_overrides_agent", "overrides", ["agent", "at"])
    op.create_table(
        "halts",
        sa.Column("id", BIG, nullable=False),
        sa.Column("effect", _words("halteffect", ("deny", "ask")), nullable=False),
        sa.Column("scope", _words("haltscope", ("agent", "rule", "all")), nullable=False),
        sa.Column("name", sa.String(length=75), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("rank", _words("rank", ("owner", "reviewer", "admin")), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.String(length=32), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    in_force = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_halts_in_force",
        "halts",
        ["scope", "name", "effect", "user_id"],
        unique=True,
        sqlite_where=in_force,
        postgresql_where=in_force,
    )
    op.create_index("ix_halts_at", "halts", ["at"])
    op.create_table(
        "digests",
        sa.Column("id", BIG, nullable=False),
        sa.Column("key", sa.String(length=36), nullable=False),
        sa.Column("rule", sa.String(length=75), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("ts", sa.String(length=32), nullable=True),
        sa.Column("first_number", BIG, nullable=False),
        sa.Column("last_number", BIG, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("attempted_at", UtcDateTime(), nullable=True),
        sa.Column("posted_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_digests_message", "digests", ["channel", "ts"], unique=True)
    op.create_index("ix_digests_last", "digests", ["last_number"])


def downgrade() -> None:
    raise NotImplementedError("a backup made before the upgrade leads back")
