"""Remembered denials on a real database: what people denied is denied again, until one of them reopens it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.call import load_json, parse_submission
from bot.drawings import Drawing
from bot.errors import (
    ClosedChannel,
    FactsUnavailable,
    NotRemembered,
    NotYourDecision,
    UnknownRequest,
)
from bot.hearings import Act
from bot.memory import MOST_CHARACTERS_COMPARED, MOST_COMPARED
from bot.outbox import Job
from bot.people import Channel
from store.tables import (
    Card,
    CardState,
    DeciderKind,
    FullView,
    Instance,
    IntentKind,
    Place,
    Request,
    Status,
    VoteKind,
)
from tests.conftest import SAMPLE, House, submission
from tests.scenario.ahead_support import Acts, change, rows, under

NOTE = "Ask the customer first"


Submit = Callable[..., "asyncio.Future[Request]"]


@pytest.fixture
def submit(house: House, instance: Instance) -> Submit:
    """Submit a call under a key of its own."""
    keys = iter(range(1000))

    async def submit(arguments: str = '{"amount": 4900}', *, by: Instance = instance, at: House = house) -> Request:
        made, is_new = await at.creation.submit(by, submission(arguments=arguments), f"s{next(keys)}")
        assert is_new
        return made

    return submit  # type: ignore[return-value]  # awaitable all the same


@pytest.fixture
async def denied(house: House, submit: Submit, acts: Acts) -> Request:
    asked = await submit()
    return await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.DENY, NOTE)


async def _drawing(house: House, request: Request) -> Drawing:
    drawing = await house.queries.drawing(request.number)
    assert drawing is not None
    return drawing


# --- denied again -----------------------------------------------------------------------------------------


async def test_what_people_denied_is_denied_again_without_a_card(house: House, submit: Submit, denied: Request) -> None:
    house.clock.advance(hours=23, minutes=59)
    again = await submit('{"amount": 4.9e3}')
    assert (again.status, again.decided_by_kind, again.decision_code) == (
        Status.DENIED, DeciderKind.MEMORY, "denied_before",
    )  # fmt: skip
    assert (again.note, again.repeats, again.decided_at) == (NOTE, denied.number, house.clock.now)
    assert rows(house, f"SELECT * FROM cards WHERE request_number = {again.number}") == []
    assert rows(house, f"SELECT type FROM events WHERE request_number = {again.number} ORDER BY number") == [
        ("request.made",), ("request.decided",),
    ]  # fmt: skip


async def test_another_instance_of_the_agent_meets_it_too(house: House, submit: Submit, denied: Request) -> None:
    other, _ = await house.instances.create("counter", "refund-bot")
    assert (await submit(by=other)).repeats == denied.number


async def test_another_agent_or_call_does_not_meet_it(house: House, submit: Submit, denied: Request) -> None:
    pay_bot = '[agents.pay-bot]\nowners = ["U0OWNER"]\ntools = ["*"]\n\n'
    text = SAMPLE.replace("[reviewers.finance]", f"{pay_bot}[reviewers.finance]")
    two = await under(house, text.replace('agent = "refund-bot"\ntool = "issue', 'agent = "*"\ntool = "issue'))
    other, _ = await two.instances.create("payer", "pay-bot")
    assert (await submit(by=other, at=two)).status is Status.PENDING
    assert (await submit('{"amount": 4901}')).status is Status.PENDING


async def test_it_is_forgotten_after_a_day_and_does_not_renew_itself(
    house: House, submit: Submit, denied: Request
) -> None:
    house.clock.advance(hours=20)
    assert (await submit()).repeats == denied.number
    house.clock.advance(hours=4)
    assert (await submit()).status is Status.PENDING


async def test_what_people_did_not_deny_is_not_remembered(
    house: House, instance: Instance, submit: Submit, acts: Acts
) -> None:
    cancelled = await submit()
    await house.approvals.cancel(instance, cancelled.id)
    expired = await submit()
    house.clock.now = expired.deadline_at
    await house.deadlines.sweep()
    by_rule, _ = await house.creation.submit(instance, submission(timeout="1s"), "short")
    approved = await submit()
    await house.decisions.vote(approved.number, acts("U0ALICE"), VoteKind.APPROVE)
    assert (by_rule.status, by_rule.decision_code) == (Status.DENIED, "timeout_too_short")
    assert (await submit()).status is Status.PENDING
    for request in (cancelled, expired, by_rule, approved):
        with pytest.raises(NotRemembered):
            await house.memory.reopen(request.number, acts("U0ALICE"))


async def test_a_standing_vote_goes_before_it(house: House, submit: Submit, denied: Request, acts: Acts) -> None:
    other = await submit('{"amount": 1}')
    await change(house, other, acts("U0BOB", full_view=FullView.FORM), '{"amount": 4900}')
    assert (await submit()).status is Status.APPROVED
    assert (await submit()).repeats == denied.number


async def test_a_call_that_was_changed_is_told_the_change_again(house: House, submit: Submit, acts: Acts) -> None:
    asked = await submit()
    granted = await change(house, asked, acts("U0ALICE", full_view=FullView.FORM), '{"amount": 49}')
    again = await submit()
    assert (again.repeats, again.note) == (asked.number, granted.request.note)
    assert '{"amount":49}' in (again.note or "").split("\n")


async def test_a_rule_that_denies_or_approves_by_itself_goes_before_it(
    house: House, submit: Submit, denied: Request
) -> None:
    looser = await under(house, SAMPLE.replace('tool = "look_*"', 'tool = "*"'))
    assert (await submit(at=looser)).status is Status.APPROVED
    stricter = await under(house, SAMPLE.replace('"issue_refund", ', ""))
    assert (await submit(at=stricter)).decision_code == "tool_not_allowed"


async def test_slack_is_not_asked_about_it(house: House, submit: Submit, denied: Request) -> None:
    house.town.closed = True
    assert (await submit()).repeats == denied.number


# --- reopening --------------------------------------------------------------------------------------------


async def test_a_reviewer_reopens_and_people_are_asked_again(
    house: House, submit: Submit, denied: Request, acts: Acts
) -> None:
    house.clock.advance(minutes=5)
    reopened = await house.memory.reopen(denied.number, acts("U0BOB"))
    assert (reopened.reopened_at, reopened.reopened_by) == (house.clock.now, "U0BOB")
    same = {"status", "decided_at", "decided_by", "decided_by_kind", "decision_code", "note", "expires_at", "due_at"}
    assert {key: getattr(reopened, key) for key in same} == {key: getattr(denied, key) for key in same}
    assert rows(house, "SELECT type FROM events ORDER BY number DESC LIMIT 1") == [("denial.reopened",)]
    assert rows(house, "SELECT reason FROM outbox ORDER BY id DESC LIMIT 1") == [("reopened",)]
    assert (await submit()).status is Status.PENDING
    assert (await _drawing(house, reopened)).remembered_until is None


async def test_only_who_could_decide_it_today_reopens(
    house: House, submit: Submit, denied: Request, acts: Acts
) -> None:
    house.town.groups["S0FINANCE"] = frozenset({"U0CAROL", "U0OWNER"})
    for user, code in [("U0BOB", "not_a_reviewer"), ("U0ADMIN", "not_a_reviewer"), ("U0OWNER", "owner")]:
        with pytest.raises(NotYourDecision) as refused:
            await house.memory.reopen(denied.number, acts(user))
        assert refused.value.code == code
    house.town.channels["C0REFUNDS"] = Channel("C0REFUNDS", is_shared=True)
    with pytest.raises(ClosedChannel):
        await house.memory.reopen(denied.number, acts("U0CAROL"))
    house.town.closed = True
    with pytest.raises(FactsUnavailable):
        await house.memory.reopen(denied.number, acts("U0CAROL", None))
    house.town.closed = False
    assert (await submit()).repeats == denied.number
    reopened = await house.memory.reopen(denied.number, acts("U0CAROL", None))
    assert reopened.reopened_by == "U0CAROL"


async def test_the_person_an_instance_was_made_for_does_not_reopen(house: House, submit: Submit, acts: Acts) -> None:
    own, _ = await house.instances.create("bob", "refund-bot", person="U0BOB")
    asked = await submit(by=own)
    await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.DENY, NOTE)
    with pytest.raises(NotYourDecision) as refused:
        await house.memory.reopen(asked.number, acts("U0BOB"))
    assert refused.value.code == "own_instance"


async def test_it_is_reopened_once_and_in_time(house: House, denied: Request, acts: Acts) -> None:
    act: Act = acts("U0ALICE")
    first = await house.memory.reopen(denied.number, act)
    assert await house.memory.reopen(denied.number, act) == first
    with pytest.raises(NotRemembered):
        await house.memory.reopen(denied.number, acts("U0BOB"))
    with pytest.raises(UnknownRequest):
        await house.memory.reopen(999, acts("U0BOB"))


async def test_after_a_day_there_is_nothing_to_reopen(house: House, denied: Request, acts: Acts) -> None:
    house.clock.advance(hours=24)
    with pytest.raises(NotRemembered):
        await house.memory.reopen(denied.number, acts("U0ALICE"))


async def test_a_remembered_denial_is_not_reopened_by_its_repeat(
    house: House, submit: Submit, denied: Request, acts: Acts
) -> None:
    again = await submit()
    with pytest.raises(NotRemembered):
        await house.memory.reopen(again.number, acts("U0ALICE"))
    unmatched, _ = await house.creation.submit(
        (await house.instances.create("third", "refund-bot"))[0], submission("send_mail"), "no rule"
    )
    with pytest.raises(NotRemembered):
        await house.memory.reopen(unmatched.number, acts("U0ALICE"))


async def test_of_two_denials_the_newer_counts(house: House, submit: Submit, acts: Acts) -> None:
    first, second = await submit(), await submit()
    await house.decisions.vote(first.number, acts("U0ALICE"), VoteKind.DENY, "first")
    house.clock.advance(seconds=1)
    await house.decisions.vote(second.number, acts("U0BOB"), VoteKind.DENY, "second")
    assert (await submit()).repeats == second.number
    with pytest.raises(NotRemembered, match=f"#{second.number}"):
        await house.memory.reopen(first.number, acts("U0ALICE"))
    assert (await _drawing(house, await _read(house, first))).remembered_until is None
    await house.memory.reopen(second.number, acts("U0ALICE"))
    assert (await submit()).status is Status.PENDING


async def _read(house: House, request: Request) -> Request:
    return (await _drawing(house, request)).request


async def test_reopening_against_submitting_has_one_order(house: House, submit: Submit, acts: Acts) -> None:
    for round_ in range(10):
        asked = await submit(f'{{"amount": {round_}}}')
        await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.DENY, NOTE)
        made, _ = await asyncio.gather(
            submit(f'{{"amount": {round_}}}'), house.memory.reopen(asked.number, acts("U0BOB"))
        )
        reopened = await _read(house, asked)
        assert reopened.reopened_at is not None
        assert made.status is (Status.DENIED if made.repeats else Status.PENDING)
        assert (await submit(f'{{"amount": {round_}}}')).status is Status.PENDING


async def test_a_denial_reopened_while_slack_is_asked_is_met_no_more(
    house: House, submit: Submit, denied: Request, acts: Acts
) -> None:
    looked = house.creation._look_ahead
    reopens = iter([True])

    async def look_then_reopen(call):
        met = await looked(call)
        if next(reopens, False):
            await house.memory.reopen(denied.number, acts("U0BOB"))
        return met

    house.creation._look_ahead = look_then_reopen  # type: ignore[method-assign]
    assert (await submit()).status is Status.PENDING


# --- the thread that counts -------------------------------------------------------------------------------


async def _post(house: House, kind: IntentKind = IntentKind.POST_CARD) -> list[Job]:
    """Carry out what the outbox holds, as if Slack took all of it; return what of ``kind`` there was."""
    jobs: list[Job] = []
    while claimed := await house.outbox.claim(8):
        for intent in claimed:
            job = await house.outbox.load(intent)
            assert isinstance(job, Job)
            jobs.append(job)
            if intent.kind is IntentKind.POST_CARD and job.card is not None:
                await house.outbox.posted(job, job.card.target, f"{job.card.id}.0")
            else:
                await house.outbox.done(job)
    return [job for job in jobs if job.intent.kind is kind]


def _of(job: Job) -> Card:
    assert job.card is not None
    return job.card


async def test_tries_are_counted_in_one_thread_message(house: House, submit: Submit, acts: Acts) -> None:
    asked = await submit()
    await _post(house)
    denied = await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.DENY, NOTE)
    await _post(house)
    assert (await _drawing(house, denied)).tries == 0
    house.clock.advance(minutes=1)
    await submit()
    (posted,) = await _post(house)
    thread = _of(posted)
    assert (thread.place, thread.target, thread.request_number) == (Place.THREAD, "C0REFUNDS", denied.number)
    assert (posted.drawing.tries, posted.drawing.last_try_at) == (1, house.clock.now)
    assert posted.drawing.remembered_until == (denied.decided_at or house.clock.now) + timedelta(hours=24)
    house.clock.advance(minutes=1)
    for _ in range(5):
        await submit()
    assert rows(house, f"SELECT kind, card_id, reason FROM outbox WHERE lane = 'card:{thread.id}'") == [
        (IntentKind.DRAW_CARD.value, thread.id, "asked_again"),
    ]  # fmt: skip
    (drawn,) = await _post(house, IntentKind.DRAW_CARD)
    assert (_of(drawn).id, drawn.drawing.tries, drawn.drawing.last_try_at) == (thread.id, 6, house.clock.now)
    assert rows(house, "SELECT count(*) FROM cards WHERE place = 'thread'") == [(1,)]


async def test_a_drawing_that_has_begun_does_not_count_for_a_later_try(
    house: House, submit: Submit, denied: Request
) -> None:
    await _post(house)
    await submit()
    await _post(house)
    await submit()
    (begun,) = await house.outbox.claim(8)
    await submit()
    assert rows(house, "SELECT count(*) FROM outbox") == [(2,)]
    assert begun.kind is IntentKind.DRAW_CARD


async def test_without_a_live_card_there_is_no_thread(house: House, submit: Submit, denied: Request) -> None:
    waiting = rows(house, "SELECT * FROM outbox")
    await submit()
    assert rows(house, "SELECT place FROM cards") == [("channel",)]
    assert rows(house, "SELECT * FROM outbox") == waiting
    assert (await _drawing(house, denied)).tries == 1


async def test_a_thread_message_that_is_gone_is_not_posted_again(house: House, submit: Submit, denied: Request) -> None:
    await _post(house)
    await submit()
    (posted,) = await _post(house)
    await house.outbox.card_deleted(_of(posted).target, f"{_of(posted).id}.0")
    await submit()
    assert rows(house, "SELECT * FROM outbox") == []
    assert rows(house, "SELECT state FROM cards WHERE place = 'thread'") == [(CardState.GONE.value,)]


# --- near repeats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "is_near"),
    [
        ('{"amount": 4901, "to": "Zoë"}', True),
        ('{"amount": 4900}', True),
        ('{"amount": 4900, "to": "Zoë", "memo": null}', True),
        ('{"amount": "4900", "to": "Zoë"}', True),
        ('{"amount": 4901, "to": "Ann"}', False),
        ('{"amount": 4901, "to": "Zoë", "memo": ""}', False),
        ("{}", False),
    ],
)
async def test_a_call_one_argument_apart_shows_what_was_denied(
    house: House, submit: Submit, acts: Acts, arguments: str, is_near: bool
) -> None:
    asked = await submit('{"amount": 4900, "to": "Zoë"}')
    await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.DENY, NOTE)
    near = (await _drawing(house, await submit(arguments))).near_denial
    assert (near.number if near else None) == (asked.number if is_near else None)


async def test_the_newest_near_denial_of_the_day_before_is_shown(house: House, submit: Submit, acts: Acts) -> None:
    numbers = []
    waiting = await submit('{"amount": 100}')
    for amount in (1, 2):
        asked = await submit(f'{{"amount": {amount}}}')
        await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.DENY, NOTE)
        numbers.append(asked.number)
        house.clock.advance(minutes=1)
    # What was denied afterwards does not change a card that somebody is reading.
    assert (await _drawing(house, waiting)).near_denial is None
    later = await submit('{"amount": 3}')
    near = (await _drawing(house, later)).near_denial
    assert near is not None
    assert near.number == numbers[1]
    house.clock.advance(hours=24)
    assert (await _drawing(house, await submit('{"amount": 4}'))).near_denial is None


async def test_large_denials_are_not_all_compared_whenever_a_card_is_drawn(
    house: House, submit: Submit, acts: Acts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent could let every press on its cards wait for a megabyte of its denied calls."""
    for at in range(MOST_COMPARED):
        asked = await submit(f'{{"from": {at}, "to": {at}, "text": "{"x" * 30_000}"}}')
        await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.DENY, NOTE)
    waiting = await submit('{"from": -1, "to": -1, "text": ""}')
    near = await submit(f'{{"from": {at}, "to": -1, "text": "{"x" * 30_000}"}}')
    read: list[int] = []

    def counted(text: str) -> Any:
        read.append(len(text))
        return load_json(text)

    monkeypatch.setattr("bot.memory.load_json", counted)
    assert (await _drawing(house, waiting)).near_denial is None
    assert sum(read) < 2 * MOST_CHARACTERS_COMPARED
    denied = (await _drawing(house, near)).near_denial
    assert denied is not None
    assert denied.number == asked.number


