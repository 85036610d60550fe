"""handlers.outbound and bot.addresses: nothing inward is ever called, however it is spelled or looked up."""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from aiohttp import web

from bot.addresses import (
    BadAddress,
    Destination,
    UnsafeAddress,
    parse_destination,
    parse_operator_destination,
    refuse_inward,
)
from handlers.outbound import (
    AT_ONCE_TO_A_HOST,
    AT_ONCE_TO_AN_ADDRESS,
    LOOK_UPS_AT_ONCE,
    MAX_ANSWER_BYTES,
    Answer,
    CallFailed,
    OperatorOutbound,
    Outbound,
    parse_retry_after,
)
from handlers.turns import Busy

INWARD_4 = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.1.2.3", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1",
    "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255",
)  # fmt: skip
INWARD_6 = (
    "::", "::1", "100::1", "2001::1", "2001:db8::1", "2001:10::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1",
    "fd00:ec2::254", "fd12:3456:789a::1", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "ff0e::1", "4000::1",
)  # fmt: skip
PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2001:4860:4860::8888")


def carriers(four: str) -> list[str]:
    """The IPv6 forms that carry an IPv4 address."""
    high, low = divmod(int(ipaddress.IPv4Address(four)), 65_536)
    tail = f"{high:x}:{low:x}"
    return [
        f"::ffff:{four}", f"::ffff:{tail}", f"::{tail}", f"::ffff:0:{tail}", f"64:ff9b::{tail}", f"64:ff9b:1::{tail}",
        f"2002:{tail}::1",
    ]  # fmt: skip


def spellings(four: str) -> list[str]:
    """What a system's resolver may take for an IPv4 address, beside its usual form."""
    a, b, c, d = (int(part) for part in four.split("."))
    number = int(ipaddress.IPv4Address(four))
    return [
        str(number), hex(number), f"0{number:o}", f"{a}.{b * 65_536 + c * 256 + d}", f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{four}.",
    ]  # fmt: skip


NESTED = [carrier for four in INWARD_4 for carrier in carriers(four)]
LITERALS = [*INWARD_4, *INWARD_6, *NESTED, *(carrier for public in PUBLIC[:2] for carrier in carriers(public))]
MALFORMED = (
    "", "x", "https://", "https:///path", "//example.com/", "ftp://example.com/", "file:///etc/passwd",
    "http://example.com/", "https://user@example.com/", "https://user:pass@example.com/", "https://:@example.com/",
    "https://example.com/#", "https://example.com/#x", "https://example.com:0/", "https://example.com:99999/",
    "https://example.com:port/", "https://exa mple.com/", "https://example.com/\n", "https://example.com\\@10.0.0.1/",
    "https://localhost/", "https://intranet/", "https://localhost.", "https://[::1", "https://[fe80::1%25eth0]/",
    "https://\uff11\uff12\uff17.0.0.1/", "https://example\u3002com/", "javascript:alert(1)", "gopher://example.com/",
    f"https://example.com/{'a' * 2048}",
)  # fmt: skip


