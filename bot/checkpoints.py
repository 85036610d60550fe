"""Signed checkpoints of the audit chain: what is kept elsewhere, so that nobody can make another chain unseen.

A checkpoint says which chain (its origin), how many events it had, the hash of the last, and when. It is a compact
JWS (RFC 7515) signed with Ed25519: any JOSE library verifies it with the public key. That key is derived from the
secret key, so it is worth what the host is worth: who steals the secret key can sign anything, and the checkpoints
that were shipped elsewhere before show it all the same. Nothing here reads a database or a file.
"""

import json
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from bot.chain import Witness
from bot.sealing import derive_key

ALGORITHM = "Ed25519"
TYPE = "signoff-checkpoint"
MOST_CHARACTERS = 4096
_LABEL = "checkpoints"
_COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)  # the three parts of a compact JWS
_FIELDS = {"origin", "size", "root", "time"}


class BadCheckpoint(Exception):
    """A line is no checkpoint, or was not signed with this key. ``code`` says which."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The chain of ``origin`` had ``size`` events at ``time``, and ``root`` was the hash of the last."""

    origin: str
    size: int
    root: bytes
    time: datetime

    @property
    def as_witness(self) -> Witness:
        return Witness(self.size, self.root, f"the checkpoint of {self.time:%Y-%m-%d %H:%M:%S} UTC")


class PublicKey:
    """Verifies checkpoints."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key

    @classmethod
    def from_pem(cls, pem: bytes) -> "PublicKey":
        """Read a public key in PEM. Raises ``BadCheckpoint``."""
        try:
            key = OKPKey.import_key(pem)
        except (JoseError, ValueError, TypeError) as error:
            raise BadCheckpoint("key_unreadable", "This is no public key in PEM.") from error
        if key.curve_name != "Ed25519":
            raise BadCheckpoint("key_unreadable", "This is no Ed25519 key.")
        return cls(key)

    @property
    def pem(self) -> str:
        return self._key.as_pem(private=False).decode()

    @property
    def jwk(self) -> dict[str, Any]:
        """The key as JOSE libraries take it."""
        return {**self._key.as_dict(private=False), "kid": self.id, "alg": ALGORITHM, "use": "sig"}

    @property
    def id(self) -> str:
        """The beginning of the key's SHA-256, by which checkpoints name it."""
        raw: bytes = self._key.public_key.public_bytes_raw()
        return sha256(raw).hexdigest()[:16]

    def read(self, line: str) -> Checkpoint:
        """Verify one line of a file of checkpoints. Raises ``BadCheckpoint``."""
        token = line.strip()
        if len(token) > MOST_CHARACTERS or not _COMPACT.fullmatch(token):
            raise BadCheckpoint("checkpoint_unreadable", "The line is no checkpoint.")
        try:
            found = jws.deserialize_compact(token, self._key, algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadCheckpoint("signature_bad", "It was not signed with this key, or was changed since.") from error
        if found.headers().get("typ") != TYPE:
            raise BadCheckpoint("checkpoint_unreadable", "What was signed is no checkpoint.")
        return _parse(found.payload)


class Signer:
    """Signs checkpoints with the key that is derived from the secret key. Its repr shows nothing."""

    def __init__(self, secret_key: bytes) -> None:
        seed = derive_key(secret_key, _LABEL)
        self._key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", **_raw_pair(seed)})
        self.public = PublicKey(OKPKey.import_key(self._key.as_dict(private=False)))

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the line that is kept of a checkpoint, without its end."""
        payload = {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "time": checkpoint.time.astimezone(UTC).isoformat(),
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self.public.id}
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
        return jws.serialize_compact(header, text, self._key, algorithms=[ALGORITHM])


def _raw_pair(seed: bytes) -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return {"d": _base64url(seed), "x": _base64url(public)}


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _parse(payload: bytes) -> Checkpoint:
    try:
        fields = json.loads(payload)
        size, root, time = fields["size"], bytes.fromhex(fields["root"]), datetime.fromisoformat(fields["time"])
        origin = fields["origin"]
    except (ValueError, TypeError, KeyError) as error:
        raise BadCheckpoint("checkpoint_unreadable", "What was signed is no checkpoint.") from error
    is_sound = set(fields) == _FIELDS and type(size) is int and size > 0 and len(root) == 32
    if not is_sound or time.tzinfo is None or not isinstance(origin, str):
        raise BadCheckpoint("checkpoint_unreadable", "What was signed is no checkpoint.")
    return Checkpoint(origin, size, root, time)
