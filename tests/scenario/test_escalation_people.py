"""Whom a plan's steps let decide, people who are on it, and what becomes of a step's targets."""

import json
from collections.abc import Iterable
from datetime import timedelta

import pytest

from bot.errors import AlreadyDecided, NotAgain, NotYourDecision
from bot.people import Facts, Person
from store import statements_escalation
from store.engine import SqliteStore
from store.tables import Intent, Request, Status, VoteKind
from store.vocabulary import StepState, TargetState
from tests.conftest import SAMPLE, START, House, StandingClock, Town, submission
from tests.scenario.escalation_support import (
    PLANNED,
    SEATED,
    act_of,
    events,
    furnish_planned,
    load,
    request_of,
    rows,
    run_to,
    steps,
)


@pytest.fixture
async def house(store: SqliteStore, clock: StandingClock, town: Town) -> House:
    return await furnish_planned(store, clock, town)


@pytest.fixture
async def request_made(house: House) -> Request:
    return await request_of(house)


async def approve(house: House, request: Request, user: str, name: str = "") -> Status:
    return (await house.decisions.vote(request.number, act_of(user, name), VoteKind.APPROVE)).status


# --- who may decide ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["U0LEA", "U0LUKE"])  # named, and by a user group that only the step brings in
async def test_a_lead_may_approve_from_the_step_on_and_not_before(
    house: House, request_made: Request, user: str
) -> None:
    await run_to(house, 14)
    with pytest.raises(NotYourDecision):
        await approve(house, request_made, user)
    with pytest.raises(NotYourDecision):
        await house.decisions.check(request_made.number, user, "C0REFUNDS")
    await run_to(house, 15)
    await house.decisions.check(request_made.number, user, "C0REFUNDS")
    assert await approve(house, request_made, user, "again") is Status.APPROVED


