"""How payloads reach the app: sockets and envelopes, signed HTTP, and what is sent again."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from playground import Fault, Playground
from playground.faults import Kind
from tests.unit.playground_server.conftest import Opener, ToyApp, client_of
from tests.unit.playground_server.helpers import post, refused
from tests.unit.playground_server.shapes import modal

Json = dict[str, Any]


class RawSocket:
    """A Socket Mode client by hand, to see the envelopes themselves."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def next(self) -> Json:
        message: Json = await self.socket.receive_json(timeout=2)
        return message

    async def ack(self, envelope: Json, payload: Json | None = None) -> None:
        answer: Json = {"envelope_id": envelope["envelope_id"]}
        await self.socket.send_json(answer | ({"payload": payload} if payload else {}))


@pytest.fixture
async def open_socket(slack: Playground) -> AsyncIterator[Callable[[], Any]]:
    async with aiohttp.ClientSession() as session:

        async def open_() -> RawSocket:
            answer = await client_of(slack).apps_connections_open(app_token=slack.app_token)
            return RawSocket(await session.ws_connect(answer["url"]))

        yield open_


async def test_hello_and_envelopes(slack: Playground, open_socket: Callable[[], Any]) -> None:
    socket = await open_socket()
    hello = await socket.next()
    assert (hello["type"], hello["num_connections"]) == ("hello", 1)
    assert hello["connection_info"] == {"app_id": slack.settings.app_id}
    slack.workspace.dm("U0ALICE")
    doing = asyncio.ensure_future(slack.slash("U0ALICE", "C0REFUNDS", "/signoff help"))
    envelope = await socket.next()
    assert (envelope["type"], envelope["accepts_response_payload"]) == ("slash_commands", True)
    assert envelope["payload"]["text"] == "help"
    await socket.ack(envelope, {"text": "here"})
    assert (await doing).text == "here"
    opening = asyncio.ensure_future(slack.open_home("U0ALICE"))
    envelope = await socket.next()
    assert (envelope["type"], envelope["accepts_response_payload"]) == ("events_api", False)
    await socket.ack(envelope)
    assert (await opening).ok


async def test_a_ticket_opens_one_socket(slack: Playground) -> None:
    url = (await client_of(slack).apps_connections_open(app_token=slack.app_token))["url"]
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url):
            await slack.until(lambda: slack.connections == 1)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)
    await slack.until(lambda: slack.connections == 0)


async def test_at_most_ten_sockets(slack: Playground, open_socket: Callable[[], Any]) -> None:
    sockets = [await open_socket() for _ in range(10)]
    assert [(await s.next())["num_connections"] for s in sockets] == list(range(1, 11))
    eleventh = await open_socket()
    assert (await eleventh.next())["reason"] == "too_many_websockets"
    assert slack.connections == 10


async def test_a_payload_goes_to_one_of_the_sockets(slack: Playground, open_socket: Callable[[], Any]) -> None:
    sockets = [await open_socket() for _ in range(3)]
    got = [0, 0, 0]

    async def serve(number: int) -> None:
        while True:
            envelope = await sockets[number].next()
            if "envelope_id" in envelope:
                got[number] += 1
                await sockets[number].ack(envelope)

    serving = [asyncio.ensure_future(serve(n)) for n in range(3)]
    await slack.until(lambda: slack.connections == 3)
    for _ in range(6):
        assert (await slack.slash("U0ALICE", "C0REFUNDS", "/signoff")).ok
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    assert got == [2, 2, 2]


async def test_pings_are_echoed(slack: Playground, open_socket: Callable[[], Any]) -> None:
    url = (await client_of(slack).apps_connections_open(app_token=slack.app_token))["url"]
    async with aiohttp.ClientSession() as session, session.ws_connect(url, autoping=False) as socket:
        await socket.receive()
        await socket.ping(b"sdk-ping-pong:1.5")
        pong = await socket.receive(timeout=2)
        assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"sdk-ping-pong:1.5")


async def test_what_a_broken_socket_did_not_acknowledge_is_sent_again(
    slack: Playground, open_socket: Callable[[], Any]
) -> None:
    first = await open_socket()
    await first.next()
    clicking = asyncio.ensure_future(slack.slash("U0ALICE", "C0REFUNDS", "/signoff"))
    envelope = await first.next()
    await slack.drop_sockets()
    second = await open_socket()
    await second.next()
    again = await second.next()
    assert again == envelope
    await second.ack(again)
    assert (await clicking).ok


def begin_to_close(slack: Playground) -> None:
    for connection in slack.sockets._connections:
        assert connection.http_request.transport is not None
        connection.http_request.transport.close()


