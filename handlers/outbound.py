"""The one HTTP client that calls addresses which others gave us: receivers of notifications.

Each call looks the host up anew, refuses it unless every address it stands for is public, and connects to those very
addresses, so that a name cannot mean one thing when it is checked and another when it is used. TLS proves the name.
Redirects are answers like any other, proxies of the environment are not used, what comes back is read up to a small
size, and only so many calls run at once to one host and one address. What is sent and when is not decided here.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.addresses import Destination, UnsafeAddress, parse_destination, refuse_inward

ATTEMPT = timedelta(seconds=10)
"""The longest that a call may take, from looking the host up to the last byte read."""
MAX_ANSWER_BYTES = 64 * 1024
MAX_ADDRESSES = 16
AT_ONCE_TO_A_HOST = 4
AT_ONCE_TO_AN_ADDRESS = 8
LOOK_UPS_AT_ONCE = 64

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks a host up: its addresses as text. Raises ``OSError``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered. ``body`` is None where it was too long to be read whole."""

    status: int
    retry_after: str | None
    body: bytes | None


class CallFailed(Exception):
    """No answer. ``code`` says why, in a word that may be stored and counted."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Busy(Exception):
    """As many calls as may run at once, to this host or address or at all, are running."""


class Outbound:
    """Posts to receivers. ``resolve`` is the system's look-up unless another is given."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolve: Resolve | None = None,
        trust: ssl.SSLContext | None = None,
        patience: timedelta = ATTEMPT,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve or _LookUps()
        self._trust = trust or _public_trust()
        self._patience = patience.total_seconds()
        self._running: Counter[str] = Counter()

    def parse(self, url: str) -> Destination:
        """Take an address apart, and refuse what can be told from its text. Raises ``UnsafeAddress``."""
        return parse_destination(url, allow_loopback=self._allow_loopback)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post ``body`` and return the answer, whatever its status.

        Raises ``UnsafeAddress``, ``CallFailed``, or ``Busy`` without having tried.
        """
        destination = self.parse(url)
        try:
            async with self._slot(f"host {destination.host}:{destination.port}", AT_ONCE_TO_A_HOST):
                async with asyncio.timeout(self._patience):
                    addresses = await self._addresses(destination)
                    async with contextlib.AsyncExitStack() as slots:
                        for address in addresses:  # any of them may be the one that answers
                            await slots.enter_async_context(self._slot(f"address {address}", AT_ONCE_TO_AN_ADDRESS))
                        return await self._post(destination, addresses, body, headers)
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
        for text in found:
            try:
                address = ipaddress.ip_address(text)
            except ValueError as error:
                raise UnsafeAddress from error
            # One inward address among public ones is how a name is made to lead inward now and then.
            refuse_inward(address, allow_loopback=self._allow_loopback)
        if destination.url.scheme == "http" and not all(ipaddress.ip_address(text).is_loopback for text in found):
            raise UnsafeAddress("The receiver's url must be https.", param="delivery.url")
        return found[:MAX_ADDRESSES]

    async def _post(
        self, destination: Destination, addresses: Sequence[str], body: bytes, headers: Mapping[str, str]
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
            session.post(destination.url, data=body, headers=dict(headers), allow_redirects=False) as response,
        ):
            return Answer(response.status, response.headers.get("Retry-After"), await _read(response))

    @contextlib.asynccontextmanager
    async def _slot(self, name: str, most: int) -> AsyncIterator[None]:
        if self._running[name] >= most:
            raise Busy
        self._running[name] += 1
        try:
            yield
        finally:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name]


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


@cache
def _public_trust() -> ssl.SSLContext:
    """The authorities that this system trusts; read from the disk once."""
    return ssl.create_default_context()


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """Read what there is, unless it is too much."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
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
