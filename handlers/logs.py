"""The log: one JSON object a line on stderr, structlog's and the standard library's alike.

Whoever has something to say calls ``structlog.get_logger(__name__)``, names the event in snake_case and gives ids as
fields; what is bound with ``structlog.contextvars`` (``request_id``) comes along. No line carries arguments, notes,
tokens or what a person typed: callers do not log them, and this room is the last net, not the licence. Therefore
values are rendered by what they are (an unknown object by its class alone), an exception without its message unless
its kind never repeats input, and other libraries' lines by their fixed part only.
"""

import asyncio
import json
import logging
import math
import re
import sqlite3
import sys
from collections.abc import Mapping, MutableMapping
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from traceback import StackSummary, walk_tb
from typing import Any, TextIO

import structlog

from bot.config import BadConfig, Fault
from handlers.codes import error_code

LEVEL_VARIABLE = "SIGNOFF_LOG_LEVEL"
LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

REDACTED = "[redacted]"
_FIRST = ("at", "level", "logger", "event")  # for who reads the lines raw
_NEVER_LOGGED = frozenset(
    {
        "agent_reasoning", "argument", "arguments", "authorization", "blocks", "body", "context", "headers", "note",
        "password", "payload", "secret", "secret_key", "submission", "text", "token",
    }
)  # fmt: skip
_SECRETS = re.compile(
    r"xox[a-z.]*-[\w.-]+"  # Slack's tokens
    r"|xapp-[\w.-]+"
    r"|\bso_[a-z]_\w+"  # ours
    r"|whsec_[\w+/=-]+"
    r"|(?<=://)[^\s/@]+(?=@)"  # a user and password in an address
    r"|(?<=ticket=)[^&\s]+"  # what opens a Socket Mode line
    r"|(?<=hooks\.slack\.com/)\S+"  # a response URL
    r"|(?<=\bbearer )\S+",
    re.IGNORECASE,
)
_LONGEST_CHARS = 2_000
_DEEPEST = 6
_FRAMES = 12
_CHAIN = 5

_OURS = frozenset({"bot", "handlers", "playground", "signoff", "store"})
# Not below warning whatever the level: at debug they log whole requests. The second Slack logger is named because
# its code reads its own level, unset otherwise, and would then render every request it makes.
_QUIET = {
    "slack_sdk": logging.WARNING,
    "slack_sdk.web.async_base_client": logging.WARNING,
    "slack_bolt": logging.WARNING,
    "aiohttp": logging.WARNING,
    "aiohttp.access": logging.CRITICAL,  # our own line on a request has no query and no address
    "apscheduler": logging.WARNING,
    "alembic": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "asyncio": logging.WARNING,
}
# Where another library's line stops being fixed text, and begins to quote what it met.
_QUOTES = re.compile(r"[(\[{<\"':\n\r]")

# Kinds of exceptions whose message is the machine's own. Others may repeat input: pydantic's, ValueError, KeyError.
_SPEAKS_FOR_ITSELF: tuple[type[BaseException], ...] = (
    OSError, sqlite3.Error, AttributeError, ImportError, NameError, TypeError,
)  # fmt: skip

_EventDict = MutableMapping[str, Any]


def log_level(env: Mapping[str, str]) -> int:
    """The level that ``SIGNOFF_LOG_LEVEL`` asks for; info without it. Raises ``BadConfig``."""
    word = env.get(LEVEL_VARIABLE, "info").strip().lower()
    if word not in LEVELS:
        raise BadConfig("environment", [Fault(LEVEL_VARIABLE, "is no level", f"use one of {', '.join(LEVELS)}")])
    return LEVELS[word]


def configure_logging(level: int, stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to ``stream`` (stderr), as JSON lines. May be called again."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _add_name,
            _describe_exception,
            _make_safe,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_LineWriters(sys.stderr if stream is None else stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _ToStructlog)]:
        root.removeHandler(handler)
    root.addHandler(_ToStructlog())
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))
    logging.captureWarnings(True)


