"""The log: one JSON object a line whatever is in it, and nothing in it that must not be."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, SecretStr, ValidationError
from slack_sdk.errors import SlackApiError

from bot.config import BadConfig
from bot.errors import AlreadyConsumed
from bot.tokens import instance_token
from handlers.logs import REDACTED, configure_logging, log_level, log_loop_trouble

CANARY = "canary-7f3a"
NASTY = [
    'a"}\n{"level": "info", "event": "forged"}',
    "a\r\nb",
    "\x1b[31mred\x1b[0m",
    "nul\x00",
    "bidi \u202e\u2066 line\u2028sep\u2029para\x85nel",
    "lone \ud800 surrogate",
]


class Lines:
    """What was logged, line by line."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def raw(self) -> str:
        return self.stream.getvalue()

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.raw.splitlines()]

    def only(self) -> dict[str, Any]:
        (line,) = self.all()
        return line


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    touched = {name: logging.getLogger(name).level for name in list(logging.root.manager.loggerDict)}
    lines = Lines()
    configure_logging(logging.DEBUG, lines.stream)
    yield lines
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(touched.get(name, logging.NOTSET))


def test_a_line_says_when_how_grave_who_and_what(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("handlers.agents").info("answered", status=200)
    line = lines.only()
    assert datetime.fromisoformat(line.pop("at")).tzinfo is not None
    assert line == {
        "event": "answered",
        "level": "info",
        "logger": "handlers.agents",
        "request_id": "r-1",
        "status": 200,
    }


@pytest.mark.parametrize("nasty", NASTY)
def test_no_value_can_forge_a_line_or_reach_the_terminal(lines: Lines, nasty: str) -> None:
    structlog.contextvars.bind_contextvars(request_id=nasty)
    structlog.get_logger(nasty).warning(nasty, tool=nasty, names=[nasty], table={nasty: nasty})
    assert lines.raw.count("\n") == 1
    assert lines.raw.endswith("\n")
    assert lines.raw.isascii()
    assert lines.raw.rstrip("\n").isprintable()
    line = lines.only()
    assert line["tool"] == line["event"] == line["request_id"] == nasty
    assert line["table"] == {nasty: nasty}


@pytest.mark.parametrize(
    "secret",
    [
        "xoxb-1234-5678-abcDEF",
        "xoxe.xoxp-1-abc",
        "xapp-1-A0123-456-deadbeef",
        instance_token(b"k" * 32, "credential"),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ],
)
def test_what_looks_like_a_token_is_redacted_wherever_it_stands(lines: Lines, secret: str) -> None:
    log = structlog.get_logger("x")
    log.error(
        f"cannot use {secret}!", name=secret, deep={"list": [f"Bearer {secret}", (secret,)]}, of=Path(f"/{secret}")
    )
    assert secret not in lines.raw
    assert lines.only()["event"] == f"cannot use {REDACTED}!"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://bob:hunter2@db/x", f"postgresql://{REDACTED}@db/x"),
        (
            "wss://wss.slack.com/link/?ticket=abc-def&app_id=A1",
            f"wss://wss.slack.com/link/?ticket={REDACTED}&app_id=A1",
        ),
        ("https://hooks.slack.com/commands/T1/2/abc", f"https://hooks.slack.com/{REDACTED}"),
        ("Authorization: Bearer abcdef", f"Authorization: Bearer {REDACTED}"),
        ("https://slack.com/api/", "https://slack.com/api/"),
    ],
)
def test_secrets_in_addresses_are_redacted(lines: Lines, text: str, shown: str) -> None:
    structlog.get_logger("x").info("e", address=text)
    assert lines.only()["address"] == shown


@pytest.mark.parametrize(
    "name", ["arguments", "note", "context", "agent_reasoning", "token", "body", "payload", "text"]
)
def test_fields_that_hold_what_people_and_agents_said_are_dropped(lines: Lines, name: str) -> None:
    structlog.get_logger("x").info("e", **{name: CANARY}, of={name: {"inner": CANARY}})
    assert CANARY not in lines.raw
    assert lines.only()[name] == REDACTED


def test_values_are_shown_by_what_they_are(lines: Lines) -> None:
    class Record(BaseModel):
        arguments: str

    structlog.get_logger("x").info(
        "e",
        record=Record(arguments=CANARY),
        secret_value=SecretStr(CANARY),
        data=CANARY.encode(),
        at_=datetime(2026, 1, 2, tzinfo=UTC),
        waited=timedelta(seconds=90),
        ratio=float("nan"),
        long="x" * 10_000,
        deep=[[[[[[[[CANARY]]]]]]]],
    )
    line = lines.only()
    assert CANARY not in lines.raw
    assert line["record"] == "<Record>"
    assert line["at_"] == "2026-01-02T00:00:00+00:00"
    assert line["waited"] == 90
    assert line["ratio"] == "nan"
    assert len(line["long"]) < 2_100


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    def fail() -> None:
        raise error from cause

    try:
        fail()
    except Exception as caught:
        return caught
    raise AssertionError


