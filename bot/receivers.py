"""Receivers of notifications: how an instance's delivery is configured, proven, replaced and ended.

A configuration is stored only after the receiver has answered a signed challenge (agent-api.md, "Notifications"):
whoever names an address must be able to read what is sent there with their own secret. The signing secret is stored
sealed and never given out again.
"""

import base64
import binascii
import hmac
import json
import re
from dataclasses import dataclass, field
from typing import Protocol

from uuid_utils import uuid4

from bot.errors import BadInput, Limited, Refusal
from bot.sealing import Seal, Unreadable
from store.delivery_tables import Delivery

_SECRET_BYTES = 32
_PREFIX = "whsec_"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class NotVerified(Refusal):
    """The receiver did not answer the signed challenge as it should. Nothing was stored."""

    code = "webhook_verification_failed"


class TooManyChallenges(Limited):
    """As many receivers as may be are being challenged, at this host or address or for this provisioner. Nothing was
    stored; try again."""

    code = "too_many_verifications"


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver as a provisioner configures it. ``secret`` is the key that signs what is sent to it."""

    url: str
    registration_id: str
    secret: bytes = field(repr=False)


class Caller(Protocol):
    """Whoever carries a signed message to a receiver."""

    def refuse_unsafe(self, url: str) -> None:
        """Raise ``bot.addresses.UnsafeAddress`` for an address that is never called, as far as its text tells."""
        ...

    async def challenge(self, receiver: Receiver, message_id: str, body: bytes) -> bytes | None:
        """Post a signed message once; return the body of a 200, None for anything else.

        Raises ``UnsafeAddress`` or ``TooManyChallenges``.
        """
        ...


class Signing:
    """Keeps receivers' signing secrets."""

    def __init__(self, secret_key: bytes) -> None:
        self._seal = Seal(secret_key, "receiver-secret")

    def close(self, secret: bytes, instance_id: str) -> bytes:
        """Seal a secret for storing."""
        return self._seal.close(secret, instance_id)

    def open(self, delivery: Delivery) -> bytes | None:
        """Return a receiver's secret; None when the key it was sealed under is gone."""
        try:
            return self._seal.open(delivery.secret, delivery.instance_id)
        except Unreadable:
            return None


def parse_receiver(given: object) -> Receiver:
    """Read a ``delivery`` object of the protocol. Raises ``BadInput`` naming the field. Its url is not judged here."""
    if not isinstance(given, dict):
        raise BadInput("delivery must be an object.", param="delivery", code="invalid_field")
    for name in given:
        if name not in ("type", "url", "registration_id", "signing_secret"):
            raise BadInput(
                "delivery has a field that the protocol does not know.",
                param=f"delivery.{name}"[:75],
                code="unknown_field",
            )
    for name in ("type", "url", "registration_id", "signing_secret"):
        if not isinstance(given.get(name), str):
            code = "invalid_field" if name in given else "missing_field"
            raise BadInput(f"delivery.{name} must be a string.", param=f"delivery.{name}", code=code)
    if given["type"] != "webhook":
        words = "Only delivery of type webhook is supported."
        raise BadInput(words, param="delivery.type", code="unsupported_delivery_type")
    if _UUID.fullmatch(given["registration_id"]) is None:
        raise BadInput(
            "delivery.registration_id must be a UUID in lower case.",
            param="delivery.registration_id",
            code="invalid_field",
        )
    return Receiver(given["url"], given["registration_id"], _parse_secret(given["signing_secret"]))


def _parse_secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    # One key has one spelling: some receivers compare texts.
    if len(secret) != _SECRET_BYTES or text != _PREFIX + base64.b64encode(secret).decode():
        # What was sent is not repeated: it may be a secret all the same.
        raise BadInput(
            f"delivery.signing_secret must be {_PREFIX} and {_SECRET_BYTES} bytes in base64.",
            param="delivery.signing_secret",
            code="invalid_field",
        )
    return secret


async def verify_receiver(caller: Caller, receiver: Receiver, instance_id: str, created_at: str) -> None:
    """Have a receiver prove, in one try, that it reads what it is sent. Raises ``NotVerified`` or ``UnsafeAddress``."""
    caller.refuse_unsafe(receiver.url)
    message_id = str(uuid4())
    challenge = str(uuid4())
    message = {
        "id": message_id,
        "type": "webhook.verification",
        "registration_id": receiver.registration_id,
        "instance_id": instance_id,
        "created_at": created_at,
        "challenge": challenge,
    }
    answer = await caller.challenge(receiver, message_id, json.dumps(message, separators=(",", ":")).encode())
    if answer is None or not _is_answer(answer, challenge):
        raise NotVerified


def _is_answer(body: bytes, challenge: str) -> bool:
    """Whether a body is exactly ``{"challenge": …}``."""
    try:
        answer = json.loads(body, object_pairs_hook=_only_once)
    except (ValueError, RecursionError):
        return False
    if not isinstance(answer, dict) or set(answer) != {"challenge"} or not isinstance(answer["challenge"], str):
        return False
    return hmac.compare_digest(answer["challenge"].encode("utf-8", "surrogatepass"), challenge.encode())


def _only_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) != len(dict(pairs)):
        raise ValueError("a key is there twice")
    return dict(pairs)


def render_receiver(delivery: Delivery) -> dict[str, str]:
    """A delivery as the protocol gives it back: without its secret."""
    return {"type": "webhook", "url": delivery.url, "registration_id": delivery.registration_id}
