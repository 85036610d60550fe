"""What is answered across requests, against a reckoning in plain Python over thousands of generated ones.

Four thousand; twenty thousand for whoever asks for more seeds with ``SIGNOFF_FAULT_SEEDS``.
"""

import asyncio
import shutil
import sqlite3
import statistics
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from bot.periods import Period
from bot.redaction import Redactor
from bot.reports import Reports, Wanted
from bot.sight import EVERYTHING
from store import statements_reports as sql
from store.engine import SqliteStore
from store.tables import DeciderKind, OutcomeStatus, OverrideKind, Status, VoteKind
from tests.conftest import START, House, StandingClock, Town, furnish, sample_settings
from tests.scenario.reports_support import ASKERS, CONFIG, History, Known, build, nth, people_of

WEEK = Period(START - timedelta(days=7), START)
ALL = Period(START - timedelta(days=400), START + timedelta(days=1))
SPANS = (WEEK, Period(START - timedelta(days=30), START - timedelta(days=20)), ALL)


@pytest.fixture(scope="module")
def history(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, History]:
    path = Path(shutil.copy(empty_database, tmp_path_factory.mktemp("history") / "signoff.db"))
    return path, asyncio.run(build(path, seed=7))


@pytest.fixture
async def told(
    history: tuple[Path, History], clock: StandingClock, town: Town
) -> AsyncIterator[tuple[House, Reports, History]]:
    """The same for every test: none of them writes."""
    people_of(town)
    store = await SqliteStore.open(history[0])
    house = await furnish(store, clock, town, sample_settings(CONFIG))
    yield house, Reports(store, house.rulebook, Redactor(b"k" * 32)), history[1]
    await store.close()


def _is_automatic(one: Known) -> bool:
    return one.row["status"] is Status.APPROVED and one.row["decided_by_kind"] is DeciderKind.RULE


def _fits(one: Known, wanted: Wanted) -> bool:
    row = one.row
    by_people = row.get("decided_by_kind") in (DeciderKind.PERSON, DeciderKind.ADMIN)
    return (
        one.is_decided
        and row["decided_at"] in wanted.period
        and (wanted.agent is None or row["agent"] == wanted.agent)
        and (wanted.tool is None or row["tool"] == wanted.tool)
        and (wanted.rule is None or one.rule == wanted.rule)
        and (wanted.status is None or row["status"] is wanted.status)
        and (wanted.by is None or (by_people and row["decided_by"] == wanted.by))
    )


def _newest_first(one: Known) -> tuple[datetime, int]:
    return one.row["decided_at"], one.number


FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"agent": "refund-bot"},
    {"agent": 'odd"; DROP TABLE--', "tool": "send mail"},
    {"tool": "issue_refund", "status": Status.DENIED},
    {"by": "U0BOB"},
    {"rule": "mail"},
    {"agent": "nobody"},
)


async def test_every_answer_is_what_plain_counting_gives(told: tuple[House, Reports, History]) -> None:
    house, reports, history = told
    spans = cycle(SPANS)  # each filter meets each span, of some asker or other
    for asker in ASKERS:
        sight = await house.queries.sights.of(asker)
        seen = history.seen_by(asker)
        for given in FILTERS:
            await _check_decided(reports, sight, seen, Wanted(next(spans), with_automatic=False, **given))
        for given in (*FILTERS[:3], {"by": "U0BOB"}, {"kind": OverrideKind.FORCED}, {"rule": "deploys"}):
            await _check_overridden(reports, sight, seen, Wanted(next(spans), **given))
        for agent in (None, "mail-bot"):
            await _check_stats(reports, sight, history, seen, Wanted(next(spans), agent=agent), asker)


async def _check_decided(reports: Reports, sight: Any, seen: list[Known], wanted: Wanted) -> None:
    everything = sorted((one for one in seen if _fits(one, wanted)), key=_newest_first, reverse=True)
    right = [one for one in everything if not _is_automatic(one)]
    last = max(len(right) - 7, 0)
    for offset in (0, last):
        answer = await reports.decided(sight, wanted, offset=offset, limit=10)
        assert answer.page.total == len(right)
        assert [row.request.number for row in answer.page.rows] == [one.number for one in right[offset : offset + 10]]
        assert answer.automatic == len(everything) - len(right)
    answer = await reports.decided(sight, replace(wanted, with_automatic=True), limit=3)
    assert [row.request.number for row in answer.page.rows] == [one.number for one in everything[:3]]
    assert (answer.page.total, answer.automatic) == (len(everything), 0)


