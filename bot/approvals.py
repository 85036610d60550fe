"""What an agent may do with its requests once they are made: read, wait, cancel, consume, report the outcome.

Each use case loads, asks the rules, and commits state, event and outbox in one transaction. The codes it refuses
with are those of the agents' protocol. An instance sees its own requests only; any other does not exist for it.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from bot.call import digest_of
from bot.changes import RequestChanged, topic_of_request
from bot.clock import Clock
from bot.config import FrozenRule
from bot.creation import refuse_revoked
from bot.decisions import close_request, not_before, wish_to_draw
from bot.errors import (
    AlreadyConsumed,
    AlreadyDecided,
    AlreadyTerminal,
    ApprovalExpired,
    ApprovalRevoked,
    CallAltered,
    NotApproved,
    NotConsumed,
    OutcomeConflict,
    UnknownRequest,
)
from bot.events import EventType, append_event, commit_to_text
from bot.halted import refuse_paused
from bot.lifecycle import Happening, State, after, state_of
from bot.policy import FORBIDDEN
from bot.revocation import RESTORED
from bot.rulebook import Rulebook
from bot.waiters import Waiters
from store import statements, statements_halts
from store.announcing import ChangedElsewhere
from store.compiled import changed_record
from store.engine import Store
from store.tables import (
    DeciderKind,
    Instance,
    OutcomeStatus,
    Request,
    Status,
)
from store.unit import StoreUnavailable, Unit

_REREAD_PAUSE_SECONDS = 1.0  # after trouble with the store


class Approvals:
    """The agents' use cases."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._waiters = Waiters()
        self._rereading: asyncio.Task[None] | None = None
        self._to_reread: set[str] = set()  # ids of requests that another process may have decided
        store.subscribe(self._on_change, RequestChanged, ChangedElsewhere)

    # --- read and wait ---

    async def read(self, instance: Instance, request_id: str) -> Request:
        """Return a request as it is now. Raises ``UnknownRequest``."""
        return await self._store.peek(lambda unit: self._load(unit, instance, request_id))

    async def wait(self, instance: Instance, request_id: str, patience: timedelta) -> Request:
        """Return a request once it is decided, or as it is after ``patience``, or at shutdown.

        Raises ``UnknownRequest``.
        """
        with self._waiters.register(request_id) as decided:
            request = await self.read(instance, request_id)
            if request.status is not Status.PENDING:
                return request
            with suppress(TimeoutError):
                async with asyncio.timeout(patience.total_seconds()):
                    return await decided or request
        return request

    def stop_waiting(self) -> None:
        """Answer every waiting agent now, and let none wait any more."""
        self._waiters.close()

    # --- cancel, consume, outcome ---

    async def cancel(self, instance: Instance, request_id: str) -> Request:
        """Cancel a pending request; cancelling it again gives it again. Raises ``AlreadyTerminal``."""

        async def work(unit: Unit) -> Request:
            request = await self._load(unit, instance, request_id)
            if request.status is Status.CANCELLED:
                return request
            now = self._clock()
            if now >= request.deadline_at:
                raise AlreadyTerminal("The request's deadline has passed; it can no longer be cancelled.")
            try:
                return await close_request(
                    unit, request, now,
                    status=Status.CANCELLED, by_kind=DeciderKind.AGENT, by=instance.id, code="cancelled_by_agent",
                )  # fmt: skip
            except AlreadyDecided as lost:
                raise AlreadyTerminal(f"The request is {lost.request.status}; it cannot be cancelled.") from lost

        return await self._store.write(work)

    async def consume(self, instance: Instance, request_id: str, key: str) -> Request:
        """Take an approval, once. The same ``key`` again gives the same answer.

        Raises ``NotApproved``, ``AlreadyConsumed``, ``ApprovalExpired``, ``ApprovalRevoked``, ``AgentPaused``,
        ``CallAltered``, or ``BadCredential`` for an instance that was revoked meanwhile.
        """
        return await self._store.write_beside(lambda unit: self._consume(unit, instance, request_id, key))

    async def _consume(self, unit: Unit, instance: Instance, request_id: str, key: str) -> Request:
        request = await unit.one(statements.REQUEST_OF_LIVE_INSTANCE, id=request_id, instance_id=instance.id)
        if request is None or request.forgotten_at is not None:
            await refuse_revoked(unit, instance)
            raise UnknownRequest
        now = self._clock()
        if request.consumed_at is not None:
            if request.consume_key == key:
                return request
            raise AlreadyConsumed
        if request.status is not Status.APPROVED:
            raise NotApproved(f"The request is {request.status}, not approved.")
        forbidden = self._rulebook.policy.forbids(request.agent, request.tool)
        if request.revoked_code == FORBIDDEN or forbidden is not None:
            why = forbidden.reason if forbidden else "The configuration no longer allowed it."
            raise ApprovalRevoked(f"{why} What was approved is withdrawn.")
        if request.revoked_code == RESTORED:
            raise ApprovalRevoked(
                "The database was restored from a backup, and this may have been used in between. Ask again."
            )
        if request.revoked_at is not None:
            raise ApprovalRevoked
        if request.expires_at is None or now >= request.expires_at or state_of(request) is State.LAPSED:
            raise ApprovalExpired
        if digest_of(request.tool, request.server, request.arguments) != request.digest:
            raise CallAltered
        after(state_of(request), Happening.CONSUME)
        consumed_at = not_before(now, [request.decided_at])
        rule = await self._rule(unit, request)
        due_at = consumed_at + rule.execution_timeout
        await self._be_alone_for_people(unit, request)
        if not await unit.run(
            statements_halts.CONSUME,
            number=request.number, now=now, agent=request.agent, rule=rule.name,
            consumed_at_=consumed_at, consume_key_=key, due_at_=due_at,
        ):  # fmt: skip
            await refuse_paused(unit, request.agent, rule.name, now)
            raise AlreadyConsumed
        consumed = changed_record(request, consumed_at=consumed_at, consume_key=key, due_at=due_at)
        await append_event(unit, now, EventType.REQUEST_CONSUMED, consumed, instance=instance.id)
        await self._changed(unit, consumed, "consumed", now)
        return consumed

    async def report_outcome(
        self, instance: Instance, request_id: str, outcome: OutcomeStatus, note: str | None
    ) -> Request:
        """Record what became of a consumed call; the same report again is fine.

        Raises ``NotConsumed`` or ``OutcomeConflict``.
        """

        return await self._store.write_beside(lambda unit: self._report(unit, instance, request_id, outcome, note))

    async def _report(
        self, unit: Unit, instance: Instance, request_id: str, outcome: OutcomeStatus, note: str | None
    ) -> Request:
        now = self._clock()
        happening = Happening.SUCCEED if outcome is OutcomeStatus.SUCCEEDED else Happening.FAIL
        # Most calls were decided by a rule, and theirs is written at once; what is in the way is found out afterwards.
        reported = await unit.one(
            statements.REPORT_OUTCOME_AT_ONCE,
            id=request_id, instance_id=instance.id, now=now, outcome_=outcome, outcome_note_=note,
        )  # fmt: skip
        if reported is not None:
            after(State.CONSUMED if reported.overdue_at is None else State.OVERDUE, happening)
        else:
            request = await self._load(unit, instance, request_id)
            if request.consumed_at is None:
                raise NotConsumed
            if request.outcome is not None:
                if (request.outcome, request.outcome_note) == (outcome, note):
                    return request
                raise OutcomeConflict
            after(state_of(request), happening)
            at = not_before(now, [request.consumed_at])
            await self._be_alone_for_people(unit, request)
            if not await unit.run(
                statements.REPORT_OUTCOME,
                number=request.number, outcome_=outcome, outcome_note_=note, outcome_at_=at, due_at_=None,
            ):  # fmt: skip
                raise OutcomeConflict
            reported = changed_record(request, outcome=outcome, outcome_note=note, outcome_at=at, due_at=None)
        await append_event(
            unit, now, EventType.OUTCOME_REPORTED, reported,
            outcome=outcome.value, note=commit_to_text(reported, note),
        )  # fmt: skip
        await self._changed(unit, reported, "outcome", now)
        return reported

    # --- inside ---

    async def _load(self, unit: Unit, instance: Instance, request_id: str) -> Request:
        request = await unit.one(statements.REQUEST_BY_ID, id=request_id)
        # What was forgotten cannot be given back as it was sent.
        if request is None or request.instance_id != instance.id or request.forgotten_at is not None:
            raise UnknownRequest
        return request

    async def _rule(self, unit: Unit, request: Request) -> FrozenRule:
        if request.rule_id is None:
            raise LookupError("an approved request without a rule")
        return await self._rulebook.frozen(unit, request.rule_id)

    @staticmethod
    async def _be_alone_for_people(unit: Unit, request: Request) -> None:
        """What people decided has cards, which are to be drawn anew: others may be about to wish for that too."""
        if request.decided_by_kind is not DeciderKind.RULE:
            await unit.be_alone()

    @staticmethod
    async def _changed(unit: Unit, request: Request, reason: str, now: datetime) -> None:
        if request.decided_by_kind is not DeciderKind.RULE:  # what a rule decided at once never had a card
            await wish_to_draw(unit, request, reason, now)
        unit.announce(RequestChanged(request))

    def _on_change(self, change: object) -> None:
        if isinstance(change, RequestChanged):
            if change.request.status is not Status.PENDING:
                self._waiters.wake(change.request)
        elif isinstance(change, ChangedElsewhere):
            # Also what is being read right now: that may be older than this change.
            self._to_reread.update(one for one in self._waiters.awaited() if change.concerns(topic_of_request(one)))
            if self._to_reread and (self._rereading is None or self._rereading.done()):
                self._rereading = asyncio.get_running_loop().create_task(self._reread())

    async def _reread(self) -> None:
        """Wake those whose request another process decided."""

        ids: set[str] = set()

        async def work(unit: Unit) -> list[Request | None]:
            return [await unit.one(statements.REQUEST_BY_ID, id=one) for one in ids]

        while self._to_reread:
            ids, self._to_reread = self._to_reread, set()
            try:
                requests = await self._store.read(work)
            except StoreUnavailable:
                await asyncio.sleep(_REREAD_PAUSE_SECONDS)
                self._to_reread |= ids & set(self._waiters.awaited())
                continue
            for request in requests:
                if request is not None and request.status is not Status.PENDING:
                    self._waiters.wake(request)
