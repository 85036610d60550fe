"""`signoff check` on what plans name: whom steps notify and let decide, and where their cards go."""

from pathlib import Path

import pytest

from handlers.findings import Level, render_text
from playground import Playground, PlaygroundSettings
from tests.unit.calendar_samples import calendar
from tests.unit.test_check import KEY, RULE, TABLES, Desk, slack

__all__ = ["slack"]

MORE = """
[reviewers.leads]
users = ["U0LEA"]
[oncall.finance]
users = ["U0CAROL"]
[oncall.calendar]
ical = "CALENDAR"
[pagers.main]
kind = "pagerduty"
secret_env = "PAGER_KEY"
"""
PART = 'rule "refunds", plan standard'


@pytest.fixture
def desk(tmp_path: Path, slack: Playground) -> Desk:
    for user in ("U0LEA", "U0CAROL", "U0GUEST"):
        slack.workspace.add_user(user)
    slack.workspace.change_user("U0GUEST", is_restricted=True)
    slack.workspace.add_channel("C0LEADS", members=["U0LEA", slack.bot_user_id])
    slack.workspace.add_usergroup("S0LEADS", handle="leads", users=["U0LEA"])
    env = {
        "SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token, "SIGNOFF_SECRET_KEY": KEY,
        "PAGER_KEY": "c4n4ry0123456789abcdef0123456789",
    }  # fmt: skip
    file = tmp_path / "finance.ics"
    file.write_bytes(
        calendar("UID:1\nDTSTART:20260101T000000Z\nDURATION:P1D\nRRULE:FREQ=DAILY\nSUMMARY:lea@example.com")
    )
    return Desk(tmp_path, slack, env, tables=TABLES + MORE.replace("CALENDAR", str(file)))


def plan(desk: Desk, *steps: str, rule: str = RULE) -> None:
    """Give the rule a plan of steps, each what follows ``after``."""
    written = "".join(f'[[plans.standard.steps]]\nafter = "10%"\n{step}\n' for step in steps)
    desk.rules = f'{rule}plan = "standard"\n[plans.standard]\n{written}'


async def findings(desk: Desk, level: Level) -> list[tuple[str, str]]:
    report = await desk.check()
    assert "c4n4ry" not in render_text(report)
    return [(finding.part, finding.text) for finding in report.findings if finding.level is level]


@pytest.mark.parametrize(
    "step",
    [
        'notify = ["thread"]',
        'notify = ["owners", "thread"]',
        'notify = ["channel:C0LEADS"]',
        'notify = ["pager:main"]',
        'notify = ["oncall:calendar"]',
        'notify = ["user:U0ALICE"]',
        'notify = ["owners", "user:U0ALICE"]',
        'notify = ["usergroup:S0FINANCE"]',
        'notify = ["user:U0LEA"]\nwiden = ["leads"]',
        'notify = ["oncall:finance"]\nwiden = ["oncall:finance"]',
        'notify = ["owners"]\nwiden = ["leads"]',
    ],
)
async def test_a_step_that_asks_somebody_who_may_decide_is_well(desk: Desk, step: str) -> None:
    plan(desk, step)
    report = await desk.check()
    assert {finding.level for finding in report.findings} == {Level.OK}, render_text(report)
    assert (PART, "each of its steps asks somebody who may decide") in await findings(desk, Level.OK)


@pytest.mark.parametrize(
    ("step", "who"),
    [
        ('notify = ["owners"]', "(U0OWNER: owner)"),
        ('notify = ["user:U0LEA"]', "(U0LEA: not_a_reviewer)"),
        ('notify = ["oncall:finance"]', "(U0CAROL: not_a_reviewer)"),
        ('notify = ["usergroup:S0LEADS", "owners"]', "(U0OWNER: owner, U0LEA: not_a_reviewer)"),
    ],
)
async def test_a_step_that_reaches_nobody_who_may_decide_is_a_fault(desk: Desk, step: str, who: str) -> None:
    plan(desk, 'notify = ["thread"]', step)
    assert await findings(desk, Level.FAULT) == [
        (
            f"{PART}, step 2",
            f"notifies only people who may not decide for agent refund-bot {who}, and widens nobody",
        )
    ]