async def _check_overridden(reports: Reports, sight: Any, seen: list[Known], wanted: Wanted) -> None:
    names = {"agent": "agent", "tool": "tool", "rule": "rule", "by": "user_id", "kind": "kind"}
    right = [
        (one, override)
        for one in seen
        for override in one.overrides
        if override["at"] in wanted.period
        and all(getattr(wanted, name) in (None, override[column]) for name, column in names.items())
    ]
    right.sort(key=lambda pair: (pair[1]["at"], pair[1]["id"]), reverse=True)
    answer = await reports.overridden(sight, wanted, offset=3, limit=10)
    assert answer.page.total == len(right)
    assert [row.override.id for row in answer.page.rows] == [override["id"] for _, override in right[3:13]]
    assert answer.kinds == Counter(override["kind"] for _, override in right)
    assert answer.requests == len({one.number for one, _ in right})
    decided = [one for one in seen if _fits(one, Wanted(wanted.period, wanted.agent, wanted.tool, wanted.rule))]
    assert answer.decided == len(decided)
    assert answer.rate == (answer.requests / len(decided) if decided else None)


async def _check_stats(
    reports: Reports, sight: Any, history: History, seen: list[Known], wanted: Wanted, asker: str
) -> None:
    stats = await reports.stats(sight, wanted)
    right = [one for one in seen if _fits(one, wanted)]
    overridden = [
        (one, override)
        for one in seen
        for override in one.overrides
        if override["at"] in wanted.period and wanted.agent in (None, one.row["agent"])
    ]
    agents = {one.row["agent"] for one in right} | {one.row["agent"] for one, _ in overridden}
    assert set(stats.agents) == agents
    for name, figures in [(None, stats.total), *stats.agents.items()]:
        mine = [one for one in right if name in (None, one.row["agent"])]
        theirs = [(one, override) for one, override in overridden if name in (None, one.row["agent"])]
        approved = [one.row for one in mine if one.row["status"] is Status.APPROVED]
        denied = [one.row for one in mine if one.row["status"] is Status.DENIED]
        waits = sorted(one.row["decided_at"] - one.row["created_at"] for one in mine if _by_people(one.row))
        assert (figures.decided, figures.approved, figures.denied) == (len(mine), len(approved), len(denied))
        assert figures.approved_by_rule == sum(row["decided_by_kind"] is DeciderKind.RULE for row in approved)
        assert figures.denied_by_people == sum(map(_by_people, denied))
        assert figures.expired == sum(one.row["status"] is Status.EXPIRED for one in mine)
        for column in ("consumed", "overdue", "revoked", "lapsed"):
            assert getattr(figures, column) == sum(row.get(f"{column}_at") is not None for row in approved)
        assert figures.succeeded == sum(row.get("outcome") is OutcomeStatus.SUCCEEDED for row in approved)
        assert figures.failed == sum(row.get("outcome") is OutcomeStatus.FAILED for row in approved)
        assert figures.overrides == len(theirs)
        assert figures.overridden == len({one.number for one, _ in theirs})
        assert figures.median_wait == (statistics.median(waits) if waits else None)
        assert figures.p90_wait == (nth(waits, 0.9) if waits else None)
    _check_people(stats.people, history, right, overridden, wanted, asker)


def _by_people(row: dict[str, Any]) -> bool:
    return row.get("decided_by_kind") in (DeciderKind.PERSON, DeciderKind.ADMIN)


