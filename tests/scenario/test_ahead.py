"""What is held ahead: who sees which vote and which remembered denial, who lifts what, and what that puts on record."""

import json

import pytest

from bot.ahead import Ahead, HeldDenial, HeldVote
from bot.errors import FactsUnavailable, NothingToLift, NotYourVote
from bot.redaction import Redactor
from bot.reports import Reports
from store.tables import FullView, Instance, Request, Status, VoteKind
from tests.conftest import SAMPLE, House, submission
from tests.scenario.ahead_support import Acts, change, rows, under

pytestmark = pytest.mark.both_databases

TWO_ADMINS = SAMPLE.replace('users = ["U0ADMIN"]', 'users = ["U0ADMIN", "U0OWNER"]')


async def ask(house: House, instance: Instance, key: str, arguments: str = '{"amount": 4900}') -> Request:
    made, _ = await house.creation.submit(instance, submission(arguments=arguments), key)
    return made


@pytest.fixture
async def changed(house: House, instance: Instance, acts: Acts) -> Request:
    """A request that U0ALICE approved with changes: a vote that waits, and a denial that is remembered."""
    made = await ask(house, instance, "a")
    job = await house.outbox.load((await house.outbox.claim(1))[0])
    await house.outbox.posted(job, "C0REFUNDS", "1.1")
    await change(house, made, acts("U0ALICE", full_view=FullView.FORM), '{"amount": 49}', reason="the customer's wish")
    return made


def ahead(house: House) -> Ahead:
    reports = Reports(house.store, house.rulebook, Redactor(b"k" * 32))
    return Ahead(house.store, house.clock, house.rulebook, house.town, house.queries.sights, reports)


PEOPLE = [
    ("U0ALICE", {}, 2, True),  # whose vote it is
    ("U0BOB", {}, 2, False),  # a reviewer
    ("U0ADMIN", {}, 2, True),
    ("U0MEMBER", {}, 2, False),  # in the channel
    ("U0CAROL", {}, 0, False),
    ("U0OWNER", {}, 0, False),
    ("U0ALICE", {"is_guest": True}, 0, False),
    ("U0ALICE", {"is_deactivated": True}, 0, False),
    ("U0ADMIN", {"is_bot": True}, 0, False),
    ("U0ADMIN", {"team_id": "T0OTHER"}, 0, False),
    ("U0MEMBER", {"is_stranger": True}, 0, False),
    ("U0NEMO", None, 0, False),
]


@pytest.mark.parametrize(("user", "facts", "sees", "lifts"), PEOPLE)
async def test_who_sees_and_who_lifts(
    house: House, changed: Request, acts: Acts, user: str, facts: dict[str, object] | None, sees: int, lifts: bool
) -> None:
    house.town.memberships["U0MEMBER"] = frozenset({"C0REFUNDS"})
    if facts is not None:
        house.town.add(user, **facts)
    held = await ahead(house).held(user, limit=10)
    assert held.total == len(held.shown) == sees
    if sees:
        vote, denial = held.shown
        assert isinstance(vote, HeldVote)
        assert isinstance(denial, HeldDenial)
        assert vote.standing.user_id == "U0ALICE"
        assert vote.may_lift is lifts
        assert vote.row.card is not None
        assert denial.row.request.number == changed.number
    if lifts:
        await ahead(house).lift(1, acts(user, surface="home"))
    else:
        with pytest.raises(NotYourVote):
            await ahead(house).lift(1, acts(user, surface="home"))
    assert rows(house, "SELECT lifted_at IS NOT NULL FROM standing_votes") == [(lifts,)]


async def test_a_vote_for_a_denied_call_is_said_to_go_first(house: House, changed: Request, acts: Acts) -> None:
    """Of the call that was denied; a vote for the changed call says nothing about that."""
    _, denial = (await ahead(house).held("U0BOB", limit=10)).shown
    assert isinstance(denial, HeldDenial)
    assert not denial.votes_first
    await house.overrides.reverse(changed.number, acts("U0BOB", full_view=FullView.CARD), "it was right")
    denials = [one for one in (await ahead(house).held("U0ALICE", limit=10)).shown if isinstance(one, HeldDenial)]
    assert [one.votes_first for one in denials] == [True]


async def test_an_own_vote_is_seen_and_lifted_by_who_reviews_nothing_any_more(
    house: House, changed: Request, acts: Acts
) -> None:
    later = await under(house, SAMPLE.replace('users = ["U0ALICE"]', 'users = ["U0CAROL"]'))
    held = await ahead(later).held("U0ALICE", limit=10)
    assert held.votes == 1
    await ahead(later).lift(1, acts("U0ALICE"))
    assert (await ahead(later).held("U0ALICE", limit=10)).votes == 0


