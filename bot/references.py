"""How people name a request: by its number, with or without ``#``, or by its id."""

from store import statements
from store.tables import Request
from store.unit import Unit


async def find_request(unit: Unit, reference: str) -> Request | None:
    """Return the request of a number or an id as people write them; None if there is none."""
    wanted = reference.strip().lstrip("#").lower()
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
        return await unit.one(statements.REQUEST, number=int(wanted))
    return await unit.one(statements.REQUEST_BY_ID, id=wanted) if len(wanted) == 36 else None