async def test_a_step_between_slack_s_word_and_the_vote_is_followed(
    house: House, request_made: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack was asked about the groups of before; what it did not say must not be taken for a no."""
    load_facts, asked = house.town.load_facts, 0

    async def meanwhile(users: Iterable[str], groups: Iterable[str]) -> Facts:
        nonlocal asked
        asked += 1
        facts = await load_facts(users, groups)
        await run_to(house, 15)
        return facts

    monkeypatch.setattr(house.town, "load_facts", meanwhile)
    assert await approve(house, request_made, "U0LUKE") is Status.APPROVED
    assert asked == 2


async def test_whoever_is_shown_the_request_is_shown_it_by_the_widened_rule(
    house: House, request_made: Request
) -> None:
    assert await house.queries.show("U0LEA", str(request_made.number)) is None
    await run_to(house, 15)
    seen = await house.queries.show("U0LEA", str(request_made.number))
    assert seen is not None
    assert seen.may_decide
    assert [seen.drawing.request.number for seen in await house.queries.pending("U0LEA")] == [request_made.number]
    drawing = await house.queries.drawing(request_made.number)
    assert drawing is not None
    assert drawing.rule is not None
    assert [group.name for group in drawing.rule.groups] == ["finance", "leads"]


async def test_those_on_call_may_decide_once_the_step_is_resolved(house: House, request_made: Request) -> None:
    await run_to(house, 15)
    [(step_id,)] = rows(house, 'SELECT id FROM taken_steps WHERE "index" = 1')
    with pytest.raises(NotYourDecision):
        await approve(house, request_made, "U0CAROL")
    assert await house.step_targets.widen_by_oncall(step_id, None, "finance", ["U0CAROL", "U0CAROL"], [])
    # Those who are on call later are not meant: the people of the moment count.
    assert not await house.step_targets.widen_by_oncall(step_id, None, "finance", ["U0EVE"], [])
    assert events(house).count("seat.widened") == 1
    with pytest.raises(NotYourDecision):
        await approve(house, request_made, "U0EVE")
    assert await approve(house, request_made, "U0CAROL", "again") is Status.APPROVED
    assert not await house.step_targets.widen_by_oncall(step_id, None, "other", ["U0EVE"], [])  # decided


async def test_those_on_call_join_each_seat_that_a_step_names_and_each_once(
    store: SqliteStore, clock: StandingClock, town: Town
) -> None:
    """Joining one seat is not joining another, and a group that joined a seat is not the seat of its name."""
    text = SEATED.replace(
        '[{ seat = "security", reviewers = "leads" }]',
        '[{ seat = "finance", reviewers = "security" }, { seat = "security", reviewers = "oncall:finance" }]',
    ).replace(
        'notify = ["oncall:finance"]', 'notify = ["oncall:finance"]\nwiden = [{ seat = "finance",'
        ' reviewers = "oncall:finance" }, { seat = "security", reviewers = "oncall:finance" }]',
    )  # fmt: skip
    house = await furnish_planned(store, clock, town, text)
    request = await request_of(house)
    await run_to(house, 15)
    second = await house.step_targets.load(target_ids(house, 1)[0])
    assert second.joining == (("security", "finance"),)
    assert await house.step_targets.widen_by_oncall(second.step.id, *second.joining[0], ["U0CAROL"], [])
    assert (await house.step_targets.load(target_ids(house, 1)[0])).joining == ()
    await run_to(house, 25)
    fourth = await house.step_targets.load(target_ids(house, 3)[0])
    assert fourth.joining == (("finance", "finance"),)
    assert await house.step_targets.widen_by_oncall(fourth.step.id, *fourth.joining[0], ["U0LEA"], [])
    assert await approve(house, request, "U0LEA") is Status.PENDING
    assert await approve(house, request, "U0CAROL") is Status.APPROVED


async def test_a_vote_of_somebody_widened_in_is_judged_anew_at_the_decision(
    store: SqliteStore, clock: StandingClock, town: Town
) -> None:
    """Two are needed. The lead's vote counts for as long as the lead may decide, and only then."""
    text = SEATED.replace(
        'need = [{ reviewers = "finance" }, { reviewers = "security" }]', 'reviewers = ["finance"]\nquorum = 2'
    ).replace('[{ seat = "security", reviewers = "leads" }]', '["leads"]')
    house = await furnish_planned(store, clock, town, text)
    request = await request_of(house)
    await run_to(house, 15)
    assert await approve(house, request, "U0LEA") is Status.PENDING  # widening lowers no number
    town.people["U0LEA"] = Person("U0LEA", "T0HOME", "lea", is_guest=True)
    assert await approve(house, request, "U0ALICE") is Status.PENDING
    town.add("U0LEA")
    assert await approve(house, request, "U0BOB") is Status.APPROVED


async def test_only_the_named_seat_is_widened_and_as_many_people_are_needed(
    store: SqliteStore, clock: StandingClock, town: Town
) -> None:
    house = await furnish_planned(store, clock, town, SEATED)
    request = await request_of(house)
    await run_to(house, 15)
    assert await approve(house, request, "U0LEA") is Status.PENDING
    assert await approve(house, request, "U0EVE") is Status.PENDING  # both could fill the same seat only
    drawing = await house.queries.drawing(request.number)
    assert drawing is not None
    assert drawing.rule is not None
    assert [[group.name for group in seat.reviewers] for seat in drawing.rule.seats] == [
        ["finance"],
        ["security", "leads"],
    ]
    assert drawing.rule.people_needed == 2
    assert await approve(house, request, "U0ALICE") is Status.APPROVED


@pytest.mark.parametrize("user", ["U0OWNER", "U0PERSON"])
async def test_no_step_lets_an_owner_or_the_instance_s_person_decide(
    store: SqliteStore, clock: StandingClock, town: Town, user: str
) -> None:
    town.add("U0PERSON")
    text = PLANNED.replace('users = ["U0LEA"]', 'users = ["U0LEA", "U0OWNER", "U0PERSON"]')
    house = await furnish_planned(store, clock, town, text)
    instance, _ = await house.instances.create("hers", "refund-bot", person="U0PERSON")
    request, _ = await house.creation.submit(instance, submission(timeout="1h"), "k")
    await run_to(house, 15)
    [(step_id,)] = rows(house, 'SELECT id FROM taken_steps WHERE "index" = 1')
    await house.step_targets.widen_by_oncall(step_id, None, "finance", [user], [])
    with pytest.raises(NotYourDecision):
        await approve(house, request, user)


async def test_a_request_without_a_plan_costs_no_query_for_widenings(
    store: SqliteStore, clock: StandingClock, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await furnish_planned(store, clock, town, SAMPLE)
    request = await request_of(house)
    monkeypatch.setattr(statements_escalation, "WIDENINGS_OF", None)
    monkeypatch.setattr(statements_escalation, "STEPS_OF", None)
    drawing = await house.queries.drawing(request.number)
    assert drawing is not None
    assert drawing.plan_state is None
    assert await approve(house, request, "U0ALICE") is Status.APPROVED


# --- I'm on it --------------------------------------------------------------------------------------------


async def test_a_claim_puts_the_next_step_off_once_a_person(house: House, request_made: Request) -> None:
    await run_to(house, 8)
    claimed = await house.escalations.claim(request_made.number, act_of("U0ALICE"))
    assert (claimed.paused, claimed.next_at) == (True, START + timedelta(minutes=18))  # ten minutes from now
    repeated = await house.escalations.claim(request_made.number, act_of("U0ALICE"))  # Slack sends it again
    assert (repeated.paused, repeated.next_at) == (True, claimed.next_at)
    with pytest.raises(NotAgain):
        await house.escalations.claim(request_made.number, act_of("U0ALICE", "again"))
    await run_to(house, 17)
    assert steps(house) == []
    await run_to(house, 18)
    assert steps(house) == [(0, 0, "fired")]
    assert await house.escalations.next_due() == START + timedelta(minutes=23)
    assert events(house).count("request.claimed") == 1


async def test_claims_hold_a_plan_up_for_a_quarter_of_the_window_in_all(house: House, request_made: Request) -> None:
    for user in ("U0ALICE", "U0BOB"):
        await run_to(house, 9)
        claimed = await house.escalations.claim(request_made.number, act_of(user))
    assert claimed.next_at == START + timedelta(minutes=19)  # from now on, not on top of the other's
    assert not claimed.paused
    await run_to(house, 19)
    await run_to(house, 24)  # leads may now claim too
    last = await house.escalations.claim(request_made.number, act_of("U0LEA"))
    assert (last.paused, last.next_at) == (True, START + timedelta(minutes=34))
    await run_to(house, 30)
    least = await house.escalations.claim(request_made.number, act_of("U0LUKE"))
    assert (least.paused, least.next_at) == (True, START + timedelta(minutes=35))  # 9 + 5 + 1 of an hour's 15
    assert rows(house, "SELECT count(*) FROM claims") == [(4,)]


async def test_only_those_who_may_decide_can_claim_and_only_while_it_is_open(
    house: House, request_made: Request
) -> None:
    for user in ("U0LEA", "U0OWNER", "U0ADMIN"):
        with pytest.raises(NotYourDecision):
            await house.escalations.claim(request_made.number, act_of(user))
    await approve(house, request_made, "U0BOB")
    with pytest.raises(AlreadyDecided):
        await house.escalations.claim(request_made.number, act_of("U0ALICE"))
    assert rows(house, "SELECT count(*) FROM claims") == [(0,)]


async def test_a_claim_after_the_last_step_is_recorded_all_the_same(house: House, request_made: Request) -> None:
    await run_to(house, 26)
    reminder = await house.escalations.claim(request_made.number, act_of("U0BOB"))  # which waits for nobody
    assert (reminder.paused, reminder.next_at) == (False, START + timedelta(minutes=55))
    await run_to(house, 56)
    claimed = await house.escalations.claim(request_made.number, act_of("U0ALICE"))
    assert (claimed.paused, claimed.next_at) == (False, None)
    assert rows(house, "SELECT user_id FROM claims ORDER BY at") == [("U0BOB",), ("U0ALICE",)]


# --- what became of the targets ---------------------------------------------------------------------------


def target_ids(house: House, index: int) -> list[int]:
    query = 'SELECT step_targets.id FROM step_targets JOIN taken_steps ON taken_steps.id = step_id WHERE "index" = ?'
    return [target for (target,) in rows(house, query, index)]


async def test_a_step_whose_targets_all_fail_is_on_record_and_the_next_is_due_at_once(
    house: House, request_made: Request
) -> None:
    await run_to(house, 15)
    await house.step_targets.settle(target_ids(house, 0)[0], TargetState.NOTIFIED, reached='["U0ALICE"]')
    lead, channel = target_ids(house, 1)
    assert await house.step_targets.settle(lead, TargetState.FAILED, "user_not_found")
    assert steps(house)[1] == (0, 1, "fired")
    assert await house.step_targets.settle(channel, TargetState.FAILED, "is_archived")
    assert steps(house)[1] == (0, 1, "failed")
    [(body,)] = rows(house, "SELECT body FROM events WHERE type = 'step.failed'")
    assert json.loads(body)["codes"] == "user_not_found, is_archived"
    assert await house.escalations.next_due() == house.clock.now
    await run_to(house, 15)
    assert steps(house)[2][:2] == (0, 2)
    assert await house.escalations.next_due() == START + timedelta(minutes=20)  # five minutes after it, as planned


async def test_one_target_that_was_reached_is_enough(house: House, request_made: Request) -> None:
    await run_to(house, 15)
    lead, channel = target_ids(house, 1)
    await house.step_targets.settle(lead, TargetState.NOTIFIED)
    await house.step_targets.settle(channel, TargetState.FAILED, "is_archived")
    assert steps(house)[1] == (0, 1, "fired")
    assert await house.escalations.next_due() == START + timedelta(minutes=20)


async def test_a_target_is_settled_once(house: House, request_made: Request) -> None:
    await run_to(house, 10)
    [thread] = target_ids(house, 0)
    assert await house.step_targets.settle(thread, TargetState.NOTIFIED)
    assert not await house.step_targets.settle(thread, TargetState.FAILED, "late")
    assert steps(house) == [(0, 0, "fired")]


async def test_whoever_lost_its_lease_settles_nothing(house: House, request_made: Request) -> None:
    await run_to(house, 10)

    async def claim() -> Intent:
        return next(one for one in await house.outbox.claim(10) if one.kind.value == "notify")

    [thread] = target_ids(house, 0)
    late = await claim()
    house.clock.advance(minutes=2)
    holder = await claim()
    assert not await house.step_targets.settle(thread, TargetState.FAILED, "late", intent=late)
    assert rows(house, "SELECT state FROM step_targets") == [("waiting",)]
    assert await house.step_targets.settle(thread, TargetState.NOTIFIED, intent=holder)
    assert rows(house, "SELECT count(*) FROM outbox WHERE kind = 'notify'") == [(0,)]


async def test_a_failed_step_hurries_nothing_that_somebody_is_on_and_not_the_last_reminder(
    house: House, request_made: Request
) -> None:
    await run_to(house, 10)
    claimed = await house.escalations.claim(request_made.number, act_of("U0ALICE"))
    await house.step_targets.settle(target_ids(house, 0)[0], TargetState.FAILED, "is_archived")
    assert steps(house) == [(0, 0, "failed")]
    assert await house.escalations.next_due() == claimed.next_at
    for minutes in (20, 25, 30, 35):
        await run_to(house, minutes)
    [last] = target_ids(house, 3)
    await house.step_targets.settle(last, TargetState.FAILED, "no_one_on_call")
    assert await house.escalations.next_due() == START + timedelta(minutes=55)


async def test_a_step_that_fails_late_hurries_no_later_one_and_wakes_nothing_decided(
    house: House, request_made: Request
) -> None:
    await run_to(house, 15)
    await house.step_targets.settle(target_ids(house, 0)[0], TargetState.FAILED, "is_archived")
    assert steps(house) == [(0, 0, "failed"), (0, 1, "fired")]
    assert await house.escalations.next_due() == START + timedelta(minutes=20)
    await approve(house, request_made, "U0ALICE")
    for target in target_ids(house, 1):
        await house.step_targets.settle(target, TargetState.FAILED, "is_archived")
    assert (await load(house, request_made)).next_step_at is None
    assert steps(house)[1] == (0, 1, "fired")  # it did not fail: nobody had to be notified any more
    assert events(house).count("step.failed") == 1


# --- what a card is drawn from ----------------------------------------------------------------------------


async def test_a_card_is_drawn_from_what_was_done_and_what_comes_next(house: House, request_made: Request) -> None:
    await run_to(house, 15)
    await house.step_targets.settle(target_ids(house, 0)[0], TargetState.NOTIFIED)
    await house.escalations.claim(request_made.number, act_of("U0ALICE"))
    drawing = await house.queries.drawing(request_made.number)
    assert drawing is not None
    state = drawing.plan_state
    assert state is not None
    assert [(taken.step.index, [target.state for target in taken.targets]) for taken in state.taken] == [
        (0, [TargetState.NOTIFIED]),
        (1, [TargetState.WAITING, TargetState.WAITING]),
    ]
    assert [claim.user_id for claim in state.claims] == ["U0ALICE"]
    assert state.next is not None
    assert (state.next.index, state.next.due_at) == (2, START + timedelta(minutes=25))
    assert state.next_step is not None
    assert state.next_step.notify == ("owners",)
    [listed] = await house.queries.pending("U0ALICE")
    assert listed.drawing.plan_state is not None
    assert listed.drawing.plan_state.next == state.next
    await approve(house, request_made, "U0BOB")
    drawing = await house.queries.drawing(request_made.number)
    assert drawing is not None
    assert drawing.plan_state is not None
    assert (drawing.plan_state.next, len(drawing.plan_state.taken)) == (None, 2)


async def test_a_target_is_loaded_with_its_step_and_the_rule_as_it_is_by_now(
    house: House, request_made: Request
) -> None:
    await run_to(house, 15)
    lead, _ = target_ids(house, 1)
    carried = await house.step_targets.load(lead)
    assert (carried.target.target, carried.step.index, carried.request.number) == ("user:U0LEA", 1, request_made.number)
    assert carried.step.state is StepState.FIRED
    assert carried.planned is not None
    assert [widening.oncall for widening in carried.planned.widen] == [(), ("finance",)]
    assert "leads" in [group.name for group in carried.rule.groups]
    with pytest.raises(LookupError):
        await house.step_targets.load(99)
