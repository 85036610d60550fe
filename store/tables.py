"""The tables: the one place where a column is named. Their vocabulary (``store.vocabulary``) is to be had here too.

Each thing appears twice, once as a value and once as a table: ``Request`` is a frozen record that the house
passes around, ``RequestTable`` the SQLModel table it is a row of. Statements speak of tables, everything else of
records. Nothing here runs a statement.

All times are aware UTC. Ids are UUID text, version 7, so that new rows land at an index's right edge; a request
also has a number, which is its short id for people and the key other tables refer to.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, LargeBinary, text
from sqlmodel import Field

from store.columns import (
    BIG,
    MAX_ID,
    Record,
    a_time,
    long_text,
    of_request,
    one_word,
    refers_to,
    row_number,
    some_bytes,
)
from store.identity_tables import (
    Authenticator,
    AuthenticatorTable,
    Credential,
    CredentialTable,
    Instance,
    InstanceTable,
)
from store.override_tables import Digest, DigestTable, Halt, HaltTable, Override, OverrideTable
from store.slack_tables import (
    Card,
    CardTable,
    Intent,
    IntentTable,
    Modal,
    ModalTable,
    Queue,
    QueueList,
    QueueListTable,
    QueueTable,
)
from store.vocabulary import (
    CardState,
    DeciderKind,
    FullView,
    HaltEffect,
    HaltScope,
    IntentKind,
    ModalKind,
    OutcomeStatus,
    OverrideKind,
    Place,
    Rank,
    Status,
    StepUp,
    VoteKind,
)

__all__ = [
    "MAX_ID",
    "Act",
    "ActTable",
    "Authenticator",
    "AuthenticatorTable",
    "Card",
    "CardState",
    "CardTable",
    "Credential",
    "CredentialTable",
    "DeciderKind",
    "Digest",
    "DigestTable",
    "Event",
    "EventTable",
    "FullView",
    "Halt",
    "HaltEffect",
    "HaltScope",
    "HaltTable",
    "Instance",
    "InstanceTable",
    "Intent",
    "IntentKind",
    "IntentTable",
    "Modal",
    "ModalKind",
    "ModalTable",
    "OutcomeStatus",
    "Override",
    "OverrideKind",
    "OverrideTable",
    "Place",
    "Queue",
    "QueueList",
    "QueueListTable",
    "QueueTable",
    "Rank",
    "Record",
    "Request",
    "RequestTable",
    "RuleVersion",
    "RuleVersionTable",
    "StandingVote",
    "StandingVoteTable",
    "Status",
    "StepUp",
    "Vote",
    "VoteKind",
    "VoteTable",
]

# --- requests ---------------------------------------------------------------------------------------------


class RuleVersion(Record):
    """A rule as it was when requests were made under it: canonical JSON, kept once per wording."""

    id: int = row_number()
    digest: bytes = Field(sa_type=LargeBinary, unique=True)
    name: str = Field(max_length=75)
    body: str = long_text()
    seen_at: datetime = a_time()


class RuleVersionTable(RuleVersion, table=True):
    __tablename__ = "rule_versions"


class Request(Record):
    """One approval request for one call, with its decision, consumption and outcome.

    ``arguments`` and ``context`` are the agent's JSON text, to the letter. ``digest`` is the SHA-256 of the call's
    canonical form of version ``canonical_version``; ``salt`` makes the events' commitments to it unguessable.
    ``due_at`` is when the clock must next look at the row: the deadline while pending, the end of validity while
    approved, the execution timeout while consumed, null once nothing more can become due. ``repeats`` is the number
    of the request whose denial by a person was remembered; ``reopened_at`` on that one ends the memory. While pending,
    ``next_step_at`` is when its plan goes on, with step ``step_index`` (0 on) of round ``step_round``; null: no more.
    From ``forgotten_at`` on, arguments, context, notes, salt and digests are empty: retention removed them.
    """

    number: int = row_number()
    id: str = Field(max_length=MAX_ID, unique=True)
    instance_id: str = Field(foreign_key="instances.id", max_length=MAX_ID)
    agent: str = Field(max_length=75)
    create_key: str = Field(max_length=255)
    submission_digest: bytes = some_bytes()

    tool: str = Field(max_length=255)
    server: str | None = Field(default=None, max_length=255)
    arguments: str = long_text()
    agent_reasoning: str | None = long_text(optional=True)
    context: str | None = long_text(optional=True)
    timeout: str = Field(max_length=255)
    canonical_version: int
    digest: bytes = some_bytes()
    salt: bytes = some_bytes()

    rule_id: int | None = refers_to("rule_versions.id", optional=True)
    status: Status = one_word(Status)
    created_at: datetime = a_time()
    deadline_at: datetime = a_time()
    due_at: datetime | None = a_time(optional=True)

    next_step_at: datetime | None = a_time(optional=True)
    step_index: int | None = None
    step_round: int | None = None

    decided_at: datetime | None = a_time(optional=True)
    decided_by_kind: DeciderKind | None = one_word(DeciderKind, optional=True)
    decided_by: str | None = Field(default=None, max_length=75)
    decision_code: str | None = Field(default=None, max_length=75)
    note: str | None = long_text(optional=True)
    expires_at: datetime | None = a_time(optional=True)

    repeats: int | None = refers_to("requests.number", optional=True)
    reopened_at: datetime | None = a_time(optional=True)
    reopened_by: str | None = Field(default=None, max_length=32)

    revoked_at: datetime | None = a_time(optional=True)
    revoked_code: str | None = Field(default=None, max_length=75)
    consumed_at: datetime | None = a_time(optional=True)
    consume_key: str | None = Field(default=None, max_length=255)
    lapsed_at: datetime | None = a_time(optional=True)
    overdue_at: datetime | None = a_time(optional=True)
    outcome: OutcomeStatus | None = one_word(OutcomeStatus, optional=True)
    outcome_note: str | None = long_text(optional=True)
    outcome_at: datetime | None = a_time(optional=True)
    forgotten_at: datetime | None = a_time(optional=True)


class RequestTable(Request, table=True):
    __tablename__ = "requests"
    __table_args__ = (
        Index("uq_requests_create_key", "instance_id", "create_key", unique=True),
        Index(
            "ix_requests_due_at",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index(
            "ix_requests_pending",
            "number",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
        # For the limit of how many may wait: what one agent or instance has pending, and its first deadline.
        Index(
            "ix_requests_waiting",
            "agent",
            "instance_id",
            "deadline_at",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
        Index(
            "ix_requests_next_step",
            "next_step_at",
            sqlite_where=text("next_step_at IS NOT NULL"),
            postgresql_where=text("next_step_at IS NOT NULL"),
        ),
        # For the last call like this one that people approved; what rules approve by themselves stays out of it.
        Index(
            "ix_requests_approved",
            "agent",
            "tool",
            "number",
            sqlite_where=text("status = 'approved' AND decided_by_kind != 'rule'"),
            postgresql_where=text("status = 'approved' AND decided_by_kind != 'rule'"),
        ),
        # For remembered denials and near repeats: what people denied, and how often it was asked again.
        Index(
            "ix_requests_denied",
            "agent",
            "tool",
            "decided_at",
            sqlite_where=text("status = 'denied' AND decided_by_kind = 'person'"),
            postgresql_where=text("status = 'denied' AND decided_by_kind = 'person'"),
        ),
        Index(
            "ix_requests_repeats",
            "repeats",
            "created_at",
            sqlite_where=text("repeats IS NOT NULL"),
            postgresql_where=text("repeats IS NOT NULL"),
        ),
        # For what was decided in a span of time: rates, by agent and of the rules that somebody reviews, which are
        # counted in the index alone; and what retention removes.
        Index("ix_requests_decided_at", "decided_at", "agent", "status", "decided_by_kind", "rule_id"),
        # For the same of what people were asked about: few beside what rules approve by themselves, which pay nothing.
        Index(
            "ix_requests_asked",
            "decided_at",
            "rule_id",
            "status",
            "decided_by_kind",
            "agent",
            sqlite_where=text("decided_at IS NOT NULL AND (status != 'approved' OR decided_by_kind != 'rule')"),
            postgresql_where=text("decided_at IS NOT NULL AND (status != 'approved' OR decided_by_kind != 'rule')"),
        ),
        CheckConstraint("deadline_at > created_at", name="ck_requests_deadline"),
        CheckConstraint("(status = 'pending') = (decided_at IS NULL)", name="ck_requests_decided"),
        CheckConstraint("(status = 'approved') = (expires_at IS NOT NULL)", name="ck_requests_expires"),
        CheckConstraint("consumed_at IS NULL OR status = 'approved'", name="ck_requests_consumed"),
        {"sqlite_autoincrement": True},
    )


class Vote(Record):
    """One person's approve or deny. A decision is computed from the votes that were not withdrawn.

    ``standing_id`` names the standing vote that it was, if it was cast ahead. ``is_forced``: an admin cast it past
    reviewers and quorum; it counts among admins alone.
    """

    id: int = row_number()
    request_number: int = of_request()
    user_id: str = Field(max_length=32)
    team_id: str = Field(max_length=32)
    kind: VoteKind = one_word(VoteKind)
    note: str | None = long_text(optional=True)
    surface: str = Field(max_length=32)
    full_view: FullView | None = one_word(FullView, optional=True)
    step_up: StepUp | None = one_word(StepUp, optional=True)
    standing_id: int | None = refers_to("standing_votes.id", optional=True)
    is_forced: bool = False
    cast_at: datetime = a_time()
    withdrawn_at: datetime | None = a_time(optional=True)


class VoteTable(Vote, table=True):
    __tablename__ = "votes"
    __table_args__ = (
        Index(
            "uq_votes_person",
            "request_number",
            "user_id",
            unique=True,
            sqlite_where=text("withdrawn_at IS NULL"),
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
    )


class StandingVote(Record):
    """A vote cast ahead for exactly one call of one instance; never more than a vote.

    ``request_number`` is the request it was granted on, ``digest`` that of the call it is for. It ends by being taken
    (``taken_by`` is the number of the request that took it), lifted or at ``expires_at``.
    """

    id: int = row_number()
    request_number: int = of_request()
    instance_id: str = Field(foreign_key="instances.id", max_length=MAX_ID)
    canonical_version: int
    digest: bytes = some_bytes()
    user_id: str = Field(max_length=32)
    team_id: str = Field(max_length=32)
    note: str | None = long_text(optional=True)
    surface: str = Field(max_length=32)
    full_view: FullView | None = one_word(FullView, optional=True)
    step_up: StepUp | None = one_word(StepUp, optional=True)
    granted_at: datetime = a_time()
    expires_at: datetime = a_time()
    taken_at: datetime | None = a_time(optional=True)
    taken_by: int | None = Field(default=None, sa_type=BIG)
    lifted_at: datetime | None = a_time(optional=True)


class StandingVoteTable(StandingVote, table=True):
    __tablename__ = "standing_votes"
    __table_args__ = (
        Index(
            "uq_standing_votes_call",
            "instance_id",
            "digest",
            "user_id",
            unique=True,
            sqlite_where=text("taken_at IS NULL AND lifted_at IS NULL"),
            postgresql_where=text("taken_at IS NULL AND lifted_at IS NULL"),
        ),
    )


class Act(Record):
    """One thing a person did in Slack, by its trigger or view id, so that a repeated delivery does it once."""

    id: str = Field(primary_key=True, max_length=255)
    user_id: str = Field(max_length=32)
    at: datetime = a_time()


class ActTable(Act, table=True):
    __tablename__ = "acts"


# --- the audit chain --------------------------------------------------------------------------------------


class Event(Record):
    """One row of the audit chain: ``hash`` is SHA-256 of the previous row's hash followed by ``body``."""

    number: int = row_number()
    at: datetime = a_time()
    type: str = Field(max_length=75)
    request_number: int | None = Field(default=None, sa_type=BIG)
    body: str = long_text()
    hash: bytes = some_bytes()


class EventTable(Event, table=True):
    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_request", "request_number"),
        # For the few events that are about no request: which configuration was in force, what operators did.
        Index(
            "ix_events_general",
            "number",
            sqlite_where=text("request_number IS NULL"),
            postgresql_where=text("request_number IS NULL"),
        ),
    )
