"""T7: what people overrode in a week, asked on a million requests of ninety days; before Slack is told.

In this process, with the use case itself, for an admin, for reviewers of what people are asked about and of what a rule
approves by itself too, and for somebody who is only in the channel; also what was decided, and the figures of the week.
The database is made by the database: a million rows are not worth a million calls.
"""

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measures import Latencies
from bot.config import parse_settings
from bot.instances import Instances
from bot.people import Channel, Facts, Person
from bot.periods import parse_period
from bot.redaction import Redactor
from bot.reports import Reports, Wanted
from bot.rulebook import Rulebook
from bot.sight import Sights
from handlers.slack.report_words import ROWS
from store.engine import SqliteStore
from store.schema import prepare

_DAYS = 90
PENDING = 100_000
_ASKED_EVERY = 5  # of the requests one in so many asks people; each has a card and a vote
_OVERRIDDEN_EVERY = 50  # one in so many of all is overridden
_TIMES = 30
DATABASE = "reports.db"
CHANNEL = "C0BENCH"
ASKERS = {
    "an admin": "U0ADMIN", "a reviewer": "U0ALICE", "a reviewer of all of it": "U0RITA", "in the channel": "U0SAM",
}  # fmt: skip
QUESTIONS = ("overrides", "recent", "stats")

_CONFIG = """
[server]
public_url = "http://127.0.0.1:8080"

[store]
url = "sqlite:///bench.db"

[admins]
users = ["U0ADMIN"]

[agents.bench]
owners = ["U0OWNER"]
tools = ["*"]

[reviewers.finance]
users = ["U0ALICE", "U0RITA"]

[reviewers.watchers]
users = ["U0RITA"]

[[rules]]
name = "by itself"
agent = "bench"
tool = "look_up"
stage = "autonomous"
channel = "C0BENCH"
reviewers = ["watchers"]

[[rules]]
name = "by people"
agent = "bench"
tool = "issue_refund"
stage = "approve"
channel = "C0BENCH"
reviewers = ["finance"]
"""

_REQUESTS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count),
     one AS (SELECT i, i % :asked = 0 AS asked,
                    strftime('%Y-%m-%dT%H:%M:%f000+00:00', :start + i * :step, 'unixepoch') AS made,
                    strftime('%Y-%m-%dT%H:%M:%f000+00:00', :start + i * :step + 60, 'unixepoch') AS decided,
                    strftime('%Y-%m-%dT%H:%M:%f000+00:00', :start + i * :step + 900, 'unixepoch') AS later FROM n)
INSERT INTO requests (number, id, instance_id, agent, create_key, submission_digest, tool, arguments, timeout,
    canonical_version, digest, salt, rule_id, status, created_at, deadline_at, decided_at, decided_by_kind, decided_by,
    decision_code, expires_at, consumed_at, consume_key, outcome, outcome_at)
SELECT i, 'r-' || i, :instance, 'bench', 'k' || i, x'00', iif(asked, 'issue_refund', 'look_up'),
    '{"customer":"c_123","amount":4900}', '15m', 1, x'00', x'00', iif(asked, :people, :itself),
    iif(asked AND i % 3 = 0, 'denied', 'approved'), made, later, iif(asked, decided, made),
    iif(asked, 'person', 'rule'), iif(asked, 'U0ALICE', 'by itself'), 'x', iif(asked AND i % 3 = 0, NULL, later),
    iif(asked AND i % 3 = 0, NULL, decided), iif(asked AND i % 3 = 0, NULL, 'c'),
    iif(asked AND i % 3 = 0, NULL, 'succeeded'), iif(asked AND i % 3 = 0, NULL, decided) FROM one
"""
# What waits: for longer than anything is measured, and for people who have no card of it.
_PENDING = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :pending)
INSERT INTO requests (id, instance_id, agent, create_key, submission_digest, tool, arguments, timeout,
    canonical_version, digest, salt, rule_id, status, created_at, deadline_at, due_at)
SELECT 'p-' || i, :instance, 'bench', 'p' || i, x'00', 'issue_refund_1', '{"customer":"c_123","amount":4900}', '24h', 1,
    x'00', x'00', :people, 'pending', :now, strftime('%Y-%m-%dT%H:%M:%f000+00:00', :start + :span + 86400, 'unixepoch'),
    strftime('%Y-%m-%dT%H:%M:%f000+00:00', :start + :span + 86400, 'unixepoch') FROM n
"""
_CARDS = """
INSERT INTO cards (request_number, place, target, channel, ts, state, created_at, reposts)
SELECT number, 'channel', 'C0BENCH', 'C0BENCH', number || '.1', 'live', created_at, 0 FROM requests
WHERE number % :asked = 0
"""
_VOTES = """
INSERT INTO votes (request_number, user_id, team_id, kind, surface, is_forced, cast_at)
SELECT number, 'U0ALICE', 'T0BENCH', iif(status = 'denied', 'deny', 'approve'), 'card', 0, decided_at FROM requests
WHERE number % :asked = 0
"""
_OVERRIDES = """
INSERT INTO overrides (kind, request_number, agent, tool, rule, user_id, team_id, at, reason, displaced)
SELECT iif(status = 'denied', 'reversed', 'reported'), number, agent, tool, 'by people', 'U0ALICE', 'T0BENCH',
    deadline_at, 'The customer was right.', 'denied' FROM requests WHERE number % :overridden = 0
"""


