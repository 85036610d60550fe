"""The page's contract: files, snapshots, acts; as the page speaks it, over a plain websocket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from playground import Playground
from playground.sample import fill_sample
from playground.sample_calls import sample_presets
from tests.unit.playground_server.conftest import Opener, ToyApp, client_of
from tests.unit.playground_server.shapes import actions, button, home, input_block, modal, option, section, select

Json = dict[str, Any]


class Window:
    """One window of the page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.state: Json = {}

    async def look(self, until: Callable[[Json], Any] = bool) -> Json:
        """The first snapshot that the predicate likes; the last one seen may do."""
        while not self.state or not until(self.state):
            message = await self._socket.receive_json(timeout=3)
            if message["type"] == "state":
                self.state = message
        return self.state

    async def act(self, name: str, **fields: Any) -> Json:
        self._number += 1
        await self._socket.send_json({"id": self._number, "act": name, **fields})
        while True:
            message: Json = await self._socket.receive_json(timeout=3)
            if message["type"] == "state":
                self.state = message
            elif message["id"] == self._number:
                return message


OpenWindow = Callable[..., Awaitable[Window]]


@pytest.fixture
async def open_window(slack: Playground) -> AsyncIterator[OpenWindow]:
    async with aiohttp.ClientSession() as session:

        async def open_(user: str = "U0ALICE") -> Window:
            socket = await session.ws_connect(
                f"{slack.base_url}/playground/ws?user={user}", headers={"Origin": slack.base_url}
            )
            window = Window(socket)
            await window.look()
            return window

        yield open_


def channel(state: Json, channel_id: str = "C0REFUNDS") -> Json:
    found: Json = next(c for c in state["channels"] if c["id"] == channel_id)
    return found


async def test_files(slack: Playground) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(slack.page_url) as answer:
            assert answer.status == 200
            assert "<title>" in await answer.text()
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        async with session.get(slack.base_url + "/static/app.js") as answer:
            assert answer.status == 200
            assert answer.content_type in ("text/javascript", "application/javascript")
        async with session.get(slack.base_url + "/static/../server.py") as answer:
            assert answer.status == 404
        async with session.get(slack.base_url + "/static/%2e%2e/server.py") as answer:
            assert answer.status in (403, 404)


async def test_only_our_own_page_gets_a_line(slack: Playground) -> None:
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                await session.ws_connect(f"{slack.base_url}/playground/ws", headers=headers)
            assert error.value.status == 403


async def test_the_first_snapshot(slack: Playground, open_window: OpenWindow) -> None:
    state = (await open_window()).state
    keys = "type team me users usergroups channels home modals faults agent commands clock now"
    assert set(state) == set(keys.split())
    assert state["me"]["id"] == "U0ALICE"
    assert state["team"] == {"id": slack.team_id, "name": "Playground"}
    assert [c["id"] for c in state["channels"]] == ["C0REFUNDS", "C0ELSEWHERE", "C0SECRET", "C0HIDDEN"]
    user = "id name real_name title is_bot deleted is_restricted is_ultra_restricted is_stranger team_id tz"
    assert set(state["me"]) == set(user.split())
    assert [f["key"] for f in state["faults"]["available"]] == [
        "pace",
        "429",
        "500",
        "drop",
        "lost",
        "is_archived",
        "dead",
    ]
    assert state["agent"] == {"ready": False, "names": [], "presets": [], "runs": []}
    assert (state["home"], state["modals"], state["commands"]) == (None, [], ["/signoff"])
    # Whoever comes first, when nobody is named.
    assert (await open_window("")).state["me"]["id"] == "U0ALICE"
    # Bob sees his own channels.
    assert [c["id"] for c in (await open_window("U0BOB")).state["channels"]] == ["C0REFUNDS"]


async def test_an_unknown_person(slack: Playground) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(
            f"{slack.base_url}/playground/ws?user=U0NOBODY", headers={"Origin": slack.base_url}
        )
        message = await socket.receive(timeout=2)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4004)


