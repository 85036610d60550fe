"""What several of these tests do: post a card, listen for a click, open a modal, expect a refusal."""

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from playground import Message, Playground, View
from tests.unit.playground_server.conftest import ToyApp, client_of
from tests.unit.playground_server.shapes import (
    actions,
    button,
    section,
)

Json = dict[str, Any]


NOTE = {"event_type": "request", "event_payload": {"request_id": "r1"}}


async def refused(call: Any, code: str) -> SlackApiError:
    with pytest.raises(SlackApiError) as error:
        await call
    assert error.value.response["error"] == code
    return error.value


async def post(slack: Playground, *blocks: Json, channel: str = "C0REFUNDS", **more: Any) -> Message:
    blocks = blocks or (section(), actions(button(value="r1")))
    client = client_of(slack)
    answer = await client.chat_postMessage(channel=channel, text="card", blocks=list(blocks), **more)
    return slack.message(answer["channel"], answer["ts"])


def on_click(toy: ToyApp, act: Callable[..., Any], action_id: str = "approve") -> None:
    toy.app.action(action_id)(act)


async def open_modal(slack: Playground, toy: ToyApp, view: Json, user: str = "U0ALICE") -> View:
    async def approve(ack: Any, body: Json, client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=view)

    on_click(toy, approve)
    message = await post(slack)
    assert (await slack.click(user, "C0REFUNDS", message.ts, "approve")).ok
    return (await slack.until(lambda: slack.modals(user)))[-1]
