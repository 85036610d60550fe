"""Instances over the wire: a provisioner makes, reads, changes and deletes those of its agent (agent-api.md).

A provisioner sees only the instances that it made. A receiver is challenged before anything is written, once for each
key however often it is sent at the same time; a repeat gets the first answer again. A deletion wins over a creation or
change that is still waiting for its receiver. Nothing here knows HTTP.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from uuid_utils import uuid7

from bot.call import canonical_form
from bot.changes import NotificationsFilled
from bot.clock import Clock
from bot.errors import (
    BadCredential,
    BadInput,
    Conflict,
    IdempotencyConflict,
    InstanceDeleted,
    UnknownInstance,
)
from bot.events import EventType, append_event
from bot.instances import add_credential, end_instance
from bot.notifications import end_delivery, timestamp
from bot.policy import Policy
from bot.receivers import (
    Caller,
    Receiver,
    Signing,
    TooManyChallenges,
    parse_receiver,
    render_receiver,
    verify_receiver,
)
from bot.tokens import instance_token
from store import statements_delivery as wire
from store import statements_instances
from store.delivery_tables import Delivery, Provisioner
from store.engine import Store
from store.tables import DeciderKind, Instance
from store.unit import Unit

MAX_NAME = 75
CHALLENGES_AT_ONCE = 4
"""For one provisioner: each may hold a line and a look-up for ten seconds."""
_CROWDED = timedelta(seconds=1)


class AgentUnknown(Conflict):
    """The provisioner's agent is no longer in the configuration, so nothing is made for it."""

    code = "unknown_agent"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a creation or change asks for. ``removes_delivery``: the receiver is to go. ``digest``: of the fields."""

    name: str | None
    receiver: Receiver | None
    removes_delivery: bool
    digest: bytes


@dataclass(frozen=True, slots=True)
class Made:
    """An instance that was made: the answer's instance as JSON, its token, and whether it is new."""

    answer: str
    token: str = field(repr=False)
    is_new: bool


