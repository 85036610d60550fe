"""The agents' API over raw HTTP: statuses, headers, error bodies, idempotency, what comes back to the letter."""

import asyncio
import json
import sqlite3
import uuid
from contextlib import closing

import aiohttp
import pytest
from agentapprovalprotocol._wire import loads, parse_request

from bot.errors import OperatorError
from bot.lifecycle import State, state_of
from handlers.protocol import _HEADERS_OF, _STATUS_OF, _answer_failure
from handlers.wire import ERROR_TYPES
from store.tables import Status, VoteKind
from tests.scenario.agents_support import CALL, READ, Api, logged
from tests.waiting import within

NOBODY = "01940000-0000-7000-8000-000000000000"


# --- create -----------------------------------------------------------------------------------------------


async def test_a_new_request_is_201_and_its_repetition_200(api: Api) -> None:
    made = await api.create(key="k")
    assert made.status == 201
    assert parse_request(loads(made.body)).status == "pending"
    again = await api.create(key="k")
    assert (again.status, again.body) == (200, made.body)
    # The same fields otherwise spelled are the same fields.
    spelled = b'{"timeout":"10m", "arguments":{"to":"Zo\\u00eb","amount":4.9e3},"tool":"issue_refund"}'
    assert (await api.create(spelled, key="k")).body == made.body


async def test_a_repetition_gives_the_request_as_it_is_now(api: Api) -> None:
    made = await api.create(key="k")
    await api.vote(await api.next_change(Status.PENDING), VoteKind.DENY, "no")
    again = await api.create(key="k")
    assert again.status == 200
    assert again.json()["id"] == made.json()["id"]
    assert again.json()["decision"]["note"] == "no"


@pytest.mark.parametrize(
    "other",
    [
        CALL | {"tool": "send_mail"},
        CALL | {"server": "crm"},
        b'{"tool":"issue_refund","arguments":{"amount":4900.0000000000001,"to":"Zo\\u00eb"},"timeout":"10m"}',
        CALL | {"arguments": {"amount": "4900", "to": "Zoë"}},
        CALL | {"timeout": "600s"},
        CALL | {"agent_reasoning": ""},
        CALL | {"context": {}},
    ],
    ids=["tool", "server", "number", "type", "timeout", "reasoning", "context"],
)
async def test_a_key_used_for_other_fields_conflicts(api: Api, other: object) -> None:
    await api.create(key="k")
    conflict = await api.create(other, key="k")
    assert (conflict.status, conflict.code) == (409, "idempotency_conflict")
    assert len(api.rows("SELECT 1 FROM requests")) == 1


async def test_numbers_come_back_to_the_letter(api: Api) -> None:
    arguments = '{ "big" : 1152921504606846977, "exact":0.1000000000000000001,"e":1E+2, "zero": -0.0}'
    context = '{"deep":[1.0,\n 10000000000000000000000000000000.50]}'
    body = f'{{"tool":"look_up","arguments":{arguments},"timeout":"999999h","context":{context}}}'
    made = await api.create(body.encode())
    assert made.status == 201
    for reply in (made, await api.send("GET", f"/v1/requests/{made.json()['id']}")):
        text = reply.body.decode()
        assert f'"arguments":{arguments},' in text
        assert f'"context":{context},' in text
        assert '"timeout":"999999h"' in text
    parsed = parse_request(loads(made.body))
    assert str(parsed.arguments["exact"]) == "0.1000000000000000001"
    assert parsed.arguments["big"] == 2**60 + 1
    assert (parsed.deadline_at - parsed.created_at).total_seconds() == 3600  # shortened by the rule


@pytest.mark.parametrize("field", ["agent_reasoning", "server", "context"])
async def test_what_was_not_sent_is_not_there(api: Api, field: str) -> None:
    assert field not in (await api.create()).json()
    sent = {"agent_reasoning": "", "server": "crm", "context": {}}[field]
    assert (await api.create(CALL | {field: sent})).json()[field] == sent


