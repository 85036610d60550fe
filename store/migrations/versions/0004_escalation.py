"""Escalation: plans' steps, claims, widened seats, absences"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from store.types import UtcDateTime

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INTENTS = ("post_card", "draw_card", "post_queue", "draw_queue", "tell_owners", "tell_admins", "notify", "end_page")
# The vocabularies that grow: table, column, constraint, words.
_GROWN = (
    ("cards", "place", "place", ("channel", "fallback", "dm", "step", "queue", "thread")),
    ("outbox", "kind", "intentkind", _INTENTS),
)


def _words(name: str, words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    _add_queues()
    for table, column, constraint, words in _GROWN:
        # SQLite's tables are made anew, and Alembic does not see which of them never give a number out twice.
        numbered = {"sqlite_autoincrement": True} if table == "outbox" else {}
        with op.batch_alter_table(table, table_kwargs=numbered) as batch_op:
            batch_op.drop_constraint(constraint, type_="check")
            batch_op.create_check_constraint(constraint, f"{column} IN ({', '.join(map(repr, words))})")
            if table == "cards":
                batch_op.add_column(
                    sa.Column("queue_id", BIG, sa.ForeignKey("queues.id", name="fk_cards_queue"), nullable=True)
                )
                batch_op.add_column(sa.Column("step_target_id", BIG, nullable=True))
    waiting, gathered = sa.text("state = 'posting'"), sa.text("queue_id IS NOT NULL")
    op.create_index("ix_cards_waiting", "cards", ["target"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_index("ix_cards_queue", "cards", ["queue_id"], sqlite_where=gathered, postgresql_where=gathered)
    op.create_index("ix_outbox_card", "outbox", ["card_id"])
    op.add_column("requests", sa.Column("next_step_at", UtcDateTime(), nullable=True))
    op.add_column("requests", sa.Column("step_index", sa.Integer(), nullable=True))
    op.add_column("requests", sa.Column("step_round", sa.Integer(), nullable=True))
    stepping = sa.text("next_step_at IS NOT NULL")
    op.create_index(
        "ix_requests_next_step", "requests", ["next_step_at"], sqlite_where=stepping, postgresql_where=stepping
    )
    op.create_table(
        "taken_steps",
        sa.Column("id", BIG, nullable=False),
        sa.Column("request_number", BIG, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("taken_at", UtcDateTime(), nullable=False),
        sa.Column("state", _words("stepstate", ("fired", "skipped", "failed")), nullable=False),
        sa.ForeignKeyConstraint(["request_number"], ["requests.number"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_taken_steps_place", "taken_steps", ["request_number", "round", "index"], unique=True)
    op.create_table(
        "step_targets",
        sa.Column("id", BIG, nullable=False),
        sa.Column("step_id", BIG, nullable=False),
        sa.Column("target", sa.String(length=100), nullable=False),
        sa.Column("state", _words("targetstate", ("waiting", "notified", "failed")), nullable=False),
        sa.Column("code", sa.String(length=75), nullable=True),
        sa.Column("reached", sa.Text(), nullable=True),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["step_id"], ["taken_steps.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_step_targets_step", "step_targets", ["step_id"])
    op.create_table(
        "seat_widenings",
        sa.Column("id", BIG, nullable=False),
        sa.Column("request_number", BIG, nullable=False),
        sa.Column("step_id", BIG, nullable=False),
        sa.Column("seat", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("users", sa.Text(), nullable=False),
        sa.Column("usergroups", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["request_number"], ["requests.number"]),
        sa.ForeignKeyConstraint(["step_id"], ["taken_steps.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_seat_widenings", "seat_widenings", ["request_number", "seat", "source"], unique=True)
    op.create_table(
        "claims",
        sa.Column("request_number", BIG, nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("was_due_at", UtcDateTime(), nullable=False),
        sa.Column("paused_until", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["request_number"], ["requests.number"]),
        sa.PrimaryKeyConstraint("request_number", "user_id"),
    )
    op.create_table(
        "absences",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("stand_in", sa.String(length=32), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("said_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
    )


def _add_queues() -> None:
    op.create_table(
        "queues",
        sa.Column("id", BIG, nullable=False),
        sa.Column("key", sa.String(length=36), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("ts", sa.String(length=32), nullable=True),
        sa.Column("state", _words("cardstate", ("posting", "live", "gone")), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("attempted_at", UtcDateTime(), nullable=True),
        sa.Column("posted_at", UtcDateTime(), nullable=True),
        sa.Column("reposts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_queues_message", "queues", ["channel", "ts"], unique=True)
    op.create_table(
        "queue_lists",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("queue_id", BIG, nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["queue_id"], ["queues.id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    raise NotImplementedError("a backup made before the upgrade leads back")
