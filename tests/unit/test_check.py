"""`signoff check` against a real Web API: what is wrong is found, with what would be right, and nothing is changed."""

import json
import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from handlers.check import run_check
from handlers.findings import Finding, Level, Report, render_json, render_text
from playground import Fault, Playground, PlaygroundSettings
from store.schema import prepare

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
KEY = "k" * 32

TABLES = """
[server]
public_url = "{public_url}"
[slack]
mode = "{mode}"
api_url = "{api_url}"
[store]
url = "sqlite:///{database}"
[admins]
users = ["U0ADMIN"]
[agents.refund-bot]
owners = ["U0OWNER"]
tools = ["*"]
[agents.mail-bot]
owners = ["U0BOB"]
tools = ["*"]
[reviewers.finance]
users = ["U0ALICE"]
usergroups = ["S0FINANCE"]
"""
RULE = """
[[rules]]
name = "refunds"
agent = "refund-bot"
tool = "*"
stage = "approve"
channel = "C0REFUNDS"
fallback_channel = "C0OPS"
reviewers = ["finance"]
"""


@dataclass
class Desk:
    """A configuration, an environment and a workspace to check it in."""

    folder: Path
    slack: Playground
    env: dict[str, str]
    rules: str = RULE
    tables: str = TABLES
    mode: str = "socket"
    public_url: str = "http://127.0.0.1:8080"
    slept: list[float] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def database(self) -> Path:
        return self.folder / "signoff.db"

    async def check(self) -> Report:
        text = self.tables.format(
            public_url=self.public_url, mode=self.mode, api_url=self.slack.api_url, database=self.database
        )
        self.config.write_text(text + self.rules)
        report = await run_check(self.config, self.env, NOW, self.sleep)
        for token in (self.slack.bot_token, self.slack.app_token, KEY):
            assert token not in render_text(report)
        return report

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def faults(self) -> list[Finding]:
        return [finding for finding in (await self.check()).findings if finding.level is Level.FAULT]

    async def only_fault(self) -> Finding:
        (fault,) = await self.faults()
        return fault

    async def only_warning(self) -> Finding:
        report = await self.check()
        assert not report.has_fault, render_text(report)
        (warning,) = (finding for finding in report.findings if finding.level is Level.WARNING)
        return warning


@pytest.fixture
async def slack() -> AsyncIterator[Playground]:
    async with Playground(PlaygroundSettings()) as slack:
        for user in ("U0ADMIN", "U0OWNER", "U0ALICE", "U0BOB"):
            slack.workspace.add_user(user)
        for channel in ("C0REFUNDS", "C0OPS"):
            slack.workspace.add_channel(channel, members=["U0ALICE", slack.bot_user_id])
        slack.workspace.add_usergroup("S0FINANCE", handle="finance", users=["U0BOB"])
        yield slack


@pytest.fixture
def desk(tmp_path: Path, slack: Playground) -> Desk:
    env = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SIGNOFF_SECRET_KEY": KEY,
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    return Desk(tmp_path, slack, env)


async def test_all_is_well_and_nothing_was_changed(desk: Desk) -> None:
    report = await desk.check()
    assert [finding.level for finding in report.findings] == [Level.OK] * len(report.findings), render_text(report)
    assert os.listdir(desk.folder) == ["config.toml"]
    assert {call.method for call in desk.slack.calls} == {
        "auth.test",
        "apps.connections.open",
        "users.info",
        "usergroups.users.list",
        "conversations.info",
    }
    assert desk.slack.connections == 0


