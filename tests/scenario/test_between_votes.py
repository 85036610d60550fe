"""What changes between two votes: the deciding write judges every counted vote anew, by that moment's facts."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.config import Settings
from bot.errors import AlreadyVoted, NotYourDecision, Refusal
from bot.hearings import Act
from bot.people import Person
from store.tables import FullView, Instance, Request, Status, VoteKind
from tests.conftest import SAMPLE, House, Town, sample_settings, submission

pytestmark = pytest.mark.both_databases

Acts = Callable[..., Act]
Change = Callable[[Town], None]

# Alice, Carol and Dan are named; Bob is a reviewer by his user group alone.
TWO = SAMPLE.replace('users = ["U0ALICE"]', 'users = ["U0ALICE", "U0CAROL", "U0DAN"]').replace(
    'reviewers = ["finance"]', 'reviewers = ["finance"]\nquorum = 2'
)
CHANGED = '{"amount": 49}'


def become(**facts: object) -> Change:
    """Bob is somebody else now, as Slack tells it."""
    return lambda town: town.add("U0BOB", **facts)


def _leave_the_group(town: Town) -> None:
    town.groups["S0FINANCE"] = frozenset()


def _disappear(town: Town) -> None:
    del town.people["U0BOB"]


def _hide_the_group(town: Town) -> None:
    del town.groups["S0FINANCE"]


CHANGES = {
    "deactivated": become(is_deactivated=True),
    "a guest": become(is_guest=True),
    "a bot": become(is_bot=True),
    "a stranger": become(is_stranger=True),
    "of another team": become(team_id="T0OTHER"),
    "out of the group": _leave_the_group,
    "unknown to Slack": _disappear,
    "of a group that Slack does not tell of": _hide_the_group,
}


@pytest.fixture
def settings() -> Settings:
    return sample_settings(TWO)


@pytest.fixture
def town(town: Town) -> Town:
    town.add("U0DAN")
    return town


@pytest.fixture
async def asked(house: House, instance: Instance) -> Request:
    return (await house.creation.submit(instance, submission(), "first"))[0]


@pytest.fixture(params=list(CHANGES))
def change(request: pytest.FixtureRequest) -> Change:
    return CHANGES[request.param]


async def _approve(house: House, asked: Request, act: Act) -> Status:
    return (await house.decisions.vote(asked.number, act, VoteKind.APPROVE)).status


async def test_a_vote_counts_no_more_once_its_voter_may_not(
    house: House, asked: Request, acts: Acts, change: Change
) -> None:
    assert await _approve(house, asked, acts("U0BOB")) is Status.PENDING
    change(house.town)
    assert await _approve(house, asked, acts("U0ALICE")) is Status.PENDING
    with pytest.raises(NotYourDecision):
        await _approve(house, asked, acts("U0BOB"))
    assert await _approve(house, asked, acts("U0CAROL")) is Status.APPROVED


async def test_who_has_got_the_right_back_counts_again(
    house: House, asked: Request, acts: Acts, change: Change
) -> None:
    people, groups = dict(house.town.people), dict(house.town.groups)
    await _approve(house, asked, acts("U0BOB"))
    change(house.town)
    await _approve(house, asked, acts("U0ALICE"))
    with pytest.raises(AlreadyVoted):
        await _approve(house, asked, acts("U0ALICE"))
    house.town.people, house.town.groups = people, groups
    assert await _approve(house, asked, acts("U0ALICE")) is Status.APPROVED


async def test_more_than_enough_is_enough(house: House, asked: Request, acts: Acts) -> None:
    """Where only exactly two would do, the third would leave it pending for ever."""
    bob, dan = house.town.people["U0BOB"], house.town.people["U0DAN"]
    await _approve(house, asked, acts("U0BOB"))
    house.town.people["U0BOB"] = replace(bob, is_guest=True)
    await _approve(house, asked, acts("U0DAN"))
    house.town.people["U0DAN"] = replace(dan, is_guest=True)
    assert await _approve(house, asked, acts("U0ALICE")) is Status.PENDING
    house.town.people |= {"U0BOB": bob, "U0DAN": dan}
    assert await _approve(house, asked, acts("U0CAROL")) is Status.APPROVED


async def test_a_vote_that_was_withdrawn_counts_no_more(house: House, asked: Request, acts: Acts) -> None:
    await _approve(house, asked, acts("U0BOB"))
    await house.decisions.withdraw(asked.number, acts("U0BOB"))
    assert await _approve(house, asked, acts("U0ALICE")) is Status.PENDING
    assert await _approve(house, asked, acts("U0BOB")) is Status.APPROVED


async def test_who_lost_the_right_may_still_take_the_vote_back(
    house: House, asked: Request, acts: Acts, change: Change
) -> None:
    await _approve(house, asked, acts("U0BOB"))
    change(house.town)
    await house.decisions.withdraw(asked.number, acts("U0BOB"))
    assert (await house.decisions.ballot(asked.number)).votes == ()


async def test_a_vote_cast_ahead_is_judged_when_it_is_taken(
    house: House, instance: Instance, asked: Request, acts: Acts, change: Change
) -> None:
    form = acts("U0BOB", surface="modal", full_view=FullView.FORM)
    await house.standing.approve_with_changes(asked.number, form, CHANGED, seen=FullView.CARD)
    change(house.town)
    retried, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "second")
    assert (await house.decisions.ballot(retried.number)).votes == ()
    assert await _approve(house, retried, acts("U0ALICE")) is Status.PENDING
    assert await _approve(house, retried, acts("U0CAROL")) is Status.APPROVED


async def test_a_vote_that_was_taken_is_judged_again_at_the_deciding_one(
    house: House, instance: Instance, asked: Request, acts: Acts, change: Change
) -> None:
    form = acts("U0BOB", surface="modal", full_view=FullView.FORM)
    await house.standing.approve_with_changes(asked.number, form, CHANGED, seen=FullView.CARD)
    retried, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "second")
    assert [vote.user_id for vote in (await house.decisions.ballot(retried.number)).votes] == ["U0BOB"]
    change(house.town)
    assert await _approve(house, retried, acts("U0ALICE")) is Status.PENDING
    assert await _approve(house, retried, acts("U0CAROL")) is Status.APPROVED


async def test_an_old_word_about_anybody_decides_nothing(house: House, asked: Request, acts: Acts) -> None:
    await _approve(house, asked, acts("U0BOB"))
    load = house.town.load_facts

    async def slow(users: object, groups: object) -> object:
        facts = await load(users, groups)  # type: ignore[arg-type]  # handed on
        house.clock.advance(seconds=31)  # the writer was busy meanwhile
        return facts

    house.town.load_facts = slow  # type: ignore[method-assign,assignment]  # this town is slow
    with pytest.raises(Refusal) as refused:
        await _approve(house, asked, acts("U0ALICE"))
    assert refused.value.code == "facts_too_old"
    assert [vote.user_id for vote in (await house.decisions.ballot(asked.number)).votes] == ["U0BOB"]


async def test_one_person_in_two_groups_is_one(house: House, acts: Acts, instance: Instance, asked: Request) -> None:
    """Alice is named, and in the user group; Bob is somebody else with her name."""
    house.town.groups["S0FINANCE"] = frozenset({"U0ALICE", "U0BOB"})
    house.town.people["U0BOB"] = Person("U0BOB", house.town.people["U0ALICE"].team_id, "u0alice")
    assert await _approve(house, asked, acts("U0ALICE")) is Status.PENDING
    with pytest.raises(AlreadyVoted):
        await _approve(house, asked, acts("U0ALICE", surface="modal", full_view=FullView.PAGES))
    assert await _approve(house, asked, acts("U0BOB")) is Status.APPROVED
