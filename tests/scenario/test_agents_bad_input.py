"""What a broken or hostile agent may send: a 400 or 413 that names the fault, and nothing is stored."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.call import MAX_BODY_BYTES, MAX_CALL_BYTES, MAX_DEPTH, canonical_call
from tests.scenario.agents_support import CALL, READ, Api, logged
from tests.waiting import within


def call(arguments: str = "{}", timeout: str = '"10m"', tool: str = '"look_up"', more: str = "") -> bytes:
    return f'{{"tool":{tool},"arguments":{arguments},"timeout":{timeout}{more}}}'.encode()


NOT_JSON = {
    "nothing": b"",
    "white space": b" \n",
    "no object": b'"look_up"',
    "an array": b"[]",
    "null": b"null",
    "cut off": call()[:-1],
    "cut off in a string": b'{"tool":"look',
    "something after it": call() + b"{}",
    "a comma too many": call(more=","),
    "single quotes": b"{'tool':'look_up'}",
    "a comment": call("{/**/}"),
    "no value": call('{"a":}'),
    "no colon": b'{"tool" "look_up"}',
    "a name without quotes": call("{a:1}"),
    "a leading zero": call('{"a":01}'),
    "a plus": call('{"a":+1}'),
    "a bare point": call('{"a":.5}'),
    "hexadecimal": call('{"a":0x10}'),
    "NaN": call('{"a":NaN}'),
    "Infinity": call('{"a":Infinity}'),
    "-Infinity": call('{"a":-Infinity}'),
    "an exponent of 401": call('{"a":1e401}'),
    "an exponent of -401": call('{"a":1e-401}'),
    "an exponent without end": call('{"a":1e99999999999999999999}'),
    "402 digits": call('{"a":' + "9" * 402 + "}"),
    "a duplicate key": b'{"tool":"look_up","tool":"look_up","arguments":{},"timeout":"10m"}',
    "a duplicate key in the arguments": call('{"a":1,"a":1}'),
    "a duplicate key deep down": call('{"l":[{"a":{"b":1,"b":2}}]}'),
    "a duplicate key, escaped": call('{"a":1,"\\u0061":2}'),
    "half a surrogate pair": call('{"a":"\\ud800"}'),
    "the other half": call('{"a":"\\udc00x"}'),
    "the halves in the wrong order": call('{"a":"\\udc00\\ud800"}'),
    "half a pair in a key": call('{"\\ud800":1}'),
    "half a pair in the tool": call(tool='"look_up\\ud800"'),
    "half a pair in a field's name": call(more=',"\\ud800":1'),
    "a surrogate in UTF-8": call('{"a":"').rstrip(b'}"') + b'\xed\xa0\x80"}}',
    "half of a character": call(tool='"look_up') + b"\xc3",
    "an overlong character": call('{"a":"').rstrip(b'}"') + b'\xc0\xaf"}}',
    "UTF-16": json.dumps(READ).encode("utf-16"),
    "UTF-32": json.dumps(READ).encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf" + call(),
    "a raw control character": call('{"a":"\x01"}'),
    "a raw line break": call('{"a":"\n"}'),
    "a raw NUL": call() + b"\0",
    "an unknown escape": call('{"a":"\\x41"}'),
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_what_is_not_strict_json_is_400(api: Api, body: bytes) -> None:
    refused = await api.create(body, headers={"Content-Type": "application/json"})
    assert (refused.status, refused.code) == (400, "invalid_json")
    assert refused.json()["error"]["type"] == "invalid_request"
    assert refused.body.isascii()
    assert api.rows("SELECT 1 FROM requests") == []


WRONG: dict[str, tuple[bytes, str, str]] = {
    "no tool": (b'{"arguments":{},"timeout":"10m"}', "missing_field", "tool"),
    "no arguments": (b'{"tool":"look_up","timeout":"10m"}', "missing_field", "arguments"),
    "no timeout": (b'{"tool":"look_up","arguments":{}}', "missing_field", "timeout"),
    "an empty object": (b"{}", "missing_field", "tool"),
    "a tool that is a number": (call(tool="1"), "invalid_field", "tool"),
    "a tool that is a list": (call(tool='["look_up"]'), "invalid_field", "tool"),
    "a tool that is null": (call(tool="null"), "invalid_field", "tool"),
    "an empty tool": (call(tool='""'), "invalid_field", "tool"),
    "a tool of spaces": (call(tool='"  "'), "invalid_field", "tool"),
    "a tool with a space at its end": (call(tool='"look_up "'), "invalid_field", "tool"),
    "a tool of 256 characters": (call(tool=f'"{"x" * 256}"'), "invalid_field", "tool"),
    "a tool of control characters": (call(tool='"\\u0000\\u001b[2J\\u0007"'), "invalid_field", "tool"),
    "a tool with a line break": (call(tool='"look_up\\nApproved"'), "invalid_field", "tool"),
    "a tool with a bidi override": (call(tool='"look\u202eup"'), "invalid_field", "tool"),
    "a tool with a zero-width space": (call(tool='"look\u200bup"'), "invalid_field", "tool"),
    "a tool of tag characters": (call(tool='"look\U000e0061"'), "invalid_field", "tool"),
    "a server that is empty": (call(more=',"server":""'), "invalid_field", "server"),
    "a server that is null": (call(more=',"server":null'), "invalid_field", "server"),
    "a server that is an object": (call(more=',"server":{}'), "invalid_field", "server"),
    "arguments that are a list": (call("[]"), "invalid_field", "arguments"),
    "arguments that are a string": (call('"{}"'), "invalid_field", "arguments"),
    "arguments that are null": (call("null"), "invalid_field", "arguments"),
    "a context that is a list": (call(more=',"context":[]'), "invalid_field", "context"),
    "a context that is null": (call(more=',"context":null'), "invalid_field", "context"),
    "reasoning that is a number": (call(more=',"agent_reasoning":1'), "invalid_field", "agent_reasoning"),
    "reasoning that is null": (call(more=',"agent_reasoning":null'), "invalid_field", "agent_reasoning"),
    "a timeout that is a number": (call(timeout="600"), "invalid_field", "timeout"),
    "a timeout of nothing": (call(timeout='""'), "invalid_timeout", "timeout"),
    "a timeout of 0s": (call(timeout='"0s"'), "invalid_timeout", "timeout"),
    "a timeout of -1s": (call(timeout='"-1s"'), "invalid_timeout", "timeout"),
    "a timeout of 1.5h": (call(timeout='"1.5h"'), "invalid_timeout", "timeout"),
    "a timeout of 1d": (call(timeout='"1d"'), "invalid_timeout", "timeout"),
    "a timeout of Arabic digits": (call(timeout='"٣m"'), "invalid_timeout", "timeout"),
    "a timeout with a line break": (call(timeout='"10m\\n"'), "invalid_timeout", "timeout"),
    "a timeout of 300 digits": (call(timeout=f'"{"9" * 300}h"'), "invalid_timeout", "timeout"),
    "an approver of its own": (call(more=',"reviewers":["U0AGENT"]'), "unknown_field", "reviewers"),
    "a status of its own": (call(more=',"status":"approved"'), "unknown_field", "status"),
    "a decision of its own": (call(more=',"decision":{"status":"approved"}'), "unknown_field", "decision"),
    "a rule of its own": (call(more=',"rule":"look-ups"'), "unknown_field", "rule"),
    "another agent's name": (call(more=',"agent":"payroll"'), "unknown_field", "agent"),
    "a field in capitals": (call(more=',"Tool":"x"'), "unknown_field", "Tool"),
    "an unknown field that is null": (call(more=',"risk":null'), "unknown_field", "risk"),
}


@pytest.mark.parametrize(("body", "code", "param"), WRONG.values(), ids=WRONG)
async def test_a_wrong_field_is_400_and_named(api: Api, body: bytes, code: str, param: str) -> None:
    refused = await api.create(body)
    assert (refused.status, refused.code, refused.json()["error"]["param"]) == (400, code, param)
    assert api.rows("SELECT 1 FROM requests") == []


@pytest.mark.parametrize("levels", [MAX_DEPTH, 500, 5000, 100_000])
async def test_what_is_nested_too_deep_is_400(api: Api, levels: int) -> None:
    # The body itself is the first level, and the arguments are the second.
    for opening, closing in ("[", "]"), ('{"a":', "}"):
        inner = levels - 1
        middle = "" if opening == "[" else "1"
        deep = '{"x":' + opening * inner + middle + closing * inner + "}"
        refused = await api.create(call(deep))
        assert (refused.status, refused.code) == (400, "too_deep")
    assert api.rows("SELECT 1 FROM requests") == []


async def test_64_levels_are_fine(api: Api) -> None:
    inner = MAX_DEPTH - 2
    assert (await api.create(call('{"x":' + "[" * inner + "]" * inner + "}"))).status == 201


async def test_a_call_of_64_kib_is_fine_and_a_byte_more_is_not(api: Api) -> None:
    room = MAX_CALL_BYTES - len(canonical_call("look_up", None, {"a": ""}))
    assert (await api.create(call(json.dumps({"a": "x" * room})))).status == 201
    refused = await api.create(call(json.dumps({"a": "x" * (room + 1)})))
    assert (refused.status, refused.code) == (400, "call_too_large")
    # The context is not part of the call.
    assert (await api.create(call(more=',"context":' + json.dumps({"a": "x" * (room + 1)})))).status == 201


async def test_a_body_of_1_mib_is_fine_and_a_byte_more_is_not(api: Api) -> None:
    empty = call(more=',"context":{"a":""}')
    full = call(more=',"context":{"a":"' + "x" * (MAX_BODY_BYTES - len(empty)) + '"}')
    assert len(full) == MAX_BODY_BYTES
    assert (await api.create(full)).status == 201
    for body in (full + b" ", b" " * (10 * 1024 * 1024), b"[" * (10 * 1024 * 1024)):
        refused = await api.create(body)
        assert (refused.status, refused.code) == (413, "body_too_large")
        assert refused.json()["error"]["type"] == "invalid_request"


async def test_a_body_in_chunks_is_measured_too(api: Api) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10 * 16):
            yield b" " * 65536

    refused = await within(api.create(chunks()))
    assert (refused.status, refused.code) == (413, "body_too_large")

    async def a_call() -> AsyncIterator[bytes]:
        yield call()[:10]
        yield call()[10:]

    assert (await api.create(a_call())).status == 201


async def test_no_credential_no_reading(api: Api) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    async with api.session.post(f"{api.base_url}/v1/requests", data=endless()) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "missing_idempotency_key"),
        ("", "invalid_idempotency_key"),
        ("k" * 256, "invalid_idempotency_key"),
        ("two words", "invalid_idempotency_key"),
        ("Zoë", "invalid_idempotency_key"),
        ("a\tb", "invalid_idempotency_key"),
    ],
)
async def test_a_key_is_visible_ascii(api: Api, key: str | None, code: str) -> None:
    request_id = (await api.create(READ)).json()["id"]
    for path, body in (("/v1/requests", CALL), (f"/v1/requests/{request_id}/consume", None)):
        refused = await api.send("POST", path, body, key=key)
        assert (refused.status, refused.code) == (400, code)
        assert refused.json()["error"]["param"] == "Idempotency-Key"
    assert (await api.consume(request_id, "!~" + "k" * 253)).status == 200


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{}", "missing_field", "status"),
        ({"status": "approved"}, "invalid_field", "status"),
        ({"status": "SUCCEEDED"}, "invalid_field", "status"),
        ({"status": ["succeeded"]}, "invalid_field", "status"),
        ({"status": None}, "invalid_field", "status"),
        ({"status": "failed", "note": None}, "invalid_field", "note"),
        ({"status": "failed", "note": 0}, "invalid_field", "note"),
        ({"status": "failed", "note": {}}, "invalid_field", "note"),
        ({"status": "failed", "reported_at": "2026-01-01T00:00:00Z"}, "unknown_field", "reported_at"),
        (b'{"status":"failed","status":"failed"}', "invalid_json", None),
        (b'{"status":"failed","note":"\\ud800"}', "invalid_json", None),
    ],
)
async def test_a_wrong_outcome_is_400_and_not_recorded(api: Api, body: Any, code: str, param: str | None) -> None:
    request_id = await api.consumed()
    refused = await api.outcome(request_id, body, headers={"Content-Type": "application/json"})
    assert (refused.status, refused.code, refused.json()["error"].get("param")) == (400, code, param)
    assert api.rows("SELECT outcome FROM requests") == [(None,)]
    assert (await api.outcome(request_id, {"status": "failed", "note": "\x00\n" * 10})).status == 200


async def test_consume_takes_no_body(api: Api) -> None:
    request_id = (await api.create(READ)).json()["id"]
    for body in (b"{}", b'{"arguments":{"order":8}}', b" "):
        refused = await api.send("POST", f"/v1/requests/{request_id}/consume", body, key="k")
        assert (refused.status, refused.code) == (400, "unexpected_body")
    large = await api.send("POST", f"/v1/requests/{request_id}/consume", b" " * (MAX_BODY_BYTES + 1), key="k")
    assert large.status == 413
    assert api.rows("SELECT consumed_at FROM requests") == [(None,)]
    assert (await api.send("POST", f"/v1/requests/{request_id}/consume", b"", key="k")).status == 200


async def _raw(api: Api, head: str, body: bytes) -> bytes:
    """Send bytes as they are and return all that comes back."""
    host, port = api.origin.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [head, f"Host: {host}", f"Authorization: Bearer {api.token}", "Idempotency-Key: k"]
    writer.write("\r\n".join([*lines, "Content-Type: application/json"]).encode() + body)
    answer = await within(reader.read())
    writer.close()
    await writer.wait_closed()
    return answer


async def test_what_is_not_http_is_400_and_its_text_is_not_logged(api: Api) -> None:
    with logged() as log:
        for more in (
            b"\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n{}\r\n0\r\n\r\n",
            b"\r\nX-Broken : SECRET\r\n\r\n",
            b"\r\nX-Control: SECRET\x01\r\n\r\n",
        ):
            answer = await _raw(api, "POST /aap/v1/requests HTTP/1.1", more)
            assert answer[9:12] == b"400"
    assert log.getvalue().count("BadHttpMessage") == 3
    assert "SECRET" not in log.getvalue()
    assert api.token not in log.getvalue()
    assert api.rows("SELECT 1 FROM requests") == []


async def test_two_keys_are_400(api: Api) -> None:
    body = call()
    more = f"\r\nIdempotency-Key: other\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    answer = await _raw(api, "POST /aap/v1/requests HTTP/1.1", more + body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"invalid_idempotency_key"' in answer
