"""Who is told that something was stopped, or goes on: those it concerns, once for a burst, and not who did it."""

from datetime import timedelta

import pytest

from bot.halt_notices import MOST_TOLD, HaltNotice
from bot.halt_rights import Target
from handlers.slack.halt_answers import render_notice
from store.engine import SqliteStore
from store.tables import IntentKind
from tests.conftest import House, StandingClock, Town, furnish, sample_settings
from tests.scenario.halts_support import (
    ADMIN,
    AGENT,
    ALICE,
    ALL,
    BOB,
    BOTH,
    COMPANY,
    OTHER,
    OWNER,
    REFUNDS,
    RULE,
    Acts,
    with_everybody,
)
from tests.stores import database_of, rows_at
from tests.unit.slack_support import text_in

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def house(store: SqliteStore, clock: StandingClock, town: Town) -> House:
    with_everybody(town)
    return await furnish(store, clock, town, sample_settings(COMPANY))


async def notices(house: House) -> list[HaltNotice]:
    """Take up what is to be told, and leave it told."""
    told = []
    for intent in await house.outbox.claim(100):
        notice = await house.outbox.load(intent)
        if isinstance(notice, HaltNotice):
            told.append(notice)
            await house.outbox.told(notice, notice.people, {})
    return told


@pytest.mark.parametrize(
    ("target", "by", "people"),
    [
        (AGENT, ALICE, {OWNER, BOTH}),
        (AGENT, OWNER, {BOTH}),
        (RULE, ALICE, {OWNER, BOTH}),
        (ALL, ALICE, {ADMIN, BOTH, OWNER, OTHER}),
        (ALL, ADMIN, {BOTH, OWNER, OTHER}),
    ],
    ids=lambda value: "-".join(sorted(value)) if isinstance(value, set) else str(value),
)
async def test_owners_are_told_and_of_everything_admins_but_not_who_did_it(
    house: House, acts: Acts, target: Target, by: str, people: set[str]
) -> None:
    until = house.clock() + timedelta(hours=2)
    halt = await house.halts.pause(target, acts(by), "too much", until)
    [notice] = await notices(house)
    assert (set(notice.people), notice.in_force, notice.left_out) == (people, (halt,), 0)
    message = render_notice(notice)
    shown = text_in(message.blocks)
    assert f"<@{by}>" in shown
    assert "too much" in shown
    assert "is paused* <!date^" in shown
    assert "too much" not in message.text
    assert by not in message.text
    await house.halts.resume(target, acts(by), "repaired")
    [notice] = await notices(house)
    assert set(notice.people) == people
    shown = text_in(render_notice(notice).blocks)
    assert "goes on" in shown
    assert "repaired" in shown
    sent = rows_at(database_of(house.store), "SELECT count(*) FROM events WHERE type = 'notification.sent'")
    assert sent == [(2,)]


async def test_a_stopped_rule_is_told_to_the_owners_of_its_agents(house: House, acts: Acts) -> None:
    await house.halts.stop_rule("look-ups", acts(BOB), "look at each")
    [notice] = await notices(house)
    assert set(notice.people) == {OWNER, BOTH}
    assert "may not approve by itself" in text_in(render_notice(notice).blocks)
    await house.halts.resume(RULE, acts(ALICE), "it was fine")
    [notice] = await notices(house)
    assert "approves by itself again" in text_in(render_notice(notice).blocks)


async def test_a_burst_is_one_message_of_how_it_stands_then(house: House, acts: Acts) -> None:
    for _ in range(5):
        await house.halts.pause(AGENT, acts(ALICE), "too much")
        await house.halts.resume(AGENT, acts(BOB), "repaired")
        house.clock.advance(seconds=1)
    await house.halts.pause(AGENT, acts(ALICE), "at first")
    await house.halts.pause(AGENT, acts(ALICE), "and longer", house.clock() + timedelta(hours=1))
    [notice] = await notices(house)
    assert [one.reason for one in notice.in_force] == ["and longer"]
    assert [one.reason for one in notice.ended] == ["too much"] * 5  # and not what was replaced
    message = render_notice(notice)
    assert "2 earlier ones ended too." in text_in(message.blocks)
    assert await notices(house) == []


async def test_what_others_stopped_is_not_said_to_go_on(house: House, acts: Acts) -> None:
    await house.halts.pause(ALL, acts(ADMIN), "an incident")
    await house.halts.pause(REFUNDS, acts(ALICE), "too much")
    await house.halts.pause(REFUNDS, acts(BOB), "me too")
    await notices(house)
    await house.halts.resume(REFUNDS, acts(BOB), "repaired")
    [notice] = await notices(house)
    assert "goes on" not in text_in(render_notice(notice).blocks)
    message = render_notice(notice)
    assert "still denied" in text_in(message.blocks)
    assert message.text == "Rule refunds is still paused by others."


async def test_the_end_of_a_time_that_was_told_is_not_told(house: House, acts: Acts) -> None:
    await house.halts.pause(AGENT, acts(ALICE), "too much", house.clock() + timedelta(hours=1))
    await notices(house)
    house.clock.advance(hours=1)
    assert await house.halts.sweep()
    assert await notices(house) == []


async def test_a_change_while_it_is_told_is_told_next(house: House, acts: Acts) -> None:
    await house.halts.pause(AGENT, acts(ALICE), "too much")
    [intent] = [one for one in await house.outbox.claim(100) if one.kind is IntentKind.TELL_HALTED]
    await house.halts.resume(AGENT, acts(ALICE), "repaired")
    notice = await house.outbox.load(intent)
    assert isinstance(notice, HaltNotice)
    await house.outbox.told(notice, notice.people, {})
    assert len(await notices(house)) == 1


async def test_a_change_after_some_were_told_is_told_to_all(house: House, acts: Acts) -> None:
    """Slack went away before the others were, who are told with the next try: and only they."""
    await house.halts.pause(AGENT, acts(ALICE), "too much")
    [intent] = [one for one in await house.outbox.claim(100) if one.kind is IntentKind.TELL_HALTED]
    await house.outbox.postpone(intent, timedelta(seconds=1))
    await house.halts.resume(AGENT, acts(ALICE), "repaired")
    house.clock.advance(seconds=1)
    [again], [of_all] = await notices(house), await notices(house)
    assert (again.intent.id, again.intent.attempts, of_all.intent.attempts) == (intent.id, 2, 1)
    assert [one.reason for one in of_all.ended] == ["too much"]


async def test_so_many_are_told_and_the_others_counted(
    store: SqliteStore, clock: StandingClock, town: Town, acts: Acts
) -> None:
    owners = [f'"U0O{at:02}"' for at in range(MOST_TOLD + 5)]
    text = COMPANY.replace('owners = ["U0OTHER"]', f"owners = [{', '.join(owners)}]")
    house = await furnish(store, clock, town, sample_settings(text))
    await house.halts.pause(ALL, acts(ALICE), "an incident")
    [notice] = await notices(house)
    assert len(notice.people) == MOST_TOLD
    assert set(notice.people[:2]) == {ADMIN, BOTH}
    assert notice.left_out == 5 + len({ADMIN, BOTH, OWNER})
