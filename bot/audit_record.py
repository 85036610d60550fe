"""Whether requests, votes and overrides are stored as they are on record: the chain alone says nothing of other tables.

What is stored is gone through a window of requests at a time, each in one snapshot with the events about them. Of what
retention removed only the commitments are left, and nothing to compare them with.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from bot.call import canonical_call, load_json
from bot.chain import Faults
from bot.events import EventType, commit, commit_to_text
from store import statements_audit
from store.engine import Store
from store.statements_audit import Link
from store.tables import Override, Request, Status, Vote
from store.unit import Unit

WINDOW = 500
"""Requests that are read at once."""

_decode = json.JSONDecoder().raw_decode
Facts = dict[str, Any]
OfRequest = TypeVar("OfRequest", Link, Vote, Override)

# What happens to a request once at most, and the column that says that it did.
_ONCE = {
    EventType.REQUEST_DECIDED: "decided_at",
    EventType.REQUEST_CONSUMED: "consumed_at",
    EventType.REQUEST_REVOKED: "revoked_at",
    EventType.REQUEST_LAPSED: "lapsed_at",
    EventType.REQUEST_OVERDUE: "overdue_at",
    EventType.OUTCOME_REPORTED: "outcome_at",
    EventType.REQUEST_FORGOTTEN: "forgotten_at",
}
_READ = {*_ONCE, EventType.REQUEST_MADE, EventType.VOTE_CAST, EventType.VOTE_WITHDRAWN, EventType.OVERRIDE_MADE}


async def check_record(store: Store, faults: Faults) -> int:
    """Compare all that is stored with what is on record of it. Returns how many requests there are."""
    last, count = await store.read(_load_last), 0
    for first in range(1, last + 1, WINDOW):
        requests, links, votes, overrides = await store.read(partial(_load, first=first, last=first + WINDOW - 1))
        events = _grouped(links)
        for number in sorted(events.keys() - {request.number for request in requests}):
            faults.add("request_missing", None, f"Request #{number} is on record and not stored.")
        of_votes, of_overrides = _grouped(votes), _grouped(overrides)
        for request in requests:
            number = request.number
            found = differences(request, events.get(number, []), of_votes.get(number, []), of_overrides.get(number, []))
            for words in found:
                faults.add("record_differs", None, f"Request #{number}: {words}.")
        count += len(requests)
    return count


def differences(request: Request, links: list[Link], votes: list[Vote], overrides: list[Override]) -> Iterator[str]:
    """Say what of a request is stored otherwise than it is on record."""
    told: dict[str, list[Facts]] = {}
    for link in links:
        if link.type in _READ:
            try:
                told.setdefault(link.type, []).append(_decode(link.body)[0])
            except ValueError:
                return  # the chain's own check tells of it
    made = told.get(EventType.REQUEST_MADE, [])
    if len(made) != 1:
        yield "that it was made is on record " + (f"{len(made)} times" if made else "nowhere")
        return
    yield from otherwise(made[0], _as_made(request))
    for kind, column in _ONCE.items():
        times = len(told.get(kind, ()))
        if times != (getattr(request, column) is not None):
            yield f"{column} is {'stored' if times == 0 else 'not stored so'}, and on record {times} times"
            continue
        for facts in told.get(kind, ()):
            yield from otherwise(facts, _as_it_happened(request, kind))
    if (request.status is Status.PENDING) != (request.decided_at is None):
        yield "its status is not what its times say"
    yield from _of_votes(request, told, votes)
    yield from _of_overrides(request, told.get(EventType.OVERRIDE_MADE, []), overrides)


def _as_made(request: Request) -> Facts:
    facts: Facts = {
        "request": request.id, "agent": request.agent, "instance": request.instance_id, "tool": request.tool,
        "server": request.server, "rule_version": request.rule_id, "deadline_at": request.deadline_at.isoformat(),
        "repeats": request.repeats,
    }  # fmt: skip
    if request.forgotten_at is None:
        try:
            call = canonical_call(request.tool, request.server, load_json(request.arguments))
            facts["call"] = commit(request.salt, call)
        except Exception:  # whatever stands there now is no call that an agent could have sent
            facts["call"] = "none"
    return facts


def _as_it_happened(request: Request, kind: EventType) -> Facts:
    is_kept = request.forgotten_at is None
    if kind is EventType.REQUEST_DECIDED:
        facts: Facts = {
            "status": request.status.value,
            "by_kind": request.decided_by_kind.value if request.decided_by_kind else None,
            "by": request.decided_by,
            "code": request.decision_code,
            "decided_at": request.decided_at.isoformat() if request.decided_at else None,
            "expires_at": request.expires_at.isoformat() if request.expires_at else None,
        }
        return facts | ({"note": commit_to_text(request, request.note)} if is_kept else {})
    if kind is EventType.OUTCOME_REPORTED:
        facts = {"outcome": request.outcome.value if request.outcome else None}
        return facts | ({"note": commit_to_text(request, request.outcome_note)} if is_kept else {})
    if kind is EventType.REQUEST_REVOKED:
        return {"code": request.revoked_code}
    return {}


def _of_votes(request: Request, told: Mapping[str, list[Facts]], votes: list[Vote]) -> Iterator[str]:
    cast = told.get(EventType.VOTE_CAST, [])
    if not cast and not votes:
        return
    if len(cast) != len(votes):
        yield f"{len(votes)} votes are stored, and {len(cast)} on record"
        return
    for facts, vote in zip(cast, votes, strict=True):
        stored: Facts = {
            "user": vote.user_id, "team": vote.team_id, "kind": vote.kind.value, "surface": vote.surface,
            "full_view": vote.full_view.value if vote.full_view else None,
            "step_up": vote.step_up.value if vote.step_up else None,
            "standing": vote.standing_id, "forced": vote.is_forced or None,
        }  # fmt: skip
        if request.forgotten_at is None:
            stored["note"] = commit_to_text(request, vote.note)
        yield from otherwise(facts, stored, f" of the vote of {facts.get('user')}")
    on_record = Counter(facts.get("user") for facts in told.get(EventType.VOTE_WITHDRAWN, ()))
    if on_record != Counter(vote.user_id for vote in votes if vote.withdrawn_at is not None):
        yield "the votes that were withdrawn are others than on record"


def _of_overrides(request: Request, told: list[Facts], overrides: list[Override]) -> Iterator[str]:
    if len(told) != len(overrides):
        yield f"{len(overrides)} overrides are stored, and {len(told)} on record"
        return
    for facts, one in zip(told, overrides, strict=True):
        stored: Facts = {
            "override": one.id, "kind": one.kind.value, "user": one.user_id, "team": one.team_id,
            "displaced": one.displaced, "displaced_by": one.displaced_by,
        }  # fmt: skip
        if request.forgotten_at is None:
            stored["reason"] = commit_to_text(request, one.reason)
        yield from otherwise(facts, stored, f" of override {one.id}")


def otherwise(facts: Facts, stored: Facts, of: str = "") -> Iterator[str]:
    """Name the facts that are stored otherwise; what is null is left out on record."""
    for name, value in stored.items():
        if facts.get(name) != value:
            yield f"{name}{of} is not stored as it is on record"


def _grouped(rows: Iterable[OfRequest]) -> dict[int, list[OfRequest]]:
    groups: dict[int, list[OfRequest]] = {}
    for row in rows:
        if row.request_number is not None:
            groups.setdefault(row.request_number, []).append(row)
    return groups


async def _load_last(unit: Unit) -> int:
    stored = await unit.one(statements_audit.LAST_REQUEST)
    return max(stored or 0, await unit.one(statements_audit.LAST_REQUEST_ON_RECORD) or 0)


async def _load(unit: Unit, first: int, last: int) -> tuple[list[Request], list[Link], list[Vote], list[Override]]:
    between = {"first": first, "last": last}
    return (
        await unit.all(statements_audit.REQUESTS_BETWEEN, **between),
        await unit.all(statements_audit.EVENTS_BETWEEN, **between),
        await unit.all(statements_audit.VOTES_BETWEEN, **between),
        await unit.all(statements_audit.OVERRIDES_BETWEEN, **between),
    )
