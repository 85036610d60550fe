"""The one HTTP client that calls addresses: those that others gave us, and those that the operator configured.

Each call looks the host up anew, refuses what it must not stand for, and connects to those very addresses, so that a
name cannot mean one thing when it is checked and another when it is used. TLS proves the name. Redirects are answers
like any other, proxies of the environment are not used, what comes back is read up to a small size, and only so many
calls run at once to one host and one address. What is sent and when is not decided here.

There are two clients, and neither has a switch that makes it the other. ``Outbound`` is for addresses that others gave
us (receivers of notifications, where a calendar redirects to) and refuses a host unless every address it stands for is
public. ``OperatorOutbound`` is for what stands in the configuration (pagers, calendars, a heartbeat) and may lead
inward.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from types import MappingProxyType
from typing import Literal

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.addresses import (
    BadAddress,
    Destination,
    UnsafeAddress,
    parse_destination,
    parse_operator_destination,
    refuse_inward,
)
from handlers.turns import Busy, Turns

ATTEMPT = timedelta(seconds=10)
"""The longest that a call may take, from looking the host up to the last byte read."""
MAX_ANSWER_BYTES = 64 * 1024
MAX_ADDRESSES = 16
AT_ONCE_TO_A_HOST = 4
AT_ONCE_TO_AN_ADDRESS = 8
LONGEST_RETRY_AFTER = timedelta(days=1)  # who asks for more is asked once a day all the same
LOOK_UPS_AT_ONCE = 64

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks a host up: its addresses as text. Raises ``OSError``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered. ``body`` is None where it was too long to be read whole, ``location`` a redirect's address."""

    status: int
    retry_after: str | None
    body: bytes | None
    location: str | None = None


class CallFailed(Exception):
    """No answer. ``code`` says why, in a word that may be stored and counted."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Client:
    """What both clients do alike, once an address is taken apart. Which hosts may be called is theirs to say.

    ``resolve`` is the system's look-up unless another is given.
    """

    def __init__(
        self, *, resolve: Resolve | None = None, trust: ssl.SSLContext | None = None, patience: timedelta = ATTEMPT
    ) -> None:
        self._resolve = resolve or _LookUps()
        self._trust = trust or _public_trust()
        self._patience = patience.total_seconds()
        self._turns = Turns()

    def _refuse(self, destination: Destination, found: Sequence[str]) -> None:
        """Raise unless all that a host stands for may be called."""
        raise NotImplementedError

    async def _call(self, destination: Destination, send: Callable[[Sequence[str]], Awaitable[Answer]]) -> Answer:
        """Look the host up, and ``send`` to the addresses that pass. Raises as ``Outbound.post`` does."""
        try:
            with self._turns.take(f"host {destination.host}:{destination.port}", AT_ONCE_TO_A_HOST):
                async with asyncio.timeout(self._patience):
                    addresses = await self._addresses(destination)
                    with contextlib.ExitStack() as places:
                        for address in addresses:  # any of them may be the one that answers
                            places.enter_context(self._turns.take(f"address {address}", AT_ONCE_TO_AN_ADDRESS))
                        return await send(addresses)
        except TimeoutError as error:
            raise CallFailed("timeout") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise CallFailed("certificate_refused") from error
        except aiohttp.ClientConnectorError as error:
            raise CallFailed("not_connected") from error
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise CallFailed("broken_answer") from error

    async def _addresses(self, destination: Destination) -> Sequence[str]:
        """Look the host up and refuse it unless all that it stands for may be called."""
        try:
            found = await self._resolve(destination.host, destination.port)
        except OSError as error:
            raise CallFailed("host_unknown") from error
        if not found:
            raise CallFailed("host_unknown")
        self._refuse(destination, found)
        return found[:MAX_ADDRESSES]

    async def _exchange(
        self,
        method: Literal["GET", "POST"],
        destination: Destination,
        addresses: Sequence[str],
        headers: Mapping[str, str],
        body: bytes | None = None,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        connector = aiohttp.TCPConnector(
            resolver=_Known(addresses), ssl=self._trust, force_close=True, use_dns_cache=False, limit=1
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # ours counts
                skip_auto_headers=("Accept-Encoding",),
            ) as session,
            session.request(
                method, destination.url, data=body, headers=dict(headers), allow_redirects=False
            ) as response,
        ):
            headers_back = response.headers
            return Answer(
                response.status,
                headers_back.get("Retry-After"),
                await _read(response, most_bytes),
                headers_back.get("Location"),
            )


class Outbound(_Client):
    """Posts to addresses that others gave us, and never inward."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolve: Resolve | None = None,
        trust: ssl.SSLContext | None = None,
        patience: timedelta = ATTEMPT,
    ) -> None:
        super().__init__(resolve=resolve, trust=trust, patience=patience)
        self._allow_loopback = allow_loopback

    def parse(self, url: str) -> Destination:
        """Take an address apart, and refuse what can be told from its text. Raises ``UnsafeAddress``."""
        return parse_destination(url, allow_loopback=self._allow_loopback)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post ``body`` and return the answer, whatever its status.

        Raises ``UnsafeAddress``, ``CallFailed``, or ``Busy`` without having tried.
        """
        destination = self.parse(url)
        return await self._call(destination, lambda addresses: self._post(destination, addresses, body, headers))

    async def get(
        self, url: str, headers: Mapping[str, str] = MappingProxyType({}), *, most_bytes: int = MAX_ANSWER_BYTES
    ) -> Answer:
        """Get what is at ``url``, read up to ``most_bytes``. Raises as ``post``."""
        destination = self.parse(url)
        return await self._call(
            destination,
            lambda addresses: self._exchange("GET", destination, addresses, headers, most_bytes=most_bytes),
        )

    async def _post(
        self, destination: Destination, addresses: Sequence[str], body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        return await self._exchange("POST", destination, addresses, headers, body)

    def _refuse(self, destination: Destination, found: Sequence[str]) -> None:
        for text in found:
            try:
                address = ipaddress.ip_address(text)
            except ValueError as error:
                raise UnsafeAddress from error
            # One inward address among public ones is how a name is made to lead inward now and then.
            refuse_inward(address, allow_loopback=self._allow_loopback)
        if _leaves_in_the_open(destination, found):
            raise UnsafeAddress("The receiver's url must be https.", param="delivery.url")


class OperatorOutbound(_Client):
    """Calls addresses that the operator configured, wherever they lead; plain http never leaves this machine."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post ``body`` and return the answer, whatever its status.

        Raises ``BadAddress``, ``CallFailed``, or ``Busy`` without having tried.
        """
        destination = parse_operator_destination(url)
        return await self._call(
            destination, lambda addresses: self._exchange("POST", destination, addresses, headers, body)
        )

    async def get(
        self, url: str, headers: Mapping[str, str] = MappingProxyType({}), *, most_bytes: int = MAX_ANSWER_BYTES
    ) -> Answer:
        """Get what is at ``url``, read up to ``most_bytes``. Raises as ``post``."""
        destination = parse_operator_destination(url)
        return await self._call(
            destination,
            lambda addresses: self._exchange("GET", destination, addresses, headers, most_bytes=most_bytes),
        )

    def _refuse(self, destination: Destination, found: Sequence[str]) -> None:
        """Where it leads is the operator's choice; that nobody on the way reads it is not."""
        if _leaves_in_the_open(destination, found):
            raise BadAddress("must be https")