async def test_messages_appear_with_their_marks(slack: Playground, open_window: OpenWindow) -> None:
    window = await open_window()
    client = client_of(slack)
    ts = (await client.chat_postMessage(channel="C0REFUNDS", text="t", blocks=[section("<@U0ALICE>")]))["ts"]
    await client.chat_postMessage(channel="C0REFUNDS", text="reply", thread_ts=ts)
    await client.chat_postEphemeral(channel="C0REFUNDS", user="U0ALICE", text="just you")
    state = await window.look(lambda s: len(channel(s)["messages"]) == 3)
    card, reply, hidden = channel(state)["messages"]
    assert (card["notified"], card["reply_count"], card["edited"], card["bot"]) == (True, 1, False, True)
    assert card["blocks"][0]["text"]["text"] == "<@U0ALICE>"
    assert (reply["thread_ts"], reply["ephemeral"]) == (ts, False)
    assert (hidden["text"], hidden["ephemeral"]) == ("just you", True)
    assert (channel(state)["unread"], channel(state)["mentions"]) == (1, 1)
    assert (await window.act("read", channel="C0REFUNDS"))["ok"]
    state = await window.look(lambda s: channel(s)["unread"] == 0)
    other = (await open_window("U0BOB")).state
    assert [m["text"] for m in channel(other)["messages"]] == ["t", "reply"]
    # Loaded anew, the ephemeral message is gone.
    again = (await open_window()).state
    assert [m["text"] for m in channel(again)["messages"]] == ["t", "reply"]


async def test_a_direct_message_shows_the_bot(slack: Playground, open_window: OpenWindow) -> None:
    await client_of(slack).chat_postMessage(channel="U0ALICE", text="psst")
    direct = channel((await open_window()).state, "D0ALICE")
    assert (direct["kind"], direct["user"], direct["mentions"]) == ("dm", slack.bot_user_id, 1)
    assert all(c["kind"] == "channel" for c in (await open_window("U0BOB")).state["channels"])


async def test_saying_and_deleting(slack: Playground, open_window: OpenWindow) -> None:
    window = await open_window()
    said = await window.act("say", channel="C0REFUNDS", text="hello @bob")
    state = await window.look(lambda s: channel(s)["messages"])
    assert channel(state)["messages"][0]["text"] == "hello <@U0BOB|bob>"
    assert channel(state)["unread"] == 0
    assert channel((await open_window("U0BOB")).state)["mentions"] == 1
    assert (await window.act("delete", channel="C0REFUNDS", ts=said["ts"]))["ok"]
    await window.look(lambda s: not channel(s)["messages"])
    for bad in ({"channel": "C0REFUNDS", "text": "  "}, {"channel": "C0NOWHERE", "text": "x"}, {"text": "x"}):
        answer = await window.act("say", **bad)
        assert not answer["ok"]
        assert answer["error"].endswith(".")


async def test_acts_that_make_no_sense(open_window: OpenWindow) -> None:
    window = await open_window()
    assert "no act" in (await window.act("explode"))["error"]
    assert not (await window.act("click", channel=7))["ok"]
    assert not (await window.act("view_submit", view_id="V0", values=[]))["ok"]


async def test_clicks_modals_and_home(slack: Playground, toy: ToyApp, open_window: OpenWindow) -> None:
    async def approve(ack: Any, body: Json, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=spec)

    async def take(ack: Any) -> None:
        await ack()

    async def sent(ack: Any, view: Json) -> None:
        if view["state"]["values"]["note"]["note"]["value"] == "no":
            await ack(response_action="errors", errors={"note": "Say more"})
        else:
            await ack()

    async def opened(event: Json, client: Any) -> None:
        await client.views_publish(user_id=event["user"], view=home(section("2 waiting"), actions(button("review"))))

    spec = modal(input_block(), actions(button("more"), select(), block_id="row"))
    toy.app.action("approve")(approve)
    for action_id in ("more", "pick", "review", "menu"):
        toy.app.action(action_id)(take)
    toy.app.view("ask")(sent)
    toy.app.event("app_home_opened")(opened)
    await toy.connect()
    window = await open_window()
    menu = {"type": "overflow", "action_id": "menu", "options": [option("x")]}
    await client_of(slack).chat_postMessage(channel="C0REFUNDS", text="t", blocks=[actions(button(value="r1"), menu)])
    card = channel(await window.look(lambda s: channel(s)["messages"]))["messages"][0]
    where = {"channel": "C0REFUNDS", "ts": card["ts"], "block_id": card["blocks"][0]["block_id"]}
    assert (await window.act("click", **where, action_id="approve", type="button", value="forged"))["ok"]
    click = next(body for body in toy.seen if body["type"] == "block_actions")
    assert click["actions"][0]["value"] == "r1"
    assert (await window.act("click", **where, action_id="menu", type="overflow", selected_option=option("x")))["ok"]
    assert toy.seen[-1]["actions"][0]["selected_option"]["value"] == "x"
    view = (await window.look(lambda s: s["modals"]))["modals"][0]
    assert view["title"]["text"] == "Deny"
    note = {"note": {"note": {"type": "plain_text_input", "value": "no"}}}
    second = view["blocks"][1]["elements"][1]["options"][1]
    chosen = {"view_id": view["id"], "block_id": "row", "action_id": "pick", "type": "static_select"}
    answer = await window.act("view_click", **chosen, selected_option=second, values=note)
    assert answer["ok"]
    assert toy.seen[-1]["actions"][0]["selected_option"]["value"] == "b"
    assert toy.seen[-1]["view"]["state"]["values"]["note"] == note["note"]
    answer = await window.act("view_submit", view_id=view["id"], values=note)
    assert answer["errors"] == {"note": "Say more"}
    note["note"]["note"]["value"] = "too much"
    assert "errors" not in await window.act("view_submit", view_id=view["id"], values=note)
    await window.look(lambda s: not s["modals"])
    assert (await window.act("open_home"))["ok"]
    tab = (await window.look(lambda s: s["home"]))["home"]
    assert tab["blocks"][0]["text"]["text"] == "2 waiting"
    block_id = tab["blocks"][1]["block_id"]
    assert (await window.act("home_click", block_id=block_id, action_id="review", type="button"))["ok"]
    await window.act("click", **where, action_id="approve", type="button")
    view = (await window.look(lambda s: s["modals"]))["modals"][0]
    assert (await window.act("view_close", view_id=view["id"]))["ok"]
    await window.look(lambda s: not s["modals"])


