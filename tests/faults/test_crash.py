"""The process is killed, with -9, at the worst moments; the next one knows and does what was promised."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from playground import Ack, Fault, Playground, PlaygroundSettings
from playground.model import Message
from tests.faults.rounds import seeds
from tests.scenario.process_support import Site, Starter, site_at
from tests.scenario.service_support import MODES, assert_sound, cards, payload_of, playing
from tests.waiting import until, within

PATIENT = PlaygroundSettings(ack_seconds=20)  # so that Slack still waits for the acknowledgement after a restart


@pytest.fixture
async def slack() -> AsyncIterator[Playground]:
    async with playing(PATIENT) as slack:
        yield slack


@pytest.fixture(params=MODES)
async def site(
    request: pytest.FixtureRequest, starter: Starter, slack: Playground, database: Path
) -> AsyncIterator[Site]:
    async with site_at(starter, slack, database, mode=request.param) as site:
        yield site
    assert_sound(database)


@pytest.fixture
async def in_socket_mode(starter: Starter, slack: Playground, database: Path) -> AsyncIterator[Site]:
    async with site_at(starter, slack, database) as site:
        yield site
    assert_sound(database)


async def kill_once(site: Site, condition: str) -> None:
    """Kill the process at the moment a row of ``condition`` can be seen in the database."""
    async with asyncio.timeout(10):
        while not site.rows(condition):  # noqa: ASYNC110  another process commits it and tells nobody
            await asyncio.sleep(0)
    await site.kill()


# --- a click ----------------------------------------------------------------------------------------------


class DeafRelay:
    """Stands between Slack and the bot, hands on what Slack says, and hears no answer: the process dies first."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.heard = asyncio.Event()

    async def __aenter__(self) -> "DeafRelay":
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self._site.slack.request_url = f"http://127.0.0.1:{port}/slack/events"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection("127.0.0.1", self._site.port)

        async def hand_on() -> None:
            while said := await reader.read(65536):
                out.write(said)

        handing_on = asyncio.ensure_future(hand_on())
        await there.read(1)  # the acknowledgement has left the bot, and gets no further
        await self._site.kill()
        self.heard.set()
        handing_on.cancel()
        for stream in (out, writer):
            stream.close()


async def test_a_decision_whose_acknowledgement_never_arrives_is_kept(
    starter: Starter, slack: Playground, database: Path
) -> None:
    async with site_at(starter, slack, database, mode="http") as site:
        await site.start()
        await site.ask()
        card = await site.card()
        async with DeafRelay(site) as relay:
            ack = await slack.click("U0ALICE", card.channel, card.ts, "approve")
            await within(relay.heard.wait())
        assert not ack.ok
        assert site.rows("SELECT status FROM requests") == [("approved",)]
        await site.start()
        await assert_approved_once(site, ack)
    assert_sound(database)


async def test_a_click_that_is_committed_when_the_process_dies_is_kept(site: Site) -> None:
    """Killed as soon as another process can see the decision. In Socket Mode Slack sends the click to the next one."""
    await site.start()
    await site.ask()
    card = await site.card()
    clicking = asyncio.ensure_future(site.slack.click("U0ALICE", card.channel, card.ts, "approve"))
    await kill_once(site, "SELECT 1 FROM requests WHERE status = 'approved'")
    await site.start()
    await assert_approved_once(site, await within(clicking))


async def assert_approved_once(site: Site, ack: Ack) -> None:
    """The decision stands, the card shows it, and what Slack repeats changes nothing."""
    slack = site.slack
    await site.until_delivered()
    (card,) = slack.messages("C0REFUNDS")
    assert "approve" not in card.action_ids()
    assert "U0ALICE" in card.all_text()
    assert ack.sent is not None
    assert (await slack.deliver(ack.sent)).ok  # the same act: not told that it comes too late
    assert slack.modals("U0ALICE") == []
    assert site.rows("SELECT status, decided_by FROM requests") == [("approved", "U0ALICE")]
    assert site.rows("SELECT count(*) FROM votes") == [(1,)]
    assert len(slack.messages("C0REFUNDS")) == 1


