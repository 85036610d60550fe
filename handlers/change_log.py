"""What the log says of what happens to requests: ids and codes, never arguments or notes."""

import structlog

from bot.changes import RequestChanged
from bot.lifecycle import state_of
from bot.reload import Ended
from store.tables import DeciderKind, Status

log = structlog.get_logger(__name__)


def log_ended(ended: Ended) -> None:
    """Log what ended because a configuration forbids it, and what could not be ended."""
    if ended.cancelled or ended.revoked:
        log.warning("forbidden_ended", cancelled=ended.cancelled, revoked=ended.revoked)
    for number, error in ended.stuck.items():
        log.error("forbidden_stuck", request=number, exc_info=error)


def log_change(change: object) -> None:
    """Log each step of a request by its ids, but for what rules approve by themselves: that is the bulk of it."""
    if not isinstance(change, RequestChanged):
        return
    request = change.request
    if request.decided_by_kind is DeciderKind.RULE and request.status is Status.APPROVED:
        return
    log.info(
        f"request_{state_of(request)}",
        number=request.number,
        request=request.id,
        agent=request.agent,
        instance=request.instance_id,
        by=request.decided_by_kind.value if request.decided_by_kind else None,
        code=request.decision_code,
    )
