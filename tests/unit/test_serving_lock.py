"""store.lock: one serving process to a database."""

import os
from pathlib import Path

import pytest

from store.lock import ServingLock
from store.unit import StoreUnavailable


def test_a_second_server_is_refused_and_told_which_one_serves(tmp_path: Path) -> None:
    first = ServingLock.acquire(tmp_path / "signoff.db")
    with pytest.raises(StoreUnavailable, match=rf"another process \({os.getpid()}\)"):
        ServingLock.acquire(tmp_path / "signoff.db")
    other = ServingLock.acquire(tmp_path / "other.db")
    first.release()
    first.release()
    ServingLock.acquire(tmp_path / "signoff.db").release()
    other.release()
    assert (tmp_path / "signoff.db.lock").stat().st_mode & 0o777 == 0o600


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot make the lock"):
        ServingLock.acquire(tmp_path / "no" / "folder" / "signoff.db")
