"""Provisioners: what may make instances of one agent over the wire. Made, listed and revoked by operators."""

from uuid_utils import uuid7

from bot.clock import Clock
from bot.errors import BadCredential, OperatorError, WrongCredential
from bot.events import EventType, append_event
from bot.tokens import looks_like_instance_token, looks_like_provisioner_token, provisioner_token, token_hash
from store import statements_delivery as wire
from store import statements_instances
from store.delivery_tables import Provisioner
from store.engine import Store
from store.unit import Unit


class Provisioners:
    """Use cases about provisioners."""

    def __init__(self, store: Store, clock: Clock, secret_key: bytes) -> None:
        self._store = store
        self._clock = clock
        self._secret_key = secret_key

    async def authenticate(self, token: str) -> Provisioner:
        """Return the provisioner that ``token`` is of. Raises ``BadCredential`` or ``WrongCredential``."""
        if not token.isascii():
            raise BadCredential
        hashed = token_hash(token)

        async def work(unit: Unit) -> Provisioner | None:
            if looks_like_instance_token(token):
                if await unit.one(statements_instances.INSTANCE_BY_TOKEN, token_hash=hashed) is not None:
                    raise WrongCredential("An instance's credential makes requests; it manages no instances.")
                return None
            if not looks_like_provisioner_token(token):
                return None
            return await unit.one(wire.PROVISIONER_BY_TOKEN, token_hash=hashed)

        # Never remembered: these are few calls, and a revocation by another process holds at once.
        provisioner = await self._store.peek(work)
        if provisioner is None:
            raise BadCredential
        return provisioner

    async def create(self, name: str, agent: str) -> tuple[Provisioner, str]:
        """Make a provisioner of one agent; returns it with its token. Raises ``OperatorError``."""

        async def work(unit: Unit) -> tuple[Provisioner, str]:
            if await unit.all(wire.LIVE_PROVISIONERS_NAMED, name=name):
                raise OperatorError(
                    f"There is a provisioner named {name} already. Choose another name, or revoke that one first."
                )
            now = self._clock()
            provisioner_id = str(uuid7())
            token = provisioner_token(self._secret_key, provisioner_id)
            provisioner = Provisioner(
                id=provisioner_id, name=name, agent=agent, token_hash=token_hash(token), created_at=now
            )
            given = dict(provisioner)
            del given["revoked_at"]
            await unit.run(wire.INSERT_PROVISIONER, **given)
            await append_event(
                unit, now, EventType.PROVISIONER_CREATED, provisioner=provisioner.id, name=name, agent=agent
            )
            return provisioner, token

        return await self._store.write(work)

    async def list_all(self) -> list[Provisioner]:
        """Return every provisioner, oldest first, the revoked ones too."""
        return await self._store.read(lambda unit: unit.all(wire.ALL_PROVISIONERS))

    async def revoke(self, name: str) -> None:
        """Revoke a provisioner. The instances that it made live on. Raises ``OperatorError``."""

        async def work(unit: Unit) -> None:
            named = await unit.all(wire.LIVE_PROVISIONERS_NAMED, name=name)
            if not named:
                raise OperatorError(
                    f"There is no live provisioner named {name}. `signoff provisioner list` shows those there are."
                )
            now = self._clock()
            for provisioner in named:
                await unit.run(wire.REVOKE_PROVISIONER, provisioner_id=provisioner.id, revoked_at_=now)
                await append_event(unit, now, EventType.PROVISIONER_REVOKED, provisioner=provisioner.id)

        await self._store.write(work)
