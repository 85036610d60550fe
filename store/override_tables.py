"""The tables of people's corrections: overrides of outcomes, and what somebody stopped until it is resumed.

The same conventions as in ``store.tables``, where these are to be had too.
"""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from store.columns import BIG, Record, a_time, long_text, of_request, one_word, refers_to, row_number, some_bytes
from store.vocabulary import DeciderKind, HaltEffect, HaltScope, OverrideKind, Rank


class Override(Record):
    """A person's act that displaces an outcome. Never changed after it was written, but for what retention removes.

    ``displaced`` is the state of the request until then (a word of ``bot.lifecycle.State``), ``displaced_by_kind`` and
    ``displaced_by`` say whose outcome that was. ``standing_id`` is the vote cast ahead that came of it, if any. What
    became of an override is read from its request and that vote. ``agent``, ``tool`` and ``rule`` are the request's, so
    that they can be asked for. ``reason`` is null only where retention removed it.
    """

    id: int = row_number()
    kind: OverrideKind = one_word(OverrideKind)
    request_number: int = of_request()
    agent: str = Field(max_length=75)
    tool: str = Field(max_length=255)
    rule: str | None = Field(default=None, max_length=75)
    user_id: str = Field(max_length=32)
    team_id: str = Field(max_length=32)
    at: datetime = a_time()
    reason: str | None = long_text(optional=True)
    displaced: str = Field(max_length=32)
    displaced_by_kind: DeciderKind | None = one_word(DeciderKind, optional=True)
    displaced_by: str | None = Field(default=None, max_length=75)
    standing_id: int | None = refers_to("standing_votes.id", optional=True)


class OverrideTable(Override, table=True):
    __tablename__ = "overrides"
    __table_args__ = (
        Index("ix_overrides_request", "request_number"),
        Index("ix_overrides_at", "at"),
        Index("ix_overrides_agent", "agent", "at"),
    )


class Halt(Record):
    """Something that a person stopped: an agent, a rule or all of it, until somebody resumes it or ``until``.

    ``effect`` says what happens to its calls: they are denied, or people are asked about what a rule would approve by
    itself. ``name`` is the agent's or rule's, empty for all. ``rank`` is on what ground the person could.
    """

    id: int = row_number()
    effect: HaltEffect = one_word(HaltEffect)
    scope: HaltScope = one_word(HaltScope)
    name: str = Field(max_length=75)
    user_id: str = Field(max_length=32)
    team_id: str = Field(max_length=32)
    rank: Rank = one_word(Rank)
    reason: str = long_text()
    salt: bytes = some_bytes()
    at: datetime = a_time()
    until: datetime | None = a_time(optional=True)
    ended_at: datetime | None = a_time(optional=True)
    ended_by: str | None = Field(default=None, max_length=32)  # null where the clock ended it
    end_reason: str | None = long_text(optional=True)


class HaltTable(Halt, table=True):
    __tablename__ = "halts"
    __table_args__ = (
        # One of a kind and person at a time; also for the few in force, which each use of an approval asks for.
        Index(
            "uq_halts_in_force",
            "scope",
            "name",
            "effect",
            "user_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_halts_at", "at"),
    )


class Digest(Record):
    """A gathered notice of what one rule approved by itself: a Slack message in the rule's channel.

    It tells of the requests from ``first_number`` to ``last_number`` that the rule approved, ``count`` of them.
    ``attempted_at`` is as a card's (``store.slack_tables``); ``key`` is in the message's metadata.
    """

    id: int = row_number()
    key: str = Field(max_length=36)
    rule: str = Field(max_length=75)
    channel: str = Field(max_length=32)
    ts: str | None = Field(default=None, max_length=32)
    first_number: int = Field(sa_type=BIG)
    last_number: int = Field(sa_type=BIG)
    count: int
    created_at: datetime = a_time()
    attempted_at: datetime | None = a_time(optional=True)
    posted_at: datetime | None = a_time(optional=True)


class DigestTable(Digest, table=True):
    __tablename__ = "digests"
    __table_args__ = (
        Index("uq_digests_message", "channel", "ts", unique=True),
        Index("ix_digests_last", "last_number"),
    )