async def test_commands(slack: Playground, toy: ToyApp, open_window: OpenWindow) -> None:
    async def command(ack: Any) -> None:
        await ack("nothing waits")

    toy.app.command("/signoff")(command)
    window = await open_window()
    answer = await window.act("slash", channel="C0REFUNDS", text="/signoff pending")
    assert answer["error"] == "The app is not connected to the playground right now."
    await toy.connect()
    assert (await window.act("slash", channel="C0REFUNDS", text="/signoff pending"))["ok"]
    state = await window.look(lambda s: channel(s)["messages"])
    assert channel(state)["messages"][0]["text"] == "nothing waits"
    answer = await window.act("slash", channel="C0REFUNDS", text="/other")
    assert answer["error"] == "/other is not a command here."


async def test_too_slow_an_app(open_playground: Opener, make_app: Callable[[Playground], ToyApp]) -> None:
    slack = await open_playground(ack_seconds=0.05)
    toy = make_app(slack)
    never = asyncio.Event()

    async def slow() -> None:
        await never.wait()

    toy.app.command("/signoff")(slow)
    toy.app.action("approve")(slow)
    await toy.connect()
    async with aiohttp.ClientSession() as session:
        window = Window(await session.ws_connect(f"{slack.base_url}/playground/ws", headers={"Origin": slack.base_url}))
        answer = await window.act("slash", channel="C0REFUNDS", text="/signoff")
        assert answer["error"] == "/signoff failed because the app did not respond."
        ts = (await client_of(slack).chat_postMessage(channel="C0REFUNDS", text="t", blocks=[actions()]))["ts"]
        answer = await window.act("click", channel="C0REFUNDS", ts=ts, action_id="approve", type="button")
        assert not answer["ok"]
        assert "did not answer in time" in answer["error"]
    never.set()


async def test_fault_switches(slack: Playground, open_window: OpenWindow) -> None:
    window = await open_window()
    for key in ("429", "dead"):
        assert (await window.act("fault", key=key, on=True))["ok"]
    await window.look(lambda s: s["faults"]["active"] == ["429", "dead"])
    assert slack.faults.dead
    # Switched on twice is still on once.
    await window.act("fault", key="429", on=True)
    assert len(slack.faults.active) == 2
    await window.act("fault", key="429", on=False)
    await window.act("fault", key="dead", on=False)
    await window.look(lambda s: s["faults"]["active"] == [])
    assert not (await window.act("fault", key="slow", on=True))["ok"]
    for on in (True, False):
        await window.act("fault", key="pace", on=on)
        await window.look(lambda s, on=on: s["faults"]["active"] == ["pace"] * on)  # type: ignore[misc]
        assert slack.pacing.enforced is on


async def test_the_sample_company(open_playground: Opener) -> None:
    slack = Playground()
    fill_sample(slack.workspace)
    workspace = slack.workspace
    assert {"U0ADMIN", "U0OWNER", "U0ALICE"} <= set(workspace.users)
    assert {"C0REFUNDS", "C0OPS"} <= set(workspace.channels)
    assert set(workspace.usergroups["S0FINANCE"].users) <= set(workspace.channel("C0REFUNDS").members)
    assert workspace.user("U0GUEST").is_restricted
    assert workspace.user("U0PAT").team_id != slack.team_id
    keys = [preset.key for preset in sample_presets()]
    assert len(keys) == len(set(keys)) == 9