@dataclass(frozen=True)
class Asked:
    """How long each asker waited for the answer to each question, and how long it took to make the database.

    ``first`` is the very first answer to each, in milliseconds: nothing of the database is in memory, and the
    statements are not built yet.
    """

    by: dict[tuple[str, str], Latencies]
    first: dict[tuple[str, str], float]
    made_in_seconds: float


class _Everybody:
    """A directory of members in good standing; Sam is in the channel."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    async def load_facts(self, users: object, groups: object) -> Facts:
        return Facts(self._now, "T0BENCH", {user: Person(user, "T0BENCH", user) for user in ASKERS.values()})

    def at_hand(self, user: str, groups: object, channel: str) -> None:
        return None

    async def load_channels_of(self, user: str) -> frozenset[str]:
        return frozenset({CHANNEL} if user == "U0SAM" else ())

    async def load_channel(self, channel: str) -> Channel:
        return Channel(channel)


async def a_week(folder: Path, count: int) -> Asked:
    """Make ``count`` requests and ask about the last seven days, as ``/signoff overrides 7d`` and its sisters do.

    Leaves the database, with ``PENDING`` requests that wait beside the ``count``, in ``folder`` as ``DATABASE``.
    """
    path, now = folder / DATABASE, datetime.now(UTC)
    began = time.perf_counter()
    await asyncio.to_thread(prepare, path, now, upgrade=False)
    store = await SqliteStore.open(path)
    rulebook = await Rulebook.load(store, parse_settings(_CONFIG.encode(), {}, source="benchmark"), lambda: now)
    instance, _ = await Instances(store, lambda: now, b"k" * 32).create("till", "bench")
    versions = (await rulebook.edition()).versions
    await store.close()
    await asyncio.to_thread(_fill, path, now, count, instance.id, versions["by people"], versions["by itself"])
    made = time.perf_counter() - began
    store = await SqliteStore.open(path)
    sights = Sights(store, lambda: now, rulebook, _Everybody(now))
    reports = Reports(store, rulebook, Redactor(b"k" * 32))

    async def ask(question: str, user: str) -> float:
        began = time.perf_counter()
        sight = await sights.of(user)
        wanted = Wanted(parse_period("7d", now, sight.zone))
        match question:
            case "overrides":
                overridden = await reports.overridden(sight, wanted, limit=ROWS)
                found = overridden.page.total and overridden.decided
            case "recent":
                found = (await reports.decided(sight, replace(wanted, with_automatic=False), limit=ROWS)).page.total
            case _:
                found = (await reports.stats(sight, wanted)).total.decided
        took = time.perf_counter() - began
        if not found:
            raise RuntimeError(f"{user} saw nothing")
        return took

    by: dict[tuple[str, str], Latencies] = {}
    first = {}
    for question in QUESTIONS:
        for name, user in ASKERS.items():
            first[question, name] = await ask(question, user) * 1e3
            latencies = by[question, name] = Latencies()
            for _ in range(_TIMES):
                latencies.add(await ask(question, user))
    await store.close()
    return Asked(by, first, made)


def _fill(path: Path, now: datetime, count: int, instance: str, people: int, itself: int) -> None:
    span = timedelta(days=_DAYS).total_seconds()
    given = {
        "count": count, "asked": _ASKED_EVERY, "overridden": _OVERRIDDEN_EVERY, "start": now.timestamp() - span - 900,
        "step": span / count, "instance": instance, "people": people, "itself": itself, "span": span,
        "pending": PENDING, "now": now.isoformat(timespec="microseconds"),
    }  # fmt: skip
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=MEMORY")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-400000")
        # Indexes are built at once afterwards: a row at a time takes several times as long.
        found = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
            "AND tbl_name IN ('requests', 'cards', 'votes', 'overrides')"
        ).fetchall()
        connection.execute("BEGIN")
        for name, _ in found:
            connection.execute(f'DROP INDEX "{name}"')
        for statement in (_REQUESTS, _CARDS, _VOTES, _OVERRIDES, _PENDING):
            connection.execute(statement, given)
        for _, create in found:
            connection.execute(create)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")