class Watched(Outbound):
    """Counts what it would connect to."""

    def __init__(self, answers: Sequence[str] = (), **options: object) -> None:
        async def resolve(host: str, port: int) -> Sequence[str]:
            return answers

        super().__init__(resolve=resolve, **options)  # type: ignore[arg-type]  # a test's shorthand
        self.reached: list[str] = []

    async def _post(
        self, destination: Destination, addresses: Sequence[str], body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        self.reached += addresses
        return Answer(204, None, b"")


def test_the_corpus_is_large_enough() -> None:
    assert len(set(LITERALS)) + len(MALFORMED) + len(spellings("127.0.0.1")) * len(INWARD_4) > 300


@pytest.mark.parametrize("text", LITERALS)
async def test_an_inward_address_is_refused_as_it_stands_and_as_an_answer(text: str) -> None:
    host = f"[{text}]" if ":" in text else text
    with pytest.raises(UnsafeAddress):
        parse_destination(f"https://{host.replace('%', '%25')}/hook")
    for answers in ([text], ["8.8.8.8", text], [text, "8.8.8.8"]):
        outbound = Watched(answers)
        with pytest.raises(UnsafeAddress):
            await outbound.post("https://agents.example.com/hook", b"", {})
        assert outbound.reached == []


@pytest.mark.parametrize(("four", "at"), list(product(INWARD_4, range(len(spellings("127.0.0.1"))))))
async def test_another_spelling_of_an_inward_address_is_refused(four: str, at: int) -> None:
    # Where the text alone does not tell, the system's own look-up says what it would connect to.
    outbound = Watched([four])
    with pytest.raises(UnsafeAddress):
        await outbound.post(f"https://{spellings(four)[at]}/hook", b"", {})
    assert outbound.reached == []


@pytest.mark.parametrize("text", MALFORMED)
def test_a_url_that_is_none_of_the_public_web_is_refused(text: str) -> None:
    with pytest.raises(UnsafeAddress) as refused:
        parse_destination(text)
    assert (refused.value.code, refused.value.param) == ("invalid_webhook_url", "delivery.url")


@pytest.mark.parametrize("address", PUBLIC)
async def test_a_public_address_is_called(address: str) -> None:
    outbound = Watched([address])
    assert (await outbound.post("https://agents.example.com:8443/hook?a=b", b"", {})).status == 204
    assert outbound.reached == [address]
    refuse_inward(ipaddress.ip_address(address))


async def test_a_name_that_changes_its_meaning_is_called_where_it_was_checked() -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])

    async def rebind(host: str, port: int) -> Sequence[str]:
        return next(answers)

    outbound = Watched()
    outbound._resolve = rebind
    await outbound.post("https://agents.example.com/", b"", {})
    with pytest.raises(UnsafeAddress):
        await outbound.post("https://agents.example.com/", b"", {})
    assert outbound.reached == ["8.8.8.8"]


@pytest.mark.parametrize("found", [[], ["not an address"]])
async def test_an_answer_that_is_none_leads_nowhere(found: list[str]) -> None:
    outbound = Watched(found)
    with pytest.raises((CallFailed, UnsafeAddress)):
        await outbound.post("https://agents.example.com/", b"", {})
    assert outbound.reached == []


async def test_loopback_is_called_only_where_it_is_allowed() -> None:
    for url in ("http://127.0.0.1:9/", "https://[::1]:9/", "http://localhost:9/"):
        with pytest.raises(UnsafeAddress):
            parse_destination(url)
        parse_destination(url, allow_loopback=True)
    for url in ("http://example.com/", "http://10.0.0.1/", "https://192.168.0.1/", "https://[::ffff:127.0.0.1]/"):
        with pytest.raises(UnsafeAddress):
            parse_destination(url, allow_loopback=True)
    elsewhere = Watched(["8.8.8.8"], allow_loopback=True)
    with pytest.raises(UnsafeAddress):
        await elsewhere.post("http://localhost/", b"", {})


# --- against a real server --------------------------------------------------------------------------------


