"""SIGTERM: who waits is answered, what is under way is finished, and the process is gone within two seconds."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from playground import Fault, Playground
from tests.scenario.process_support import Relay, Site, Starter, many_files, site_at
from tests.scenario.service_support import MODES, assert_sound, cards, payload_of
from tests.waiting import until, within

SIGNOFF = Path(sys.executable).with_name("signoff")
POLLS = 1000
MOST_SECONDS = 2.0
LOOK_UP = {"tool": "look_up", "arguments": {}, "timeout": "10m"}


@pytest.fixture
async def site(starter: Starter, slack: Playground, database: Path) -> AsyncIterator[Site]:
    async with site_at(starter, slack, database) as site:
        yield site
    assert_sound(database)


async def test_a_thousand_waiting_agents_are_answered_within_two_seconds(site: Site) -> None:
    with many_files(3 * POLLS):
        for attempt in range(2):  # a second chance on a machine that is busy with something else
            seconds = await stop_under_polls(site, attempt)
            if seconds <= MOST_SECONDS:
                break
    assert seconds <= MOST_SECONDS


async def stop_under_polls(site: Site, attempt: int) -> float:
    """Hold the polls, and creates under way, and stop; returns how long it took."""
    await site.start()
    request_id = await site.ask(f"k{attempt}")
    await site.card()
    polls = [asyncio.ensure_future(site.send("GET", f"/v1/requests/{request_id}?wait=30s")) for _ in range(POLLS)]

    async def all_wait() -> bool:
        return f"signoff_waiting_polls {POLLS}.0" in await metrics(site)

    await until(all_wait)
    creates = [asyncio.ensure_future(create_until_gone(site, f"{attempt}-{client}")) for client in range(4)]
    await until(lambda: site.rows("SELECT count(*) FROM requests")[0][0] > 20)

    began = time.monotonic()
    site.signal(signal.SIGTERM)
    code = await site.until_ended()
    seconds = time.monotonic() - began

    answers = await within(asyncio.gather(*polls))
    assert code == 0
    assert len(answers) == POLLS
    assert {(status, answer["status"]) for status, answer in answers} == {(200, "pending")}
    promised: dict[str, str] = {}
    unanswered = []
    for made, last in await within(asyncio.gather(*creates)):
        promised |= made
        unanswered.append(last)
    stored = dict(site.rows("SELECT create_key, id FROM requests"))
    assert promised.items() <= stored.items()

    # The next process answers the same keys, and who was not answered is not asked about twice.
    await site.start()
    for key in unanswered:
        status, answer = await site.send("POST", "/v1/requests", LOOK_UP, key=key)
        assert (status, answer["id"]) == (200, stored[key]) if key in stored else status == 201
    status, answer = await site.send("GET", f"/v1/requests/{request_id}")
    assert (status, answer["status"]) == (200, "pending")
    assert [payload_of(card)["request_id"] for card in cards(site.slack)].count(request_id) == 1
    await site.terminate()
    return seconds


async def metrics(site: Site) -> str:
    async with site.session.get(f"{site.url}/metrics") as answer:
        return await answer.text()


async def create_until_gone(site: Site, name: str) -> tuple[dict[str, str], str]:
    """Make requests until nobody answers; returns the ids that were promised, and the key that was not answered."""
    made: dict[str, str] = {}
    for at in range(100_000):
        key = f"{name}-{at}"
        try:
            status, answer = await site.send("POST", "/v1/requests", LOOK_UP, key=key)
        except (aiohttp.ClientError, OSError):
            return made, key
        assert status == 201
        made[key] = answer["id"]
    raise AssertionError("the service did not stop")


@pytest.mark.parametrize("mode", MODES)
async def test_it_stops_in_time_though_slack_does_not_answer(
    starter: Starter, slack: Playground, database: Path, mode: str
) -> None:
    """The line is open and dark, a card is under way, and a poll is held."""
    async with Relay(slack) as network, site_at(starter, slack, database, mode=mode) as site:
        await site.start()
        first = await site.ask("a")
        await site.card()
        network.go_dark()
        polling = asyncio.ensure_future(site.send("GET", f"/v1/requests/{first}?wait=30s"))
        await site.ask("b")
        await until(lambda: site.rows("SELECT 1 FROM cards WHERE attempted_at IS NOT NULL AND ts IS NULL") != [])
        began = time.monotonic()
        await site.terminate()
        assert time.monotonic() - began < MOST_SECONDS
        assert (await within(polling))[1]["status"] == "pending"
    assert_sound(database)


@pytest.mark.parametrize("mode", MODES)
async def test_it_stops_in_time_though_slack_never_was_there(
    starter: Starter, slack: Playground, database: Path, mode: str
) -> None:
    slack.faults.add(Fault("dead"))
    async with site_at(starter, slack, database, mode=mode) as site:
        await site.start(waits_for_slack=False)
        await site.ask()
        began = time.monotonic()
        await site.terminate()
        assert time.monotonic() - began < MOST_SECONDS


async def test_a_click_under_way_is_finished(site: Site) -> None:
    """The decision waits for Slack's word on who clicked; SIGTERM comes meanwhile."""
    await site.start()
    await site.ask()
    card = await site.card()
    fault = site.slack.faults.add(Fault("slow", methods="users.info"))
    # Not Alice: she was looked up when it was asked who could decide.
    clicking = asyncio.ensure_future(site.slack.click("U0BOB", card.channel, card.ts, "approve"))
    await site.slack.until(lambda: fault.held)
    site.signal(signal.SIGTERM)
    await until(lambda: not is_open(site))
    fault.release()
    assert await site.until_ended() == 0
    assert (await within(clicking)).ok
    assert site.rows("SELECT status FROM requests") == [("approved",)]


async def test_a_second_start_goes_on_where_the_first_stopped(site: Site) -> None:
    """What was pending still is, cards are not doubled, and what was still to be sent is sent."""
    await site.start()
    waiting = await site.ask("a")
    card = await site.card()
    fault = site.slack.faults.add(Fault("slow", methods="chat.postMessage"))
    unsent = await site.ask("b")
    await site.slack.until(lambda: fault.held)
    await site.terminate()
    site.slack.faults.clear()
    assert [payload_of(message)["request_id"] for message in cards(site.slack)] == [waiting]
    await site.start()
    await site.until_delivered()
    assert [payload_of(message)["request_id"] for message in cards(site.slack)] == [waiting, unsent]
    assert (await site.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
    _, answer = await site.send("GET", f"/v1/requests/{waiting}")
    assert answer["status"] == "approved"
    await site.terminate()


async def test_a_second_server_is_refused_and_leaves_the_first_alone(site: Site) -> None:
    await site.start()
    other = site.pid
    with pytest.raises(AssertionError, match=rf"served by another process \({other}\)"):
        await site.start()
    assert await site.until_ended() == 1
    site.pid = other
    assert await site.ask()


async def test_the_installed_command_serves_and_stops(site: Site) -> None:
    """The same with nothing forked: the script that an operator runs."""
    await site.start()  # which writes the configuration
    await site.terminate()
    process = await asyncio.create_subprocess_exec(
        SIGNOFF,
        "serve",
        "--config",
        site.path.with_name("config.toml"),
        env={**os.environ, **site.env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await site.slack.until(lambda: site.slack.connections, timeout=20)
        assert await site.ask()
        process.send_signal(signal.SIGTERM)
        out, err = await within(process.communicate())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, out) == (0, b"")
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert (events[0], events[-1]) == ("serving", "stopped")


def is_open(site: Site) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", site.port)) == 0
