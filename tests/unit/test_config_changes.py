"""bot.config_changes: what differs between two files, by name."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import Settings
from bot.config_changes import Changes, changes_between, effective_digest, restart_needed
from tests.conftest import SAMPLE, sample_settings

MORE = """
[agents.report-bot]
owners = ["U0OWNER"]
tools = ["read"]

[reviewers.support]
users = ["U0CAROL"]

[[rules]]
name = "reads"
agent = "report-bot"
tool = "read"
stage = "autonomous"
"""

PLANS = """
[oncall.finance]
users = ["U0CAROL"]

[pagers.main]
kind = "pagerduty"
secret_env = "PAGER_MAIN_KEY"

[[plans.standard.steps]]
after = "5m"
notify = ["oncall:finance"]
"""


def of(text: str) -> Settings:
    return sample_settings(text)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (SAMPLE, Changes()),
        ("# a word\n" + SAMPLE, Changes()),
        (
            SAMPLE + MORE,
            Changes(rules_added=("reads",), agents_added=("report-bot",), groups_added=("support",)),
        ),
        (SAMPLE.replace('validity = "5m"', 'validity = "6m"'), Changes(rules_changed=("refunds",))),
        (SAMPLE.replace('"look_up"]', '"look_up"]\nrate = "1/1m"'), Changes(agents_changed=("refund-bot",))),
        (
            SAMPLE.replace('users = ["U0ALICE"]', 'users = ["U0BOB"]'),
            Changes(rules_changed=("refunds",), groups_changed=("finance",)),
        ),
        (
            SAMPLE.replace('"U0ADMIN"', '"U0BOB", "U0ALICE"'),
            Changes(admins_added=("U0ALICE", "U0BOB"), admins_removed=("U0ADMIN",)),
        ),
        (
            SAMPLE.replace('name = "look-ups"', 'name = "reads"'),
            Changes(rules_added=("reads",), rules_removed=("look-ups",)),
        ),
        (SAMPLE + PLANS, Changes(plans_added=("standard",), oncall_added=("finance",), pagers_added=("main",))),
        (
            SAMPLE + '[audit]\ncheckpoints = "c.txt"\n[retention]\narguments = "90d"\n',
            Changes(tables_changed=("audit", "retention")),
        ),
        (SAMPLE + '[escalation]\nheartbeat_env = "HEARTBEAT_URL"\n', Changes(tables_changed=("escalation",))),
    ],
)
def test_what_differs_is_named(text: str, changes: Changes) -> None:
    found = changes_between(of(SAMPLE), of(text))
    assert found == changes
    assert (effective_digest(of(text)) == effective_digest(of(SAMPLE))) is (changes == Changes())
    assert set(found.facts()) == {name for name in Changes.__slots__ if getattr(found, name)}


def test_what_is_gone_is_named() -> None:
    changes = changes_between(of(SAMPLE + MORE), of(SAMPLE))
    assert changes.facts() == {"rules_removed": "reads", "agents_removed": "report-bot", "groups_removed": "support"}


@pytest.mark.parametrize(
    ("was", "now", "changes"),
    [
        ('users = ["U0CAROL"]', 'ical = "finance.ics"', Changes(oncall_changed=("finance",))),
        ('"PAGER_MAIN_KEY"', '"OTHER_KEY"', Changes(pagers_changed=("main",))),
        ('after = "5m"', 'after = "6m"', Changes(plans_changed=("standard",))),
    ],
)
def test_a_change_of_escalation_is_named(was: str, now: str, changes: Changes) -> None:
    old, new = of(SAMPLE + PLANS), of(SAMPLE + PLANS.replace(was, now))
    assert changes_between(old, new) == changes
    assert effective_digest(old) != effective_digest(new)


@given(st.integers(1, 6).flatmap(lambda size: st.permutations(range(size))))
def test_as_few_rules_are_said_to_have_moved_as_explain_the_order(order: list[int]) -> None:
    sample = of(SAMPLE)
    named = [sample.rules[0].model_copy(update={"name": f"r{number}"}) for number in range(len(order))]
    old = replace(sample, rules=tuple(named))
    new = replace(sample, rules=tuple(named[number] for number in order))
    moved = set(changes_between(old, new).rules_reordered)
    stayed = [number for number in order if f"r{number}" not in moved]
    assert stayed == sorted(stayed)
    longest = max(
        len(some) for size in range(len(order) + 1) for some in itertools.combinations(order, size)
        if list(some) == sorted(some)
    )  # fmt: skip
    assert len(stayed) == longest
    assert (effective_digest(old) == effective_digest(new)) is (not moved)


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        (SAMPLE, ()),
        (SAMPLE.replace("8080", "8081"), ("server",)),
        ('[slack]\nmode = "http"\n' + SAMPLE.replace("signoff.db", "other.db"), ("slack", "store")),
    ],
)
def test_some_tables_take_a_restart(text: str, tables: tuple[str, ...]) -> None:
    assert restart_needed(of(SAMPLE), of(text)) == tables
