"""Thousands of requests with all that hangs on them, made up at random and written in bulk; and what each person may
see of them, reckoned in plain Python.

The reckoning shares nothing with the bot but its vocabulary: it goes through lists.
"""

import json
import math
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import SQLModel

from store.compiled import SQLITE
from store.engine import SqliteStore
from store.tables import DeciderKind, OutcomeStatus, OverrideKind, Place, Status, VoteKind
from tests.conftest import SAMPLE, START, TEAM, House, StandingClock, Town, furnish, sample_settings
from tests.faults.rounds import asked_for

REQUESTS = 20_000 if asked_for() else 4_000
DAYS = 40
PENDING = 0.04
AGENTS = ("refund-bot", "mail-bot", "deploy-bot", 'odd"; DROP TABLE--')
TOOLS = ("issue_refund", "look_up", "send_mail", "deploy", "send mail")
CHANNELS = ("C0REFUNDS", "C0OPS", "C0LEGAL", "C0DEPLOYS")
PEOPLE = ("U0ALICE", "U0BOB", "U0CAROL", "U0LEA", "U0DAN", "U0MEMBER")
REVIEWERS = {
    "refunds": {"U0ALICE", "U0BOB"}, "mail": {"U0CAROL"}, "deploys": {"U0OTHER"}, "look-ups": {"U0BOB"},
}  # fmt: skip
ASKERS = ("U0ADMIN", *PEOPLE, "U0GUEST", "U0NEMO")

_AGENT = '[agents.{}]\nowners = ["U0OWNER"]\ntools = ["*"]\n'
_RULE = """
[[rules]]
name = "{name}"
agent = "*"
tool = "{tool}"
stage = "approve"
channel = "{channel}"
reviewers = ["{group}"]
{more}
"""
CONFIG = "\n".join([
    SAMPLE.split("[[rules]]")[0],
    _AGENT.format("mail-bot"), _AGENT.format("deploy-bot"),
    '[reviewers.legal]\nusers = ["U0CAROL"]\n[reviewers.ops]\nusers = ["U0OTHER"]\n',
    '[reviewers.leads]\nusers = ["U0LEA"]\nusergroups = ["S0LEADS"]\n',
    '[plans.standard]\n[[plans.standard.steps]]\nafter = "5m"\nnotify = ["thread"]\nwiden = ["leads"]\n',
    '[[rules]]\nname = "look-ups"\nagent = "*"\ntool = "look_*"\nstage = "autonomous"\n'
    'channel = "C0OPS"\nreviewers = ["watchers"]\n[reviewers.watchers]\nusers = ["U0BOB"]\n',
    _RULE.format(name="refunds", tool="issue_*", channel="C0REFUNDS", group="finance", more=""),
    _RULE.format(name="mail", tool="send*", channel="C0LEGAL", group="legal", more=""),
    _RULE.format(name="deploys", tool="deploy", channel="C0DEPLOYS", group="ops", more='plan = "standard"'),
])  # fmt: skip


def people_of(town: Town) -> None:
    """Who is who."""
    for user in PEOPLE:
        town.add(user)
    town.add("U0GUEST", is_guest=True)
    town.groups["S0LEADS"] = frozenset({"U0DAN", "U0GUEST"})
    town.memberships["U0MEMBER"] = frozenset({"C0OPS", "C0LEGAL"})
    town.memberships["U0GUEST"] = frozenset(CHANNELS)
    town.memberships["U0CAROL"] = frozenset({"C0DEPLOYS"})


@dataclass
class Known:
    """One request as it was made up, with what hangs on it."""

    row: dict[str, Any]
    rule: str | None
    person: str | None
    cards: list[dict[str, Any]] = field(default_factory=list)
    votes: list[dict[str, Any]] = field(default_factory=list)
    overrides: list[dict[str, Any]] = field(default_factory=list)
    joined: list[dict[str, Any]] = field(default_factory=list)

    @property
    def number(self) -> int:
        number: int = self.row["number"]
        return number

    @property
    def is_decided(self) -> bool:
        return self.row["status"] not in (Status.PENDING, Status.CANCELLED)

    def may_be_seen_by(self, user: str) -> bool:
        """Who sees what, said once more in other words."""
        if user in ("U0GUEST", "U0NEMO"):
            return False
        if user == "U0ADMIN":
            return True
        if user in REVIEWERS.get(self.rule or "", set()):
            return True
        if self._lets_join(user):
            return True
        mine = {"U0MEMBER": {"C0OPS", "C0LEGAL"}, "U0CAROL": {"C0DEPLOYS"}}.get(user, set())
        return any(card["channel"] in mine and card["place"] != Place.DM for card in self.cards)

    def may_be_decided_by(self, user: str) -> bool:
        if self.rule is None or user == self.person:
            return False
        return user in REVIEWERS[self.rule] or self._lets_join(user)

    def _lets_join(self, user: str) -> bool:
        return any(
            user in json.loads(one["users"]) or (user == "U0DAN" and "S0LEADS" in json.loads(one["usergroups"]))
            for one in self.joined
        )


