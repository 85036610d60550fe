"""Holes that were found in other approval services, each of which would let something wrong be done or said.

One person counted as two groups, and more approvals than exactly enough, are in ``test_between_votes``; cards that are
forgotten by a restart in ``test_service_restart``; approvals that nothing came of in ``test_deadlines``.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

import bot.decisions
from bot.changes import RequestChanged
from bot.decisions import close_request
from bot.errors import AlreadyDecided
from bot.hearings import Act
from store import statements
from store.tables import DeciderKind, Instance, Request, Status, VoteKind
from tests.conftest import House, submission
from tests.stores import database_of, rows_at

Acts = Callable[..., Act]


@pytest.fixture
async def asked(house: House, instance: Instance) -> Request:
    return (await house.creation.submit(instance, submission(), "first"))[0]


def _rows(house: House, sql: str) -> list[tuple[object, ...]]:
    return rows_at(database_of(house.store), sql)


@pytest.mark.parametrize("kind", list(VoteKind))
async def test_a_timeout_that_knows_the_request_as_pending_overwrites_no_decision(
    house: House, asked: Request, acts: Acts, kind: VoteKind
) -> None:
    await house.decisions.vote(asked.number, acts("U0ALICE"), kind, "no")
    before = _rows(house, "SELECT * FROM requests"), _rows(house, "SELECT * FROM events")
    with pytest.raises(AlreadyDecided) as lost:
        await house.store.write(
            lambda unit: close_request(
                unit, asked, house.clock(), status=Status.EXPIRED, by_kind=DeciderKind.CLOCK, by=None, code="late"
            )
        )
    assert lost.value.request.decided_by == "U0ALICE"  # who lost is told who won
    assert (_rows(house, "SELECT * FROM requests"), _rows(house, "SELECT * FROM events")) == before


async def test_the_statement_that_decides_touches_what_is_pending_only(
    house: House, asked: Request, acts: Acts
) -> None:
    await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.DENY, "no")
    now = house.clock()
    again = await house.store.write(
        lambda unit: unit.run(
            statements.DECIDE,
            number=asked.number,
            status_=Status.APPROVED,
            decided_at_=now,
            decided_by_kind_=DeciderKind.PERSON,
            decided_by_="U0BOB",
            decision_code_="decided_by_votes",
            note_=None,
            expires_at_=now + timedelta(minutes=5),
            due_at_=now + timedelta(minutes=5),
        )
    )
    assert again == 0
    assert _rows(house, "SELECT status, decided_by FROM requests") == [("denied", "U0ALICE")]


async def test_no_card_and_no_agent_hears_of_a_grant_that_did_not_happen(
    house: House, asked: Request, acts: Acts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision is written, and then its transaction fails: nothing is to be drawn, and nobody is woken."""
    heard: list[object] = []
    house.store.subscribe(heard.append)
    before = [_rows(house, f"SELECT * FROM {table}") for table in ("requests", "votes", "outbox", "events", "acts")]

    async def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr(bot.decisions, "record_decision", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.APPROVE)
    after = [_rows(house, f"SELECT * FROM {table}") for table in ("requests", "votes", "outbox", "events", "acts")]
    assert after == before
    assert not any(isinstance(change, RequestChanged) for change in heard)
    assert (await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.APPROVE)).status is Status.APPROVED
