"""The tables of what goes over the wire: who may make instances, where an instance's news go, and the news.

The same conventions as in ``store.tables``: each thing a frozen record and a table, times aware UTC, ids UUID text.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, text
from sqlmodel import Field

from store.columns import BIG, MAX_ID, Record
from store.types import UtcDateTime


class Provisioner(Record):
    """Something that may make instances of one agent: a platform, a deployment. Of its token only SHA-256 is kept."""

    id: str = Field(primary_key=True, max_length=MAX_ID)
    name: str = Field(max_length=75)
    agent: str = Field(max_length=75)
    token_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ProvisionerTable(Provisioner, table=True):
    __tablename__ = "provisioners"


class InstanceUpdate(Record):
    """A key under which an instance was changed, the SHA-256 of the fields it came with, and what was answered."""

    instance_id: str = Field(primary_key=True, foreign_key="instances.id", max_length=MAX_ID)
    key: str = Field(primary_key=True, max_length=255)
    digest: bytes = Field(sa_type=LargeBinary)
    answer: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=UtcDateTime)


class InstanceUpdateTable(InstanceUpdate, table=True):
    __tablename__ = "instance_updates"


class Delivery(Record):
    """Where an instance's notifications go: its verified receiver. ``secret`` is encrypted.

    A row stays after the delivery ended, for what must be kept a day longer.
    """

    instance_id: str = Field(primary_key=True, foreign_key="instances.id", max_length=MAX_ID)
    url: str = Field(sa_type=Text)
    registration_id: str = Field(max_length=MAX_ID)
    secret: bytes = Field(sa_type=LargeBinary)
    configured_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DeliveryTable(Delivery, table=True):
    __tablename__ = "deliveries"


class Notification(Record):
    """One ``request.resolved`` for an instance's receiver: written with the decision, sent until acknowledged.

    ``body`` never changes between attempts. ``due_at`` is null once nothing more is to be sent: ``delivered_at`` or
    ``given_up_at`` says why. ``fence`` grows with every lease, as an intent's does.
    """

    id: str = Field(primary_key=True, max_length=MAX_ID)
    instance_id: str = Field(foreign_key="instances.id", max_length=MAX_ID)
    request_number: int = Field(sa_type=BIG, sa_column_args=[ForeignKey("requests.number")])
    body: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attempts: int = 0
    last_code: str | None = Field(default=None, max_length=75)
    leased_by: str | None = Field(default=None, max_length=75)
    leased_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    fence: int = 0
    delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    given_up_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class NotificationTable(Notification, table=True):
    __tablename__ = "notifications"
    __table_args__ = (
        Index(
            "ix_notifications_due",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("ix_notifications_request", "request_number"),
        Index("ix_notifications_created", "created_at"),
    )