async def test_who_joined_at_an_earlier_step_may_decide_at_a_later_one(desk: Desk) -> None:
    plan(desk, 'notify = ["thread"]\nwiden = ["leads"]', 'notify = ["user:U0LEA"]')
    assert await findings(desk, Level.FAULT) == []
    plan(desk, 'notify = ["user:U0LEA"]', 'notify = ["thread"]\nwiden = ["leads"]')
    assert [part for part, _ in await findings(desk, Level.FAULT)] == [f"{PART}, step 1"]


async def test_each_agent_under_the_rule_has_owners_of_its_own(desk: Desk) -> None:
    plan(desk, 'notify = ["user:U0BOB"]', rule=RULE.replace('agent = "refund-bot"', 'agent = "*-bot"'))
    ((_, text),) = await findings(desk, Level.FAULT)
    assert "for agent mail-bot (U0BOB: owner)" in text


async def test_people_and_groups_that_are_not_there_are_faults(desk: Desk) -> None:
    desk.tables = desk.tables.replace('["U0CAROL"]', '["U0NOBODY"]')
    plan(desk, 'notify = ["thread", "user:U0NOONE", "usergroup:S0NONE", "channel:C0NONE"]')
    assert await findings(desk, Level.FAULT) == [
        ("oncall finance", "U0NOBODY: Slack knows nobody of this id"),
        ("plan standard, step 1", "U0NOONE: Slack knows nobody of this id"),
        ("plan standard, step 1", "S0NONE cannot be read: no_such_subteam"),
        (f"{PART}, step 1", "C0NONE is not there, or is private and the bot is not in it"),
    ]


async def test_somebody_who_can_never_decide_is_a_warning(desk: Desk) -> None:
    plan(desk, 'notify = ["thread", "user:U0GUEST"]')
    assert await findings(desk, Level.WARNING) == [("plan standard, step 1", "U0GUEST (@guest) is a guest")]


async def test_a_usergroup_on_call_is_read(desk: Desk) -> None:
    desk.tables = desk.tables.replace('users = ["U0CAROL"]', 'usergroup = "S0ONCALL"')
    plan(desk, 'notify = ["oncall:finance"]')
    assert await findings(desk, Level.FAULT) == [("oncall finance", "S0ONCALL cannot be read: no_such_subteam")]
    desk.slack.workspace.add_usergroup("S0ONCALL", handle="oncall", users=["U0ALICE"])
    assert await findings(desk, Level.FAULT) == []
    desk.slack.workspace.set_usergroup_users("S0ONCALL", [])
    ((_, text),) = await findings(desk, Level.FAULT)
    assert "(nobody is there)" in text


async def test_a_free_plan_has_no_user_groups_to_notify(tmp_path: Path) -> None:
    async with Playground(PlaygroundSettings(free_plan=True)) as slack:
        for user in ("U0ADMIN", "U0OWNER", "U0BOB", "U0ALICE"):
            slack.workspace.add_user(user)
        slack.workspace.add_channel("C0REFUNDS", members=["U0ALICE", slack.bot_user_id])
        slack.workspace.add_channel("C0OPS", members=["U0ALICE", slack.bot_user_id])
        env = {"SLACK_BOT_TOKEN": slack.bot_token, "SLACK_APP_TOKEN": slack.app_token, "SIGNOFF_SECRET_KEY": KEY}
        desk = Desk(tmp_path, slack, env, tables=TABLES.replace('usergroups = ["S0FINANCE"]\n', ""))
        plan(desk, 'notify = ["usergroup:S0LEADS"]')
        assert await findings(desk, Level.FAULT) == [
            ("plan standard, step 1", "S0LEADS cannot be read: this workspace's plan has no user groups")
        ]


# --- channels ---


