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
        path = _lock_of(database)
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

    @staticmethod
    def holder(database: Path) -> int | None:
        """Return the id of the process that serves ``database`` now; None if nobody does.

        The lock is tried only if the process that is written there lives: a number alone may be another's by now.
        """
        try:
            descriptor = os.open(_lock_of(database), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            written = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            if not (written.isascii() and written.isdigit()) or not _lives(int(written)):
                return None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(written)
            return None
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Let the next process have it. The file stays: to remove it would let two processes hold two locks."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None


def _lock_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")


def _lives(process: int) -> bool:
    if process <= 0:  # to a signal these mean whole groups
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True
