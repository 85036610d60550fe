"""Two people and a passcode: whatever one of them does, in whatever order, alone it approves nothing.

Every path that people, agents and time have is tried in every order, on the real database and with real passcodes:
votes and withdrawals, denials, changes and the standing votes they leave, reversals, what admins force, calls sent
again by two instances of the agent, reopening, acts that come twice, groups that change, accounts that are deactivated.
A plain account of whose votes stand says after each step what must have become of every request; with a second honest
person, approved is exactly what the rule calls approved, or two admins forced.
"""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyotp
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from bot.errors import Refusal
from bot.hearings import Act
from store.schema import prepare
from store.tables import FullView, Instance, VoteKind
from tests.conftest import START, TEAM, House, StandingClock, Town, furnish, sample_settings, submission
from tests.faults.rounds import examples
from tests.replay import assert_events_agree
from tests.stores import InlineStore

ALICE, BOB, OWNER, GUEST, SAM = "U0ALICE", "U0BOB", "U0OWNER", "U0GUEST", "U0SAM"
AWAY = frozenset({"U0IDA", "U0JON"})  # two who could decide and never do, so that somebody always can
CALLS = ["4900", "4900.0000000000001", "490"]
RULES = """
[server]
public_url = "http://127.0.0.1:8080"
[store]
url = "sqlite:///signoff.db"
[admins]
users = ["U0ALICE", "U0BOB", "U0OWNER", "U0GUEST"]
[agents.refund-bot]
owners = ["U0OWNER"]
tools = ["issue_refund"]
[reviewers.finance]
users = ["U0IDA", "U0JON"]
usergroups = ["S0FINANCE"]
[reviewers.leads]
usergroups = ["S0LEADS"]
[[rules]]
name = "refunds"
agent = "refund-bot"
tool = "issue_refund"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance", "leads"]
quorum = 2
step_up = "totp"
max_timeout = "24h"
"""

WHAT = [
    *["submit"] * 4, *["send changed"] * 4, *["approve"] * 8, *["change"] * 5, *["withdraw"] * 2, *["reopen"] * 2,
    *["force"] * 3, *["reverse"] * 3, "force denial", "turn down", *["move"] * 3, *["deactivate"] * 2, "sweep",
]  # fmt: skip
# What is wrong with an approval: mostly nothing, or few would ever count.
FLAW = st.sampled_from([*[None] * 8, "unseen", "unasked", "none", "wrong", "somebody's", *["used"] * 3])