def log_loop_trouble(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """An event loop's exception handler. The loop's own would show the task, and with it the exception's text."""
    error = context.get("exception")
    structlog.get_logger("asyncio").error(
        _fixed_part(str(context.get("message", "error in the event loop"))), exc_info=error
    )


class _LineWriter:
    """Writes finished lines for one named logger."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self.name = name

    def write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # Whoever read the log is gone. The work goes on: nobody's approval depends on it.
            return

    debug = info = warning = error = critical = msg = write


class _LineWriters:
    """Makes the line writer of a logger."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, *args: object) -> _LineWriter:
        return _LineWriter(self._stream, str(args[0]) if args else "signoff")


class _ToStructlog(logging.Handler):
    """Hands the standard library's records on, other libraries' without what they quote."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log = structlog.get_logger(record.name)
            log.log(_known_level(record.levelno), _event_of(record), exc_info=record.exc_info or None)
        except Exception as error:  # a line that cannot be rendered must not stop what it was about
            structlog.get_logger(__name__).error("unloggable", source=record.name, kind=type(error).__name__)


def _event_of(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] in _OURS:
        return record.getMessage()
    # What is filled into another library's template may be anything; the template itself is fixed.
    return str(record.msg) if record.args else _fixed_part(str(record.msg))


def _known_level(number: int) -> int:
    return max((level for level in LEVELS.values() if level <= number), default=logging.DEBUG)


def _fixed_part(message: str) -> str:
    return _QUOTES.split(message, maxsplit=1)[0].strip() or "message"


def _add_name(logger: Any, method: str, event_dict: _EventDict) -> _EventDict:
    event_dict["logger"] = logger.name
    return event_dict


def _describe_exception(logger: Any, method: str, event_dict: _EventDict) -> _EventDict:
    given = event_dict.pop("exc_info", None)
    if isinstance(given, tuple):
        given = given[1]
    elif given is True:
        given = sys.exc_info()[1]
    if isinstance(given, BaseException):
        chain: list[dict[str, Any]] = []
        error: BaseException | None = given
        while error is not None and len(chain) < _CHAIN:
            chain.append(_describe(error))
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        event_dict["exception"] = chain
    return event_dict


def _describe(error: BaseException) -> dict[str, Any]:
    """What may be said of an exception: its class, its code, where it was raised; its message if it is harmless."""
    kind = type(error)
    described: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")}
    code = error_code(error)
    if code is not None:
        described["code"] = code
    if isinstance(error, _SPEAKS_FOR_ITSELF):
        described["message"] = str(error)
    frames = StackSummary.extract(walk_tb(error.__traceback__), lookup_lines=False)
    described["frames"] = [
        f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in frames[-_FRAMES:]
    ]
    return described


def _make_safe(logger: Any, method: str, event_dict: _EventDict) -> _EventDict:
    return {key: REDACTED if key in _NEVER_LOGGED else _safe(value, 0) for key, value in event_dict.items()}


def _safe(value: Any, depth: int) -> Any:
    """A value as a log may have it: plain, bounded, without secrets; what is not plain by its class alone."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such numbers
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        shown = _SECRETS.sub(REDACTED, value)
        return shown if len(shown) <= _LONGEST_CHARS else f"{shown[:_LONGEST_CHARS]}… ({len(shown)} characters)"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return _safe(str(value), depth)
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            return {
                str(key): REDACTED if str(key) in _NEVER_LOGGED else _safe(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [_safe(item, depth + 1) for item in value]
    return f"<{type(value).__name__}>"


def _render(logger: Any, method: str, event_dict: _EventDict) -> str:
    # ASCII: no control, bidi or line-separator character reaches a terminal or a line reader unescaped.
    return json.dumps({name: event_dict.pop(name) for name in _FIRST} | dict(event_dict), ensure_ascii=True)
