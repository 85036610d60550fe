"""The statements that find the cards on which a pause is to be seen, or to be seen no more.

The conventions are those of ``store.statements``.
"""

from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, func, or_, select, text, update
from sqlmodel import SQLModel

from store import tables as t
from store.compiled import Statement
from store.parameters import param, set_to
from store.statements import cards, outbox, queues, requests
from store.statements_halts import halts

rule_versions = SQLModel.metadata.tables["rule_versions"]

PAUSE = "pause"
"""The reason of an intent to draw a card anew because of a pause; all others go before these."""

_NONE = ""
_agent = param("agent", requests.c.agent)
_rule_name = func.coalesce(rule_versions.c.name, _NONE)
_shown = func.coalesce(cards.c.shown_pause, _NONE)
_joined = cards.join(requests, requests.c.number == cards.c.request_number).outerjoin(
    rule_versions, rule_versions.c.id == requests.c.rule_id
)
# Pending, or approved and open: what a pause makes a difference to. It has a due time in either case. Asked for by
# themselves, so that SQLite begins with them, and not with every card that there ever was.
_waiting = requests.alias("waiting")
_matters = cards.c.request_number.in_(
    select(_waiting.c.number).where(
        text("waiting.due_at IS NOT NULL"),
        _waiting.c.consumed_at.is_(None),
        _waiting.c.revoked_at.is_(None),
        _waiting.c.lapsed_at.is_(None),
    )
)
_stands = and_(cards.c.state == t.CardState.LIVE, cards.c.ts.is_not(None), cards.c.place != t.Place.THREAD)


class Showing(NamedTuple):
    """Cards of one agent and rule that show the same pause, both ``""`` for none."""

    agent: str
    rule: str
    shown: str


# By what calls and by what pause they show: few rows, however many cards there are.
WHAT_CARDS_SHOW = Statement(
    select(requests.c.agent, _rule_name, _shown).select_from(_joined).where(_matters, _stands).distinct(), Showing
)
# Of one of those the newest, which stand where people look; but for those that are to be drawn anyway.
CARDS_SHOWING = Statement(
    select(cards)
    .select_from(_joined)
    .where(
        _matters,
        _stands,
        requests.c.agent == _agent,
        _rule_name == param("rule", rule_versions.c.name),
        _shown == param("shown", cards.c.shown_pause),
        ~exists().where(outbox.c.card_id == cards.c.id, outbox.c.kind == t.IntentKind.DRAW_CARD),
    )
    .order_by(cards.c.request_number.desc(), cards.c.id.desc())
    .limit(bindparam("limit")),
    t.Card,
)
SHOW_PAUSE = Statement(
    update(cards).where(cards.c.id == param("card_id", cards.c.id)).values(set_to(cards, "shown_pause"))
)
# A card that is drawn for another reason shows its pause with that, and does not wait behind what is paced.
DROP_DRAW_OF_PAUSE = Statement(
    delete(outbox).where(
        outbox.c.card_id == param("card_id", outbox.c.card_id),
        outbox.c.kind == t.IntentKind.DRAW_CARD,
        outbox.c.reason == PAUSE,
        outbox.c.leased_until.is_(None),
    )
)
# How many of the wishes to draw that this asks for have not been carried out.
DRAWS_UNDER_WAY = Statement(
    select(func.count()).select_from(outbox).where(outbox.c.kind == t.IntentKind.DRAW_CARD, outbox.c.reason == PAUSE),
    int,
)
# Wishes to look that wait behind the one that is looked for now.
DROP_OTHER_LOOKS = Statement(
    delete(outbox).where(outbox.c.kind == t.IntentKind.DRAW_PAUSED, outbox.c.leased_until.is_(None))
)
# A wish that nobody has taken up yet serves for every change until then: whoever takes it up waits for this one. By one
# that was tried some may have been told already, and are not told again when the others are.
HOLD_WAITING = Statement(
    update(outbox)
    .where(outbox.c.lane == param("lane", outbox.c.lane), outbox.c.leased_until.is_(None), outbox.c.attempts == 0)
    .values(due_at=outbox.c.due_at)
)


class Listed(NamedTuple):
    """A queue card that has calls of one agent and rule on it."""

    queue_id: int
    agent: str
    rule: str


WHAT_QUEUES_LIST = Statement(
    select(cards.c.queue_id, requests.c.agent, _rule_name)
    .select_from(_joined)
    .where(
        cards.c.queue_id.in_(select(queues.c.id).where(queues.c.state != t.CardState.GONE)),
        cards.c.state != t.CardState.GONE,
    )
    .distinct(),
    Listed,
)

# What stops one target now, and what did until lately.
HALTS_LATELY = Statement(
    select(halts)
    .where(
        halts.c.scope == param("scope", halts.c.scope),
        halts.c.name == param("name", halts.c.name),
        or_(halts.c.ended_at.is_(None), halts.c.ended_at >= param("since", halts.c.ended_at)),
    )
    .order_by(halts.c.id),
    t.Halt,
)
