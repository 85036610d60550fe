"""Instances and credentials on a real database, with the command line as a second process would use it."""

import asyncio
from pathlib import Path

import pytest

from bot.errors import BadCredential, OperatorError
from bot.instances import Instances
from bot.tokens import instance_token
from store.opening import open_database
from store.tables import DeciderKind, Status
from tests.conftest import House, submission
from tests.stores import database_of, rows_at

pytestmark = pytest.mark.both_databases


async def test_a_token_opens_its_instance_and_only_its_hash_is_kept(house: House) -> None:
    made, token = await house.instances.create("till", "refund-bot")
    assert await house.instances.authenticate(token) == made
    assert await house.instances.authenticate(token) == made  # as remembered
    database = database_of(house.store)
    for table in ("instances", "credentials", "events", "outbox"):
        assert token not in str(rows_at(database, f"SELECT * FROM {table}"))
    if isinstance(database, Path):
        assert token.encode() not in database.read_bytes()


@pytest.mark.parametrize("token", ["", "so_i_", "xoxb-1", "so_i_" + "0" * 49, "so_i_ü" + "0" * 48])
async def test_what_is_no_token_opens_nothing(house: House, token: str) -> None:
    with pytest.raises(BadCredential):
        await house.instances.authenticate(token)


async def test_a_well_formed_unknown_token_opens_nothing(house: House) -> None:
    with pytest.raises(BadCredential):
        await house.instances.authenticate(instance_token(b"another key" * 3, "0"))


async def test_rotation_leaves_no_gap_and_retiring_ends_the_old(house: House) -> None:
    made, old = await house.instances.create("till", "refund-bot")
    new = await house.instances.rotate("till")
    assert new != old
    assert await house.instances.authenticate(old) == await house.instances.authenticate(new) == made
    assert await house.instances.retire("till") == 1
    with pytest.raises(BadCredential):
        await house.instances.authenticate(old)
    assert await house.instances.authenticate(new) == made
    assert await house.instances.retire("till") == 0


async def test_names_are_taken_once_and_must_exist(house: House) -> None:
    await house.instances.create("till", "refund-bot")
    with pytest.raises(OperatorError, match="already"):
        await house.instances.create("till", "refund-bot")
    for act in (house.instances.rotate, house.instances.retire, house.instances.revoke):
        with pytest.raises(OperatorError, match="no live instance named tell"):
            await act("tell")
    await house.instances.revoke("till")
    again, _ = await house.instances.create("till", "refund-bot")
    [first, second] = await house.instances.list_all()
    assert first.instance.revoked_at is not None
    assert second.instance == again


async def test_a_revocation_by_another_process_ends_polls_and_credentials(house: House) -> None:
    made, token = await house.instances.create("till", "refund-bot")
    await house.instances.authenticate(token)
    request, _ = await house.creation.submit(made, submission(), "k")
    poll = asyncio.ensure_future(house.approvals.wait(made, request.id, request.deadline_at - request.created_at))
    await house.approvals.read(made, request.id)  # by now the poll has read, too: it waits
    elsewhere = await open_database(database_of(house.store))
    [cancelled] = await Instances(elsewhere, house.clock, b"k" * 32).revoke("till")
    await elsewhere.close()
    async with asyncio.timeout(1):
        answered = await poll
    assert answered == cancelled
    assert (answered.status, answered.decided_by_kind) == (Status.CANCELLED, DeciderKind.OPERATOR)
    with pytest.raises(BadCredential):
        await house.instances.authenticate(token)


async def test_nothing_begins_after_a_revocation_though_the_credential_was_checked_before(house: House) -> None:
    made, token = await house.instances.create("till", "refund-bot")
    approved, _ = await house.creation.submit(made, submission(tool="look_up"), "before")
    caller = await house.instances.authenticate(token)
    elsewhere = await open_database(database_of(house.store))
    await Instances(elsewhere, house.clock, b"k" * 32).revoke("till")
    await elsewhere.close()
    with pytest.raises(BadCredential):
        await house.creation.submit(caller, submission(), "after")
    with pytest.raises(BadCredential):
        await house.approvals.consume(caller, approved.id, "c")
    assert await house.queries.pending_count() == 0
