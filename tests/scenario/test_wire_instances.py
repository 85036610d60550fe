"""Instances over the wire: made, read, changed and deleted by a provisioner, replays, conflicts and races."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from agentapprovalprotocol._client import ProvisionError, WebhookVerificationFailed
from aiohttp import web

from bot.provisioning import CHALLENGES_AT_ONCE
from tests.conftest import SAMPLE
from tests.scenario.receiver_support import Platform, Station, platform_of, receiving
from tests.scenario.service_support import Workplace, assert_sound, playing, serving
from tests.waiting import until

TEXT = SAMPLE + '\n[delivery]\nallow_loopback = true\n[agents.other]\nowners = ["U0OWNER"]\ntools = ["*"]\n'
NOBODY = "01932b2e-0000-7000-8000-000000000001"


@pytest.fixture
async def work(database: Path) -> AsyncIterator[Workplace]:
    async with playing() as slack, serving(slack, database, text=TEXT) as work:
        yield work
    assert_sound(database)


@pytest.fixture
async def platform(work: Workplace) -> Platform:
    return await platform_of(work)


@pytest.fixture
async def station() -> AsyncIterator[Station]:
    async with receiving() as station:
        yield station


def code_of(answer: Any) -> str:
    assert set(answer) == {"error"}
    assert set(answer["error"]) <= {"type", "code", "message", "param", "request_id"}
    return str(answer["error"]["code"])


# --- made and read ----------------------------------------------------------------------------------------


async def test_an_instance_is_made_read_renamed_and_deleted(platform: Platform, work: Workplace) -> None:
    made = await platform.make(instance_name="till-7")
    assert set(made) == {"instance", "credential"}
    assert made["instance"]["name"] == "till-7"
    assert set(made["credential"]) == {"token"}
    path = f"/{made['instance']['id']}"
    assert await platform.send("GET", path) == (200, made["instance"])
    token = made["credential"]["token"]
    status, request = await work.send(
        "POST", "/v1/requests", {"tool": "look_up", "arguments": {}, "timeout": "5m"}, key="r", token=token
    )
    assert (status, request["status"]) == (201, "approved")
    renamed = {**made["instance"], "name": "till-8"}
    assert await platform.send("PATCH", path, {"instance_name": "till-8"}, key="p") == (200, renamed)
    assert await platform.send("GET", path) == (200, renamed)
    assert await platform.send("DELETE", path) == (204, None)
    assert await platform.send("DELETE", path) == (204, None)
    assert (await platform.send("GET", path))[0] == 404
    assert (await work.send("GET", f"/v1/requests/{request['id']}", token=token))[0] == 401


async def test_without_a_name_one_is_given(platform: Platform) -> None:
    first, second = await platform.make(key="1"), await platform.make(key="2")
    assert first["instance"]["name"].startswith("refund-bot-")
    assert first["instance"]["name"] != second["instance"]["name"]


async def test_the_same_submission_again_is_the_same_instance_and_token(platform: Platform) -> None:
    made = await platform.make(instance_name="till")
    assert await platform.send("POST", body={"instance_name": "till"}, key="k") == (200, made)
    spaced = b' { "instance_name" : "till" } '
    assert await platform.send("POST", body=spaced, key="k") == (200, made)
    await platform.send("PATCH", f"/{made['instance']['id']}", {"instance_name": "other"}, key="p")
    assert await platform.send("POST", body={"instance_name": "till"}, key="k") == (200, made)  # as it was answered
    status, answer = await platform.send("POST", body={}, key="k")
    assert (status, code_of(answer)) == (409, "idempotency_conflict")


async def test_what_was_deleted_is_not_made_again(platform: Platform) -> None:
    made = await platform.make()
    await platform.send("DELETE", f"/{made['instance']['id']}")
    status, answer = await platform.send("POST", body={}, key="k")
    assert (status, code_of(answer)) == (409, "instance_deleted")


async def test_a_change_sent_again_gives_the_first_answer_and_changes_nothing(platform: Platform) -> None:
    path = f"/{(await platform.make())['instance']['id']}"
    first = await platform.send("PATCH", path, {"instance_name": "one"}, key="p1")
    second = await platform.send("PATCH", path, {"instance_name": "two"}, key="p2")
    assert await platform.send("PATCH", path, {"instance_name": "one"}, key="p1") == first
    assert await platform.send("GET", path) == second
    status, answer = await platform.send("PATCH", path, {"instance_name": "three"}, key="p1")
    assert (status, code_of(answer)) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("method", "path", "body", "key", "status", "code"),
    [
        ("POST", "", {}, None, 400, "missing_idempotency_key"),
        ("POST", "", {"name": "x"}, "k", 400, "unknown_field"),
        ("POST", "", {"instance_name": ""}, "k", 400, "invalid_field"),
        ("POST", "", {"instance_name": "x" * 76}, "k", 400, "invalid_field"),
        ("POST", "", {"instance_name": "a\u202eb"}, "k", 400, "invalid_field"),
        ("POST", "", {"instance_name": 7}, "k", 400, "invalid_field"),
        ("POST", "", {"instance_name": None}, "k", 400, "invalid_field"),
        ("POST", "", {"delivery": None}, "k", 400, "invalid_field"),
        ("POST", "", {"delivery": []}, "k", 400, "invalid_field"),
        ("POST", "", b"[]", "k", 400, "invalid_json"),
        ("GET", f"/{NOBODY}", None, None, 404, "instance_not_found"),
        ("GET", "/nonsense", None, None, 404, "instance_not_found"),
        ("PATCH", f"/{NOBODY}", {"instance_name": "x"}, "k", 404, "instance_not_found"),
        ("DELETE", f"/{NOBODY}", None, None, 404, "instance_not_found"),
        ("PUT", f"/{NOBODY}", None, None, 405, "method_not_allowed"),
        ("GET", "", None, None, 405, "method_not_allowed"),
    ],
)
async def test_what_is_wrong_is_said(
    platform: Platform, method: str, path: str, body: object, key: str | None, status: int, code: str
) -> None:
    answered, answer = await platform.send(method, path, body, key=key)
    assert (answered, code_of(answer)) == (status, code)


async def test_a_change_of_nothing_is_refused(platform: Platform) -> None:
    path = f"/{(await platform.make())['instance']['id']}"
    status, answer = await platform.send("PATCH", path, {}, key="p")
    assert (status, code_of(answer)) == (400, "missing_field")


# --- whose -------------------------------------------------------------------------------------------------


async def test_a_provisioner_manages_only_what_it_made(platform: Platform, work: Workplace) -> None:
    path = f"/{(await platform.make())['instance']['id']}"
    _, other = await work.service.provisioners.create("another", "refund-bot")
    by_hand, _ = await work.service.instances.create("by hand", "refund-bot")
    for where, token in ((path, other), (f"/{by_hand.id}", platform.token)):
        for method, body in (("GET", None), ("PATCH", {"instance_name": "mine"}), ("DELETE", None)):
            status, answer = await platform.send(method, where, body, key="p", token=token)
            assert (status, code_of(answer)) == (404, "instance_not_found")
    assert (await platform.send("GET", path))[0] == 200


async def test_the_two_kinds_of_token_are_not_interchangeable(platform: Platform, work: Workplace) -> None:
    made = await platform.make()
    status, answer = await platform.send("POST", body={}, key="x", token=made["credential"]["token"])
    assert (status, code_of(answer)) == (403, "wrong_credential")
    status, answer = await work.send("GET", f"/v1/requests/{NOBODY}", token=platform.token)
    assert (status, code_of(answer)) == (403, "wrong_credential")
    for wrong in ("so_p_" + "0" * 49, "so_i_" + "0" * 49, "nonsense", platform.token[:-1] + "!"):
        assert (await platform.send("GET", f"/{NOBODY}", token=wrong))[0] == 401
        assert (await work.send("GET", f"/v1/requests/{NOBODY}", token=wrong))[0] == 401


async def test_a_revoked_provisioner_does_nothing_more_and_its_instances_live_on(
    platform: Platform, work: Workplace
) -> None:
    made = await platform.make()
    await work.service.provisioners.revoke("fleet")
    assert (await platform.send("GET", f"/{made['instance']['id']}"))[0] == 401
    status, _ = await work.send("GET", f"/v1/requests/{NOBODY}", token=made["credential"]["token"])
    assert status == 404


async def test_the_instances_are_of_the_provisioners_agent(work: Workplace) -> None:
    made = await (await platform_of(work, "other")).make()
    [(agent,)] = work.rows(f"SELECT agent FROM instances WHERE id = '{made['instance']['id']}'")
    assert agent == "other"


# --- receivers ---------------------------------------------------------------------------------------------


async def test_the_real_receiver_provisions_itself(platform: Platform, station: Station, work: Workplace) -> None:
    done = await station.receiver.provision(
        provider_url=work.agents_url, provisioner_token=platform.token, url=station.url, instance_name="codex"
    )
    assert done.instance_name == "codex"
    [challenge] = station.got
    assert station.proven(challenge)["instance_id"] == done.instance_id
    status, read = await platform.send("GET", f"/{done.instance_id}")
    assert (status, read) == (
        200,
        {
            "id": done.instance_id,
            "name": "codex",
            "delivery": {"type": "webhook", "url": station.url, "registration_id": station.receiver.registration_id},
        },
    )
    again = await station.receiver.provision(
        provider_url=work.agents_url, provisioner_token=platform.token, url=station.url, instance_name="codex"
    )
    assert (again.instance_id, again.token) == (done.instance_id, done.token)
    assert len(station.got) == 1  # nobody is challenged twice
    secret = station.receiver.secret
    assert secret is not None
    stored = "".join(str(work.rows(f"SELECT * FROM {table}")) for table in ("deliveries", "events", "instances"))
    assert secret not in stored
    assert secret.removeprefix("whsec_") not in stored


async def _says(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json")


@pytest.mark.parametrize(
    "answer",
    [
        lambda http_request, body: _says(200, b""),
        lambda http_request, body: _says(200, b'{"challenge":"another"}'),
        lambda http_request, body: _says(204, b""),
        lambda http_request, body: _says(201, json.dumps({"challenge": json.loads(body)["challenge"]}).encode()),
        lambda http_request, body: _says(
            200, json.dumps({"challenge": json.loads(body)["challenge"], "extra": 1}).encode()
        ),
        lambda http_request, body: _says(
            200, f'{{"challenge":"x","challenge":"{json.loads(body)["challenge"]}"}}'.encode()
        ),
        lambda http_request, body: _says(500, b"{}"),
        lambda http_request, body: _says(200, b"[" * 100_000),
        lambda http_request, body: _says(200, b"\xff"),
    ],
    ids=[
        "empty",
        "wrong challenge",
        "204",
        "201",
        "more than the challenge",
        "two challenges",
        "500",
        "nested",
        "not utf-8",
    ],
)
async def test_a_receiver_that_does_not_prove_itself_is_none(
    platform: Platform, station: Station, work: Workplace, answer: Any
) -> None:
    station.answer = answer
    status, refused = await platform.send("POST", body={"delivery": station.configuration()}, key="k")
    assert (status, code_of(refused)) == (422, "webhook_verification_failed")
    assert work.rows("SELECT * FROM deliveries") == []
    assert len(station.got) == 1  # one try
    station.answer = None
    await platform.make(station)  # the same key again, and this time it does


async def test_a_redirecting_receiver_is_none(platform: Platform, station: Station) -> None:
    async def redirect(http_request: web.Request, body: bytes) -> web.StreamResponse:
        raise web.HTTPPermanentRedirect("/elsewhere")

    station.answer = redirect
    status, refused = await platform.send("POST", body={"delivery": station.configuration()}, key="k")
    assert (status, code_of(refused), len(station.got)) == (422, "webhook_verification_failed", 1)


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"url": "https://10.0.0.1/x"}, "invalid_webhook_url", "delivery.url"),
        ({"url": "http://example.com/"}, "invalid_webhook_url", "delivery.url"),
        ({"url": "https://u:p@example.com/"}, "invalid_webhook_url", "delivery.url"),
        ({"url": 3}, "invalid_field", "delivery.url"),
        ({"type": "socket"}, "unsupported_delivery_type", "delivery.type"),
        ({"registration_id": "x"}, "invalid_field", "delivery.registration_id"),
        ({"signing_secret": "whsec_AAAA"}, "invalid_field", "delivery.signing_secret"),
        ({"signing_secret": "whsec_" + "A" * 42 + "B="}, "invalid_field", "delivery.signing_secret"),
        ({"retries": 3}, "unknown_field", "delivery.retries"),
    ],
)
async def test_a_configuration_that_is_none_is_refused_before_anybody_is_called(
    platform: Platform, station: Station, changes: dict[str, object], code: str, param: str
) -> None:
    status, refused = await platform.send("POST", body={"delivery": station.configuration(**changes)}, key="k")
    assert (status, code_of(refused), refused["error"]["param"]) == (400, code, param)
    assert station.got == []


async def test_the_clients_errors_are_the_protocols(platform: Platform, station: Station, work: Workplace) -> None:
    station.answer = lambda http_request, body: _says(200, b"{}")
    with pytest.raises(WebhookVerificationFailed):
        await station.receiver.provision(
            provider_url=work.agents_url, provisioner_token=platform.token, url=station.url
        )
    with pytest.raises(ProvisionError, match="401"):
        await station.receiver.provision(
            provider_url=work.agents_url, provisioner_token="so_p_" + "0" * 49, url=station.url
        )


async def test_replacing_and_removing_a_receiver(platform: Platform, station: Station) -> None:
    made = await platform.make(station)
    path = f"/{made['instance']['id']}"
    async with receiving() as other:
        status, changed = await platform.send("PATCH", path, {"delivery": other.configuration()}, key="p1")
        assert (status, changed["delivery"]["url"]) == (200, other.url)
        station.answer = lambda http_request, body: _says(500, b"")
        status, refused = await platform.send(
            "PATCH", path, {"delivery": station.configuration(), "instance_name": "new"}, key="p2"
        )
        assert (status, code_of(refused)) == (422, "webhook_verification_failed")
        assert await platform.send("GET", path) == (200, changed)  # neither receiver nor name
        status, removed = await platform.send("PATCH", path, {"delivery": None}, key="p3")
        assert (status, "delivery" in removed) == (200, False)
        assert await platform.send("PATCH", path, {"delivery": other.configuration()}, key="p1") == (200, changed)
        assert await platform.send("GET", path) == (200, removed)  # the repeat did not bring it back
        assert len(other.got) == 1


# --- races -------------------------------------------------------------------------------------------------


async def test_one_submission_many_times_at_once_is_one_instance_and_one_challenge(
    platform: Platform, station: Station, work: Workplace
) -> None:
    body = {"delivery": station.configuration()}
    answers = await asyncio.gather(*(platform.send("POST", body=body, key="k") for _ in range(20)))
    assert sorted(status for status, _ in answers) == [200] * 19 + [201]
    assert len({json.dumps(answer) for _, answer in answers}) == 1
    assert len(station.got) == 1
    assert work.rows("SELECT count(*) FROM instances WHERE provisioner_id IS NOT NULL") == [(1,)]


async def test_one_provisioner_has_only_so_many_receivers_challenged_at_once(
    platform: Platform, station: Station, work: Workplace
) -> None:
    go_on = asyncio.Event()

    async def wait(http_request: web.Request, body: bytes) -> web.StreamResponse:
        await go_on.wait()
        return await _says(200, json.dumps({"challenge": json.loads(body)["challenge"]}).encode())

    station.answer = wait
    async with receiving() as other:
        asking = [
            asyncio.ensure_future(platform.send("POST", body={"delivery": station.configuration()}, key=f"k{at}"))
            for at in range(CHALLENGES_AT_ONCE)
        ]
        await until(lambda: len(station.got) == CHALLENGES_AT_ONCE)
        # Another host, another address: it is the provisioner that has too many.
        headers = {"Authorization": f"Bearer {platform.token}", "Idempotency-Key": "more"}
        body = {"delivery": other.configuration()}
        async with work.session.post(f"{work.agents_url}/v1/instances", json=body, headers=headers) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
            assert code_of(await answer.json()) == "too_many_verifications"
        assert other.got == []
        assert (await platform.send("POST", body={}, key="none"))[0] == 201  # nobody to be challenged
        assert (await (await platform_of(work, "other", "another fleet")).make(other, key="more"))["instance"][
            "delivery"
        ]
        go_on.set()
        assert [status for status, _ in await asyncio.gather(*asking)] == [201] * CHALLENGES_AT_ONCE
        await platform.make(other, key="more")


async def test_a_deletion_wins_over_a_change_that_waits_for_its_receiver(
    platform: Platform, station: Station, work: Workplace
) -> None:
    path = f"/{(await platform.make())['instance']['id']}"
    go_on = asyncio.Event()

    async def wait(http_request: web.Request, body: bytes) -> web.StreamResponse:
        await go_on.wait()
        status, answer = await station.receiver.handle(http_request.headers, body)
        return await _says(status, answer)

    station.answer = wait
    change = {"delivery": station.configuration(), "instance_name": "new"}
    changing = asyncio.ensure_future(platform.send("PATCH", path, change, key="p"))
    await station.until_challenged()
    assert await platform.send("DELETE", path) == (204, None)
    go_on.set()
    status, answer = await changing
    assert (status, code_of(answer)) == (404, "instance_not_found")
    assert work.rows("SELECT * FROM deliveries") == []


async def test_a_deletion_leaves_nothing_behind_however_many_requests_come(platform: Platform, work: Workplace) -> None:
    made = await platform.make()
    token = made["credential"]["token"]
    body = {"tool": "issue_refund", "arguments": {"amount": 1}, "timeout": "5m"}
    asking = [
        asyncio.ensure_future(work.send("POST", "/v1/requests", body, key=f"r{at}", token=token)) for at in range(20)
    ]
    await asyncio.sleep(0)
    deleted, *answers = await asyncio.gather(platform.send("DELETE", f"/{made['instance']['id']}"), *asking)
    assert deleted == (204, None)
    assert {status for status, _ in answers} <= {201, 401}
    instance = f"instance_id = '{made['instance']['id']}'"
    assert work.rows(f"SELECT count(*) FROM requests WHERE {instance} AND status = 'pending'") == [(0,)]
    assert work.rows(f"SELECT count(*) FROM credentials WHERE {instance} AND revoked_at IS NULL") == [(0,)]


async def test_a_provisioner_of_an_agent_that_is_gone_makes_nothing(database: Path) -> None:
    async with playing() as slack:
        async with serving(slack, database, text=TEXT) as work:
            platform = await platform_of(work, "other")
        async with serving(slack, database, text=TEXT.split("[agents.other]")[0], token="") as work:
            status, answer = await Platform(work, platform.token).send("POST", body={}, key="k")
            assert (status, code_of(answer)) == (409, "unknown_agent")
