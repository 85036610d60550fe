"""Alembic's entry: runs the migrations on the connection that ``store.schema`` hands over.

Revisions are numbered files in ``versions``, written by hand; a test holds their result against the tables.
"""

from alembic import context
from sqlmodel import SQLModel

import store.delivery_tables
import store.escalation_tables
import store.tables  # noqa: F401  # these fill the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
