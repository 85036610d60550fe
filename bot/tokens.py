"""Agents' tokens: how they look, how they are derived, and what of them is stored. Pure.

A token is ``so_i_`` (an instance's), 43 characters of HMAC, and 6 of a CRC-32 checksum, all base62: the prefix lets
secret scanners find leaks and the checksum lets them, and us, dismiss a mistyped one without a look-up. It is
derived by HMAC from the secret key and the credential's id, so that a replayed creation can give it again; the
store keeps only its SHA-256.
"""

import hashlib
import hmac
import zlib

INSTANCE_PREFIX = "so_i_"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY, _CHECK = 43, 6


def instance_token(secret_key: bytes, credential_id: str) -> str:
    """Return the token of an instance's credential."""
    mac = hmac.new(secret_key, b"instance-token\0" + credential_id.encode(), hashlib.sha256).digest()
    stem = INSTANCE_PREFIX + _base62(int.from_bytes(mac), _BODY)
    return stem + _checksum(stem)


def token_hash(token: str) -> bytes:
    """Return what the store keeps of a token."""
    return hashlib.sha256(token.encode()).digest()


def looks_like_instance_token(token: str) -> bool:
    """Tell whether ``token`` has an instance token's form and checksum."""
    stem = token[:-_CHECK]
    return (
        len(token) == len(INSTANCE_PREFIX) + _BODY + _CHECK
        and token.isascii()
        and token.startswith(INSTANCE_PREFIX)
        and token[-_CHECK:] == _checksum(stem)
    )


def _checksum(stem: str) -> str:
    return _base62(zlib.crc32(stem.encode()), _CHECK)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits.append(_DIGITS[rest])
    return "".join(reversed(digits))
