"""Events: the Home tab opened, messages said and deleted."""

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from playground import NotThere, Playground
from tests.unit.playground_server.conftest import Opener, ToyApp, client_of
from tests.unit.playground_server.helpers import NOTE, on_click, post
from tests.unit.playground_server.shapes import (
    actions,
    button,
    home,
    section,
)

Json = dict[str, Any]


async def test_home(slack: Playground, online: ToyApp) -> None:
    async def opened(event: Json, client: AsyncWebClient) -> None:
        await client.views_publish(user_id=event["user"], view=home(section("2 waiting"), actions(button("review"))))

    async def review(ack: Any) -> None:
        await ack()

    online.app.event("app_home_opened")(opened)
    on_click(online, review, "review")
    with pytest.raises(NotThere):
        await slack.home_click("U0ALICE", "review")
    assert (await slack.open_home("U0ALICE")).ok
    tab = slack.home("U0ALICE")
    assert tab is not None
    assert tab.all_text() == "2 waiting\nApprove"
    assert slack.home("U0BOB") is None
    ack = await slack.home_click("U0ALICE", "review")
    assert ack.ok
    assert ack.sent is not None
    assert ack.sent["view"]["type"] == "home"
    await slack.open_home("U0ALICE")
    assert online.seen[-1]["event"]["view"]["id"] == tab.id
    assert online.seen[-1]["event"]["channel"] == "D0ALICE"


async def test_a_deleted_message_is_told(slack: Playground, online: ToyApp) -> None:
    message = await post(slack, metadata=NOTE)
    assert (await slack.delete_message("C0REFUNDS", message.ts)).ok
    event = online.seen[-1]["event"]
    assert (event["type"], event["subtype"], event["hidden"]) == ("message", "message_deleted", True)
    assert (event["channel"], event["channel_type"]) == ("C0REFUNDS", "channel")
    assert event["deleted_ts"] == event["previous_message"]["ts"] == message.ts
    assert event["previous_message"]["metadata"] == NOTE
    assert online.seen[-1]["authorizations"][0]["user_id"] == slack.bot_user_id


async def test_nothing_is_told_of_channels_the_bot_is_not_in(slack: Playground, online: ToyApp) -> None:
    message = await post(slack)
    await slack.until(lambda: online.seen)
    before = len(online.seen)
    slack.workspace.kick("C0REFUNDS", slack.bot_user_id)
    assert (await slack.delete_message("C0REFUNDS", message.ts)).ok
    said = await slack.say("U0ALICE", "C0ELSEWHERE", "hello")
    await slack.delete_message("C0ELSEWHERE", said.ts)
    assert len(online.seen) == before


async def test_everything_said_is_told(slack: Playground, online: ToyApp, client: AsyncWebClient) -> None:
    def told() -> list[str]:
        return [b["event"].get("subtype", b["event"].get("text")) for b in online.seen]

    await slack.say("U0ALICE", "C0SECRET", "hello @bob")
    await slack.until(lambda: told() == ["hello <@U0BOB|bob>"])
    assert online.seen[0]["event"]["channel_type"] == "group"


async def test_only_deletions_are_told_if_asked(
    open_playground: Opener, make_app: Callable[[Playground], ToyApp]
) -> None:
    slack = await open_playground(message_events=False)
    toy = make_app(slack)
    await toy.connect()
    message = await post(slack)
    await client_of(slack).chat_update(channel="C0REFUNDS", ts=message.ts, text="t")
    await slack.delete_message("C0REFUNDS", message.ts)
    assert [b["event"]["subtype"] for b in toy.seen] == ["message_deleted"]