async def test_times_are_utc_with_microseconds(api: Api) -> None:
    api.house.clock.now = api.house.clock.now.replace(microsecond=0)
    made = (await api.create(READ)).json()
    stamp = api.house.clock.now.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assert made["created_at"] == made["decision"]["decided_at"] == stamp
    assert list(made["decision"]) == ["status", "decided_at", "expires_at"]


# --- the life of a request --------------------------------------------------------------------------------


async def test_cancelling_is_final_and_repeatable(api: Api) -> None:
    request_id = (await api.create()).json()["id"]
    cancelled = await api.send("DELETE", f"/v1/requests/{request_id}")
    assert (cancelled.status, cancelled.json()["status"]) == (200, "cancelled")
    again = await api.send("DELETE", f"/v1/requests/{request_id}")
    assert (again.status, again.body) == (200, cancelled.body)
    refused = await api.consume(request_id)
    assert (refused.status, refused.code) == (409, "not_approved")


@pytest.mark.parametrize("kind", [VoteKind.APPROVE, VoteKind.DENY])
async def test_what_is_decided_cannot_be_cancelled(api: Api, kind: VoteKind) -> None:
    request_id = (await api.create()).json()["id"]
    await api.vote(await api.next_change(Status.PENDING), kind)
    refused = await api.send("DELETE", f"/v1/requests/{request_id}")
    assert (refused.status, refused.code) == (409, "already_terminal")


async def test_what_is_expired_cannot_be_cancelled(api: Api) -> None:
    request_id = (await api.create()).json()["id"]
    api.house.clock.advance(minutes=10)
    for _ in range(2):  # before the sweep came by, and after
        refused = await api.send("DELETE", f"/v1/requests/{request_id}")
        assert (refused.status, refused.code) == (409, "already_terminal")
        await api.house.deadlines.sweep()
    assert (await api.send("GET", f"/v1/requests/{request_id}")).json()["status"] == "expired"


async def test_only_an_approval_is_consumed(api: Api) -> None:
    request_id = (await api.create()).json()["id"]
    request = await api.next_change(Status.PENDING)
    assert (await api.consume(request_id)).code == "not_approved"
    await api.vote(request, VoteKind.APPROVE)
    taken = await api.consume(request_id, "once")
    assert (taken.status, list(taken.json()["consumption"])) == (200, ["consumed_at"])
    assert (await api.consume(request_id, "once")).body == taken.body
    refused = await api.consume(request_id, "twice")
    assert (refused.status, refused.code) == (409, "already_consumed")


async def test_an_approval_that_lapsed_is_not_consumed(api: Api) -> None:
    request_id = (await api.create(READ)).json()["id"]
    api.house.clock.advance(minutes=2)
    for _ in range(2):  # before the sweep came by, and after
        refused = await api.consume(request_id)
        assert (refused.status, refused.code) == (409, "approval_expired")
        await api.house.deadlines.sweep()


async def test_an_outcome_is_reported_once_and_even_late(api: Api) -> None:
    request_id = await api.consumed()
    api.house.clock.advance(minutes=15)
    assert [state_of(request) for request in (await api.house.deadlines.sweep()).requests] == [State.OVERDUE]
    reported = await api.outcome(request_id, {"status": "succeeded", "note": ""})
    assert (reported.status, reported.json()["consumption"]["outcome"]["status"]) == (200, "succeeded")
    assert "note" not in reported.json()["consumption"]["outcome"]
    assert (await api.outcome(request_id, {"status": "succeeded"})).body == reported.body
    refused = await api.outcome(request_id, {"status": "failed"})
    assert (refused.status, refused.code) == (409, "outcome_conflict")


