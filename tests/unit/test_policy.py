"""bot.policy: which rule a call meets, who may decide, what votes amount to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.config import FrozenRule, Settings
from bot.people import MAX_FACTS_AGE, Facts, Person
from bot.policy import Course, Policy, judge, tally
from store.tables import Vote, VoteKind
from tests.conftest import SAMPLE, START, TEAM, sample_settings

EXTRA = """
[agents.other]
owners = ["U0OWNER"]
tools = ["*"]

[[rules]]
name = "server-only"
agent = "other"
tool = "Pay[0-9]"
server = "pay.*"
stage = "autonomous"

[[rules]]
name = "any"
agent = "oth?r"
tool = "exact"
stage = "autonomous"
"""


@pytest.mark.parametrize(
    ("agent", "tool", "server", "course", "code"),
    [
        ("refund-bot", "issue_refund", None, Course.ASK, "asked"),
        ("refund-bot", "issue_refund", "any", Course.ASK, "asked"),
        ("refund-bot", "look_up", None, Course.APPROVE, "approved_by_rule"),
        ("refund-bot", "look_around", None, Course.DENY, "tool_not_allowed"),
        ("refund-bot", "ISSUE_REFUND", None, Course.DENY, "tool_not_allowed"),
        ("refund-bot", "send_mail", None, Course.DENY, "no_rule"),
        ("nobody", "issue_refund", None, Course.DENY, "unknown_agent"),
        ("other", "Pay7", "pay.example", Course.APPROVE, "approved_by_rule"),
        ("other", "Pay7", None, Course.DENY, "no_rule"),
        ("other", "Pay7", "Pay.example", Course.DENY, "no_rule"),
        ("other", "pay7", "pay.example", Course.DENY, "no_rule"),
        ("other", "exact", None, Course.APPROVE, "approved_by_rule"),
        ("other", "exact\n", None, Course.DENY, "no_rule"),
        ("other", "inexact", None, Course.DENY, "no_rule"),
    ],
)
def test_the_first_rule_that_matches(agent: str, tool: str, server: str | None, course: Course, code: str) -> None:
    ruling = Policy(sample_settings(SAMPLE + EXTRA)).rule_on(agent, tool, server, "10m")
    assert (ruling.course, ruling.code) == (course, code)
    assert ruling.reason


@pytest.mark.parametrize(
    ("timeout", "course"),
    [("59s", Course.DENY), ("60s", Course.ASK), ("999999h", Course.ASK), ("9" * 254 + "s", Course.ASK)],
)
def test_too_short_a_timeout_is_denied_naming_the_least(settings: Settings, timeout: str, course: Course) -> None:
    ruling = Policy(settings).rule_on("refund-bot", "issue_refund", None, timeout)
    assert ruling.course is course
    if course is Course.DENY:
        assert ruling.code == "timeout_too_short"
        assert "1m" in ruling.reason


@pytest.fixture
def rule(settings: Settings) -> FrozenRule:
    return settings.rules[1].as_frozen


ALICE = Person("U0ALICE", TEAM, "alice")
BOB = Person("U0BOB", TEAM, "bob")
FACTS = Facts(START, TEAM, {"U0ALICE": ALICE, "U0BOB": BOB}, {"S0FINANCE": frozenset({"U0BOB"})})
NOBODY: frozenset[str] = frozenset()


def test_reviewers_by_name_and_by_group(rule: FrozenRule) -> None:
    assert judge("U0ALICE", rule, NOBODY, FACTS, START).allowed
    by_group = judge("U0BOB", rule, NOBODY, FACTS, START)
    assert by_group.allowed
    assert "S0FINANCE" in by_group.reason


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"is_deactivated": True}, "deactivated"),
        ({"is_bot": True}, "bot"),
        ({"is_guest": True}, "guest"),
        ({"is_stranger": True}, "foreign_team"),
        ({"team_id": "T0OTHER"}, "foreign_team"),
    ],
)
def test_slacks_record_comes_before_any_right(rule: FrozenRule, change: dict[str, object], code: str) -> None:
    facts = replace(FACTS, people={"U0ALICE": replace(ALICE, **change)})  # type: ignore[arg-type]  # one field at a time
    verdict = judge("U0ALICE", rule, NOBODY, facts, START)
    assert (verdict.allowed, verdict.code) == (False, code)


def test_nobody_decides_for_their_own_agent(rule: FrozenRule) -> None:
    assert judge("U0ALICE", rule, frozenset({"U0ALICE"}), FACTS, START).code == "owner"


def test_others_do_not_decide(rule: FrozenRule) -> None:
    facts = replace(FACTS, people={"U0CAROL": Person("U0CAROL", TEAM, "alice")})
    assert judge("U0CAROL", rule, NOBODY, facts, START).code == "not_a_reviewer"
    assert judge("U0GONE", rule, NOBODY, facts, START).code == "unknown_person"


def test_what_slack_would_not_tell_is_a_no_that_says_so(rule: FrozenRule) -> None:
    facts = replace(FACTS, groups={}, unknown_groups=frozenset({"S0FINANCE"}))
    assert judge("U0BOB", rule, NOBODY, facts, START).code == "slack_unavailable"
    assert judge("U0ALICE", rule, NOBODY, facts, START).allowed  # named herself, so the group is not needed


def test_old_facts_decide_nothing(rule: FrozenRule) -> None:
    assert judge("U0ALICE", rule, NOBODY, FACTS, START + MAX_FACTS_AGE).allowed
    late = START + MAX_FACTS_AGE + timedelta(microseconds=1)
    assert judge("U0ALICE", rule, NOBODY, FACTS, late).code == "facts_too_old"


def _vote(user: str, kind: VoteKind, *, withdrawn: bool = False) -> Vote:
    return Vote(
        id=1, request_number=1, user_id=user, team_id=TEAM, kind=kind, surface="card", cast_at=START,
        withdrawn_at=START if withdrawn else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("votes", "outcome"),
    [
        ([], None),
        ([_vote("U1", VoteKind.APPROVE)], VoteKind.APPROVE),
        ([_vote("U1", VoteKind.DENY)], VoteKind.DENY),
        ([_vote("U1", VoteKind.APPROVE), _vote("U2", VoteKind.DENY)], VoteKind.DENY),
        ([_vote("U1", VoteKind.APPROVE, withdrawn=True)], None),
        ([_vote("U1", VoteKind.DENY, withdrawn=True), _vote("U2", VoteKind.APPROVE)], VoteKind.APPROVE),
    ],
)
def test_tally(votes: list[Vote], outcome: VoteKind | None) -> None:
    assert tally(votes, lambda vote: True) is outcome
    assert tally(votes, lambda vote: False) is None
