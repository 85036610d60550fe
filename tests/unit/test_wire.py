"""handlers.wire: the rendering is what the protocol's own strict parser wants, for every state a request can be in."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agentapprovalprotocol._wire import loads, parse_request
from hypothesis import given
from hypothesis import strategies as st

from bot.call import load_json
from bot.errors import BadCredential, BadInput, UnknownRequest
from handlers.wire import (
    ERROR_TYPES,
    MAX_WAIT,
    parse_bearer,
    parse_key,
    parse_outcome,
    parse_request_id,
    parse_wait,
    render_error,
    render_request,
)
from store.tables import DeciderKind, OutcomeStatus, Request, Status

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ID = "01940000-0000-7000-8000-000000000000"


def request(**columns: Any) -> Request:
    """A pending request with what else a test wants."""
    return Request(
        **{
            "number": 42,
            "id": ID,
            "instance_id": "i",
            "agent": "refund-bot",
            "create_key": "SECRET",
            "submission_digest": b"SECRET",
            "tool": "issue_refund",
            "arguments": '{"amount": 4.9e3}',
            "timeout": "10m",
            "canonical_version": 1,
            "digest": b"SECRET",
            "salt": b"SECRET",
            "status": Status.PENDING,
            "created_at": AT,
            "deadline_at": AT + timedelta(minutes=10),
            "due_at": AT + timedelta(minutes=10),
            **columns,
        }
    )


def decided(status: Status, **columns: Any) -> Request:
    return request(
        status=status,
        decided_at=AT + timedelta(seconds=1),
        decided_by_kind=DeciderKind.PERSON,
        decided_by="U0SECRET",
        decision_code="SECRET",
        **columns,
    )


APPROVED: dict[str, Any] = {"status": Status.APPROVED, "expires_at": AT + timedelta(minutes=5)}
CONSUMED: dict[str, Any] = {**APPROVED, "consumed_at": AT + timedelta(seconds=2), "consume_key": "SECRET"}
DECISION = '"decision":{"status":"%s","decided_at":"2026-11-22T09:00:01.000000Z"}'
HEAD = (
    f'{{"id":"{ID}","tool":"issue_refund","arguments":{{"amount": 4.9e3}},"timeout":"10m","status":"%s",'
    '"created_at":"2026-11-22T09:00:00.000000Z","deadline_at":"2026-11-22T09:10:00.000000Z"'
)
GRANTED = (
    ',"decision":{"status":"approved","decided_at":"2026-11-22T09:00:01.000000Z",'
    '"expires_at":"2026-11-22T09:05:00.000000Z"}'
)
TAKEN = ',"consumption":{"consumed_at":"2026-11-22T09:00:02.000000Z"'


@pytest.mark.parametrize(
    ("stored", "rendered"),
    [
        (request(), HEAD % "pending" + "}"),
        (decided(Status.DENIED), HEAD % "denied" + f",{DECISION % 'denied'}}}"),
        (decided(Status.EXPIRED), HEAD % "expired" + f",{DECISION % 'expired'}}}"),
        (decided(Status.CANCELLED), HEAD % "cancelled" + f",{DECISION % 'cancelled'}}}"),
        (decided(**APPROVED), HEAD % "approved" + GRANTED + "}"),
        (decided(**APPROVED, lapsed_at=AT), HEAD % "approved" + GRANTED + "}"),
        (decided(**APPROVED, revoked_at=AT), HEAD % "approved" + GRANTED + "}"),
        (decided(**CONSUMED), HEAD % "approved" + GRANTED + TAKEN + "}}"),
        (decided(**CONSUMED, overdue_at=AT), HEAD % "approved" + GRANTED + TAKEN + "}}"),
        (
            decided(
                **CONSUMED,
                outcome=OutcomeStatus.FAILED,
                outcome_note='"no"\n',
                outcome_at=AT + timedelta(seconds=3, microseconds=4),
            ),
            HEAD % "approved" + GRANTED + TAKEN + ',"outcome":{"status":"failed","note":"\\"no\\"\\n",'
            '"reported_at":"2026-11-22T09:00:03.000004Z"}}}',
        ),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Request) else "",
)
def test_a_request_in_every_state(stored: Request, rendered: str) -> None:
    text = render_request(stored)
    assert text.decode() == rendered
    parse_request(loads(text))
    assert b"SECRET" not in text


def test_an_empty_note_is_left_out() -> None:
    assert "note" not in json.loads(render_request(decided(Status.DENIED, note="")))["decision"]
    empty = decided(**CONSUMED, outcome=OutcomeStatus.FAILED, outcome_note="", outcome_at=AT + timedelta(seconds=3))
    assert "note" not in json.loads(render_request(empty))["consumption"]["outcome"]


ANY_TEXT = st.text(min_size=1)  # surrogates excluded: the parser of submissions refuses them


@given(tool=ANY_TEXT, server=st.none() | ANY_TEXT, reasoning=st.none() | st.text(), note=ANY_TEXT)
def test_any_text_arrives_as_it_is(tool: str, server: str | None, reasoning: str | None, note: str) -> None:
    stored = decided(Status.DENIED, tool=tool, server=server, agent_reasoning=reasoning, note=note)
    read = parse_request(loads(render_request(stored)))
    assert (read.tool, read.server, read.agent_reasoning) == (tool, server, reasoning)
    assert read.decision is not None
    assert read.decision.note == note


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON), st.booleans())
def test_any_json_goes_in_to_the_letter(value: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    rendered = render_request(request(arguments=text, context=text))
    assert rendered.count(text.encode()) >= 2
    read = parse_request(loads(rendered))
    assert read.arguments == read.context == load_json(text)


def test_an_error_names_its_field_if_there_is_one() -> None:
    assert render_error(409, "conflict", 'He said "no".', ID) == (
        b'{"error":{"type":"conflict","code":"conflict","message":"He said \\"no\\".","request_id":"%s"}}' % ID.encode()
    )
    assert "param" not in json.loads(render_error(400, "unknown_field", "x", ID, param=""))["error"]
    named = json.loads(render_error(400, "unknown_field", "x", ID, param="a\n\u202e"))["error"]
    assert named["param"] == "a\n\u202e"
    assert named["type"] == "invalid_request"


@pytest.mark.parametrize("status", ERROR_TYPES)
def test_every_status_has_a_type(status: int) -> None:
    assert json.loads(render_error(status, "c", "m", ID))["error"]["type"] == ERROR_TYPES[status]


@pytest.mark.parametrize("header", ["Bearer t", "bearer t", "BEARER   t", "Bearer " + "x" * 5000])
def test_a_bearer_token_is_read(header: str) -> None:
    assert parse_bearer([header]) == header.split()[1]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        ["t"],
        ["Bearer"],
        ["Bearer "],
        ["Bearert"],
        ["xBearer t"],
        ["Basic t"],
        ["Bearer a b"],
        ["Bearer é"],
        ["Bearer\tt"],
        ["Bearer t\n"],
        ["Bearer t", "Bearer t"],
    ],
)
def test_anything_else_is_no_credential(headers: list[str]) -> None:
    with pytest.raises(BadCredential):
        parse_bearer(headers)


@pytest.mark.parametrize("key", ["k", "!", "~", "k" * 255, '"quoted"', "a,b"])
def test_a_key_is_1_to_255_visible_ascii_characters(key: str) -> None:
    assert parse_key([key]) == key


@pytest.mark.parametrize("headers", [[""], [" "], ["a b"], ["\x7f"], ["é"], ["k" * 256], ["k\n"], ["k", "k"]])
def test_any_other_key_is_refused(headers: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        parse_key(headers)
    assert refused.value.code == "invalid_idempotency_key"


def test_a_missing_key_has_a_code_of_its_own() -> None:
    with pytest.raises(BadInput) as refused:
        parse_key([])
    assert refused.value.code == "missing_idempotency_key"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("29s", 29),
        ("30s", 30),
        ("31s", 30),
        ("1m", 30),
        ("99999s", 30),
        ("100000s", 30),
        ("999999h", 30),
        ("9" * 6000 + "h", 30),
    ],
)
def test_a_wait_is_at_most_30_seconds(text: str, seconds: int) -> None:
    assert parse_wait([text]) == timedelta(seconds=seconds) <= MAX_WAIT


@pytest.mark.parametrize("values", [[], [""], ["0s"], ["01s"], ["30"], ["s"], ["3٣s"], ["30s\n"], ["30s", "30s"]])
def test_a_malformed_wait_is_refused(values: list[str]) -> None:
    with pytest.raises(BadInput) as refused:
        parse_wait(values)
    assert (refused.value.code, refused.value.param) == ("invalid_wait", "wait")


@pytest.mark.parametrize(
    "text", ["", "x", ID[:-1], ID + "0", ID.upper().replace("0", "A"), ID + "\n", ID.replace("-", "")]
)
def test_what_cannot_be_an_id_is_unknown(text: str) -> None:
    assert parse_request_id(ID) == ID
    with pytest.raises(UnknownRequest):
        parse_request_id(text)


@pytest.mark.parametrize(
    ("body", "parsed"),
    [
        (b'{"status":"succeeded"}', (OutcomeStatus.SUCCEEDED, None)),
        (b'{"status":"failed","note":""}', (OutcomeStatus.FAILED, None)),
        (b' {"note" : " " , "status":"f\\u0061iled"}\n', (OutcomeStatus.FAILED, " ")),
    ],
)
def test_an_outcome_is_read(body: bytes, parsed: tuple[OutcomeStatus, str | None]) -> None:
    assert parse_outcome(body) == parsed
