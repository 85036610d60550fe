"""What is done with the record while Signoff runs, at the start and then again: checkpoints, and forgetting.

Signed checkpoints are added to the file that the configuration names. A file on the same host vouches for nothing until
it is shipped elsewhere; that is the operator's (docs/operations.md).
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from bot.audit import Audit
from bot.checkpoints import BadCheckpoint, Checkpoint, PublicKey, Signer
from bot.clock import Clock
from bot.config import Settings
from bot.retention import Retention
from handlers.clock import SweepClock
from store.engine import Store
from store.unit import RestoredCopy

CHECKPOINTS_EVERY = timedelta(hours=1)
FORGET_EVERY = timedelta(days=1)
_TAIL_BYTES = 64 * 1024  # a hundred checkpoints and more

log = structlog.get_logger(__name__)


def keep_record(
    sweeper: SweepClock, store: Store, clock: Clock, settings: Callable[[], Settings], secret_key: bytes,
    taken: Callable[[datetime], None],
) -> None:  # fmt: skip
    """Have the clock see to the record. ``taken`` is called with the time of each checkpoint."""
    checkpoints = Checkpoints(settings, Audit(store, clock), Signer(secret_key), taken)
    sweeper.every(CHECKPOINTS_EVERY, "checkpoint", checkpoints.take)
    sweeper.every(FORGET_EVERY, "retention", Retention(store, clock, settings).forget_old)


async def refuse_forgetful(store: Store, clock: Clock, settings: Settings, secret_key: bytes) -> None:
    """Raise ``RestoredCopy`` if the database lacks what the last checkpoint in the file saw, and does not say why.

    So a copy that bears no mark is noticed too, of either database. Whether the record was tampered with is for
    ``signoff audit verify``: here one checkpoint is looked at, and only one that this installation signed.
    """
    path = settings.audit.checkpoints
    if path is None:
        return
    try:
        kept = await asyncio.to_thread(_last_in, Path(path), Signer(secret_key).public)
    except OSError as error:
        log.warning("checkpoint_not_read", code=error.strerror, path=path)
        return
    if kept is not None and not await Audit(store, clock).remembers(kept):
        raise RestoredCopy(
            f"The database lacks what the checkpoint of {kept.time:%Y-%m-%d %H:%M} UTC in {path} saw: it is older, or "
            "another. If it was restored from a backup, run `signoff restored` once: what was approved in it may have "
            "been used since. If it is a new one, move that file away."
        )


def _last_in(path: Path, key: PublicKey) -> Checkpoint | None:
    """Return the last checkpoint in a file that was signed with this key; None if its end holds none."""
    try:
        with path.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _TAIL_BYTES, 0))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        with suppress(BadCheckpoint):
            return key.read(line)
    return None


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
