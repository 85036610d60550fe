"""What gives a say is stored as it is on record: whoever writes it into the database alone is found out."""

import hashlib

import pytest

from bot.audit_rights import check_rights
from bot.chain import Faults
from bot.halt_rights import Target
from bot.reload import Reloads
from store.engine import SqliteStore
from store.tables import FullView, HaltScope, Instance, Request, Status, VoteKind
from tests.conftest import House, StandingClock, Town, submission
from tests.scenario.ahead_support import CHANGED, Acts, change
from tests.scenario.escalation_support import furnish_planned, request_of, rows, run_to
from tests.stores import database_of, rows_at

AGENT = Target(HaltScope.AGENT, "refund-bot")
FORGED = (
    "INSERT INTO standing_votes (request_number, instance_id, canonical_version, digest, user_id, team_id, note, "
    "surface, full_view, granted_at, expires_at) SELECT request_number, instance_id, canonical_version, digest, "
    "'U0BOB', team_id, note, surface, full_view, granted_at, expires_at FROM standing_votes WHERE id = 1"
)


@pytest.fixture
async def instance(house: House) -> Instance:
    made, _ = await house.instances.create("till", "refund-bot", person="U0CAROL")
    return made


@pytest.fixture
async def lived(house: House, instance: Instance, acts: Acts) -> Request:
    """Votes ahead that wait, were lifted and taken, a pause that goes on and one that is over. Returns a taker."""
    await Reloads(house.store, house.clock, house.rulebook).begin()
    for at, text in enumerate(['{"amount": 1}', '{"amount": 2}', CHANGED]):
        asked, _ = await house.creation.submit(
            instance, submission(arguments=f'{{"amount": {at + 10}}}'), f"asked {at}"
        )
        await change(house, asked, acts("U0ALICE", full_view=FullView.FORM), text)
    taker, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "taker")
    assert taker.status is Status.APPROVED
    lifting, _ = await house.creation.submit(instance, submission(arguments='{"amount": 20}'), "lifting")
    await change(house, lifting, acts("U0ALICE", full_view=FullView.FORM), '{"amount": 2}')
    await house.halts.pause(AGENT, acts("U0ADMIN"), "a drill")
    await house.halts.resume(AGENT, acts("U0ADMIN"), "it is over")
    await house.halts.pause(AGENT, acts("U0ADMIN"), "in earnest")
    return taker


async def found(house: House) -> list[str]:
    faults = Faults()
    await check_rights(house.store, faults)
    assert {fault.code for fault in faults.kept} <= {"record_differs"}
    return [fault.words for fault in faults.kept]


@pytest.mark.both_databases
async def test_a_record_that_agrees(house: House, lived: Request) -> None:
    assert await found(house) == []


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (FORGED, "Vote ahead 5: it is stored, and on record 0 times."),
        ("DELETE FROM standing_votes WHERE id = 4", "Vote ahead 4 is on record and not stored."),
        ("UPDATE standing_votes SET user_id = 'U0BOB' WHERE id = 1", "Vote ahead 1: user is not stored"),
        ("UPDATE standing_votes SET full_view = 'pages' WHERE id = 1", "Vote ahead 1: full_view is not stored"),
        ("UPDATE standing_votes SET step_up = 'totp' WHERE id = 1", "Vote ahead 1: step_up is not stored"),
        ("UPDATE standing_votes SET expires_at = granted_at WHERE id = 1", "Vote ahead 1: expires_at is not stored"),
        ("UPDATE standing_votes SET note = 'another' WHERE id = 1", "Vote ahead 1: note is not stored"),
        ("UPDATE standing_votes SET lifted_at = granted_at WHERE id = 1", "Vote ahead 1: that it was lifted"),
        ("UPDATE standing_votes SET taken_by = 1 WHERE id = 3", "Vote ahead 3: that it was taken"),
        ("UPDATE halts SET ended_at = at WHERE ended_at IS NULL", "Halt 2: that it ended"),
        ("DELETE FROM halts WHERE ended_at IS NULL", "Halt 2 is on record and not stored."),
        ("UPDATE halts SET effect = 'ask' WHERE id = 2", "Halt 2: effect is not stored"),
        ("UPDATE halts SET until = at WHERE id = 2", "Halt 2: until is not stored"),
        ("UPDATE halts SET rank = 'owner' WHERE id = 2", "Halt 2: rank is not stored"),
        ("UPDATE halts SET reason = 'another' WHERE id = 2", "Halt 2: reason is not stored"),
        ("UPDATE halts SET ended_by = 'U0BOB' WHERE id = 1", "Halt 1: user is not stored"),
        ("UPDATE instances SET person = NULL", ": person is not stored"),
        ("UPDATE rule_versions SET body = replace(body, 'U0ALICE', 'U0MALLORY')", "the wording of rule"),
    ],
)
async def test_what_is_stored_otherwise_is_found(house: House, lived: Request, sql: str, words: str) -> None:
    rows_at(database_of(house.store), sql)
    told = await found(house)
    assert any(words in one for one in told), told


