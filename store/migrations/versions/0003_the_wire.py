"""Instances over the wire and their notifications"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from store.types import UtcDateTime

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "provisioners",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=75), nullable=False),
        sa.Column("agent", sa.String(length=75), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    with op.batch_alter_table("instances") as batch_op:
        batch_op.add_column(
            sa.Column(
                "provisioner_id",
                sa.String(length=36),
                sa.ForeignKey("provisioners.id", name="fk_instances_provisioner"),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("create_key", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("creation_digest", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("creation_answer", sa.Text(), nullable=True))
    op.create_index("uq_instances_create_key", "instances", ["provisioner_id", "create_key"], unique=True)
    op.create_table(
        "instance_updates",
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"]),
        sa.PrimaryKeyConstraint("instance_id", "key"),
    )
    op.create_table(
        "deliveries",
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("registration_id", sa.String(length=36), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("configured_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"]),
        sa.PrimaryKeyConstraint("instance_id"),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("request_number", BIG, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_code", sa.String(length=75), nullable=True),
        sa.Column("leased_by", sa.String(length=75), nullable=True),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
        sa.Column("given_up_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"]),
        sa.ForeignKeyConstraint(["request_number"], ["requests.number"]),
        sa.PrimaryKeyConstraint("id"),
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index("ix_notifications_due", "notifications", ["due_at"], sqlite_where=due, postgresql_where=due)
    op.create_index("ix_notifications_request", "notifications", ["request_number"])
    op.create_index("ix_notifications_created", "notifications", ["created_at"])


def downgrade() -> None:
    raise NotImplementedError("a backup made before the upgrade leads back")
