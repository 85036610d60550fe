"""Agents' and provisioners' tokens: how they look, how they are derived, and what of them is stored. Pure.

A token is ``so_i_`` (an instance's) or ``so_p_`` (a provisioner's), 43 characters of HMAC, and 6 of a CRC-32
checksum, all base62: the prefix lets secret scanners find leaks and the checksum lets them, and us, dismiss a mistyped
one without looking it up. It is derived by HMAC from the secret key and the credential's id, so that a repeated
creation can give it again; the store keeps only its SHA-256.
"""

import hashlib
import hmac
import zlib

INSTANCE_PREFIX = "so_i_"
PROVISIONER_PREFIX = "so_p_"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY, _CHECK = 43, 6


def instance_token(secret_key: bytes, credential_id: str) -> str:
    """Return the token of an instance's credential."""
    return _token(INSTANCE_PREFIX, secret_key, b"instance-token", credential_id)


def provisioner_token(secret_key: bytes, provisioner_id: str) -> str:
    """Return the token of a provisioner."""
    return _token(PROVISIONER_PREFIX, secret_key, b"provisioner-token", provisioner_id)


def _token(prefix: str, secret_key: bytes, label: bytes, its_id: str) -> str:
    mac = hmac.new(secret_key, label + b"\0" + its_id.encode(), hashlib.sha256).digest()
    stem = prefix + _base62(int.from_bytes(mac), _BODY)
    return stem + _checksum(stem)


def token_hash(token: str) -> bytes:
    """Return what the store keeps of a token."""
    return hashlib.sha256(token.encode()).digest()


def looks_like_instance_token(token: str) -> bool:
    """Tell whether ``token`` has an instance token's form and checksum."""
    return _looks_like(token, INSTANCE_PREFIX)


def looks_like_provisioner_token(token: str) -> bool:
    """Tell whether ``token`` has a provisioner token's form and checksum."""
    return _looks_like(token, PROVISIONER_PREFIX)


def _looks_like(token: str, prefix: str) -> bool:
    stem = token[:-_CHECK]
    return (
        len(token) == len(prefix) + _BODY + _CHECK
        and token.isascii()
        and token.startswith(prefix)
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
