"""The audit chain: the types of events, their canonical bytes, and how one is appended.

An event's body is canonical JSON of strings, safe integers and booleans, and holds salted commitments in place of
arguments and notes, so that these can be removed later and the chain still verifies. Body and chain are apart: the
body has neither number nor previous hash, ``hash_n = SHA-256(hash_{n-1} || body_n)``.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from bot.compact_json import compact_encoder
from store.tables import Request
from store.unit import Unit

BODY_VERSION = 1
_SAFE = 2**53 - 1
_encode = compact_encoder(ensure_ascii=True)


class EventType(StrEnum):
    """Everything that is on record. The only list of it."""

    REQUEST_MADE = "request.made"
    REQUEST_DECIDED = "request.decided"
    REQUEST_CONSUMED = "request.consumed"
    REQUEST_REVOKED = "request.revoked"
    REQUEST_LAPSED = "request.lapsed"
    REQUEST_OVERDUE = "request.overdue"
    REQUEST_CLAIMED = "request.claimed"
    REQUEST_FORGOTTEN = "request.forgotten"
    REQUEST_LOOKED_AT = "request.looked_at"
    OUTCOME_REPORTED = "outcome.reported"
    VOTE_CAST = "vote.cast"
    VOTE_WITHDRAWN = "vote.withdrawn"
    OVERRIDE_MADE = "override.made"
    STANDING_GRANTED = "standing.granted"
    STANDING_TAKEN = "standing.taken"
    STANDING_LIFTED = "standing.lifted"
    DENIAL_REOPENED = "denial.reopened"
    STEP_TAKEN = "step.taken"
    STEP_SKIPPED = "step.skipped"
    STEP_FAILED = "step.failed"
    SEAT_WIDENED = "seat.widened"
    HALT_BEGUN = "halt.begun"
    HALT_ENDED = "halt.ended"
    PAGES_OPENED = "pages.opened"
    CARD_POSTED = "card.posted"
    CARD_LOST = "card.lost"
    DIGEST_POSTED = "digest.posted"
    NOTIFICATION_SENT = "notification.sent"
    NOTIFICATION_FAILED = "notification.failed"
    INSTANCE_CREATED = "instance.created"
    INSTANCE_REVOKED = "instance.revoked"
    INSTANCE_RENAMED = "instance.renamed"
    DELIVERY_CONFIGURED = "delivery.configured"
    DELIVERY_ENDED = "delivery.ended"
    PROVISIONER_CREATED = "provisioner.created"
    PROVISIONER_REVOKED = "provisioner.revoked"
    CREDENTIAL_CREATED = "credential.created"
    CREDENTIAL_REVOKED = "credential.revoked"
    CONFIG_LOADED = "config.loaded"
    CONFIG_RELOADED = "config.reloaded"
    CONFIG_REFUSED = "config.refused"
    PASSCODE_FAILED = "passcode.failed"
    PASSCODE_LOCKED = "passcode.locked"
    PASSCODE_ENROLMENT_OPENED = "passcode.enrolment_opened"
    PASSCODE_ENROLMENT_ENDED = "passcode.enrolment_ended"
    PASSCODE_OFFERED = "passcode.offered"
    PASSCODE_ENROLLED = "passcode.enrolled"
    ABSENCE_SAID = "absence.said"
    ABSENCE_ENDED = "absence.ended"
    RECORD_QUERIED = "record.queried"
    RECORD_EXPORTED = "record.exported"
    CHECKPOINT_SIGNED = "checkpoint.signed"
    DATABASE_RESTORED = "database.restored"


async def append_event(
    unit: Unit, now: datetime, kind: EventType, request: Request | None = None, /, **facts: str | int | bool | None
) -> None:
    """Append an event in the transaction of ``unit``. A fact that is None is left out.

    Raises ``ValueError`` for a number that JSON readers may not keep exactly.
    """
    name = str(kind)
    body: dict[str, str | int | bool] = {"v": BODY_VERSION, "type": name, "at": now.isoformat()}
    if request is not None:
        body["request"] = request.id
        body["number"] = request.number
    body.update({fact: value for fact, value in facts.items() if value is not None})
    await unit.append(now, name, None if request is None else request.number, body_bytes(body))


def body_bytes(body: Mapping[str, str | int | bool]) -> bytes:
    """Return an event's canonical bytes. ASCII, so that no reader has to agree with us on Unicode."""
    for value in body.values():
        if isinstance(value, int) and not -_SAFE <= value <= _SAFE:
            raise ValueError(f"not a safe integer: {value}")
    return _encode(body).encode()


def commit_to_text(request: Request, text: str | None) -> str | None:
    """Return the salted commitment to a note, or None where there is none."""
    return None if text is None else commit(request.salt, text.encode())


def commit(salt: bytes, content: bytes) -> str:
    """Return ``SHA-256(salt || content)`` in hexadecimal."""
    return hashlib.sha256(salt + content).hexdigest()
