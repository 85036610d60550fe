"""Calendars of who is on call: read in the background, the last good copy kept.

A calendar is read from an address or a file, expanded in a thread of its own, and replaces the copy before only if all
of that went well. Whoever asks is answered from the copy, at once. Neither the address of a calendar nor what stands in
it goes into the log; a failure is a code.
"""

import asyncio
import ctypes
import random
import stat
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import structlog

from bot.addresses import BadAddress, UnsafeAddress
from bot.calendars import MAX_CALENDAR_BYTES, Expanded, NotACalendar, expand_calendar, load_libraries
from bot.clock import Clock
from bot.config import OnCall
from bot.config_plans import feed_address
from bot.named_secrets import NamedSecrets
from handlers.address_book import AddressBook
from handlers.outbound import Answer, CallFailed, OperatorOutbound, Outbound
from handlers.turns import Busy

T = TypeVar("T")

EVERY = timedelta(minutes=5)
AGAIN = timedelta(seconds=30)
"""After a failure, at first; then twice as long each time, up to ``EVERY``."""
READ_WITHIN = timedelta(seconds=30)
"""For reading and expanding a calendar; one that takes longer is not used."""
EXPANDED_FOR = timedelta(hours=6)
"""A copy that does not change is expanded anew after this."""

THREAD = "calendar"
"""The name of a thread that expands one."""

_JITTER = 0.1
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_ADDRESSES = 200
_HEADERS = {"Accept": "text/calendar, */*;q=0.1", "User-Agent": "Signoff"}

log = structlog.get_logger(__name__)


class FeedTrouble(Exception):
    """A calendar could not be read. ``code`` says why, in a word that may be shown, logged and counted."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Copy:
    """A calendar as it was read: ``content`` is its bytes, compressed."""

    content: bytes
    read_at: datetime
    expanded: Expanded
    expanded_at: datetime


class CalendarReader:
    """Reads calendars: from https addresses, which may redirect to others, and from files.

    Where the operator's own host is may be private; ``elsewhere`` fetches what it redirects to on other hosts, which
    the operator did not name.
    """

    def __init__(self, outbound: OperatorOutbound, elsewhere: Outbound, secrets: NamedSecrets) -> None:
        self._outbound = outbound
        self._elsewhere = elsewhere
        self._secrets = secrets
        self._gate = asyncio.Semaphore(2)

    async def read(self, table: OnCall) -> bytes:
        """Return the bytes of a table's calendar. Raises ``FeedTrouble``."""
        place = table.ical
        if table.ical_env is not None:
            place = self._secrets.get(table.ical_env)
        if place is None:
            raise FeedTrouble("secret_missing")
        async with self._gate:
            if table.ical_env is None and "://" not in place:
                return await asyncio.to_thread(_read_file, Path(place))
            return await self._fetch(feed_address(place))

    async def _fetch(self, named: str) -> bytes:
        url = named
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._get(url, self._outbound if _origin(url) == _origin(named) else self._elsewhere)
            if answer.status in _REDIRECTS and answer.location:
                url = _redirected(url, answer.location)
                continue
            if answer.status != 200:
                raise FeedTrouble(f"http_{answer.status}")
            if answer.body is None:
                raise FeedTrouble("calendar_too_large")
            return answer.body
        raise FeedTrouble("too_many_redirects")

    async def _get(self, url: str, client: OperatorOutbound | Outbound) -> Answer:
        try:
            return await client.get(url, _HEADERS, most_bytes=MAX_CALENDAR_BYTES)
        except UnsafeAddress as error:
            raise FeedTrouble("unsafe_redirect") from error
        except BadAddress as error:
            raise FeedTrouble(error.code) from error
        except CallFailed as error:
            raise FeedTrouble(error.code) from error
        except Busy as error:
            raise FeedTrouble("busy") from error


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


def _redirected(url: str, location: str) -> str:
    """Where a redirect leads. Raises ``FeedTrouble`` for one that changes the scheme."""
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise FeedTrouble("bad_redirect") from error
    if target.partition(":")[0].lower() != url.partition(":")[0].lower():
        raise FeedTrouble("bad_redirect")
    return target


