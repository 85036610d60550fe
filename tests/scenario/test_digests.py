"""Gathered notices: what rules approved by themselves is told once, in order, whatever happens in between."""

import asyncio
import json
from datetime import timedelta

import asyncpg
import pytest

from bot.digests import SETTLED, Gathered
from handlers.clock import SweepClock
from store.engine import SqliteStore
from store.postgres import PostgresStore
from store.postgres_connections import TURN
from store.statements import requests
from store.statements_digests import ToolCount
from store.tables import Digest, HaltEffect, Instance, IntentKind
from tests.conftest import House, StandingClock, Town, furnish, sample_settings, submission
from tests.scenario.ahead_support import rows
from tests.scenario.halts_support import AGENT, ALICE, BOB, COMPANY, RULE, Acts, with_everybody

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def house(store: SqliteStore, clock: StandingClock, town: Town) -> House:
    with_everybody(town)
    return await furnish(store, clock, town, sample_settings(COMPANY))


async def look_up(house: House, instance: Instance, *keys: str) -> None:
    for key in keys:
        await house.creation.submit(instance, submission("look_up"), key)


async def gather(house: House) -> int:
    house.clock.advance(seconds=SETTLED.total_seconds())
    return await house.digests.gather()


async def notices(house: House) -> list[Gathered]:
    return [await house.digests.load(number) for (number,) in rows(house, "SELECT id FROM digests ORDER BY id")]


def told(notice: Digest) -> tuple[int, int, int]:
    return notice.first_number, notice.last_number, notice.count


async def post(house: House, ts: str) -> Digest:
    """Carry the waiting notice out as the deliverer would."""
    (intent,) = [one for one in await house.outbox.claim(10) if one.kind is IntentKind.POST_DIGEST]
    job = await house.outbox.load(intent)
    digest = (await house.digests.load(job.digest_id)).digest  # type: ignore[union-attr]  # that is what it is
    await house.digests.attempting(digest)
    await house.digests.posted(job, digest, digest.channel, ts)  # type: ignore[arg-type]  # as above
    found = await house.digests.at(digest.channel, ts)
    assert found is not None
    return found


async def test_many_approvals_make_one_notice(house: House, instance: Instance) -> None:
    await look_up(house, instance, *map(str, range(7)))
    await house.creation.submit(instance, submission(), "asked")  # people are asked: a card tells of it
    mail, _ = await house.instances.create("mail", "mail-bot")
    await house.creation.submit(mail, submission("send_mail"), "a")  # by a rule without a channel
    assert await gather(house) == 7
    (notice,) = await notices(house)
    assert (notice.digest.rule, notice.digest.channel, told(notice.digest)) == ("look-ups", "C0REFUNDS", (1, 7, 7))
    assert notice.tools == (ToolCount("refund-bot", "look_up", 7),)
    assert [request.number for request in notice.newest] == [7, 6, 5, 4, 3]
    assert {request.arguments for request in notice.newest} == {""}
    assert (notice.stop, notice.can_ask, notice.is_there) == (None, True, True)
    assert await gather(house) == 0
    assert rows(house, "SELECT count(*) FROM outbox WHERE kind = 'post_digest'") == [(1,)]


async def test_until_it_is_posted_it_tells_of_what_comes(house: House, instance: Instance) -> None:
    await look_up(house, instance, "a", "b")
    await gather(house)
    await look_up(house, instance, "c")
    await gather(house)
    (notice,) = await notices(house)
    assert told(notice.digest) == (1, 3, 3)
    await post(house, "1.1")
    await look_up(house, instance, "d")
    await gather(house)
    assert [told(notice.digest) for notice in await notices(house)] == [(1, 3, 3), (4, 4, 1)]
    ((body,),) = rows(house, "SELECT body FROM events WHERE type = 'digest.posted'")
    assert json.loads(str(body))["count"] == 3


async def test_what_is_young_is_told_next_time(house: House, instance: Instance) -> None:
    await look_up(house, instance, "a")
    assert await house.digests.gather() == 0
    assert await gather(house) == 1


async def test_after_a_restart_nothing_is_told_twice_or_left_out(house: House, instance: Instance) -> None:
    await look_up(house, instance, "a", "b")
    await gather(house)
    await post(house, "1.1")
    await look_up(house, instance, "c")
    house = await furnish(house.store, house.clock, house.town, sample_settings(COMPANY))
    assert await gather(house) == 1
    assert [told(notice.digest) for notice in await notices(house)] == [(1, 2, 2), (3, 3, 1)]


