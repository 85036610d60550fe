"""Putting an override on record: a person's act that displaced an outcome, its reason, and whose outcome that was.

Nothing is judged here; that is for the act's own use case (``bot.overriding``, ``bot.standing``, ``bot.decisions``).
"""

from datetime import datetime
from typing import Protocol

from bot.events import EventType, append_event, commit_to_text
from bot.lifecycle import State
from store import statements, statements_overrides
from store.tables import DeciderKind, Override, OverrideKind, Request
from store.unit import Unit


class Actor(Protocol):
    """Who acted: an act, or a vote that was one."""

    @property
    def user_id(self) -> str: ...

    @property
    def team_id(self) -> str: ...

    @property
    def surface(self) -> str: ...


def is_reason(text: str) -> bool:
    """Whether there is something to be read in what somebody gave as a reason."""
    return any(char.isprintable() and not char.isspace() for char in text)


async def record_override(
    unit: Unit, request: Request, kind: OverrideKind, by: Actor, reason: str, now: datetime, *,
    displaced: State, displaced_by_kind: DeciderKind | None = None, displaced_by: str | None = None,
    standing_id: int | None = None,
) -> Override:  # fmt: skip
    """Write an override down, with its event, in the transaction of the act.

    ``displaced`` is the state of the request until then, the other two say whose doing that was, and ``standing_id`` is
    the vote cast ahead that came of it. Drawing the cards anew is the caller's.
    """
    version = await unit.one(statements.RULE_VERSION, id=request.rule_id) if request.rule_id is not None else None
    made = await unit.one(
        statements_overrides.INSERT_OVERRIDE,
        kind=kind,
        request_number=request.number,
        agent=request.agent,
        tool=request.tool,
        rule=version.name if version is not None else None,
        user_id=by.user_id,
        team_id=by.team_id,
        at=now,
        reason=reason,
        displaced=displaced.value,
        displaced_by_kind=displaced_by_kind,
        displaced_by=displaced_by,
        standing_id=standing_id,
    )
    if made is None:
        raise LookupError("an override was written and not returned")
    await append_event(
        unit, now, EventType.OVERRIDE_MADE, request,
        override=made.id, kind=kind.value, user=by.user_id, team=by.team_id, surface=by.surface,
        displaced=displaced.value, displaced_by_kind=displaced_by_kind.value if displaced_by_kind else None,
        displaced_by=displaced_by, standing=standing_id, reason=commit_to_text(request, reason),
    )  # fmt: skip
    return made
