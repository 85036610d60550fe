"""store.lock: one serving process to a database."""

import os
import subprocess
import sys
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


def test_the_holder_is_whoever_holds_the_lock_now(tmp_path: Path) -> None:
    database = tmp_path / "signoff.db"
    assert ServingLock.holder(database) is None
    held = ServingLock.acquire(database)
    assert ServingLock.holder(database) == os.getpid()
    held.release()
    assert ServingLock.holder(database) is None
    ServingLock.acquire(database).release()  # to ask takes nothing


@pytest.mark.parametrize("written", ["", "words", "-1", "0", "1" * 30, "²"])
def test_a_lock_file_that_names_no_process_names_nobody(tmp_path: Path, written: str) -> None:
    database = tmp_path / "signoff.db"
    held = ServingLock.acquire(database)
    (tmp_path / "signoff.db.lock").write_text(written)
    assert ServingLock.holder(database) is None
    held.release()


def test_a_number_that_is_another_process_s_by_now_is_nobody(tmp_path: Path) -> None:
    database = tmp_path / "signoff.db"
    ServingLock.acquire(database).release()
    (tmp_path / "signoff.db.lock").write_text(str(os.getppid()))  # it lives, and holds nothing
    assert ServingLock.holder(database) is None
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "signoff.db.lock").write_text(str(ended.pid))
    assert ServingLock.holder(database) is None
