"""Modals: filled in, submitted, answered, stacked and closed; and the rules of views.*."""

from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from playground import NotThere, Playground
from tests.unit.playground_server.conftest import ToyApp
from tests.unit.playground_server.helpers import on_click, open_modal, post, refused
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

Json = dict[str, Any]


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
