"""Each fault on demand, as the real client meets it."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from playground import Fault, Playground
from tests.unit.playground_server.conftest import Opener, ToyApp, client_of
from tests.unit.playground_server.helpers import post, refused


def texts(slack: Playground) -> list[str]:
    return [m.text for m in slack.messages("C0REFUNDS")]


async def say(client: AsyncWebClient, text: str = "t", channel: str = "C0REFUNDS") -> Any:
    return await client.chat_postMessage(channel=channel, text=text)


async def test_429(slack: Playground, client: AsyncWebClient) -> None:
    fault = slack.faults.add(Fault("429", times=2, retry_after=7))
    for _ in range(2):
        error = await refused(say(client), "ratelimited")
        assert (error.response.status_code, error.response.headers["Retry-After"]) == (429, "7")
    await say(client)
    assert texts(slack) == ["t"]
    assert fault.struck == 2
    assert [c.outcome for c in slack.calls] == ["fault:429", "fault:429", "ok"]


async def test_500_is_no_json(slack: Playground, client: AsyncWebClient) -> None:
    slack.faults.add(Fault("500"))
    with pytest.raises(SlackApiError) as error:
        await say(client)
    assert error.value.response.status_code == 500
    assert error.value.response.get("error") is None
    assert texts(slack) == []


async def test_dropped_before_the_effect(slack: Playground, client: AsyncWebClient) -> None:
    slack.faults.add(Fault("drop", methods="chat.postMessage"))
    with pytest.raises(aiohttp.ClientError):
        await say(client)
    assert texts(slack) == []
    await client.auth_test()


async def test_lost_after_the_effect(slack: Playground, client: AsyncWebClient) -> None:
    slack.faults.add(Fault("lost", times=1))
    with pytest.raises(aiohttp.ClientError):
        await say(client)
    assert texts(slack) == ["t"]
    await say(client, "again")
    assert texts(slack) == ["t", "again"]
    assert [c.outcome for c in slack.calls] == ["fault:lost", "ok"]


async def test_the_sdks_own_retry_doubles_a_lost_post(slack: Playground) -> None:
    """Why the bot posts with `retry_handlers=[]`."""
    slack.faults.add(Fault("lost", times=1))
    await say(AsyncWebClient(token=slack.bot_token, base_url=slack.api_url), "twice")
    assert texts(slack) == ["twice", "twice"]


async def test_archived(slack: Playground, client: AsyncWebClient) -> None:
    ts = (await say(client))["ts"]
    slack.faults.add(Fault("is_archived", channel="C0REFUNDS"))
    await refused(say(client), "is_archived")
    await refused(client.chat_update(channel="C0REFUNDS", ts=ts, text="u"), "is_archived")
    await say(client, channel="C0SECRET")
    await client.conversations_history(channel="C0REFUNDS")


async def test_direct_messages_are_never_archived(slack: Playground, client: AsyncWebClient) -> None:
    slack.faults.add(Fault("is_archived"))
    await refused(say(client), "is_archived")
    await say(client, channel="U0ALICE")
    opened = await client.conversations_open(users="U0ALICE")
    await say(client, channel=opened["channel"]["id"])


async def test_any_error(slack: Playground, client: AsyncWebClient) -> None:
    slack.faults.add(Fault("error", error_code="fatal_error", methods=("users.*", "usergroups.*")))
    await refused(client.users_info(user="U0ALICE"), "fatal_error")
    await refused(client.usergroups_list(), "fatal_error")
    await client.auth_test()


async def test_dead(slack: Playground, toy: ToyApp, client: AsyncWebClient) -> None:
    async def approve(ack: Any) -> None:
        await ack()

    toy.app.action("approve")(approve)
    await toy.connect()
    message = await post(slack)
    dead = slack.faults.add(Fault("dead"))
    assert slack.connections == 0
    with pytest.raises(aiohttp.ClientError):
        await client.auth_test()
    ack = await slack.click("U0ALICE", "C0REFUNDS", message.ts, "approve")
    assert (ack.ok, ack.error) == (False, "dead")
    slack.faults.remove(dead)
    await client.auth_test()


async def test_the_sdk_comes_back_after_an_outage(slack: Playground, toy: ToyApp) -> None:
    async def command(ack: Any) -> None:
        await ack("back")

    toy.app.command("/signoff")(command)
    await toy.connect(ping_seconds=0.05)
    dead = slack.faults.add(Fault("dead"))
    await slack.until(lambda: any(c.outcome == "fault:dead" for c in slack.calls_of("apps.connections.open")))
    slack.faults.remove(dead)
    await slack.until(lambda: slack.connections == 1)
    assert (await slack.slash("U0ALICE", "C0REFUNDS", "/signoff")).text == "back"


async def test_dead_refuses_sockets_with_an_old_ticket(slack: Playground, client: AsyncWebClient) -> None:
    url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
    slack.faults.add(Fault("dead"))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.ws_connect(url)


async def test_events_while_dead_are_kept(slack: Playground, toy: ToyApp) -> None:
    dead = slack.faults.add(Fault("dead"))
    assert (await slack.open_home("U0ALICE")).error == "dead"
    slack.faults.remove(dead)
    await toy.listen()

    async def opened() -> None:
        pass

    toy.app.event("app_home_opened")(opened)
    assert [ack.ok for ack in await slack.events.redeliver()] == [True]
    assert toy.seen[0]["event"]["type"] == "app_home_opened"


@pytest.mark.parametrize("after_effect", [False, True])
async def test_slow_holds_until_released(slack: Playground, client: AsyncWebClient, after_effect: bool) -> None:
    slow = slack.faults.add(Fault("slow", methods="chat.postMessage", after_effect=after_effect))
    saying = asyncio.ensure_future(say(client))
    await slack.until(lambda: slow.held == 1)
    assert texts(slack) == (["t"] if after_effect else [])
    assert not saying.done()
    slow.release()
    await saying
    assert texts(slack) == ["t"]
    assert slow.held == 0


async def test_a_caller_that_gives_up_leaves_no_effect(slack: Playground) -> None:
    slow = slack.faults.add(Fault("slow"))
    impatient = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    saying = asyncio.ensure_future(say(impatient))
    await slack.until(lambda: slow.held == 1)
    saying.cancel()
    await asyncio.gather(saying, return_exceptions=True)
    await slack.until(lambda: slow.held == 0)
    slack.faults.clear()
    assert texts(slack) == []


async def test_chance_is_seeded(open_playground: Opener) -> None:
    async def outcomes(seed: int) -> list[str]:
        slack = await open_playground(seed=seed)
        slack.faults.add(Fault("error", probability=0.5))
        client = client_of(slack)
        for _ in range(20):
            await asyncio.gather(client.auth_test(), return_exceptions=True)
        return [call.outcome for call in slack.calls]

    first = await outcomes(7)
    assert set(first) == {"ok", "fault:error"}
    assert await outcomes(7) == first
    assert await outcomes(8) != first


async def test_response_urls_have_faults_too(slack: Playground, toy: ToyApp) -> None:
    async def command(ack: Any, respond: Callable[..., Any]) -> None:
        await ack()
        codes.append((await respond("t")).status_code)

    codes: list[int] = []
    toy.app.command("/signoff")(command)
    await toy.listen()
    slack.faults.add(Fault("500", methods="response_url"))
    await slack.slash("U0ALICE", "C0REFUNDS", "/signoff")
    assert codes == [500]


def test_an_unknown_fault() -> None:
    with pytest.raises(ValueError, match="no fault is called 'typo'"):
        Fault("typo")  # type: ignore[arg-type]  # what the test is about
