"""Rules and people: standing votes, passcodes, remembered denials, instances for a person"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from store.types import UtcDateTime

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_VIEWS = ("card", "pages", "form")
_STEP_UPS = ("totp",)


def _words(name: str, words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=32)


# The vocabularies that grow: table, column, constraint, words.
_GROWN = (
    (
        "requests", "decided_by_kind", "deciderkind",
        ("person", "rule", "admin", "clock", "agent", "operator", "memory"),
    ),
    ("cards", "place", "place", ("channel", "fallback", "dm", "thread")),
    ("modals", "kind", "modalkind", ("deny", "details", "review", "approve", "changes")),
    ("votes", "full_view", "fullview", _VIEWS),
    ("outbox", "kind", "intentkind", ("post_card", "draw_card", "tell_owners", "tell_admins")),
)  # fmt: skip


def upgrade() -> None:
    op.add_column("instances", sa.Column("person", sa.String(length=32), nullable=True))
    _add_standing_votes()
    _add_authenticators()
    added: dict[str, list[sa.Column[Any]]] = {
        "requests": [
            sa.Column("repeats", BIG, sa.ForeignKey("requests.number", name="fk_requests_repeats"), nullable=True),
            sa.Column("reopened_at", UtcDateTime(), nullable=True),
            sa.Column("reopened_by", sa.String(length=32), nullable=True),
            sa.Column("revoked_code", sa.String(length=75), nullable=True),
        ],
        "cards": [],
        "modals": [sa.Column("full_view", _words("fullview", _VIEWS), nullable=True)],
        "votes": [
            sa.Column("step_up", _words("stepup", _STEP_UPS), nullable=True),
            sa.Column("standing_id", BIG, sa.ForeignKey("standing_votes.id", name="fk_votes_standing"), nullable=True),
        ],
        "outbox": [sa.Column("about", sa.Text(), nullable=True)],
    }
    for table, column, constraint, words in _GROWN:
        # SQLite's tables are made anew, and Alembic does not see which of them never give a number out twice.
        numbered = {"sqlite_autoincrement": True} if table in ("requests", "outbox") else {}
        with op.batch_alter_table(table, table_kwargs=numbered) as batch_op:
            batch_op.drop_constraint(constraint, type_="check")
            batch_op.create_check_constraint(constraint, f"{column} IN ({', '.join(map(repr, words))})")
            for new in added[table]:
                batch_op.add_column(new)
    _add_indexes()


def _add_standing_votes() -> None:
    op.create_table(
        "standing_votes",
        sa.Column("id", BIG, nullable=False),
        sa.Column("request_number", BIG, nullable=False),
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("canonical_version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("team_id", sa.String(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("surface", sa.String(length=32), nullable=False),
        sa.Column("full_view", _words("fullview", _VIEWS), nullable=True),
        sa.Column("step_up", _words("stepup", _STEP_UPS), nullable=True),
        sa.Column("granted_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("taken_at", UtcDateTime(), nullable=True),
        sa.Column("taken_by", BIG, nullable=True),
        sa.Column("lifted_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["request_number"], ["requests.number"]),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def _add_authenticators() -> None:
    op.create_table(
        "authenticators",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=True),
        sa.Column("enrolled_at", UtcDateTime(), nullable=True),
        sa.Column("last_step", BIG, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", UtcDateTime(), nullable=True),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("code_expires_at", UtcDateTime(), nullable=True),
        sa.Column("code_failures", sa.Integer(), nullable=False),
        sa.Column("offered_seed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("user_id"),
    )


def _add_indexes() -> None:
    denied = sa.text("status = 'denied' AND decided_by_kind = 'person'")
    op.create_index(
        "ix_requests_denied",
        "requests",
        ["agent", "tool", "decided_at"],
        sqlite_where=denied,
        postgresql_where=denied,
    )
    repeating = sa.text("repeats IS NOT NULL")
    op.create_index(
        "ix_requests_repeats",
        "requests",
        ["repeats", "created_at"],
        sqlite_where=repeating,
        postgresql_where=repeating,
    )
    pending = sa.text("status = 'pending'")
    op.create_index(
        "ix_requests_waiting",
        "requests",
        ["agent", "instance_id", "deadline_at"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
    general = sa.text("request_number IS NULL")
    op.create_index("ix_events_general", "events", ["number"], sqlite_where=general, postgresql_where=general)
    alive = sa.text("taken_at IS NULL AND lifted_at IS NULL")
    op.create_index(
        "uq_standing_votes_call",
        "standing_votes",
        ["instance_id", "digest", "user_id"],
        unique=True,
        sqlite_where=alive,
        postgresql_where=alive,
    )


def downgrade() -> None:
    raise NotImplementedError("a backup made before the upgrade leads back")
