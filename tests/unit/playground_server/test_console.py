"""The agent's console: the real client, against the package's own provider behind a real socket."""

import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import httpx
import pytest
from agentapprovalprotocol.testing import TOKEN, FakeProvider
from aiohttp import web

from playground import Console, ConsoleUnavailable, Playground, Preset, Run
from playground.agent import BadCall, read_arguments
from playground.sample_calls import sample_presets
from tests.unit.playground_server.test_page import Window

Json = dict[str, Any]
TOKENS = dict.fromkeys(("refund-bot", "report-bot", "deploy-bot"), TOKEN)


@pytest.fixture
async def provider() -> AsyncIterator[tuple[FakeProvider, str]]:
    fake = FakeProvider(auto=None)

    async def answer(http_request: web.Request) -> web.Response:
        given = httpx.Request(
            http_request.method,
            str(http_request.url),
            headers=dict(http_request.headers),
            content=await http_request.read(),
        )
        found = fake.handle(given)
        return web.Response(status=found.status_code, body=found.content, content_type="application/json")

    server = web.Application()
    server.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield fake, f"http://127.0.0.1:{runner.addresses[0][1]}/aap"
    await runner.cleanup()


@pytest.fixture
def console(slack: Playground, provider: tuple[FakeProvider, str]) -> Console:
    return slack.connect_agents(provider[1], TOKENS, sample_presets())


def kinds(run: Run) -> list[str]:
    return [step.kind for step in run.steps]


Waiting = Callable[[Run], Any]


async def waits(slack: Playground, run: Run) -> None:
    await slack.until(lambda: "waiting" in kinds(run))


async def ends(slack: Playground, run: Run) -> None:
    await slack.until(lambda: run.state == "done")


async def test_approved(slack: Playground, console: Console, provider: tuple[FakeProvider, str]) -> None:
    run = console.send(console.presets["refund"])
    await waits(slack, run)
    stored = provider[0].only()
    assert stored.body["arguments"]["amount"] == 129.9
    assert stored.body["agent_reasoning"]
    provider[0].decide(stored.id)
    await ends(slack, run)
    assert kinds(run) == ["asked", "waiting", "approved", "consumed", "ran", "reported"]
    assert stored.outcome is not None
    assert stored.outcome["status"] == "succeeded"
    assert run.result == console.presets["refund"].result


@pytest.mark.parametrize(
    ("status", "note", "said"),
    [
        ("denied", "Too much money", "Too much money"),
        ("expired", None, "Nobody decided in time."),
        ("cancelled", None, "The request was withdrawn."),
    ],
)
async def test_not_approved(
    slack: Playground,
    console: Console,
    provider: tuple[FakeProvider, str],
    status: str,
    note: str | None,
    said: str,
) -> None:
    run = console.send(console.presets["email"])
    await waits(slack, run)
    provider[0].decide(provider[0].only().id, status, note)
    await ends(slack, run)
    assert kinds(run) == ["asked", "waiting", status]
    assert run.result == said
    assert provider[0].only().consumed_at is None


async def test_decided_at_once(slack: Playground, console: Console, provider: tuple[FakeProvider, str]) -> None:
    provider[0].auto = "denied"
    run = console.send(console.presets["forbidden"])
    await ends(slack, run)
    assert kinds(run) == ["asked", "denied"]
    assert run.steps[-1].text.startswith("At once; nobody was asked.")  # a remembered denial is no fresh one


async def test_times_are_left_to_the_reader(slack: Playground, console: Console) -> None:
    run = console.send(console.presets["refund"])
    await waits(slack, run)
    step = run.shape()["steps"][-1]
    assert "{moment}" in step["text"]
    assert "UTC" not in step["text"]
    assert step["moment"].endswith("Z")


async def test_a_burst_is_many_calls_in_one_moment(
    slack: Playground, console: Console, provider: tuple[FakeProvider, str]
) -> None:
    preset = console.presets["burst"]
    assert "also" not in preset.shape()
    last = console.send(preset)
    assert console.runs[0] is last
    assert len(console.runs) == 60
    assert len({run.shape()["burst"] for run in console.runs}) == 1
    await slack.until(lambda: all("waiting" in kinds(run) for run in console.runs))
    asked = [stored.body["arguments"]["order"] for stored in provider[0].requests.values()]
    assert len(set(asked)) == 60
    for stored in list(provider[0].requests.values()):
        provider[0].decide(stored.id, "denied")
    await slack.until(lambda: all(run.state == "done" for run in console.runs))


async def test_cancelling(slack: Playground, console: Console, provider: tuple[FakeProvider, str]) -> None:
    run = console.send(console.presets["refund"])
    await waits(slack, run)
    await console.cancel(run.id)
    await ends(slack, run)
    assert kinds(run)[-1] == "cancelled"
    with pytest.raises(BadCall):
        await console.cancel(run.id)


