"""What somebody stopped, as the use cases meet it that it stops: creation, the one door, the use of an approval.

Each asks the database inside its own transaction. Who may stop and resume is ``bot.halts``'.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bot.config import Rule
from bot.errors import AgentPaused
from bot.lifecycle import State, state_of
from bot.policy import Course, Ruling
from store import statements_halts
from store.tables import Halt, HaltEffect, HaltScope, Request
from store.unit import Unit

PAUSED = "agent_paused"
STOPPED = "rule_stopped"


async def load_halts(unit: Unit, agent: str, rule: str | None, now: datetime) -> Sequence[Halt]:
    """Return what stops the calls of ``agent`` under ``rule``, as this transaction sees it, the first to do so first.

    Usually nothing does. This is on the path of every call.
    """
    # No rule is called "": what no rule matches is touched by a pause of its agent or of everything.
    halts = await unit.all(statements_halts.HALTS_TOUCHING, agent=agent, rule=rule or "", now=now)
    return sorted(halts, key=lambda halt: halt.id) if halts else halts


async def refuse_paused(unit: Unit, agent: str, rule: str | None, now: datetime) -> None:
    """Raise ``AgentPaused`` where calls of ``agent`` under ``rule`` are paused."""
    pause = pause_among(await load_halts(unit, agent, rule, now))
    if pause is not None:
        raise AgentPaused(f"{reason_of(pause)} Meanwhile nothing is approved, and no approval is used.")


def pause_among(halts: Sequence[Halt]) -> Halt | None:
    """Return the pause among ``halts`` that lasts the longest; None if there is only what makes a rule ask people."""
    return next(iter(pauses_among(halts)), None)


def touches(halt: Halt, agent: str, rule: str) -> bool:
    """Tell whether ``halt`` stops the calls of ``agent`` under ``rule``, as the statements that ask for it do."""
    return halt.scope is HaltScope.ALL or halt.name == (agent if halt.scope is HaltScope.AGENT else rule)


def pauses_among(halts: Sequence[Halt]) -> tuple[Halt, ...]:
    """Return the pauses among ``halts``, what lasts the longest first: until when it all lasts is what people ask."""
    pauses = [halt for halt in halts if halt.effect is HaltEffect.DENY]
    return tuple(sorted(pauses, key=_how_long))


def _how_long(pause: Halt) -> tuple[bool, float, int]:
    return pause.until is not None, -pause.until.timestamp() if pause.until is not None else 0, pause.id


async def load_pauses(unit: Unit, request: Request, rule: str | None, now: datetime) -> tuple[Halt, ...]:
    """Return what pauses a request, what lasts the longest first; nothing once no pause makes a difference to it."""
    if state_of(request) not in (State.PENDING, State.OPEN):
        return ()
    return pauses_among(await load_halts(unit, request.agent, rule, now))


def ruling_under(halts: Sequence[Halt], ruling: Ruling) -> Ruling:
    """Return how a call is to be treated that meets ``halts``.

    A pause denies whatever the rule says. A stopped rule asks the people it names, or denies where it names none.
    """
    if not halts:
        return ruling
    if (pause := pause_among(halts)) is not None:
        return replace(ruling, course=Course.DENY, code=PAUSED, reason=reason_of(pause))
    rule = ruling.rule
    if ruling.course is not Course.APPROVE or rule is None:
        return ruling
    if can_ask(rule):
        return replace(ruling, course=Course.ASK, code=STOPPED, reason=reason_of(halts[0]))
    why = f"{reason_of(halts[0])} It names no channel with reviewers whom it could ask."
    return replace(ruling, course=Course.DENY, code=STOPPED, reason=why)


async def ruling_now(unit: Unit, agent: str, ruling: Ruling, now: datetime) -> Ruling:
    """Return how a call of ``agent`` is to be treated with what is paused or stopped as this transaction sees it."""
    return ruling_under(await load_halts(unit, agent, ruling.rule.name if ruling.rule else None, now), ruling)


def can_ask(rule: Rule) -> bool:
    """Whether a rule names people who can be asked while it may not approve by itself."""
    return rule.channel is not None and bool(rule.seats)


def name_of(scope: HaltScope, name: str) -> str:
    """Say what a halt stops, as the subject of a sentence."""
    return "Every agent" if scope is HaltScope.ALL else f"{'Rule' if scope is HaltScope.RULE else 'Agent'} {name}"


def reason_of(halt: Halt) -> str:
    """Say what is stopped and why, as agents and people read it: the reason in the words of who stopped it."""
    state = "is paused" if halt.effect is HaltEffect.DENY else "may not approve by itself now"
    until = f" until {halt.until:%Y-%m-%d %H:%M} UTC" if halt.until is not None else ""
    why = halt.reason if halt.reason.endswith((".", "!", "?")) else f"{halt.reason}."
    return f"{name_of(halt.scope, halt.name)} {state}{until}: {why}"
