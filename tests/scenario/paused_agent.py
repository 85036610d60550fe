"""An agent as a process of its own, which pauses at a call and ends; another one like it goes on when it is told.

``python -m tests.scenario.paused_agent FRAMEWORK ORDER`` with the order as JSON: ``act`` (``start`` or ``go_on``),
``folder``, ``port`` of its receiver, ``runs`` by id with the order that each is to refund, and for ``start`` the
provider's ``url`` and a provisioner's ``token``. What outlives the process is in the folder: the checkpoints or states,
the instance as it was provisioned, and what the tool paid out, a line each. Answers lines of JSON.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agentapprovalprotocol import AsyncClient
from agentapprovalprotocol.receiver import Receiver
from aiohttp import web

from tests.scenario.refunds import CLAIM, PATIENT, PROMPT, TOOL

Wake = Callable[[Any, Any], Awaitable[None]]


class PaperTill:
    """Pays out by writing it down, where the next process finds it."""

    def __init__(self, folder: Path) -> None:
        self._paid = folder / "paid"

    def pay(self, order: str, amount: int) -> str:
        with self._paid.open("a") as paid:
            paid.write(f"{order} {amount}\n")
        return f"paid {amount} for {order}"


@dataclass
class Shift:
    """One process's work: its order, and what the framework's part of it needs."""

    folder: Path
    port: int
    runs: dict[str, str]
    work: Any = None

    @property
    def till(self) -> Any:
        return PaperTill(self.folder)

    @property
    def notes(self) -> Path:
        return self.folder / "instance.json"


class LangGraphAgent:
    """One graph per order to refund; the checkpoints are in a SQLite file."""

    framework = "langgraph"

    def __init__(self, shift: Shift) -> None:
        from langgraph.checkpoint.sqlite import SqliteSaver

        from tests.scenario.langgraph_support import Desk

        self._saver = AsyncExitStack()
        saver: Any = self._saver.enter_context(SqliteSaver.from_conn_string(str(shift.folder / "checkpoints.db")))
        self._desks = {
            run: Desk(shift.work, shift.till, saver=saver, orders=(order,), mode="async", **PATIENT)
            for run, order in shift.runs.items()
        }

    async def start(self, run: str) -> bool:
        result = await asyncio.to_thread(self._desks[run].graph.invoke, {"messages": PROMPT}, _thread(run))
        return "__interrupt__" in result

    async def wake(self, handle: Any, request: Any) -> None:
        from agentapprovalprotocol.langgraph import resumer

        await resumer(self._desks[handle["thread_id"]].graph)(handle, request)

    def said(self, run: str) -> str | None:
        state = self._desks[run].graph.get_state(_thread(run))
        return None if state.next else str(state.values["messages"][-1].text)

    async def close(self) -> None:
        for desk in self._desks.values():
            await desk.close()
        await self._saver.aclose()


def _thread(run: str) -> Any:
    return {"configurable": {"thread_id": run}}


class OpenAIAgent:
    """One agent per order to refund; each run's state is a file."""

    framework = "openai-agents"

    def __init__(self, shift: Shift) -> None:
        from tests.scenario.openai_agents_support import Desk

        self._folder = shift.folder
        self._desks = {
            run: Desk(shift.work, shift.till, order=order, mode="async", save=self._save, load=self._load, **PATIENT)
            for run, order in shift.runs.items()
        }

    def _save(self, run: str, state: str) -> None:
        (self._folder / f"{run}.state").write_text(state)

    def _load(self, run: str) -> str | None:
        path = self._folder / f"{run}.state"
        return path.read_text() if path.exists() else None

    async def start(self, run: str) -> bool:
        desk = self._desks[run]
        result = await desk.approvals.run(desk.agent, PROMPT, run_id=run)
        return [item.tool_name for item in result.interruptions] == [TOOL]

    async def wake(self, handle: Any, request: Any) -> None:
        desk = self._desks[handle["run_id"]]
        await desk.approvals.resumer(desk.agent)(handle, request)

    def said(self, run: str) -> str | None:
        items = json.loads(self._load(run) or "{}").get("generated_items", [])
        messages = [item["raw_item"]["content"][0]["text"] for item in items if item["type"] == "message_output_item"]
        last = str(messages[-1]) if messages else CLAIM
        return None if last == CLAIM else last

    async def close(self) -> None:
        for desk in self._desks.values():
            await desk.close()


AGENTS: dict[str, Any] = {kind.framework: kind for kind in (LangGraphAgent, OpenAIAgent)}


@asynccontextmanager
async def serving(receiver: Receiver, port: int) -> AsyncIterator[None]:
    """Serve a receiver at ``/aap`` of a port of this machine."""

    async def take(http_request: web.Request) -> web.Response:
        status, body = await receiver.handle(http_request.headers, await http_request.read())
        return web.Response(status=status, body=body, content_type="application/json" if body else None)

    app = web.Application()
    app.router.add_post("/aap", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def start(framework: str, shift: Shift, url: str, token: str) -> dict[str, Any]:
    """Provision an instance with this receiver, start every run, and end with all of them paused."""
    receiver = Receiver(resumers={})
    async with serving(receiver, shift.port):
        made = await receiver.provision(
            provider_url=url, provisioner_token=token, url=f"http://127.0.0.1:{shift.port}/aap", instance_name="till"
        )
    assert receiver.client is not None
    await receiver.client.aclose()
    shift.notes.write_text(json.dumps({"url": url, **asdict(made)}))
    shift.work = SimpleNamespace(agents_url=url, token=made.token)
    agent = AGENTS[framework](shift)
    paused = {run: await agent.start(run) for run in shift.runs}
    await agent.close()
    return {"paused": paused}


async def go_on(framework: str, shift: Shift) -> dict[str, Any]:
    """Serve the receiver again until every run is at its end; what the model said last is the answer."""
    notes = json.loads(shift.notes.read_text())
    shift.work = SimpleNamespace(agents_url=notes["url"], token=notes["token"])
    agent = AGENTS[framework](shift)
    woken = asyncio.Queue[None]()

    async def resume(handle: Any, request: Any) -> None:
        await agent.wake(handle, request)
        woken.put_nowait(None)

    client = AsyncClient(notes["url"], notes["token"])
    receiver = Receiver(
        resumers={framework: resume},
        secret=notes["secret"],
        client=client,
        registration_id=notes["registration_id"],
        instance_id=notes["instance_id"],
    )
    async with serving(receiver, shift.port):
        answer("listening")
        while any(agent.said(run) is None for run in shift.runs):
            await woken.get()
    said = {run: agent.said(run) for run in shift.runs}
    await client.aclose()
    await agent.close()
    return {"said": said}


def answer(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main(framework: str, order: dict[str, Any]) -> None:
    act = order.pop("act")
    given = {name: order.pop(name) for name in ("url", "token") if name in order}
    shift = Shift(Path(order["folder"]), order["port"], order["runs"])
    done = await (start(framework, shift, **given) if act == "start" else go_on(framework, shift))
    answer(done)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
