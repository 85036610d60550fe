"""Slack's payloads: real shapes are read, everything else is a ``BadPayload`` and never another error."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.slack.payloads import (
    BadPayload,
    Deleted,
    HomeOpened,
    Metadata,
    parse_click,
    parse_command,
    parse_deleted,
    parse_home_opened,
    parse_metadata,
    parse_number,
    parse_submission,
)
from tests.unit.slack_calls import some

TRIGGER = "13345224609.738474920.8088930838d88f008e0"
BASE: dict[str, Any] = {
    "user": {"id": "U0ALICE", "username": "alice", "name": "alice", "team_id": "T0HOME"},
    "api_app_id": "A0SIGNOFF",
    "token": "legacy",
    "trigger_id": TRIGGER,
    "team": {"id": "T0HOME", "domain": "home"},
    "enterprise": None,
    "is_enterprise_install": False,
}
BUTTON = {
    "type": "button",
    "action_id": "approve",
    "block_id": "decide",
    "text": {"type": "plain_text", "text": "Approve", "emoji": False},
    "value": "42",
    "style": "primary",
    "action_ts": "1795338001.123456",
}
VIEW: dict[str, Any] = {
    "id": "V0VIEW",
    "team_id": "T0HOME",
    "type": "modal",
    "blocks": [],
    "private_metadata": '{"number": 42, "page": 1, "pages": 3}',
    "callback_id": "deny_submitted",
    "state": {
        "values": {
            "reason": {
                "reason": {
                    "type": "radio_buttons",
                    "selected_option": {"text": {"type": "plain_text", "text": "Too risky"}, "value": "too_risky"},
                }
            },
            "note": {"note": {"type": "plain_text_input", "value": "no <!channel>"}},
        }
    },
    "hash": "1795338001.abcdef",
    "external_id": "modal-1",
    "root_view_id": "V0VIEW",
    "app_id": "A0SIGNOFF",
    "bot_id": "B0SIGNOFF",
}
CARD_CLICK = BASE | {
    "type": "block_actions",
    "container": {
        "type": "message",
        "message_ts": "1795338000.000100",
        "channel_id": "C0REFUNDS",
        "is_ephemeral": False,
    },
    "channel": {"id": "C0REFUNDS", "name": "refunds"},
    "message": {"type": "message", "ts": "1795338000.000100", "text": "…", "metadata": {"event_type": "signoff_card"}},
    "state": {"values": {}},
    "response_url": "https://hooks.slack.com/actions/T0HOME/1/x",
    "actions": [BUTTON],
}
MODAL_CLICK = BASE | {
    "type": "block_actions",
    "container": {"type": "view", "view_id": "V0VIEW"},
    "view": VIEW,
    "actions": [BUTTON | {"action_id": "review_next"}],
}
HOME_CLICK = BASE | {
    "type": "block_actions",
    "container": {"type": "view", "view_id": "V0HOME"},
    "view": VIEW | {"id": "V0HOME", "type": "home", "private_metadata": "", "external_id": "", "state": {"values": {}}},
    "actions": [BUTTON | {"action_id": "review"}],
}
SUBMISSION = BASE | {"type": "view_submission", "view": VIEW, "response_urls": []}
COMMAND = {
    "token": "legacy", "team_id": "T0HOME", "team_domain": "home", "channel_id": "C0REFUNDS",
    "channel_name": "refunds", "user_id": "U0ALICE", "user_name": "alice", "command": "/signoff", "text": "show 42",
    "api_app_id": "A0SIGNOFF", "is_enterprise_install": "false", "response_url": "https://hooks.slack.com/commands/1",
    "trigger_id": TRIGGER,
}  # fmt: skip
DELETED = {
    "type": "message", "subtype": "message_deleted", "hidden": True, "channel": "C0REFUNDS",
    "ts": "1795338002.000200", "deleted_ts": "1795338000.000100", "event_ts": "1795338002.000200",
    "channel_type": "channel", "previous_message": {"type": "message", "ts": "1795338000.000100", "text": "…"},
}  # fmt: skip
HOME_OPENED = {"type": "app_home_opened", "user": "U0ALICE", "channel": "D0ALICE", "tab": "home", "event_ts": "1.2"}


def test_reads_a_click_on_a_card() -> None:
    click = parse_click(CARD_CLICK)
    assert (click.act_id, click.trigger_id) == (TRIGGER, TRIGGER)
    assert (click.user_id, click.team_id, click.enterprise_id) == ("U0ALICE", "T0HOME", None)
    assert (click.action_id, click.value) == ("approve", "42")
    assert (click.surface, click.channel, click.ts) == ("card", "C0REFUNDS", "1795338000.000100")
    assert (click.view_id, click.view_external_id, click.private_metadata) == (None, None, None)
    assert click.response_url == "https://hooks.slack.com/actions/T0HOME/1/x"


def test_reads_a_click_in_a_modal() -> None:
    click = parse_click(MODAL_CLICK)
    assert (click.surface, click.channel, click.ts) == ("modal", None, None)
    assert (click.view_id, click.view_external_id, click.view_hash) == ("V0VIEW", "modal-1", "1795338001.abcdef")
    assert parse_metadata(click.private_metadata) == Metadata(42, 1, 3)
    assert click.state["reason"]["reason"] == "too_risky"
    assert click.response_url is None
    assert click.act_id == TRIGGER


def test_reads_a_click_on_the_home_tab() -> None:
    click = parse_click(HOME_CLICK)
    assert (click.surface, click.view_id, click.view_external_id) == ("home", "V0HOME", None)


def test_reads_a_submission() -> None:
    sent = parse_submission(SUBMISSION)
    assert sent.act_id == "V0VIEW:1795338001.abcdef"
    assert (sent.callback_id, sent.external_id, sent.view_id) == ("deny_submitted", "modal-1", "V0VIEW")
    assert sent.values == {"reason": {"reason": "too_risky"}, "note": {"note": "no <!channel>"}}


def test_what_was_not_put_in_is_none() -> None:
    values = {
        "reason": {"reason": {"type": "radio_buttons", "selected_option": None}},
        "note": {"note": {"type": "plain_text_input", "value": None}},
    }
    sent = parse_submission(SUBMISSION | {"view": VIEW | {"state": {"values": values}}})
    assert sent.values == {"reason": {"reason": None}, "note": {"note": None}}


def test_a_repeated_delivery_is_the_same_act_and_a_second_submission_another() -> None:
    assert parse_submission(copy.deepcopy(SUBMISSION)).act_id == parse_submission(SUBMISSION).act_id
    again = SUBMISSION | {"view": VIEW | {"hash": "1795338009.fedcba"}}
    assert parse_submission(again).act_id != parse_submission(SUBMISSION).act_id


@pytest.mark.parametrize(
    ("changes", "team", "enterprise"),
    [
        ({"enterprise": {"id": "E0GRID", "name": "Grid"}}, "T0HOME", "E0GRID"),
        ({"team": {"id": "T0HOME", "domain": "home", "enterprise_id": "E0GRID"}}, "T0HOME", "E0GRID"),
        ({"team": None, "enterprise": {"id": "E0GRID"}}, "T0HOME", "E0GRID"),
        ({"user": {"id": "W0ALICE"}, "team": None, "enterprise": {"id": "E0GRID"}}, "E0GRID", "E0GRID"),
        ({"user": {"id": "U0ALICE", "team_id": "T0OTHER"}}, "T0OTHER", None),
        ({"user": {"id": "U0ALICE", "team_id": "E0GRID"}}, "E0GRID", None),
    ],
)
def test_reads_teams_and_enterprises(changes: dict[str, Any], team: str, enterprise: str | None) -> None:
    for payload, parse in ((CARD_CLICK, parse_click), (SUBMISSION, parse_submission)):
        read = parse(payload | changes)
        assert (read.team_id, read.enterprise_id) == (team, enterprise)


def test_nobody_without_a_team_acts() -> None:
    with pytest.raises(BadPayload):
        parse_click(CARD_CLICK | {"user": {"id": "U0ALICE"}, "team": None, "enterprise": None})


def test_reads_a_command() -> None:
    command = parse_command(COMMAND)
    assert (command.user_id, command.team_id, command.channel_id) == ("U0ALICE", "T0HOME", "C0REFUNDS")
    assert (command.text, command.trigger_id) == ("show 42", TRIGGER)
    assert parse_command({key: value for key, value in COMMAND.items() if key != "text"}).text == ""
    assert parse_command(COMMAND | {"enterprise_id": "E0GRID"}).enterprise_id == "E0GRID"
    assert parse_command(COMMAND | {"enterprise_id": ""}).enterprise_id is None


def test_reads_events() -> None:
    assert parse_deleted(DELETED) == Deleted("C0REFUNDS", "1795338000.000100")
    assert parse_deleted(DELETED | {"subtype": "message_changed"}) is None
    assert parse_deleted({"type": "message", "text": "hello"}) is None
    assert parse_home_opened(HOME_OPENED) == HomeOpened("U0ALICE")
    assert parse_home_opened(HOME_OPENED | {"tab": "messages"}) is None


@pytest.mark.parametrize("value", [None, "", "0", "-1", "007", "1e3", "4 2", "42\n", "٤٢", "9" * 19, "9" * 400, "abc"])
def test_refuses_a_number_that_is_none(value: str | None) -> None:
    with pytest.raises(BadPayload):
        parse_number(value)


def test_reads_a_number() -> None:
    assert parse_number("42") == 42
    assert parse_number(str(2**63 - 1)) == 2**63 - 1


@pytest.mark.parametrize(
    "text",
    [
        None, "", "[]", "null", "{", '{"number": 0}', '{"number": "42"}', '{"number": true}', '{"number": 1.0}',
        '{"number": 42, "page": 3, "pages": 3}', '{"number": 42, "page": -1}', '{"page": 0}', "[" * 100_000,
        '{"number": 99999999999999999999}',
    ],
)  # fmt: skip
def test_refuses_metadata_that_is_not_ours(text: str | None) -> None:
    with pytest.raises(BadPayload):
        parse_metadata(text)


@pytest.mark.parametrize("note", ["\ud800", "half \udc00", "nul\x00"])
def test_refuses_text_that_cannot_be_stored(note: str) -> None:
    values = {"note": {"note": {"type": "plain_text_input", "value": note}}}
    with pytest.raises(BadPayload):
        parse_submission(SUBMISSION | {"view": VIEW | {"state": {"values": values}}})


def test_a_refusal_quotes_nothing_of_the_payload() -> None:
    with pytest.raises(BadPayload) as refused:
        parse_click(CARD_CLICK | {"trigger_id": ["hunter2"]})
    assert "hunter2" not in str(refused.value)
    assert "trigger_id" in str(refused.value)


# --- malformed --------------------------------------------------------------------------------------------

PARSERS: list[tuple[Callable[[Any], object], dict[str, Any]]] = [
    (parse_click, CARD_CLICK),
    (parse_click, MODAL_CLICK),
    (parse_click, HOME_CLICK),
    (parse_submission, SUBMISSION),
    (parse_command, COMMAND),
    (parse_deleted, DELETED),
    (parse_home_opened, HOME_OPENED),
]
STRANGE: list[Any] = [
    None, True, 0, -1, 1.5, "", "x", "U0ALICE", "<!channel>", "x" * 4000, [], [None], [[]], {}, {"id": None},
    {"values": []}, {"values": {"a": None}}, {"type": "view"}, "\ud800",
]  # fmt: skip


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from paths(item, (*path, key))


def changed(payload: dict[str, Any], path: tuple[str | int, ...], value: Any) -> Any:
    made: Any = copy.deepcopy(payload)
    box = made
    for key in path[:-1]:
        box = box[key]
    if value is Ellipsis:
        del box[path[-1]]
    else:
        box[path[-1]] = value
    return made


@pytest.mark.parametrize(("parse", "payload"), PARSERS)
def test_any_field_missing_or_strange_is_refused_or_read(
    parse: Callable[[Any], object], payload: dict[str, Any]
) -> None:
    refused = 0
    for path in paths(payload):
        for value in (..., *STRANGE):
            try:
                parse(changed(payload, path, value))
            except BadPayload:
                refused += 1
    assert refused > len(STRANGE)


@pytest.mark.parametrize(("parse", "payload"), PARSERS)
@pytest.mark.parametrize("other", STRANGE)
def test_what_is_no_payload_is_refused(parse: Callable[[Any], object], payload: dict[str, Any], other: Any) -> None:
    with pytest.raises(BadPayload):
        parse(other)


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


@some(400)
@given(st.sampled_from(PARSERS), st.data())
def test_mutated_payloads_never_raise_anything_else(
    pair: tuple[Callable[[Any], object], dict[str, Any]], data: st.DataObject
) -> None:
    parse, payload = pair
    made: Any = payload
    for _ in range(data.draw(st.integers(1, 4))):
        where = list(paths(made))
        if where:
            made = changed(made, data.draw(st.sampled_from(where)), data.draw(_json))
    with suppress(BadPayload):
        parse(made)


@given(st.text(max_size=60) | _json.map(json.dumps))
def test_any_metadata_is_read_or_refused(text: str) -> None:
    with suppress(BadPayload):
        assert parse_metadata(text).number >= 1
