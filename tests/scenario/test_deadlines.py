"""The passing of time on a real database: expiry, lapse, overdue, and what was missed while down."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.deadlines import FORGET_AFTER
from bot.decisions import Act
from bot.errors import ApprovalExpired, ApprovalRevoked, NotApproved
from bot.lifecycle import State, state_of
from store.tables import DeciderKind, FullView, Instance, ModalKind, OutcomeStatus, Request, Status, VoteKind
from tests.conftest import TEAM, House, submission
from tests.stores import database_of, rows_at

pytestmark = pytest.mark.both_databases


def _rows(house: House, query: str, *values: object) -> list[tuple[object, ...]]:
    return rows_at(database_of(house.store), query, *values)


async def _approved(house: House, instance: Instance, key: str = "k") -> Request:
    made, _ = await house.creation.submit(instance, submission(), key)
    act = Act(id=f"act-{key}", user_id="U0ALICE", team_id=TEAM, surface="card", full_view=FullView.CARD)
    return await house.decisions.vote(made.number, act, VoteKind.APPROVE)


async def test_a_pending_request_expires_at_its_deadline_and_not_before(house: House, instance: Instance) -> None:
    made, _ = await house.creation.submit(instance, submission(), "k")
    assert await house.deadlines.next_due() == made.deadline_at
    house.clock.now = made.deadline_at - timedelta(microseconds=1)
    assert (await house.deadlines.sweep()).requests == ()
    house.clock.now = made.deadline_at
    [expired] = (await house.deadlines.sweep()).requests
    assert (expired.status, expired.decided_by_kind) == (Status.EXPIRED, DeciderKind.CLOCK)
    assert expired.decided_at == made.deadline_at
    assert (await house.deadlines.sweep()).requests == ()
    assert await house.deadlines.next_due() is None
    with pytest.raises(NotApproved):
        await house.approvals.consume(instance, made.id, "c")


async def test_an_unused_approval_lapses(house: House, instance: Instance) -> None:
    approved = await _approved(house, instance)
    assert approved.expires_at is not None
    house.clock.now = approved.expires_at
    with pytest.raises(ApprovalExpired):
        await house.approvals.consume(instance, approved.id, "c")
    [lapsed] = (await house.deadlines.sweep()).requests
    assert state_of(lapsed) is State.LAPSED
    assert lapsed.status is Status.APPROVED
    # Even if the clock were set back afterwards, a lapsed approval stays one.
    house.clock.now = approved.expires_at - timedelta(minutes=1)
    with pytest.raises(ApprovalExpired):
        await house.approvals.consume(instance, approved.id, "c")


async def test_an_agent_that_left_the_file_uses_no_approval(house: House, instance: Instance) -> None:
    approved = await _approved(house, instance)
    policy = house.rulebook.policy
    policy.settings = replace(policy.settings, agents={})
    with pytest.raises(ApprovalRevoked, match="not in the configuration"):
        await house.approvals.consume(instance, approved.id, "c")


async def test_a_consumed_call_without_outcome_is_overdue_once_and_may_still_end(
    house: House, instance: Instance
) -> None:
    approved = await _approved(house, instance)
    consumed = await house.approvals.consume(instance, approved.id, "c")
    assert consumed.due_at == house.clock.now + timedelta(minutes=15)
    house.clock.advance(minutes=15)
    [overdue] = (await house.deadlines.sweep()).requests
    assert state_of(overdue) is State.OVERDUE
    assert _rows(house, "SELECT reason FROM outbox WHERE kind = 'tell_owners'") == [("overdue",)]
    assert (await house.deadlines.sweep()).requests == ()
    ended = await house.approvals.report_outcome(instance, approved.id, OutcomeStatus.SUCCEEDED, None)
    assert state_of(ended) is State.SUCCEEDED


async def test_what_came_due_while_down_is_done_once_in_batches(house: House, instance: Instance) -> None:
    for number in range(230):
        await house.creation.submit(instance, submission(), f"k{number}")
    house.clock.advance(days=2)
    batches = []
    while (swept := await house.deadlines.sweep()).requests:
        batches.append(len(swept.requests))
    assert batches == [100, 100, 30]
    assert _rows(house, "SELECT status, count(*) FROM requests GROUP BY status") == [("expired", 230)]
    assert _rows(house, "SELECT count(*) FROM events WHERE type = 'request.decided'") == [(230,)]


async def test_a_request_that_cannot_be_moved_on_holds_up_no_other(house: House, instance: Instance) -> None:
    made = [(await house.creation.submit(instance, submission(), key))[0] for key in ("a", "broken", "c")]
    # Denied and due: the table of states knows nothing of the kind.
    _rows(house, "UPDATE requests SET status = 'denied', decided_at = created_at WHERE number = ?", made[1].number)
    house.clock.now = made[0].deadline_at
    swept = await house.deadlines.sweep()
    assert [(request.number, request.status) for request in swept.requests] == [
        (made[0].number, Status.EXPIRED),
        (made[2].number, Status.EXPIRED),
    ]
    assert list(swept.stuck) == [made[1].number]
    again = await house.deadlines.sweep()
    assert (again.requests, list(again.stuck)) == ((), [made[1].number])


async def test_old_clicks_and_modals_are_forgotten_and_fresh_ones_are_not(house: House, instance: Instance) -> None:
    async def act_and_modal(name: str) -> None:
        approved = await _approved(house, instance, name)
        await house.queries.remember_modal(f"modal-{name}", ModalKind.DENY, approved.number, "U0ALICE", None)

    await act_and_modal("old")
    house.clock.now += FORGET_AFTER
    await act_and_modal("fresh")
    house.clock.advance(seconds=1)
    await house.deadlines.forget()
    assert _rows(house, "SELECT id FROM acts") == [("act-fresh",)]
    assert _rows(house, "SELECT id FROM modals") == [("modal-fresh",)]
    assert _rows(house, "SELECT count(*) FROM votes") == [(2,)]
