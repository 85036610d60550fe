"""What the admins are told: a notice is a kind and a few facts, put on the outbox with what caused it.

The words are the surface's (``handlers.slack.answers``); this room knows none. Facts are names, counts, digests and
ids, never arguments, notes, passcodes or anything else that an event could not hold.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from bot.decisions import add_intent
from bot.events import body_bytes
from store.tables import Intent, IntentKind
from store.unit import Unit

Fact = str | int | bool

_LANE = "admins"


class NoticeKind(StrEnum):
    """What admins are told of, with the facts that its words are made from.

    Lists are names parted by ``", "``; a fact that says nothing may be left out.
    """

    CONFIG_RELOADED = "config_reloaded"
    """``digest``; the lists of ``bot.config_changes.Changes``; ``cancelled``, ``revoked``: how many requests."""
    CONFIG_REFUSED = "config_refused"
    """``faults``: how many; ``first_fault``: the first, in words; ``digest``: of the file that goes on being used."""
    PASSCODE_LOCKED = "passcode_locked"
    """``user``; ``minutes``: how long."""
    PASSCODE_ENROLLED = "passcode_enrolled"
    """``user``; ``again``: whether an earlier device stops working with it."""
    ENROLMENT_ENDED = "enrolment_ended"
    """``user``; ``tries``: how many wrong codes or passcodes ended it."""
    DATABASE_RESTORED = "database_restored"
    """``revoked``, ``lifted``, ``pending``: how many; ``copied_at``: when the backup was made, if that is known."""


async def tell_admins(unit: Unit, now: datetime, kind: str, facts: Mapping[str, Fact]) -> None:
    """Have every admin told of something, in the transaction of its cause. Who they are is asked when it is sent.

    Raises ``ValueError`` for a fact that canonical JSON does not hold.
    """
    await add_intent(
        unit, IntentKind.TELL_ADMINS, _LANE, now, reason=kind, request=None, about=body_bytes(facts).decode()
    )


def admins_until_now(facts: Mapping[str, Fact]) -> frozenset[str]:
    """Return whom a changed file made admins no more: they are told so too, lest a quiet change of all of them is told
    only to who made it."""
    return frozenset(filter(None, str(facts.get("admins_removed", "")).split(", ")))


def facts_of(intent: Intent) -> dict[str, Fact]:
    """Return the facts of a notice. None rather than an error: a notice without them still says what happened."""
    try:
        facts = json.loads(intent.about or "")
    except ValueError:
        return {}
    if not isinstance(facts, dict):
        return {}
    return {name: value for name, value in facts.items() if isinstance(value, Fact)}