@dataclass
class History:
    """Everything that was made up, by number."""

    requests: list[Known]

    def seen_by(self, user: str) -> list[Known]:
        return [one for one in self.requests if one.may_be_seen_by(user)]

    def overrides(self, seen: Sequence[Known]) -> Iterator[tuple[Known, dict[str, Any]]]:
        for one in seen:
            for override in one.overrides:
                yield one, override


def invent(house: House, seed: int, instances: Sequence[tuple[str, str, str | None]]) -> History:
    """Make up a history. ``instances``: id, agent and person of each."""
    draw = random.Random(seed)
    versions = {name: house.rulebook._edition.versions[name] for name in ("look-ups", "refunds", "mail", "deploys")}
    ids = iter(range(1, 10**9))
    requests = []
    for number in range(1, REQUESTS + 1):
        asked_at = START - timedelta(seconds=draw.uniform(3600, DAYS * 86_400))
        requests.append(_request(draw, number, asked_at, instances, versions, ids))
    return History(requests)


def _request(
    draw: random.Random,
    number: int,
    asked_at: datetime,
    instances: Sequence[tuple[str, str, str | None]],
    versions: dict[str, int],
    ids: Iterator[int],
) -> Known:
    instance, agent, person = draw.choice(instances)
    rule = draw.choices([None, "look-ups", "refunds", "mail", "deploys"], [1, 8, 4, 3, 2])[0]
    tool = draw.choice(TOOLS)
    row: dict[str, Any] = {
        "number": number, "id": f"id-{number}", "instance_id": instance, "agent": agent, "create_key": f"k{number}",
        "submission_digest": b"s", "tool": tool, "arguments": '{"amount":1}', "timeout": "1h", "canonical_version": 1,
        "digest": b"digest", "salt": b"salt", "rule_id": versions.get(rule or ""),
        "status": Status.PENDING, "created_at": asked_at, "deadline_at": asked_at + timedelta(hours=2),
    }  # fmt: skip
    one = Known(row, rule, person)
    _decide(draw, one)
    if row.get("decided_by_kind") is not DeciderKind.RULE:
        _hang_on(draw, one, ids)
    return one


def _decide(draw: random.Random, one: Known) -> None:
    row, rule = one.row, one.rule
    # Somebody stopped the rule now and then, and people were asked.
    if rule is None or (rule == "look-ups" and draw.random() < 0.9):
        decided = {"decided_at": row["created_at"], "decided_by_kind": DeciderKind.RULE, "decided_by": rule}
        row |= decided | {"status": Status.DENIED if rule is None else Status.APPROVED}
    elif draw.random() < PENDING:
        # Some are past their deadline, which the sweep has not told yet.
        row["deadline_at"] = START + timedelta(minutes=draw.randint(-30, 90))
        return
    else:
        status = draw.choices([Status.APPROVED, Status.DENIED, Status.EXPIRED, Status.CANCELLED], [10, 5, 2, 1])[0]
        kind = {Status.EXPIRED: DeciderKind.CLOCK, Status.CANCELLED: DeciderKind.AGENT}.get(
            status, draw.choice([DeciderKind.PERSON, DeciderKind.PERSON, DeciderKind.ADMIN, DeciderKind.MEMORY])
        )
        people = kind in (DeciderKind.PERSON, DeciderKind.ADMIN)
        row |= {
            "status": status, "decided_by_kind": kind, "decided_by": draw.choice(PEOPLE) if people else None,
            "decided_at": row["created_at"] + timedelta(seconds=draw.randint(0, 3600)),
        }  # fmt: skip
    if row["status"] is Status.APPROVED:
        row["expires_at"] = row["decided_at"] + timedelta(minutes=5)
        fate = draw.random()
        if fate < 0.8:
            row |= {"consumed_at": row["decided_at"], "consume_key": "c"}
            row |= {"overdue_at": row["decided_at"] + timedelta(hours=1)} if draw.random() < 0.1 else {}
            row |= {"outcome": draw.choice(list(OutcomeStatus))} if draw.random() < 0.9 else {}
        elif fate < 0.9:
            row["revoked_at"] = row["decided_at"]
        else:
            row["lapsed_at"] = row["expires_at"]


