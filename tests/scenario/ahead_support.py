"""What the tests of standing votes and remembered denials share: people who fill in the form, and other rules."""

from collections.abc import Callable

from bot.hearings import Act
from bot.standing import Granted
from store.tables import FullView, Request
from tests.conftest import House, furnish, sample_settings
from tests.stores import database_of, rows_at

Acts = Callable[..., Act]
ORIGINAL = '{"amount": 4900, "to": "Zo\\u00eb"}'
CHANGED = '{"amount": 49.00, "to": "Zo\\u00eb"}'


def rows(house: House, sql: str) -> list[tuple[object, ...]]:
    return rows_at(database_of(house.store), sql)


async def change(house: House, request: Request, act: Act, text: str = CHANGED, **more: str) -> Granted:
    """Approve a request with changes, as somebody who saw it whole on its card."""
    return await house.standing.approve_with_changes(request.number, act, text, seen=FullView.CARD, **more)


async def still_open(house: House, request: Request) -> None:
    """Nothing was decided, granted or put on record."""
    assert rows(house, f"SELECT status FROM requests WHERE number = {request.number}") == [("pending",)]
    assert rows(house, "SELECT * FROM standing_votes") == rows(house, "SELECT * FROM votes") == []


async def under(house: House, text: str) -> House:
    """The same house under other rules."""
    return await furnish(house.store, house.clock, house.town, sample_settings(text))
