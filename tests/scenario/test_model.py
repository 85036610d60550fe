"""A model of a request's life in plain Python against the real one: each command to both, compared after each.

The model knows nothing of the code under test: it is the design once more, short enough to be read at a glance.
"""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.errors import Refusal
from bot.hearings import Act
from bot.reload import Reloads
from store.schema import prepare
from store.tables import FullView, OutcomeStatus, VoteKind
from tests.conftest import SAMPLE, START, TEAM, StandingClock, Town, furnish, sample_settings, submission
from tests.faults.rounds import examples
from tests.replay import assert_events_agree, state_in
from tests.stores import InlineStore

DEADLINE, VALIDITY, EXECUTION, QUORUM = 600, 300, 900, 2
RULES = SAMPLE.replace(
    'validity = "5m"', f'validity = "5m"\nexecution_timeout = "{EXECUTION // 60}m"\nquorum = {QUORUM}'
).replace('users = ["U0ALICE"]', 'users = ["U0ALICE", "U0BOB", "U0CAROL"]')
REVIEWERS, STRANGERS = ["U0ALICE", "U0BOB", "U0CAROL"], {"U0OWNER": "owner", "U0ADMIN": "not_a_reviewer"}


@dataclass
class Model:
    """One request. A command returns the code it is refused with, or None; ``now`` is in seconds since the start."""

    state: str = "pending"
    now: int = 0
    votes: dict[str, str] = field(default_factory=dict)
    due: int | None = DEADLINE
    key: str | None = None
    outcome: tuple[str, str | None] | None = None
    is_revoked: bool = False
    is_allowed: bool = True

    def enter(self, state: str, due: int | None = None) -> None:
        self.state, self.due = state, due

    def closed(self) -> str | None:
        return "already_decided" if self.state != "pending" else "too_late" if self.now >= DEADLINE else None

    def vote(self, user: str, kind: str) -> str | None:
        if refused := self.closed() or STRANGERS.get(user):
            return refused
        if (self.votes.get(user), kind) == ("approve", "approve"):
            return "already_voted"
        self.votes[user] = kind
        if kind == "deny":
            self.enter("denied")
        elif list(self.votes.values()).count("approve") == QUORUM:
            self.enter("open", self.now + VALIDITY)
        return None

    def withdraw(self, user: str) -> str | None:
        return self.closed() or (None if self.votes.pop(user, None) else "nothing_to_withdraw")

    def cancel(self) -> str | None:
        if self.state != "cancelled" and self.closed():
            return "already_terminal"
        return self.enter("cancelled")

    def consume(self, key: str) -> str | None:
        if self.is_revoked:
            return "invalid_credential"
        if self.key is not None:
            return None if self.key == key else "already_consumed"
        if self.state not in ("open", "lapsed", "revoked"):
            return "not_approved"
        if self.state == "revoked" or not self.is_allowed:
            return "approval_revoked"
        if self.due is None or self.now >= self.due:
            return "approval_expired"
        self.key = key
        return self.enter("consumed", self.now + EXECUTION)

    def report(self, outcome: str, note: str | None) -> str | None:
        if self.key is None or self.outcome is not None:
            return (
                "not_consumed" if self.key is None else None if self.outcome == (outcome, note) else "outcome_conflict"
            )
        self.outcome = (outcome, note)
        return self.enter(outcome)

    def sweep(self) -> None:
        if self.due is not None and self.now >= self.due:
            self.enter({"pending": "expired", "open": "lapsed", "consumed": "overdue"}[self.state])

    def take_file(self, allows: bool) -> None:
        self.is_allowed = allows
        if not allows and self.state in ("pending", "open"):
            self.enter({"pending": "cancelled", "open": "revoked"}[self.state])

    def revoke_instance(self) -> str | None:
        if self.state == "pending":
            self.enter("cancelled")
        refused, self.is_revoked = "operator_error" if self.is_revoked else None, True
        return refused