async def test_a_lifted_vote_counts_no_more_and_is_on_record(
    house: House, instance: Instance, changed: Request, acts: Acts
) -> None:
    act = acts("U0ADMIN", surface="home")
    await ahead(house).lift(1, act)
    await ahead(house).lift(1, act)  # Slack says it once more
    body = json.loads(str(rows(house, "SELECT body FROM events WHERE type = 'standing.lifted'")[0][0]))
    assert len(rows(house, "SELECT 1 FROM events WHERE type = 'standing.lifted'")) == 1
    assert body["user"] == "U0ALICE"
    assert body["by"] == "U0ADMIN"
    assert body["code"] == "lifted"
    assert body["number"] == changed.number
    assert rows(house, "SELECT reason FROM outbox WHERE reason = 'standing_lifted'")
    again = await ask(house, instance, "b", '{"amount": 49}')
    assert again.status is Status.PENDING
    assert rows(house, f"SELECT 1 FROM votes WHERE request_number = {again.number}") == []
    with pytest.raises(NothingToLift):
        await ahead(house).lift(1, acts("U0ADMIN"))


async def test_what_is_over_cannot_be_lifted(house: House, instance: Instance, changed: Request, acts: Acts) -> None:
    taken = await ask(house, instance, "b", '{"amount": 49}')
    assert taken.status is Status.APPROVED
    with pytest.raises(NothingToLift, match=f"#{taken.number} already"):
        await ahead(house).lift(1, acts("U0ALICE"))
    other = await ask(house, instance, "c", '{"amount": 1}')
    await change(house, other, acts("U0ALICE", full_view=FullView.FORM), '{"amount": 2}')
    house.clock.advance(hours=24)
    assert (await ahead(house).held("U0ALICE", limit=10)).total == 0
    with pytest.raises(NothingToLift):
        await ahead(house).lift(2, acts("U0ALICE"))
    with pytest.raises(NotYourVote):  # there is none: said as of another's
        await ahead(house).lift(99, acts("U0ALICE"))


async def test_rights_are_those_of_now(house: House, changed: Request, acts: Acts) -> None:
    """An admin of yesterday lifts nothing; with two admins either does."""
    nobody = await under(house, SAMPLE.replace('users = ["U0ADMIN"]', 'users = ["U0OWNER"]'))
    with pytest.raises(NotYourVote):
        await ahead(nobody).lift(1, acts("U0ADMIN"))
    two = await under(house, TWO_ADMINS)
    await ahead(two).lift(1, acts("U0OWNER"))


async def test_slack_out_is_neither_nothing_nor_a_right(house: House, changed: Request, acts: Acts) -> None:
    house.town.closed = True
    with pytest.raises(FactsUnavailable):
        await ahead(house).held("U0ALICE", limit=10)
    with pytest.raises(FactsUnavailable):
        await ahead(house).lift(1, acts("U0ALICE"))


async def test_of_denials_those_are_held_that_would_be_met(house: House, instance: Instance, acts: Acts) -> None:
    first, other = await ask(house, instance, "a"), await ask(house, instance, "b", '{"amount": 1}')
    twin = await ask(house, instance, "c")  # the same call as the first
    for one in (first, other, twin):
        await house.decisions.vote(one.number, acts("U0ALICE"), VoteKind.DENY, "no")
        house.clock.advance(seconds=1)
    held = await ahead(house).held("U0BOB", limit=10)
    assert [one.row.request.number for one in held.shown] == [twin.number, other.number]
    await house.memory.reopen(twin.number, acts("U0BOB"))
    held = await ahead(house).held("U0BOB", limit=10)  # what is older than the reopened one is forgotten with it
    assert [one.row.request.number for one in held.shown] == [other.number]
    house.clock.advance(hours=24)
    assert (await ahead(house).held("U0BOB", limit=10)).total == 0


async def test_pages_go_through_votes_and_denials(house: House, instance: Instance, acts: Acts) -> None:
    for at in range(5):
        made = await ask(house, instance, f"k{at}", f'{{"amount": {at}}}')
        await change(house, made, acts("U0ALICE", full_view=FullView.FORM), f'{{"amount": 1{at}}}')
        house.clock.advance(seconds=1)
    seen: list[tuple[str, int]] = []
    for offset in range(0, 12, 3):
        held = await ahead(house).held("U0BOB", offset=offset, limit=3)
        assert (held.votes, held.denials, held.total) == (5, 5, 10)
        seen += [(type(one).__name__, one.row.request.number) for one in held.shown]
    assert seen == [(kind, number) for kind in ("HeldVote", "HeldDenial") for number in (5, 4, 3, 2, 1)]
    own = await ahead(house).held("U0ALICE", limit=2, own_votes=True)
    assert (own.votes, own.denials, len(own.shown)) == (5, 0, 2)
    assert (await ahead(house).held("U0ADMIN", limit=2, own_votes=True)).total == 0


async def test_hidden_values_stay_hidden(house: House, acts: Acts) -> None:
    hiding = await under(house, SAMPLE.replace('validity = "5m"', 'validity = "5m"\nredact = ["card"]'))
    instance, _ = await hiding.instances.create("till", "refund-bot")
    made = await ask(hiding, instance, "a", '{"card": "4000123412341234", "amount": 1}')
    await hiding.decisions.vote(made.number, acts("U0ALICE"), VoteKind.DENY, "not 4000123412341234")
    held = await ahead(hiding).held("U0BOB", limit=10)
    assert held.denials == 1
    assert "4000123412341234" not in str(held)
