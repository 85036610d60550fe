"""Approve with changes, and the standing vote that the changed call takes, on a real database."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest

from bot.hearings import Act
from bot.standing import Granted
from store.tables import FullView, Instance, Request, Status
from tests.conftest import House, submission

Acts = Callable[..., Act]
ORIGINAL = '{"amount": 4900, "to": "Zo\\u00eb"}'
CHANGED = '{"amount": 49.00, "to": "Zo\\u00eb"}'


@pytest.fixture
async def instance(house: House) -> Instance:
    made, _ = await house.instances.create("till", "refund-bot")
    return made


@pytest.fixture
async def asked(house: House, instance: Instance) -> Request:
    made, _ = await house.creation.submit(instance, submission(arguments=ORIGINAL), "first")
    return made


def _rows(house: House, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(house.store.path)) as connection:
        return connection.execute(sql).fetchall()


async def _change(house: House, request: Request, act: Act, text: str = CHANGED, **more: str) -> Granted:
    return await house.standing.approve_with_changes(request.number, act, text, seen=FullView.CARD, **more)


@pytest.fixture
def filled(acts: Acts) -> Acts:
    """Acts of people who filled in the form."""
    return lambda user, **more: acts(user, surface="modal", **{"full_view": FullView.FORM, **more})


async def test_the_call_is_denied_and_the_changed_one_waits(house: House, asked: Request, filled: Acts) -> None:
    house.clock.advance(seconds=5)
    granted = await _change(house, asked, filled("U0ALICE"))
    assert (granted.request.status, granted.request.decided_by) == (Status.DENIED, "U0ALICE")
    first, arguments = (granted.request.note or "").split("\n")
    until = (house.clock.now + timedelta(hours=24)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert first == (f"Approved with changes. Call issue_refund again with exactly these arguments, before {until}:")
    assert arguments == '{"amount":49.00,"to":"Zo\\u00eb"}'
    assert granted.standing is not None
    assert granted.standing.digest == submission(arguments=arguments).digest
    assert granted.standing.full_view is FullView.FORM
    assert _rows(house, "SELECT kind, full_view FROM votes") == [("deny", "card")]
    assert _rows(house, "SELECT type FROM events ORDER BY number DESC LIMIT 3") == [
        ("standing.granted",),
        ("request.decided",),
        ("vote.cast",),
    ]
    bodies = "".join(str(body) for (body,) in _rows(house, "SELECT body FROM events"))
    assert "amount" not in bodies
    drawing = await house.queries.drawing(asked.number)
    assert drawing is not None
    assert drawing.granted == (granted.standing,)


async def test_the_changed_call_is_approved_when_it_comes(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    granted = await _change(house, asked, filled("U0ALICE"))
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
    assert _rows(house, f"SELECT type FROM events WHERE request_number = {retried.number} ORDER BY number") == [
        ("request.made",), ("standing.taken",), ("vote.cast",), ("request.decided",),
    ]  # fmt: skip
    again, _ = await house.creation.submit(instance, submission(arguments=granted.arguments), "third")
    assert again.status is Status.PENDING  # it is used up
    assert again.repeats is None
