"""A call changed by a sign is another call: it replays no key, takes no standing vote and meets no remembered denial.

A thousand in the suite, as many for each seed that ``SIGNOFF_FAULT_SEEDS`` names.
"""

import asyncio
import json
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import IdempotencyConflict, Refusal
from bot.hearings import Act
from store.tables import FullView, Instance, Request, Status
from tests.conftest import TEAM, House, StandingClock, Town, furnish, sample_settings, submission
from tests.faults.rounds import examples
from tests.stores import InlineStore

DENIED = {"amount": 4900, "to": "Zoë", "lines": [1, "2", None, 2**60], "memo": {"a": True}}
GRANTED = DENIED | {"amount": 4900.5}
KEY = "key of the first"


def mutated(arguments: dict[str, object], random: Random) -> str:
    """The text of other arguments: signs put in, taken away or replaced. JSON that an agent may send."""
    text = json.dumps(arguments, ensure_ascii=random.random() < 0.5)
    while True:
        changed = text
        for _ in range(random.choice([1, 1, 1, 2, 3])):
            at = random.randrange(len(changed))
            sign = random.choice('0123456789eE.-+"{}[]:, aZ\\\u200b\u00eb\u0301')
            changed = changed[:at] + random.choice([sign, sign + changed[at], ""]) + changed[at + 1 :]
        try:
            submission(arguments=changed)
        except Refusal:
            continue
        return changed


async def _prepare(database: Path) -> tuple[House, Instance, Request]:
    """A house in which a call was denied, and a changed one approved ahead."""
    clock = StandingClock()
    town = Town(clock)
    for user in ("U0OWNER", "U0ALICE"):
        town.add(user)
    house = await furnish(await InlineStore.open(database), clock, town, sample_settings())
    instance, _ = await house.instances.create("till", "refund-bot")
    denied, _ = await house.creation.submit(instance, submission(arguments=json.dumps(DENIED)), KEY)
    act = Act("t", "U0ALICE", TEAM, "modal", "C0REFUNDS", FullView.FORM)
    await house.standing.approve_with_changes(denied.number, act, json.dumps(GRANTED), seen=FullView.CARD)
    return house, instance, denied


def test_mutated_calls_get_nothing(database: Path) -> None:
    loop = asyncio.new_event_loop()
    house, instance, denied = loop.run_until_complete(_prepare(database))
    known = {submission(arguments=json.dumps(one)).digest for one in (DENIED, GRANTED)}
    keys = iter(range(10**9))

    async def probe(random: Random) -> None:
        call = submission(arguments=mutated(random.choice([DENIED, GRANTED]), random))
        if call.digest in known:  # only white space or the like was changed: it is the same call
            return
        made, _ = await house.creation.submit(instance, call, f"probe{next(keys)}")
        assert (made.status, made.repeats) == (Status.PENDING, None)
        try:
            await house.creation.submit(instance, call, KEY)
        except IdempotencyConflict:
            return
        raise AssertionError("a key was replayed")

    @settings(max_examples=examples(1000), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(min_value=0, max_value=2**64))
    def probes(seed: int) -> None:
        loop.run_until_complete(probe(Random(seed)))

    try:
        probes()
        granted, _ = loop.run_until_complete(
            house.creation.submit(instance, submission(arguments=json.dumps(GRANTED)), "at last")
        )
        again, _ = loop.run_until_complete(
            house.creation.submit(instance, submission(arguments=json.dumps(DENIED)), "once more")
        )
        assert (granted.status, again.repeats) == (Status.APPROVED, denied.number)
    finally:
        loop.run_until_complete(house.store.close())
        loop.close()