async def test_a_closing_socket_is_not_told_to_go(slack: Playground, open_socket: Callable[[], Any]) -> None:
    await (await open_socket()).next()
    begin_to_close(slack)
    await slack.disconnect("warning")
    assert slack.connections == 0


async def test_what_a_closing_socket_does_not_take_goes_to_the_next(
    slack: Playground, open_socket: Callable[[], Any]
) -> None:
    first = await open_socket()
    await first.next()
    begin_to_close(slack)  # nobody has noticed yet when the command comes

    async def open_another() -> None:
        second = await open_socket()
        await second.next()
        await second.ack(await second.next())

    opening = asyncio.ensure_future(open_another())
    assert (await slack.slash("U0ALICE", "C0REFUNDS", "/signoff")).ok
    await opening


@pytest.mark.parametrize(("kind", "seen"), [("drop", 1), ("lost", 2)])
async def test_a_line_that_breaks_before_or_after_the_app_has_the_envelope(
    slack: Playground, open_socket: Callable[[], Any], kind: Kind, seen: int
) -> None:
    fault = slack.faults.add(Fault(kind, methods="socket", times=1))
    got: list[Json] = []

    async def serve() -> None:
        socket = await open_socket()
        await socket.next()
        async for message in socket.socket:
            got.append(message.json())
            await socket.ack(got[-1], {"text": f"answer {len(got)}"})

    serving = [asyncio.ensure_future(serve()) for _ in range(2)]
    await slack.until(lambda: slack.connections == 2)
    assert (await slack.slash("U0ALICE", "C0REFUNDS", "/signoff")).text == f"answer {seen}"
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    assert (fault.struck, len(got)) == (1, seen)
    assert all(one == got[0] for one in got)


async def test_an_envelope_that_is_held_back_is_overtaken(slack: Playground, open_socket: Callable[[], Any]) -> None:
    socket = await open_socket()
    await socket.next()
    slack.faults.add(Fault("500"))  # of all methods, which an envelope is not
    held = slack.faults.add(Fault("slow", methods="socket", times=1))
    doing = [asyncio.ensure_future(slack.slash("U0ALICE", "C0REFUNDS", f"/signoff {n}")) for n in range(2)]
    texts = []
    for _ in doing:
        envelope = await socket.next()
        texts.append(envelope["payload"]["text"])
        await socket.ack(envelope)
        held.release()
    assert [ack.ok for ack in await asyncio.gather(*doing)] == [True, True]
    assert texts == ["1", "0"]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_the_sdk_reconnects_when_asked(slack: Playground, toy: ToyApp, reason: str) -> None:
    async def command(ack: Any) -> None:
        await ack("still here")

    toy.app.command("/signoff")(command)
    await toy.connect()
    await slack.disconnect(reason)
    await slack.until(lambda: len(slack.calls_of("apps.connections.open")) == 2)
    await slack.until(lambda: slack.connections == 1)
    assert (await slack.slash("U0ALICE", "C0REFUNDS", "/signoff")).text == "still here"


async def test_an_event_that_is_not_acknowledged_comes_again(
    open_playground: Opener, make_app: Callable[[Playground], ToyApp]
) -> None:
    slack = await open_playground(ack_seconds=0.05)
    async with aiohttp.ClientSession() as session:
        url = (await client_of(slack).apps_connections_open(app_token=slack.app_token))["url"]
        socket = RawSocket(await session.ws_connect(url))
        await socket.next()
        ack = await slack.open_home("U0ALICE")
        assert (ack.ok, ack.error) == (False, "timeout")
        first, second = await socket.next(), await socket.next()
        assert "retry_attempt" not in first or first["retry_attempt"] == 0
        assert (second["retry_attempt"], second["retry_reason"]) == (1, "http_timeout")
        assert first["payload"]["event_id"] == second["payload"]["event_id"]
        repeating = asyncio.ensure_future(slack.events.redeliver())
        third = await socket.next()
        assert third["retry_attempt"] == 2
        await socket.ack(third)
        assert [ack.ok for ack in await repeating] == [True]
        assert slack.events.undelivered == []