@dataclass(slots=True)
class _Turn:
    """A submission that is under way, and how many want it done."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted_by: int = 0


def parse_proposal(fields: dict[str, object], *, is_change: bool) -> Proposal:
    """Read the fields of a creation or change, parsed from JSON. Raises ``BadInput``, naming the field."""
    if is_change and not fields:
        raise BadInput("Nothing is to be changed: send instance_name, delivery or both.", code="missing_field")
    name = fields.get("instance_name")
    if "instance_name" in fields and (
        not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not name.isprintable() or name != name.strip()
    ):
        raise BadInput(
            f"instance_name must be 1 to {MAX_NAME} printable characters without spaces at its ends.",
            param="instance_name",
            code="invalid_field",
        )
    removes = is_change and "delivery" in fields and fields["delivery"] is None
    receiver = parse_receiver(fields["delivery"]) if "delivery" in fields and not removes else None
    return Proposal(
        name if isinstance(name, str) else None, receiver, removes, hashlib.sha256(canonical_form(fields)).digest()
    )


class Provisioning:
    """The provisioners' use cases. ``policy`` gives the rules in force."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        policy: Callable[[], Policy],
        secret_key: bytes,
        signing: Signing,
        caller: Caller,
    ) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._secret_key = secret_key
        self._signing = signing
        self._caller = caller
        self._under_way: dict[tuple[str, str, str], _Turn] = {}
        self._challenges: Counter[str] = Counter()

    async def create(self, provisioner: Provisioner, proposal: Proposal, key: str) -> Made:
        """Make an instance, or find the one made under ``key``.

        Raises ``IdempotencyConflict``, ``InstanceDeleted``, ``AgentUnknown``, ``UnsafeAddress``, ``NotVerified``,
        ``TooManyChallenges``, or ``BadCredential`` for a provisioner that was revoked meanwhile.
        """
        async with self._alone(provisioner.id, "", key):
            made = await self._store.peek(lambda unit: self._made(unit, provisioner, proposal, key))
            if made is not None:
                return made
            if self._policy().agent(provisioner.agent) is None:
                raise AgentUnknown
            instance_id = str(uuid7())
            await self._verify(provisioner, proposal, instance_id)
            return await self._store.write(lambda unit: self._create(unit, provisioner, proposal, key, instance_id))

    async def read(self, provisioner: Provisioner, instance_id: str) -> str:
        """Return an instance as the protocol gives it. Raises ``UnknownInstance``, also for a deleted one."""
        return await self._store.peek(lambda unit: self._render(unit, provisioner, instance_id))

    async def update(self, provisioner: Provisioner, instance_id: str, proposal: Proposal, key: str) -> str:
        """Change an instance and return it; a repeat of ``key`` changes nothing and returns the first answer.

        Raises ``UnknownInstance`` (also for a deleted one), ``IdempotencyConflict``, ``UnsafeAddress``, ``NotVerified``
        or ``TooManyChallenges``; then nothing was changed.
        """
        async with self._alone(provisioner.id, instance_id, key):
            answer = await self._store.peek(lambda unit: self._updated(unit, provisioner, instance_id, proposal, key))
            if answer is not None:
                return answer
            await self._verify(provisioner, proposal, instance_id)
            return await self._store.write(lambda unit: self._update(unit, provisioner, instance_id, proposal, key))

    async def delete(self, provisioner: Provisioner, instance_id: str) -> None:
        """Delete an instance; again, nothing happens. Raises ``UnknownInstance``."""

        async def work(unit: Unit) -> None:
            await self._refuse_revoked(unit, provisioner)
            instance = await self._own(unit, provisioner, instance_id)
            if instance.revoked_at is None:
                await end_instance(unit, instance, self._clock(), DeciderKind.OPERATOR)

        await self._store.write(work)

    # --- inside ---

    @asynccontextmanager
    async def _alone(self, provisioner_id: str, instance_id: str, key: str) -> AsyncIterator[None]:
        """Let the same submission, sent several times at once, challenge its receiver once."""
        name = (provisioner_id, instance_id, key)
        turn = self._under_way.setdefault(name, _Turn())
        turn.wanted_by += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted_by -= 1
            if not turn.wanted_by:
                del self._under_way[name]

    async def _verify(self, provisioner: Provisioner, proposal: Proposal, instance_id: str) -> None:
        if proposal.receiver is None:
            return
        if self._challenges[provisioner.id] >= CHALLENGES_AT_ONCE:
            raise TooManyChallenges(_CROWDED)
        self._challenges[provisioner.id] += 1
        try:
            await verify_receiver(self._caller, proposal.receiver, instance_id, timestamp(self._clock()))
        finally:
            self._challenges[provisioner.id] -= 1
            if not self._challenges[provisioner.id]:
                del self._challenges[provisioner.id]

    async def _made(self, unit: Unit, provisioner: Provisioner, proposal: Proposal, key: str) -> Made | None:
        """Return what was made under ``key``, if anything was."""
        instance = await unit.one(wire.INSTANCE_BY_CREATE_KEY, provisioner_id=provisioner.id, create_key=key)
        if instance is None:
            return None
        if instance.creation_digest != proposal.digest:
            raise IdempotencyConflict
        if instance.revoked_at is not None:
            raise InstanceDeleted
        first = (await unit.all(statements_instances.CREDENTIALS_OF, instance_id=instance.id))[0]
        return Made(instance.creation_answer or "", instance_token(self._secret_key, first.id), is_new=False)

    async def _create(
        self, unit: Unit, provisioner: Provisioner, proposal: Proposal, key: str, instance_id: str
    ) -> Made:
        await self._refuse_revoked(unit, provisioner)
        made = await self._made(unit, provisioner, proposal, key)  # another process may have been faster
        if made is not None:
            return made
        now = self._clock()
        name = proposal.name or f"{provisioner.agent[: MAX_NAME - 13]}-{instance_id[-12:]}"
        delivery = self._delivery(proposal.receiver, instance_id, now) if proposal.receiver else None
        instance = Instance(
            id=instance_id,
            name=name,
            agent=provisioner.agent,
            created_at=now,
            provisioner_id=provisioner.id,
            create_key=key,
            creation_digest=proposal.digest,
            creation_answer=_render(instance_id, name, delivery),
        )
        await unit.run(statements_instances.INSERT_INSTANCE, **dict(instance))
        await append_event(
            unit, now, EventType.INSTANCE_CREATED,
            instance=instance_id, name=name, agent=provisioner.agent, provisioner=provisioner.id,
        )  # fmt: skip
        if delivery is not None:
            await self._configure(unit, delivery, now)
        token = await add_credential(unit, self._secret_key, instance, now)
        return Made(instance.creation_answer or "", token, is_new=True)

    async def _updated(
        self, unit: Unit, provisioner: Provisioner, instance_id: str, proposal: Proposal, key: str
    ) -> str | None:
        """Return what was answered to this very change, if it was made."""
        await self._living(unit, provisioner, instance_id)
        done = await unit.one(wire.INSTANCE_UPDATE, instance_id=instance_id, key=key)
        if done is None:
            return None
        if done.digest != proposal.digest:
            raise IdempotencyConflict
        return done.answer

    async def _update(
        self, unit: Unit, provisioner: Provisioner, instance_id: str, proposal: Proposal, key: str
    ) -> str:
        await self._refuse_revoked(unit, provisioner)
        answer = await self._updated(unit, provisioner, instance_id, proposal, key)
        if answer is not None:
            return answer
        now = self._clock()
        if proposal.name is not None:
            await unit.run(wire.RENAME_INSTANCE, instance_id=instance_id, name_=proposal.name)
            await append_event(unit, now, EventType.INSTANCE_RENAMED, instance=instance_id, name=proposal.name)
        if proposal.receiver is not None:
            await self._configure(unit, self._delivery(proposal.receiver, instance_id, now), now)
            if await unit.run(wire.HURRY_OF_INSTANCE, instance_id=instance_id, due_at_=now):
                unit.announce(NotificationsFilled())
        elif proposal.removes_delivery:
            await end_delivery(unit, instance_id, now)
        answer = await self._render(unit, provisioner, instance_id)
        await unit.run(
            wire.INSERT_INSTANCE_UPDATE,
            instance_id=instance_id, key=key, digest=proposal.digest, answer=answer, at=now,
        )  # fmt: skip
        return answer

    def _delivery(self, receiver: Receiver, instance_id: str, now: datetime) -> Delivery:
        return Delivery(
            instance_id=instance_id,
            url=receiver.url,
            registration_id=receiver.registration_id,
            secret=self._signing.close(receiver.secret, instance_id),
            configured_at=now,
        )

    @staticmethod
    async def _configure(unit: Unit, delivery: Delivery, now: datetime) -> None:
        given = dict(delivery)
        del given["ended_at"]
        await unit.run(wire.CONFIGURE_DELIVERY, **given)
        # An address may hold a secret in its path, so the registration stands for it.
        await append_event(
            unit, now, EventType.DELIVERY_CONFIGURED,
            instance=delivery.instance_id, registration=delivery.registration_id,
        )  # fmt: skip

    async def _render(self, unit: Unit, provisioner: Provisioner, instance_id: str) -> str:
        instance = await self._living(unit, provisioner, instance_id)
        return _render(instance.id, instance.name, await unit.one(wire.DELIVERY, instance_id=instance_id))

    async def _living(self, unit: Unit, provisioner: Provisioner, instance_id: str) -> Instance:
        instance = await self._own(unit, provisioner, instance_id)
        if instance.revoked_at is not None:
            raise UnknownInstance
        return instance

    @staticmethod
    async def _own(unit: Unit, provisioner: Provisioner, instance_id: str) -> Instance:
        instance = await unit.one(statements_instances.INSTANCE_BY_ID, instance_id=instance_id)
        if instance is None or instance.provisioner_id != provisioner.id:
            raise UnknownInstance
        return instance

    @staticmethod
    async def _refuse_revoked(unit: Unit, provisioner: Provisioner) -> None:
        if await unit.one(wire.LIVE_PROVISIONER, provisioner_id=provisioner.id) is None:
            raise BadCredential


def _render(instance_id: str, name: str, delivery: Delivery | None) -> str:
    """An instance as the protocol gives it: without credentials and signing secrets."""
    instance: dict[str, object] = {"id": instance_id, "name": name}
    if delivery is not None:
        instance["delivery"] = render_receiver(delivery)
    return json.dumps(instance, separators=(",", ":"))
