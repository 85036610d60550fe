"""Rounds in which the database fails while people and agents are at work: nobody may be told of what is not kept.

How it fails is ``tests.faults.failing``'s. Whoever hears ``StoreUnavailable`` repeats the step under its key, and must
be given what became of the first try.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bot.errors import AlreadyConsumed, NoLongerOpen, NotYourDecision
from bot.hearings import Act
from store.opening import Database
from store.tables import FullView, Instance, OutcomeStatus, Status, VoteKind
from store.unit import StoreUnavailable
from tests.conftest import TEAM, House, StandingClock, Town, furnish, sample_settings, submission
from tests.faults.failing import failing_postgres, failing_sqlite
from tests.faults.stage import POSTGRESQL, Stage, assert_whole
from tests.stores import rows_at

T = TypeVar("T")

CALLS = 16
TROUBLES = 12  # in a round
_MOST_TRIES = 400
_LONG_TEXT = 6_000  # characters that an argument has, so that a full disk is felt soon


@dataclass
class Promise:
    """What one agent was told of its call."""

    key: str
    id: str | None = None
    status: Status | None = None
    consumed_with: set[str] = field(default_factory=set)
    outcome: OutcomeStatus | None = None


class Troubled:
    """A house whose database fails; everything is tried again until it is answered."""

    def __init__(self, house: House, chance: random.Random) -> None:
        self._house, self._chance = house, chance
        self.refused = 0
        """How often somebody heard that the database does not serve."""

    async def insist(self, step: Callable[[], Awaitable[T]]) -> T:
        for _ in range(_MOST_TRIES):
            try:
                return await step()
            except StoreUnavailable:
                self.refused += 1
                await asyncio.sleep(0.002)
        raise AssertionError("the database did not come back")

    async def work(self, instance: Instance, promise: Promise) -> None:
        """From the making of a call to its outcome, with a rival for its approval."""
        house, key = self._house, promise.key
        text = "x" * self._chance.randint(1, _LONG_TEXT)
        call = submission(arguments=f'{{"key": "{key}", "text": "{text}"}}')
        request, _ = await self.insist(lambda: house.creation.submit(instance, call, key))
        promise.id = request.id
        kind, note = (VoteKind.APPROVE, None) if self._chance.random() < 0.8 else (VoteKind.DENY, "no")
        await self._vote(request.number, kind, note, key)
        told = await self.insist(lambda: house.approvals.read(instance, request.id))
        assert told.status is (Status.APPROVED if kind is VoteKind.APPROVE else Status.DENIED), "acknowledged and lost"
        promise.status = told.status
        if kind is VoteKind.APPROVE:
            await self._use(instance, promise, request.id)

    async def _vote(self, number: int, kind: VoteKind, note: str | None, key: str) -> None:
        for press in range(_MOST_TRIES):
            # The same press each time, as Slack delivers it again; another once they were told to try again.
            act = Act(f"press-{key}-{press}", "U0ALICE", TEAM, "card", "C0REFUNDS", FullView.CARD)
            try:
                await self.insist(lambda act=act: self._house.decisions.vote(number, act, kind, note))  # type: ignore[misc]
            except NotYourDecision as late:
                if late.code != "facts_too_old":  # the database was locked for so long
                    raise
            except NoLongerOpen as late:
                raise AssertionError("a press that came again was taken for another") from late
            else:
                return

    async def _use(self, instance: Instance, promise: Promise, request_id: str) -> None:
        approvals = self._house.approvals

        async def consume(key: str) -> None:
            try:
                await self.insist(lambda: approvals.consume(instance, request_id, key))
            except AlreadyConsumed:
                assert key not in promise.consumed_with
            else:
                promise.consumed_with.add(key)

        await asyncio.gather(*(consume(f"{promise.key}-{rival}") for rival in "ab"))
        assert len(promise.consumed_with) == 1, "consumed twice, or by nobody"
        succeeded = OutcomeStatus.SUCCEEDED
        await self.insist(lambda: approvals.report_outcome(instance, request_id, succeeded, None))
        promise.outcome = succeeded


async def database_fails(stage: Stage, kind: str, seed: int) -> None:
    """Everybody works, and the database fails a dozen times meanwhile."""
    chance = random.Random(f"doubt {seed}")
    database = stage.database(kind, stage.folder())
    clock = StandingClock()
    town = Town(clock, groups={"S0FINANCE": frozenset({"U0BOB"})})
    for user in ("U0OWNER", "U0ALICE", "U0BOB"):
        town.add(user)
    failing = failing_postgres if kind == POSTGRESQL else failing_sqlite
    async with failing(database, clock, chance) as (store, trouble):
        house = await furnish(store, clock, town, sample_settings())
        troubled = Troubled(house, chance)
        instance, _ = await house.instances.create("till", "refund-bot")
        promises = [Promise(f"k{at}") for at in range(CALLS)]
        work = asyncio.gather(*(troubled.work(instance, promise) for promise in promises))
        for _ in range(TROUBLES):
            await asyncio.sleep(chance.uniform(0, 0.01))
            await trouble()
        await work
    _assert_kept(database, promises)
    await assert_whole(database)


def _assert_kept(database: Database, promises: list[Promise]) -> None:
    stored = {
        row[0]: row[1:]
        for row in rows_at(database, "SELECT create_key, id, status, consume_key, outcome FROM requests")
    }
    assert stored.keys() == {promise.key for promise in promises}
    for promise in promises:
        request, status, consumed_with, outcome = stored[promise.key]
        assert (promise.id, promise.status) == (request, status), promise
        assert promise.consumed_with == ({consumed_with} if consumed_with else set()), promise
        assert outcome == promise.outcome, promise
    assert rows_at(database, "SELECT count(*) FROM votes") == [(len(promises),)]