def test_an_exception_is_told_by_kind_code_and_place_without_its_text(lines: Lines) -> None:
    class Model(BaseModel):
        number: int

    with pytest.raises(ValidationError) as invalid:
        Model.model_validate({"number": CANARY})
    refused = SlackApiError(CANARY, {"error": "invalid_auth"})  # type: ignore[no-untyped-call]  # the SDK's
    for error in (ValueError(CANARY), KeyError(CANARY), invalid.value, refused):
        structlog.get_logger("x").error("failed", exc_info=raised(AlreadyConsumed(CANARY), error))
    assert CANARY not in lines.raw
    outer, cause = lines.all()[-1]["exception"]
    assert outer["type"] == "bot.errors.AlreadyConsumed"
    assert outer["code"] == "already_consumed"
    assert outer["frames"][-1].startswith("unit/test_logs.py:")
    assert outer["frames"][-1].endswith(" fail")
    assert (cause["type"], cause["code"]) == ("slack_sdk.errors.SlackApiError", "invalid_auth")


def test_the_machines_own_complaints_keep_their_text(lines: Lines) -> None:
    structlog.get_logger("x").error("failed", exc_info=raised(FileNotFoundError(2, "No such file", "/var/lib/x")))
    (described,) = lines.only()["exception"]
    assert "No such file" in described["message"]


def test_log_exception_finds_the_current_one(lines: Lines) -> None:
    try:
        len(None)  # type: ignore[arg-type]  # the mistake this is about
    except TypeError:
        structlog.get_logger("x").exception("failed")
    assert lines.only()["exception"][0]["message"] == "object of type 'NoneType' has no len()"


def test_other_libraries_lines_lose_what_they_quote(lines: Lines) -> None:
    logging.getLogger("slack_bolt.AsyncApp").warning(f"Unhandled request ({{'text': '{CANARY}'}})")
    logging.getLogger("slack_sdk.socket_mode").error(f"Failed to run a request listener: {CANARY}, session: s_1")
    logging.getLogger("apscheduler").warning('Run time of job "%s" was missed by %s', CANARY, "0:00:01")
    logging.getLogger("asyncio").error(f"Task exception was never retrieved\nfuture: <Task exception={CANARY}>")
    assert CANARY not in lines.raw
    assert [line["event"] for line in lines.all()] == [
        "Unhandled request",
        "Failed to run a request listener",
        'Run time of job "%s" was missed by %s',
        "Task exception was never retrieved",
    ]
    assert [line["level"] for line in lines.all()] == ["warning", "error", "warning", "error"]


def test_our_own_standard_loggers_are_told_whole(lines: Lines) -> None:
    logging.getLogger("signoff.http").critical("broken header: %s", "BadStatusLine")
    assert lines.only()["event"] == "broken header: BadStatusLine"
    assert lines.only()["level"] == "error"


def test_chatty_libraries_stay_quiet_at_debug(lines: Lines) -> None:
    for name in ("slack_sdk.web.async_base_client", "slack_bolt.App", "aiohttp.server", "apscheduler.x", "alembic.env"):
        logging.getLogger(name).info(CANARY)
        assert not logging.getLogger(name).isEnabledFor(logging.INFO), name
    logging.getLogger("aiohttp.access").error(CANARY)
    assert lines.raw == ""
    # Its code asks for the logger's own level; unset, it would render each request in vain.
    assert logging.getLogger("slack_sdk.web.async_base_client").level == logging.WARNING


def test_a_record_that_cannot_be_formatted_is_told_without_its_parts(lines: Lines) -> None:
    # Straight to our handler: pytest has one of its own on the root, which would fail the test.
    (ours,) = (handler for handler in logging.getLogger().handlers if type(handler).__module__ == "handlers.logs")
    ours.handle(logging.LogRecord("store.engine", logging.WARNING, __file__, 1, "%d", (CANARY,), None))
    assert lines.only()["event"] == "unloggable"
    assert CANARY not in lines.raw


def test_the_level_holds_for_both_kinds_of_loggers(lines: Lines) -> None:
    configure_logging(logging.WARNING, lines.stream)
    structlog.get_logger("x").info("quiet")
    logging.getLogger("bot.x").info("quiet")
    structlog.get_logger("x").warning("loud")
    logging.getLogger("bot.x").warning("loud")
    assert [line["event"] for line in lines.all()] == ["loud", "loud"]  # once each, though configured twice


def test_a_reader_that_went_away_stops_nothing() -> None:
    gone = io.StringIO()
    gone.close()
    try:
        configure_logging(logging.INFO, gone)
        structlog.get_logger("x").info("nobody hears")
    finally:
        structlog.reset_defaults()


async def test_the_loops_own_complaint_does_not_show_the_exceptions_text(lines: Lines) -> None:
    loop = asyncio.get_running_loop()
    error = raised(ValueError(CANARY))
    log_loop_trouble(
        loop, {"message": f"Task exception was never retrieved: {CANARY}", "exception": error, "task": CANARY}
    )
    assert CANARY not in lines.raw
    assert lines.only()["event"] == "Task exception was never retrieved"
    assert lines.only()["exception"][0]["type"] == "ValueError"


def test_the_level_comes_from_the_environment() -> None:
    assert log_level({}) == logging.INFO
    assert log_level({"SIGNOFF_LOG_LEVEL": " Debug "}) == logging.DEBUG
    with pytest.raises(BadConfig, match="SIGNOFF_LOG_LEVEL"):
        log_level({"SIGNOFF_LOG_LEVEL": "loud"})
