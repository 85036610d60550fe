"""What stands on whose Home tab: agents they may stop, what they decided, overrides and votes they may see."""

import pytest

from bot.ahead import Ahead
from bot.errors import FactsUnavailable
from bot.homes import MAX_AGENTS, Homes, Overview
from bot.redaction import Redactor
from bot.reports import Reports
from store.tables import HaltScope, VoteKind
from tests.conftest import House, submission
from tests.scenario.ahead_support import Acts, under
from tests.scenario.halts_support import ADMIN, AGENT, ALICE, ALL, BOB, BOTH, COMPANY, OTHER, OWNER, RULE, STRANGER

pytestmark = pytest.mark.both_databases


def homes(house: House) -> Homes:
    reports = Reports(house.store, house.rulebook, Redactor(b"k" * 32))
    ahead = Ahead(house.store, house.clock, house.rulebook, house.town, house.queries.sights, reports)
    return Homes(house.clock, house.rulebook, house.town, house.queries, reports, ahead, house.halts)


async def see(house: House, user: str) -> Overview:
    seen = await homes(house).overview(user)
    assert seen is not None
    return seen


@pytest.fixture
async def company(house: House) -> House:
    house.town.add(OTHER)
    house.town.add(BOTH)
    return await under(house, COMPANY)


@pytest.mark.parametrize(
    ("user", "agents"),
    [
        (ALICE, ["refund-bot"]),  # reviews its rules, by name
        (BOB, ["refund-bot"]),  # by user group
        (OWNER, ["refund-bot"]),
        (OTHER, ["mail-bot"]),
        (BOTH, ["refund-bot", "mail-bot"]),  # an admin; one's own come first
        (ADMIN, ["mail-bot", "refund-bot"]),
        (STRANGER, []),
    ],
)
async def test_whose_agents(company: House, user: str, agents: list[str]) -> None:
    seen = await see(company, user)
    assert [one.name for one in seen.agents] == agents
    assert {one.name for one in seen.agents if one.owns} == {
        name for name, owners in (("refund-bot", {OWNER, BOTH}), ("mail-bot", {OTHER})) if user in owners
    }
    if "refund-bot" in agents:
        stages = {one.name: one.stages for one in seen.agents}
        assert stages["refund-bot"] == (("look-ups", "autonomous"), ("refunds", "approve"))


@pytest.mark.parametrize(
    "facts",
    [{"is_guest": True}, {"is_deactivated": True}, {"is_bot": True}, {"team_id": "T0ELSE"}, {"is_stranger": True}],
)
@pytest.mark.parametrize("user", [ALICE, OWNER, ADMIN])
async def test_who_may_see_nothing(company: House, user: str, facts: dict[str, object]) -> None:
    company.town.add(user, **facts)
    assert await homes(company).overview(user) is None


async def test_slack_out_is_not_an_empty_tab(company: House) -> None:
    company.town.closed = True
    with pytest.raises(FactsUnavailable):
        await homes(company).overview(ALICE)


async def test_pauses_stand_with_their_agent_and_the_rest_below(company: House, acts: Acts) -> None:
    for target in (AGENT, RULE, ALL):
        await company.halts.pause(target, acts(ALICE), "too much")
    seen = await see(company, BOB)
    assert [one.scope for one in seen.agents[0].pauses] == [HaltScope.AGENT]
    assert [one.scope for one in seen.stopped] == [HaltScope.RULE, HaltScope.ALL]
    assert [one.scope for one in (await see(company, OTHER)).stopped] == [HaltScope.ALL]
    assert (await see(company, STRANGER)).stopped == ()


async def test_nobody_is_offered_to_resume_what_is_not_theirs_to(company: House, acts: Acts) -> None:
    for target in (AGENT, ALL):
        await company.halts.pause(target, acts(ADMIN), "too much")
    for user, may_resume in ((ADMIN, True), (BOB, False), (OWNER, False)):
        seen = await see(company, user)
        assert seen.agents[0].may_resume is may_resume
        assert (seen.kept == {one.id for one in seen.stopped}) is not may_resume
    await company.halts.pause(AGENT, acts(OWNER), "me too")
    assert (await see(company, OWNER)).agents[0].may_resume


async def test_many_agents_are_counted_and_the_paused_come_first(house: House, acts: Acts) -> None:
    text = COMPANY + "".join(f'\n[agents.z{at:02}]\nowners = ["U0OTHER"]\ntools = ["*"]\n' for at in range(20))
    many = await under(house, text)
    house.town.add(OTHER)
    await many.halts.pause(type(AGENT)(HaltScope.AGENT, "z19"), acts(ADMIN), "too much")
    seen = await see(many, ADMIN)
    assert len(seen.agents) == MAX_AGENTS
    assert seen.agent_count == 22
    assert seen.agents[0].name == "z19"


async def test_ones_own_decisions_and_the_overrides_in_sight(company: House, acts: Acts) -> None:
    instance, _ = await company.instances.create("till", "refund-bot")
    for at, user in enumerate((ALICE, ALICE, BOB)):
        made, _ = await company.creation.submit(instance, submission(arguments=f'{{"amount": {at}}}'), f"k{at}")
        await company.decisions.vote(made.number, acts(user), VoteKind.APPROVE)
    await company.overrides.revoke(1, acts(BOB), "wrong customer")
    alice, bob, stranger = await see(company, ALICE), await see(company, BOB), await see(company, STRANGER)
    assert [row.request.number for row in alice.decided.page.rows] == [2, 1]
    assert [row.request.number for row in bob.decided.page.rows] == [3]
    assert [row.override.reason for row in alice.overridden.page.rows] == ["wrong customer"]
    assert stranger.overridden.page.rows == stranger.decided.page.rows == ()
    company.clock.advance(days=31)
    assert (await see(company, ALICE)).overridden.page.total == 0