async def test_a_refused_call_is_told_in_the_providers_words(
    slack: Playground, console: Console, provider: tuple[FakeProvider, str]
) -> None:
    def picky(given: httpx.Request) -> httpx.Response | None:
        error = {"type": "invalid_request_error", "code": "invalid_timeout", "message": "timeout is not a duration"}
        return httpx.Response(400, json={"error": error})

    provider[0].intercept = picky
    run = console.send(console.presets["refund"])
    await ends(slack, run)
    assert [(step.kind, step.text) for step in run.steps] == [("refused", "timeout is not a duration")]


async def test_refusals_and_conflicts(slack: Playground, provider: tuple[FakeProvider, str]) -> None:
    wrong = slack.connect_agents(provider[1], dict.fromkeys(TOKENS, "wrong-token"), sample_presets())
    run = wrong.send(wrong.presets["refund"])
    await ends(slack, run)
    assert kinds(run) == ["refused"]
    await wrong.close()

    def withdrawn(given: httpx.Request) -> httpx.Response | None:
        if given.url.path.endswith("/consume"):
            error = {"type": "conflict", "code": "approval_revoked", "message": "withdrawn by Alice"}
            return httpx.Response(409, json={"error": error})
        return None

    provider[0].auto, provider[0].intercept = "approved", withdrawn
    console = slack.connect_agents(provider[1], TOKENS, sample_presets())
    run = console.send(console.presets["refund"])
    await ends(slack, run)
    assert kinds(run) == ["asked", "approved", "refused"]
    assert "approval_revoked" in run.steps[-1].text
    assert "withdrawn by Alice" in run.steps[-1].text


async def test_an_unreadable_answer(slack: Playground, console: Console, provider: tuple[FakeProvider, str]) -> None:
    provider[0].intercept = lambda given: httpx.Response(200, content=b"{}")
    run = console.send(console.presets["refund"])
    await ends(slack, run)
    assert kinds(run) == ["error"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON (line 1)"),
        ("[1]", "must be a JSON object"),
        ('{"a": 1, "a": 2}', "“a” twice"),
        ('{"a": NaN}', "NaN"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_arguments_that_cannot_be_sent(text: str, words: str) -> None:
    with pytest.raises(BadCall, match=words.replace("(", r"\(").replace(")", r"\)")):
        read_arguments(text)


def test_numbers_stay_as_written() -> None:
    assert str(read_arguments('{"a": 4900.0000000000001}')["a"]) == "4900.0000000000001"


async def test_from_the_page(slack: Playground, console: Console, provider: tuple[FakeProvider, str]) -> None:
    async with aiohttp.ClientSession() as session:
        window = Window(await session.ws_connect(f"{slack.base_url}/playground/ws", headers={"Origin": slack.base_url}))
        state = await window.look()
        assert state["agent"]["ready"]
        assert [p["key"] for p in state["agent"]["presets"]] == list(console.presets)
        assert "result" not in state["agent"]["presets"][0]
        assert (await window.act("agent_send", preset="refund"))["ok"]
        run = (await window.look(lambda s: any(len(r["steps"]) == 2 for r in s["agent"]["runs"])))["agent"]["runs"][0]
        assert (run["state"], run["tool"], run["label"]) == ("running", "issue_refund", "Refund a customer")
        assert run["steps"][0]["at"].endswith("Z")
        assert (await window.act("agent_cancel", run=run["id"]))["ok"]
        await window.look(lambda s: s["agent"]["runs"][0]["state"] == "done")
        free = {"tool": "look_up", "arguments_text": '{"q": 1}', "server": "crm", "reasoning": "why not"}
        assert (await window.act("agent_send", **free))["ok"]
        await window.look(lambda s: len(s["agent"]["runs"]) == 2)
        assert list(provider[0].requests.values())[-1].body["server"] == "crm"
        for bad in (
            {**free, "arguments_text": "{"},
            {**free, "tool": ""},
            {"preset": "unknown"},
            {"tool": "x"},
            {**free, "arguments_text": '{"a": "' + "x" * 200_000 + '"}'},
        ):
            answer = await window.act("agent_send", **bad)
            assert not answer["ok"]
            assert answer["error"]


async def test_no_agent_no_calls(slack: Playground) -> None:
    async with aiohttp.ClientSession() as session:
        window = Window(await session.ws_connect(f"{slack.base_url}/playground/ws", headers={"Origin": slack.base_url}))
        answer = await window.act("agent_send", preset="refund")
        assert answer["error"] == "No agent is connected to this playground."


def test_a_missing_client_is_said_plainly(slack: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agentapprovalprotocol", None)
    with pytest.raises(ConsoleUnavailable, match="agentapprovalprotocol"):
        slack.connect_agents("http://127.0.0.1:1/aap", {"bot": "t"})


def test_a_call_without_a_tool(console: Console) -> None:
    with pytest.raises(BadCall):
        console.send(Preset(key="x", label="x", explain="", tool="", arguments_text="{}"))
