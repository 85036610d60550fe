"""One request's evidence as JSON: all that is stored and on record of it, as people may see it. Pure."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bot.evidence import Evidence
from bot.redaction import bracketed
from store.columns import Record
from store.tables import Event

FORMAT = "signoff-evidence/1"
_NOT_TOLD = {
    "salt",
    "digest",
    "submission_digest",
    "create_key",
    "consume_key",
    "request_number",
    "creation_digest",
    "shown_pause",
}


def render_json(evidence: Evidence, made_at: datetime, by: str) -> str:
    """Write the evidence down. Arguments and context stand as the text that was sent; bytes are hexadecimal."""
    drawing = evidence.drawing
    rule, witness = drawing.rule, drawing.witness
    content: dict[str, Any] = {
        "format": FORMAT,
        "made_at": made_at.astimezone(UTC).isoformat(),
        "made_by": by,
        "request": fields_of(drawing.request),
        "instance": {
            "id": drawing.instance.id,
            "name": drawing.instance.name,
            "agent": drawing.instance.agent,
            "person": drawing.instance.person,
        },
        "owners": sorted(drawing.parties.owners),
        "rule": None if rule is None else json.loads(rule.model_dump_json()),
        "votes": [fields_of(vote) for vote in sorted([*drawing.votes, *drawing.withdrawn], key=lambda vote: vote.id)],
        "votes_cast_ahead": _all(drawing.granted),
        "votes_taken": _all(drawing.taken),
        "overrides": _all(drawing.overrides),
        "cards": _all(evidence.cards),
        "events": [event_of(event, evidence.before[event.number]) for event in evidence.events],
        "record": {
            "last_event": None if evidence.head is None else evidence.head.number,
            "last_hash": None if evidence.head is None else evidence.head.hash.hex(),
            "shown_on_cards": None if witness is None else {"event": witness.number, "hash": witness.hash.hex()},
        },
        "commitments": {
            "how": "SHA-256(salt || UTF-8 of the canonical call, note or reason), in hexadecimal",
            "salt": None if evidence.salt is None else evidence.salt.hex(),
        },
    }
    return json.dumps(content, indent=2, ensure_ascii=True) + "\n"


def fields_of(record: Record) -> dict[str, Any]:
    """What a row holds, but for keys and digests."""
    return {name: _plain(value) for name, value in record.__dict__.items() if name not in _NOT_TOLD}


def event_of(event: Event, before: bytes) -> dict[str, Any]:
    """An event with what its hash is made of."""
    return {
        "number": event.number,
        "at": event.at.isoformat(),
        "type": event.type,
        "body": event.body,
        "previous_hash": before.hex(),
        "hash": event.hash.hex(),
    }


def _all(records: Iterable[Record]) -> list[dict[str, Any]]:
    return [fields_of(record) for record in records]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str):
        return bracketed(value)
    return value.hex() if isinstance(value, bytes) else value
