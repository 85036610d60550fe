"""Slash commands and response URLs."""

from typing import Any

import pytest

from playground import NotThere, Playground
from tests.unit.playground_server.conftest import Opener, ToyApp
from tests.unit.playground_server.shapes import (
    section,
)

Json = dict[str, Any]


async def test_slash_commands(slack: Playground, online: ToyApp) -> None:
    async def command(ack: Any, command: Json) -> None:
        await ack(f"You said: {command['text']}")

    online.app.command("/signoff")(command)
    ack = await slack.slash("U0ALICE", "C0REFUNDS", "/signoff ask @bob and @finance about #refunds, not @nobody")
    expected = "ask <@U0BOB|bob> and <!subteam^S0FINANCE|@finance> about <#C0REFUNDS|refunds>, not @nobody"
    assert ack.text == f"You said: {expected}"
    assert [m.text for m in slack.ephemerals("U0ALICE")] == [ack.text]
    assert slack.messages("C0REFUNDS") == []
    form = online.seen[-1]
    fields = "token team_id team_domain channel_id channel_name user_id user_name command text api_app_id"
    assert set(form) == {*fields.split(), "is_enterprise_install", "response_url", "trigger_id"}
    assert (form["command"], form["channel_name"], form["is_enterprise_install"]) == ("/signoff", "refunds", "false")
    with pytest.raises(NotThere):
        await slack.slash("U0ALICE", "C0REFUNDS", "/unknown")
    with pytest.raises(NotThere):
        await slack.slash("U0CAROL", "C0REFUNDS", "/signoff")


async def test_names_stay_names_without_should_escape(open_playground: Opener) -> None:
    slack = await open_playground(should_escape=False)
    assert slack.slash_payload("U0ALICE", "C0REFUNDS", "/signoff @bob & <x>")["text"] == "@bob & <x>"


async def test_what_is_typed_cannot_make_markup(slack: Playground) -> None:
    typed = "/signoff show <!channel> & <https://x|y> but <@U0BOB> stays"
    text = slack.slash_payload("U0ALICE", "C0REFUNDS", typed)["text"]
    assert text == "show &lt;!channel&gt; &amp; &lt;https://x|y&gt; but <@U0BOB> stays"


async def test_a_command_answered_in_the_channel_and_one_that_slack_refuses(slack: Playground, online: ToyApp) -> None:
    answers: list[Json] = [
        {"response_type": "in_channel", "text": "all see this"},
        {"text": "t", "blocks": [section("")]},
    ]

    async def command(ack: Any) -> None:
        await ack(answers.pop(0))

    online.app.command("/signoff")(command)
    assert (await slack.slash("U0ALICE", "C0REFUNDS", "/signoff")).ok
    assert [m.text for m in slack.messages("C0REFUNDS")] == ["all see this"]
    ack = await slack.slash("U0ALICE", "C0REFUNDS", "/signoff")
    assert (ack.ok, ack.error, ack.details[0]) == (False, "invalid_body", "invalid_blocks")


async def test_response_urls(slack: Playground, online: ToyApp) -> None:
    async def command(ack: Any, respond: Any) -> None:
        await ack()
        for number in range(6):
            answer = await respond(f"part {number}")
            codes.append(answer.status_code)

    codes: list[int] = []
    online.app.command("/signoff")(command)
    await slack.slash("U0ALICE", "C0REFUNDS", "/signoff")
    await slack.until(lambda: len(slack.calls_of("response_url")) == 6)
    assert [m.text for m in slack.ephemerals("U0ALICE")] == [f"part {n}" for n in range(5)]
    assert [call.outcome for call in slack.calls_of("response_url")] == ["ok"] * 5 + ["used_url"]


async def test_a_response_url_grows_old(slack: Playground, online: ToyApp) -> None:
    async def command(ack: Any, respond: Any) -> None:
        await ack()
        slack.expire_response_urls()
        await respond("too late")

    online.app.command("/signoff")(command)
    await slack.slash("U0ALICE", "C0REFUNDS", "/signoff")
    await slack.until(lambda: slack.calls_of("response_url"))
    assert slack.calls_of("response_url")[0].outcome == "expired_url"
    assert slack.ephemerals("U0ALICE") == []
