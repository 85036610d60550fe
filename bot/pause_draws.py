"""Which cards are to be drawn anew because a pause began or ended, a few at a time, and that each shows what is true.

However many cards a pause touches, its own transaction writes one wish to look. Who carries that out compares what
cards show with what is so, and asks for some of those that differ: the newest first, at most ``MOST_UNDER_WAY`` at
once, everything else that is to be drawn before them. So a pause that ends again before its cards were drawn costs
nothing more. Whoever draws a card notes what pause it shows, and asks once more where that was over by then.

A card that is yet to be drawn tells how it was. What is pressed on it is judged by what is stored, and answered so.
"""

from datetime import datetime, timedelta

from bot.drawings import Drawing
from bot.halted import load_pauses, pauses_among, touches
from bot.wishes import add_intent, wish_to_draw_queue
from store import statements, statements_halts
from store import statements_pauses as sql
from store.tables import Card, Halt, HaltEffect, IntentKind, Place, Request
from store.unit import Unit

MOST_UNDER_WAY = 10
LOOKS_AGAIN_AFTER = timedelta(seconds=20)
"""Ten each twenty seconds are thirty a minute, of the fifty that Slack takes: what people decide has the others."""
_LANE = "paused"
_UNKNOWN = "?"


async def wish_to_draw_paused(unit: Unit, halt: Halt, now: datetime) -> None:
    """Have a pause be seen that began, or be seen no more, on all it touches."""
    if halt.effect is not HaltEffect.DENY:
        return
    await add_intent(unit, IntentKind.DRAW_PAUSED, _LANE, now, reason=sql.PAUSE, request=None)
    listed = await unit.all(sql.WHAT_QUEUES_LIST)
    for queue_id in sorted({one.queue_id for one in listed if touches(halt, one.agent, one.rule)}):
        await wish_to_draw_queue(unit, queue_id, sql.PAUSE, now)


async def ask_for_some(unit: Unit, now: datetime) -> bool:
    """Ask for some of the cards to be drawn that show another pause than what is so. False once that is none."""
    await unit.run(sql.DROP_OTHER_LOOKS)  # before anything is read: what they are about is read below
    room = MOST_UNDER_WAY - (await unit.one(sql.DRAWS_UNDER_WAY) or 0)
    in_force = await unit.all(statements_halts.HALTS_IN_FORCE, now=now)
    for one in await unit.all(sql.WHAT_CARDS_SHOW):
        pauses = pauses_among([halt for halt in in_force if touches(halt, one.agent, one.rule)])
        if one.shown == (mark_of(pauses) or ""):
            continue
        if room <= 0:
            return True
        stale = await unit.all(sql.CARDS_SHOWING, agent=one.agent, rule=one.rule, shown=one.shown, limit=room)
        for card in stale:
            request = await unit.one(statements.REQUEST, number=card.request_number)
            await _ask_for(unit, card, request, now)
        room -= len(stale)
    return room <= 0


async def note_shown(unit: Unit, card: Card, request: Request, drawing: Drawing | None, now: datetime) -> None:
    """Note what pause the message of ``card`` shows since it was drawn, and ask for it anew where that is over.

    ``drawing``: what it was drawn from; None where that is not known.
    """
    if card.place is Place.THREAD:
        return
    shown = mark_of(drawing.pauses) if drawing is not None else _UNKNOWN
    if shown != card.shown_pause:
        await unit.run(sql.SHOW_PAUSE, card_id=card.id, shown_pause_=shown)
    rule = drawing.rule.name if drawing is not None and drawing.rule is not None else None
    if drawing is None or shown != mark_of(await load_pauses(unit, drawing.request, rule, now)):
        await _ask_for(unit, card, request, now)


def mark_of(pauses: tuple[Halt, ...]) -> str | None:
    """Name what a card says of ``pauses``, in their order: the first, and how many more there are."""
    return f"{pauses[0].id}+{len(pauses) - 1}" if pauses else None


async def _ask_for(unit: Unit, card: Card, request: Request | None, now: datetime) -> None:
    await add_intent(
        unit, IntentKind.DRAW_CARD, f"card:{card.id}", now, reason=sql.PAUSE, request=request, card_id=card.id
    )
