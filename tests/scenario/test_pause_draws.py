"""Cards and pauses: each shows what is so, few are drawn at a time, and a pause that ends costs what showed it."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.decisions import Act
from bot.outbox import Job, PauseJob
from bot.pause_draws import LOOKS_AGAIN_AFTER, MOST_UNDER_WAY
from store.engine import SqliteStore
from store.statements_pauses import PAUSE
from store.tables import FullView, Instance, IntentKind, Request, VoteKind
from tests.conftest import TEAM, House, StandingClock, Town, furnish, sample_settings, submission
from tests.scenario.halts_support import ADMIN, AGENT, ALICE, ALL, BOB, COMPANY, REFUNDS, Acts, with_everybody
from tests.stores import database_of, rows_at

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def house(store: SqliteStore, clock: StandingClock, town: Town) -> House:
    with_everybody(town)
    return await furnish(store, clock, town, sample_settings(COMPANY))


async def ask(house: House, instance: Instance, count: int) -> list[Request]:
    """Requests with a card each in Slack, the oldest first."""
    made = [(await house.creation.submit(instance, submission(), f"k{at}"))[0] for at in range(count)]
    await carry_out(house)
    return made


async def carry_out(house: House) -> list[Job | PauseJob]:
    """Carry out what is due, and return it in its order; of pauses one look."""
    done: list[Job | PauseJob] = []
    for intent in await house.outbox.claim(1000):
        job = await house.outbox.load(intent)
        if isinstance(job, PauseJob):
            again = await house.outbox.ask_for_paused(job)
            if again is not None:
                await house.outbox.postpone(intent, again, counts=False)
        elif isinstance(job, Job) and intent.kind is IntentKind.POST_CARD:
            await house.outbox.posted(job, "C0REFUNDS", f"{intent.card_id}.1")
        elif isinstance(job, Job) and intent.kind is IntentKind.DRAW_CARD:
            await house.outbox.drawn(job)
        else:
            await house.outbox.done(job)
            continue
        done.append(job)
    return done


def drawn(done: Sequence[Job | PauseJob]) -> list[int]:
    return [one.drawing.request.number for one in done if isinstance(one, Job)]


def shown(house: House) -> list[tuple[object, ...]]:
    return rows_at(database_of(house.store), "SELECT request_number, shown_pause FROM cards ORDER BY request_number")


async def test_a_pause_is_drawn_and_drawn_away_again(house: House, instance: Instance, acts: Acts) -> None:
    pending, opened = await ask(house, instance, 2)
    await house.decisions.vote(opened.number, acts(ALICE), VoteKind.APPROVE)
    await carry_out(house)
    first = await house.halts.pause(AGENT, acts(ALICE), "too much", house.clock() + timedelta(minutes=4))
    assert await carry_out(house)
    done = await carry_out(house)
    assert drawn(done) == [opened.number, pending.number]
    assert all(isinstance(one, Job) and one.drawing.pauses == (first,) for one in done)
    assert shown(house) == [(pending.number, f"{first.id}+0"), (opened.number, f"{first.id}+0")]
    second = await house.halts.pause(REFUNDS, acts(BOB), "me too")
    await carry_out(house)
    await carry_out(house)
    assert shown(house)[0] == (pending.number, f"{second.id}+1")
    await house.halts.resume(REFUNDS, acts(BOB), "repaired")
    house.clock.advance(minutes=4)
    assert await house.halts.sweep()
    await carry_out(house)
    assert drawn(await carry_out(house)) == [opened.number, pending.number]
    assert shown(house) == [(pending.number, None), (opened.number, None)]
    assert await carry_out(house) == []


async def test_of_many_cards_a_few_are_drawn_at_a_time_the_newest_first(
    house: House, instance: Instance, acts: Acts
) -> None:
    made = await ask(house, instance, MOST_UNDER_WAY + 3)
    numbers = [request.number for request in reversed(made)]
    await house.halts.pause(ALL, acts(ADMIN), "an incident")
    await carry_out(house)
    assert await house.outbox.waiting() == MOST_UNDER_WAY + 1
    assert drawn(await carry_out(house)) == numbers[:MOST_UNDER_WAY]
    assert await carry_out(house) == []
    house.clock.advance(seconds=LOOKS_AGAIN_AFTER.total_seconds())
    await carry_out(house)
    assert drawn(await carry_out(house)) == numbers[MOST_UNDER_WAY:]
    house.clock.advance(seconds=LOOKS_AGAIN_AFTER.total_seconds())
    assert await carry_out(house) == []


async def test_a_pause_that_ended_is_drawn_away_only_where_it_was_shown(
    house: House, instance: Instance, acts: Acts
) -> None:
    made = await ask(house, instance, MOST_UNDER_WAY + 3)
    await house.halts.pause(ALL, acts(ADMIN), "an incident")
    await carry_out(house)
    await carry_out(house)
    for _ in range(3):
        await house.halts.resume(ALL, acts(ADMIN), "it is over")
        await house.halts.pause(ALL, acts(ADMIN), "it is not")
    await house.halts.resume(ALL, acts(ADMIN), "it is over")
    house.clock.advance(seconds=LOOKS_AGAIN_AFTER.total_seconds())
    await carry_out(house)
    looks = "SELECT count(*) FROM outbox WHERE kind = 'draw_paused'"
    assert rows_at(database_of(house.store), looks) == [(1,)]  # one look serves for all of that
    again = drawn(await carry_out(house))
    for _ in range(12):
        again += drawn(await carry_out(house))
        house.clock.advance(seconds=LOOKS_AGAIN_AFTER.total_seconds())
    assert sorted(again) == [request.number for request in made[3:]]
    assert await house.outbox.waiting() == 0


async def test_a_card_that_was_drawn_from_what_was_over_is_drawn_again(
    house: House, instance: Instance, acts: Acts
) -> None:
    await house.creation.submit(instance, submission(), "k")
    [post] = await house.outbox.claim(10)
    job = await house.outbox.load(post)
    assert isinstance(job, Job)
    await house.halts.pause(AGENT, acts(ALICE), "too much")
    await carry_out(house)  # sees no card yet
    await house.outbox.posted(job, "C0REFUNDS", "1.1")
    [draw] = await house.outbox.claim(10)
    assert (draw.kind, draw.reason) == (IntentKind.DRAW_CARD, PAUSE)
    job = await house.outbox.load(draw)
    assert isinstance(job, Job)
    assert job.drawing.pauses
    await house.halts.resume(AGENT, acts(ALICE), "repaired")
    await carry_out(house)  # sees none that shows it yet
    await house.outbox.drawn(job)
    [again] = await carry_out(house)
    assert isinstance(again, Job)
    assert not again.drawing.pauses
    assert await house.outbox.waiting() == 0


async def test_a_card_of_which_it_is_not_known_what_it_shows_is_drawn(house: House, instance: Instance) -> None:
    """One whose answer was lost: a pause may have begun or ended since."""
    await house.creation.submit(instance, submission(), "k")
    [post] = await house.outbox.claim(10)
    job = await house.outbox.load(post)
    assert isinstance(job, Job)
    await house.outbox.posted(job, "C0REFUNDS", "1.1", as_drawn=False)
    assert len(drawn(await carry_out(house))) == 1
    assert shown(house)[0][1] is None


async def test_what_is_over_or_used_is_not_drawn_for_a_pause(house: House, instance: Instance, acts: Acts) -> None:
    denied, used = await ask(house, instance, 2)
    await house.decisions.vote(denied.number, acts(ALICE), VoteKind.DENY)
    act = Act("x", ALICE, TEAM, "card", "C0REFUNDS", FullView.CARD)
    await house.decisions.vote(used.number, act, VoteKind.APPROVE)
    await house.approvals.consume(instance, used.id, "c")
    await carry_out(house)
    await house.halts.pause(ALL, acts(ADMIN), "an incident")
    await carry_out(house)
    assert await house.outbox.waiting() == 0