async def test_a_thousand_consume_at_once_and_one_succeeds(api: Api) -> None:
    request_id = (await api.create(READ)).json()["id"]
    connector = aiohttp.TCPConnector(limit=64)
    headers = {"Authorization": f"Bearer {api.token}"}

    async def consume(session: aiohttp.ClientSession, key: str) -> tuple[int, str]:
        url = f"{api.base_url}/v1/requests/{request_id}/consume"
        async with session.post(url, headers=headers | {"Idempotency-Key": key}) as response:
            body = await response.json()
        return response.status, body["error"]["code"] if "error" in body else ""

    async with aiohttp.ClientSession(connector=connector) as session:
        answers = await within(asyncio.gather(*(consume(session, f"key-{at}") for at in range(1000))))
    assert sorted(set(answers)) == [(200, ""), (409, "already_consumed")]
    assert [status for status, _ in answers].count(200) == 1
    assert api.rows("SELECT count(*) FROM events WHERE type = 'request.consumed'") == [(1,)]


# --- who may ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer a b", "so_i_123", "Bearer so_i_x", "Bearer Zoë"],
)
async def test_what_is_no_credential_is_401(api: Api, header: str) -> None:
    refused = await api.create(token=None, headers={"Authorization": header})
    assert (refused.status, refused.code) == (401, "invalid_credential")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert api.rows("SELECT 1 FROM requests") == []


async def test_no_credential_is_401_on_every_call(api: Api) -> None:
    request_id = (await api.create()).json()["id"]
    for method, path in [
        ("POST", "/v1/requests"),
        ("GET", f"/v1/requests/{request_id}"),
        ("DELETE", f"/v1/requests/{request_id}"),
        ("POST", f"/v1/requests/{request_id}/consume"),
        ("POST", f"/v1/requests/{request_id}/outcome"),
    ]:
        refused = await api.send(method, path, token=None, key="k")
        assert (refused.status, refused.code) == (401, "invalid_credential")


async def test_a_well_formed_token_that_nobody_has_is_401(api: Api) -> None:
    other, token = await api.house.instances.create("other", "refund-bot")
    await api.house.instances.revoke("other")
    refused = await api.create(token=token)
    assert (refused.status, refused.code) == (401, "invalid_credential")
    swapped = api.token[:-1] + ("0" if api.token[-1] != "0" else "1")
    assert (await api.create(token=swapped)).status == 401
    assert token not in refused.body.decode()
    assert other.revoked_at is None  # it lived when its token was made


async def test_the_scheme_is_spelled_in_any_case(api: Api) -> None:
    assert (await api.create(token=None, headers={"Authorization": f"bearer  {api.token}"})).status == 201


async def test_a_revoked_credential_is_refused_at_once_and_its_requests_are_cancelled(api: Api) -> None:
    request_id = (await api.create()).json()["id"]
    await api.house.instances.revoke("till")
    assert (await api.send("GET", f"/v1/requests/{request_id}")).status == 401
    assert api.rows("SELECT status FROM requests") == [("cancelled",)]


async def test_another_instances_request_is_answered_like_one_that_is_not(api: Api) -> None:
    _, token = await api.house.instances.create("other", "refund-bot")
    request_id = (await api.create()).json()["id"]
    theirs = await api.send("GET", f"/v1/requests/{request_id}", token=token)
    nobodys = await api.send("GET", f"/v1/requests/{NOBODY}", token=token)
    assert (theirs.status, theirs.code) == (nobodys.status, nobodys.code) == (404, "request_not_found")
    assert theirs.json()["error"]["message"] == nobodys.json()["error"]["message"]


@pytest.mark.parametrize("name", ["x", "%00", "%FF", "1", NOBODY.upper() + "0", "..%2f..", "%F0%9F%98%80", "a" * 5000])
async def test_what_cannot_be_an_id_is_an_unknown_request(api: Api, name: str) -> None:
    for method, rest in [("GET", ""), ("GET", "?wait=30s"), ("DELETE", ""), ("POST", "/consume")]:
        refused = await api.send(method, f"/v1/requests/{name}{rest}", key="k")
        assert (refused.status, refused.json()["error"]["type"]) == (404, "not_found")
        assert refused.code in ("request_not_found", "not_found")


