"""Clicks on messages through the real Bolt, in both modes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from playground import NotThere, Playground
from tests.unit.playground_server.conftest import Opener, ToyApp, client_of
from tests.unit.playground_server.helpers import NOTE, on_click, post
from tests.unit.playground_server.shapes import (
    actions,
    option,
    select,
)

Json = dict[str, Any]


async def test_a_click(slack: Playground, online: ToyApp) -> None:
    async def approve(ack: Any) -> None:
        await ack()

    on_click(online, approve)
    message = await post(slack, metadata=NOTE)
    ack = await slack.click("U0ALICE", "C0REFUNDS", message.ts, "approve")
    assert ack.ok
    assert ack.body is None
    assert 0 < ack.elapsed < 3
    payload = next(body for body in online.seen if body["type"] == "block_actions")
    assert payload == ack.sent
    assert payload["user"] == {"id": "U0ALICE", "username": "alice", "name": "alice", "team_id": slack.team_id}
    assert payload["team"]["id"] == slack.team_id
    assert payload["channel"] == {"id": "C0REFUNDS", "name": "refunds"}
    assert payload["container"] == {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": "C0REFUNDS",
        "is_ephemeral": False,
    }
    assert payload["message"]["metadata"] == NOTE
    assert (payload["enterprise"], payload["is_enterprise_install"]) == (None, False)
    (action,) = payload["actions"]
    assert (action["action_id"], action["value"], action["type"]) == ("approve", "r1", "button")
    assert action["block_id"] == message.blocks[1]["block_id"]
    assert payload["api_app_id"] == slack.settings.app_id


async def test_a_menu_and_an_overflow(slack: Playground, online: ToyApp) -> None:
    async def take(ack: Any) -> None:
        await ack()

    on_click(online, take, "pick")
    on_click(online, take, "more")
    more = {"type": "overflow", "action_id": "more", "options": [option("x"), option("y", "Y")]}
    message = await post(slack, actions(select(), more))
    chosen = await slack.click("U0ALICE", "C0REFUNDS", message.ts, "pick", selected="b")
    assert chosen.sent is not None
    assert chosen.sent["actions"][0]["selected_option"]["value"] == "b"
    values = chosen.sent["state"]["values"][message.blocks[0]["block_id"]]
    assert values["pick"]["selected_option"]["value"] == "b"
    ack = await slack.click("U0ALICE", "C0REFUNDS", message.ts, "more", selected="y")
    assert ack.sent is not None
    assert ack.sent["actions"][0]["selected_option"]["value"] == "y"
    with pytest.raises(NotThere):
        await slack.click("U0ALICE", "C0REFUNDS", message.ts, "pick", selected="z")


async def test_a_private_channel_does_not_tell_its_name(slack: Playground, online: ToyApp) -> None:
    message = await post(slack, channel="C0SECRET")
    payload = slack.click_payload("U0ALICE", "C0SECRET", message.ts, "approve")
    assert payload["channel"] == {"id": "C0SECRET", "name": "privategroup"}
    direct = await post(slack, channel="U0BOB")
    payload = slack.click_payload("U0BOB", "U0BOB", direct.ts, "approve")
    assert payload["channel"] == {"id": "D0BOB", "name": "directmessage"}


async def test_what_a_person_cannot_click(slack: Playground) -> None:
    message = await post(slack)
    for user, ts, action_id in [
        ("U0CAROL", message.ts, "approve"),
        ("U0ALICE", "1.000001", "approve"),
        ("U0ALICE", message.ts, "deny"),
        ("U0NOBODY", message.ts, "approve"),
        (slack.bot_user_id, message.ts, "approve"),
    ]:
        with pytest.raises(NotThere):
            await slack.click(user, "C0REFUNDS", ts, action_id)
    slack.workspace.change_user("U0ALICE", deleted=True)
    with pytest.raises(NotThere):
        await slack.click("U0ALICE", "C0REFUNDS", message.ts, "approve")


async def test_a_forged_click_is_delivered_all_the_same(slack: Playground, online: ToyApp) -> None:
    async def approve(ack: Any) -> None:
        await ack()

    on_click(online, approve)
    message = await post(slack)
    payload = slack.click_payload("U0CAROL", "C0REFUNDS", message.ts, "approve", value="r2")
    payload["container"]["message_ts"] = "1.000001"
    assert (await slack.deliver(payload)).ok
    assert online.seen[-1]["actions"][0]["value"] == "r2"
    assert online.seen[-1]["container"]["message_ts"] == "1.000001"


async def test_a_click_on_an_ephemeral_message(slack: Playground, online: ToyApp) -> None:
    async def approve(ack: Any, respond: Any) -> None:
        await ack()
        await respond(text="seen", replace_original=True)

    on_click(online, approve)
    client = client_of(slack)
    sent = await client.chat_postEphemeral(channel="C0REFUNDS", user="U0ALICE", text="t", blocks=[actions()])
    with pytest.raises(NotThere):
        await slack.click("U0BOB", "C0REFUNDS", sent["message_ts"], "approve")
    ack = await slack.click("U0ALICE", "C0REFUNDS", sent["message_ts"], "approve")
    assert ack.sent is not None
    assert "message" not in ack.sent
    assert ack.sent["container"]["is_ephemeral"] is True
    await slack.until(lambda: slack.ephemerals("U0ALICE")[0].text == "seen")


async def test_the_original_is_replaced_or_deleted(slack: Playground, online: ToyApp) -> None:
    async def approve(ack: Any, respond: Any) -> None:
        await ack()
        await respond(text="done", replace_original=True)
        await respond(text="by you", replace_original=False)
        await respond(delete_original=True)

    on_click(online, approve)
    message = await post(slack)
    await slack.click("U0ALICE", "C0REFUNDS", message.ts, "approve")
    await slack.until(lambda: not slack.messages("C0REFUNDS"))
    assert message.text == "done"
    assert [m.text for m in slack.ephemerals("U0ALICE")] == ["by you"]


async def test_an_answer_that_comes_too_late(open_playground: Opener, make_app: Callable[[Playground], ToyApp]) -> None:
    slack = await open_playground(ack_seconds=0.05)
    toy = make_app(slack)
    release = asyncio.Event()

    async def approve(ack: Any) -> None:
        await release.wait()
        await ack()

    on_click(toy, approve)
    await toy.connect()
    message = await post(slack)
    ack = await slack.click("U0ALICE", "C0REFUNDS", message.ts, "approve")
    assert (ack.ok, ack.error) == (False, "timeout")
    assert ack.elapsed >= 0.05
    release.set()


async def test_nobody_listens(slack: Playground) -> None:
    message = await post(slack)
    ack = await slack.click("U0ALICE", "C0REFUNDS", message.ts, "approve")
    assert (ack.ok, ack.error) == (False, "not_connected")
    slack.request_url = "http://127.0.0.1:9/slack/events"
    ack = await slack.click("U0ALICE", "C0REFUNDS", message.ts, "approve")
    assert (ack.ok, ack.error) == (False, "connection_failed")


async def test_a_click_nobody_handles(slack: Playground, toy: ToyApp) -> None:
    await toy.listen()
    message = await post(slack)
    ack = await slack.click("U0ALICE", "C0REFUNDS", message.ts, "approve")
    assert (ack.ok, ack.error, ack.status) == (False, "http_404", 404)
