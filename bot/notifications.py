"""News for receivers: that a request was decided, for whoever does not wait for it on an open line.

Written in the transaction of the decision, for an instance that has a receiver then; sent, to the receiver that it has
at that time, until it is acknowledged, seven days have passed or delivery ends. A notification carries no outcome: its
receiver reads the request. How it is sent is ``handlers.webhooks``' business.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from uuid_utils import uuid7

from bot.changes import NotificationsFilled
from bot.clock import Clock
from bot.events import EventType, append_event
from bot.receivers import Signing
from store import statements as statements_of_requests
from store import statements_delivery as statements
from store.delivery_tables import Delivery, Notification
from store.engine import Store
from store.tables import Request
from store.unit import Unit

LEASE = timedelta(seconds=60)  # an attempt takes ten at most
KEEP_TRYING = timedelta(days=7)
"""From the decision on (agent-api.md)."""
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True)


@dataclass(frozen=True, slots=True)
class Letter:
    """A claimed notification, where it goes now, and the secret that signs it; None if that cannot be read any more."""

    notification: Notification
    delivery: Delivery = field(repr=False)
    secret: bytes | None = field(repr=False)


class Notifications:
    """Use cases of whoever sends notifications. ``worker`` names this process in its leases."""

    def __init__(self, store: Store, clock: Clock, signing: Signing, worker: str) -> None:
        self._store = store
        self._clock = clock
        self._signing = signing
        self._worker = worker

    async def release_leases(self) -> None:
        """Free what a process before this one held. Only where one process owns the database."""
        await self._store.write(lambda unit: unit.run(statements.RELEASE_NOTIFICATIONS))

    async def claim(self, limit: int) -> list[Letter]:
        """Lease due notifications, oldest first, each with its instance's receiver of this moment.

        What has been tried for ``KEEP_TRYING`` is given up instead.
        """

        async def work(unit: Unit) -> list[Letter]:
            now = self._clock()
            for old in await unit.all(
                statements.GIVE_UP_OLD, now=now, before=now - KEEP_TRYING, given_up_at_=now, due_at_=None
            ):
                await _record(unit, now, EventType.NOTIFICATION_FAILED, old.id, old.request_number, code="given_up")
            claimed = await unit.all(
                statements.CLAIM_NOTIFICATIONS, now=now, limit=limit, leased_by_=self._worker, leased_until_=now + LEASE
            )
            letters = []
            for notification in sorted(claimed, key=lambda one: (one.created_at, one.id)):
                delivery = await unit.one(statements.DELIVERY, instance_id=notification.instance_id)
                if delivery is not None:
                    letters.append(Letter(notification, delivery, self._signing.open(delivery)))
            return letters

        return await self._store.write(work)

    async def next_due(self) -> datetime | None:
        """Return when a notification next becomes due, or its lease ends."""
        return await self._store.read(lambda unit: unit.one(statements.NEXT_NOTIFICATION_DUE))

    async def waiting(self) -> int:
        """Count what is not acknowledged yet."""
        return await self._store.read(lambda unit: unit.one(statements.WAITING_NOTIFICATIONS)) or 0

    async def delivered(self, letter: Letter) -> None:
        """Record that the receiver has it."""

        async def work(unit: Unit) -> None:
            now, notification = self._clock(), letter.notification
            if not await unit.run(
                statements.NOTIFICATION_DELIVERED,
                notification_id=notification.id, delivered_at_=now, due_at_=None, last_code_=None,
            ):  # fmt: skip
                return
            await _record(unit, now, EventType.NOTIFICATION_SENT, notification.id, notification.request_number)

        await self._store.write(work)

    async def failed(self, letter: Letter, code: str, delay: timedelta, *, counts: bool = True) -> None:
        """Record a failed attempt, to be repeated after ``delay``: at once, if there is a new receiver by now.

        ``counts``: whether it was an attempt at all.
        """

        async def work(unit: Unit) -> None:
            notification = letter.notification
            delivery = await unit.one(statements.DELIVERY, instance_id=notification.instance_id)
            await unit.run(
                statements.POSTPONE_NOTIFICATION,
                notification_id=notification.id,
                is_fence=notification.fence,
                due_at_=self._clock() + (delay if delivery == letter.delivery else timedelta(0)),
                attempts_=notification.attempts - (0 if counts else 1),
                last_code_=code,
            )

        await self._store.write(work)


async def notify_resolved(unit: Unit, request: Request, now: datetime, has_receiver: bool | None = None) -> None:
    """Write the ``request.resolved`` of a request that was just decided, if its instance has a receiver.

    ``has_receiver``: whether it has, as this transaction sees it, where somebody has just looked.
    """
    if request.decided_at is None:
        raise ValueError(f"request {request.id} is not decided")
    if has_receiver is None:
        has_receiver = await unit.one(statements.DELIVERY, instance_id=request.instance_id) is not None
    if not has_receiver:
        return  # most have none, and this is on the hot path: to look costs a fifth of what an insert does
    event_id = str(uuid7())
    body = _ENCODER.encode(
        {
            "id": event_id,
            "type": "request.resolved",
            "instance_id": request.instance_id,
            "request_id": request.id,
            "created_at": timestamp(request.decided_at),
        }
    )
    written = await unit.run(
        statements.INSERT_NOTIFICATION,
        id=event_id,
        instance_id=request.instance_id,
        request_number=request.number,
        body=body,
        created_at=request.decided_at,
        due_at=now,
    )
    if written:
        unit.announce(NotificationsFilled())


async def _record(unit: Unit, now: datetime, kind: EventType, event_id: str, number: int, **facts: str) -> None:
    request = await unit.one(statements_of_requests.REQUEST, number=number)
    if request is None:
        raise LookupError(f"notification {event_id} is of a request that is not there")
    await append_event(unit, now, kind, request, kind="receiver", notification=event_id, **facts)


async def end_delivery(unit: Unit, instance_id: str, now: datetime) -> None:
    """Stop notifying an instance's receiver: of what comes, and of what is still to be sent."""
    if await unit.run(statements.END_DELIVERY, instance_id=instance_id, ended_at_=now):
        await unit.run(statements.GIVE_UP_OF_INSTANCE, instance_id=instance_id, given_up_at_=now, due_at_=None)
        await append_event(unit, now, EventType.DELIVERY_ENDED, instance=instance_id)


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds and ``Z``, as the agents' protocol has it."""
    return at.isoformat(timespec="microseconds")[:26] + "Z"
