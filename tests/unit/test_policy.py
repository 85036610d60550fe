"""bot.policy: which rule a call meets, who may decide, what votes amount to."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.conditions import Call
from bot.config import FrozenRule, Seat, Settings
from bot.people import MAX_FACTS_AGE, Facts, Person
from bot.policy import Course, Parties, Policy, Ruling, Verdict, Why, judge, lacks, tally
from store.tables import FullView, StepUp, Vote, VoteKind
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
    ruling = Policy(sample_settings(SAMPLE + EXTRA)).rule_on(Call(agent, tool, server, "{}"), "10m")
    assert (ruling.course, ruling.code) == (course, code)
    assert ruling.reason


@pytest.mark.parametrize(
    ("timeout", "course"),
    [("59s", Course.DENY), ("60s", Course.ASK), ("999999h", Course.ASK), ("9" * 254 + "s", Course.ASK)],
)
def test_too_short_a_timeout_is_denied_naming_the_least(settings: Settings, timeout: str, course: Course) -> None:
    ruling = Policy(settings).rule_on(Call("refund-bot", "issue_refund", None, "{}"), timeout)
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


def test_reviewers_by_name_and_by_group(rule: FrozenRule) -> None:
    assert judge("U0ALICE", rule, Parties(), FACTS, START).allowed
    by_group = judge("U0BOB", rule, Parties(), FACTS, START)
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
    verdict = judge("U0ALICE", rule, Parties(), facts, START)
    assert (verdict.allowed, verdict.code) == (False, code)


def test_nobody_decides_for_their_own_agent(rule: FrozenRule) -> None:
    owners = Parties(frozenset({"U0ALICE"}))
    assert judge("U0ALICE", rule, owners, FACTS, START).code == "owner"
    of_one = rule.model_copy(update={"owner_may_decide": True})
    assert judge("U0ALICE", of_one, owners, FACTS, START).allowed


def test_nobody_decides_for_the_instance_made_for_them(rule: FrozenRule) -> None:
    for their_rule in (rule, rule.model_copy(update={"owner_may_decide": True})):
        verdict = judge("U0ALICE", their_rule, Parties(person="U0ALICE"), FACTS, START)
        assert (verdict.allowed, verdict.code) == (False, "own_instance")


def test_others_do_not_decide(rule: FrozenRule) -> None:
    facts = replace(FACTS, people={"U0CAROL": Person("U0CAROL", TEAM, "alice")})
    assert judge("U0CAROL", rule, Parties(), facts, START).code == "not_a_reviewer"
    assert judge("U0GONE", rule, Parties(), facts, START).code == "unknown_person"


def test_what_slack_would_not_tell_is_a_no_that_says_so(rule: FrozenRule) -> None:
    facts = replace(FACTS, groups={}, unknown_groups=frozenset({"S0FINANCE"}))
    assert judge("U0BOB", rule, Parties(), facts, START).code == "slack_unavailable"
    assert judge("U0ALICE", rule, Parties(), facts, START).allowed  # named herself, so the group is not needed


def test_old_facts_decide_nothing(rule: FrozenRule) -> None:
    assert judge("U0ALICE", rule, Parties(), FACTS, START + MAX_FACTS_AGE).allowed
    late = START + MAX_FACTS_AGE + timedelta(microseconds=1)
    assert judge("U0ALICE", rule, Parties(), FACTS, late).code == "facts_too_old"


def _vote(user: str, kind: VoteKind = VoteKind.APPROVE, **fields: Any) -> Vote:
    given = {"id": 1, "request_number": 1, "team_id": TEAM, "surface": "card", "cast_at": START}
    return Vote(**given | {"user_id": user, "kind": kind, "full_view": FullView.CARD} | fields)


DENY = VoteKind.DENY


def _allowed(*seats: int) -> Verdict:
    return Verdict(True, "reviewer", "", frozenset(seats))


@pytest.mark.parametrize(
    ("votes", "outcome"),
    [
        ([], None),
        ([_vote("U1")], VoteKind.APPROVE),
        ([_vote("U1", DENY)], DENY),
        ([_vote("U1"), _vote("U2", DENY)], DENY),
        ([_vote("U1", withdrawn_at=START)], None),
        ([_vote("U1", DENY, withdrawn_at=START), _vote("U2")], VoteKind.APPROVE),
        ([_vote("U1", full_view=None)], None),
    ],
)
def test_tally(rule: FrozenRule, votes: list[Vote], outcome: VoteKind | None) -> None:
    assert tally(votes, rule, lambda user: _allowed(0)) is outcome
    assert tally(votes, rule, lambda user: Verdict(False, "not_a_reviewer", "")) is None


def test_a_quorum_counts_people_not_votes(rule: FrozenRule) -> None:
    two = rule.model_copy(update={"quorum": 2})
    assert tally([_vote("U1")], two, lambda user: _allowed(0)) is None
    assert tally([_vote("U1"), _vote("U1")], two, lambda user: _allowed(0)) is None
    assert tally([_vote("U1"), _vote("U2")], two, lambda user: _allowed(0)) is VoteKind.APPROVE
    assert tally([_vote("U1"), _vote("U2"), _vote("U3")], two, lambda user: _allowed(0)) is VoteKind.APPROVE


def _with_seats(rule: FrozenRule, *quorums: int) -> FrozenRule:
    seats = tuple(Seat.model_construct(reviewers=rule.reviewers, quorum=quorum) for quorum in quorums)
    return rule.model_copy(update={"need": seats, "reviewers": ()})


def test_one_person_fills_one_seat(rule: FrozenRule) -> None:
    both = _with_seats(rule, 1, 1)
    assert tally([_vote("U1")], both, lambda user: _allowed(0, 1)) is None
    verdicts = {"U1": _allowed(0, 1), "U2": _allowed(0)}
    assert tally([_vote("U1"), _vote("U2")], both, verdicts.__getitem__) is VoteKind.APPROVE
    assert tally([_vote("U1"), _vote("U2")], both, lambda user: _allowed(0)) is None


@pytest.mark.parametrize(
    ("terms", "vote", "lack"),
    [
        ({"reason": "required"}, _vote("U1"), "reason_missing"),
        ({"reason": "required"}, _vote("U1", note="it is owed"), None),
        ({"reason": "optional"}, _vote("U1"), None),
        ({"step_up": StepUp.TOTP}, _vote("U1"), "step_up_missing"),
        ({"step_up": StepUp.TOTP}, _vote("U1", step_up=StepUp.TOTP), None),
        ({"step_up": StepUp.TOTP, "reason": "required"}, _vote("U1", DENY), None),
        ({}, _vote("U1", full_view=None), "review_first"),
    ],
)
def test_an_approval_counts_only_with_all_that_the_rule_asks(
    rule: FrozenRule, terms: dict[str, object], vote: Vote, lack: str | None
) -> None:
    asking = rule.model_copy(update=terms)
    assert lacks(vote, asking) == lack
    counts = vote.kind if lack is None else None
    assert tally([vote], asking, lambda user: _allowed(0)) is counts


# --- conditions and schemas ---

GUARDED = """
[[rules]]
name = "small"
agent = "refund-bot"
tool = "send_*"
when = "arguments.amount <= 50"
stage = "autonomous"

