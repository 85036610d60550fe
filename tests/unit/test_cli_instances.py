"""`signoff instance`: tokens alone on stdout and once, in a second process's way, beside a running server."""

import asyncio
import io
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import BadCredential
from bot.tokens import looks_like_instance_token
from handlers.cli import main
from store.schema import prepare
from store.tables import DeciderKind, Status
from tests.conftest import SAMPLE, House, submission

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
KEY = "k" * 32


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = SAMPLE.replace("sqlite:///signoff.db", f"sqlite:///{tmp_path}/signoff.db")
    (tmp_path / "config.toml").write_text(config)
    return tmp_path


@pytest.fixture
def run(folder: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(line: str, *more: str, env: dict[str, str] | None = None) -> Ran:
        given = {"SIGNOFF_CONFIG": str(folder / "config.toml"), "SIGNOFF_SECRET_KEY": KEY} if env is None else env
        code = main(["instance", *line.split(), *more], given)
        return Ran(code, *capfd.readouterr())

    return run


def token_of(ran: Ran) -> str:
    """The token, if it is all that is on stdout and nowhere else."""
    assert ran.code == 0, ran.err
    token = ran.out.removesuffix("\n")
    assert looks_like_instance_token(token)
    assert token not in ran.err
    return token


def test_create_prints_the_token_alone_and_keeps_only_its_hash(run: Run, folder: Path) -> None:
    ran = run("create till --agent refund-bot")
    token = token_of(ran)
    assert "till" in ran.err
    for path in folder.iterdir():
        assert token.encode() not in path.read_bytes()
    assert stat.S_IMODE((folder / "signoff.db").stat().st_mode) == 0o600


def test_the_key_is_made_with_the_first_token_and_said(run: Run, folder: Path) -> None:
    env = {"SIGNOFF_CONFIG": str(folder / "config.toml")}
    ran = run("create till --agent refund-bot", env=env)
    token_of(ran)
    assert f"Made the secret key {folder}/signoff.db.key" in ran.err
    assert (folder / "signoff.db.key").read_text().strip() not in ran.err
    assert "secret key" not in run("rotate till", env=env).err


def test_an_agent_that_is_not_configured_is_refused_with_those_that_are(run: Run, folder: Path) -> None:
    ran = run("create till --agent refundbot")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "signoff: There is no agent refundbot in the configuration. Configured: refund-bot.\n"
    assert os.listdir(folder) == ["config.toml"]


@pytest.mark.parametrize("name", ["", "a" * 76, "a\nb", "a\x1b[2J", "\u202egro", " till", "till ", "a\udcff"])
def test_a_name_that_is_no_name_is_refused(run: Run, folder: Path, name: str) -> None:
    ran = run("create --agent refund-bot", name)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.isprintable() or ran.err.count("\n") == 1
    assert os.listdir(folder) == ["config.toml"]


@pytest.mark.parametrize("name", ["a", "a" * 75, "Kasse 3, Zürich", "-till"])
def test_names_are_free_text(run: Run, name: str) -> None:
    token_of(run("create --agent refund-bot --", name))
    listed = json.loads(run("list --json").out)["instances"]
    assert [instance["name"] for instance in listed] == [name]


def test_a_name_in_use_is_refused_until_it_is_revoked(run: Run) -> None:
    token_of(run("create till --agent refund-bot"))
    ran = run("create till --agent refund-bot")
    assert (ran.code, ran.out) == (1, "")
    assert "named till already" in ran.err
    assert run("revoke till").code == 0
    token_of(run("create till --agent refund-bot"))


def test_rotate_prints_a_new_token_and_retire_none(run: Run) -> None:
    tokens = {token_of(run("create till --agent refund-bot")), *(token_of(run("rotate till")) for _ in range(2))}
    assert len(tokens) == 3
    assert run("rotate till --retire").out == "Revoked 2 older tokens of till; the newest goes on working.\n"
    assert run("rotate till --retire").out == "Revoked 0 older tokens of till; the newest goes on working.\n"
    (instance,) = json.loads(run("list --json").out)["instances"]
    assert [credential["state"] for credential in instance["credentials"]] == ["revoked", "revoked", "live"]


def test_list_shows_everything_but_tokens(run: Run) -> None:
    tokens = [token_of(run("create till --agent refund-bot")), token_of(run("rotate till"))]
    run("rotate till --retire")
    token_of(run("create shelf --agent refund-bot"))
    run("revoke shelf")
    as_json, as_text = run("list --json"), run("list")
    till, shelf = json.loads(as_json.out)["instances"]
    assert (till["name"], till["agent"], till["state"], till["revoked_at"]) == ("till", "refund-bot", "live", None)
    assert shelf["state"] == "revoked"
    assert shelf["revoked_at"].endswith("Z")
    old, new = till["credentials"]
    assert old["revoked_at"] > old["created_at"]
    assert new["revoked_at"] is None
    assert "till  (agent refund-bot, live)" in as_text.out
    assert "shelf  (agent refund-bot, revoked)" in as_text.out
    assert as_text.out.count(" UTC, revoked ") == 2
    for ran in (as_json, as_text):
        assert (ran.code, ran.err) == (0, "")
        assert "so_i_" not in ran.out
        assert not any(token in ran.out for token in tokens)


def test_list_needs_neither_database_nor_key_and_makes_none(run: Run, folder: Path) -> None:
    env = {"SIGNOFF_CONFIG": str(folder / "config.toml")}
    assert json.loads(run("list --json", env=env).out) == {"instances": []}
    ran = run("list", env=env)
    assert (ran.code, ran.out) == (0, "")
    assert "signoff instance create" in ran.err
    assert os.listdir(folder) == ["config.toml"]


@pytest.mark.parametrize("line", ["rotate till", "rotate till --retire", "revoke till"])
def test_an_instance_that_is_not_there_is_refused(run: Run, folder: Path, line: str) -> None:
    ran = run(line)
    assert (ran.code, ran.out) == (1, "")
    assert "There is no database" in ran.err
    assert os.listdir(folder) == ["config.toml"]
    prepare(folder / "signoff.db", NOW, upgrade=False)
    ran = run(line)
    assert (ran.code, ran.out) == (1, "")
    assert "no live instance named till" in ran.err


def test_an_older_database_is_not_migrated_under_a_server(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(folder / "signoff.db", NOW, upgrade=False)
    monkeypatch.setattr("store.schema.HEAD", "9999")
    ran = run("create till --agent refund-bot")
    assert (ran.code, ran.out) == (1, "")
    assert "signoff serve" in ran.err
    assert not list(folder.glob("*.backup"))


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_token_that_nobody_got_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Full())
    ran = run("create till --agent refund-bot")
    assert ran.code == 1
    assert "No space left" in ran.err
    assert "signoff instance rotate till" in ran.err
    assert "so_i_" not in ran.err


async def command(folder: Path, line: str) -> int:
    """Run a command as another process would, beside the loop of the server."""
    env = {"SIGNOFF_CONFIG": str(folder / "config.toml"), "SIGNOFF_SECRET_KEY": KEY}
    return await asyncio.to_thread(main, ["instance", *line.split()], env)


async def test_the_commands_work_beside_a_running_server(
    house: House, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert house.store.path == folder / "signoff.db"
    assert await command(folder, "create till --agent refund-bot") == 0
    old = capfd.readouterr().out.strip()
    instance = await house.instances.authenticate(old)
    assert instance.name == "till"

    assert await command(folder, "rotate till") == 0
    new = capfd.readouterr().out.strip()
    assert await house.instances.authenticate(old) == await house.instances.authenticate(new) == instance

    first, _ = await house.creation.submit(instance, submission(), "k1")
    await house.creation.submit(instance, submission(), "k2")
    poll = asyncio.create_task(house.approvals.wait(instance, first.id, timedelta(seconds=5)))
    assert await command(folder, "revoke till") == 0
    assert capfd.readouterr().out == "Revoked till and cancelled 2 pending requests of it.\n"
    answered = await poll
    assert (answered.status, answered.decided_by_kind) == (Status.CANCELLED, DeciderKind.OPERATOR)
    for token in (old, new):
        with pytest.raises(BadCredential):
            await house.instances.authenticate(token)


def test_an_instance_may_be_made_for_a_person(run: Run) -> None:
    made = run("create alices-helper --agent refund-bot --person U0ALICE")
    token_of(made)
    assert "for U0ALICE, who will not decide on its requests" in made.err
    token_of(run("create till --agent refund-bot"))
    listed = json.loads(run("list --json").out)["instances"]
    assert [(one["name"], one["person"]) for one in listed] == [("alices-helper", "U0ALICE"), ("till", None)]
    assert "alices-helper  (agent refund-bot, for U0ALICE, live)" in run("list").out


@pytest.mark.parametrize("person", ["alice", "@alice", "C0REFUNDS", "<@U0ALICE>", "u0alice", "U0\x1b[2J", "", "U" * 40])
def test_a_person_is_a_slack_user_id(run: Run, folder: Path, person: str) -> None:
    ran = run("create till --agent refund-bot --person", person)
    assert (ran.code, ran.out) == (2, "")
    assert "is not the id of a user" in ran.err
    assert ran.err.count("\n") == 1
    assert "\x1b" not in ran.err
    assert os.listdir(folder) == ["config.toml"]