async def test_a_proxy_in_the_environment_does_not_come_between(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await desk.faults() == []


# --- configuration and secrets ---


async def test_a_faulty_configuration_is_told_whole_and_ends_the_check(desk: Desk) -> None:
    desk.rules = RULE.replace('"C0REFUNDS"', '"refunds"').replace("stage", "stagee")
    report = await desk.check()
    assert len(report.findings) == 3
    assert {finding.level for finding in report.findings} == {Level.FAULT}
    assert {finding.part for finding in report.findings} == {"configuration"}
    assert all(finding.remedy for finding in report.findings)
    assert desk.slack.calls == []


async def test_without_rules_every_call_is_denied(desk: Desk) -> None:
    desk.rules = ""
    assert "no rule" in (await desk.only_warning()).text


async def test_missing_tokens_are_faults_and_slack_is_not_asked(desk: Desk) -> None:
    del desk.env["SLACK_BOT_TOKEN"], desk.env["SLACK_APP_TOKEN"]
    assert [fault.text for fault in await desk.faults()] == ["SLACK_BOT_TOKEN is not set", "SLACK_APP_TOKEN is not set"]
    assert desk.slack.calls == []


async def test_a_key_that_the_first_start_makes_is_no_fault_and_is_not_made(desk: Desk) -> None:
    del desk.env["SIGNOFF_SECRET_KEY"]
    report = await desk.check()
    assert not report.has_fault
    assert any("will make the key" in finding.text for finding in report.findings)
    assert os.listdir(desk.folder) == ["config.toml"]


async def test_a_key_that_is_gone_from_its_database_is_a_warning(desk: Desk) -> None:
    del desk.env["SIGNOFF_SECRET_KEY"]
    prepare(desk.database, NOW, upgrade=False)
    assert "is gone" in (await desk.only_warning()).text


async def test_a_key_file_that_others_may_read_is_a_fault(desk: Desk) -> None:
    del desk.env["SIGNOFF_SECRET_KEY"]
    key = desk.folder / "signoff.db.key"
    key.write_text(KEY)
    key.chmod(0o644)
    assert "chmod 600" in str((await desk.only_fault()).remedy)


async def test_http_mode_asks_for_no_app_token_and_opens_no_socket(desk: Desk) -> None:
    desk.mode = "http"
    del desk.env["SLACK_APP_TOKEN"]
    assert await desk.faults() == []
    assert desk.slack.calls_of("apps.connections.open") == []


async def test_closed_metrics_are_a_warning_where_the_server_is_public(desk: Desk) -> None:
    desk.public_url = "https://signoff.example.com"
    assert "SIGNOFF_METRICS_TOKEN" in str((await desk.only_warning()).remedy)
    desk.env["SIGNOFF_METRICS_TOKEN"] = "metrics"
    assert not [finding for finding in (await desk.check()).findings if finding.level is not Level.OK]


# --- the database ---


async def test_a_current_database_is_fine(desk: Desk) -> None:
    prepare(desk.database, NOW, upgrade=False)
    report = await desk.check()
    assert not report.has_fault
    assert any(finding.part == "database" and "schema of this version" in finding.text for finding in report.findings)


def with_revision(path: Path, revision: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    connection.close()


async def test_a_newer_database_is_refused_and_left_alone(desk: Desk) -> None:
    with_revision(desk.database, "9999")
    before = desk.database.read_bytes()
    fault = await desk.only_fault()
    assert fault.part == "database"
    assert "9999" in fault.text
    assert desk.database.read_bytes() == before


async def test_an_older_database_will_be_migrated(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(desk.database, NOW, upgrade=False)
    monkeypatch.setattr("store.schema.HEAD", "9999")
    warning = await desk.only_warning()
    assert "older" in warning.text
    assert "backup" in str(warning.remedy)


@pytest.mark.parametrize("what", ["no database", "another's database", "no folder"])
async def test_a_database_that_cannot_be_used_is_a_fault(desk: Desk, what: str) -> None:
    if what == "no database":
        desk.database.write_bytes(b"hello, this is not SQLite at all" * 100)
    elif what == "another's database":
        with sqlite3.connect(desk.database) as connection:
            connection.execute("CREATE TABLE songs (title TEXT)")
        connection.close()
    else:
        desk.tables = desk.tables.replace("{database}", "{database}/deeper/signoff.db")
    fault = await desk.only_fault()
    assert fault.part == "database"
    assert fault.remedy


@pytest.mark.parametrize("what", ["folder", "database"])
async def test_a_place_that_cannot_be_written_is_a_fault(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    prepare(desk.database, NOW, upgrade=False)
    place = desk.folder if what == "folder" else desk.database
    # Not by the file's mode: root, who may run the tests, writes everywhere.
    monkeypatch.setattr("handlers.check.os.access", lambda path, mode: path != place)
    fault = await desk.only_fault()
    assert fault.part == "database"
    assert "not writable" in fault.text


# --- tokens and scopes ---


async def test_a_bot_token_that_is_refused_ends_slacks_part(desk: Desk) -> None:
    desk.env["SLACK_BOT_TOKEN"] = "xoxb-of-another-workspace"
    fault = await desk.only_fault()
    assert "invalid_auth" in fault.text
    assert {call.method for call in desk.slack.calls} == {"auth.test", "apps.connections.open"}


async def test_an_app_token_that_is_refused_is_a_fault_and_the_rest_is_checked(desk: Desk) -> None:
    desk.env["SLACK_APP_TOKEN"] = "xapp-of-another-app"
    fault = await desk.only_fault()
    assert "app-level token" in fault.text
    assert desk.slack.calls_of("conversations.info")


async def test_an_app_token_without_its_scope_is_told_which(tmp_path: Path) -> None:
    async with Playground(PlaygroundSettings(app_scopes=frozenset())) as slack:
        for user in ("U0ADMIN", "U0OWNER", "U0BOB", "U0ALICE"):
            slack.workspace.add_user(user)
        slack.workspace.add_usergroup("S0FINANCE", handle="finance", users=["U0ALICE"])
        env = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token, "SIGNOFF_SECRET_KEY": KEY}
        fault = await Desk(tmp_path, slack, env, rules="").only_fault()
    assert "connections:write" in str(fault.remedy)


@pytest.mark.parametrize("scope", ["dnd:read", "chat:write"])
async def test_a_missing_scope_is_named_with_its_purpose(desk: Desk, scope: str) -> None:
    desk.slack.scopes.discard(scope)
    fault = await desk.only_fault()
    assert fault.part == "scopes"
    assert f"{scope} (" in fault.text
    assert "signoff manifest" in str(fault.remedy)


async def test_scopes_that_even_the_check_needs_are_not_taken_for_missing_people(desk: Desk) -> None:
    desk.slack.scopes -= {"users:read", "channels:read", "groups:read"}
    faults = await desk.faults()
    assert [fault.text for fault in faults if fault.part == "slack"] == [
        "users.info is refused: missing_scope",
        "conversations.info is refused: missing_scope",
    ]
    assert not any("knows nobody" in fault.text or "is not there" in fault.text for fault in faults)


async def test_slack_that_does_not_answer_is_one_fault(desk: Desk) -> None:
    desk.slack.faults.add(Fault("drop"))
    fault = await desk.only_fault()
    assert "does not answer" in fault.text


async def test_slack_that_fails_half_way_is_one_fault(desk: Desk) -> None:
    desk.slack.faults.add(Fault("500", methods="conversations.info"))
    assert "does not answer" in (await desk.only_fault()).text


async def test_slack_that_asks_for_patience_gets_it(desk: Desk) -> None:
    desk.slack.faults.add(Fault("429", methods="users.info", times=2, retry_after=7))
    assert await desk.faults() == []
    assert desk.slept == [7, 7]
    desk.slack.faults.add(Fault("429", methods="users.info", retry_after=7))
    assert "ratelimited" in (await desk.only_fault()).text  # but not for ever


# --- channels ---


async def test_a_channel_that_is_not_there_is_a_fault(desk: Desk) -> None:
    desk.slack.workspace.remove_channel("C0REFUNDS")
    fault = await desk.only_fault()
    assert fault.part == 'rule "refunds", channel'
    assert "C0REFUNDS is not there" in fault.text


@pytest.mark.parametrize("channel", ["C0REFUNDS", "C0OPS"])
async def test_a_channel_without_the_bot_or_archived_is_a_fault(desk: Desk, channel: str) -> None:
    desk.slack.workspace.kick(channel, desk.slack.bot_user_id)
    fault = await desk.only_fault()
    assert channel in fault.text
    assert "/invite" in str(fault.remedy)
    desk.slack.workspace.change_channel(channel, is_archived=True)
    assert "archived" in (await desk.only_fault()).text


@pytest.mark.parametrize("sharing", [{"is_ext_shared": True}, {"is_pending_ext_shared": True}])
async def test_a_channel_shared_with_another_company_needs_the_rules_leave(
    desk: Desk, sharing: dict[str, bool]
) -> None:
    desk.slack.workspace.change_channel("C0OPS", **sharing)
    fault = await desk.only_fault()
    assert "shared with another company" in fault.text
    assert "external = true" in str(fault.remedy)
    desk.rules = RULE + "external = true\n"
    assert await desk.faults() == []


async def test_a_private_channels_card_may_not_fall_back_to_a_public_one(desk: Desk) -> None:
    desk.slack.workspace.change_channel("C0REFUNDS", is_private=True)
    fault = await desk.only_fault()
    assert fault.part == 'rule "refunds", fallback_channel'
    assert "private" in str(fault.remedy)
    desk.slack.workspace.change_channel("C0OPS", is_private=True)
    assert await desk.faults() == []
    desk.slack.workspace.change_channel("C0REFUNDS", is_private=False)
    assert await desk.faults() == []


async def test_a_rule_without_a_fallback_is_fine(desk: Desk) -> None:
    desk.slack.workspace.change_channel("C0REFUNDS", is_private=True)
    desk.rules = RULE.replace('fallback_channel = "C0OPS"\n', "")
    assert await desk.faults() == []


# --- people ---


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"deleted": True}, "deactivated"),
        ({"is_bot": True}, "bot"),
        ({"is_restricted": True}, "guest"),
        ({"is_ultra_restricted": True}, "guest"),
        ({"team_id": "T0PARTNER"}, "another workspace"),
        ({"is_stranger": True}, "another workspace"),
    ],
)
async def test_a_reviewer_who_cannot_decide_is_a_warning_and_the_last_one_a_fault(
    desk: Desk, change: dict[str, object], word: str
) -> None:
    desk.slack.workspace.change_user("U0ALICE", **change)
    warning = await desk.only_warning()  # U0BOB, of the group, is left
    assert word in warning.text
    desk.slack.workspace.set_usergroup_users("S0FINANCE", [])
    fault = await desk.only_fault()
    assert fault.part == 'rule "refunds"'
    assert "nobody is left to decide for agent refund-bot (U0ALICE:" in fault.text


