"""How a request comes to be: an agent's call meets the rules, and what follows at once is written in one transaction.

A rule may approve or deny it there and then; else it waits for people, and its card is planned. A repeated submission
is the request that was made before. Waiting, cancelling, consuming and outcomes are ``bot.approvals``'.
"""

import os
from typing import Any

from uuid_utils import uuid7

from bot.call import CANONICAL_VERSION, Submission
from bot.cards import add_card
from bot.changes import RequestChanged
from bot.clock import Clock
from bot.decisions import record_decision
from bot.durations import parse_capped
from bot.errors import BadCredential, IdempotencyConflict, Limited
from bot.events import EventType, append_event, commit
from bot.limits import Admission, Limits
from bot.policy import DEFAULT_TIMEOUT, Course, Ruling
from bot.rulebook import Edition, Rulebook, RulesChanged
from store import statements
from store.compiled import make_record
from store.engine import Store
from store.tables import DeciderKind, Instance, Place, Request, Status
from store.unit import Unit

_SALT_BYTES = 16


class Creation:
    """The use case of submitting a call."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._limits = Limits()

    async def submit(self, instance: Instance, submission: Submission, key: str) -> tuple[Request, bool]:
        """Make a request, or find the one made before under the same ``key``; the flag tells whether it is new.

        Raises ``IdempotencyConflict`` when the key was used for other fields, ``BadCredential`` for an instance that
        was revoked meanwhile, ``RateLimited`` or ``TooManyPending`` for a new one beyond its agent's limits.
        """
        while True:
            edition = await self._rulebook.edition()
            try:
                return await self._submit_under(edition, instance, submission, key)
            except RulesChanged:
                continue

    async def _submit_under(
        self, edition: Edition, instance: Instance, submission: Submission, key: str
    ) -> tuple[Request, bool]:
        policy = edition.policy
        ruling = policy.rule_on(instance.agent, submission.tool, submission.server, submission.timeout)
        with self._limits.admission(policy.agent(instance.agent), instance.id) as admission:
            return await self._store.write(
                lambda unit: self._submit(unit, edition, instance, submission, key, ruling, admission)
            )

    async def _submit(
        self,
        unit: Unit,
        edition: Edition,
        instance: Instance,
        submission: Submission,
        key: str,
        ruling: Ruling,
        admission: Admission | None,
    ) -> tuple[Request, bool]:
        self._rulebook.refuse_outdated(edition)
        now = self._clock()
        rule = ruling.rule
        deadline_at = now + parse_capped(submission.timeout, rule.max_timeout if rule else DEFAULT_TIMEOUT)
        asked = ruling.course is Course.ASK
        if admission is not None and (limited := await admission.enter(unit, now, waits=asked)) is not None:
            return await self._find_submitted(unit, instance, submission, key, limited), False
        approved = ruling.course is Course.APPROVE
        expires_at = now + rule.validity if rule and approved else None
        values: dict[str, Any] = {
            "id": str(uuid7()),
            "instance_id": instance.id,
            "agent": instance.agent,
            "create_key": key,
            "submission_digest": submission.fields_digest,
            "tool": submission.tool,
            "server": submission.server,
            "arguments": submission.arguments,
            "agent_reasoning": submission.agent_reasoning,
            "context": submission.context,
            "timeout": submission.timeout,
            "canonical_version": CANONICAL_VERSION,
            "digest": submission.digest,
            "salt": os.urandom(_SALT_BYTES),
            "rule_id": edition.version_of(rule) if rule else None,
            "status": Status.PENDING if asked else Status.APPROVED if approved else Status.DENIED,
            "created_at": now,
            "deadline_at": deadline_at,
            "due_at": deadline_at if asked else expires_at,
            "decided_at": None if asked else now,
            "decided_by_kind": None if asked else DeciderKind.RULE,
            "decided_by": rule.name if rule and not asked else None,
            "decision_code": None if asked else ruling.code,
            "note": None if asked or approved else ruling.reason,
            "expires_at": expires_at,
            "repeats": None,
        }
        number = await unit.one(statements.INSERT_REQUEST, **values)
        if number is None:
            if admission is not None:
                admission.leave()
            return await self._find_submitted(unit, instance, submission, key), False
        # What was just written need not be read back.
        request = make_record(Request, number=number, **values)
        await append_event(
            unit, now, EventType.REQUEST_MADE, request,
            agent=request.agent, instance=instance.id, tool=request.tool, server=request.server,
            call=commit(request.salt, submission.canonical), canonical=CANONICAL_VERSION,
            rule=rule.name if rule else None, rule_version=request.rule_id, deadline_at=deadline_at.isoformat(),
        )  # fmt: skip
        if asked and rule and rule.channel:
            await add_card(unit, request, Place.CHANNEL, rule.channel, now, reason="asked")
        if not asked:
            await record_decision(unit, request, now)
        unit.announce(RequestChanged(request))
        return request, True

    async def _find_submitted(
        self, unit: Unit, instance: Instance, submission: Submission, key: str, limited: Limited | None = None
    ) -> Request:
        """Say why a request was not written: the instance is revoked, its key was used before, or it is ``limited``."""
        await refuse_revoked(unit, instance)
        known = await unit.one(statements.REQUEST_BY_KEY, instance_id=instance.id, create_key=key)
        if known is None:
            raise limited or LookupError("a request was not written and is not there")
        if known.submission_digest != submission.fields_digest:
            raise IdempotencyConflict
        return known


async def refuse_revoked(unit: Unit, instance: Instance) -> None:
    """Raise ``BadCredential`` for an instance that was revoked since its credential was found good.

    That may have been another process's doing a moment ago. It cancelled what was pending, and must not be followed by
    a new request, nor by the use of an approval.
    """
    if await unit.one(statements.LIVE_INSTANCE, instance_id=instance.id) is None:
        raise BadCredential
