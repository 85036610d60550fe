"""Rounds in which the clock jumps by an hour or a day, both ways, while a request lives; some over the hour that
daylight saving gives or takes.

A jump may end what is due by the new time. It approves nothing, uses nothing that is over, takes no step twice, and
leaves nothing that the next look cannot deal with.
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from bot.errors import Refusal
from store.opening import open_database
from store.tables import Instance, Request, Status, VoteKind
from tests.conftest import START, House, StandingClock, Town, submission
from tests.faults.stage import Stage, assert_whole
from tests.scenario.escalation_support import (
    PLANNED,
    act_of,
    assert_each_target_has_its_intent,
    furnish_planned,
    load,
)
from tests.stores import rows_at

REQUESTS, ACTS = 6, 40
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JUMPS = (HOUR, -HOUR, DAY, -DAY)
MINUTES = (1, 4, 6, 11)
BEGINNINGS = (
    START,
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # half an hour before Berlin's clocks go back
    datetime(2027, 3, 28, 0, 30, tzinfo=UTC),  # and before they go forward
)
_MOST_SWEEPS = 200
ZONED = PLANNED.replace("Mon-Fri 09:00-18:00 UTC", "Mon-Sun 00:00-03:30 Europe/Berlin")


async def clock_jumps(stage: Stage, kind: str, seed: int) -> None:
    """People, an agent and the sweeps act by a clock that jumps between any two acts."""
    chance = random.Random(f"clock {seed}")
    database = stage.database(kind, stage.folder())
    clock = StandingClock(chance.choice(BEGINNINGS))
    town = Town(clock, groups={"S0FINANCE": frozenset({"U0BOB"})})
    for user in ("U0OWNER", "U0ALICE", "U0BOB", "U0CAROL"):
        town.add(user)
    store = await open_database(database)
    try:
        house = await furnish_planned(store, clock, town, ZONED)  # type: ignore[arg-type]  # a house takes either store
        instance, _ = await house.instances.create("till", "refund-bot")
        day = _Day(house, instance, chance)
        for at in range(REQUESTS):
            await day.ask(at)
            for _ in range(ACTS // REQUESTS):
                await day.act()
        clock.now = max(clock.now, *day.seen) + 2 * DAY
        await day.sweep()
        assert rows_at(database, "SELECT count(*) FROM requests WHERE status = 'pending'") == [(0,)]
        await day.assert_in_time()
    finally:
        await store.close()
    steps = rows_at(database, 'SELECT request_number, round, "index" FROM taken_steps')
    assert len(steps) == len(set(steps)), "a step was taken twice"
    assert_each_target_has_its_intent(database)
    await assert_whole(database)


class _Day:
    """What happens, one thing after the other; each is refused or holds by the clock as it was then."""

    def __init__(self, house: House, instance: Instance, chance: random.Random) -> None:
        self._house, self._instance, self._chance = house, instance, chance
        self._requests: list[Request] = []
        self._acts = iter(range(10**6))
        self.seen: list[datetime] = []

    async def ask(self, at: int) -> None:
        call = submission(arguments=f'{{"at": {at}}}', timeout="1h")
        self._requests.append((await self._house.creation.submit(self._instance, call, f"k{at}"))[0])

    async def act(self) -> None:
        clock, chance = self._house.clock, self._chance
        self.seen.append(clock.now)
        request = await load(self._house, chance.choice(self._requests))
        acts: list[Callable[[Request], Awaitable[object]]] = [
            self._vote, self._consume, self._jump, self._jump, self._pass, self._pass, lambda _: self.sweep()
        ]  # fmt: skip
        with suppress(Refusal):  # by its state, which the end holds against the record
            await chance.choice(acts)(request)

    async def _vote(self, request: Request) -> None:
        now, user = self._house.clock.now, self._chance.choice(["U0ALICE", "U0BOB"])
        kind = self._chance.choice([VoteKind.APPROVE, VoteKind.APPROVE, VoteKind.DENY])
        note = "no" if kind is VoteKind.DENY else None
        voted = await self._house.decisions.vote(request.number, act_of(user, str(next(self._acts))), kind, note)
        if voted is not None and request.status is Status.PENDING:
            assert now < request.deadline_at, "decided after its deadline"

    async def _consume(self, request: Request) -> None:
        now = self._house.clock.now
        await self._house.approvals.consume(self._instance, request.id, "once")
        if request.consumed_at is None:
            assert request.status is Status.APPROVED
            assert request.expires_at is not None
            assert now < request.expires_at, "used after it was over"

    async def _jump(self, _: Request) -> None:
        self._house.clock.now += self._chance.choice(JUMPS)

    async def _pass(self, _: Request) -> None:
        self._house.clock.advance(minutes=self._chance.choice(MINUTES))

    async def sweep(self) -> None:
        """Do what is due until nothing is: that ends, whatever the time."""
        for _ in range(_MOST_SWEEPS):
            await self._house.deadlines.sweep()
            await self._house.escalations.sweep()
            now = self._house.clock.now
            due = [await self._house.deadlines.next_due(), await self._house.escalations.next_due()]
            if all(one is None or one > now for one in due):
                return
        raise AssertionError("there is no end to what is due")

    async def assert_in_time(self) -> None:
        """Nobody but people approved, and no stored time precedes the one that it follows."""
        for made in self._requests:
            request = await load(self._house, made)
            assert request.decided_at is not None
            assert request.decided_at >= request.created_at
            if request.status is Status.APPROVED:
                assert request.decided_by in ("U0ALICE", "U0BOB")
                assert request.decided_at < request.deadline_at
                assert request.expires_at is not None
                assert request.expires_at > request.decided_at
            if request.consumed_at is not None:
                assert request.consumed_at >= request.decided_at, "used before it was decided"
