"""Tokens, scopes, and the methods about the app itself."""

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from playground import Playground
from tests.unit.playground_server.conftest import client_of
from tests.unit.playground_server.helpers import refused
from tests.unit.playground_server.shapes import modal, section


async def test_who_am_i(slack: Playground, client: AsyncWebClient) -> None:
    answer = await client.auth_test()
    assert (answer["team_id"], answer["user_id"]) == (slack.team_id, slack.bot_user_id)
    assert answer["bot_id"] == slack.settings.bot_id
    assert set(answer.headers["x-oauth-scopes"].split(",")) == slack.scopes


async def test_tokens(slack: Playground, client: AsyncWebClient) -> None:
    await refused(client_of(slack, "xoxb-made-up").auth_test(), "invalid_auth")
    await refused(client_of(slack, slack.app_token).auth_test(), "not_allowed_token_type")
    await refused(client.apps_connections_open(app_token=slack.bot_token), "not_allowed_token_type")
    no_token = AsyncWebClient(base_url=slack.api_url)
    error = await refused(no_token.auth_test(), "not_authed")
    assert "x-oauth-scopes" not in error.response.headers
    await refused(client.api_call("chat.postNothing"), "unknown_method")


@pytest.mark.parametrize("code", ["token_revoked", "account_inactive"])
async def test_a_token_that_no_longer_works(slack: Playground, client: AsyncWebClient, code: str) -> None:
    slack.auth_error = code
    await refused(client.chat_postMessage(channel="C0REFUNDS", text="t"), code)


async def test_a_token_in_the_form_but_not_in_a_json_body(slack: Playground) -> None:
    async with aiohttp.ClientSession() as session:
        url = slack.api_url + "auth.test"
        for kind, ok in [("data", True), ("params", True), ("json", False)]:
            async with session.post(url, **{kind: {"token": slack.bot_token}}) as answer:  # type: ignore[arg-type]  # one of three names
                assert (await answer.json())["ok"] is ok, kind


async def test_bodies_that_cannot_be_read(slack: Playground) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for content_type, body, code in [
            ("application/json", b"{", "invalid_json"),
            ("application/json", b"[]", "json_not_object"),
            ("text/plain", b"hello", "invalid_post_type"),
        ]:
            async with session.post(
                slack.api_url + "auth.test", data=body, headers={"Content-Type": content_type}
            ) as answer:
                assert (await answer.json())["error"] == code


@pytest.mark.parametrize(
    ("scope", "method", "arguments"),
    [
        ("chat:write", "chat.postMessage", {"channel": "C0REFUNDS", "text": "t"}),
        ("users:read", "users.info", {"user": "U0ALICE"}),
        ("users:read.email", "users.lookupByEmail", {"email": "alice@example.com"}),
        ("usergroups:read", "usergroups.users.list", {"usergroup": "S0FINANCE"}),
        ("im:write", "conversations.open", {"users": "U0BOB"}),
        ("channels:read", "conversations.info", {"channel": "C0REFUNDS"}),
        ("groups:read", "conversations.info", {"channel": "C0SECRET"}),
        ("channels:history", "conversations.history", {"channel": "C0REFUNDS"}),
        ("groups:history", "conversations.history", {"channel": "C0SECRET"}),
        ("dnd:read", "dnd.info", {"user": "U0ALICE"}),
    ],
)
async def test_missing_scopes(
    slack: Playground, client: AsyncWebClient, scope: str, method: str, arguments: dict[str, str]
) -> None:
    await client.api_call(method, params=arguments)
    slack.scopes.discard(scope)
    error = await refused(client.api_call(method, params=arguments), "missing_scope")
    assert scope in error.response["needed"].split(",")
    assert scope not in error.response["provided"].split(",")
    assert scope not in error.response.headers["x-oauth-scopes"].split(",")


async def test_scopes_that_signoff_does_not_ask_for(slack: Playground, client: AsyncWebClient) -> None:
    await refused(client.team_info(), "missing_scope")
    await client.conversations_open(users="U0BOB")
    await refused(client.conversations_info(channel="D0BOB"), "missing_scope")
    slack.scopes |= {"team:read", "im:read"}
    assert (await client.team_info())["team"]["id"] == slack.team_id
    assert (await client.conversations_info(channel="D0BOB"))["channel"]["user"] == "U0BOB"


async def test_no_email_without_its_scope(slack: Playground, client: AsyncWebClient) -> None:
    slack.scopes.discard("users:read.email")
    assert "email" not in (await client.users_info(user="U0ALICE"))["user"]["profile"]


async def test_api_test(slack: Playground) -> None:
    client = AsyncWebClient(base_url=slack.api_url)
    assert (await client.api_test(foo="bar"))["args"] == {"foo": "bar"}
    await refused(client.api_test(error="my_error"), "my_error")


async def test_blocks_validate_needs_no_token(slack: Playground) -> None:
    client = AsyncWebClient(base_url=slack.api_url)
    assert (await client.blocks_validate(blocks=[section()]))["ok"]
    assert (await client.blocks_validate(view=modal()))["ok"]
    assert (await client.blocks_validate(message={"blocks": [section()]}))["ok"]
    error = await refused(
        client.blocks_validate(blocks=[{"type": "section", "text": {"type": "invalid", "text": "a"}}]),
        "invalid_blocks",
    )
    assert error.response["errors"] == [
        {
            "code": "failed_constraint",
            "message": "unsupported type: invalid",
            "pointer": "/0/text/type",
            "constraint": {"type": "enum", "expected": ["mrkdwn", "plain_text"]},
        }
    ]
    error = await refused(client.blocks_validate(view=modal(title={"type": "plain_text"})), "invalid_view")
    assert error.response["errors"][0]["pointer"] == "/title"
    await refused(client.blocks_validate(message={"blocks": [section("")]}), "invalid_message")
    await refused(client.blocks_validate(), "invalid_arguments")


async def test_calls_are_recorded_without_their_token(slack: Playground, client: AsyncWebClient) -> None:
    await client.chat_postMessage(channel="C0REFUNDS", text="t", blocks=[section()])
    await refused(client.chat_postMessage(channel="C0NOWHERE", text="t"), "channel_not_found")
    first, second = slack.calls
    assert first.ok
    assert first.params["blocks"] == [section()]
    assert first.response is not None
    assert second.outcome == "channel_not_found"
    assert slack.bot_token not in repr(slack.calls)
