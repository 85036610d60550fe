"""``signoff serve`` and ``signoff demo``: start, wait for a signal, stop. What runs is made in handlers/app.py."""

import asyncio
import gc
import resource
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bot.config import Settings, load_settings
from bot.secrets import Secrets, load_secrets
from handlers.cli.say import sentence_of
from handlers.logs import configure_logging, log_level, log_loop_trouble

if TYPE_CHECKING:
    from handlers.app import Service

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FILES = 65_536  # every waiting agent holds a connection, and shells commonly allow 1 024
_YOUNG_OBJECTS = 10_000  # made and not freed before the collector looks; Python starts with 700
_log = structlog.get_logger(__name__)


def serve(config: Path, env: Mapping[str, str]) -> int:
    """Run the service until SIGTERM or SIGINT; 0 if it stopped as told. Raises ``BadConfig`` and what a start can."""
    configure_logging(log_level(env))
    settings = load_settings(config, env)
    secrets = load_secrets(env, settings, create_key=True)
    if secrets.key_created is not None:
        _log.warning(
            "secret_key_made",
            path=secrets.key_created,
            advice="keep it with your backups, but apart from the database's",
        )
    _allow_many_files()
    try:
        asyncio.run(_serve(settings, secrets, partial(load_settings, config, env)))
    except Exception as error:
        if sentence_of(error) is not None:
            raise
        # Through the log, which leaves out what an exception's text may repeat.
        _log.critical("crashed", exc_info=error)
        return 1
    return 0


async def _serve(settings: Settings, secrets: Secrets, load: Callable[[], Settings]) -> None:
    from handlers.app import Service  # a fault of the configuration is told before all this is loaded

    told = _until_told()
    hung_up = _on_hangup()
    service = await Service.start(settings, secrets)
    _spare_the_collector()
    reloading = asyncio.create_task(_reload_when_told(service, hung_up, load), name="reload")
    try:
        _log.info("serving", address=service.base_url, configuration=settings.digest)
        await told.wait()
    finally:
        reloading.cancel()
        await asyncio.gather(reloading, return_exceptions=True)
        await service.stop()
    _log.info("stopped")


def _on_hangup() -> asyncio.Event:
    """Return an event that SIGHUP sets. From before the start on: without it the signal would end the process."""
    hung_up = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up.set)
    return hung_up


async def _reload_when_told(service: "Service", hung_up: asyncio.Event, load: Callable[[], Settings]) -> None:
    """Read the file again at each signal, one after the other; signals that come meanwhile are one."""
    while True:
        await hung_up.wait()
        hung_up.clear()
        try:
            await service.reload(load)
        except Exception:  # the next signal is to be heard all the same
            _log.exception("reload_failed")


def _spare_the_collector() -> None:
    """Keep Python's garbage collector from walking over all that was imported whenever it looks for cycles.

    What is there by now stays; a full walk over it takes tens of milliseconds, and an agent's answer would wait for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def demo(port: int, env: Mapping[str, str]) -> int:
    """Run the demo until SIGTERM or SIGINT; returns 0."""
    from handlers.demo import run_demo

    configure_logging(log_level({"SIGNOFF_LOG_LEVEL": "warning", **env}))

    async def run() -> None:
        await run_demo(port=port, told_to_stop=_until_told())

    asyncio.run(run())
    return 0


def _allow_many_files() -> None:
    """Take as many open files as the system allows this process without asking anybody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # then it goes on with what it has
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _until_told() -> asyncio.Event:
    """Return an event that the first signal to stop sets. A second signal kills, as if nobody listened."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_loop_trouble)
    told = asyncio.Event()

    def hear() -> None:
        told.set()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, hear)
    return told
