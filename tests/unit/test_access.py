"""`signoff access` against a real Web API: who can approve what today, by the policy that judges clicks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from handlers.cli import main
from playground import Fault, Playground, PlaygroundSettings

CONFIG = """
[server]
public_url = "http://127.0.0.1:8080"
[slack]
api_url = "{api_url}"
[store]
url = "sqlite:///signoff.db"
[admins]
users = ["U0ADMIN"]
[agents.refund-bot]
owners = ["U0OWNER"]
tools = ["*"]
[agents.mail-bot]
owners = ["U0BOB", "U0ALICE"]
tools = ["*"]
[reviewers.finance]
users = ["U0ALICE", "U0GUEST", "U0NOBODY", "U0OWNER"]
[reviewers.security]
usergroups = ["S0SECURITY"]
[[rules]]
name = "refunds"
agent = "*"
tool = "issue_*"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
[[rules]]
name = "wide"
agent = "refund-bot"
tool = "*"
when = "arguments.amount > 5"
stage = "approve"
channel = "C0REFUNDS"
need = [{{ reviewers = "finance" }}, {{ reviewers = ["security", "finance"] }}]
step_up = "totp"
[[rules]]
name = "reads"
agent = "mail-bot"
tool = "read_*"
stage = "autonomous"
"""
Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def slack() -> AsyncIterator[Playground]:
    async with Playground(PlaygroundSettings()) as slack:
        for user in ("U0ADMIN", "U0OWNER", "U0ALICE", "U0BOB"):
            slack.workspace.add_user(user)
        slack.workspace.add_user("U0GUEST", is_restricted=True)
        slack.workspace.add_usergroup("S0SECURITY", handle="security", users=["U0BOB"])
        yield slack


@pytest.fixture
def run(tmp_path: Path, slack: Playground, capsys: pytest.CaptureFixture[str]) -> Run:
    async def run(*more: str, env: dict[str, str] | None = None, api_url: str = slack.api_url) -> tuple[int, str, str]:
        config = tmp_path / "config.toml"
        config.write_text(CONFIG.format(api_url=api_url))
        tokens = {"SLACK_BOT_TOKEN": slack.bot_token} if env is None else env
        code = await asyncio.to_thread(main, ["access", "--config", str(config), *more], tokens)
        return code, *capsys.readouterr()

    return run


async def test_everybody_is_judged_for_every_agent_and_rule(run: Run) -> None:
    code, out, err = await run()
    assert (code, err) == (0, "")
    assert out.split("\n")[:12] == [
        "refund-bot",
        "  refunds (tool issue_*): 1 of finance",
        "    may: U0ALICE (@alice), named in finance",
        "    no:  U0GUEST (@guest): a guest",
        "    no:  U0NOBODY: Slack does not know them",
        "    no:  U0OWNER (@owner): owns the agent",
        "  wide (tool *, when arguments.amount > 5): 1 of finance and 1 of security or finance, each with a passcode",
        "    may: U0ALICE (@alice) for finance or security/finance, named in finance",
        "    no:  U0GUEST (@guest): a guest",
        "    no:  U0NOBODY: Slack does not know them",
        "    no:  U0OWNER (@owner): owns the agent",
        "    may: U0BOB (@bob) for security/finance, member of S0SECURITY in security",
    ]
    mail = out.split("mail-bot\n")[1]
    assert "    no:  U0ALICE (@alice): owns the agent" in mail
    assert "    may: U0OWNER (@owner), named in finance" in mail
    assert "  reads (tool read_*): approves by itself" in mail
    assert "Slack knows nobody of the id U0NOBODY." in mail
    assert "not enough" not in out


async def test_a_rule_that_nobody_can_decide_today_is_named(run: Run, slack: Playground) -> None:
    slack.workspace.set_usergroup_users("S0SECURITY", [])
    code, out, _ = await run("--agent", "refund-bot")
    assert code == 0
    assert out.count("That is not enough") == 1
    assert "mail-bot" not in out


async def test_one_person_alone_is_looked_up(run: Run, slack: Playground) -> None:
    _, out, _ = await run("--user", "U0BOB", "--json")
    told = json.loads(out)
    assert told["asked_slack"] is True
    assert [(one["agent"], one["rule"], [person["code"] for person in one["people"]]) for one in told["access"]] == [
        ("refund-bot", "refunds", ["not_a_reviewer"]),
        ("refund-bot", "wide", ["reviewer"]),
        ("mail-bot", "refunds", ["owner"]),
        ("mail-bot", "reads", []),
    ]
    assert told["access"][1]["people"][0]["seats"] == [1]
    assert [call.method for call in slack.calls].count("users.info") == 1


async def test_without_a_token_what_is_not_known_is_said(run: Run, slack: Playground) -> None:
    code, out, _ = await run("--agent", "refund-bot", env={})
    assert code == 0
    assert "may: U0ALICE, named in finance" in out
    assert "no:  U0OWNER: owns the agent" in out
    assert "perhaps: members of S0SECURITY, which was not looked up" in out
    assert "User groups were not looked up." in out
    assert "taken for members of the workspace" in out
    assert not slack.calls
    _, out, _ = await run("--user", "U0BOB", "--agent", "refund-bot", env={})
    assert "no:  U0BOB: no reviewer of this rule" in out
    assert "no:  U0BOB: not named, and who is in the user groups was not looked up" in out


async def test_a_group_that_cannot_be_read_and_a_slack_that_is_away(run: Run, slack: Playground) -> None:
    slack.faults.add(Fault("error", methods="usergroups.users.list", error_code="plan_upgrade_required"))
    _, out, _ = await run()
    assert "User group S0SECURITY cannot be read: plan_upgrade_required." in out
    assert "perhaps: members of S0SECURITY" in out
    code, out, _ = await run(api_url="http://127.0.0.1:9/api/")
    assert code == 0
    assert "Slack could not be asked" in out
    assert "taken for members of the workspace" in out


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("--agent nobody", 1, "There is no agent nobody"),
        ("--user alice", 2, "is not the id of a user"),
    ],
)
async def test_what_is_not_there_is_said(run: Run, line: str, code: int, said: str) -> None:
    found, out, err = await run(*line.split())
    assert (found, out) == (code, "")
    assert said in err


async def test_a_token_of_the_wrong_kind_is_refused(run: Run) -> None:
    code, _, err = await run(env={"SLACK_BOT_TOKEN": "xapp-wrong"})
    assert code == 1
    assert "SLACK_BOT_TOKEN" in err
    assert "wrong" not in err
