"""What an orchestrator and Prometheus see of the service as it is wired."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from handlers.slack import bolt
from playground import Fault, Playground
from tests.conftest import SAMPLE
from tests.scenario.service_support import MODES, Workplace, secrets_for, serving
from tests.waiting import within

PUBLIC = SAMPLE.replace("http://127.0.0.1:8080", "https://signoff.example.com")


async def readiness(work: Workplace) -> tuple[int, dict[str, Any]]:
    """Ask ``/readyz`` as if nobody had asked before: what it found is remembered for a while."""
    for probe in work.service.health._parts.values():
        probe._until = 0.0
    status, text = await work.get("/readyz")
    return status, json.loads(text)


def parts(mode: str, **failed: str) -> dict[str, dict[str, str]]:
    names = ["database", "slack", "socket"] if mode == "socket" else ["database", "slack"]
    return {name: {"status": "failed", "code": failed[name]} if name in failed else {"status": "ok"} for name in names}


@pytest.mark.parametrize("mode", MODES)
async def test_it_is_ready_when_slack_is_and_alive_all_the_time(
    slack: Playground, database: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bolt, "_RETRY", bolt._RETRY / 100)
    slack.faults.add(Fault("dead"))
    async with serving(slack, database, mode=mode, waits_for_slack=False) as work:
        no_socket = {"socket": "not_connected"} if mode == "socket" else {}
        assert await readiness(work) == (
            503,
            {"status": "not_ready", "parts": parts(mode, slack="no_connection", **no_socket)},
        )
        assert await work.get("/healthz") == (200, '{"status": "ok"}')
        # Agents are served meanwhile; their cards wait.
        body = {"tool": "look_up", "arguments": {}, "timeout": "10m"}
        assert (await work.send("POST", "/v1/requests", body, key="k"))[0] == 201

        slack.faults.clear()
        await within(work.service.door.wait_until_open())
        assert await readiness(work) == (200, {"status": "ready", "parts": parts(mode)})

        slack.faults.add(Fault("dead"))
        await slack.drop_sockets()
        status, told = await readiness(work)
        assert (status, told["parts"]["slack"]) == (503, {"status": "failed", "code": "no_connection"})
        assert (await work.get("/healthz"))[0] == 200


async def test_a_revoked_token_is_told_by_slacks_code(slack: Playground, database: Path) -> None:
    async with serving(slack, database) as work:
        slack.auth_error = "token_revoked"
        status, told = await readiness(work)
        assert (status, told["parts"]["slack"]) == (503, {"status": "failed", "code": "token_revoked"})


async def test_who_asks_often_does_not_make_us_ask_slack_often(slack: Playground, database: Path) -> None:
    async with serving(slack, database) as work:
        for _ in range(30):
            await work.get("/readyz")
        assert len(slack.calls_of("auth.test")) <= 2  # the door's, and one for all who asked


async def test_metrics_are_open_where_nobody_else_can_reach(slack: Playground, database: Path) -> None:
    async with serving(slack, database) as work:
        status, text = await work.get("/metrics")
        assert status == 200
        assert "signoff_requests_pending 0.0" in text


async def test_metrics_want_their_token_once_the_service_has_a_public_address(
    slack: Playground, database: Path
) -> None:
    secrets = replace(secrets_for(slack), metrics_token=SecretStr("m" * 32))
    async with serving(slack, database, text=PUBLIC, secrets=secrets) as work:
        assert (await work.get("/metrics"))[0] == 401
        assert (await work.get("/metrics", token="n" * 32))[0] == 401
        assert (await work.get("/metrics", token=work.token))[0] == 401
        assert (await work.get("/metrics", token="m" * 32))[0] == 200
        assert (await work.get("/healthz"))[0] == 200


async def test_without_a_token_public_metrics_are_closed(slack: Playground, database: Path) -> None:
    async with serving(slack, database, text=PUBLIC) as work:
        for token in (None, "", "None", work.token):
            assert (await work.get("/metrics", token=token))[0] == 403


async def test_what_happens_is_counted(slack: Playground, database: Path) -> None:
    async with serving(slack, database) as work:
        for at, tool in enumerate(["look_up", "issue_refund", "drop_tables"]):
            await work.send("POST", "/v1/requests", {"tool": tool, "arguments": {}, "timeout": "10m"}, key=f"k{at}")
        card = await work.card()
        await slack.click("U0ALICE", card.channel, card.ts, "approve")
        await work.get("/nowhere")
        await work.until_delivered()
        _, text = await work.get("/metrics")
    counted = set(text.splitlines())
    assert {
        "signoff_requests_made_total 3.0",
        'signoff_requests_decided_total{by="rule",status="approved"} 1.0',
        'signoff_requests_decided_total{by="rule",status="denied"} 1.0',
        'signoff_requests_decided_total{by="person",status="approved"} 1.0',
        "signoff_decision_seconds_count 1.0",
        "signoff_requests_pending 0.0",
        "signoff_outbox_waiting 0.0",
        'signoff_http_responses_total{route="/aap/v1/requests",status="2xx"} 3.0',
    } <= counted
