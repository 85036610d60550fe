"""The outbox's use cases: leases, order per card, giving up, cards that vanish."""

from datetime import timedelta

import pytest

from bot.decisions import Act, wish_to_draw
from bot.outbox import LEASE, Job, Outbox
from bot.redaction import Redactor
from store.engine import SqliteStore
from store.statements_pauses import PAUSE
from store.tables import CardState, FullView, Instance, IntentKind, Place, Request, VoteKind
from tests.conftest import TEAM, House, StandingClock, Town, furnish, sample_settings, submission
from tests.scenario.queue_support import TWO_AGENTS
from tests.stores import database_of, rows_at

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def request_made(house: House, instance: Instance) -> Request:
    made, _ = await house.creation.submit(instance, submission(), "key")
    return made


def _rows(house: House, sql: str) -> list[tuple[object, ...]]:
    return rows_at(database_of(house.store), sql)


async def _approve(house: House, request: Request) -> None:
    act = Act(id=f"act{request.number}", user_id="U0ALICE", team_id=TEAM, surface="card", full_view=FullView.CARD)
    await house.decisions.vote(request.number, act, VoteKind.APPROVE)


async def test_a_card_is_posted_before_it_is_drawn(house: House, request_made: Request) -> None:
    await _approve(house, request_made)
    [post] = await house.outbox.claim(10)
    assert post.kind is IntentKind.POST_CARD
    assert await house.outbox.claim(10) == []  # the drawing waits for its card
    job = await house.outbox.load(post)
    await house.outbox.posted(job, "C0REFUNDS", "1.1")
    [draw] = await house.outbox.claim(10)
    assert draw.kind is IntentKind.DRAW_CARD
    card = await house.queries.card_at("C0REFUNDS", "1.1")
    assert card is not None
    assert card.request_number == request_made.number


async def test_one_drawing_fulfils_all_older_wishes(house: House, instance: Instance, request_made: Request) -> None:
    await house.outbox.posted(await house.outbox.load((await house.outbox.claim(1))[0]), "C0REFUNDS", "1.1")
    await _approve(house, request_made)
    await house.approvals.consume(instance, request_made.id, "c")
    assert await house.outbox.waiting() == 2
    [draw] = await house.outbox.claim(10)
    await house.outbox.done(await house.outbox.load(draw))
    assert await house.outbox.waiting() == 0


async def test_a_wish_that_came_while_drawing_stays(house: House, instance: Instance, request_made: Request) -> None:
    await house.outbox.posted(await house.outbox.load((await house.outbox.claim(1))[0]), "C0REFUNDS", "1.1")
    await _approve(house, request_made)
    job = await house.outbox.load((await house.outbox.claim(1))[0])
    await house.approvals.consume(instance, request_made.id, "c")
    await house.outbox.done(job)
    assert await house.outbox.waiting() == 1


async def test_a_lease_that_ran_out_can_be_taken_and_its_holder_finishes_nothing(
    house: House, request_made: Request
) -> None:
    [held] = await house.outbox.claim(10)
    slow = await house.outbox.load(held)
    house.clock.now += LEASE
    other = Outbox(house.store, house.clock, house.rulebook, "other", Redactor(b"k" * 32))
    [taken] = await other.claim(10)
    assert taken.id == held.id
    assert taken.fence == held.fence + 1
    await house.outbox.done(slow)
    assert await house.outbox.waiting() == 1
    await other.done(await other.load(taken))
    assert await house.outbox.waiting() == 0


async def test_a_postponed_intent_waits_and_counts_its_tries(house: House, request_made: Request) -> None:
    [intent] = await house.outbox.claim(10)
    await house.outbox.postpone(intent, timedelta(seconds=3))
    assert await house.outbox.claim(10) == []
    assert await house.outbox.next_due() == house.clock.now + timedelta(seconds=3)
    house.clock.advance(seconds=3)
    [again] = await house.outbox.claim(10)
    assert (again.id, again.attempts) == (intent.id, 2)
    await house.outbox.postpone(again, timedelta(0), counts=False)
    [third] = await house.outbox.claim(10)
    assert third.attempts == 2


async def test_a_restart_frees_what_was_held(house: House, request_made: Request) -> None:
    assert len(await house.outbox.claim(10)) == 1
    await house.outbox.release_leases()
    assert len(await house.outbox.claim(10)) == 1


async def test_an_undeliverable_card_goes_elsewhere_and_the_owners_hear_of_it(
    house: House, request_made: Request
) -> None:
    job = await house.outbox.load((await house.outbox.claim(1))[0])
    await house.outbox.undeliverable(job, "is_archived", [(Place.FALLBACK, "C0OPS")])
    assert _rows(house, "SELECT place, target, state FROM cards ORDER BY id") == [
        ("channel", "C0REFUNDS", "gone"),
        ("fallback", "C0OPS", "posting"),
    ]
    assert _rows(house, "SELECT kind, reason FROM outbox ORDER BY id") == [
        ("post_card", "fallback"),
        ("tell_owners", "is_archived"),
    ]
    assert _rows(house, "SELECT count(*) FROM events WHERE type = 'notification.failed'") == [(1,)]


async def test_a_card_whose_channel_closes_later_goes_elsewhere_and_the_owners_hear_of_it(
    house: House, request_made: Request
) -> None:
    await house.outbox.posted(await house.outbox.load((await house.outbox.claim(1))[0]), "C0REFUNDS", "1.1")
    await house.store.write(lambda unit: wish_to_draw(unit, request_made, "vote", house.clock()))
    job = await house.outbox.load((await house.outbox.claim(1))[0])
    await house.outbox.undeliverable(job, "is_archived", [(Place.FALLBACK, "C0OPS")])
    assert _rows(house, "SELECT kind, reason FROM outbox ORDER BY id") == [
        ("post_card", "fallback"),
        ("tell_owners", "is_archived"),
    ]


