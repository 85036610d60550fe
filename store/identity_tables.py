"""The tables of who there is: agents' installations with their tokens, and people's devices for passcodes."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, text
from sqlmodel import Field

from store.columns import BIG, MAX_ID, Record, a_time, long_text, some_bytes


class Instance(Record):
    """One installation of an agent, made for a person or a service.

    ``person`` is the Slack user it was made for, who never decides on its requests. One that was made over the wire has
    the provisioner that made it, the ``create_key`` it was made under, the digest of the fields that came with it, and
    what was answered but for the token.
    """

    id: str = Field(primary_key=True, max_length=MAX_ID)
    name: str = Field(max_length=75)
    agent: str = Field(max_length=75)
    person: str | None = Field(default=None, max_length=32)
    created_at: datetime = a_time()
    revoked_at: datetime | None = a_time(optional=True)
    provisioner_id: str | None = Field(default=None, foreign_key="provisioners.id", max_length=MAX_ID)
    create_key: str | None = Field(default=None, max_length=255)
    creation_digest: bytes | None = some_bytes(optional=True)
    creation_answer: str | None = long_text(optional=True)


class InstanceTable(Instance, table=True):
    __tablename__ = "instances"
    __table_args__ = (
        Index("uq_instances_create_key", "provisioner_id", "create_key", unique=True),
        Index(
            "ix_instances_name",
            "name",
            sqlite_where=text("revoked_at IS NULL"),
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )


class Credential(Record):
    """One token of an instance; the token itself is not stored, only its SHA-256."""

    id: str = Field(primary_key=True, max_length=MAX_ID)
    instance_id: str = Field(foreign_key="instances.id", index=True, max_length=MAX_ID)
    token_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    created_at: datetime = a_time()
    revoked_at: datetime | None = a_time(optional=True)


class CredentialTable(Credential, table=True):
    __tablename__ = "credentials"


class Authenticator(Record):
    """A person's passcode device, and the way to enrol one.

    Seeds are encrypted. ``code_hash`` is that of the one-time code an operator handed out; ``offered_seed`` is shown to
    who brought it, and becomes ``seed`` with a first passcode. ``last_step`` is the newest time step whose passcode was
    used: an older one never counts again.
    """

    user_id: str = Field(primary_key=True, max_length=32)
    seed: bytes | None = some_bytes(optional=True)
    enrolled_at: datetime | None = a_time(optional=True)
    last_step: int | None = Field(default=None, sa_type=BIG)
    failures: int = 0
    locked_until: datetime | None = a_time(optional=True)
    code_hash: bytes | None = some_bytes(optional=True)
    code_expires_at: datetime | None = a_time(optional=True)
    code_failures: int = 0
    offered_seed: bytes | None = some_bytes(optional=True)


class AuthenticatorTable(Authenticator, table=True):
    __tablename__ = "authenticators"
