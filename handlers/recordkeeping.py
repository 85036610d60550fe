"""What is done with the record while Signoff runs, at the start and then again: checkpoints, and forgetting.

Signed checkpoints are added to the file that the configuration names. A file on the same host vouches for nothing until
it is shipped elsewhere; that is the operator's (docs/operations.md).
"""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from bot.audit import Audit
from bot.checkpoints import Checkpoint, Signer
from bot.clock import Clock
from bot.config import Settings
from bot.retention import Retention
from handlers.clock import SweepClock
from store.engine import Store

CHECKPOINTS_EVERY = timedelta(hours=1)
FORGET_EVERY = timedelta(days=1)

log = structlog.get_logger(__name__)


def keep_record(
    sweeper: SweepClock, store: Store, clock: Clock, settings: Callable[[], Settings], secret_key: bytes,
    taken: Callable[[datetime], None],
) -> None:  # fmt: skip
    """Have the clock see to the record. ``taken`` is called with the time of each checkpoint."""
    checkpoints = Checkpoints(settings, Audit(store, clock), Signer(secret_key), taken)
    sweeper.every(CHECKPOINTS_EVERY, "checkpoint", checkpoints.take)
    sweeper.every(FORGET_EVERY, "retention", Retention(store, clock, settings).forget_old)


class Checkpoints:
    """Takes checkpoints. ``settings``: the file that is in force; ``taken`` is called with the time of each."""

    def __init__(
        self, settings: Callable[[], Settings], audit: Audit, signer: Signer, taken: Callable[[datetime], None]
    ) -> None:
        self._settings = settings
        self._audit = audit
        self._signer = signer
        self._taken = taken

    async def take(self) -> Checkpoint | None:
        """Add a checkpoint to the file; None if the configuration names none, or it cannot be written."""
        path = self._settings().audit.checkpoints
        if path is None:
            return None
        checkpoint = await take(self._audit, self._signer, self._settings(), "hourly")
        try:
            await asyncio.to_thread(append_line, Path(path), self._signer.sign(checkpoint))
        except OSError as error:
            log.exception("checkpoint_not_kept", code=error.strerror, path=path)
            return None
        log.info("checkpoint_kept", size=checkpoint.size, path=path)
        self._taken(datetime.now(UTC))
        return checkpoint


async def take(audit: Audit, signer: Signer, settings: Settings, why: str) -> Checkpoint:
    """Put on record that a checkpoint is taken, and return it."""
    return await audit.take_checkpoint(settings.server.public_url, signer.public.id, why)


def append_line(path: Path, line: str) -> None:
    """Add a line to a file that others may read, and see it on the disk. Raises ``OSError``."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, f"{line}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
