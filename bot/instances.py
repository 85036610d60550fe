"""Instances of agents and their credentials: made, listed, rotated and revoked by operators; checked for agents.

A revocation made by another process (the command line) is seen within a fraction of a second, see ``store.engine``.
"""

from dataclasses import dataclass
from datetime import datetime

from uuid_utils import uuid7

from bot.changes import CredentialsChanged
from bot.clock import Clock
from bot.decisions import close_request
from bot.errors import BadCredential, OperatorError, WrongCredential
from bot.events import EventType, append_event
from bot.notifications import end_delivery
from bot.tokens import instance_token, looks_like_instance_token, looks_like_provisioner_token, token_hash
from store import statements, statements_delivery
from store import statements_instances as sql
from store.announcing import ChangedElsewhere, Unheard
from store.engine import Store
from store.tables import Credential, DeciderKind, Instance, Request, Status
from store.unit import Unit

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class InstanceListing:
    """An instance with its credentials, the revoked ones too."""

    instance: Instance
    credentials: tuple[Credential, ...]


class Instances:
    """Use cases about instances and credentials."""

    def __init__(self, store: Store, clock: Clock, secret_key: bytes) -> None:
        self._store = store
        self._clock = clock
        self._secret_key = secret_key
        self._known: dict[bytes, Instance] = {}  # by token hash
        self._generation = 0
        store.subscribe(self._on_change, CredentialsChanged, Unheard, ChangedElsewhere)

    async def authenticate(self, token: str) -> Instance:
        """Return the instance that ``token`` opens. Raises ``BadCredential`` or ``WrongCredential``."""
        if not token.isascii():
            raise BadCredential
        hashed = token_hash(token)
        known = self._known.get(hashed)
        if known is not None:
            return known
        if looks_like_provisioner_token(token):
            provisioner = await self._store.peek(
                lambda unit: unit.one(statements_delivery.PROVISIONER_BY_TOKEN, token_hash=hashed)
            )
            if provisioner is None:
                raise BadCredential
            raise WrongCredential("A provisioner's token manages instances; it makes and reads no requests.")
        if not looks_like_instance_token(token):
            raise BadCredential
        generation = self._generation
        instance = await self._store.peek(lambda unit: unit.one(sql.INSTANCE_BY_TOKEN, token_hash=hashed))
        if instance is None:
            raise BadCredential
        # A revocation during the look-up has cleared what is known; this answer may be older than that.
        if generation == self._generation and len(self._known) < _REMEMBERED:
            self._known[hashed] = instance
        return instance

    async def create(self, name: str, agent: str, person: str | None = None) -> tuple[Instance, str]:
        """Make an instance and its first credential; returns it with the token. Raises ``OperatorError``.

        ``person`` is the Slack user it is made for, who then never decides on its requests.
        """

        async def work(unit: Unit) -> tuple[Instance, str]:
            if await unit.one(sql.LIVE_INSTANCES_NAMED, name=name) is not None:
                raise OperatorError(
                    f"There is an instance named {name} already. Choose another name, or revoke that one first."
                )
            now = self._clock()
            instance = Instance(id=str(uuid7()), name=name, agent=agent, person=person, created_at=now)
            await unit.run(sql.INSERT_INSTANCE, **dict(instance))
            await append_event(
                unit, now, EventType.INSTANCE_CREATED, instance=instance.id, name=name, agent=agent, person=person
            )
            return instance, await add_credential(unit, self._secret_key, instance, now)

        return await self._store.write(work)

    async def list_all(self) -> list[InstanceListing]:
        """Return every instance, oldest first."""

        async def work(unit: Unit) -> list[InstanceListing]:
            return [
                InstanceListing(instance, tuple(await unit.all(sql.CREDENTIALS_OF, instance_id=instance.id)))
                for instance in await unit.all(sql.ALL_INSTANCES)
            ]

        return await self._store.read(work)

    async def rotate(self, name: str) -> str:
        """Add a credential beside those that work, and return its token. Raises ``OperatorError``."""

        async def work(unit: Unit) -> str:
            return await add_credential(unit, self._secret_key, await self._named(unit, name), self._clock())

        return await self._store.write(work)

    async def retire(self, name: str) -> int:
        """Revoke all credentials of an instance but the newest; returns how many. Raises ``OperatorError``."""

        async def work(unit: Unit) -> int:
            instance = await self._named(unit, name)
            credentials = await unit.all(sql.CREDENTIALS_OF, instance_id=instance.id)
            live = [credential for credential in credentials if credential.revoked_at is None]
            return await _revoke_credentials(unit, instance, live[:-1], self._clock())

        return await self._store.write(work)

    async def revoke(self, name: str) -> list[Request]:
        """Revoke an instance and its credentials, and cancel what it has pending; returns those requests.

        Raises ``OperatorError``.
        """

        async def work(unit: Unit) -> list[Request]:
            instance = await self._named(unit, name)
            return await end_instance(unit, instance, self._clock(), DeciderKind.OPERATOR)

        return await self._store.write(work)

    async def _named(self, unit: Unit, name: str) -> Instance:
        named = await unit.all(sql.LIVE_INSTANCES_NAMED, name=name)
        if not named:  # names may be taken twice over the wire; an id never is
            named = await unit.all(sql.LIVE_INSTANCE_WITH_ID, instance_id=name)
        if not named:
            raise OperatorError(
                f"There is no live instance named {name}. `signoff instance list` shows those there are."
            )
        if len(named) > 1:
            ids = ", ".join(instance.id for instance in named)
            raise OperatorError(f"Several instances are named {name}. Say which by its id: {ids}.")
        return named[0]

    def _on_change(self, change: object) -> None:
        if isinstance(change, CredentialsChanged | Unheard) or (
            isinstance(change, ChangedElsewhere) and change.concerns(CredentialsChanged.topic)
        ):
            self._generation += 1
            self._known.clear()