class Office(RuleBasedStateMachine):
    """One company in which only some people act."""

    people: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        template, self.seeds = _enrolled()
        self.path = Path(shutil.copy(template, self.folder.name))
        self.connection = sqlite3.connect(self.path)
        self.runner = asyncio.Runner()
        self.serial = 0
        self.runner.run(self._move_in())
        # What there is, in plain words: of requests, of votes cast ahead, and of denials that are remembered.
        self.call_of: dict[int, tuple[int, str]] = {}
        self.status: dict[int, str] = {}
        self.votes: dict[int, set[str]] = {}
        self.forced: dict[int, set[str]] = {}
        self.ahead: dict[tuple[int, str], set[str]] = {}
        self.left_on: dict[tuple[tuple[int, str], str], int] = {}
        self.denied: dict[str, int | None] = {}
        self.used: dict[str, int] = dict.fromkeys(self.seeds, int(START.timestamp()) // 30)  # newest steps
        self.failures: dict[str, int] = {}
        self.locked: dict[str, float] = {}

    async def _move_in(self) -> None:
        self.clock = StandingClock()
        self.clock.advance(minutes=2)
        self.town = _town(self.clock)
        self.house = await furnish(await InlineStore.open(self.path), self.clock, self.town, sample_settings(RULES))
        self.instances = [one.instance for one in await self.house.instances.list_all()]

    def teardown(self) -> None:
        assert_events_agree(self.path)
        self.connection.close()
        self.runner.run(self.house.store.close())
        self.runner.close()
        self.folder.cleanup()

    # --- the plain account ---

    def entitled(self, user: str) -> bool:
        in_a_group = any(user in members for members in self.town.groups.values())
        return (in_a_group or user in AWAY) and user not in (OWNER, GUEST) and not self.town.people[user].is_deactivated

    def may_force(self, user: str) -> bool:
        return user in (ALICE, BOB) and not self.town.people[user].is_deactivated

    def weigh(self, number: int) -> bool:
        reviewers = {user for user in self.votes[number] if self.entitled(user)}
        if len(reviewers) >= 2 or len({user for user in self.forced[number] if self.may_force(user)}) >= 2:
            self.status[number] = "approved"
            self.ahead.pop(self.call_of[number], None)  # what they waited for is decided
            return True
        return False

    def passes(self, user: str, flaw: str | None) -> bool:
        """Whether a passcode is good; that it was tried is counted."""
        now = self.clock.now.timestamp()
        if flaw == "none" or now < self.locked.get(user, 0):
            return False
        if flaw == "used" and now // 30 - self.used[user] <= 1:  # known, and so no guess
            return False
        if flaw in ("wrong", "somebody's", "used"):
            self.failures[user] = self.failures.get(user, 0) + 1
            if self.failures[user] == 5:
                self.failures[user], self.locked[user] = 0, now + 900
            return False
        if self.used[user] >= now // 30:
            return False
        self.used[user], self.failures[user] = int(now // 30), 0
        return True

    def deny(self, number: int, *, is_forced: bool = False) -> None:
        self.status[number] = "denied"
        amount = self.call_of[number][1]
        if not is_forced:  # what an admin forced is not remembered: its reviewers are asked again
            self.denied[amount] = number
        for which in (0, 1):
            self.ahead.pop((which, amount), None)

    # --- both at once ---

    def both(self, expected: bool, real: Coroutine[Any, Any, object]) -> None:
        try:
            self.runner.run(real)
            accepted = True
        except Refusal:
            accepted = False
        assert accepted == expected
        found = dict(self.connection.execute("SELECT number, status FROM requests").fetchall())
        assert found == self.status
        if self.people == OnePerson.people:
            assert "approved" not in found.values()

    def act(self, user: str, view: FullView | None, surface: str = "card") -> Act:
        self.serial += 1
        self.clock.advance(seconds=1)  # no two things happen at once here
        return Act(f"t{self.serial}", user, TEAM, surface, "C0REFUNDS", view)

    def typed(self, user: str, flaw: str | None) -> str | None:
        digits = pyotp.TOTP(self.seeds[user]).at(self.clock.now)
        wrong = {"none": None, "wrong": f"{(int(digits) + 1) % 10**6:06}"}
        wrong["used"] = pyotp.TOTP(self.seeds[user]).at(self.used[user] * 30)
        wrong["somebody's"] = pyotp.TOTP(self.seeds["U0IDA"]).at(self.clock.now)
        return wrong.get(flaw, digits) if flaw else digits

    def pick(self, at: int) -> int:
        """One of the newest requests, which are those that something can still happen to."""
        return len(self.status) - at % min(len(self.status), 4)

    # One rule for all: what hypothesis leaves out of an example is then never the submitting.
    @rule(
        what=st.sampled_from(WHAT), who=st.integers(0, 11), at=st.integers(0, 3), which=st.integers(0, 1),
        amount=st.sampled_from(CALLS), flaw=FLAW, surface=st.sampled_from(["card", "modal"]), twice=st.booleans(),
    )  # fmt: skip
    def happen(
        self, what: str, who: int, at: int, which: int, amount: str, flaw: str | None, surface: str, twice: bool
    ) -> None:
        user = self.people[who % len(self.people)]
        waiting = [call for call, users in self.ahead.items() if users]
        if not self.status or what == "submit":
            self.submit(which, amount)
        elif what == "send changed" and waiting:  # as the agent was told, or from elsewhere
            asked_of, changed = waiting[at % len(waiting)]
            self.submit(which if twice else asked_of, changed)
        elif what == "approve":
            self.approve(user, self.pick(at), flaw, surface, twice)
        elif what == "turn down":
            self.turn_down(user, self.pick(at))
        elif what == "withdraw":
            self.withdraw(user, self.pick(at))
        elif what == "change":
            self.change(user, self.pick(at), amount, flaw)
        elif what in ("force", "force denial"):
            self.force(user, self.pick(at), flaw, VoteKind.DENY if what == "force denial" else VoteKind.APPROVE)
        elif what == "reverse":
            self.reverse(user, self.pick(at), flaw)
        elif what == "reopen":
            self.reopen(user, self.pick(at))
        elif what == "move":
            self.town.groups[["S0FINANCE", "S0LEADS"][which]] ^= {[ALICE, BOB, OWNER, GUEST][at]}
        elif what == "deactivate":
            self.town.add([ALICE, BOB][which], is_deactivated=twice)
        else:
            self.both(True, self.house.deadlines.sweep())

    def submit(self, which: int, amount: str) -> None:
        self.clock.advance(seconds=1)
        number = len(self.status) + 1
        call = which, amount
        self.call_of[number], self.status[number] = call, "pending"
        self.votes[number], self.forced[number] = set(), set()
        taken = {user for user in self.ahead.get(call, ()) if self.entitled(user)}
        if taken:
            self.ahead[call] -= taken
            self.votes[number] = taken
            self.weigh(number)
        elif self.denied.get(amount) is not None:
            self.status[number] = "denied"
        sent = submission(arguments=f'{{"amount": {amount}}}', timeout="24h")
        self.both(True, self.house.creation.submit(self.instances[which], sent, f"key{number}"))

    def approve(self, user: str, number: int, flaw: str | None, surface: str, twice: bool) -> None:
        act = self.act(user, None if flaw == "unseen" else FullView.CARD, surface)
        self.clock.advance(seconds=30)
        typed = self.typed(user, flaw)
        is_cast = False
        if self.status[number] != "pending" or not self.entitled(user):
            accepted = False
        elif user in self.votes[number]:
            accepted = self.weigh(number)
        else:
            accepted = flaw not in ("unseen", "unasked") and self.passes(user, flaw)
            if accepted:
                self.forced[number].discard(user)
                self.votes[number].add(user)
                self.ahead.get(self.call_of[number], set()).discard(user)
                self.weigh(number)
                is_cast = True
        for _ in range(2 if twice and accepted else 1):  # the same act once more, which is not a second one
            again = self.house.decisions.vote(
                number, act, VoteKind.APPROVE, confirmed=flaw != "unasked", passcode=typed
            )
            self.both(accepted, again)
        if is_cast:
            self.replay_passcode(user, typed)

    def replay_passcode(self, user: str, typed: str | None) -> None:
        """Type a passcode that has just been used into whatever else waits for this person."""
        for number in [one for one in self.status if self.status[one] == "pending" and user not in self.votes[one]][:2]:
            act = self.act(user, FullView.CARD)
            again = self.house.decisions.vote(number, act, VoteKind.APPROVE, confirmed=True, passcode=typed)
            self.both(False, again)

    def turn_down(self, user: str, number: int) -> None:
        act = self.act(user, None)
        accepted = self.status[number] == "pending" and self.entitled(user)
        if accepted:
            self.votes[number].discard(user)
            self.deny(number)
        self.both(accepted, self.house.decisions.vote(number, act, VoteKind.DENY, "no"))

    def withdraw(self, user: str, number: int) -> None:
        accepted = self.status[number] == "pending" and user in self.votes[number] | self.forced[number]
        if accepted:
            self.votes[number].discard(user)
            self.forced[number].discard(user)
        self.both(accepted, self.house.decisions.withdraw(number, self.act(user, None)))

    def change(self, user: str, number: int, amount: str, flaw: str | None) -> None:
        act = self.act(user, FullView.CARD if flaw == "unasked" else FullView.FORM, "modal")
        self.clock.advance(seconds=30)
        which, sent = self.call_of[number]
        typed = self.typed(user, flaw)
        accepted = (
            self.status[number] == "pending"
            and self.entitled(user)
            and amount != sent
            and flaw not in ("unseen", "unasked")
            and self.passes(user, flaw)
        )
        if accepted:
            self.votes[number].discard(user)
            self.deny(number)
            self.leave((which, amount), user, number)
        seen = None if flaw == "unseen" else FullView.CARD
        text = f'{{"amount": {amount}}}'
        self.both(accepted, self.house.standing.approve_with_changes(number, act, text, seen=seen, passcode=typed))

    def leave(self, call: tuple[int, str], user: str, number: int) -> None:
        self.ahead.setdefault(call, set()).add(user)
        self.left_on[call, user] = number

    def force(self, user: str, number: int, flaw: str | None, kind: VoteKind) -> None:
        act = self.act(user, None if flaw == "unseen" else FullView.FORM, "modal")
        accepted = self.status[number] == "pending" and self.may_force(user)
        if accepted and kind is VoteKind.DENY:
            self.deny(number, is_forced=True)
        elif accepted and user in self.forced[number]:
            accepted = flaw != "unseen" and self.weigh(number)
        elif accepted and (accepted := flaw != "unseen"):
            self.votes[number].discard(user)
            self.forced[number].add(user)
            self.ahead.get(self.call_of[number], set()).discard(user)
            self.weigh(number)
        self.both(accepted, self.house.overrides.force(number, act, kind, "so be it"))

    def reverse(self, user: str, number: int, flaw: str | None) -> None:
        act = self.act(user, None if flaw == "unseen" else FullView.FORM, "modal")
        self.clock.advance(seconds=30)
        call, typed = self.call_of[number], self.typed(user, flaw)
        waits = user in self.ahead.get(call, ()) and self.left_on[call, user] == number
        accepted = (
            self.status[number] == "denied"
            and self.entitled(user)
            and flaw != "unseen"
            and not waits
            and self.passes(user, flaw)
        )
        if accepted:
            self.leave(call, user, number)
        self.both(accepted, self.house.overrides.reverse(number, act, "so be it", typed))

    def reopen(self, user: str, number: int) -> None:
        amount = self.call_of[number][1]
        accepted = self.entitled(user) and self.denied.get(amount) == number
        if accepted:
            self.denied[amount] = None
        self.both(accepted, self.house.memory.reopen(number, self.act(user, None)))


class OnePerson(Office):
    """Alice, an admin in two groups of reviewers, with everybody who never may."""

    people = (ALICE, ALICE, ALICE, OWNER, GUEST, SAM)


class TwoPeople(Office):
    """Alice and Bob."""

    people = (ALICE, BOB, ALICE, BOB, OWNER, SAM)


def _town(clock: StandingClock) -> Town:
    everybody = frozenset({ALICE, BOB, OWNER, GUEST})
    town = Town(clock, groups={"S0FINANCE": everybody, "S0LEADS": frozenset({ALICE})})
    for user in (*everybody, *AWAY, SAM):
        town.add(user)
    town.add(GUEST, is_guest=True)
    return town


@lru_cache
def _enrolled() -> tuple[Path, dict[str, str]]:
    """A company whose people all have a device, those who never may decide too; and two instances of its agent."""
    path = Path(tempfile.mkdtemp()) / "signoff.db"
    prepare(path, START, upgrade=False)
    seeds = {}

    async def enrol() -> list[Instance]:
        clock = StandingClock()
        town = _town(clock)
        town.add(GUEST)  # a guest only since
        house: House = await furnish(await InlineStore.open(path), clock, town, sample_settings(RULES))
        for user in town.people:
            code, _ = await house.passcodes.open_enrolment(user)
            facts = await town.load_facts([user], [])
            seeds[user] = (await house.passcodes.offer(user, code, facts)).seed
            await house.passcodes.confirm(user, pyotp.TOTP(seeds[user]).at(clock.now), facts)
        made = [(await house.instances.create(name, "refund-bot"))[0] for name in ("till", "web")]
        await house.store.close()
        return made

    asyncio.run(enrol())
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path, seeds


HOW = settings(
    max_examples=examples(25), stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestOnePerson = OnePerson.TestCase
TestOnePerson.settings = HOW
TestTwoPeople = TwoPeople.TestCase
TestTwoPeople.settings = HOW
