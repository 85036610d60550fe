"""How a failure is logged: its kind and the lines it came through, never its text.

An exception's text may quote what an agent or a person sent; so may HTTP's parser, whose complaint about a broken
header line shows the line. Nothing here decides what is answered.
"""

import logging
import traceback


def places(error: BaseException) -> list[str]:
    """Name the lines that ``error`` came through, outermost first."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def http_server_logger() -> logging.Logger:
    """Return the logger to give to aiohttp's server (``AppRunner(logger=…)``)."""
    logger = logging.getLogger("signoff.http")
    logger.addFilter(_without_text)  # a filter that is there already is not added again
    return logger


def _without_text(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        record.msg = f"{record.getMessage()}: {type(error).__name__} at {places(error)}"
        record.args = ()
        record.exc_info = None
    return True
