"""Replicas on one PostgreSQL database, under their surfaces: what happens once happens once, wherever it is asked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.approvals import Approvals
from bot.errors import AgentPaused, BadCredential, IdempotencyConflict, TooManyPending
from bot.halts import Target
from store.postgres import PostgresStore
from store.tables import HaltScope, Instance, OutcomeStatus, Request, Status, VoteKind
from tests.conftest import SAMPLE, House, StandingClock, Town, furnish, sample_settings, submission
from tests.replay import assert_events_agree
from tests.scenario.service_support import assert_sound

LOOK_UP = submission("look_up", '{"order": 7}')
AGENT = Target(HaltScope.AGENT, "refund-bot")
FEW = 'owners = ["U0OWNER"]\nmax_pending = 3'


@pytest.fixture
async def houses(postgres_url: str, clock: StandingClock, town: Town) -> AsyncIterator[list[House]]:
    """Eight replicas. What is left in the end is one record, whole and true."""
    stores = [await PostgresStore.open(postgres_url) for _ in range(8)]
    settings = sample_settings(SAMPLE.replace('owners = ["U0OWNER"]', FEW))
    yield [await furnish(store, clock, town, settings) for store in stores]  # type: ignore[arg-type]
    for store in stores:
        await store.close()
    assert_sound(postgres_url)
    assert_events_agree(postgres_url)


@pytest.fixture
async def instance(houses: list[House]) -> Instance:
    made, _ = await houses[0].instances.create("till", "refund-bot")
    return made


async def at_once(*acts: Any) -> list[Any]:
    async with asyncio.timeout(60):
        return await asyncio.gather(*acts, return_exceptions=True)


def kinds(results: list[Any]) -> dict[str, int]:
    names = [type(result).__name__ for result in results]
    return {name: names.count(name) for name in set(names)}


async def test_of_a_thousand_uses_at_two_replicas_one_succeeds(houses: list[House], instance: Instance) -> None:
    made, _ = await houses[0].creation.submit(instance, LOOK_UP, "a")
    uses = await at_once(
        *(houses[at % 2].approvals.consume(instance, made.id, f"k{at // 2 % 500}") for at in range(1000))
    )
    done = [use for use in uses if isinstance(use, Request)]
    # Each key was sent to both: the one that has it hears so twice.
    assert kinds(uses) == {"Request": 2, "AlreadyConsumed": 998}
    assert len({(use.consume_key, use.consumed_at) for use in done}) == 1


async def test_one_key_makes_one_request_wherever_it_is_sent(houses: list[House], instance: Instance) -> None:
    keys = [f"key{at}" for at in range(20)]
    other = submission("look_up", '{"order": 8}')
    made = await at_once(
        *(
            house.creation.submit(instance, LOOK_UP if at % 3 else other, key)
            for house in houses[:3]
            for at, key in enumerate(keys if house is not houses[1] else reversed(keys))
        )
    )
    assert set(kinds(made)) <= {"tuple", "IdempotencyConflict"}
    found = [result for result in made if isinstance(result, tuple)]
    assert len({request.id for request, _ in found}) == len([new for _, new in found if new]) == len(keys)
    assert all(isinstance(result, IdempotencyConflict | tuple) for result in made)


async def test_what_may_wait_is_counted_for_all_replicas_together(houses: list[House], instance: Instance) -> None:
    calls = [submission(arguments=f'{{"amount": {at}}}') for at in range(24)]
    made = await at_once(*(houses[at % 8].creation.submit(instance, call, f"k{at}") for at, call in enumerate(calls)))
    assert kinds(made) == {"tuple": 3, TooManyPending.__name__: 21}


async def test_eight_replicas_write_one_record(houses: list[House], instance: Instance, acts: Any) -> None:
    """Calls decided by rule and by people, used, reported, paused, resumed, swept and cut off, all at once."""
    asked = [(await houses[0].creation.submit(instance, submission(), f"p{at}"))[0] for at in range(3)]

    async def work(house: House, at: int) -> Status:
        made, _ = await house.creation.submit(instance, LOOK_UP, f"k{at}")
        approvals: Approvals = houses[(at + 1) % 8].approvals
        await approvals.consume(instance, made.id, "c")
        reported = await approvals.report_outcome(instance, made.id, OutcomeStatus.SUCCEEDED, None)
        return reported.status

    async def decide(house: House, request: Request) -> None:
        await house.decisions.vote(request.number, acts("U0ALICE"), VoteKind.APPROVE)
        await house.approvals.consume(instance, request.id, "c")

    async def stop_and_go() -> None:
        await houses[5].halts.pause(AGENT, acts("U0ADMIN"), "wait")
        await houses[6].halts.resume(AGENT, acts("U0ADMIN"), "go on")
        await houses[7].deadlines.sweep()

    results = await at_once(
        *(work(houses[at % 8], at) for at in range(80)),
        *(decide(houses[at], request) for at, request in enumerate(asked)),
        stop_and_go(),
    )
    unexpected = [one for one in results if isinstance(one, Exception) and type(one).__name__ not in _PAUSED]
    assert unexpected == []
    await houses[1].instances.revoke("till")
    late = await at_once(*(work(house, 100 + at) for at, house in enumerate(houses)))
    assert kinds(late) == {BadCredential.__name__: 8}


_PAUSED = {AgentPaused.__name__, "NotApproved"}
