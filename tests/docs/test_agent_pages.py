"""The pages under docs/agents: two are run, block by block, against a running Signoff; all are held to the package.

What a page says is run as it stands, with two exceptions that are made here and nowhere else: the address is that of
the service under test, and the model's name leads to a scripted model.
"""

import ast
import asyncio
import json
import re
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn
from agentapprovalprotocol import AsyncClient, Client

from bot.config import parse_settings
from tests.conftest import SAMPLE
from tests.scenario.frameworks_support import approve, state_of, work
from tests.scenario.process_support import free_port
from tests.scenario.service_support import Workplace, cards
from tests.waiting import until, within

__all__ = ["work"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "agents"
PAGES = sorted(page.name for page in FOLDER.glob("*.md") if page.name != "README.md")
RUN = {"langgraph.md": "langgraph_support", "openai-agents.md": "openai_agents_support"}
WITH_CODE = [page for page in PAGES if page != "claude-code.md"]
ADDRESS = "http://127.0.0.1:8080/aap"
RECEIVER = "https://agents.example.com/aap"
PORT = 9000
MODEL = "gpt-5-mini"
REFUNDED = "I was told: refunded 4900 cents of order A-1001"


def text_of(page: str) -> str:
    return (FOLDER / page).read_text(encoding="utf-8")


def blocks(page: str, language: str = "python") -> list[str]:
    """The page's code in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


class Script:
    """A page's code, run in a thread as a script would be, block after block in one namespace."""

    def __init__(self, page: str, work: Workplace, port: int = PORT) -> None:
        self._blocks = blocks(page)
        self._work = work
        self._page = page
        self._port = port
        self.names: dict[str, Any] = {"__name__": "__main__"}

    async def run(self, index: int) -> None:
        await self._execute(self._parse(index))

    async def define(self, index: int) -> None:
        """Run a block but for its last statement, which starts the agent: so would another process that goes on."""
        code = self._parse(index)
        assert ast.unparse(code.body.pop()) == "asyncio.run(main())"
        await self._execute(code)

    def _parse(self, index: int) -> ast.Module:
        code = self._blocks[index].replace(ADDRESS, self._work.agents_url).replace(f"port={PORT}", f"port={self._port}")
        return ast.parse(code.replace(RECEIVER, f"http://127.0.0.1:{self._port}/aap"), self._page)

    async def _execute(self, code: ast.Module) -> None:
        await within(asyncio.to_thread(exec, compile(code, self._page, "exec"), self.names))


@pytest.fixture
def desk(work: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder in which a reader runs the page: the token is in it, as the command printed it."""
    (tmp_path / "till.token").write_text(work.token + "\n")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clients_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a script leaves to its own end."""
    made: list[Client] = []
    begin = Client.__init__

    def init(self: Client, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(Client, "__init__", init)
    yield
    for client in made:
        client.close()


@pytest.fixture(scope="module")
def langgraph() -> ModuleType:
    from tests.scenario import langgraph_support

    return langgraph_support


@pytest.fixture(scope="module")
def openai_agents() -> ModuleType:
    from tests.scenario import openai_agents_support

    return openai_agents_support


@pytest.fixture
def scripted_chat_model(langgraph: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def init_chat_model(name: str) -> Any:
        assert name == f"openai:{MODEL}"
        return langgraph.FakeChatModel()

    monkeypatch.setattr("langchain.agents.factory.init_chat_model", init_chat_model)


@pytest.fixture
def scripted_model(openai_agents: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_model(self: Any, name: str | None) -> Any:
        assert name == MODEL
        return openai_agents.FakeModel()

    monkeypatch.setattr("agents.models.openai_provider.OpenAIProvider.get_model", get_model)


@pytest.mark.usefixtures("desk", "clients_end", "scripted_chat_model")
async def test_langgraph_waits_as_its_page_says(work: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    running = asyncio.ensure_future(Script("langgraph.md", work).run(0))
    await approve(work)
    await running
    assert printed(capsys) == ["refunding A-1001", REFUNDED]
    assert state_of(work) == [("approved", "succeeded")]


@pytest.mark.usefixtures("desk", "clients_end", "scripted_chat_model")
async def test_langgraph_pauses_and_goes_on_as_its_page_says(
    work: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script("langgraph.md", work)
    await script.run(1)
    card = await work.card()
    await script.run(2)  # too early: it pauses again, and nothing is printed
    request_id = await approve(work)
    assert printed(capsys) == [f"waiting for request {request_id}"]
    await script.run(2)
    assert printed(capsys) == ["refunding A-1001", REFUNDED]
    await script.run(2)  # once too often: there is nothing left to do
    assert printed(capsys) == [REFUNDED]
    assert state_of(work) == [("approved", "succeeded")]
    assert [each.ts for each in cards(work.slack)] == [card.ts]


@pytest.mark.usefixtures("desk", "scripted_model")
async def test_openai_agents_wait_as_their_page_says(work: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    running = asyncio.ensure_future(Script("openai-agents.md", work).run(0))
    await approve(work)
    await running
    assert printed(capsys) == ["refunding A-1001", REFUNDED]
    assert state_of(work) == [("approved", "succeeded")]


@pytest.mark.usefixtures("desk", "scripted_model")
async def test_openai_agents_pause_as_their_page_says(work: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    await Script("openai-agents.md", work).run(1)
    assert printed(capsys) == ["waiting for issue_refund"]
    request_id = await approve(work)
    later = Script("openai-agents.md", work)
    await later.define(1)
    client: AsyncClient = later.names["approvals"].gate.client
    request = await within(client.get(request_id))
    assert request.context is not None
    await within(later.names["approvals"].resumer(later.names["agent"])(request.context["resume"], request))
    await client.aclose()
    assert printed(capsys) == ["refunding A-1001"]
    assert state_of(work) == [("approved", "succeeded")]


# --- woken by a notification -------------------------------------------------------------------------------


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[uvicorn.Server]:
    """The servers that scripts start, to be ended as a signal would. With them ends what a process's end would end."""
    made: list[uvicorn.Server] = []
    clients: list[AsyncClient] = []
    serve, begin = uvicorn.Server.serve, AsyncClient.__init__

    async def serve_and_clean_up(self: uvicorn.Server, sockets: Any = None) -> None:
        made.append(self)
        await serve(self, sockets)
        if waking := [task for task in asyncio.all_tasks() if "Receiver.wake" in repr(task)]:
            await asyncio.wait(waking, timeout=5)
        for client in clients:
            await client.aclose()

    def init(self: AsyncClient, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        clients.append(self)

    monkeypatch.setattr(uvicorn.Server, "serve", serve_and_clean_up)
    monkeypatch.setattr(AsyncClient, "__init__", init)
    return made


@asynccontextmanager
async def listening(script: Script, index: int, servers: list[uvicorn.Server]) -> AsyncIterator[None]:
    """Run a block that serves a receiver, until this ends."""
    before = len(servers)
    running = asyncio.ensure_future(script.run(index))
    await until(lambda: running.done() or (len(servers) > before and servers[-1].started))
    try:
        yield
    finally:
        servers[-1].should_exit = True
        await running


async def provision(work: Workplace, port: int, folder: Path) -> None:
    """Do what docs/agents/README.md says, in a folder whose token is then the new instance's."""
    _, token = await work.service.provisioners.create("fleet", "refund-bot")
    (folder / "fleet.token").write_text(token + "\n")
    page = Script("README.md", work, port)
    await page.run(next(at for at, block in enumerate(blocks("README.md")) if "provision(" in block))
    assert set(json.loads((folder / "till.json").read_text())) == {"instance_id", "registration_id", "secret"}
    work.token = (folder / "till.token").read_text()


@pytest.mark.usefixtures("desk", "clients_end", "scripted_chat_model")
async def test_langgraph_is_woken_as_its_page_says(
    work: Workplace, tmp_path: Path, servers: list[uvicorn.Server], capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    await provision(work, port, tmp_path)
    script = Script("langgraph.md", work, port)
    await script.run(1)
    await work.card()
    async with listening(script, 3, servers):
        request_id = await approve(work)
        await until(lambda: state_of(work) == [("approved", "succeeded")])
    assert printed(capsys) == [f"waiting for request {request_id}", "refunding A-1001"]


@pytest.mark.usefixtures("desk", "scripted_model")
async def test_openai_agents_are_woken_as_their_page_says(
    work: Workplace, tmp_path: Path, servers: list[uvicorn.Server], capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    await provision(work, port, tmp_path)
    await Script("openai-agents.md", work, port).run(1)
    later = Script("openai-agents.md", work, port)
    await later.define(1)
    async with listening(later, 2, servers):
        await approve(work)
        await until(lambda: state_of(work) == [("approved", "succeeded")])
    assert printed(capsys) == ["waiting for issue_refund", "refunding A-1001"]


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the script printed, without the service's log, whose lines begin with the time."""
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("20")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_whether_it_is_run(page: str) -> None:
    (row,) = [line for line in text_of("README.md").splitlines() if f"]({page})" in line and line.startswith("|")]
    assert row.endswith("| yes |" if page in RUN else "| no |")
    second = text_of(page).splitlines()[2]
    assert second.startswith("> Run by this project's tests" if page in RUN else "> **Not run here.**")


@pytest.mark.parametrize("page", WITH_CODE)
def test_a_page_names_the_versions_that_are_installed(page: str) -> None:
    head = text_of(page).splitlines()[2]
    named = re.findall(r"\b(agentapprovalprotocol|langchain|langgraph|openai-agents) (\d+(?:\.\d+)+)", head)
    assert named
    for package, number in named:
        assert f"{version(package)}.".startswith(f"{number}.")


@pytest.mark.parametrize("page", ["README.md", *PAGES])
def test_a_page_leads_to_files_that_are_there(page: str) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", text_of(page)):
        assert (FOLDER / link).exists(), link


@pytest.mark.parametrize("page", WITH_CODE)
def test_every_adapter_is_given_the_patience_that_people_need(page: str) -> None:
    made = [call for block in blocks(page) for call in adapters_made(block)]
    assert made
    for call in made:
        given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if is_plain(keyword)}
        assert given["timeout"] == "1h"
        assert given["wait_limit"] == 3600
    assert "`timeout` and `wait_limit` are both needed" in text_of(page)


@pytest.mark.parametrize("page", WITH_CODE)
def test_what_a_page_uses_of_the_package_is_in_it(page: str) -> None:
    """For frameworks that are not installed too: the adapters' source is read, not imported."""
    gate = parameters(source_of("agentapprovalprotocol._gate"), "AsyncGate")
    for block in blocks(page):
        for node in ast.walk(ast.parse(block)):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("agentapprovalprotocol"):
                continue
            source = source_of(str(node.module))
            for name in node.names:
                assert name.name in defined(source)
        for call in adapters_made(block):
            assert isinstance(call.func, ast.Name)
            allowed = parameters(source, call.func.id) | gate
            assert {keyword.arg for keyword in call.keywords} <= allowed


@pytest.mark.parametrize("page", ["README.md", *PAGES])
def test_the_rules_on_a_page_load(page: str) -> None:
    for block in blocks(page, "toml"):
        parse_settings((SAMPLE + textwrap.dedent(block)).encode(), {}, source=page)


def adapters_made(block: str) -> list[ast.Call]:
    """The calls that make an adapter: those that are given Signoff's address, but for plain clients."""
    return [
        node
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call)
        and not (isinstance(node.func, ast.Name) and node.func.id == "AsyncClient")
        and any(isinstance(given, ast.Constant) and given.value == ADDRESS for given in node.args)
    ]


def is_plain(keyword: ast.keyword) -> bool:
    return isinstance(keyword.value, ast.Constant)


def source_of(module: str) -> ast.Module:
    package, _, name = module.partition(".")
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / f"{name or '__init__'}.py"
    return ast.parse(path.read_text(encoding="utf-8"))


def defined(source: ast.Module) -> set[str]:
    made = {node.name for node in source.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    handed_on = {name.name for node in source.body if isinstance(node, ast.ImportFrom) for name in node.names}
    return made | handed_on


def parameters(source: ast.Module, name: str) -> set[str]:
    """The keywords that a class's ``__init__`` takes."""
    (made,) = [node for node in source.body if isinstance(node, ast.ClassDef) and node.name == name]
    (init,) = [node for node in made.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    return {argument.arg for argument in (*init.args.args, *init.args.kwonlyargs)}
