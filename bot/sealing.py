"""What must be readable again is stored sealed: AES-256-GCM under a key derived from the secret key. Pure.

Each use has a label of its own, and so a key of its own (HKDF-SHA256). What a secret belongs to is sealed in with it:
moved to another row it does not open.
"""

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32


class Unreadable(Exception):
    """This was sealed under another key, for something else, or was changed since."""


def derive_key(secret_key: bytes, label: str) -> bytes:
    """Return the key for one use of the secret key."""
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"signoff " + label.encode()).derive(secret_key)


class Seal:
    """Seals and opens secrets of one use. Its repr shows nothing."""

    def __init__(self, secret_key: bytes, label: str) -> None:
        self._cipher = AESGCM(derive_key(secret_key, label))

    def close(self, secret: bytes, owner: str) -> bytes:
        """Seal ``secret``, which belongs to ``owner``."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret, _VERSION + owner.encode())

    def open(self, sealed: bytes, owner: str) -> bytes:
        """Return what was sealed for ``owner``. Raises ``Unreadable``."""
        head, nonce, body = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if head != _VERSION:
            raise Unreadable
        try:
            return self._cipher.decrypt(nonce, body, _VERSION + owner.encode())
        except (InvalidTag, ValueError) as error:
            raise Unreadable from error


def keyed_hash(key: bytes, *parts: str) -> bytes:
    """Return the HMAC-SHA256 of texts, none of which can be taken for a piece of its neighbour."""
    return hmac.new(key, b"".join(f"{len(part)}:{part}".encode() for part in parts), hashlib.sha256).digest()