def _read_file(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise FeedTrouble("file_unreadable")  # such as a pipe, which would hold the thread for ever
        with path.open("rb") as file:
            content = file.read(MAX_CALENDAR_BYTES + 1)
    except FileNotFoundError as error:
        raise FeedTrouble("file_missing") from error
    except (OSError, ValueError) as error:
        raise FeedTrouble("file_unreadable") from error
    if len(content) > MAX_CALENDAR_BYTES:
        raise FeedTrouble("calendar_too_large")
    return content


async def expand_within(content: bytes, now: datetime, patience: timedelta = READ_WITHIN) -> Expanded:
    """Expand a calendar in a thread. Raises ``FeedTrouble``, also if it takes too long."""
    await asyncio.to_thread(load_libraries)
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return await _in_thread(lambda: expand_calendar(content, now))
    except NotACalendar as error:
        raise FeedTrouble(error.code) from error
    except TimeoutError as error:
        raise FeedTrouble("calendar_too_slow") from error


class _GivenUp(BaseException):
    """Raised inside a thread whose work nobody waits for any more. No ``except Exception`` keeps it."""


async def _in_thread(work: Callable[[], T]) -> T:
    """Run ``work`` in a thread of its own, which ends with whoever waits for it: what somebody else wrote is read
    there, and a rule that never comes true would be looked for until the year 9999."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # what work returned

    def run() -> None:
        result, error = None, None
        with suppress(_GivenUp, RuntimeError):  # RuntimeError: the loop is closed, and nobody waits
            try:
                result = work()
            except Exception as caught:
                error = caught
            loop.call_soon_threadsafe(settle, result, error)

    thread = threading.Thread(target=run, name=THREAD, daemon=True)
    thread.start()
    try:
        return await done
    except asyncio.CancelledError:
        if thread.ident is not None and thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_GivenUp))
        raise


class Feed:
    """One calendar: the last good copy of it, and the task that keeps it fresh.

    ``copy`` is None until it was read for the first time. ``failure`` is why the last try failed, None if it did not.
    """

    def __init__(
        self,
        table: OnCall,
        reader: CalendarReader,
        people: AddressBook,
        clock: Clock,
        failed: Callable[[str], None],
        *,
        patience: timedelta = READ_WITHIN,
    ) -> None:
        self.table = table
        self.copy: Copy | None = None
        self.failure: str | None = None
        self._reader = reader
        self._people = people
        self._clock = clock
        self._failed = failed
        self._patience = patience
        self._refreshing = asyncio.Lock()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._again = AGAIN

    def start(self) -> None:
        """Begin to keep it fresh, at once."""
        self._task = asyncio.get_running_loop().create_task(self._keep_fresh(), name=f"calendar {self.table.name}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def until_tried(self, patience: timedelta) -> None:
        """Wait until the first try is over, but no longer than ``patience``; not at all where nobody tries."""
        if self._task is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(patience.total_seconds()):
                await self._tried.wait()

    async def _keep_fresh(self) -> None:
        while True:
            pause = self.pause_after(is_well=await self.refresh())
            await asyncio.sleep(pause.total_seconds() * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311

    def pause_after(self, *, is_well: bool) -> timedelta:
        """Return how long to wait until the next try, which is sooner after the first failures than in good times."""
        pause = EVERY if is_well else self._again
        self._again = AGAIN if is_well else min(self._again * 2, EVERY)
        return pause

    async def refresh(self) -> bool:
        """Read the calendar and look its people up; whether all went well. Raises nothing."""
        async with self._refreshing:
            try:
                await self._read()
            except FeedTrouble as trouble:
                self._fail(trouble.code)
            except Exception:
                log.exception("oncall_refresh_failed", name=self.table.name)
                self._fail("unexpected")
            else:
                if self.failure is not None:
                    log.info("oncall_calendar_back", name=self.table.name)
                self.failure = None
            is_whole = await self._look_up()
            self._tried.set()
            return is_whole and self.failure is None

    async def _read(self) -> None:
        now = self._clock()
        try:
            content = await self._reader.read(self.table)
        except FeedTrouble:
            await self._expand_anew(now)
            raise
        packed = zlib.compress(content, 1)
        copy = self.copy
        if copy is not None and copy.content == packed and now - copy.expanded_at < EXPANDED_FOR:
            self.copy = replace(copy, read_at=now)
            return
        expanded = await expand_within(content, now, self._patience)
        self.copy = Copy(packed, now, expanded, now)

    async def _expand_anew(self, now: datetime) -> None:
        """Move the window of the last good copy on, where no newer one is to be had."""
        copy = self.copy
        if copy is not None and now - copy.expanded_at >= EXPANDED_FOR:
            expanded = await expand_within(zlib.decompress(copy.content), now, self._patience)
            self.copy = replace(copy, expanded=expanded, expanded_at=now)

    async def _look_up(self) -> bool:
        if self.copy is None:
            return True
        now = self._clock()
        ahead = [shift for shift in self.copy.expanded.shifts if shift.end > now]
        addresses = list(dict.fromkeys(address for shift in ahead for address in shift.addresses))
        return await self._people.look_up(addresses[:_MOST_ADDRESSES])

    def _fail(self, code: str) -> None:
        if code != self.failure:
            log.warning("oncall_calendar_failed", name=self.table.name, code=code)
        self.failure = code
        self._failed(self.table.name)
