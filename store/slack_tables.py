"""The tables of Slack's side: what stands in Slack, what people have open there, and what Slack is still to be told.

The same conventions as in ``store.tables``, where these are to be had too.
"""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from store.columns import BIG, MAX_ID, Record, a_time, long_text, of_request, one_word, refers_to, row_number
from store.vocabulary import CardState, FullView, IntentKind, ModalKind, Place


class Card(Record):
    """A Slack message of a request. ``channel`` and ``ts`` name it once it is posted.

    ``attempted_at`` is written before the first try to post: from then on a repeat must reconcile first, because
    the message may be there although its answer was lost.

    One that was gathered on a queue card (``queue_id``) is a line of that message: it has a channel and no ``ts``.
    ``shown_pause`` is what the message says of pauses (``bot.pause_draws``), null for nothing.
    """

    id: int = row_number()
    request_number: int = of_request()
    place: Place = one_word(Place)
    target: str = Field(max_length=32)  # the channel, or the person of a DM
    channel: str | None = Field(default=None, max_length=32)
    ts: str | None = Field(default=None, max_length=32)
    state: CardState = one_word(CardState)
    created_at: datetime = a_time()
    attempted_at: datetime | None = a_time(optional=True)
    posted_at: datetime | None = a_time(optional=True)
    reposts: int = 0
    queue_id: int | None = refers_to("queues.id", optional=True)
    step_target_id: int | None = Field(default=None, sa_type=BIG)  # the target of a plan's step that it was sent for
    shown_pause: str | None = Field(default=None, max_length=32)


class CardTable(Card, table=True):
    __tablename__ = "cards"
    __table_args__ = (
        # For a request's cards, and for who may see it, which is judged in the index alone.
        Index("ix_cards_request", "request_number", "channel", "place"),
        Index("uq_cards_message", "channel", "ts", unique=True),
        # For what waits to be posted in a channel, and for what is on a queue card.
        Index(
            "ix_cards_waiting",
            "target",
            sqlite_where=text("state = 'posting'"),
            postgresql_where=text("state = 'posting'"),
        ),
        Index(
            "ix_cards_queue",
            "queue_id",
            sqlite_where=text("queue_id IS NOT NULL"),
            postgresql_where=text("queue_id IS NOT NULL"),
        ),
    )


class Queue(Record):
    """A queue card: one Slack message of a channel on which cards were gathered that came too fast for it.

    ``attempted_at`` is as a card's. ``key`` is in the message's metadata, by which it is found if its answer was lost.
    """

    id: int = row_number()
    key: str = Field(max_length=MAX_ID)
    channel: str = Field(max_length=32)
    ts: str | None = Field(default=None, max_length=32)
    state: CardState = one_word(CardState)
    created_at: datetime = a_time()
    attempted_at: datetime | None = a_time(optional=True)
    posted_at: datetime | None = a_time(optional=True)
    reposts: int = 0


class QueueTable(Queue, table=True):
    __tablename__ = "queues"
    __table_args__ = (Index("uq_queues_message", "channel", "ts", unique=True),)


class QueueList(Record):
    """A modal with everything on a queue card, opened for one person. ``id`` is Slack's ``external_id``, ours."""

    id: str = Field(primary_key=True, max_length=64)
    queue_id: int = refers_to("queues.id")
    user_id: str = Field(max_length=32)
    opened_at: datetime = a_time()


class QueueListTable(QueueList, table=True):
    __tablename__ = "queue_lists"


class Modal(Record):
    """A modal we opened for one person about one request. ``id`` is Slack's ``external_id``, ours and random.

    ``channel`` is where the card stands that it was opened from (null: a DM, the Home tab). ``pages_seen`` counts the
    pages opened, from the first on without a gap; ``full_view`` how the whole call had been seen when it was opened.
    """

    id: str = Field(primary_key=True, max_length=64)
    kind: ModalKind = one_word(ModalKind)
    request_number: int = of_request()
    user_id: str = Field(max_length=32)
    channel: str | None = Field(default=None, max_length=32)
    pages_seen: int = 0
    full_view: FullView | None = one_word(FullView, optional=True)
    opened_at: datetime = a_time()


class ModalTable(Modal, table=True):
    __tablename__ = "modals"


class Intent(Record):
    """One row of the outbox: something Slack is still to be told. Gone once it is done.

    It is about a request, a card of it, or what ``about`` says: canonical JSON of an event's facts, for the admins.

    Intents of one ``lane`` are carried out in the order of their ids. ``fence`` grows with every lease, so that a
    worker whose lease ran out cannot finish what another has taken over.
    """

    id: int = row_number()
    kind: IntentKind = one_word(IntentKind)
    lane: str = Field(max_length=64)
    request_number: int | None = of_request(optional=True)
    card_id: int | None = refers_to("cards.id", optional=True)
    about: str | None = long_text(optional=True)
    reason: str = Field(max_length=75)
    created_at: datetime = a_time()
    due_at: datetime = a_time()
    attempts: int = 0
    leased_by: str | None = Field(default=None, max_length=75)
    leased_until: datetime | None = a_time(optional=True)
    fence: int = 0


class IntentTable(Intent, table=True):
    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "due_at"),
        Index("ix_outbox_lane", "lane", "id"),
        Index("ix_outbox_card", "card_id"),
        {"sqlite_autoincrement": True},  # an id given again would let an old lease finish a new row
    )