def _check_people(
    people: Any, history: History, right: list[Known], overridden: list[Any], wanted: Wanted, asker: str
) -> None:
    votes = Counter(
        (vote["user_id"], vote["kind"])
        for one in history.requests
        for vote in one.votes
        if vote["withdrawn_at"] is None
        and vote["cast_at"] in wanted.period
        and wanted.agent in (None, one.row["agent"])
    )
    decided = Counter(one.row["decided_by"] for one in right if _by_people(one.row))
    made = Counter(override["user_id"] for _, override in overridden)
    users = {user for user, _ in votes} | set(decided) | set(made)
    if asker != "U0ADMIN":
        assert set(people) <= {asker}
        users &= {asker}
    assert set(people) == users
    for user in users:
        found = people[user]
        assert (found.approvals, found.denials) == (votes[user, VoteKind.APPROVE], votes[user, VoteKind.DENY])
        assert (found.decided, found.overrides) == (decided[user], made[user])
        waits = [
            one.row["decided_at"] - one.row["created_at"]
            for one in right
            if _by_people(one.row) and one.row["decided_by"] == user
        ]
        assert found.median_wait == (statistics.median(waits) if waits else None)


async def test_what_waits_is_what_plain_counting_gives(told: tuple[House, Reports, History]) -> None:
    house, _, history = told
    for asker in ASKERS:
        for other in (None, "U0ALICE", "U0LEA", "U0GUEST"):
            for channel in (None, "C0OPS"):
                waiting = await house.queries.waiting(asker, to=other, channel=channel)
                whose = other or asker
                right = [
                    one
                    for one in history.seen_by(asker)
                    if one.row["status"] is Status.PENDING and one.row["deadline_at"] > START
                    if channel is None
                    or any(card["channel"] == channel and card["place"] != "dm" for card in one.cards)
                ]
                right.sort(key=lambda one: (one.row["deadline_at"], one.number))
                able = [one for one in right if whose != "U0GUEST" and one.may_be_decided_by(whose)]
                voted = {
                    one.number for one in right for vote in one.votes
                    if vote["user_id"] == whose and vote["withdrawn_at"] is None
                }  # fmt: skip
                assert waiting.all == tuple(one.number for one in right)
                assert waiting.may_decide == {one.number for one in able}
                assert waiting.for_them == tuple(one.number for one in able if one.number not in voted)
                assert set(waiting.given) == voted


async def test_a_list_shows_what_show_shows(told: tuple[House, Reports, History]) -> None:
    """The filter in the database and the judgement of one request are the same rule."""
    house, _, history = told
    sample = [one for one in history.requests if one.is_decided][::97]
    for asker in ASKERS:
        shown = {one.number for one in sample if await house.queries.show(asker, str(one.number)) is not None}
        assert shown == {one.number for one in sample if one.may_be_seen_by(asker)}


async def test_the_operator_sees_everything(told: tuple[House, Reports, History]) -> None:
    _, reports, history = told
    answer = await reports.decided(EVERYTHING, Wanted(ALL), limit=1)
    assert answer.page.total == sum(one.is_decided for one in history.requests)
    assert set((await reports.stats(EVERYTHING, Wanted(ALL))).people) > {"U0ALICE", "U0LEA"}
    made: list[int] = []
    while rows := await reports.made(EVERYTHING, Wanted(WEEK), before=made[-1] if made else 10**9, limit=999):
        made += [row.request.number for row in rows]
    assert made == [one.number for one in reversed(history.requests) if one.row["created_at"] in WEEK]


def test_a_count_for_the_rate_reads_nothing_but_indexes(history: tuple[Path, History]) -> None:
    """What people were asked about is found without going through all that rules approve by themselves (T7)."""
    given = dict.fromkeys(("reviewed", "automatic", "widening", "channels", "users", "usergroups"), "[]")
    with closing(sqlite3.connect(history[0])) as connection:
        for filters in (frozenset({sql.SIGHT, sql.ASKED}), frozenset({sql.ASKED}), frozenset({sql.AUTOMATIC})):
            statement = sql.decided_count(filters)
            values = statement.bind({"since": START, "until": START, **given})
            plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", values)]
            index = "decided_at" if sql.AUTOMATIC in filters else "asked"
            assert f"SEARCH requests USING COVERING INDEX ix_requests_{index} (decided_at>? AND decided_at<?)" in plan
            cards = [step for step in plan if "cards" in step]
            assert all("USING COVERING INDEX ix_cards_request (request_number=?" in step for step in cards)
            assert bool(cards) == (sql.SIGHT in filters)
