"""Signs what is posted to others, as Standard Webhooks has it. Keeps no secret and sends nothing."""

from datetime import datetime

from standardwebhooks import Webhook


def signed_headers(secret: bytes, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers of a message, its signature among them.

    ``now`` is the wall clock's time of this very attempt, in UTC: a receiver refuses what is older than five minutes by
    its own watch. ``message_id`` is the same for every attempt.
    """
    return {
        "Content-Type": "application/json",
        "User-Agent": "Signoff",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, now, body.decode()),
    }
