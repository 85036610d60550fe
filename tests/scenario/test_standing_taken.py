"""Standing votes on a real database: which request takes one, and that it is never more than a vote."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bot.errors import AlreadyVoted
from store.tables import DeciderKind, Instance, Request, Status, VoteKind
from tests.conftest import SAMPLE, House, submission
from tests.scenario.ahead_support import CHANGED, ORIGINAL, Acts, change, rows, under

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def asked(house: House, instance: Instance) -> Request:
    made, _ = await house.creation.submit(instance, submission(arguments=ORIGINAL), "first")
    return made


async def test_the_changed_call_is_approved_when_it_comes(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    granted = await change(house, asked, filled("U0ALICE"))
    assert granted.standing is not None
    house.clock.advance(minutes=1)
    retried, _ = await house.creation.submit(instance, submission(arguments=granted.arguments), "second")
    assert (retried.status, retried.decided_by, retried.decision_code) == (
        Status.APPROVED, "U0ALICE", "decided_by_votes",
    )  # fmt: skip
    assert retried.expires_at == house.clock.now + timedelta(minutes=5)
    drawing = await house.queries.drawing(retried.number)
    assert drawing is not None
    (taken,) = drawing.taken
    assert (taken.id, taken.taken_by, taken.taken_at) == (granted.standing.id, retried.number, house.clock.now)
    assert [vote.standing_id for vote in drawing.votes] == [taken.id]
    assert rows(house, f"SELECT type FROM events WHERE request_number = {retried.number} ORDER BY number") == [
        ("request.made",), ("standing.taken",), ("vote.cast",), ("request.decided",),
    ]  # fmt: skip
    again, _ = await house.creation.submit(instance, submission(arguments=granted.arguments), "third")
    assert again.status is Status.PENDING  # it is used up
    assert again.repeats is None


async def test_another_call_or_instance_takes_nothing(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    await change(house, asked, filled("U0ALICE"))
    other, _ = await house.instances.create("counter", "refund-bot")
    for key, (of, arguments) in enumerate(
        [(other, CHANGED), (instance, '{"amount": 49.01, "to": "Zoë"}'), (instance, '{"amount": 49}')]
    ):
        made, _ = await house.creation.submit(of, submission(arguments=arguments), f"other{key}")
        assert made.status is Status.PENDING
    assert rows(house, "SELECT taken_at FROM standing_votes") == [(None,)]


async def test_it_expires_with_the_time_the_rule_gives_it(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    granted = await change(house, asked, filled("U0ALICE"))
    assert granted.standing is not None
    house.clock.now = granted.standing.expires_at
    retried, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k2")
    assert retried.status is Status.PENDING
    # The expired one is not in the way of another.
    again = await change(house, retried, filled("U0ALICE"), '{"amount": 3}')
    third, _ = await house.creation.submit(instance, submission(arguments=ORIGINAL), "k3")
    assert again.standing is not None
    anew = await change(house, third, filled("U0ALICE"))
    assert anew.standing is not None


@pytest.mark.parametrize("loss", ["left the group", "deactivated", "guest", "owner now"])
async def test_the_vote_of_who_lost_the_right_is_not_taken(
    house: House, instance: Instance, asked: Request, filled: Acts, loss: str
) -> None:
    await change(house, asked, filled("U0BOB"))
    later = house
    if loss == "left the group":
        house.town.groups["S0FINANCE"] = frozenset()
    elif loss == "owner now":
        later = await under(house, SAMPLE.replace('owners = ["U0OWNER"]', 'owners = ["U0BOB"]'))
    else:
        house.town.add("U0BOB", **{"is_deactivated" if loss == "deactivated" else "is_guest": True})
    retried, _ = await later.creation.submit(instance, submission(arguments=CHANGED), "k2")
    assert retried.status is Status.PENDING
    assert rows(house, "SELECT taken_at FROM standing_votes") == [(None,)]


async def test_a_vote_that_counts_no_more_does_not_go_before_a_denial(
    house: House, instance: Instance, asked: Request, filled: Acts, acts: Acts
) -> None:
    """What people denied is reopened by one of today's reviewers, not by the word of somebody who is none any more."""
    refused, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k2")
    await house.decisions.vote(refused.number, acts("U0ALICE"), VoteKind.DENY, "Too much")
    await change(house, asked, filled("U0BOB"))
    house.town.add("U0BOB", is_deactivated=True)
    for key in ("k3", "k4"):
        retried, _ = await house.creation.submit(instance, submission(arguments=CHANGED), key)
        assert (retried.status, retried.repeats, retried.note) == (Status.DENIED, refused.number, "Too much")
    assert rows(house, "SELECT taken_at FROM standing_votes") == [(None,)]
    house.town.add("U0BOB")  # with the right it counts again, for as long as it lives
    back, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k5")
    assert (back.status, back.decided_by) == (Status.APPROVED, "U0BOB")


