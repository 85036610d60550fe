"""`signoff enroll`: a code alone on stdout, which works in the server beside it, and in no other way."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyotp
import pytest

from bot.config import Settings
from bot.errors import WrongCode
from bot.passcodes import Passcodes
from handlers.cli import main
from store.engine import SqliteStore
from tests.conftest import SAMPLE, House, Town, furnish

SIGNOFF = Path(sys.executable).with_name("signoff")
KEY = "k" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = SAMPLE.replace("sqlite:///signoff.db", f"sqlite:///{tmp_path}/signoff.db")
    (tmp_path / "config.toml").write_text(config)
    return tmp_path


def _run(folder: Path, *arguments: str, stdout: int = subprocess.PIPE) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "SIGNOFF_CONFIG": str(folder / "config.toml"), "SIGNOFF_SECRET_KEY": KEY}
    return subprocess.run(
        [SIGNOFF, "enroll", *arguments], env=env, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60
    )


async def test_a_code_from_the_command_line_works_in_the_server(
    folder: Path, database: Path, store: SqliteStore, town: Town, settings: Settings
) -> None:
    """``store`` is the server's, open while the command runs in a process of its own."""
    ran = _run(folder, "U0ALICE")
    assert ran.returncode == 0, ran.stderr
    code = ran.stdout.removesuffix("\n")
    assert len(code) == 9
    assert code not in ran.stderr
    assert "U0ALICE" in ran.stderr
    assert "/signoff enroll" in ran.stderr
    assert "not through Slack" in ran.stderr
    house = await _house_of_today(store, town, settings)
    facts = await town.load_facts({"U0ALICE"}, ())
    stored = _everything_in(folder)
    assert code.encode() not in stored
    assert code.replace("-", "").encode() not in stored
    with pytest.raises(WrongCode):  # another secret key's server cannot use it
        await Passcodes(store, house.clock, b"K" * 32).offer("U0ALICE", code, facts)
    offer = await house.passcodes.offer("U0ALICE", code, facts)
    await house.passcodes.confirm("U0ALICE", pyotp.TOTP(offer.seed).at(house.clock()), facts)
    assert (await house.passcodes.status("U0ALICE")).is_enrolled


def _everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def _house_of_today(store: SqliteStore, town: Town, settings: Settings) -> House:
    """The server's use cases on the clock of the machine, as the command has it."""
    town.clock.now = datetime.now(UTC)
    return await furnish(store, town.clock, town, settings)


@pytest.mark.parametrize("user", ["alice", "@alice", "C0REFUNDS", "u0alice", ""])
def test_what_is_no_user_id_is_refused(folder: Path, user: str, capfd: pytest.CaptureFixture[str]) -> None:
    env = {"SIGNOFF_CONFIG": str(folder / "config.toml"), "SIGNOFF_SECRET_KEY": KEY}
    assert main(["enroll", user], env) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "USER" in err
    assert not (folder / "signoff.db").exists()


def test_a_code_that_could_not_be_written_is_said(folder: Path) -> None:
    with open("/dev/full", "w") as full:
        ran = _run(folder, "U0ALICE", stdout=full.fileno())
    assert ran.returncode == 1
    assert "could not be written" in ran.stderr


def test_the_key_is_made_if_there_is_none_and_said(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["enroll", "U0ALICE"], {"SIGNOFF_CONFIG": str(folder / "config.toml")}) == 0
    out, err = capfd.readouterr()
    assert len(out) == 10
    assert f"Made the secret key {folder}/signoff.db.key" in err
