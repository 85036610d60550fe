"""One serving process to a SQLite database: the lock beside it that the process holds for as long as it serves.

The command line takes no lock: it is a guest whose writes the server notices. A lock is gone with its process,
however that ended.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from store.unit import StoreUnavailable


class ServingLock:
    """A held lock. Made by ``acquire``, ended by ``release``."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, database: Path) -> "ServingLock":
        """Take the lock of ``database``. Raises ``StoreUnavailable``, naming the process that has it."""
        path = database.with_name(f"{database.name}.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"cannot make the lock {path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise StoreUnavailable(
                f"The database {database} is being served by another process ({holder}). One process owns a database; "
                "stop that one first."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Let the next process have it. The file stays: to remove it would let two processes hold two locks."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