@pytest.mark.parametrize("asks", ['reason = "required"', 'step_up = "totp"'])
async def test_a_vote_that_lacks_what_the_rule_asks_now_is_not_taken(
    house: House, instance: Instance, asked: Request, filled: Acts, asks: str
) -> None:
    await change(house, asked, filled("U0ALICE"))
    asking = await under(house, f"{SAMPLE}{asks}\n")
    retried, _ = await asking.creation.submit(instance, submission(arguments=CHANGED), "k2")
    assert retried.status is Status.PENDING
    assert rows(house, "SELECT taken_at FROM standing_votes") == [(None,)]


async def test_it_is_never_more_than_one_vote(
    house: House, instance: Instance, asked: Request, filled: Acts, acts: Acts
) -> None:
    await change(house, asked, filled("U0ALICE"))
    two = await under(house, SAMPLE + "quorum = 2\n")
    retried, _ = await two.creation.submit(instance, submission(arguments=CHANGED), "k2")
    assert retried.status is Status.PENDING
    assert rows(house, f"SELECT place FROM cards WHERE request_number = {retried.number}") == [("channel",)]
    drawing = await two.queries.drawing(retried.number)
    assert drawing is not None
    assert [vote.user_id for vote in drawing.votes] == ["U0ALICE"]
    with pytest.raises(AlreadyVoted):
        await two.decisions.vote(retried.number, acts("U0ALICE"), VoteKind.APPROVE)
    decided = await two.decisions.vote(retried.number, acts("U0BOB"), VoteKind.APPROVE)
    assert decided.status is Status.APPROVED


async def test_votes_of_several_people_are_taken_together(house: House, filled: Acts) -> None:
    two = await under(house, SAMPLE + "quorum = 2\n")
    instance, _ = await two.instances.create("counter", "refund-bot")
    for key, user in enumerate(["U0ALICE", "U0BOB"]):
        made, _ = await two.creation.submit(instance, submission(arguments=f'{{"amount": {key}}}'), f"k{key}")
        granted = await change(two, made, filled(user))
        assert "It needs 2 approvals, and this is one of them." in (granted.request.note or "")
    retried, _ = await two.creation.submit(instance, submission(arguments=CHANGED), "k9")
    assert retried.status is Status.APPROVED
    assert rows(house, "SELECT count(*) FROM standing_votes WHERE taken_by IS NOT NULL") == [(2,)]