def _leaves_in_the_open(destination: Destination, found: Sequence[str]) -> bool:
    """Whether plain http would leave this machine."""
    return destination.url.scheme == "http" and not all(ipaddress.ip_address(text).is_loopback for text in found)


class _Known(AbstractResolver):
    """Answers a connector with the addresses that passed, and nothing else."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        return None


def parse_retry_after(answer: Answer, now: datetime) -> timedelta:
    """How long a 429 or 503 asks to be left alone: seconds or a date (RFC 9110). Zero where it does not say.

    ``now`` is the wall clock's.
    """
    if answer.status not in (429, 503) or answer.retry_after is None:
        return timedelta(0)
    header = answer.retry_after.strip()
    if header.isascii() and header.isdigit():
        return timedelta(seconds=min(int(header[:9]), LONGEST_RETRY_AFTER.total_seconds()))
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return timedelta(0)
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta(0)), LONGEST_RETRY_AFTER)


@cache
def _public_trust() -> ssl.SSLContext:
    """The authorities that this system trusts; read from the disk once."""
    return ssl.create_default_context()


async def _read(response: aiohttp.ClientResponse, most_bytes: int) -> bytes | None:
    """Read what there is, unless it is too much."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > most_bytes:
            return None
    return bytes(body)


class _LookUps:
    """Looks hosts up by the system's own means, each in a thread of its own that nobody waits for at the end.

    A name server that never answers holds a thread for minutes. So one host is looked up once at a time, whoever asks,
    there is an end to how many are, and a process that stops does not wait for them.
    """

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        found = self._under_way.get((host, port))
        if found is None:
            if len(self._under_way) >= LOOK_UPS_AT_ONCE:
                raise Busy
            found = asyncio.get_running_loop().create_future()
            self._under_way[host, port] = found
            found.add_done_callback(lambda _: self._under_way.pop((host, port)))
            threading.Thread(target=_look_up, args=(host, port, found), name="look-up", daemon=True).start()
        return await asyncio.shield(found)


def _look_up(host: str, port: int, found: "asyncio.Future[Sequence[str]]") -> None:
    """Look a host up, in a thread, and hand over what was found, or that it was not."""
    answer: Sequence[str] = ()
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        answer = list(dict.fromkeys(str(address[0]) for *_, address in answers))
    except (OSError, UnicodeError):
        pass  # nothing found
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
        found.get_loop().call_soon_threadsafe(_settle, found, answer)


def _settle(found: "asyncio.Future[Sequence[str]]", answer: Sequence[str]) -> None:
    if not found.done():
        found.set_result(answer)
