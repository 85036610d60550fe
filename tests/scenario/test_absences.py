"""Being away, and the stand-in who gains no right by it."""

from datetime import timedelta

import pytest

from bot.absences import LONGEST, Absences, stand_ins
from bot.errors import FactsUnavailable, NotAMember, NotATime, Refusal, UnfitStandIn
from bot.people import Facts
from bot.policy import Parties, judge
from store.escalation_tables import Absence
from tests.conftest import House, StandingClock, Town
from tests.scenario.escalation_support import events

DAY = timedelta(days=1)


@pytest.fixture
def absences(house: House) -> Absences:
    return Absences(house.store, house.clock)


async def told(house: House, *users: str) -> dict[str, str]:
    return await house.store.read(lambda unit: stand_ins(unit, users, house.clock()))


async def facts(town: Town) -> Facts:
    town.add("U0GUEST", is_guest=True)
    town.add("U0GONE", is_deactivated=True)
    town.add("U0ROBOT", is_bot=True)
    town.add("U0PAT", team_id="T0PARTNER")
    return await town.load_facts(town.people, ())


async def test_a_stand_in_is_told_until_the_time_said(
    house: House, absences: Absences, town: Town, clock: StandingClock
) -> None:
    until = clock() + 3 * DAY
    said = await absences.say("U0ALICE", "U0BOB", until, await facts(town))
    assert said.own == Absence(user_id="U0ALICE", stand_in="U0BOB", until=until, said_at=clock())
    assert await told(house, "U0ALICE", "U0CAROL") == {"U0ALICE": "U0BOB"}
    assert await told(house, "U0CAROL") == {}
    assert (await absences.whereabouts_of("U0BOB")).stands_in_for == (said.own,)
    clock.advance(days=3)
    assert await told(house, "U0ALICE") == {}
    assert (await absences.whereabouts_of("U0ALICE")).own is None
    assert await absences.end("U0ALICE") is None


async def test_back_ends_it_and_what_is_said_later_counts(house: House, absences: Absences, town: Town) -> None:
    for stand_in in ("U0BOB", "U0CAROL"):
        await absences.say("U0ALICE", stand_in, house.clock() + DAY, await facts(town))
    assert await told(house, "U0ALICE") == {"U0ALICE": "U0CAROL"}
    ended = await absences.end("U0ALICE")
    assert ended is not None
    assert ended.stand_in == "U0CAROL"
    assert await told(house, "U0ALICE") == {}
    assert [kind for kind in events(house) if kind.startswith("absence")] == [
        "absence.said",
        "absence.said",
        "absence.ended",
    ]


async def test_a_chain_is_told_and_not_followed(house: House, absences: Absences, town: Town) -> None:
    await absences.say("U0BOB", "U0CAROL", house.clock() + DAY, await facts(town))
    said = await absences.say("U0ALICE", "U0BOB", house.clock() + DAY, await facts(town))
    assert said.of_stand_in is not None
    assert said.of_stand_in.stand_in == "U0CAROL"
    assert await told(house, "U0ALICE") == {"U0ALICE": "U0BOB"}


async def test_two_who_stand_in_for_each_other_are_no_loop(house: House, absences: Absences, town: Town) -> None:
    await absences.say("U0BOB", "U0ALICE", house.clock() + DAY, await facts(town))
    await absences.say("U0ALICE", "U0BOB", house.clock() + DAY, await facts(town))
    assert await told(house, "U0ALICE", "U0BOB") == {"U0ALICE": "U0BOB", "U0BOB": "U0ALICE"}


@pytest.mark.parametrize(
    ("user", "stand_in", "days", "kind", "code"),
    [
        ("U0ALICE", "U0ALICE", 1, UnfitStandIn, "own_stand_in"),
        ("U0ALICE", "U0GUEST", 1, UnfitStandIn, "unfit_stand_in"),
        ("U0ALICE", "U0GONE", 1, UnfitStandIn, "unfit_stand_in"),
        ("U0ALICE", "U0ROBOT", 1, UnfitStandIn, "unfit_stand_in"),
        ("U0ALICE", "U0PAT", 1, UnfitStandIn, "unfit_stand_in"),
        ("U0ALICE", "U0Parties()", 1, UnfitStandIn, "unfit_stand_in"),
        ("U0GUEST", "U0BOB", 1, NotAMember, "guest"),
        ("U0PAT", "U0BOB", 1, NotAMember, "foreign_team"),
        ("U0ALICE", "U0BOB", 0, NotATime, "time_is_over"),
        ("U0ALICE", "U0BOB", -1, NotATime, "time_is_over"),
        ("U0ALICE", "U0BOB", 61, NotATime, "time_too_far"),
    ],
)
async def test_what_is_refused_changes_nothing(
    house: House, absences: Absences, town: Town, user: str, stand_in: str, days: int, kind: type[Refusal], code: str
) -> None:
    with pytest.raises(kind) as caught:
        await absences.say(user, stand_in, house.clock() + days * DAY, await facts(town))
    assert caught.value.code == code
    assert await told(house, user) == {}
    assert "absence.said" not in events(house)


async def test_sixty_days_are_not_too_many_and_old_facts_are_refused(
    house: House, absences: Absences, town: Town
) -> None:
    assert LONGEST == 60 * DAY
    await absences.say("U0ALICE", "U0BOB", house.clock() + LONGEST, await facts(town))
    town.age = timedelta(seconds=31)
    with pytest.raises(FactsUnavailable):
        await absences.say("U0ALICE", "U0CAROL", house.clock() + DAY, await facts(town))
    assert await told(house, "U0ALICE") == {"U0ALICE": "U0BOB"}


async def test_a_stand_in_gains_no_right(house: House, absences: Absences, town: Town) -> None:
    rule = house.rulebook.policy.settings.rules[1].as_frozen
    await absences.say("U0ALICE", "U0CAROL", house.clock() + DAY, await facts(town))
    known = await town.load_facts({"U0ALICE", "U0CAROL"}, {"S0FINANCE"})
    assert judge("U0ALICE", rule, Parties(), known, house.clock()).allowed
    verdict = judge("U0CAROL", rule, Parties(), known, house.clock())
    assert (verdict.allowed, verdict.code) == (False, "not_a_reviewer")