async def test_a_steps_channel_is_held_to_the_rules_of_any(desk: Desk) -> None:
    plan(desk, 'notify = ["channel:C0LEADS"]')
    desk.slack.workspace.change_channel("C0LEADS", is_ext_shared=True)
    ((part, text),) = await findings(desk, Level.FAULT)
    assert part == f"{PART}, step 1"
    assert "shared with another company" in text
    plan(desk, 'notify = ["channel:C0LEADS"]', rule=RULE + "external = true\n")
    assert await findings(desk, Level.FAULT) == []
    desk.slack.workspace.kick("C0LEADS", desk.slack.bot_user_id)
    assert await findings(desk, Level.FAULT) == [(f"{PART}, step 1", "the bot is not in C0LEADS")]


async def test_a_private_channels_card_is_not_repeated_in_a_public_one(desk: Desk) -> None:
    plan(desk, 'notify = ["channel:C0LEADS"]')
    for channel in ("C0REFUNDS", "C0OPS"):
        desk.slack.workspace.change_channel(channel, is_private=True)
    assert await findings(desk, Level.FAULT) == [(f"{PART}, step 1", "C0LEADS is public, and C0REFUNDS is private")]
    desk.slack.workspace.change_channel("C0LEADS", is_private=True)
    assert await findings(desk, Level.FAULT) == []


# --- widening ---


@pytest.mark.parametrize("widen", ['["finance"]', '["double"]', '["oncall:again"]'])
async def test_widening_to_those_who_may_decide_already_is_a_warning(desk: Desk, widen: str) -> None:
    desk.tables += '[reviewers.double]\nusers = ["U0BOB"]\n[oncall.again]\nusergroup = "S0FINANCE"\n'
    plan(desk, f'notify = ["thread"]\nwiden = {widen}')
    ((part, text),) = await findings(desk, Level.WARNING)
    assert part == f"{PART}, step 1"
    assert text == f"widens to {widen[2:-2]}, and all of them may decide already"


async def test_widening_twice_to_the_same_is_a_warning(desk: Desk) -> None:
    plan(desk, 'notify = ["thread"]\nwiden = ["leads"]', 'notify = ["thread"]\nwiden = ["leads"]')
    assert [part for part, _ in await findings(desk, Level.WARNING)] == [f"{PART}, step 2"]


async def test_a_seat_is_widened_by_itself(desk: Desk) -> None:
    rule = RULE.replace('reviewers = ["finance"]', 'need = [{ reviewers = "finance" }, { reviewers = "leads" }]')
    plan(desk, 'notify = ["thread"]\nwiden = [{ seat = "finance", reviewers = "leads" }]', rule=rule)
    assert await findings(desk, Level.WARNING) == []
    plan(desk, 'notify = ["thread"]\nwiden = [{ seat = "leads", reviewers = "leads" }]', rule=rule)
    assert len(await findings(desk, Level.WARNING)) == 1


async def test_widening_to_people_who_never_decide_is_a_warning(desk: Desk) -> None:
    desk.tables += '[reviewers.bosses]\nusers = ["U0OWNER", "U0NEW"]\n'
    desk.slack.workspace.add_user("U0NEW")
    plan(desk, 'notify = ["thread"]\nwiden = ["bosses"]')
    assert await findings(desk, Level.WARNING) == []
    desk.slack.workspace.change_user("U0NEW", is_bot=True)
    assert (
        f"{PART}, step 1",
        "widens to bosses, of whom nobody may decide for agent refund-bot (U0OWNER: owner, U0NEW: bot)",
    ) in await findings(desk, Level.WARNING)


# --- secrets ---


async def test_a_pagers_secret_must_be_there(desk: Desk) -> None:
    plan(desk, 'notify = ["pager:main"]')
    del desk.env["PAGER_KEY"]
    ((part, text),) = await findings(desk, Level.FAULT)
    assert (part, text) == ("secrets", "PAGER_KEY is not set, and pagers.main.secret_env names it")
    desk.env["PAGER_KEY"] = "c4n4ry"
    ((part, text),) = await findings(desk, Level.FAULT)
    assert (part, text) == ("secrets", "PAGER_KEY does not hold what pagers.main.secret_env needs")
