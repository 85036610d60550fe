"""Whether an HTTP request came from Slack just now, judged on its raw bytes before anything is parsed. Pure.

Bolt's own check raises on a timestamp that is no number and on a signature that is not ASCII; nothing gets that far.
Times are the wall clock's: Slack signs with it.
"""

import hashlib
import hmac
from collections.abc import Sequence

MAX_SKEW_SECONDS = 300
_VERSION = "v0"


def is_genuine(secret: bytes, timestamps: Sequence[str], signatures: Sequence[str], body: bytes, now: float) -> bool:
    """Judge a body by its ``X-Slack-Request-Timestamp`` and ``X-Slack-Signature`` headers, all that were sent.

    ``now`` is seconds since 1970.
    """
    if len(timestamps) != 1 or len(signatures) != 1:
        return False
    timestamp, signature = timestamps[0], signatures[0]
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12 and signature.isascii()):
        return False
    if abs(now - int(timestamp)) > MAX_SKEW_SECONDS:
        return False
    digest = hmac.new(secret, b"%s:%s:%s" % (_VERSION.encode(), timestamp.encode(), body), hashlib.sha256)
    return hmac.compare_digest(f"{_VERSION}={digest.hexdigest()}".encode(), signature.encode())
