"""Why something reached nobody, in words: Slack's codes and ours, for whoever reads what became of a request. Pure.

The one table of them. The code stands behind the words, in brackets, for whoever looks it up; a code that is not
listed stands alone.
"""

from collections.abc import Mapping

from handlers.slack.text import mrkdwn

_NO_SUCH_CHANNEL = "there is no such channel, or Signoff is not in it"
_CLOSED = "nobody but some may write in the channel"
_NOT_LET_IN = "Slack does not take Signoff's token any more"
_PARTIAL = "Slack did not answer in time"
_BLOCKS = "Slack did not take what was to be shown"

_WORDS: Mapping[str, str] = {
    # of places
    "channel_not_found": _NO_SUCH_CHANNEL,
    "not_in_channel": "Signoff is not in the channel",
    "is_archived": "the channel is archived",
    "channel_shared": "the channel is shared with another company",
    "less_private": "the channel is less private than the first",
    "restricted_action": _CLOSED,
    "restricted_action_read_only_channel": _CLOSED,
    "restricted_action_thread_only_channel": "the channel takes nothing but replies",
    "restricted_action_non_threadable_channel": "the channel takes no replies",
    "restricted_action_thread_locked": "the thread is locked",
    "ekm_access_denied": "the workspace's keys do not allow it",
    "team_access_not_granted": "Signoff was not let into that workspace",
    "card_gone": "the card is not there any more",
    "message_not_found": "the message is not there any more",
    "thread_not_found": "the thread is not there any more",
    # of people
    "user_not_found": "Slack knows no such person",
    "users_not_found": "Slack knows no such person",
    "user_not_visible": "Signoff may not see this person",
    "user_disabled": "their account is deactivated",
    "cannot_dm_bot": "a bot gets no direct messages",
    "messages_tab_disabled": "Signoff's messages are switched off in Slack",
    "do_not_disturb": "they do not want to be disturbed now",
    "unknown_person": "Slack does not know them",
    "facts_too_old": "what Slack said about them is too old",
    "deactivated": "their account is deactivated",
    "bot": "it is a bot",
    "guest": "they are a guest",
    "foreign_team": "they are of another workspace",
    "owner": "it is their own agent",
    "own_instance": "the agent asks on their behalf",
    "approved_already": "they had approved it already",
    "not_a_reviewer": "they may not decide it",
    # of whom a step names
    "no_one_on_call": "nobody is on call",
    "nobody_to_notify": "nobody is there to be told",
    "oncall_unknown": "no such schedule is configured",
    "person_unknown": "nobody in Slack has the calendar's address",
    "slack_unavailable": "Slack could not be asked",
    "usergroup_unavailable": "Slack did not say who is in the user group",
    "no_owners": "the agent has no owners",
    "no_rule": "its rule cannot be read",
    "usergroup_unknown": "Slack did not say who is in the user group",
    "usergroup_not_found": "there is no such user group",
    "no_such_subteam": "there is no such user group",
    "plan_upgrade_required": "the workspace's plan has no user groups",
    "calendar_unavailable": "the calendar could not be read",
    "pager_unknown": "no such pager is configured",
    "pager_secret_missing": "the pager's secret is missing",
    "pager_unavailable": "the pager could not be called",
    "decided": "it was decided meanwhile",
    # of the workspace, and of Slack as a whole
    "token_revoked": _NOT_LET_IN,
    "token_expired": _NOT_LET_IN,
    "invalid_auth": _NOT_LET_IN,
    "not_authed": _NOT_LET_IN,
    "account_inactive": _NOT_LET_IN,
    "missing_scope": "Signoff was not given the right for it",
    "no_permission": "Signoff was not given the right for it",
    "ratelimited": "Slack asked to wait, for too long",
    "rate_limited": "Slack asked to wait, for too long",
    "internal_error": "Slack failed",
    "fatal_error": "Slack failed",
    "service_unavailable": "Slack was out",
    "timeout": _PARTIAL,
    "request_timeout": _PARTIAL,
    "invalid_blocks": _BLOCKS,
    "invalid_blocks_format": _BLOCKS,
    "invalid_arguments": _BLOCKS,
    "msg_blocks_too_long": "it was too long for Slack",
    "msg_too_long": "it was too long for Slack",
    "edit_window_closed": "the message can no longer be changed",
    "cant_update_message": "the message can no longer be changed",
}
_LONGEST = 75  # as the store keeps codes


def in_words(code: object) -> str:
    """Say in mrkdwn why, with the code behind it: ``nobody is on call (no_one_on_call)``."""
    shown = mrkdwn(str(code)[:_LONGEST])
    words = _WORDS.get(str(code))
    return shown if words is None else f"{words} ({shown})"
