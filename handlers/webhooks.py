"""Carries notifications to their receivers, and challenges a receiver before it becomes one.

Messages are signed as Standard Webhooks has it, with the wall clock's time of this very attempt: a receiver refuses
what is older than five minutes by its own watch, whatever our clock was moved to. Any 2xx is an acknowledgement;
anything else is tried again, ever more rarely. Whom to call and for how long is ``bot.notifications``'; that nobody
inward is called is ``handlers.outbound``'s.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from bot.addresses import UnsafeAddress
from bot.changes import NotificationsFilled
from bot.clock import Clock
from bot.notifications import Letter, Notifications
from bot.receivers import Receiver, TooManyChallenges
from handlers.outbound import CallFailed, Outbound, parse_retry_after
from handlers.signing import signed_headers
from handlers.turns import Busy
from handlers.worker import Worker
from store.announcing import ChangedElsewhere
from store.engine import Store
from store.unit import StoreUnavailable

WORKERS = 16
FIRST_BACKOFF = timedelta(seconds=5)
LONGEST_BACKOFF = timedelta(hours=1)
_CROWDED = timedelta(seconds=1)

log = structlog.get_logger(__name__)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Webhooks:
    """The sender. ``start`` it once, ``stop`` it before the store is closed. Is a ``bot.receivers.Caller``.

    ``count`` is called with what became of each attempt, for the metrics: ``delivered``, or a code.
    """

    def __init__(
        self,
        store: Store,
        notifications: Notifications,
        outbound: Outbound,
        clock: Clock,
        count: Callable[[str], None],
        *,
        wall_clock: Callable[[], datetime] = _wall_clock,
        jitter: random.Random | None = None,
        owns_database: bool = True,
    ) -> None:
        self._notifications = notifications
        self._outbound = outbound
        self._count = count
        self._wall_clock = wall_clock
        self._jitter = jitter or random.Random()  # noqa: S311  # spreads retries, keeps no secret
        self._worker = Worker(
            "webhooks", notifications, self._carry, lambda letter: letter.notification.id, clock, count,
            workers=WORKERS, owns_database=owns_database,
        )  # fmt: skip
        store.subscribe(self._on_change, NotificationsFilled, ChangedElsewhere)

    async def start(self) -> None:
        """Begin to send what is due."""
        await self._worker.start()

    async def stop(self, patience: timedelta) -> None:
        """Begin nothing more, wait up to ``patience`` for what is under way, then break it off: it is sent again."""
        await self._worker.stop(patience)

    def wake(self) -> None:
        """Look at once what is due."""
        self._worker.wake()

    # --- challenging ---

    def refuse_unsafe(self, url: str) -> None:
        """Raise ``UnsafeAddress`` for an address that is never called, as far as its text tells."""
        self._outbound.parse(url)

    async def challenge(self, receiver: Receiver, message_id: str, body: bytes) -> bytes | None:
        """Post a signed message once; return the body of a 200, None for anything else.

        Raises ``UnsafeAddress`` or ``TooManyChallenges``.
        """
        try:
            answer = await self._outbound.post(receiver.url, body, self._headers(receiver.secret, message_id, body))
        except Busy as busy:
            raise TooManyChallenges(_CROWDED) from busy
        except CallFailed as trouble:
            log.info("receiver_not_verified", code=trouble.code)
            return None
        if answer.status != 200:
            log.info("receiver_not_verified", code=f"http_{answer.status}")
            return None
        return answer.body

    # --- sending ---

    def _on_change(self, change: object) -> None:
        if isinstance(change, NotificationsFilled) or (
            isinstance(change, ChangedElsewhere) and change.concerns(NotificationsFilled.topic)
        ):
            self._worker.wake()

    async def _carry(self, letter: Letter) -> None:
        try:
            await self._send(letter)
        except StoreUnavailable:
            log.warning("notification_left_leased", notification=letter.notification.id)
            self._count("store_unavailable")
        except Exception:
            log.exception("notification_failed", notification=letter.notification.id)
            self._count("internal_error")

    async def _send(self, letter: Letter) -> None:
        notification = letter.notification
        if letter.secret is None:
            await self._failed(letter, "secret_unreadable")
            return
        body = notification.body.encode()
        try:
            answer = await self._outbound.post(
                letter.delivery.url, body, self._headers(letter.secret, notification.id, body)
            )
        except Busy as busy:
            await self._notifications.failed(letter, "busy", busy.after, counts=False)
            return
        except (CallFailed, UnsafeAddress) as trouble:
            await self._failed(letter, trouble.code)
            return
        if 200 <= answer.status < 300:
            await self._notifications.delivered(letter)
            self._count("delivered")
            log.info("notification_delivered", notification=notification.id, attempts=notification.attempts)
            return
        asked = parse_retry_after(answer, self._wall_clock())
        await self._failed(letter, f"http_{answer.status}", asked)

    async def _failed(self, letter: Letter, code: str, at_least: timedelta = timedelta(0)) -> None:
        delay = max(self._backoff(letter.notification.attempts), at_least)
        await self._notifications.failed(letter, code, delay)
        self._count(code)
        log.info(
            "notification_postponed", notification=letter.notification.id, instance=letter.notification.instance_id,
            attempts=letter.notification.attempts, code=code, seconds=round(delay.total_seconds()),
        )  # fmt: skip

    def _headers(self, secret: bytes, message_id: str, body: bytes) -> dict[str, str]:
        return signed_headers(secret, message_id, body, self._wall_clock())

    def _backoff(self, attempts: int) -> timedelta:
        """Double with each failed attempt, up to an hour, spread by half so that what failed together parts."""
        doublings: int = 2 ** min(max(attempts - 1, 0), 16)
        return min(FIRST_BACKOFF * doublings, LONGEST_BACKOFF) * self._jitter.uniform(0.5, 1.0)
