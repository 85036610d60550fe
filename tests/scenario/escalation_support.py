"""A house whose rule has a plan: people who come one after the other, and what a test wants to know of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from bot.decisions import Act
from store import statements
from store.engine import SqliteStore
from store.opening import Database, open_database
from store.tables import FullView, Request
from tests.conftest import SAMPLE, START, TEAM, House, StandingClock, Town, furnish, sample_settings, submission
from tests.stores import database_of, rows_at

STEPS = """
[reviewers.leads]
users = ["U0LEA"]
usergroups = ["S0LEADS"]

[oncall.finance]
users = ["U0CAROL"]

[plans.standard]
before_deadline = "5m"
claim_pause = "10m"
[[plans.standard.steps]]
after = "10m"
notify = ["thread"]
[[plans.standard.steps]]
after = "5m"
notify = ["user:U0LEA", "channel:C0LEADS"]
widen = ["leads", "oncall:finance"]
[[plans.standard.steps]]
after = "5m"
notify = ["owners"]
hours = "Mon-Fri 09:00-18:00 UTC"
[[plans.standard.steps]]
after = "5m"
notify = ["oncall:finance"]
"""
"""Over an hour from 09:00 on a Sunday: 09:10 thread, 09:15 leads, 09:20 skipped, 09:25 on call, 09:55 reminder."""
PLANNED = SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nplan = "standard"') + STEPS
SEATED = (
    PLANNED.replace(
        'reviewers = ["finance"]\nplan', 'need = [{ reviewers = "finance" }, { reviewers = "security" }]\nplan'
    ).replace('widen = ["leads", "oncall:finance"]', 'widen = [{ seat = "security", reviewers = "leads" }]')
    + '\n[reviewers.security]\nusers = ["U0EVE"]\n'
)
MINUTES = (10, 15, 20, 25, 55)


async def furnish_planned(store: SqliteStore, clock: StandingClock, town: Town, text: str = PLANNED) -> House:
    """A house with the plan, and the people whom it asks."""
    for user in ("U0LEA", "U0LUKE", "U0EVE"):
        town.add(user)
    town.groups["S0LEADS"] = frozenset({"U0LUKE"})
    return await furnish(store, clock, town, sample_settings(text))


@asynccontextmanager
async def reopened(database: Database, clock: StandingClock, town: Town, text: str = PLANNED) -> AsyncIterator[House]:
    """The house of another process on the same database, or of this one after a restart."""
    store = await open_database(database)
    try:
        yield await furnish_planned(store, clock, town, text)
    finally:
        await store.close()


async def request_of(house: House, key: str = "k", lasts: str = "1h") -> Request:
    """Make an instance, and a request of it."""
    made, _ = await house.instances.create(f"till-{key}", "refund-bot")
    request, _ = await house.creation.submit(made, submission(timeout=lasts), key)
    return request


def act_of(user: str, name: str = "") -> Act:
    """An act of a person on the card, who saw the call whole. ``name`` parts it from another of theirs."""
    return Act(f"act-{user}-{name}", user, TEAM, "card", "C0REFUNDS", FullView.CARD)


async def load(house: House, request: Request) -> Request:
    found = await house.store.read(lambda unit: unit.one(statements.REQUEST, number=request.number))
    assert found is not None
    return found


async def run_to(house: House, minutes: float) -> None:
    """Let the time pass until some minutes after the start, with what comes due swept on time."""
    until = START + timedelta(minutes=minutes)
    while True:
        due = min(filter(None, [await house.escalations.next_due(), await house.deadlines.next_due()]), default=until)
        house.clock.now = max(house.clock.now, min(due, until))
        await house.deadlines.sweep()
        await house.escalations.sweep()
        if due >= until:
            house.clock.now = until
            return


def rows(house: House, query: str, *values: object) -> list[Any]:
    return rows_at(database_of(house.store), query, *values)


def steps(house: House) -> list[tuple[int, int, str]]:
    """Every step that was taken: round, index, state."""
    return rows(house, 'SELECT round, "index", state FROM taken_steps ORDER BY id')


def targets(house: House) -> list[str]:
    return [target for (target,) in rows(house, "SELECT target FROM step_targets ORDER BY id")]


def assert_each_target_has_its_intent(database: Database) -> None:
    """Nothing is missing and nothing doubled, as long as nobody carries anything out."""
    wanted = {
        (f"step:{target}", json.dumps({"step_target": target}, separators=(",", ":")))
        for (target,) in rows_at(database, "SELECT id FROM step_targets")
    }
    written = rows_at(database, "SELECT lane, about FROM outbox WHERE kind = 'notify'")
    assert len(written) == len(set(written))
    assert set(written) == wanted


def events(house: House) -> list[str]:
    return [kind for (kind,) in rows(house, "SELECT type FROM events ORDER BY number")]