class Life(RuleBasedStateMachine):
    """The same commands to the model and, through the public use cases, to the real thing."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(shutil.copy(_empty_database(), self.folder.name))
        self.runner = asyncio.Runner()
        self.acts = 0
        self.connection = sqlite3.connect(self.path)
        self.connection.row_factory = sqlite3.Row
        self.runner.run(self._move_in())

    async def _move_in(self) -> None:
        self.clock = StandingClock()
        town = Town(self.clock, groups={"S0FINANCE": frozenset()})
        for user in [*REVIEWERS, *STRANGERS]:
            town.add(user)
        self.house = await furnish(await InlineStore.open(self.path), self.clock, town, sample_settings(RULES))
        self.reloads = Reloads(self.house.store, self.clock, self.house.rulebook)
        self.instance, _ = await self.house.instances.create("till", "refund-bot")
        self.request, _ = await self.house.creation.submit(self.instance, submission(timeout="10m"), "key")

    def teardown(self) -> None:
        assert_events_agree(self.path)
        self.connection.close()
        self.runner.run(self.house.store.close())
        self.runner.close()
        self.folder.cleanup()

    def both(self, expected: str | None, real: Coroutine[Any, Any, object]) -> None:
        """The real one answers as the model did, and a refusal leaves nothing behind."""
        before, answer = self.dump(), None
        try:
            self.runner.run(real)
        except Refusal as refusal:
            answer = refusal.code
        assert answer == expected
        assert answer is None or self.dump() == before

    def dump(self) -> list[Any]:
        return [self.connection.execute(f"SELECT * FROM {table}").fetchall() for table in _TABLES]

    def act(self, user: str) -> Act:
        self.acts += 1
        return Act(f"t{self.acts}", user, TEAM, "card", "C0REFUNDS", FullView.CARD)

    @initialize(depth=st.integers(0, 3))
    def begin(self, depth: int) -> None:
        """Go some of the way that most requests go, or few would ever come to its end."""
        way = [
            lambda: self.vote("U0ALICE", "approve"),
            lambda: self.vote("U0BOB", "approve"),
            lambda: self.consume("a"),
        ]
        for step in way[:depth]:
            step()

    @rule(user=st.sampled_from([*REVIEWERS, *STRANGERS]), kind=st.sampled_from([*["approve"] * 3, "deny"]))
    def vote(self, user: str, kind: str) -> None:
        real = self.house.decisions.vote(self.request.number, self.act(user), VoteKind(kind))
        self.both(self.model.vote(user, kind), real)

    @rule(user=st.sampled_from([*REVIEWERS, *STRANGERS]))
    def withdraw(self, user: str) -> None:
        self.both(self.model.withdraw(user), self.house.decisions.withdraw(self.request.number, self.act(user)))

    @rule(seconds=st.sampled_from([1, 25]))
    def pass_time(self, seconds: int) -> None:
        self.model.now += seconds
        self.clock.advance(seconds=seconds)

    @precondition(lambda self: self.model.due is not None and self.model.due - 1 > self.model.now)
    @rule(beyond=st.sampled_from([-1, 0, 0, 1]), order=st.permutations(range(6)))
    def wait_until_due(self, beyond: int, order: list[int]) -> None:
        """Try everything at about the second at which the clock has a say, too."""
        assert self.model.due is not None
        self.pass_time(self.model.due + beyond - self.model.now)
        tries = [
            lambda: self.vote("U0CAROL", "approve"),
            lambda: self.withdraw("U0ALICE"),
            self.cancel,
            lambda: self.consume("a"),
            lambda: self.report(OutcomeStatus.SUCCEEDED, None),
            self.sweep,
        ]
        for at in order:
            tries[at]()

    @rule()
    def sweep(self) -> None:
        self.both(self.model.sweep(), self.house.deadlines.sweep())

    @rule()
    def cancel(self) -> None:
        self.both(self.model.cancel(), self.house.approvals.cancel(self.instance, self.request.id))

    @rule(key=st.sampled_from(["a", "b"]))
    def consume(self, key: str) -> None:
        self.both(self.model.consume(key), self.house.approvals.consume(self.instance, self.request.id, key))

    @rule(outcome=st.sampled_from(OutcomeStatus), note=st.sampled_from([None, "done"]))
    def report(self, outcome: OutcomeStatus, note: str | None) -> None:
        real = self.house.approvals.report_outcome(self.instance, self.request.id, outcome, note)
        self.both(self.model.report(outcome.value, note), real)

    @precondition(lambda self: self.model.now > VALIDITY or self.model.state == "open")
    @rule(allows=st.booleans())
    def take_file(self, allows: bool) -> None:
        """A changed configuration file, by which the agent may use the tool, or may not."""
        text = RULES if allows else RULES.replace('tools = ["issue_refund", ', "tools = [")
        self.both(self.model.take_file(allows), self.reloads.take(lambda: sample_settings(text)))

    @precondition(lambda self: self.model.now > VALIDITY)
    @rule()
    def revoke_instance(self) -> None:
        self.both(self.model.revoke_instance(), self.house.instances.revoke("till"))

    @invariant()
    def the_row_is_as_the_model(self) -> None:
        row = self.connection.execute("SELECT * FROM requests").fetchone()
        votes = self.connection.execute("SELECT user_id, kind FROM votes WHERE withdrawn_at IS NULL").fetchall()
        assert state_in(row) == self.model.state
        assert dict(tuple(vote) for vote in votes) == self.model.votes
        assert (row["consume_key"], row["outcome"] and (row["outcome"], row["outcome_note"])) == (
            self.model.key,
            self.model.outcome,
        )
        due = None if self.model.due is None else START + timedelta(seconds=self.model.due)
        request = self.runner.run(self.house.approvals.read(self.instance, self.request.id))
        assert request.due_at == due


@lru_cache
def _empty_database() -> Path:
    path = Path(tempfile.mkdtemp()) / "signoff.db"
    prepare(path, START, upgrade=False)
    return path


_TABLES = ("requests", "votes", "acts", "events", "outbox", "instances", "credentials")

TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=examples(40), stateful_step_count=8, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