async def test_somebody_must_be_left_for_each_agent_under_the_rule(desk: Desk) -> None:
    desk.rules = RULE.replace('agent = "refund-bot"', 'agent = "*-bot"')
    assert await desk.faults() == []
    desk.slack.workspace.change_user("U0ALICE", deleted=True)
    # U0BOB owns mail-bot, and owners never decide for their own agent.
    fault = await desk.only_fault()
    assert "nobody is left to decide for agent mail-bot" in fault.text
    assert "U0BOB: owner" in fault.text


async def test_an_id_that_nobody_has_is_a_fault_wherever_it_stands(desk: Desk) -> None:
    desk.tables = TABLES.replace('"U0ADMIN"', '"U0NOBODY"').replace('["U0OWNER"]', '["U0OWNER", "U0NOBODY"]')
    assert [(fault.part, fault.text) for fault in await desk.faults()] == [
        ("admins", "U0NOBODY: Slack knows nobody of this id"),
        ("agent refund-bot, owners", "U0NOBODY: Slack knows nobody of this id"),
    ]
    assert len([call for call in desk.slack.calls_of("users.info") if call.params["user"] == "U0NOBODY"]) == 1


async def test_a_group_is_only_asked_about_until_somebody_can_decide(desk: Desk) -> None:
    crowd = [f"U1{number:03}" for number in range(200)]
    for user in crowd:
        desk.slack.workspace.add_user(user)
    desk.slack.workspace.set_usergroup_users("S0FINANCE", crowd)
    desk.slack.workspace.change_user("U0ALICE", deleted=True)
    assert await desk.faults() == []
    assert len(desk.slack.calls_of("users.info")) < 10