# --- HTTP's own rules -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/requests", "POST"),
        ("HEAD", "/v1/requests", "POST"),
        ("PATCH", f"/v1/requests/{NOBODY}", "DELETE, GET"),
        ("POST", f"/v1/requests/{NOBODY}", "DELETE, GET"),
        ("GET", f"/v1/requests/{NOBODY}/consume", "POST"),
        ("OPTIONS", f"/v1/requests/{NOBODY}/outcome", "POST"),
    ],
)
async def test_a_wrong_method_is_405(api: Api, method: str, path: str, allowed: str) -> None:
    refused = await api.send(method, path)
    assert (refused.status, refused.headers["Allow"]) == (405, allowed)
    if method != "HEAD":
        assert refused.code == "method_not_allowed"
        assert refused.json()["error"]["type"] == "invalid_request"


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/requests/", f"/v1/requests/{NOBODY}/revoke", "/v2/requests"])
async def test_an_unknown_path_is_404(api: Api, path: str) -> None:
    for method in ("GET", "POST"):
        refused = await api.send(method, path)
        assert (refused.status, refused.code) == (404, "not_found")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
async def test_a_body_of_another_kind_is_415(api: Api, content_type: str) -> None:
    refused = await api.create(headers={"Content-Type": content_type})
    assert (refused.status, refused.code) == (415, "unsupported_media_type")
    assert refused.json()["error"]["type"] == "invalid_request"


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_may_be_announced_in_any_spelling(api: Api, content_type: str) -> None:
    assert (await api.create(headers={"Content-Type": content_type})).status == 201


async def test_a_compressed_body_is_415(api: Api) -> None:
    refused = await api.create(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert (refused.status, refused.code) == (415, "unsupported_media_type")


async def test_every_exchange_has_an_id_of_its_own(api: Api) -> None:
    theirs = str(uuid.uuid4())
    replies = [await api.send("GET", f"/v1/requests/{NOBODY}", headers={"X-Request-ID": theirs}) for _ in range(3)]
    assert len({theirs, *(reply.headers["X-Request-ID"] for reply in replies)}) == 4


def test_the_tables_of_statuses_cover_each_other() -> None:
    assert {*_STATUS_OF.values(), *_HEADERS_OF} <= set(ERROR_TYPES)


async def test_a_failure_inside_is_a_500_that_tells_nothing(api: Api) -> None:
    request_id = (await api.create(READ)).json()["id"]
    with closing(sqlite3.connect(api.path)) as connection:
        connection.execute("DELETE FROM rule_versions")
        connection.commit()
    with logged() as log:
        failed = await api.consume(request_id)
    assert (failed.status, failed.code) == (500, "internal")
    assert failed.json()["error"]["type"] == "internal"
    assert "rule" not in failed.body.decode()
    line = json.loads(log.getvalue())
    assert (line["request_id"], line["exception"][0]["type"]) == (failed.headers["X-Request-ID"], "LookupError")
    assert "rulebook.py" in line["exception"][0]["frames"][-1]
    assert api.rows("SELECT consumed_at FROM requests") == [(None,)]


def test_a_refusal_that_is_not_the_agents_never_reaches_them() -> None:
    with logged():
        answer = _answer_failure(OperatorError("secret"), NOBODY)
    assert answer.status == 500
    assert "secret" not in str(answer.body)


async def test_a_refusal_is_logged_by_its_id_and_code_alone(api: Api) -> None:
    with logged() as log:
        answers = []
        request_id = await api.consumed()
        await api.outcome(request_id, {"status": "succeeded", "note": "done"})
        for refused in (
            await api.create(b"{", headers={"Content-Type": "application/json"}),
            await api.create(token="so_i_x"),
            await api.consume(request_id),
            await api.consume(NOBODY),
        ):
            answers.append((refused.headers["X-Request-ID"], refused.status, refused.json()["error"]["code"]))
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["request_id"], line["status"], line["code"]) for line in lines] == answers
    assert {key for line in lines for key in line} == {
        "at", "level", "logger", "event", "request_id", "status", "code",
    }  # fmt: skip