async def test_what_is_compared_comes_without_what_its_agent_said_beside_it(
    house: House, instance: Instance, submit: Submit, acts: Acts
) -> None:
    body = (
        b'{"tool": "issue_refund", "arguments": {"amount": 1}, "timeout": "10m", "agent_reasoning": "r", "context": {}}'
    )
    asked, _ = await house.creation.submit(instance, parse_submission(body), "claims")
    await house.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.DENY, NOTE)
    near = (await _drawing(house, await submit('{"amount": 2}'))).near_denial
    assert near is not None
    assert (near.number, near.agent_reasoning, near.context) == (asked.number, None, None)


def test_tries_are_counted_in_an_index(house: House) -> None:
    """However often an agent asks again, whoever draws the card counts it."""
    statement = "SELECT count(*), max(created_at) FROM requests WHERE repeats IS NOT NULL AND repeats = 1"
    plan = str(rows(house, f"EXPLAIN QUERY PLAN {statement}"))
    assert "USING COVERING INDEX ix_requests_repeats" in plan


async def test_a_near_denial_hides_what_the_rule_hides(house: House, submit: Submit, acts: Acts) -> None:
    hiding = await under(house, SAMPLE + 'redact = ["card"]\n')
    asked = await submit('{"amount": 1, "card": "4111222233334444"}', at=hiding)
    await hiding.decisions.vote(asked.number, acts("U0ALICE"), VoteKind.DENY, NOTE)
    later = await submit('{"amount": 2, "card": "4111222233334444"}', at=hiding)
    near = (await _drawing(hiding, later)).near_denial
    assert near is not None
    assert near.number == asked.number
    assert "4111" not in near.arguments
