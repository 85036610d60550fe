"""What Slack's answers mean: to wait, to go elsewhere, to give up, to fetch a person."""

from datetime import timedelta

import pytest

from handlers.slack.trouble import (
    ContentRefused,
    MessageFixed,
    MessageGone,
    PlaceClosed,
    Refused,
    SlackTrouble,
    Temporary,
    UnknownPerson,
    ViewUnavailable,
    WorkspaceClosed,
    trouble_of,
)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("channel_not_found", PlaceClosed),
        ("not_in_channel", PlaceClosed),
        ("is_archived", PlaceClosed),
        ("restricted_action", PlaceClosed),
        ("cannot_dm_bot", PlaceClosed),
        ("invalid_blocks", ContentRefused),
        ("msg_blocks_too_long", ContentRefused),
        ("token_revoked", WorkspaceClosed),
        ("invalid_auth", WorkspaceClosed),
        ("account_inactive", WorkspaceClosed),
        ("missing_scope", WorkspaceClosed),
        ("message_not_found", MessageGone),
        ("cant_update_message", MessageFixed),
        ("edit_window_closed", MessageFixed),
        ("user_not_found", UnknownPerson),
        ("expired_trigger_id", ViewUnavailable),
        ("hash_conflict", ViewUnavailable),
        ("internal_error", Temporary),
        ("fatal_error", Temporary),
        ("ratelimited", Temporary),
        ("rate_limited", Temporary),
        ("a_code_of_the_future", Refused),
    ],
)
def test_each_code_has_one_meaning(code: str, kind: type[SlackTrouble]) -> None:
    trouble = trouble_of("chat.postMessage", 200, code, None)
    assert type(trouble) is kind
    assert (trouble.code, trouble.method) == (code, "chat.postMessage")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_leaves_the_answer_unknown(status: int) -> None:
    trouble = trouble_of("chat.postMessage", status, None, None)
    assert isinstance(trouble, Temporary)
    assert not trouble.had_no_effect


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 1), (None, 1), ("soon", 1), ("-3", 1), ("1.5", 1), ("\u0663", 1), ("9" * 5, 600), ("9" * 20, 1)],
)
def test_too_many_calls_wait_as_long_as_slack_says_within_reason(header: str | None, seconds: int) -> None:
    trouble = trouble_of("chat.update", 429, "ratelimited", header)
    assert isinstance(trouble, Temporary)
    assert trouble.had_no_effect
    assert trouble.retry_after == timedelta(seconds=seconds)