async def test_user_groups_on_a_free_plan_are_told_plainly(tmp_path: Path) -> None:
    async with Playground(PlaygroundSettings(free_plan=True)) as slack:
        for user in ("U0ADMIN", "U0OWNER", "U0BOB", "U0ALICE"):
            slack.workspace.add_user(user)
        env = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token, "SIGNOFF_SECRET_KEY": KEY}
        fault = await Desk(tmp_path, slack, env, rules="").only_fault()
    assert fault.part == "reviewers finance"
    assert "plan has no user groups" in fault.text
    assert "list the people in users" in str(fault.remedy)


async def test_a_group_that_is_not_there_is_a_fault_and_an_empty_one_a_warning(desk: Desk) -> None:
    desk.slack.workspace.set_usergroup_users("S0FINANCE", [])
    assert "nobody in it" in (await desk.only_warning()).text
    desk.tables = TABLES.replace("S0FINANCE", "S0OTHER")
    assert "no_such_subteam" in (await desk.only_fault()).text


async def test_autonomous_rules_need_nobody(desk: Desk) -> None:
    desk.rules = '[[rules]]\nname = "reads"\nagent = "*"\ntool = "*"\nstage = "autonomous"\n'
    assert await desk.faults() == []
    assert desk.slack.calls_of("conversations.info") == []


# --- how it is shown ---


def test_the_report_for_people_has_remedies_and_a_sum() -> None:
    report = Report()
    report.ok("slack", "fine")
    assert render_text(report).endswith("\n\nAll is well.")
    report.warning("server", "hm", "do this")
    report.fault("database", "no", "do that")
    report.fault("database", "no", "do that")  # told once
    assert render_text(report).splitlines() == [
        "ok       slack: fine",
        "warning  server: hm",
        "         -> do this",
        "fault    database: no",
        "         -> do that",
        "",
        "1 fault, 1 warning.",
    ]


def test_the_report_for_programs() -> None:
    report = Report()
    report.ok("slack", "fine")
    report.warning("server", "hm", "do this")
    assert json.loads(render_json(report)) == {
        "ok": True,
        "findings": [
            {"level": "ok", "part": "slack", "text": "fine"},
            {"level": "warning", "part": "server", "text": "hm", "remedy": "do this"},
        ],
    }
    report.fault("database", "no", "do that")
    assert json.loads(render_json(report))["ok"] is False