# --- a card -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault("slow", methods="chat.postMessage"),
        Fault("slow", methods="chat.postMessage", after_effect=True),
        Fault("lost", methods="chat.postMessage", times=1),
        Fault("drop", methods="chat.postMessage", times=1),
    ],
    ids=["not-posted", "posted-not-answered", "answer-lost", "dropped"],
)
async def test_a_card_under_way_when_the_process_dies_is_there_once(in_socket_mode: Site, fault: Fault) -> None:
    site, slack = in_socket_mode, in_socket_mode.slack
    await site.start()
    slack.faults.add(fault)
    request_id = await site.ask()
    if fault.kind == "slow":
        await slack.until(lambda: fault.held)
    else:
        await slack.until(lambda: fault.struck)
    await site.kill()
    slack.faults.clear()
    assert site.rows("SELECT state FROM cards") == [("posting",)]
    await site.start()
    card = await site.card()
    await site.until_delivered()
    assert [payload_of(message)["request_id"] for message in slack.messages("C0REFUNDS")] == [request_id]
    await slack.click("U0ALICE", card.channel, card.ts, "approve")
    await slack.until(lambda: "approve" not in slack.message(card.channel, card.ts).action_ids())
    assert site.rows("SELECT status FROM requests") == [("approved",)]


async def test_a_redrawing_under_way_when_the_process_dies_is_done_after_all(in_socket_mode: Site) -> None:
    site, slack = in_socket_mode, in_socket_mode.slack
    await site.start()
    await site.ask()
    card = await site.card()
    fault = slack.faults.add(Fault("slow", methods="chat.update"))
    await slack.click("U0ALICE", card.channel, card.ts, "approve")
    await slack.until(lambda: fault.held)
    await site.kill()
    slack.faults.clear()
    assert "approve" in slack.message(card.channel, card.ts).action_ids()
    await site.start()
    await slack.until(lambda: "approve" not in slack.message(card.channel, card.ts).action_ids())
    await site.until_delivered()
    assert len(slack.messages("C0REFUNDS")) == 1


async def test_a_queue_card_under_way_when_the_process_dies_is_there_once(in_socket_mode: Site) -> None:
    """Killed between its posting and our record of it."""
    site, slack = in_socket_mode, in_socket_mode.slack

    def queue_cards() -> list[Message]:
        return [one for one in slack.messages("C0REFUNDS") if "queue_list" in one.action_ids()]

    await site.start()
    slack.faults.add(Fault("slow", methods="chat.postMessage", after_effect=True))
    asked = set(await asyncio.gather(*(site.ask(f"k{at}") for at in range(20))))
    await slack.until(queue_cards, timeout=20)
    await site.kill()
    slack.faults.clear()
    assert site.rows("SELECT state FROM queues") == [("posting",)]
    await site.start()
    await site.until_delivered()
    (message,) = queue_cards()
    own = [payload_of(one)["request_id"] for one in slack.messages("C0REFUNDS") if one.ts != message.ts]
    assert len(own) == len(set(own))
    listed = site.rows("SELECT requests.id FROM requests JOIN cards ON request_number = number WHERE place = 'queue'")
    assert asked == {*own, *(row[0] for row in listed)}
    value = message.element("queue_review")["value"]
    assert (await slack.click("U0ALICE", message.channel, message.ts, "queue_review")).ok
    await slack.until(lambda: [view for view in slack.modals("U0ALICE") if f"Review #{value}" in view.all_text()])


# --- agents -----------------------------------------------------------------------------------------------


