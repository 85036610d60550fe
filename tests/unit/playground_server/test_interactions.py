"""Clicks, modals, commands and events through the real Bolt, in both modes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from playground import Message, NotThere, Playground, View
from tests.unit.playground_server.conftest import Opener, ToyApp, client_of
from tests.unit.playground_server.shapes import (
    actions,
    button,
    home,
    input_block,
    modal,
    option,
    section,
    select,
    text_input,
)
from tests.unit.playground_server.test_chat import NOTE, refused

Json = dict[str, Any]


async def post(slack: Playground, *blocks: Json, channel: str = "C0REFUNDS", **more: Any) -> Message:
    blocks = blocks or (section(), actions(button(value="r1")))
    client = client_of(slack)
    answer = await client.chat_postMessage(channel=channel, text="card", blocks=list(blocks), **more)
    return slack.message(answer["channel"], answer["ts"])


def on_click(toy: ToyApp, act: Callable[..., Any], action_id: str = "approve") -> None:
    toy.app.action(action_id)(act)


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


async def open_modal(slack: Playground, toy: ToyApp, view: Json, user: str = "U0ALICE") -> View:
    async def approve(ack: Any, body: Json, client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=view)

    on_click(toy, approve)
    message = await post(slack)
    assert (await slack.click(user, "C0REFUNDS", message.ts, "approve")).ok
    return (await slack.until(lambda: slack.modals(user)))[-1]


async def test_a_modal_is_filled_in_and_submitted(slack: Playground, online: ToyApp) -> None:
    async def sent(ack: Any) -> None:
        await ack()

    online.app.view("ask")(sent)
    spec = modal(
        input_block(),
        input_block({**select(), "type": "static_select"}, "why", optional=True),
        private_metadata="r1",
        external_id="x1",
    )
    view = await open_modal(slack, online, spec)
    refused_by_client = await slack.submit("U0ALICE", view.id)
    assert refused_by_client.error == "input_missing"
    assert refused_by_client.errors == {"note": "Please complete this required field."}
    ack = await slack.submit("U0ALICE", view.id, {"note": "too much", "why": "a"})
    assert ack.ok
    payload = online.seen[-1]
    assert payload["type"] == "view_submission"
    assert {"channel", "message", "response_url", "container"}.isdisjoint(payload)
    assert (payload["view"]["private_metadata"], payload["view"]["external_id"]) == ("r1", "x1")
    values = payload["view"]["state"]["values"]
    assert values["note"]["note"] == {"type": "plain_text_input", "value": "too much"}
    assert values["why"]["pick"]["selected_option"]["value"] == "a"
    assert payload["view"]["root_view_id"] == payload["view"]["id"]
    # An empty ack closes the view.
    assert slack.modals("U0ALICE") == []


@pytest.mark.parametrize(
    ("answer", "stack"),
    [
        ({"response_action": "errors", "errors": {"note": "Say more"}}, ["Deny"]),
        (
            {"response_action": "update", "view": modal(section(), title={"type": "plain_text", "text": "Done"})},
            ["Done"],
        ),
        (
            {"response_action": "push", "view": modal(section(), title={"type": "plain_text", "text": "More"})},
            ["Deny", "More"],
        ),
        ({"response_action": "clear"}, []),
    ],
)
async def test_response_actions(slack: Playground, online: ToyApp, answer: Json, stack: list[str]) -> None:
    async def sent(ack: Any) -> None:
        await ack(answer)

    online.app.view("ask")(sent)
    view = await open_modal(slack, online, modal())
    ack = await slack.submit("U0ALICE", view.id, {"note": "no"})
    assert ack.ok
    assert ack.response_action == answer["response_action"]
    assert [v.title["text"] for v in slack.modals("U0ALICE") if v.title] == stack
    assert ack.errors == answer.get("errors", {})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"response_action": "errors", "errors": {"elsewhere": "no such block"}}, "invalid_body"),
        ({"response_action": "errors", "errors": {}}, "invalid_body"),
        ({"response_action": "explode"}, "invalid_body"),
        ({"response_action": "update", "view": modal(section("x" * 3001))}, "invalid_view"),
        ({"response_action": "update"}, "invalid_view"),
        ({"text": "thanks"}, "invalid_body"),
    ],
)
async def test_answers_that_slack_does_not_take(slack: Playground, online: ToyApp, answer: Json, error: str) -> None:
    async def sent(ack: Any) -> None:
        await ack(answer)

    online.app.view("ask")(sent)
    view = await open_modal(slack, online, modal())
    ack = await slack.submit("U0ALICE", view.id, {"note": "no"})
    assert (ack.ok, ack.error) == (False, error)
    assert slack.modals("U0ALICE") == [view]


async def test_closing_a_modal(slack: Playground, online: ToyApp) -> None:
    async def closed(ack: Any) -> None:
        await ack()

    online.app.view_closed("ask")(closed)
    view = await open_modal(slack, online, modal(notify_on_close=True, private_metadata="r1"))
    assert (await slack.close_view("U0ALICE", view.id)).ok
    assert slack.modals("U0ALICE") == []
    assert online.seen[-1]["type"] == "view_closed"
    assert online.seen[-1]["is_cleared"] is False
    assert online.seen[-1]["view"]["private_metadata"] == "r1"


async def test_closing_tells_only_those_who_ask(slack: Playground, online: ToyApp) -> None:
    view = await open_modal(slack, online, modal())
    assert (await slack.close_view("U0ALICE", view.id)).ok
    assert "view_closed" not in {body["type"] for body in online.seen}


async def test_a_stack_may_be_closed_at_once(slack: Playground, online: ToyApp) -> None:
    async def closed(ack: Any) -> None:
        await ack()

    online.app.view_closed("ask")(closed)
    view = await open_modal(slack, online, modal(notify_on_close=True, clear_on_close=True))
    top = slack.views.push("U0ALICE", {**modal(clear_on_close=True, notify_on_close=True), "blocks": []})
    await slack.close_view("U0ALICE", top.id)
    assert slack.modals("U0ALICE") == []
    gone = [(b["view"]["id"], b["is_cleared"]) for b in online.seen if b["type"] == "view_closed"]
    assert gone == [(top.id, True), (view.id, True)]


async def test_a_click_in_a_modal_carries_what_was_typed(slack: Playground, online: ToyApp) -> None:
    async def more(ack: Any, body: Json, client: AsyncWebClient) -> None:
        await ack()
        await client.views_update(view_id=body["view"]["id"], hash=body["view"]["hash"], view=spec)

    on_click(online, more, "more")
    spec = modal(input_block(), actions(button("more"), block_id="row"))
    view = await open_modal(slack, online, spec)
    before = view.hash
    ack = await slack.view_click("U0ALICE", view.id, "more", values={"note": "half a thought"})
    assert ack.sent is not None
    assert {"channel", "message", "response_url"}.isdisjoint(ack.sent)
    assert ack.sent["container"] == {"type": "view", "view_id": view.id}
    assert ack.sent["view"]["state"]["values"]["note"]["note"]["value"] == "half a thought"
    await slack.until(lambda: view.hash != before)
    # The field is still there after the update, and so is what was typed.
    assert view.values["note"]["note"]["value"] == "half a thought"
    with pytest.raises(NotThere):
        await slack.view_click("U0ALICE", view.id, "note")


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
    assert slack.slash_payload("U0ALICE", "C0REFUNDS", "/signoff @bob")["text"] == "@bob"


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


async def test_triggers(slack: Playground, client: AsyncWebClient) -> None:
    message = await post(slack)

    def trigger() -> str:
        return str(slack.click_payload("U0ALICE", "C0REFUNDS", message.ts, "approve")["trigger_id"])

    first = trigger()
    await refused(client.views_open(trigger_id=first, view=modal(section(""))), "invalid_arguments")
    await client.views_open(trigger_id=first, view=modal())
    await refused(client.views_open(trigger_id=first, view=modal()), "exchanged_trigger_id")
    late = trigger()
    slack.expire_triggers()
    await refused(client.views_open(trigger_id=late, view=modal()), "expired_trigger_id")
    await refused(client.views_open(trigger_id="1.2.3", view=modal()), "invalid_trigger_id")
    await refused(client.views_open(trigger_id="nonsense", view=modal()), "invalid_arguments")
    # Only an interaction inside a modal gives leave to push.
    await refused(client.views_push(trigger_id=trigger(), view=modal()), "not_found")


async def test_three_views_at_most(slack: Playground, client: AsyncWebClient) -> None:
    message = await post(slack)
    spec = modal(input_block(), actions(button("more")))
    trigger = slack.click_payload("U0ALICE", "C0REFUNDS", message.ts, "approve")["trigger_id"]
    root = (await client.views_open(trigger_id=trigger, view=spec))["view"]
    for push in (client.views_push, client.views_open):
        trigger = slack.tickets.issue_trigger("U0ALICE", slack.modals("U0ALICE")[-1].id)
        view = (await push(trigger_id=trigger, view=spec))["view"]
        assert view["previous_view_id"] == slack.modals("U0ALICE")[-2].id
    assert [v.root_view_id == root["id"] for v in slack.modals("U0ALICE")] == [True, True, False]
    trigger = slack.tickets.issue_trigger("U0ALICE", slack.modals("U0ALICE")[-1].id)
    await refused(client.views_push(trigger_id=trigger, view=spec), "push_limit_reached")
    # Only the topmost can be used.
    with pytest.raises(NotThere):
        await slack.view_click("U0ALICE", root["id"], "more")
    # One opened from outside takes the place of the stack.
    trigger = slack.click_payload("U0ALICE", "C0REFUNDS", message.ts, "approve")["trigger_id"]
    await client.views_open(trigger_id=trigger, view=spec)
    assert len(slack.modals("U0ALICE")) == 1


async def test_updating_views(slack: Playground, client: AsyncWebClient) -> None:
    message = await post(slack)
    trigger = slack.click_payload("U0ALICE", "C0REFUNDS", message.ts, "approve")["trigger_id"]
    opened = (await client.views_open(trigger_id=trigger, view=modal(external_id="x1")))["view"]
    trigger = slack.click_payload("U0BOB", "C0REFUNDS", message.ts, "approve")["trigger_id"]
    await refused(client.views_open(trigger_id=trigger, view=modal(external_id="x1")), "duplicate_external_id")
    updated = (await client.views_update(external_id="x1", view=modal(section("new"))))["view"]
    assert (updated["id"], updated["external_id"]) == (opened["id"], "")
    assert updated["hash"] != opened["hash"]
    await refused(client.views_update(view_id=opened["id"], hash=opened["hash"], view=modal()), "hash_conflict")
    await client.views_update(view_id=opened["id"], hash=updated["hash"], view=modal())
    await refused(client.views_update(view_id="V0NONE", view=modal()), "not_found")
    await refused(client.views_update(view_id=opened["id"], view=home()), "invalid_arguments")
    both = {"view_id": opened["id"], "external_id": "x1", "view": modal()}
    await refused(client.api_call("views.update", json=both), "invalid_arguments")
    await slack.close_view("U0ALICE", opened["id"])
    await refused(client.views_update(view_id=opened["id"], view=modal()), "not_found")


async def test_too_large_a_view(client: AsyncWebClient) -> None:
    await refused(
        client.views_publish(user_id="U0ALICE", view=home(*(section("x" * 2700) for _ in range(95)))),
        "view_too_large",
    )
    await refused(client.views_publish(user_id="U0NOBODY", view=home()), "user_not_found")
    await refused(client.views_publish(user_id="U0ALICE", view=modal()), "invalid_arguments")


async def test_fields_of_every_kind_hold_their_state(slack: Playground, client: AsyncWebClient) -> None:
    kinds: list[tuple[Json, Any, Json]] = [
        (text_input("a", initial_value="first"), "x", {"type": "plain_text_input", "value": "x"}),
        ({"type": "checkboxes", "action_id": "a", "options": [option("1"), option("2", "B")]}, ["2"], {}),
        ({"type": "users_select", "action_id": "a"}, "U0BOB", {"type": "users_select", "selected_user": "U0BOB"}),
        (
            {"type": "multi_users_select", "action_id": "a", "initial_users": ["U0ALICE"]},
            ["U0BOB"],
            {"type": "multi_users_select", "selected_users": ["U0BOB"]},
        ),
        (
            {"type": "datepicker", "action_id": "a"},
            "2026-11-22",
            {"type": "datepicker", "selected_date": "2026-11-22"},
        ),
        (
            {"type": "number_input", "action_id": "a", "is_decimal_allowed": False},
            "7",
            {"type": "number_input", "value": "7"},
        ),
    ]
    for element, given, state in kinds:
        trigger = slack.tickets.issue_trigger("U0ALICE")
        view = (await client.views_open(trigger_id=trigger, view=modal(input_block(element, "b"))))["view"]
        values = slack.submit_payload("U0ALICE", view["id"], {"b": given})["view"]["state"]["values"]
        if state:
            assert values["b"]["a"] == state
        else:
            assert [o["value"] for o in values["b"]["a"]["selected_options"]] == given


@pytest.mark.parametrize(
    ("element", "given", "words"),
    [
        (text_input("a", min_length=3), "no", "Must be at least 3 characters."),
        (text_input("a", max_length=3), "long", "Must be 3 characters or fewer."),
        ({"type": "email_text_input", "action_id": "a"}, "nobody", "Please enter a valid email address."),
        ({"type": "url_text_input", "action_id": "a"}, "nowhere", "Please enter a valid URL."),
        (
            {"type": "number_input", "action_id": "a", "is_decimal_allowed": False},
            "1.5",
            "Please enter a whole number.",
        ),
        (
            {"type": "number_input", "action_id": "a", "is_decimal_allowed": True, "max_value": "2"},
            "2.5",
            "Must be 2 or less.",
        ),
    ],
)
async def test_what_slacks_client_refuses(
    slack: Playground, client: AsyncWebClient, element: Json, given: str, words: str
) -> None:
    trigger = slack.tickets.issue_trigger("U0ALICE")
    view = (await client.views_open(trigger_id=trigger, view=modal(input_block(element, "b"))))["view"]
    ack = await slack.submit("U0ALICE", view["id"], {"b": given})
    assert (ack.error, ack.errors) == ("input_missing", {"b": words})
