"""Whether what gives a say is stored as it is on record: votes ahead, halts, rules, who joined a seat, instances.

None of these decides anything by itself, but a vote cast ahead that nobody cast becomes one on the next request, and a
pause that is gone from the table stops nothing. What became of a request is compared in ``bot.audit_record``.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from bot.audit_record import Facts, otherwise
from bot.call import canonical_call, load_json
from bot.chain import Faults
from bot.config import FrozenRule, UnreadableRule
from bot.escalation import seat_index
from bot.events import EventType, commit, commit_to_text
from store import statements, statements_audit, statements_instances
from store.among import as_list
from store.engine import Store
from store.escalation_tables import SeatWidening
from store.statements_audit import Link
from store.tables import Halt, Instance, Request, RuleVersion, StandingVote
from store.unit import Unit

_AHEAD = {
    EventType.STANDING_GRANTED: "granted",
    EventType.STANDING_TAKEN: "taken",
    EventType.STANDING_LIFTED: "lifted",
}
_READ = (
    *_AHEAD, EventType.HALT_BEGUN, EventType.HALT_ENDED, EventType.SEAT_WIDENED, EventType.INSTANCE_CREATED,
    EventType.CONFIG_LOADED, EventType.CONFIG_RELOADED,
)  # fmt: skip


@dataclass(slots=True)
class _Told:
    """What is on record, by the id that its events name, each with the number of the event and of its request."""

    granted: dict[int, list["_Event"]] = field(default_factory=dict)
    taken: dict[int, list["_Event"]] = field(default_factory=dict)
    lifted: dict[int, list["_Event"]] = field(default_factory=dict)
    begun: dict[int, list["_Event"]] = field(default_factory=dict)
    ended: dict[int, list["_Event"]] = field(default_factory=dict)
    made: dict[str, list["_Event"]] = field(default_factory=dict)
    joined: dict[int | None, list[Facts]] = field(default_factory=dict)
    wordings: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Event:
    number: int
    request: int | None
    facts: Facts


async def check_rights(store: Store, faults: Faults) -> None:
    """Compare what gives a say with what is on record of it. All in one snapshot: there is little of it."""
    for words in await store.read(_differences):
        faults.add("record_differs", None, f"{words}.")


async def _differences(unit: Unit) -> list[str]:
    told = _gather(await unit.all(statements_audit.EVENTS_OF_TYPES, types=as_list(_READ)))
    found = []
    stored = await unit.all(statements_audit.EVERY_STANDING)
    for standing in stored:
        origin = await unit.one(statements.REQUEST, number=standing.request_number)
        found += [f"Vote ahead {standing.id}: {words}" for words in _of_standing(standing, origin, told)]
    for gone in sorted(told.granted.keys() - {standing.id for standing in stored}):
        found.append(f"Vote ahead {gone} is on record and not stored")
    for number, takings in sorted(told.taken.items()):
        found += [f"Vote ahead {number}: {words}" for words in await _of_taking(unit, number, takings, told)]
    halts = await unit.all(statements_audit.EVERY_HALT)
    for halt in halts:
        found += [f"Halt {halt.id}: {words}" for words in _of_halt(halt, told)]
    for gone in sorted(told.begun.keys() - {halt.id for halt in halts}):
        found.append(f"Halt {gone} is on record and not stored")
    for version in await unit.all(statements_audit.EVERY_RULE_VERSION):
        found += [f"Rule version {version.id}: {words}" for words in _of_wording(version, told)]
    for widening in await unit.all(statements_audit.EVERY_WIDENING):
        if not await _is_known(unit, widening, told):
            found.append(f"Request #{widening.request_number}: who joined a seat as {widening.source} is not on record")
    for instance in await unit.all(statements_instances.ALL_INSTANCES):
        found += [f"Instance {instance.id}: {words}" for words in _of_instance(instance, told)]
    return found


def _gather(links: list[Link]) -> _Told:
    told = _Told()
    for link in links:
        try:
            facts = json.loads(link.body)
            event = _Event(link.number, link.request_number, facts)
            if (name := _AHEAD.get(EventType(link.type))) is not None:
                getattr(told, name).setdefault(facts["standing"], []).append(event)
            elif link.type == EventType.HALT_BEGUN:
                told.begun.setdefault(facts["halt"], []).append(event)
            elif link.type == EventType.HALT_ENDED:
                told.ended.setdefault(facts["halt"], []).append(event)
            elif link.type == EventType.SEAT_WIDENED:
                told.joined.setdefault(link.request_number, []).append(facts)
            elif link.type == EventType.INSTANCE_CREATED:
                told.made.setdefault(facts["instance"], []).append(event)
            else:
                told.wordings |= wordings_in(facts)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # the chain's own check tells of it
    return told


# --- votes cast ahead -------------------------------------------------------------------------------------


def _of_standing(standing: StandingVote, origin: Request | None, told: _Told) -> Iterator[str]:
    granted = told.granted.get(standing.id, [])
    if len(granted) != 1:
        yield f"it is stored, and on record {len(granted)} times"
        return
    stored: Facts = {
        "number": standing.request_number, "user": standing.user_id, "team": standing.team_id,
        "surface": standing.surface, "full_view": standing.full_view.value if standing.full_view else None,
        "step_up": standing.step_up.value if standing.step_up else None,
        "canonical": standing.canonical_version, "expires_at": standing.expires_at.isoformat(),
    }  # fmt: skip
    if origin is not None and origin.forgotten_at is None:
        stored["note"] = commit_to_text(origin, standing.note)
    yield from otherwise(granted[0].facts, stored)
    taken = told.taken.get(standing.id, [])
    if [event.request for event in taken] != ([standing.taken_by] if standing.taken_at is not None else []):
        yield "that it was taken is not stored as it is on record"
    if len(told.lifted.get(standing.id, [])) != (standing.lifted_at is not None):
        yield "that it was lifted is not stored as it is on record"


async def _of_taking(unit: Unit, number: int, takings: list[_Event], told: _Told) -> list[str]:
    """Say what was wrong about the use of a vote cast ahead; the call is compared as long as it is kept."""
    granted, taking = told.granted.get(number, []), takings[0]
    if len(granted) != 1 or granted[0].number > taking.number:
        return ["it was taken, and nobody had cast it"]
    if any(event.number < taking.number for event in told.lifted.get(number, [])):
        return ["it was taken after it had been lifted"]
    if taking.facts.get("user") != granted[0].facts.get("user"):
        return ["it was taken as the vote of somebody else"]
    origin = await unit.one(statements.REQUEST, number=granted[0].request)
    taker = await unit.one(statements.REQUEST, number=taking.request)
    if origin is None or taker is None or origin.forgotten_at is not None or taker.forgotten_at is not None:
        return []
    try:
        call = canonical_call(taker.tool, taker.server, load_json(taker.arguments))
    except Exception:  # told of where requests are compared
        return []
    if commit(origin.salt, call) != granted[0].facts.get("call") or taker.instance_id != origin.instance_id:
        return [f"request #{taker.number} took it, and it was cast for another call"]
    return []


# --- halts, rules, instances ------------------------------------------------------------------------------


def _of_halt(halt: Halt, told: _Told) -> Iterator[str]:
    begun, ended = told.begun.get(halt.id, []), told.ended.get(halt.id, [])
    if len(begun) != 1:
        yield f"it is stored, and on record {len(begun)} times"
        return
    stored: Facts = {
        "effect": halt.effect.value, "scope": halt.scope.value, "name": halt.name or None, "user": halt.user_id,
        "team": halt.team_id, "rank": halt.rank.value, "until": halt.until.isoformat() if halt.until else None,
    }  # fmt: skip
    is_kept = bool(halt.salt) or halt.ended_at is None  # retention removes reasons with their salt
    if is_kept:
        stored["reason"] = commit(halt.salt, halt.reason.encode())
    yield from otherwise(begun[0].facts, stored)
    if len(ended) != (halt.ended_at is not None):
        yield "that it ended is not stored as it is on record"
        return
    for event in ended:
        why = commit(halt.salt, halt.end_reason.encode()) if halt.end_reason is not None else None
        yield from otherwise(event.facts, {"user": halt.ended_by} | ({"reason": why} if is_kept else {}))


def wordings_in(facts: Facts) -> dict[int, str]:
    """Read which wordings an event about a file puts on record, see ``bot.rulebook.Edition.wordings``."""
    pairs = (pair.split(":") for pair in str(facts.get("wordings", "")).split(", ") if pair)
    return {int(version): digest for version, digest in pairs}


def _of_wording(version: RuleVersion, told: _Told) -> Iterator[str]:
    digest = hashlib.sha256(version.body.encode()).digest()
    if digest != version.digest or told.wordings.get(version.id, digest.hex()) != digest.hex():
        yield f"the wording of rule {version.name} is not the one on record"


async def _is_known(unit: Unit, widening: SeatWidening, told: _Told) -> bool:
    """Whether a seat was widened so: on record for people on call, by the plan of the request's rule for groups."""
    try:
        users, groups = json.loads(widening.users), json.loads(widening.usergroups)
        if widening.source.startswith("oncall:"):
            return any(
                (facts.get("seat"), facts.get("source"), facts.get("users", ""), facts.get("usergroups", ""))
                == (widening.seat, widening.source, ", ".join(users), ", ".join(groups))
                for facts in told.joined.get(widening.request_number, ())
            )
        request = await unit.one(statements.REQUEST, number=widening.request_number)
        version = await unit.one(statements.RULE_VERSION, id=request.rule_id) if request and request.rule_id else None
        if version is None:
            return False
        rule = FrozenRule.parse(version.body)
        return any(
            (seat_index(rule, one.seat), group.name, [*group.users], [*group.usergroups])
            == (widening.seat, widening.source, users, groups)
            for step in (rule.plan.steps if rule.plan else ())
            for one in step.widen
            for group in one.groups
        )
    except (ValueError, TypeError, UnreadableRule):
        return False


def _of_instance(instance: Instance, told: _Told) -> Iterator[str]:
    made = told.made.get(instance.id, [])
    if len(made) != 1:
        yield f"it is stored, and on record {len(made)} times"
        return
    yield from otherwise(made[0].facts, {"agent": instance.agent, "person": instance.person})
