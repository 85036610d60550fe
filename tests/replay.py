"""What the events say, read without the code that wrote them: the state of each request, and who voted what.

The tables here are written by hand from the design, so that a mistake in ``bot.lifecycle`` does not hide itself.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from store.opening import Database
from tests.stores import rows_at

STEPS = {
    ("", "request.made"): "pending",
    ("pending", "approved"): "open",
    ("pending", "denied"): "denied",
    ("pending", "expired"): "expired",
    ("pending", "cancelled"): "cancelled",
    ("open", "request.consumed"): "consumed",
    ("open", "request.lapsed"): "lapsed",
    ("open", "request.revoked"): "revoked",
    ("consumed", "request.overdue"): "overdue",
    ("consumed", "succeeded"): "succeeded",
    ("consumed", "failed"): "failed",
    ("overdue", "succeeded"): "succeeded",
    ("overdue", "failed"): "failed",
}
REQUEST_COLUMNS = [
    "number", "status", "decided_by", "decision_code", "outcome", "consumed_at", "overdue_at", "revoked_at", "lapsed_at"
]  # fmt: skip
VOTE_COLUMNS = ["request_number", "user_id", "kind", "withdrawn_at"]
_CHANGE_NOTHING = {"request.looked_at", "request.claimed", "request.forgotten"}
_SAID_BY = {"request.decided": "status", "outcome.reported": "outcome"}


@dataclass
class History:
    """One request as its events tell it."""

    state: str = ""
    approving: set[str] = field(default_factory=set)
    denying: set[str] = field(default_factory=set)
    decided: dict[str, Any] | None = None
    at_decision: frozenset[str] = frozenset()

    def add(self, kind: str, body: dict[str, Any]) -> None:
        """Take the next event. Fails for one that cannot follow."""
        if kind == "vote.cast":
            assert self.state == "pending", f"a vote on a request that is {self.state}"
            assert body["user"] not in self.approving | self.denying, f"{body['user']} voted twice"
            (self.approving if body["kind"] == "approve" else self.denying).add(body["user"])
        elif kind == "vote.withdrawn":
            assert self.state == "pending", f"a vote withdrawn from a request that is {self.state}"
            (self.approving if body["kind"] == "approve" else self.denying).remove(body["user"])
        else:
            step = body[_SAID_BY[kind]] if kind in _SAID_BY else kind
            if (self.state, step) not in STEPS:
                assert kind in _CHANGE_NOTHING or not kind.startswith(("request.", "outcome.")), (
                    f"{step} happened to a request that is {self.state}"
                )
                return
            self.state = STEPS[self.state, step]
        if kind == "request.decided":
            self.decided, self.at_decision = body, frozenset(self.approving)


def replay(database: Database, *, after: int = 0) -> dict[int, History]:
    """Read the events of all requests with a number above ``after``."""
    histories: dict[int, History] = {}
    found = rows_at(
        database, "SELECT request_number, type, body FROM events WHERE request_number > ? ORDER BY number", after
    )
    for number, kind, body in found:
        histories.setdefault(number, History()).add(kind, json.loads(body))
    return histories


def assert_events_agree(database: Database, *, after: int = 0) -> dict[int, History]:
    """The rows are what their events say: state, decider and standing votes. Returns the histories."""
    histories = replay(database, after=after)
    rows = _records(database, "requests", REQUEST_COLUMNS, "number", after)
    votes = _records(database, "votes", VOTE_COLUMNS, "request_number", after)
    assert {row["number"] for row in rows} == set(histories)
    for row in rows:
        told = histories[row["number"]]
        assert told.state == state_in(row), f"request {row['number']}"
        assert (told.decided or {}).get("by") == row["decided_by"]
        assert (told.decided or {}).get("code") == row["decision_code"]
        live = [vote for vote in votes if vote["request_number"] == row["number"] and vote["withdrawn_at"] is None]
        assert sorted(told.approving) == sorted(vote["user_id"] for vote in live if vote["kind"] == "approve")
        assert sorted(told.denying) == sorted(vote["user_id"] for vote in live if vote["kind"] == "deny")
    return histories


def _records(database: Database, table: str, columns: list[str], number: str, after: int) -> list[dict[str, Any]]:
    found = rows_at(database, f"SELECT {', '.join(columns)} FROM {table} WHERE {number} > ?", after)
    return [dict(zip(columns, row, strict=True)) for row in found]


def state_in(row: Any) -> str:
    """A stored request's state in one word."""
    if row["status"] != "approved":
        return str(row["status"])
    if row["outcome"]:
        return str(row["outcome"])
    if row["consumed_at"]:
        return "overdue" if row["overdue_at"] else "consumed"
    return "revoked" if row["revoked_at"] else "lapsed" if row["lapsed_at"] else "open"