[[rules]]
name = "drafts"
agent = "refund-bot"
tool = "send_*"
when = "arguments.draft"
arguments_schema = { properties = { to = { type = "string" } } }
stage = "autonomous"
"""
AFTER = {
    "autonomous": '[[rules]]\nname = "rest"\nagent = "refund-bot"\ntool = "*"\nstage = "autonomous"\n',
    "approve": '[[rules]]\nname = "people"\nagent = "*"\ntool = "*"\nstage = "approve"\nchannel = "C0A"\n'
    'reviewers = ["finance"]\n',
}


def ruling_on(arguments: str, *after: str) -> Ruling:
    policy = Policy(sample_settings(SAMPLE + GUARDED + "\n".join(AFTER[stage] for stage in after)))
    return policy.rule_on(Call("refund-bot", "send_money", None, arguments), "10m")


@pytest.mark.parametrize(
    ("arguments", "after", "code", "rule"),
    [
        ('{"amount": 50}', (), "approved_by_rule", "small"),
        ('{"amount": 51, "draft": true}', (), "approved_by_rule", "drafts"),
        ('{"amount": 51, "draft": false}', (), "no_rule", None),
        ('{"amount": 51, "draft": false}', ("autonomous",), "approved_by_rule", "rest"),
        ('{"amount": 51, "draft": false}', ("approve", "autonomous"), "asked", "people"),
        # A condition that failed: nothing approves behind it, whatever else would be true.
        ('{"draft": true}', (), "condition_failed", None),
        ('{"amount": "50", "draft": true}', ("autonomous",), "condition_failed", None),
        ('{"amount": 50.00000000000000000001, "draft": true}', ("autonomous", "autonomous"), "condition_failed", None),
        ('{"draft": true}', ("autonomous", "approve"), "asked", "people"),
        ('{"amount": 51}', ("autonomous",), "condition_failed", None),
        ('{"amount": 51, "draft": 1}', ("autonomous", "approve"), "asked", "people"),
        # Before the rule that failed, all is as ever.
        ('{"amount": 1, "draft": 7}', (), "approved_by_rule", "small"),
    ],
)
def test_a_condition_that_failed_lets_nothing_through(
    arguments: str, after: tuple[str, ...], code: str, rule: str | None
) -> None:
    ruling = ruling_on(arguments, *dict.fromkeys(after))
    assert (ruling.code, ruling.rule and ruling.rule.name) == (code, rule)
    assert (ruling.course is Course.APPROVE) == (code == "approved_by_rule")


def test_a_misfit_is_denied_whatever_the_stage_and_tells_where_but_not_what() -> None:
    ruling = ruling_on('{"amount": 51, "draft": true, "to": 31337}', "autonomous")
    assert (ruling.course, ruling.code) == (Course.DENY, "arguments_misfit")
    assert ruling.rule is not None
    assert ruling.reason == 'The arguments do not fit the schema of rule drafts: /to: type: "string".'


def test_the_ruling_says_why_the_rules_above_did_not_match() -> None:
    ruling = ruling_on('{"draft": "31337"}', "autonomous", "approve")
    assert [(passed.rule, passed.why) for passed in ruling.passed] == [
        ("look-ups", Why.NAMES),
        ("refunds", Why.NAMES),
        ("small", Why.CONDITION_FAILED),
        ("drafts", Why.CONDITION_FAILED),
        ("rest", Why.AFTER_A_FAILURE),
    ]
    assert ruling.passed[0].reason == "It is for tool look_*."
    assert "31337" not in str(ruling)
    denied = ruling_on('{"amount": 51, "draft": false}')
    assert [passed.why for passed in denied.passed[2:]] == [Why.CONDITION_FALSE, Why.CONDITION_FALSE]


def test_arguments_are_not_parsed_where_names_suffice(settings: Settings) -> None:
    call = Call("refund-bot", "look_up", None, "no JSON" * 10_000)
    assert Policy(settings).is_quick(call)
    assert Policy(settings).rule_on(call, "10m").course is Course.APPROVE


CIRCLES = """[[rules]]
name = "circles"
agent = "refund-bot"
tool = "send_*"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
arguments_schema = { properties = { a = { anyOf = [{ type = "string" }, { items = { "$ref" = "#" } }] } } }

[[rules]]"""


@pytest.mark.parametrize(
    ("rules", "characters", "quick"),
    [
        (GUARDED, 100, True),
        (GUARDED, 600, False),  # a schema is among them
        (GUARDED.split('[[rules]]\nname = "drafts')[0], 600, True),
        (GUARDED.split('[[rules]]\nname = "drafts')[0], 5000, False),
        (AFTER["approve"], 60_000, True),
        (GUARDED.replace("[[rules]]", CIRCLES, 1), 1, False),  # no call is short enough for it
    ],
)
def test_what_takes_long_is_not_quick(rules: str, characters: int, quick: bool) -> None:
    policy = Policy(sample_settings(SAMPLE + rules))
    assert policy.is_quick(Call("refund-bot", "send_money", None, f'{{"a": "{"a" * characters}"}}')) is quick
