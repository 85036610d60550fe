"""`signoff serve`: what is refused before anything starts, and how a signal stops it.

The service itself is stood in for here; tests/scenario runs the real one.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import structlog

from bot.config import Settings
from handlers.cli import main
from handlers.cli.running import _reload_when_told
from tests.conftest import SAMPLE, sample_settings

ENV = {"SLACK_BOT_TOKEN": "xoxb-1-bot", "SLACK_APP_TOKEN": "xapp-1-app"}


class Stage:
    """Stands in for handlers.app.Service and writes down what happened to it."""

    base_url = "http://127.0.0.1:8080"

    def __init__(self) -> None:
        self.acts: list[str] = []
        self.on_start: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM)

    async def start(self, settings: Any, secrets: Any) -> "Stage":
        self.acts.append("started")
        self.on_start()
        return self

    async def stop(self) -> None:
        await asyncio.sleep(0)
        self.acts.append("stopped")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage()
    app = ModuleType("handlers.app")
    app.Service = stage  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, "handlers.app", app)
    return stage


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "signoff.toml"
    path.write_text(SAMPLE.replace("sqlite:///signoff.db", f"sqlite:///{tmp_path}/signoff.db"))
    return path


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    import logging

    root = logging.getLogger()
    level = root.level
    yield
    root.handlers[:] = [handler for handler in root.handlers if type(handler).__module__ != "handlers.logs"]
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def events(err: str) -> list[str]:
    return [json.loads(line)["event"] for line in err.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_good_order(
    stage: Stage, config: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    stage.on_start = lambda: os.kill(os.getpid(), number)
    before = signal.getsignal(number)
    assert main(["serve", "--config", str(config)], ENV) == 0
    assert stage.acts == ["started", "stopped"]
    assert signal.getsignal(number) == before
    out, err = capsys.readouterr()
    assert out == ""
    assert events(err) == ["secret_key_made", "serving", "stopped"]
    key = (config.parent / "signoff.db.key").read_text().strip()
    for secret in (key, *ENV.values()):
        assert secret not in err
    assert f"{config.parent}/signoff.db.key" in err


def test_a_key_is_made_once(stage: Stage, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["serve", "--config", str(config)], ENV)
    capsys.readouterr()
    assert main(["serve", "--config", str(config)], ENV) == 0
    assert events(capsys.readouterr().err) == ["serving", "stopped"]


def test_a_hangup_reads_the_file_again_and_ends_nothing(
    stage: Stage, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that comes while it starts."""
    before = signal.getsignal(signal.SIGHUP)
    read: list[str] = []

    def change() -> None:
        config.write_text(config.read_text() + "# and more\n")
        os.kill(os.getpid(), signal.SIGHUP)

    async def reload(load: Callable[[], Settings]) -> None:
        read.append(load().digest)
        if len(read) == 1:
            change()
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    stage.on_start = lambda: os.kill(os.getpid(), signal.SIGHUP)
    stage.reload = reload  # type: ignore[attr-defined]  # stands in for the service's
    assert main(["serve", "--config", str(config)], ENV) == 0
    assert stage.acts == ["started", "stopped"]
    assert len(set(read)) == 2
    assert signal.getsignal(signal.SIGHUP) == before
    assert events(capsys.readouterr().err)[-2:] == ["serving", "stopped"]


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, ["SLACK_BOT_TOKEN: is not set", "SLACK_APP_TOKEN: is not set"]),
        ({**ENV, "SIGNOFF_LOG_LEVEL": "loud"}, ["SIGNOFF_LOG_LEVEL: is no level"]),
        ({**ENV, "SIGNOFF_STORE_URL": "sqlite://"}, ["SIGNOFF_STORE_URL: "]),
    ],
)
def test_what_cannot_work_is_refused_before_it_starts(
    stage: Stage, config: Path, capsys: pytest.CaptureFixture[str], env: dict[str, str], said: list[str]
) -> None:
    assert main(["serve", "--config", str(config)], env) == 1
    err = capsys.readouterr().err
    for sentence in said:
        assert sentence in err
    assert stage.acts == []
    assert os.listdir(config.parent) == ["signoff.toml"]


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_a_start_that_fails_is_one_sentence(stage: Stage, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage.on_start = failing(OSError(98, "Address already in use"))
    env = {**ENV, "SIGNOFF_SECRET_KEY": "k" * 32}
    assert main(["serve", "--config", str(config)], env) == 1
    assert capsys.readouterr().err == "signoff: The system refused it: Address already in use.\n"


def test_a_crash_is_logged_without_what_its_text_repeats(
    stage: Stage, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.on_start = failing(ValueError("the agent said canary-7f3a"))
    env = {**ENV, "SIGNOFF_SECRET_KEY": "k" * 32}
    assert main(["serve", "--config", str(config)], env) == 1
    err = capsys.readouterr().err
    (line,) = map(json.loads, err.splitlines())
    assert (line["event"], line["exception"][0]["type"]) == ("crashed", "ValueError")
    assert "canary" not in err


async def test_a_reload_that_fails_as_nobody_expected_is_not_the_last() -> None:
    tried: list[str] = []
    hung_up, again = asyncio.Event(), asyncio.Event()

    class Failing:
        async def reload(self, load: object) -> None:
            tried.append("reload")
            again.set()
            raise LookupError("as nobody expected")

    reloading = asyncio.create_task(_reload_when_told(Failing(), hung_up, lambda: sample_settings()))  # type: ignore[arg-type]  # a stand-in
    for _ in range(2):
        again.clear()
        hung_up.set()
        async with asyncio.timeout(10):
            await again.wait()
    reloading.cancel()
    assert tried == ["reload", "reload"]
