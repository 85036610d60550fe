"""What can go wrong when Slack is called, by what it means for the caller. Pure.

Slack has some hundred error codes; a caller only needs to know whether to wait, to go elsewhere, to give the content
up, or to fetch a person. A code that is not listed here is ``Refused``: nobody may take it for a success or a delay.
"""

from collections.abc import Mapping
from datetime import timedelta

_SHORTEST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(minutes=10)  # a header that says more is not believed


class SlackTrouble(Exception):
    """A call to Slack did not do what it should. ``code`` is Slack's own, or ours where Slack gave none."""

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"{method}: {code}")
        self.method = method
        self.code = code


class Temporary(SlackTrouble):
    """It may work later. ``had_no_effect``: certain that Slack did nothing; else the answer is unknown.

    ``retry_after`` is set when Slack named a time.
    """

    def __init__(
        self, method: str, code: str, *, had_no_effect: bool = False, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(method, code)
        self.had_no_effect = had_no_effect
        self.retry_after = retry_after


class PlaceClosed(SlackTrouble):
    """This channel or person cannot be written to, however often it is tried."""


class ContentRefused(SlackTrouble):
    """Slack does not take these blocks anywhere."""


class WorkspaceClosed(SlackTrouble):
    """The token or its scopes do not suffice: nothing will work until a person repairs it."""


class MessageGone(SlackTrouble):
    """The message that was to be changed is not there any more."""


class MessageFixed(SlackTrouble):
    """The message is there but can no longer be changed."""


class UnknownPerson(SlackTrouble):
    """Slack knows no such user."""


class ViewUnavailable(SlackTrouble):
    """The view cannot be shown or changed: its trigger is spent, or the person closed it."""


class Refused(SlackTrouble):
    """Anything else that Slack says no to."""


_KINDS: Mapping[type[SlackTrouble], tuple[str, ...]] = {
    PlaceClosed: (
        "channel_not_found", "not_in_channel", "is_archived",
        "restricted_action", "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel",
        "restricted_action_thread_locked", "cannot_dm_bot", "user_disabled", "messages_tab_disabled",
        "ekm_access_denied", "team_access_not_granted", "method_not_supported_for_channel_type",
    ),
    ContentRefused: (
        "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text",
        "too_many_attachments", "metadata_too_large", "metadata_must_be_sent_from_app", "invalid_metadata_format",
        "invalid_metadata_schema", "invalid_arguments", "invalid_view", "view_too_large",
    ),
    WorkspaceClosed: (
        "token_revoked", "token_expired", "invalid_auth", "not_authed", "account_inactive", "missing_scope",
        "no_permission", "not_allowed_token_type", "org_login_required", "two_factor_setup_required",
        "access_denied", "enterprise_is_restricted",
    ),
    MessageGone: ("message_not_found", "thread_not_found"),
    MessageFixed: ("cant_update_message", "edit_window_closed"),
    UnknownPerson: ("user_not_found", "users_not_found", "user_not_visible"),
    ViewUnavailable: (
        "expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id", "invalid_trigger", "trigger_expired",
        "trigger_exchanged", "not_found", "hash_conflict", "push_limit_reached", "duplicate_external_id",
    ),
}  # fmt: skip
_KIND_OF = {code: kind for kind, codes in _KINDS.items() for code in codes}
_BUSY = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_DOWN = frozenset(
    {
        "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org",
        "external_channel_migrating", "unknown_error",
    }
)  # fmt: skip


def trouble_of(method: str, status: int, code: str | None, retry_after: str | None) -> SlackTrouble:
    """Say what an answer means that is no success. ``retry_after`` is the header's text."""
    if status == 429 or code in _BUSY:
        return Temporary(method, code or "ratelimited", had_no_effect=True, retry_after=_wait(retry_after))
    if status >= 500 or code is None or code in _DOWN:
        return Temporary(method, code or f"http_{status}")
    return _KIND_OF.get(code, Refused)(method, code)


def _wait(header: str | None) -> timedelta:
    if header is None or not (header.isascii() and header.isdigit()) or len(header) > 6:
        return _SHORTEST_WAIT
    return min(max(timedelta(seconds=int(header)), _SHORTEST_WAIT), _LONGEST_WAIT)
