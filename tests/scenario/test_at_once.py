"""A press that is taken in one transaction, with what is at hand: what that takes, and that it is judged as ever."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.decisions import Act, Ballot
from bot.errors import AgentPaused, AlreadyDecided, NotYourDecision, Refusal, TooLate
from bot.halts import Target
from bot.people import Channel
from store import statements
from store.tables import HaltScope, Instance, Request, Status, VoteKind
from tests.conftest import House, submission
from tests.stores import database_of, rows_at

pytestmark = pytest.mark.both_databases

CARD = "C0REFUNDS", "1.1"
Acts = Callable[..., Act]
Deed = Callable[[House, Request, Acts], Awaitable[None]]


@pytest.fixture
async def asked(house: House, instance: Instance) -> Request:
    """A request whose card stands in its channel."""
    request, _ = await house.creation.submit(instance, submission(), "key")
    await house.outbox.posted(await house.outbox.load((await house.outbox.claim(1))[0]), *CARD)
    return request


async def _press(house: House, request: Request, act: Act, *, enough: bool = True) -> Request | None:
    """Press *Approve* on the card; ``enough``: whether a press is, of this ballot."""

    def suffices(ballot: Ballot) -> bool:
        assert ballot.request.number == request.number
        return enough

    return await house.decisions.approve_at_once(*CARD, request.number, act, suffices)


def _written(house: House) -> list[list[tuple[object, ...]]]:
    tables = ("requests", "votes", "acts", "events", "outbox")
    return [rows_at(database_of(house.store), f"SELECT * FROM {table}") for table in tables]


async def test_a_press_decides_and_a_repeat_of_it_changes_nothing(house: House, asked: Request, acts: Acts) -> None:
    act = acts("U0ALICE", None)
    decided = await _press(house, asked, act)
    assert decided is not None
    assert (decided.status, decided.decided_by) == (Status.APPROVED, "U0ALICE")
    assert decided == await house.store.peek(lambda unit: unit.one(statements.REQUEST, number=asked.number))
    before = _written(house)
    assert await _press(house, asked, act) == decided
    assert _written(house) == before
    for user in ("U0ALICE", "U0BOB"):
        with pytest.raises(AlreadyDecided):
            await _press(house, asked, acts(user, None))
    assert _written(house) == before


async def _nothing(house: House, asked: Request, acts: Acts) -> None:
    pass


async def _delete_the_card(house: House, asked: Request, acts: Acts) -> None:
    await house.outbox.card_deleted(*CARD)


async def _share_the_channel(house: House, asked: Request, acts: Acts) -> None:
    house.town.channels[CARD[0]] = Channel(CARD[0], is_shared=True)


async def _forget_the_channel(house: House, asked: Request, acts: Acts) -> None:
    house.town.forgotten.add(CARD[0])


async def _forget_the_group(house: House, asked: Request, acts: Acts) -> None:
    house.town.forgotten.add("S0FINANCE")


async def _forget_the_person(house: House, asked: Request, acts: Acts) -> None:
    house.town.forgotten.add("U0ALICE")


async def _let_another_vote(house: House, asked: Request, acts: Acts) -> None:
    """By somebody who lost the right since, so that it is still open; what Slack says of them is not at hand."""
    house.town.groups["S0FINANCE"] = frozenset()
    await house.store.write(
        lambda unit: unit.one(
            statements.INSERT_VOTE,
            request_number=asked.number, user_id="U0BOB", team_id="T0HOME", kind=VoteKind.APPROVE, note=None,
            surface="card", full_view=None, step_up=None, standing_id=None, is_forced=False, cast_at=house.clock(),
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("deed", "enough"),
    [
        (_nothing, False),
        (_delete_the_card, True),
        (_share_the_channel, True),
        (_forget_the_channel, True),
        (_forget_the_group, True),
        (_forget_the_person, True),
        (_let_another_vote, True),
    ],
)
async def test_what_is_doubtful_or_not_at_hand_goes_the_long_way_with_nothing_written(
    house: House, asked: Request, acts: Acts, deed: Deed, enough: bool
) -> None:
    await deed(house, asked, acts)
    before = _written(house)
    assert await _press(house, asked, acts("U0ALICE", None), enough=enough) is None
    assert _written(house) == before


async def test_another_message_or_number_is_not_recognised(house: House, asked: Request, acts: Acts) -> None:
    before = _written(house)
    for channel, ts, number in ((CARD[0], "2.2", 1), ("C0OTHER", CARD[1], 1), (*CARD, asked.number + 1)):
        act = acts("U0ALICE", None)
        assert await house.decisions.approve_at_once(channel, ts, number, act, lambda _: True) is None
    assert _written(house) == before


async def _pause(house: House, asked: Request, acts: Acts) -> None:
    await house.halts.pause(Target(HaltScope.AGENT, "refund-bot"), acts("U0ADMIN"), "wait")


async def _wait_too_long(house: House, asked: Request, acts: Acts) -> None:
    house.clock.advance(hours=2)


async def _remember_of_long_ago(house: House, asked: Request, acts: Acts) -> None:
    house.town.age = timedelta(seconds=31)


async def _make_guest(house: House, asked: Request, acts: Acts) -> None:
    house.town.people["U0ALICE"] = replace(house.town.people["U0ALICE"], is_guest=True)


@pytest.mark.parametrize(
    ("user", "deed", "refusal"),
    [
        ("U0CAROL", _nothing, NotYourDecision),
        ("U0OWNER", _nothing, NotYourDecision),
        ("U0ALICE", _make_guest, NotYourDecision),
        ("U0ALICE", _remember_of_long_ago, NotYourDecision),
        ("U0ALICE", _pause, AgentPaused),
        ("U0ALICE", _wait_too_long, TooLate),
    ],
)
async def test_the_one_door_judges_it_as_ever(
    house: House, asked: Request, acts: Acts, user: str, deed: Deed, refusal: type[Refusal]
) -> None:
    await deed(house, asked, acts)
    before = _written(house)
    with pytest.raises(refusal):
        await _press(house, asked, acts(user, None))
    assert _written(house) == before
