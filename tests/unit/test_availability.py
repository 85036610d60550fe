"""Whether anybody can decide: found out in small steps, remembered for a moment, and never held against a request
that Slack could not be asked about."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from bot.availability import REMEMBERED_FOR, Availability
from bot.config import FrozenRule
from bot.people import Facts
from bot.policy import Parties
from tests.conftest import SAMPLE, StandingClock, Town, sample_settings

OWNERS = Parties(frozenset({"U0OWNER"}))


@dataclass
class CountingTown(Town):
    """A town that writes down what it is asked."""

    asked: list[tuple[list[str], list[str]]] = field(default_factory=list)
    slow: bool = False

    async def load_facts(self, users: Iterable[str], groups: Iterable[str]) -> Facts:
        asked = (sorted(users), sorted(groups))
        self.asked.append(asked)
        if self.slow:
            await asyncio.Event().wait()
        return await super().load_facts(*asked)


@pytest.fixture
def town(clock: StandingClock) -> CountingTown:
    town = CountingTown(clock, groups={"S0FINANCE": frozenset({"U0BOB"}), "S0SEC": frozenset({"U0CAROL"})})
    for user in ("U0OWNER", "U0ALICE", "U0BOB", "U0CAROL"):
        town.add(user)
    return town


def _rule(reviewers: str = 'users = ["U0ALICE"]\nusergroups = ["S0FINANCE"]', more: str = "") -> FrozenRule:
    text = SAMPLE.replace('users = ["U0ALICE"]\nusergroups = ["S0FINANCE"]', reviewers) + more
    return sample_settings(text).rules[1].as_frozen


async def _lack(clock: StandingClock, town: Town, rule: FrozenRule, parties: Parties = OWNERS) -> str | None:
    return await Availability(clock, town).find_lack(1, rule, parties)


async def test_the_people_named_come_first_and_suffice(clock: StandingClock, town: CountingTown) -> None:
    assert await _lack(clock, town, _rule()) is None
    assert town.asked == [(["U0ALICE"], [])]


async def test_members_of_groups_are_looked_for_when_they_are_needed(clock: StandingClock, town: CountingTown) -> None:
    town.add("U0ALICE", is_deactivated=True)
    assert await _lack(clock, town, _rule()) is None
    assert town.asked == [(["U0ALICE"], []), ([], ["S0FINANCE"]), (["U0BOB"], [])]


@pytest.mark.parametrize("fact", ["is_deactivated", "is_bot", "is_guest", "is_stranger"])
async def test_nobody_is_left(clock: StandingClock, town: CountingTown, fact: str) -> None:
    for user in ("U0ALICE", "U0BOB"):
        town.add(user, **{fact: True})
    lack = await _lack(clock, town, _rule())
    assert lack == (
        "nobody_can_decide: rule refunds needs 1 person to approve, and of those it lets decide nobody could."
        " Tell whoever runs Signoff."
    )


async def test_an_empty_group_decides_nothing(clock: StandingClock, town: CountingTown) -> None:
    town.groups["S0FINANCE"] = frozenset()
    assert await _lack(clock, town, _rule('usergroups = ["S0FINANCE"]')) is not None
    assert await _lack(clock, town, _rule('users = ["U0NEMO"]')) is not None  # Slack knows no such person


async def test_only_the_owner_is_left(clock: StandingClock, town: CountingTown) -> None:
    alone = _rule('users = ["U0OWNER"]')
    assert await _lack(clock, town, alone) is not None
    assert town.asked == []  # that takes no question
    assert await _lack(clock, town, _rule('users = ["U0OWNER"]', "owner_may_decide = true\n")) is None
    mine = Parties(frozenset({"U0OWNER"}), person="U0OWNER")
    assert await _lack(clock, town, _rule('users = ["U0OWNER"]', "owner_may_decide = true\n"), mine) is not None
    town.groups["S0FINANCE"] = frozenset({"U0OWNER"})
    assert await _lack(clock, town, _rule('usergroups = ["S0FINANCE"]')) is not None


PLAN = """
[oncall.leads]
users = ["U0CAROL"]
[reviewers.leads]
users = ["U0CAROL"]
[plans.later]
steps = [{ after = "50%", notify = ["thread"], widen = ["WIDEN"] }]
"""


@pytest.mark.parametrize("widen", ["leads", "oncall:leads"])
async def test_whom_the_plan_lets_decide_later_counts(clock: StandingClock, town: CountingTown, widen: str) -> None:
    later = _rule('users = ["U0OWNER"]', 'plan = "later"\n' + PLAN.replace("WIDEN", widen))
    assert await _lack(clock, town, later) is None
    town.add("U0CAROL", is_deactivated=True)
    lack = await _lack(clock, town, later)
    assert (lack is None) is (widen != "leads")  # who will be on call, nobody knows


async def test_too_few_for_the_quorum(clock: StandingClock, town: CountingTown) -> None:
    assert await _lack(clock, town, _rule(more="quorum = 2\n")) is None
    lack = await _lack(clock, town, _rule(more="quorum = 3\n"))
    assert lack is not None
    assert "needs 3 people" in lack
    assert "2 people could" in lack
    town.groups["S0FINANCE"] = frozenset({"U0ALICE"})  # one person counts once, in however many groups
    assert await _lack(clock, town, _rule(more="quorum = 2\n")) is not None


async def test_one_person_cannot_fill_two_seats(clock: StandingClock, town: CountingTown) -> None:
    need = 'need = [{ reviewers = "finance" }, { reviewers = "security" }]\n'
    text = SAMPLE.replace("[[rules]]", '[reviewers.security]\nusergroups = ["S0SEC"]\n\n[[rules]]', 1)
    rule = sample_settings(text.replace('reviewers = ["finance"]\n', need)).rules[1].as_frozen
    assert await _lack(clock, town, rule) is None
    town.groups |= {"S0FINANCE": frozenset({"U0ALICE"}), "S0SEC": frozenset({"U0ALICE"})}
    assert await _lack(clock, town, rule) is not None
    town.groups["S0FINANCE"] = frozenset({"U0ALICE", "U0BOB"})
    assert await _lack(clock, town, rule) is None  # Bob for finance, Alice for security


async def test_a_large_group_is_looked_up_in_small_steps(clock: StandingClock, town: CountingTown) -> None:
    members = [f"U{at:04}" for at in range(1000)]
    for at, user in enumerate(members):
        town.add(user, is_deactivated=at < 10)
    town.groups["S0FINANCE"] = frozenset(members)
    assert await _lack(clock, town, _rule('usergroups = ["S0FINANCE"]')) is None
    assert [len(users) for users, _ in town.asked] == [0, 8, 8]


async def test_what_slack_does_not_tell_is_not_held_against_it(clock: StandingClock, town: CountingTown) -> None:
    empty = _rule('usergroups = ["S0GONE"]')
    assert await _lack(clock, town, empty) is None  # a plan without user groups, or trouble
    town.closed = True
    assert await _lack(clock, town, _rule()) is None
    town.closed = False
    town.people.clear()
    town.age = timedelta(seconds=31)
    assert await _lack(clock, town, _rule()) is None


async def test_patience_is_short(clock: StandingClock, town: CountingTown) -> None:
    town.slow = True
    hurried = Availability(clock, town, patience=timedelta(0))
    assert await hurried.find_lack(1, _rule(), OWNERS) is None


async def test_slack_is_not_asked_again_for_a_while(clock: StandingClock, town: CountingTown) -> None:
    availability = Availability(clock, town)
    town.people.clear()
    for _ in range(5):
        assert await availability.find_lack(1, _rule('users = ["U0ALICE"]'), OWNERS) is not None
    assert len(town.asked) == 1
    town.add("U0ALICE")
    assert await availability.find_lack(2, _rule('users = ["U0ALICE"]'), OWNERS) is None  # another wording
    assert await availability.find_lack(1, _rule('users = ["U0ALICE"]'), Parties()) is None  # somebody else's business
    clock.now += REMEMBERED_FOR
    assert await availability.find_lack(1, _rule('users = ["U0ALICE"]'), OWNERS) is None
    clock.now -= timedelta(days=1)  # a clock that was set back does not keep it
    town.closed = True
    asked = len(town.asked)
    assert await availability.find_lack(1, _rule('users = ["U0ALICE"]'), OWNERS) is None
    assert len(town.asked) == asked + 1


async def test_what_is_remembered_is_bounded(
    clock: StandingClock, town: CountingTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.availability._MOST_REMEMBERED", 3)
    availability = Availability(clock, town)
    for rule_id in range(10):
        await availability.find_lack(rule_id, _rule(), OWNERS)
    assert len(availability._known) == 3
