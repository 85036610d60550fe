"""chat.*: posting, updating, deleting, through the real client."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from slack_sdk.models.blocks import (
    ActionsBlock,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)
from slack_sdk.web.async_client import AsyncWebClient

from playground import Playground
from tests.unit.playground_server.conftest import Opener, client_of
from tests.unit.playground_server.helpers import NOTE, refused
from tests.unit.playground_server.shapes import actions, section

Json = dict[str, Any]
CARD = [section("<@U0ALICE> please"), actions()]


async def test_posts_a_card(slack: Playground, client: AsyncWebClient) -> None:
    answer = await client.chat_postMessage(channel="C0REFUNDS", text="a refund", blocks=CARD, metadata=NOTE)
    message = slack.message("C0REFUNDS", answer["ts"])
    assert answer["channel"] == "C0REFUNDS"
    assert answer["message"]["bot_id"] == slack.settings.bot_id
    assert message.text == "a refund"
    assert message.all_text() == "<@U0ALICE> please\nApprove"
    assert message.action_ids() == ["approve"]
    assert message.metadata == NOTE
    assert [call.params["channel"] for call in slack.calls_of("chat.postMessage")] == ["C0REFUNDS"]


async def test_takes_what_the_sdk_builds(slack: Playground, client: AsyncWebClient) -> None:
    blocks = [
        HeaderBlock(text=PlainTextObject(text="Refund", emoji=False)),
        SectionBlock(text=MarkdownTextObject(text="*hi*"), fields=[MarkdownTextObject(text="a")]),
        ContextBlock(elements=[PlainTextObject(text="a")]),
        ActionsBlock(elements=[ButtonElement(text="Go", action_id="go", value="1", style="primary")]),
    ]
    await client.chat_postMessage(channel="C0REFUNDS", text="t", blocks=blocks)
    assert slack.messages("C0REFUNDS")[0].element("go")["value"] == "1"


async def test_form_encoded_calls_are_taken_too(slack: Playground, client: AsyncWebClient) -> None:
    form = {"channel": "C0REFUNDS", "text": "t", "blocks": '[{"type":"divider"}]', "unfurl_links": "false"}
    await client.api_call("chat.postMessage", data=form)
    await client.api_call(
        "chat.postMessage", files={"x": io.BytesIO(b"1")}, data={"channel": "C0REFUNDS", "text": "multipart"}
    )
    first, second = slack.messages("C0REFUNDS")
    assert first.blocks[0]["type"] == "divider"
    assert second.text == "multipart"


async def test_stamps_are_unique_and_increase(open_playground: Opener) -> None:
    standing = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    slack = await open_playground(now=lambda: standing)
    client = client_of(slack)
    stamps = [(await client.chat_postMessage(channel="C0REFUNDS", text=str(n)))["ts"] for n in range(5)]
    assert stamps == sorted(set(stamps))
    assert stamps[0] == "1795338000.000000"


@pytest.mark.parametrize(
    ("channel", "code"),
    [
        ("C0ELSEWHERE", "not_in_channel"),
        ("C0HIDDEN", "channel_not_found"),
        ("C0NOWHERE", "channel_not_found"),
        ("#nowhere", "channel_not_found"),
        ("U0NOBODY", "channel_not_found"),
    ],
)
async def test_where_the_bot_cannot_post(client: AsyncWebClient, channel: str, code: str) -> None:
    await refused(client.chat_postMessage(channel=channel, text="t"), code)


async def test_an_archived_channel_takes_nothing(slack: Playground, client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel="C0REFUNDS", text="t"))["ts"]
    slack.workspace.change_channel("C0REFUNDS", is_archived=True)
    await refused(client.chat_postMessage(channel="C0REFUNDS", text="t"), "is_archived")
    await refused(client.chat_update(channel="C0REFUNDS", ts=ts, text="u"), "is_archived")


async def test_a_channel_by_name_and_a_person_by_id(slack: Playground, client: AsyncWebClient) -> None:
    assert (await client.chat_postMessage(channel="#refunds", text="t"))["channel"] == "C0REFUNDS"
    answer = await client.chat_postMessage(channel="U0BOB", text="psst")
    assert answer["channel"] == "D0BOB"
    assert [m.text for m in slack.messages("U0BOB")] == ["psst"]
    await refused(client.chat_update(channel="U0BOB", ts=answer["ts"], text="u"), "channel_not_found")
    await client.chat_update(channel="D0BOB", ts=answer["ts"], text="u")


async def test_nobody_writes_to_the_deactivated_or_to_bots(slack: Playground, client: AsyncWebClient) -> None:
    slack.workspace.change_user("U0BOB", deleted=True)
    await refused(client.chat_postMessage(channel="U0BOB", text="t"), "channel_not_found")
    await refused(client.chat_postMessage(channel=slack.bot_user_id, text="t"), "channel_not_found")


@pytest.mark.parametrize("text", [None, "", "  \n "])
@pytest.mark.filterwarnings("ignore:The top-level `text`")
async def test_nothing_to_show(client: AsyncWebClient, text: str | None) -> None:
    await refused(client.chat_postMessage(channel="C0REFUNDS", text=text), "no_text")


async def test_invalid_blocks_are_told_in_slacks_words(slack: Playground, client: AsyncWebClient) -> None:
    error = await refused(
        client.chat_postMessage(channel="C0REFUNDS", text="t", blocks=[section("x" * 3001)]), "invalid_blocks"
    )
    words = "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    assert error.response["response_metadata"]["messages"] == [f"[ERROR] {words}"]
    assert error.response["errors"] == [words]
    assert slack.messages("C0REFUNDS") == []
    await refused(
        client.api_call("chat.postMessage", json={"channel": "C0REFUNDS", "blocks": "no json"}),
        "invalid_blocks_format",
    )


async def test_a_long_text_is_cut_when_posted_and_refused_when_updated(
    slack: Playground, client: AsyncWebClient
) -> None:
    answer = await client.chat_postMessage(channel="C0REFUNDS", text="x" * 40_001)
    assert answer["warning"] == "message_truncated"
    assert len(slack.messages("C0REFUNDS")[0].text) == 40_000
    await client.chat_update(channel="C0REFUNDS", ts=answer["ts"], text="x" * 4000)
    await refused(client.chat_update(channel="C0REFUNDS", ts=answer["ts"], text="x" * 4001), "msg_too_long")


async def test_update_keeps_what_is_not_named(slack: Playground, client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel="C0REFUNDS", text="a", blocks=CARD, metadata=NOTE))["ts"]
    message = slack.message("C0REFUNDS", ts)
    await client.chat_update(channel="C0REFUNDS", ts=ts, text="b", blocks=[section("done")])
    assert (message.text, message.all_text(), message.metadata) == ("b", "done", NOTE)
    assert [r.text for r in message.revisions] == ["a"]
    # A text without blocks takes the blocks away.
    await client.chat_update(channel="C0REFUNDS", ts=ts, text="c")
    assert message.blocks == []
    await client.chat_update(channel="C0REFUNDS", ts=ts, text="c", metadata={})
    assert message.metadata is None
    await refused(client.api_call("chat.update", json={"channel": "C0REFUNDS", "ts": ts}), "no_text")


async def test_only_own_messages_change(slack: Playground, client: AsyncWebClient) -> None:
    theirs = await slack.say("U0ALICE", "C0REFUNDS", "hello")
    await refused(client.chat_update(channel="C0REFUNDS", ts=theirs.ts, text="x"), "cant_update_message")
    await refused(client.chat_delete(channel="C0REFUNDS", ts=theirs.ts), "cant_delete_message")
    await refused(client.chat_update(channel="C0REFUNDS", ts="1.000001", text="x"), "message_not_found")
    ts = (await client.chat_postMessage(channel="C0REFUNDS", text="mine"))["ts"]
    await client.chat_delete(channel="C0REFUNDS", ts=ts)
    assert [m.text for m in slack.messages("C0REFUNDS")] == ["hello"]
    await refused(client.chat_update(channel="C0REFUNDS", ts=ts, text="x"), "message_not_found")


async def test_threads(slack: Playground, client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel="C0REFUNDS", text="card"))["ts"]
    reply = await client.chat_postMessage(channel="C0REFUNDS", text="reminder", thread_ts=ts)
    # A reply to a reply belongs to the same thread.
    await client.chat_postMessage(channel="C0REFUNDS", text="again", thread_ts=reply["ts"])
    assert [m.text for m in slack.replies("C0REFUNDS", ts)] == ["reminder", "again"]
    for thread_ts, code in [("soon", "invalid_thread_ts"), ("1.000001", "thread_not_found")]:
        await refused(client.chat_postMessage(channel="C0REFUNDS", text="t", thread_ts=thread_ts), code)


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"event_payload": {}}, "invalid_metadata_format"),
        ({"event_type": "x"}, "invalid_metadata_schema"),
        ({"event_type": "x", "event_payload": {}, "more": 1}, "invalid_metadata_schema"),
    ],
)
async def test_bad_metadata(client: AsyncWebClient, metadata: Json, code: str) -> None:
    await refused(client.chat_postMessage(channel="C0REFUNDS", text="t", metadata=metadata), code)


async def test_ephemeral_messages(slack: Playground, client: AsyncWebClient) -> None:
    answer = await client.chat_postEphemeral(channel="C0REFUNDS", user="U0BOB", text="just you")
    assert [m.text for m in slack.ephemerals("U0BOB", "C0REFUNDS")] == ["just you"]
    assert slack.ephemerals("U0ALICE") == []
    assert slack.messages("C0REFUNDS") == []
    await refused(client.chat_update(channel="C0REFUNDS", ts=answer["message_ts"], text="x"), "message_not_found")
    await refused(client.chat_postEphemeral(channel="C0REFUNDS", user="U0CAROL", text="t"), "user_not_in_channel")
    await refused(client.chat_postEphemeral(channel="C0REFUNDS", user="U0NOBODY", text="t"), "user_not_found")


async def test_permalink(client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel="C0REFUNDS", text="t"))["ts"]
    link = (await client.chat_getPermalink(channel="C0REFUNDS", message_ts=ts))["permalink"]
    assert link.endswith(f"/archives/C0REFUNDS/p{ts.replace('.', '')}")
    await refused(client.chat_getPermalink(channel="C0REFUNDS", message_ts="1.000001"), "message_not_found")


async def test_who_is_notified(slack: Playground, client: AsyncWebClient) -> None:
    async def notified(**message: Any) -> set[str]:
        answer = await client.chat_postMessage(**{"channel": "C0REFUNDS", "text": "t", **message})
        return slack.message(answer["channel"], answer["ts"]).notified

    assert await notified(text="<@U0ALICE> hi") == {"U0ALICE"}
    # Carol is in the group, but not in the channel.
    assert await notified(text="<!subteam^S0FINANCE> hi") == {"U0ALICE"}
    assert await notified(text="<!channel> hi") == {"U0ALICE", "U0BOB"}
    assert await notified(channel="U0BOB") == {"U0BOB"}
    # With blocks, the text is only a fallback.
    assert await notified(text="<@U0ALICE> hi", blocks=[section("hi")]) == set()
    assert await notified(blocks=[section("&lt;@U0ALICE&gt; hi")]) == set()
    assert await notified(blocks=[{"type": "section", "text": {"type": "plain_text", "text": "<@U0BOB>"}}]) == set()
    rich = {"type": "rich_text_section", "elements": [{"type": "user", "user_id": "U0BOB"}]}
    assert await notified(blocks=[{"type": "rich_text", "elements": [rich]}]) == {"U0BOB"}


async def test_an_edit_notifies_nobody(slack: Playground, client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel="C0REFUNDS", text="quiet"))["ts"]
    await client.chat_update(channel="C0REFUNDS", ts=ts, text="<@U0ALICE> now")
    channel = slack.workspace.channel("C0REFUNDS")
    assert slack.message("C0REFUNDS", ts).notified == set()
    assert slack.workspace.unread(channel, "U0ALICE") == (1, 0)
    await client.chat_postMessage(channel="C0REFUNDS", text="<@U0ALICE>")
    await client.chat_postMessage(channel="C0REFUNDS", text="in a thread", thread_ts=ts)
    assert slack.workspace.unread(channel, "U0ALICE") == (2, 1)
    slack.workspace.read("C0REFUNDS", "U0ALICE")
    assert slack.workspace.unread(channel, "U0ALICE") == (0, 0)


async def test_one_message_a_second_if_asked(open_playground: Opener) -> None:
    slack = await open_playground(one_message_a_second=True)
    client = client_of(slack)
    ts = (await client.chat_postMessage(channel="C0REFUNDS", text="first"))["ts"]
    error = await refused(client.chat_postMessage(channel="C0REFUNDS", text="second"), "ratelimited")
    assert error.response.status_code == 429
    assert error.response.headers["Retry-After"] == "1"
    # Another channel, and an update, have their own pace.
    await client.chat_postMessage(channel="C0SECRET", text="elsewhere")
    await client.chat_update(channel="C0REFUNDS", ts=ts, text="changed")
    assert [m.text for m in slack.messages("C0REFUNDS")] == ["changed"]