async def test_whoever_lost_its_lease_plans_nothing_elsewhere(house: House, request_made: Request) -> None:
    late = await house.outbox.load((await house.outbox.claim(1))[0])
    house.clock.now += LEASE
    now_its = await house.outbox.load((await house.outbox.claim(1))[0])
    for job in (late, now_its):
        await house.outbox.undeliverable(job, "is_archived", [(Place.FALLBACK, "C0OPS")])
    assert _rows(house, "SELECT place FROM cards ORDER BY id") == [("channel",), ("fallback",)]
    assert _rows(house, "SELECT count(*) FROM events WHERE type = 'notification.failed'") == [(1,)]


async def test_a_deleted_card_of_a_pending_request_is_posted_once_more_and_no_more(
    house: House, request_made: Request
) -> None:
    for ts in ("1.1", "1.2"):
        [post] = await house.outbox.claim(10)
        await house.outbox.posted(await house.outbox.load(post), "C0REFUNDS", ts)
        assert await house.outbox.card_deleted("C0REFUNDS", ts) is not None
        assert await house.outbox.card_deleted("C0REFUNDS", ts) is None
        assert await house.queries.card_at("C0REFUNDS", ts) is None
    assert await house.outbox.waiting() == 0
    assert await house.outbox.card_deleted("C0REFUNDS", "9.9") is None


async def test_a_card_whose_answer_was_lost_can_be_found(house: House, request_made: Request) -> None:
    job = await house.outbox.load((await house.outbox.claim(1))[0])
    assert job.card is not None
    assert await house.outbox.cards_being_posted(request_made.number) == []
    await house.outbox.attempting(job.card)
    [card] = await house.outbox.cards_being_posted(request_made.number)
    await house.outbox.found(card, "C0REFUNDS", "1.1")
    found = await house.queries.card_at("C0REFUNDS", "1.1")
    assert found is not None
    assert found.state is CardState.LIVE
    await house.outbox.posted(job, "C0REFUNDS", "1.1")  # its intent finds it there, and says it no second time
    assert _rows(house, "SELECT request_number FROM events WHERE type = 'card.posted'") == [(request_made.number,)]
    [draw] = await house.outbox.claim(10)
    assert draw.reason == PAUSE  # a pause may have begun or ended since it was drawn
    await house.outbox.drawn(await house.outbox.load(draw))
    assert await house.outbox.waiting() == 0


async def test_a_drawing_knows_the_last_call_like_it_that_people_approved(house: House, instance: Instance) -> None:
    async def drawn(key: str, tool: str = "issue_refund") -> tuple[Request, int | None]:
        made, _ = await house.creation.submit(instance, submission(tool), key)
        drawing = await house.queries.drawing(made.number)
        assert drawing is not None
        return made, drawing.previous.number if drawing.previous else None

    first, before_first = await drawn("a")
    second, before_second = await drawn("b")
    assert before_first is before_second is None
    await _approve(house, second)
    assert (await drawn("c"))[1] == second.number
    assert (await drawn("d", "look_up"))[1] is None
    assert (await drawn("e", "look_up"))[1] is None  # a rule's own approval is nobody's judgement
    await _approve(house, first)
    assert (await drawn("f"))[1] == second.number
    drawing = await house.queries.drawing(first.number)
    assert drawing is not None
    assert drawing.previous is None  # what came later is not before it


async def test_what_is_approved_later_changes_no_card_that_is_being_read(house: House, instance: Instance) -> None:
    earlier, _ = await house.creation.submit(instance, submission(), "a")
    house.clock.now += timedelta(seconds=1)
    made, _ = await house.creation.submit(instance, submission(), "b")
    house.clock.now += timedelta(seconds=1)
    await _approve(house, earlier)
    drawing = await house.queries.drawing(made.number)
    assert drawing is not None
    assert drawing.previous is None


# --- the order of claiming ---


async def test_nothing_waits_behind_new_cards(house: House, instance: Instance) -> None:
    first = (await house.creation.submit(instance, submission(), "first"))[0]
    (intent,) = await house.outbox.claim(9)
    job = await house.outbox.load(intent)
    assert isinstance(job, Job)
    await house.outbox.posted(job, "C0REFUNDS", "1.0")
    for at in range(20):
        await house.creation.submit(instance, submission(), f"new{at}")
    house.clock.advance(seconds=1)
    await house.approvals.cancel(instance, first.id)
    claimed = await house.outbox.claim(3)
    assert [one.kind for one in claimed] == [IntentKind.DRAW_CARD, IntentKind.POST_CARD, IntentKind.POST_CARD]


async def test_agents_take_turns_for_new_cards(store: SqliteStore, clock: StandingClock, town: Town) -> None:
    house = await furnish(store, clock, town, sample_settings(TWO_AGENTS))
    loud, _ = await house.instances.create("till", "refund-bot")
    quiet, _ = await house.instances.create("post", "mail-bot")
    for at in range(20):
        await house.creation.submit(loud, submission(), f"loud{at}")
    few = [(await house.creation.submit(quiet, submission(), f"few{at}"))[0] for at in range(2)]
    claimed = {intent.request_number for intent in await house.outbox.claim(4)}
    assert {one.number for one in few} <= claimed
