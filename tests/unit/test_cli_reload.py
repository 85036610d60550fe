"""`signoff reload` where there is no answer to be had: faults, no server, one that does not answer or may not be told.

With a real server: tests/scenario/test_service_reload.py.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from handlers.cli import main
from handlers.cli import reload as command
from store.lock import ServingLock
from store.schema import prepare
from tests.conftest import SAMPLE, START


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(SAMPLE.replace("sqlite:///signoff.db", f"sqlite:///{tmp_path}/signoff.db"))
    return path


@pytest.fixture
def server(config: Path) -> Iterator[ServingLock]:
    """A database that this very process seems to serve."""
    prepare(config.with_name("signoff.db"), START, upgrade=False)
    lock = ServingLock.acquire(config.with_name("signoff.db"))
    yield lock
    lock.release()


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The signals that would have been sent, but for those that only ask whether a process lives."""
    sent: list[tuple[int, int]] = []

    def kill(process: int, number: int) -> None:
        if number:
            sent.append((process, number))

    monkeypatch.setattr(os, "kill", kill)
    return sent


def run(config: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    return main(["reload", "--config", str(config)], {}), *capsys.readouterr()


def test_faults_are_told_and_nobody_is_bothered(
    config: Path, server: ServingLock, signals: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().replace("owners", "owner"))
    code, out, err = run(config, capsys)
    assert (code, out, signals) == (1, "", [])
    assert "agents.refund-bot.owner" in err


def test_without_a_database_nothing_runs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(config, capsys)
    assert (code, out) == (1, "")
    assert "no database yet" in err
    assert [path.name for path in config.parent.iterdir()] == ["config.toml"]


def test_without_a_server_the_next_start_reads_it(
    config: Path, server: ServingLock, signals: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    server.release()
    code, out, err = run(config, capsys)
    assert (code, out, signals) == (1, "", [])
    assert "Nothing serves the database" in err
    assert "the next start reads it" in err


def test_a_server_that_does_not_answer_is_waited_for_in_vain(
    config: Path,
    server: ServingLock,
    signals: list[tuple[int, int]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "PATIENCE_SECONDS", 0.06)
    code, out, err = run(config, capsys)
    assert (code, out, signals) == (1, "", [(os.getpid(), signal.SIGHUP)])
    assert "has not answered" in err


def test_another_user_s_server_cannot_be_told(
    config: Path, server: ServingLock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(process: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", kill)
    code, out, err = run(config, capsys)
    assert (code, out) == (1, "")
    assert f"process {os.getpid()}, cannot be told (Operation not permitted)" in err