@asynccontextmanager
async def serving(handle: object) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)  # type: ignore[arg-type]  # a test's handlers
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_redirect_is_not_followed() -> None:
    seen: list[str] = []

    async def redirect(http_request: web.Request) -> web.Response:
        seen.append(http_request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with serving(redirect) as base:
        answer = await Outbound(allow_loopback=True).post(f"{base}/hook", b"{}", {})
    assert (answer.status, seen) == (307, ["/hook"])


async def test_what_is_sent_is_sent_as_it_is() -> None:
    got: list[tuple[bytes, str | None]] = []

    async def take(http_request: web.Request) -> web.Response:
        got.append((await http_request.read(), http_request.headers.get("webhook-id")))
        return web.Response(status=429, headers={"Retry-After": "7"}, text="later")

    async with serving(take) as base:
        answer = await Outbound(allow_loopback=True).post(f"{base}/hook?x=%2F", b'{"a":1}', {"webhook-id": "m1"})
    assert (answer.status, answer.retry_after, answer.body) == (429, "7", b"later")
    assert got == [(b'{"a":1}', "m1")]


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async def pour(http_request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(http_request)
        for _ in range(1000):
            await response.write(b"x" * MAX_ANSWER_BYTES)
        return response

    async with serving(pour) as base:
        assert (await Outbound(allow_loopback=True).post(base, b"", {})).body is None


async def test_a_receiver_that_never_answers_is_given_up() -> None:
    hold = asyncio.Event()

    async def wait(http_request: web.Request) -> web.Response:
        await hold.wait()
        return web.Response()

    async with serving(wait) as base:
        with pytest.raises(CallFailed, match="timeout"):
            await Outbound(allow_loopback=True, patience=timedelta(seconds=0.1)).post(base, b"", {})
        hold.set()


async def test_only_so_many_calls_run_at_once_to_one_host() -> None:
    hold, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def wait(http_request: web.Request) -> web.Response:
        begun.release()
        await hold.wait()
        return web.Response()

    async with serving(wait) as base:
        outbound = Outbound(allow_loopback=True)
        calls = [asyncio.ensure_future(outbound.post(base, b"", {})) for _ in range(AT_ONCE_TO_A_HOST)]
        for _ in calls:
            await begun.acquire()
        with pytest.raises(Busy):
            await outbound.post(base, b"", {})
        hold.set()
        assert [(await call).status for call in calls] == [200] * AT_ONCE_TO_A_HOST
        assert (await outbound.post(base, b"", {})).status == 200


async def test_only_so_many_calls_run_at_once_to_one_address_by_whatever_names() -> None:
    hold, begun = asyncio.Event(), asyncio.Semaphore(0)

    class Holding(Watched):
        async def _post(self, *args: object) -> Answer:  # type: ignore[override]
            begun.release()
            await hold.wait()
            return Answer(204, None, b"")

    turn = iter(range(1000))

    async def resolve(host: str, port: int) -> Sequence[str]:
        # Its name server puts another address first each time, so that none seems to be called twice.
        return [f"8.8.8.{next(turn) + 100}", "8.8.4.4"]

    outbound = Holding()
    outbound._resolve = resolve
    calls = [
        asyncio.ensure_future(outbound.post(f"https://{at}.example.com/", b"", {}))
        for at in range(AT_ONCE_TO_AN_ADDRESS)
    ]
    for _ in calls:
        await begun.acquire()
    with pytest.raises(Busy):
        await outbound.post("https://more.example.com/", b"", {})
    hold.set()
    await asyncio.gather(*calls)
    assert not outbound._turns.running


async def test_a_name_server_that_never_answers_holds_up_neither_others_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on, asked = threading.Event(), []

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host.startswith("slow"):
            go_on.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]

    monkeypatch.setattr("handlers.outbound.socket.getaddrinfo", getaddrinfo)

    class Reaching(Outbound):
        async def _post(self, *args: object) -> Answer:  # type: ignore[override]
            return Answer(204, None, b"")

    outbound = Reaching(patience=timedelta(seconds=0.05))
    for _ in range(3):  # one that is slow is asked once, however often it is wanted
        with pytest.raises(CallFailed, match="timeout"):
            await outbound.post("https://slow.example.com/", b"", {})
    assert asked == ["slow.example.com"]
    for at in range(LOOK_UPS_AT_ONCE - 2):
        with contextlib.suppress(CallFailed):
            await Reaching(patience=timedelta(0), resolve=outbound._resolve).post(
                f"https://slow{at}.example.com/", b"", {}
            )
    assert (await outbound.post("https://quick.example.com/", b"", {})).status == 204
    with contextlib.suppress(CallFailed):
        await outbound.post("https://slow-last.example.com/", b"", {})
    with pytest.raises(Busy):
        await outbound.post("https://quick.example.com/", b"", {})
    held = [thread for thread in threading.enumerate() if thread.name == "look-up"]
    assert len(held) == LOOK_UPS_AT_ONCE
    assert all(thread.daemon for thread in held)
    go_on.set()
    for thread in held:
        thread.join(20)
    await asyncio.sleep(0)
    assert (await Reaching(resolve=outbound._resolve).post("https://slow.example.com/", b"", {})).status == 204


@pytest.mark.parametrize(
    ("speech", "code"),
    [(b"", "broken_answer"), (b"HTTP/1.1 banana\r\n\r\n", "broken_answer"), (b"SSH-2.0-x\r\n", "broken_answer")],
)
async def test_what_is_no_http_is_a_failure(speech: bytes, code: str) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(speech)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(CallFailed, match=code):
            await Outbound(allow_loopback=True).post(f"http://127.0.0.1:{port}/", b"", {})


@pytest.mark.parametrize(
    "header",
    [
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
        "Mon, 01 Jan 2024 99999999999999999999:00:00 GMT",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "soon",
        "",
        "\u00b2",
    ],
)
def test_a_time_to_be_left_alone_that_is_none_is_passed_over(header: str) -> None:
    """It comes from the other end: no header may keep what failed from being put off."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert parse_retry_after(Answer(429, header, b""), now) == timedelta(0)


async def test_nobody_there_and_no_such_name_are_failures() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(CallFailed, match="not_connected"):
        await Outbound(allow_loopback=True).post(f"http://127.0.0.1:{port}/", b"", {})

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(CallFailed, match="host_unknown"):
        await Outbound(resolve=unknown).post("https://agents.example.com/", b"", {})


# --- addresses of the operator's ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://pager.internal/hook", "https://10.1.2.3:8443/", "https://[fd12::1]/x?token=1", "https://intranet/",
        "http://127.0.0.1:9/", "http://localhost:9/x", "http://[::1]:9/",
    ],
)  # fmt: skip
def test_an_address_of_the_operators_may_lead_inward(url: str) -> None:
    assert str(parse_operator_destination(url).url) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "pager.internal", "http://pager.internal/", "http://10.0.0.1/", "ftp://10.0.0.1/", "https:///x",
        "https://user:s3cret@pager.internal/", "https://pager.internal/#x", "https://pager.internal/ x", "https://x:0/",
    ],
)  # fmt: skip
def test_an_operators_address_is_still_an_address_and_https(url: str) -> None:
    with pytest.raises(BadAddress) as refused:
        parse_operator_destination(url)
    assert "s3cret" not in str(refused.value)


async def test_plain_http_never_leaves_this_machine_whatever_localhost_stands_for() -> None:
    async def elsewhere(host: str, port: int) -> Sequence[str]:
        return ["10.0.0.1"]

    with pytest.raises(BadAddress):
        await OperatorOutbound(resolve=elsewhere).post("http://localhost:9/", b"", {})


async def test_an_operators_address_is_called_and_its_answer_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    seen: list[tuple[str, str, bytes]] = []

    async def take(http_request: web.Request) -> web.Response:
        seen.append((http_request.method, http_request.path_qs, await http_request.read()))
        if http_request.path == "/moved":
            raise web.HTTPFound("/elsewhere")
        return web.Response(body=b"x" * 100)

    async with serving(take) as base:
        outbound = OperatorOutbound()
        assert (await outbound.post(f"{base}/hook", b"{}", {})).body == b"x" * 100
        assert (await outbound.get(f"{base}/feed?token=1", most_bytes=99)).body is None
        assert (await outbound.get(f"{base}/moved")).status == 302
    assert seen == [("POST", "/hook", b"{}"), ("GET", "/feed?token=1", b""), ("GET", "/moved", b"")]
