"""handlers.check_plans: which steps of a plan come in time, by the shortest and the longest time a rule gives."""

import pytest

from bot.config import parse_settings
from handlers.check_plans import check_plans
from handlers.findings import Finding, Level, Report

TABLES = """
[server]
public_url = "http://127.0.0.1:8080"
[slack]
[store]
url = "sqlite:///signoff.db"
[admins]
users = ["U0ADMIN"]
[agents.refund-bot]
owners = ["U0OWNER"]
tools = ["*"]
[reviewers.finance]
users = ["U0ALICE"]
[[rules]]
name = "refunds"
agent = "refund-bot"
tool = "*"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
plan = "standard"
"""


def findings(*afters: str, rule: str = "", plan: str = "") -> list[Finding]:
    steps = "".join(f'[[plans.standard.steps]]\nafter = "{after}"\nnotify = ["thread"]\n' for after in afters)
    text = f"{TABLES}{rule}\n[plans.standard]\n{plan}\n{steps}"
    report = Report()
    check_plans(report, parse_settings(text.encode(), {}, source="signoff.toml"))
    assert {finding.part for finding in report.findings} == {'rule "refunds", plan standard'}
    return report.findings


def told(*afters: str, rule: str = "", plan: str = "") -> list[tuple[Level, str]]:
    return [(finding.level, finding.text) for finding in findings(*afters, rule=rule, plan=plan)]


@pytest.mark.parametrize(
    ("after", "rule", "level"),
    [
        ("25%", 'min_timeout = "1m"', Level.OK),
        ("59s", 'min_timeout = "1m"', Level.OK),
        ("1m", 'min_timeout = "1m"', Level.FAULT),  # at the deadline is too late
        ("5m", 'min_timeout = "1m"', Level.FAULT),
        ("25%", "", Level.OK),
        ("5m", "", Level.WARNING),
        ("59m", "", Level.WARNING),
        ("1h", "", Level.WARNING),
        ("5m", 'max_timeout = "4m"', Level.WARNING),
    ],
)
def test_the_first_step_must_come_in_the_shortest_time_that_a_rule_gives(after: str, rule: str, level: Level) -> None:
    (finding,) = findings(after, rule=rule)
    assert finding.level is level
    assert f"its first step comes after {after}" in finding.text


def test_what_is_wrong_with_the_first_step_is_said() -> None:
    assert told("5m", rule='min_timeout = "1m"') == [
        (Level.FAULT, "a request may give people as little as 1m (min_timeout), and its first step comes after 5m")
    ]
    assert told("5m") == [
        (
            Level.WARNING,
            "a request that gives people little time ends before the plan begins, as its first step comes after 5m",
        )
    ]
    assert told("2h") == [
        (
            Level.WARNING,
            "never begins: no request gives people more than 1h (max_timeout), and its first step comes after 2h",
        )
    ]


def test_the_reminder_may_leave_the_first_step_no_time() -> None:
    ((level, text),) = told("50%", rule='min_timeout = "4m"', plan='before_deadline = "3m"')
    assert level is Level.FAULT
    assert "as little as 4m" in text
    assert told("50%", rule='min_timeout = "7m"', plan='before_deadline = "3m"')[0][0] is Level.OK


def test_a_plan_that_only_reminds() -> None:
    reminds = 'before_deadline = "2m"'
    assert told(rule='min_timeout = "5m"', plan=reminds)[0][0] is Level.OK
    assert told(rule='min_timeout = "2m"', plan=reminds) == [
        (
            Level.FAULT,
            "a request may give people as little as 2m (min_timeout), "
            "and its only reminder comes 2m before the deadline",
        )
    ]
    assert told(rule='max_timeout = "1m"', plan=reminds)[0][0] is Level.WARNING


def test_what_never_comes_is_a_warning_for_each() -> None:
    assert told("25%", "30m", "1h", "5m", plan='repeat = 1\nbefore_deadline = "2h"') == [
        (Level.OK, "begins in time for a request of 1h (max_timeout): its first step comes after 25%"),
        (Level.WARNING, "step 3 never comes: by then even a request of 1h (max_timeout) is over"),
        (Level.WARNING, "step 4 never comes: by then even a request of 1h (max_timeout) is over"),
        (Level.WARNING, "its steps never come again: by then even a request of 1h (max_timeout) is over"),
        (Level.WARNING, "the last reminder never comes: no request gives people more than 1h (max_timeout)"),
    ]
    assert all(finding.remedy for finding in findings("25%", "2h") if finding.level is not Level.OK)


def test_a_plan_that_runs_whole_is_well() -> None:
    assert [level for level, _ in told("25%", "5m", plan='repeat = 1\nbefore_deadline = "2m"')] == [Level.OK]
