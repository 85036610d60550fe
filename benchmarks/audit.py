"""How long it takes to verify a record of a million events: `python -m benchmarks.audit [EVENTS]`.

The database is made for it, with four events for each of a quarter of a million requests, and thrown away. Told is the
processor's time for checking the chain, and for comparing what is stored with it, and the most memory that was used; a
busy machine takes longer by the clock.
"""

import asyncio
import hashlib
import resource
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.audit import Audit
from bot.audit_record import check_record
from bot.call import CANONICAL_VERSION, canonical_call, load_json
from bot.chain import Faults
from bot.events import EventType, body_bytes, commit
from store.engine import SqliteStore
from store.schema import prepare
from store.statements import CHAIN_START

EVENTS = 1_000_000
MOST_SECONDS = 20
_START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
_SALT = b"s" * 16
_ARGUMENTS = '{"amount": %d, "customer": "c-%d", "reason": "late delivery"}'


def fill(path: Path, events: int) -> None:
    """Write a record that agrees, and the requests that it is of."""
    prepare(path, _START, upgrade=False)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute(
        "INSERT INTO instances (id, name, agent, created_at) VALUES ('i', 'till', 'refund-bot', ?)", (_text(_START),)
    )
    requests, chain, head = [], [], CHAIN_START
    for number in range(1, events // 4 + 1):
        row, bodies = _request(number)
        requests.append(row)
        for kind, at, body in bodies:
            text = body_bytes(
                {"v": 1, "type": kind, "at": at.isoformat(), "request": row["id"], "number": number, **body}
            )
            head = hashlib.sha256(head + text).digest()
            chain.append((_text(at), kind, number, text.decode(), head))
        if len(chain) >= 40_000:
            _insert(connection, requests, chain)
            requests, chain = [], []
    _insert(connection, requests, chain)
    connection.commit()
    connection.close()


def _request(number: int) -> tuple[dict[str, Any], list[tuple[str, datetime, dict[str, Any]]]]:
    at = _START + timedelta(seconds=number)
    deadline, used = at + timedelta(minutes=10), at + timedelta(seconds=1)
    arguments = _ARGUMENTS % (number, number)
    canonical = canonical_call("look_up", None, load_json(arguments))
    row = {
        "number": number, "id": f"{number:036}", "instance_id": "i", "agent": "refund-bot", "create_key": f"k{number}",
        "submission_digest": b"d", "tool": "look_up", "arguments": arguments, "timeout": "10m",
        "canonical_version": CANONICAL_VERSION, "digest": hashlib.sha256(canonical).digest(), "salt": _SALT,
        "status": "approved", "created_at": _text(at), "deadline_at": _text(deadline), "decided_at": _text(at),
        "decided_by_kind": "rule", "decided_by": "look-ups", "decision_code": "approved_by_rule",
        "expires_at": _text(deadline), "consumed_at": _text(used), "consume_key": "k", "outcome": "succeeded",
        "outcome_at": _text(used),
    }  # fmt: skip
    made = {
        "agent": "refund-bot", "instance": "i", "tool": "look_up", "call": commit(_SALT, canonical),
        "canonical": CANONICAL_VERSION, "rule": "look-ups", "deadline_at": deadline.isoformat(),
    }  # fmt: skip
    decided = {
        "status": "approved", "by_kind": "rule", "by": "look-ups", "code": "approved_by_rule",
        "decided_at": at.isoformat(), "expires_at": deadline.isoformat(),
    }  # fmt: skip
    return row, [
        (EventType.REQUEST_MADE.value, at, made),
        (EventType.REQUEST_DECIDED.value, at, decided),
        (EventType.REQUEST_CONSUMED.value, used, {"instance": "i"}),
        (EventType.OUTCOME_REPORTED.value, used, {"outcome": "succeeded"}),
    ]


def _insert(connection: sqlite3.Connection, requests: list[dict[str, Any]], chain: list[tuple[Any, ...]]) -> None:
    if requests:
        names = list(requests[0])
        values = ", ".join("?" for _ in names)
        connection.executemany(
            f"INSERT INTO requests ({', '.join(names)}) VALUES ({values})",
            [list(row.values()) for row in requests],
        )
    connection.executemany("INSERT INTO events (at, type, request_number, body, hash) VALUES (?, ?, ?, ?, ?)", chain)


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


async def measure(path: Path) -> tuple[float, float, str, str]:
    """Verify the record; returns how many seconds the chain took, and what is stored, and how much each was."""
    store, faults = await SqliteStore.open(path), Faults()
    try:
        begun = time.process_time()
        verdict = await Audit(store, lambda: _START).verify((), faults)
        chain = time.process_time()
        requests = await check_record(store, faults)
        done = time.process_time()
    finally:
        await store.close()
    if faults.count:
        raise SystemExit(f"{faults.count} faults: {faults.kept[:3]}")
    return chain - begun, done - chain, f"{verdict.events} events", f"{requests} requests"


def main() -> int:
    """Run it; 1 if it took too long."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signoff.db"
        fill(path, events)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        chain, stored, events_told, requests_told = asyncio.run(measure(path))
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sys.stdout.write(f"audit verify, {events_told}: {chain:.1f} s (at most {MOST_SECONDS})" + "\n")
    sys.stdout.write(
        f"and with --stored, {requests_told}: {stored:.1f} s more; {more:.0f} MB more memory than before" + "\n"
    )
    return 1 if events == EVENTS and chain > MOST_SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())