async def test_slack_out_of_reach_leaves_it_for_the_next_attempt(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    await change(house, asked, filled("U0ALICE"))
    house.town.closed = True
    first, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k2")
    assert first.status is Status.PENDING
    house.town.closed = False
    second, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k3")
    assert second.status is Status.APPROVED


@pytest.mark.parametrize(
    ("voter", "kind", "then"),
    [
        ("U0ALICE", VoteKind.APPROVE, Status.PENDING),
        ("U0BOB", VoteKind.APPROVE, Status.PENDING),
        ("U0ALICE", VoteKind.DENY, Status.DENIED),
        ("U0BOB", VoteKind.DENY, Status.DENIED),
    ],
)
async def test_it_ends_when_people_decide_the_call_that_it_waited_for(
    house: House, instance: Instance, asked: Request, filled: Acts, acts: Acts, voter: str, kind: VoteKind, then: Status
) -> None:
    """Slack was out of reach when the call came, so people were asked: their word is newer, and is given once."""
    await change(house, asked, filled("U0ALICE"))
    house.town.closed = True
    first, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k2")
    house.town.closed = False
    await house.decisions.vote(first.number, acts(voter), kind, "as I said")
    second, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k3")
    assert second.status is then
    assert rows(house, "SELECT taken_at, lifted_at IS NOT NULL FROM standing_votes") == [(None, 1)]
    assert rows(house, "SELECT count(*) FROM events WHERE type = 'standing.lifted'") == [(1,)]


async def test_it_ends_with_a_vote_of_the_same_person_that_decides_nothing_yet(
    house: House, instance: Instance, asked: Request, filled: Acts, acts: Acts
) -> None:
    await change(house, asked, filled("U0ALICE"))
    two = await under(house, SAMPLE + "quorum = 2\n")
    house.town.closed = True
    first, _ = await two.creation.submit(instance, submission(arguments=CHANGED), "k2")
    house.town.closed = False
    await two.decisions.vote(first.number, acts("U0ALICE"), VoteKind.APPROVE)
    second, _ = await two.creation.submit(instance, submission(arguments=CHANGED), "k3")
    assert rows(house, f"SELECT count(*) FROM votes WHERE request_number = {second.number}") == [(0,)]


async def test_a_denial_of_the_call_that_another_instance_made_is_newer(
    house: House, instance: Instance, asked: Request, filled: Acts, acts: Acts
) -> None:
    await change(house, asked, filled("U0ALICE"))
    other, _ = await house.instances.create("counter", "refund-bot")
    elsewhere, _ = await house.creation.submit(other, submission(arguments=CHANGED), "k2")
    await house.decisions.vote(elsewhere.number, acts("U0BOB"), VoteKind.DENY, "no")
    retried, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k3")
    assert (retried.status, retried.decided_by_kind) == (Status.DENIED, DeciderKind.MEMORY)


async def test_an_approval_for_another_instance_leaves_it(
    house: House, instance: Instance, asked: Request, filled: Acts, acts: Acts
) -> None:
    await change(house, asked, filled("U0ALICE"))
    other, _ = await house.instances.create("counter", "refund-bot")
    elsewhere, _ = await house.creation.submit(other, submission(arguments=CHANGED), "k2")
    await house.decisions.vote(elsewhere.number, acts("U0BOB"), VoteKind.APPROVE)
    retried, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k3")
    assert retried.status is Status.APPROVED


async def test_of_two_submissions_at_once_one_takes_it(house: House, instance: Instance, filled: Acts) -> None:
    for round_ in range(10):
        made, _ = await house.creation.submit(instance, submission(arguments=f'{{"amount": {round_}}}'), f"r{round_}")
        changed = f'{{"amount": {round_}.5}}'
        await change(house, made, filled("U0ALICE"), changed)
        results = await asyncio.gather(
            *(house.creation.submit(instance, submission(arguments=changed), f"r{round_}-{at}") for at in range(3))
        )
        assert sorted(request.status for request, _ in results) == [Status.APPROVED, Status.PENDING, Status.PENDING]
    assert rows(house, "SELECT count(*) FROM votes WHERE standing_id IS NOT NULL") == [(10,)]


async def test_the_same_key_again_is_the_same_request(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    await change(house, asked, filled("U0ALICE"))
    first, is_new = await house.creation.submit(instance, submission(arguments=CHANGED), "k2")
    assert is_new
    house.town.closed = True
    assert await house.creation.submit(instance, submission(arguments=CHANGED), "k2") == (first, False)


async def test_a_granted_vote_met_only_in_the_transaction_is_taken_too(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    """It is granted while Slack is asked about other things: the submission looks again."""
    looked = house.creation._look_ahead
    grants = iter([True])

    async def look_then_grant(call: Any) -> Any:
        met = await looked(call)
        if next(grants, False):
            await change(house, asked, filled("U0ALICE"))
        return met

    house.creation._look_ahead = look_then_grant  # type: ignore[method-assign]
    retried, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k2")
    assert retried.status is Status.APPROVED
