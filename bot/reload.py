"""A changed configuration file: taken whole or not at all while the service runs, and put on record.

What a file forbids outright (an agent that is gone, a tool it may no longer use) is ended: pending requests are
cancelled, open approvals revoked, in batches, so that the writer is free in between. Until a batch comes to it nobody
can decide or use such a request either: ``bot.hearings`` and ``bot.approvals`` ask the same question. Everything else
keeps the rule it was made under.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial

from bot.batches import do_together
from bot.clock import Clock
from bot.config import BadConfig, Settings
from bot.config_changes import changes_between, effective_digest, restart_needed
from bot.decisions import close_request
from bot.events import EventType, append_event
from bot.lifecycle import State, state_of
from bot.notices import NoticeKind, tell_admins
from bot.policy import FORBIDDEN
from bot.revocation import revoke_open, tell_revoked
from bot.rulebook import Edition, Rulebook
from store import statements, statements_config
from store.engine import Store
from store.tables import DeciderKind, Request, Status
from store.unit import StoreUnavailable, Unit

BATCH = 100
_LONGEST_FAULT_CHARS = 500
_UNEXPECTED = "Something went wrong with this file that nobody expected; the log of the service has it"


class Result(StrEnum):
    """What became of a file that was to be taken."""

    TAKEN = "taken"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Ended:
    """How many requests a file put an end to; and by number those that could not be ended, with the reason."""

    cancelled: int = 0
    revoked: int = 0
    stuck: Mapping[int, Exception] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reload:
    """``facts`` are those of the event. ``faults`` say why a file was refused.

    ``cause`` is what nobody expected of a refused file, or why what a taken one forbids could not be ended now.
    """

    result: Result
    facts: Mapping[str, str | int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    ended: Ended = Ended()
    cause: Exception | None = None


class OlderRules(Exception):
    """Another replica goes by a newer configuration than this one."""

    code = "older_rules"


class Reloads:
    """The use cases of a changed file."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._turn = asyncio.Lock()

    async def begin(self) -> Ended:
        """At the start: record which file is in force, if it is another than the last one; end what it forbids."""

        async def work(unit: Unit) -> None:
            facts = _facts_of(self._rulebook.policy.settings) | {"wordings": self._rulebook.wordings}
            known = await last_known(unit)
            if known is None or any(known.get(name) != value for name, value in facts.items()):
                await append_event(unit, self._clock(), EventType.CONFIG_LOADED, **facts)

        async with self._turn:
            await self._store.write(work)
            return await self._end_forbidden()

    async def check_in_force(self) -> None:
        """Raise ``OlderRules`` while another replica goes by a file that came into force after this one's."""
        settings = self._rulebook.policy.settings
        known = await self._store.read(last_known)
        if known is not None and any(known.get(name) != value for name, value in _facts_of(settings).items()):
            raise OlderRules

    async def take(self, load: Callable[[], Settings]) -> Reload:
        """Take what ``load`` returns (it runs in a thread), or keep to the rules in force and tell the admins why not.

        A file that differs in nothing writes nothing. Raises ``StoreUnavailable``; then the old rules are in force.
        """
        async with self._turn:
            try:
                settings = await asyncio.to_thread(load)
            except BadConfig as error:
                return await self._refuse([str(fault) for fault in error.faults])
            except Exception as error:
                return await self._refuse([_UNEXPECTED], error)
            old = self._rulebook.policy.settings
            if restart := restart_needed(old, settings):
                return await self._refuse(
                    [f"[{table}] differs, and is read only at the start; restart Signoff to change it"
                     for table in restart]
                )  # fmt: skip
            if settings.digest == old.digest and effective_digest(settings) == effective_digest(old):
                return Reload(Result.UNCHANGED, {"digest": old.digest}, ended=await self._end_forbidden())
            try:
                facts = await self._rulebook.replace(
                    self._store, settings, self._clock, partial(self._record, old=old, new=settings)
                )
            except StoreUnavailable:
                raise
            except Exception as error:
                return await self._refuse([_UNEXPECTED], error)
            try:
                return Reload(Result.TAKEN, facts, ended=await self._end_forbidden())
            except StoreUnavailable as error:  # nobody can use them anyway; the next reload or start ends them
                return Reload(Result.TAKEN, facts, cause=error)

    async def _record(self, unit: Unit, edition: Edition, old: Settings, new: Settings) -> dict[str, str | int]:
        now, policy = self._clock(), edition.policy
        forbidden = dict.fromkeys((Status.PENDING, Status.APPROVED), 0)
        for calls in await unit.all(statements_config.LIVE_CALLS):
            if policy.forbids(calls.agent, calls.tool):
                forbidden[calls.status] += calls.requests
        facts: dict[str, str | int] = {"digest": new.digest, **changes_between(old, new).facts()}
        facts |= {
            name: count
            for name, count in (("cancelled", forbidden[Status.PENDING]), ("revoked", forbidden[Status.APPROVED]))
            if count
        }
        await append_event(
            unit, now, EventType.CONFIG_RELOADED, None,
            before=old.digest, effective=effective_digest(new), wordings=edition.wordings, **facts,
        )  # fmt: skip
        await tell_admins(unit, now, NoticeKind.CONFIG_RELOADED, facts)
        return facts

    async def _refuse(self, faults: list[str], cause: Exception | None = None) -> Reload:
        facts: dict[str, str | int] = {
            "digest": self._rulebook.policy.settings.digest,
            "faults": len(faults),
            "first_fault": faults[0][:_LONGEST_FAULT_CHARS],
        }

        async def work(unit: Unit) -> None:
            now = self._clock()
            await append_event(unit, now, EventType.CONFIG_REFUSED, **facts)
            await tell_admins(unit, now, NoticeKind.CONFIG_REFUSED, facts)

        await self._store.write(work)
        return Reload(Result.REFUSED, facts, tuple(faults), cause=cause)

    # --- what the rules in force forbid ---

    async def _end_forbidden(self) -> Ended:
        calls = await self._store.read(lambda unit: unit.all(statements_config.LIVE_CALLS))
        policy = self._rulebook.policy
        pairs = dict.fromkeys((one.agent, one.tool) for one in calls if policy.forbids(one.agent, one.tool))
        ended: list[Request] = []
        stuck: dict[int, Exception] = {}
        for agent, tool in pairs:
            last = 0
            while numbers := await self._store.read(partial(_load_numbers, agent=agent, tool=tool, after=last)):
                last = numbers[-1]
                done, left = await do_together(
                    self._store, partial(self._end, numbers=numbers), partial(_these, numbers), self._end_one
                )
                ended += done
                stuck |= left
        cancelled = sum(request.status is Status.CANCELLED for request in ended)
        return Ended(cancelled, len(ended) - cancelled, stuck)

    async def _end_one(self, unit: Unit, number: int) -> list[Request]:
        return await self._end(unit, [number])

    async def _end(self, unit: Unit, numbers: Iterable[int]) -> list[Request]:
        now = self._clock()
        ended = []
        for number in numbers:
            request = await unit.one(statements.REQUEST, number=number)
            # Asked again: another file may allow it by now.
            if request is None or not self._rulebook.policy.forbids(request.agent, request.tool):
                continue
            if state_of(request) is State.PENDING:
                ended.append(await _cancel(unit, request, now))
            elif state_of(request) is State.OPEN:
                ended += await _revoke(unit, request, now)
        return ended


