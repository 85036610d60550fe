"""People's decisions on a real database: the one door, the races, what is on record."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.decisions import Act
from bot.errors import (
    AlreadyDecided,
    AlreadyTerminal,
    ClosedChannel,
    FactsUnavailable,
    NotSeenWhole,
    NotYourDecision,
    TooLate,
    UnknownRequest,
)
from bot.events import body_bytes, commit
from bot.people import Channel
from store import statements, statements_audit
from store.tables import DeciderKind, FullView, Instance, IntentKind, ModalKind, Request, Status, VoteKind
from tests.conftest import House, submission
from tests.stores import database_of, rows_at

pytestmark = pytest.mark.both_databases

Acts = Callable[..., Act]


@pytest.fixture
async def request_made(house: House, instance: Instance) -> Request:
    made, new = await house.creation.submit(instance, submission(), "key")
    assert new
    return made


def _rows(house: House, sql: str) -> list[tuple[object, ...]]:
    return rows_at(database_of(house.store), sql)


async def test_one_approval_decides(house: House, request_made: Request, acts: Acts) -> None:
    house.clock.advance(seconds=5)
    decided = await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.APPROVE)
    assert decided.status is Status.APPROVED
    assert (decided.decided_by_kind, decided.decided_by) == (DeciderKind.PERSON, "U0ALICE")
    assert decided.expires_at == house.clock.now + timedelta(minutes=5)
    assert _rows(house, "SELECT user_id, kind, surface FROM votes") == [("U0ALICE", "approve", "card")]


async def test_a_denial_takes_its_note_along(house: House, request_made: Request, acts: Acts) -> None:
    decided = await house.decisions.vote(request_made.number, acts("U0BOB"), VoteKind.DENY, "Too risky: wait")
    assert (decided.status, decided.note, decided.expires_at) == (Status.DENIED, "Too risky: wait", None)


async def test_who_may_not_decide_changes_nothing(house: House, request_made: Request, acts: Acts) -> None:
    before = _rows(house, "SELECT * FROM events")
    house.town.add("U0GUEST", is_guest=True)
    house.town.groups["S0FINANCE"] = frozenset({"U0GUEST", "U0OWNER"})
    for user, code in [
        ("U0CAROL", "not_a_reviewer"),
        ("U0ADMIN", "not_a_reviewer"),
        ("U0OWNER", "owner"),
        ("U0GUEST", "guest"),
        ("U0NEMO", "unknown_person"),
    ]:
        for kind in VoteKind:
            with pytest.raises(NotYourDecision) as refused:
                await house.decisions.vote(request_made.number, acts(user), kind)
            assert refused.value.code == code
    assert _rows(house, "SELECT * FROM events") == before
    assert _rows(house, "SELECT * FROM votes") == _rows(house, "SELECT * FROM acts") == []


async def test_the_owner_who_is_a_reviewer_does_not_decide(house: House, request_made: Request, acts: Acts) -> None:
    house.town.groups["S0FINANCE"] = frozenset({"U0OWNER", "U0ADMIN"})
    with pytest.raises(NotYourDecision, match="own this agent"):
        await house.decisions.vote(request_made.number, acts("U0OWNER"), VoteKind.APPROVE)


async def test_nothing_is_approved_unseen(house: House, request_made: Request, acts: Acts) -> None:
    with pytest.raises(NotSeenWhole):
        await house.decisions.vote(request_made.number, acts("U0ALICE", full_view=None), VoteKind.APPROVE)
    assert _rows(house, "SELECT * FROM votes") == _rows(house, "SELECT * FROM acts") == []
    denied = await house.decisions.vote(request_made.number, acts("U0ALICE", full_view=None), VoteKind.DENY)
    assert denied.status is Status.DENIED


async def test_a_vote_records_how_the_call_was_seen(house: House, request_made: Request, acts: Acts) -> None:
    await house.decisions.vote(request_made.number, acts("U0ALICE", full_view=FullView.PAGES), VoteKind.APPROVE)
    assert _rows(house, "SELECT full_view FROM votes") == [("pages",)]


async def test_pages_are_seen_one_after_the_other(house: House, request_made: Request) -> None:
    await house.queries.remember_modal("m", ModalKind.REVIEW, request_made.number, "U0ALICE", "C0REFUNDS")
    seen = [await house.queries.see_page("m", page) for page in (2, 1, 0, 3, 2, 1)]
    assert seen == [False, True, True, False, True, True]
    modal = await house.queries.modal("m", "U0ALICE")
    assert modal is not None
    assert (modal.pages_seen, modal.channel) == (3, "C0REFUNDS")
    assert await house.queries.modal("m", "U0BOB") is None
    assert not await house.queries.see_page("unknown", 0)


async def test_slack_out_of_reach_decides_nothing(house: House, request_made: Request, acts: Acts) -> None:
    house.town.closed = True
    with pytest.raises(FactsUnavailable):
        await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.APPROVE)
    house.town.closed = False
    house.town.age = timedelta(seconds=31)
    with pytest.raises(NotYourDecision) as refused:
        await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.APPROVE)
    assert refused.value.code == "facts_too_old"


async def test_a_channel_shared_with_another_company_is_closed(house: House, request_made: Request, acts: Acts) -> None:
    house.town.channels["C0REFUNDS"] = Channel("C0REFUNDS", is_shared=True)
    with pytest.raises(ClosedChannel):
        await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.APPROVE)
    with pytest.raises(ClosedChannel):
        await house.decisions.check(request_made.number, "U0ALICE", "C0REFUNDS")


async def test_who_comes_second_is_told_who_won(house: House, request_made: Request, acts: Acts) -> None:
    await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.DENY, "no")
    with pytest.raises(AlreadyDecided) as late:
        await house.decisions.vote(request_made.number, acts("U0BOB"), VoteKind.APPROVE)
    assert (late.value.request.status, late.value.request.decided_by) == (Status.DENIED, "U0ALICE")


async def test_the_same_act_twice_is_one_act(house: House, request_made: Request, acts: Acts) -> None:
    act = acts("U0ALICE")
    first = await house.decisions.vote(request_made.number, act, VoteKind.APPROVE)
    assert await house.decisions.vote(request_made.number, act, VoteKind.APPROVE) == first
    assert await house.decisions.vote(request_made.number, act, VoteKind.DENY) == first
    assert len(_rows(house, "SELECT * FROM votes")) == 1


async def test_nothing_is_decided_at_or_after_the_deadline(house: House, request_made: Request, acts: Acts) -> None:
    house.clock.now = request_made.deadline_at
    with pytest.raises(TooLate):
        await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.APPROVE)
    house.clock.now = request_made.deadline_at - timedelta(microseconds=1)
    decided = await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.APPROVE)
    assert decided.status is Status.APPROVED


async def test_what_no_rule_matched_cannot_be_decided(house: House, instance: Instance, acts: Acts) -> None:
    denied, _ = await house.creation.submit(instance, submission("send_mail"), "k2")
    assert (denied.status, denied.decision_code) == (Status.DENIED, "no_rule")
    assert "no rule" in (denied.note or "").lower()
    with pytest.raises(AlreadyDecided):
        await house.decisions.vote(denied.number, acts("U0ALICE"), VoteKind.APPROVE)
    with pytest.raises(UnknownRequest):
        await house.decisions.vote(999, acts("U0ALICE"), VoteKind.APPROVE)
    assert _rows(house, "SELECT * FROM cards") == _rows(house, "SELECT * FROM outbox") == []


async def test_an_agent_that_left_the_file_gets_nothing(house: House, request_made: Request, acts: Acts) -> None:
    policy = house.rulebook.policy
    policy.settings = replace(policy.settings, agents={})
    with pytest.raises(NotYourDecision) as refused:
        await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.APPROVE)
    assert refused.value.code == "forbidden_by_configuration"


async def test_clicks_expiry_and_cancel_at_once_have_one_winner(house: House, instance: Instance, acts: Acts) -> None:
    for round_ in range(20):
        request, _ = await house.creation.submit(instance, submission(timeout="1m"), f"race{round_}")
        house.clock.now = request.deadline_at - timedelta(microseconds=1)

        async def expire(deadline_at=request.deadline_at) -> None:
            house.clock.now = deadline_at
            await house.deadlines.sweep()

        attempts = [
            house.decisions.vote(request.number, acts("U0ALICE"), VoteKind.APPROVE),
            house.decisions.vote(request.number, acts("U0BOB"), VoteKind.DENY),
            house.approvals.cancel(instance, request.id),
            expire(),
        ]
        order = attempts[round_ % 4 :] + attempts[: round_ % 4]
        outcomes = await asyncio.gather(*order, return_exceptions=True)
        final = await house.approvals.read(instance, request.id)
        assert final.status is not Status.PENDING
        for outcome in outcomes:
            assert outcome is None or isinstance(outcome, (Request, AlreadyDecided, AlreadyTerminal, TooLate))
            if isinstance(outcome, Request):
                assert outcome.status is final.status
        decided = f"SELECT count(*) FROM events WHERE type = 'request.decided' AND request_number = {request.number}"
        assert _rows(house, decided) == [(1,)]


async def test_all_changes_are_chained(house: House, instance: Instance, request_made: Request, acts: Acts) -> None:
    await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.DENY, "not 4900")
    events = await house.store.read(lambda unit: unit.all(statements_audit.LINKS_AFTER, number=0, limit=100))
    assert [event.type for event in events] == [
        "instance.created", "credential.created", "request.made", "vote.cast", "request.decided",
    ]  # fmt: skip
    head = statements.CHAIN_START
    for event in events:
        head = hashlib.sha256(head + event.body.encode()).digest()
        assert event.hash == head
        assert body_bytes(json.loads(event.body)) == event.body.encode()
        assert "4900" not in event.body  # neither arguments nor notes, only commitments
    made, vote = json.loads(events[2].body), json.loads(events[3].body)
    canonical = b'{"arguments":{"amount":4900},"tool":"issue_refund","v":1}'
    assert made["call"] == commit(request_made.salt, canonical)
    assert vote["note"] == commit(request_made.salt, b"not 4900")


async def test_the_card_is_asked_for_with_the_request_and_drawn_anew_with_the_decision(
    house: House, request_made: Request, acts: Acts
) -> None:
    await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.APPROVE)
    assert _rows(house, "SELECT kind, card_id, reason FROM outbox ORDER BY id") == [
        (IntentKind.POST_CARD.value, 1, "asked"),
        (IntentKind.DRAW_CARD.value, 1, "decided"),
    ]
    assert _rows(house, "SELECT target, place, state FROM cards") == [("C0REFUNDS", "channel", "posting")]