class Load:
    """Several clients that make requests one after the other, and remember what they were promised."""

    def __init__(self, site: Site, seed: int, clients: int = 6) -> None:
        self._site = site
        self._random = random.Random(seed)
        self._seed = seed
        self._clients = clients
        self.promised: dict[str, str] = {}
        """The ids of the requests that were answered, by key."""
        self.sent: dict[str, dict[str, Any]] = {}
        self.enough = asyncio.Event()
        self._wanted = self._random.randint(5, 120)

    async def run(self) -> None:
        """Make requests until nobody answers any more."""
        await asyncio.gather(*(self._ask(client) for client in range(self._clients)))

    async def _ask(self, client: int) -> None:
        for at in range(10_000):
            key = f"{self._seed}-{client}-{at}"
            # Few for people to decide: a channel takes about one card a second.
            tool = "issue_refund" if (client, at) == (0, 3) else "look_up"
            self.sent[key] = {"tool": tool, "arguments": {"key": key}, "timeout": "10m"}
            try:
                status, answer = await self._site.send("POST", "/v1/requests", self.sent[key], key=key)
            except (aiohttp.ClientError, OSError):
                return
            assert status == 201
            self.promised[key] = answer["id"]
            if len(self.promised) >= self._wanted:
                self.enough.set()


@seeds(3)
async def test_what_agents_were_promised_survives_a_kill_under_load(in_socket_mode: Site, seed: int) -> None:
    site = in_socket_mode
    await site.start()
    load = Load(site, seed)
    working = asyncio.ensure_future(load.run())
    await within(load.enough.wait())
    await site.kill()
    await within(working)
    assert_sound(site.path)
    stored = dict(site.rows("SELECT create_key, id FROM requests"))
    assert load.promised.items() <= stored.items()

    await site.start()
    for key, body in load.sent.items():
        status, answer = await site.send("POST", "/v1/requests", body, key=key)
        assert (status, answer["id"]) == (200, stored[key]) if key in stored else status == 201
    assert site.rows("SELECT count(*) FROM requests") == [(len(load.sent),)]
    await site.until_delivered()
    pending = {request_id for (request_id,) in site.rows("SELECT id FROM requests WHERE status = 'pending'")}
    posted = [payload_of(card)["request_id"] for card in cards(site.slack)]
    assert sorted(posted) == sorted(pending)


@seeds(2)
async def test_an_approval_is_consumed_once_though_the_process_is_killed(in_socket_mode: Site, seed: int) -> None:
    site = in_socket_mode
    await site.start()
    body = {"tool": "look_up", "arguments": {}, "timeout": "10m"}
    ids = [(await site.send("POST", "/v1/requests", body, key=f"k{at}"))[1]["id"] for at in range(40)]
    consumed: dict[str, int] = {}

    async def consume(client: int) -> None:
        for at, request_id in enumerate(ids):
            try:
                status, _ = await site.send("POST", f"/v1/requests/{request_id}/consume", key=f"c{client}")
            except (aiohttp.ClientError, OSError):
                return
            if status == 200:
                assert consumed.setdefault(request_id, client) == client
            else:
                assert status == 409
            if at == stop_at:
                reached.set()

    stop_at = random.Random(seed).randrange(1, 30)
    reached = asyncio.Event()
    working = asyncio.gather(*(consume(client) for client in range(4)))
    await within(reached.wait())
    await site.kill()
    await within(working)
    await site.start()
    await within(asyncio.gather(*(consume(client) for client in range(4))))
    keys = dict(site.rows("SELECT id, consume_key FROM requests"))
    assert {request_id: f"c{client}" for request_id, client in consumed.items()} == keys
    assert site.rows("SELECT count(*) FROM events WHERE type = 'request.consumed'") == [(40,)]


@seeds(2)
async def test_a_service_killed_while_it_starts_starts_again(in_socket_mode: Site, seed: int) -> None:
    site = in_socket_mode
    await site.start()
    request_id = await site.ask()
    await site.card()
    await site.kill()
    chance = random.Random(seed)
    for _ in range(3):
        await site.start(waits_for_slack=False)
        await asyncio.sleep(chance.uniform(0, 0.02))  # somewhere between serving and standing
        await site.kill()
    await site.start()
    await site.until_delivered()
    assert [payload_of(card)["request_id"] for card in site.slack.messages("C0REFUNDS")] == [request_id]
    await until(lambda: site.slack.connections == 1)