async def test_signatures_over_http(slack: Playground) -> None:
    received: list[tuple[Any, bytes]] = []

    async def take(http_request: web.Request) -> web.Response:
        received.append((http_request.headers.copy(), await http_request.read()))
        return web.Response(status=500 if len(received) == 3 else 200)

    server = web.Application()
    server.router.add_post("/slack/events", take)
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    await slack.slash("U0ALICE", "C0REFUNDS", "/signoff help")
    await slack.deliver({"type": "block_actions", "actions": []})
    ack = await slack.open_home("U0ALICE")
    await runner.cleanup()
    assert ack.ok
    for headers, body in received:
        stamp = headers["X-Slack-Request-Timestamp"]
        assert abs(time.time() - int(stamp)) < 5
        digest = hmac.new(slack.signing_secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256)
        assert headers["X-Slack-Signature"] == f"v0={digest.hexdigest()}"
    command, interaction, event, repeated = received
    assert parse_qs(command[1].decode())["text"] == ["help"]
    assert json.loads(parse_qs(interaction[1].decode())["payload"][0]) == {"type": "block_actions", "actions": []}
    assert event[0]["Content-Type"] == "application/json"
    assert json.loads(event[1])["event"]["type"] == "app_home_opened"
    assert "X-Slack-Retry-Num" not in event[0]
    assert (repeated[0]["X-Slack-Retry-Num"], repeated[0]["X-Slack-Retry-Reason"]) == ("1", "http_error")
    assert repeated[1] == event[1]


async def test_bolt_refuses_a_forged_signature(slack: Playground, toy: ToyApp) -> None:
    async def command(ack: Any) -> None:
        await ack()

    toy.app.command("/signoff")(command)
    await toy.listen()
    assert slack.request_url is not None
    content_type, body = slack.encode(slack.slash_payload("U0ALICE", "C0REFUNDS", "/signoff"))
    good = slack.sign(body)
    forged = {**good, "X-Slack-Signature": "v0=" + "0" * 64}
    async with aiohttp.ClientSession(headers={"Content-Type": content_type}) as session:
        for headers, status in [
            (good, 200),
            (forged, 401),
            (slack.sign(body, int(time.time()) - 301), 401),
            (slack.sign(body + b"&"), 401),
        ]:
            async with session.post(slack.request_url, data=body, headers=headers) as answer:
                assert answer.status == status


async def test_the_clock_people_see_does_not_sign(open_playground: Opener) -> None:
    slack = await open_playground(now=lambda: datetime(2030, 1, 1, tzinfo=UTC))
    assert abs(time.time() - int(slack.sign("x")["X-Slack-Request-Timestamp"])) < 5
    message = await post(slack)
    assert message.ts.startswith("1893456000.")


async def test_foreign_pages_are_refused(slack: Playground) -> None:
    good = {"Authorization": f"Bearer {slack.bot_token}"}
    async with aiohttp.ClientSession(headers=good) as session:
        for headers, status in [
            ({}, 200),
            ({"Origin": slack.base_url}, 200),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": slack.base_url.replace("http:", "https:")}, 403),
            ({"Origin": slack.base_url.rsplit(":", 1)[0] + ":1"}, 403),
            ({"Host": "evil.example"}, 403),
            ({"Host": "evil.example:80"}, 403),
        ]:
            async with session.post(slack.api_url + "auth.test", headers=headers) as answer:
                assert answer.status == status, headers


async def test_stops_while_everything_is_in_flight(
    open_playground: Opener, make_app: Callable[[Playground], ToyApp]
) -> None:
    slack = await open_playground()
    toy = make_app(slack)
    never = asyncio.Event()

    async def approve(ack: Any) -> None:
        await never.wait()

    toy.app.action("approve")(approve)
    await toy.connect()
    message = await post(slack)
    clicking = asyncio.ensure_future(slack.click("U0ALICE", "C0REFUNDS", message.ts, "approve"))
    await slack.until(lambda: toy.seen)
    await toy.close()
    started = time.monotonic()
    await slack.stop()
    assert time.monotonic() - started < 1
    clicking.cancel()
    await asyncio.gather(clicking, return_exceptions=True)
    never.set()


async def test_an_app_without_the_scope_gets_no_socket(open_playground: Opener) -> None:
    slack = await open_playground(app_scopes=frozenset())
    client = client_of(slack)
    await refused(client.apps_connections_open(app_token=slack.app_token), "missing_scope")


async def test_a_view_opened_in_time(slack: Playground, toy: ToyApp) -> None:
    """The whole way round in Socket Mode: click, trigger, modal, well within Slack's three seconds."""

    async def approve(ack: Any, body: Json, client: AsyncWebClient) -> None:
        await client.views_open(trigger_id=body["trigger_id"], view=modal())
        await ack()

    toy.app.action("approve")(approve)
    await toy.connect()
    message = await post(slack)
    assert (await slack.click("U0ALICE", "C0REFUNDS", message.ts, "approve")).ok
    assert len(slack.modals("U0ALICE")) == 1