async def test_what_is_long_over_is_not_told_at_the_start(house: House, instance: Instance) -> None:
    await look_up(house, instance, "a")
    house.clock.advance(hours=25)
    assert await house.digests.gather() == 0
    await look_up(house, instance, "b")
    assert await gather(house) == 1


async def test_two_processes_tell_each_request_once(house: House, instance: Instance) -> None:
    other = await furnish(house.store, house.clock, house.town, sample_settings(COMPANY))
    for key in "abc":
        await look_up(house, instance, key)
        house.clock.advance(seconds=SETTLED.total_seconds())
        await asyncio.gather(house.digests.gather(), other.digests.gather())
        await post(house, f"1.{ord(key)}")
    assert [told(notice.digest) for notice in await notices(house)] == [(1, 1, 1), (2, 2, 1), (3, 3, 1)]


_NOTICES = "SELECT kind FROM outbox WHERE kind != 'tell_halted'"


async def test_stopping_draws_the_newest_notice_anew(house: House, instance: Instance, acts: Acts) -> None:
    await look_up(house, instance, "a")
    await gather(house)
    await house.halts.stop_rule(RULE.name, acts(BOB), "look at each")  # not posted yet: it will be drawn as it is
    assert rows(house, _NOTICES) == [("post_digest",)]
    assert (await notices(house))[0].stop is not None
    await post(house, "1.1")
    await house.halts.resume(RULE, acts(ALICE), "it is fine")
    await house.halts.stop_rule(RULE.name, acts(BOB), "or not")
    assert rows(house, _NOTICES) == [("draw_digest",)]


async def test_the_clock_ends_a_timed_pause(house: House, acts: Acts) -> None:
    """It stands at the pause's end from the moment it is made, and writes the end down."""
    sweeper = SweepClock(
        house.store, house.deadlines, house.escalations, house.clock, halts=house.halts, cap=timedelta(hours=1)
    )
    await sweeper.start()
    try:
        until = house.clock.now + timedelta(minutes=2)
        await house.halts.pause(AGENT, acts(BOB), "two minutes", until)
        assert sweeper._armed_for == until
        house.clock.advance(minutes=2)
        sweeper.wake()
        assert sweeper._sweeping is not None
        await asyncio.wait_for(sweeper._sweeping, 5)
        assert rows(house, "SELECT type FROM events WHERE type LIKE 'halt.%'") == [("halt.begun",), ("halt.ended",)]
        assert sweeper._armed_for is None
    finally:
        await sweeper.stop()


async def test_what_is_in_force_is_counted(house: House, acts: Acts) -> None:
    await house.halts.pause(AGENT, acts(BOB), "two minutes", house.clock.now + timedelta(minutes=2))
    await house.halts.stop_rule(RULE.name, acts(BOB), "look at each")
    assert [await house.halts.count(effect) for effect in (HaltEffect.DENY, HaltEffect.ASK)] == [1, 1]
    house.clock.advance(minutes=2)
    assert [await house.halts.count(effect) for effect in (HaltEffect.DENY, HaltEffect.ASK)] == [0, 1]


async def test_what_is_committed_late_is_told_of_too(postgres_url: str, clock: StandingClock, town: Town) -> None:
    """A number is given out before its commit. However long that takes, the notice waits for it."""
    store, database = await PostgresStore.open(postgres_url), await asyncpg.connect(postgres_url)
    house = await furnish(store, clock, town, sample_settings(COMPANY))  # type: ignore[arg-type]  # House names SQLite's
    made, _ = await house.instances.create("till", "refund-bot")
    await look_up(house, made, "a")
    columns = ", ".join({one.name for one in requests.c} - {"number", "id", "create_key"})
    late = database.transaction()
    await late.start()
    await database.execute(f"SELECT pg_advisory_xact_lock_shared({TURN})")  # beside others, as such calls are written
    await database.execute(f"INSERT INTO requests (id, create_key, {columns}) SELECT 'b', 'b', {columns} FROM requests")
    await look_up(house, made, "c")
    gathering = asyncio.create_task(gather(house))
    await asyncio.wait({gathering}, timeout=0.1)
    await late.commit()
    assert await gathering == 3
    await store.close()
    await database.close()