async def test_a_wording_with_a_digest_of_its_own_is_found(house: House, lived: Request) -> None:
    """The record has the digest of each wording that came into force."""
    ((body,),) = rows_at(database_of(house.store), "SELECT body FROM rule_versions WHERE name = 'refunds'")
    other = body.replace("U0ALICE", "U0MALLORY")
    rows_at(
        database_of(house.store), "UPDATE rule_versions SET body = ?, digest = ? WHERE name = 'refunds'",
        other, hashlib.sha256(other.encode()).digest(),
    )  # fmt: skip
    assert ["the wording of rule refunds" in words for words in await found(house)] == [True]


async def test_a_forged_vote_that_was_taken_is_found_afterwards(
    house: House, instance: Instance, lived: Request, acts: Acts
) -> None:
    """Another call is put under a vote that somebody cast ahead: it counts once, and is found."""
    await house.halts.resume(AGENT, acts("U0ADMIN"), "go on")
    other, _ = await house.creation.submit(instance, submission(arguments='{"amount": 999}'), "other")
    await house.decisions.vote(other.number, acts("U0ALICE"), VoteKind.DENY, "no")
    rows_at(
        database_of(house.store),
        f"UPDATE standing_votes SET digest = (SELECT digest FROM requests WHERE number = {other.number}) WHERE id = 1",
    )
    again, _ = await house.creation.submit(instance, submission(arguments='{"amount": 999}'), "again")
    assert again.status is Status.APPROVED
    assert await found(house) == [f"Vote ahead 1: request #{again.number} took it, and it was cast for another call."]


async def test_a_vote_that_was_lifted_and_revived_is_found(
    house: House, instance: Instance, lived: Request, acts: Acts
) -> None:
    await house.halts.resume(AGENT, acts("U0ADMIN"), "go on")
    rows_at(database_of(house.store), "UPDATE standing_votes SET lifted_at = granted_at WHERE id = 4")
    rows_at(database_of(house.store), "UPDATE standing_votes SET lifted_at = NULL WHERE id = 2")
    again, _ = await house.creation.submit(instance, submission(arguments='{"amount": 2}'), "again")
    assert again.status is Status.APPROVED
    assert "Vote ahead 2: it was taken after it had been lifted." in await found(house)


async def test_who_joined_a_seat_without_a_step_is_found(store: SqliteStore, clock: StandingClock, town: Town) -> None:
    """Groups are those of the plan as the request carries it, people on call those whom the step found."""
    house = await furnish_planned(store, clock, town)
    asked = await request_of(house)
    await run_to(house, 15)
    ((step_id,),) = rows(house, 'SELECT id FROM taken_steps WHERE "index" = 1')
    assert await house.step_targets.widen_by_oncall(step_id, None, "finance", ["U0CAROL"], [])
    assert await found(house) == []
    for source in ("leads", "oncall:finance"):
        rows_at(
            database_of(house.store),
            f"UPDATE seat_widenings SET users = '[\"U0EVE\"]' WHERE source = '{source}'",
        )
        words = f"Request #{asked.number}: who joined a seat as {source} is not on record."
        assert words in await found(house)