def _facts_of(settings: Settings) -> dict[str, str]:
    """What tells one file from another."""
    return {"digest": settings.digest, "effective": effective_digest(settings)}


async def last_known(unit: Unit) -> dict[str, str] | None:
    """Return the facts of the last event that says which file is in force; None if there is none yet."""
    event = await unit.one(
        statements_config.LAST_GENERAL_EVENT, type=EventType.CONFIG_LOADED, other_type=EventType.CONFIG_RELOADED
    )
    if event is None:
        return None
    known: dict[str, str] = json.loads(event.body)
    return known


async def _load_numbers(unit: Unit, agent: str, tool: str, after: int) -> list[int]:
    return await unit.all(statements_config.LIVE_REQUESTS_FOR, agent=agent, tool=tool, after=after, limit=BATCH)


async def _these(numbers: list[int]) -> list[int]:
    return numbers


async def _cancel(unit: Unit, request: Request, now: datetime) -> Request:
    return await close_request(
        unit, request, now, status=Status.CANCELLED, by_kind=DeciderKind.OPERATOR, by=None, code=FORBIDDEN
    )


async def _revoke(unit: Unit, request: Request, now: datetime) -> list[Request]:
    revoked = await revoke_open(unit, request, now, code=FORBIDDEN, by_kind=DeciderKind.OPERATOR)
    if revoked is None:
        return []
    await tell_revoked(unit, revoked, now)
    return [revoked]