def _hang_on(draw: random.Random, one: Known, ids: Iterator[int]) -> None:
    row, number = one.row, one.number
    for _ in range(draw.choice([0, 1, 1, 2])):
        place = draw.choice([Place.CHANNEL, Place.CHANNEL, Place.FALLBACK, Place.DM, Place.STEP])
        channel = f"D0{draw.choice(PEOPLE)}" if place is Place.DM and draw.random() < 0.5 else draw.choice(CHANNELS)
        posted = draw.random() < 0.9
        one.cards.append({
            "id": next(ids), "request_number": number, "place": place, "target": channel, "reposts": 0,
            "channel": channel if posted else None, "ts": f"{next(ids)}.1" if posted else None,
            "state": draw.choice(["live", "gone"]) if posted else "posting", "created_at": row["created_at"],
        })  # fmt: skip
    for user in draw.sample(PEOPLE, draw.choice([0, 1, 1, 2])):
        cast_at = row["created_at"] + timedelta(seconds=draw.randint(0, 3600))
        one.votes.append({
            "id": next(ids), "request_number": number, "user_id": user, "team_id": TEAM, "surface": "card",
            "kind": draw.choice(list(VoteKind)), "is_forced": False, "cast_at": cast_at,
            "withdrawn_at": cast_at if draw.random() < 0.2 else None,
        })  # fmt: skip
    if one.rule == "deploys" and draw.random() < 0.4:
        one.joined.append({
            "id": number, "request_number": number, "step_id": number, "seat": 0, "source": "leads",
            "users": json.dumps(draw.choice([["U0LEA"], [], ["U0OTHER"]])),
            "usergroups": json.dumps(draw.choice([["S0LEADS"], []])), "at": row["created_at"],
        })  # fmt: skip
    if one.is_decided and draw.random() < 0.15:
        for _ in range(draw.choice([1, 1, 2])):
            one.overrides.append({
                "id": next(ids), "kind": draw.choice(list(OverrideKind)), "request_number": number,
                "agent": row["agent"], "tool": row["tool"], "rule": one.rule, "user_id": draw.choice(PEOPLE),
                "team_id": TEAM, "at": row["decided_at"] + timedelta(minutes=draw.randint(0, 50)),
                "reason": "a reason", "displaced": "denied",
            })  # fmt: skip


def write(path: Path, history: History) -> None:
    """Write a history into a database, in bulk: what is not said of a row is null."""
    found = history.requests
    steps = [
        {"id": one.number, "request_number": one.number, "round": 1, "index": 0, "due_at": START, "taken_at": START,
         "state": "fired"}
        for one in found if one.joined
    ]  # fmt: skip
    with closing(sqlite3.connect(path)) as connection, connection:
        _insert(connection, "requests", [one.row for one in found])
        _insert(connection, "cards", [card for one in found for card in one.cards])
        _insert(connection, "votes", [vote for one in found for vote in one.votes])
        _insert(connection, "taken_steps", steps)
        _insert(connection, "seat_widenings", [joined for one in found for joined in one.joined])
        _insert(connection, "overrides", [override for one in found for override in one.overrides])


def _insert(connection: sqlite3.Connection, name: str, rows: Sequence[dict[str, Any]]) -> None:
    columns = list(SQLModel.metadata.tables[name].columns)
    processors = [column.type.dialect_impl(SQLITE).bind_processor(SQLITE) for column in columns]
    kinds = list(zip([column.name for column in columns], processors, strict=True))
    values = [
        [process(row.get(key)) if process is not None else row.get(key) for key, process in kinds] for row in rows
    ]
    marks = ", ".join("?" * len(columns))
    names = ", ".join(f'"{column.name}"' for column in columns)
    connection.executemany(f"INSERT INTO {name} ({names}) VALUES ({marks})", values)  # our own names


async def build(path: Path, seed: int) -> History:
    """Write a history into an empty database."""
    clock = StandingClock()
    store = await SqliteStore.open(path)
    house = await furnish(store, clock, Town(clock), sample_settings(CONFIG))
    instances = []
    for agent in AGENTS[:3]:
        for person in (None, "U0ALICE"):
            made, _ = await house.instances.create(f"{agent} {person}", agent, person)
            instances.append((made.id, agent, person))
    instances.append((instances[0][0], AGENTS[3], None))  # an agent that is no longer configured
    history = invent(house, seed, instances)
    await store.close()
    write(path, history)
    return history


def nth(ordered: Sequence[timedelta], share: float) -> timedelta:
    """The nearest rank."""
    return ordered[math.ceil(len(ordered) * share) - 1]