async def add_credential(unit: Unit, secret_key: bytes, instance: Instance, now: datetime) -> str:
    """Add a credential beside those that an instance has, and return its token."""
    credential_id = str(uuid7())
    token = instance_token(secret_key, credential_id)
    await unit.run(
        sql.INSERT_CREDENTIAL,
        id=credential_id,
        instance_id=instance.id,
        token_hash=token_hash(token),
        created_at=now,
    )
    await append_event(unit, now, EventType.CREDENTIAL_CREATED, instance=instance.id, credential=credential_id)
    return token


async def end_instance(unit: Unit, instance: Instance, now: datetime, by_kind: DeciderKind) -> list[Request]:
    """Revoke an instance and its credentials, end its delivery, and cancel what it has pending: those it returns.

    Nobody is notified of these cancellations: the receiver goes with the instance (agent-api.md).
    """
    await unit.run(sql.REVOKE_INSTANCE, instance_id=instance.id, revoked_at_=now)
    await end_delivery(unit, instance.id, now)
    credentials = await unit.all(sql.CREDENTIALS_OF, instance_id=instance.id)
    live = [credential for credential in credentials if credential.revoked_at is None]
    await _revoke_credentials(unit, instance, live, now)
    await append_event(unit, now, EventType.INSTANCE_REVOKED, instance=instance.id)
    return [
        await close_request(
            unit, request, now, status=Status.CANCELLED, by_kind=by_kind, by=None, code="instance_revoked"
        )
        for request in await unit.all(statements.PENDING_OF_INSTANCE, instance_id=instance.id)
    ]


async def _revoke_credentials(unit: Unit, instance: Instance, credentials: list[Credential], now: datetime) -> int:
    for credential in credentials:
        await unit.run(sql.REVOKE_CREDENTIAL, credential_id=credential.id, revoked_at_=now)
        await append_event(unit, now, EventType.CREDENTIAL_REVOKED, instance=instance.id, credential=credential.id)
    unit.announce(CredentialsChanged())
    return len(credentials)
