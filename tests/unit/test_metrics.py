"""What is counted is what happened, once; and the door in front of it."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession, web
from pydantic import SecretStr

from bot.config import ServerSettings
from bot.decisions import Act
from handlers.metrics import Metrics, count_answers, metrics_route
from store import statements
from store.engine import SqliteStore
from store.tables import FullView, OutcomeStatus, VoteKind
from store.unit import StoreUnavailable
from store.vocabulary import TargetState
from tests.conftest import START, TEAM, House, StandingClock, Town, submission
from tests.scenario.escalation_support import furnish_planned, request_of, rows, run_to

TOKEN = "metrics-token"
LOCAL = ServerSettings(host="127.0.0.1", public_url="http://localhost:8080")
PUBLIC = ServerSettings(host="127.0.0.1", public_url="https://signoff.example.com")
OPEN = ServerSettings(host="0.0.0.0", public_url="http://127.0.0.1:8080")


@pytest.fixture
def metrics(house: House) -> Metrics:
    metrics = Metrics("1.2.3")
    house.store.subscribe(metrics.on_change)

    async def pending() -> int:
        return await house.store.read(lambda unit: unit.one(statements.PENDING_COUNT)) or 0

    metrics.read_gauges_from(
        pending=pending,
        outbox=house.outbox.waiting,
        notifications=pending,
        overdue_step=house.escalations.overdue_seconds,
    )
    return metrics


def _act(name: str) -> Act:
    return Act(name, "U0ALICE", TEAM, "card", "C0REFUNDS", FullView.CARD)


async def samples(metrics: Metrics) -> dict[str, float]:
    """The samples that are not zero, of ours only, without the histogram's buckets."""
    found = {}
    for line in (await metrics.render()).decode().splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("signoff_") and "_bucket" not in name and "_info{" not in name:
            found[name.removeprefix("signoff_")] = float(value)
    return {name: value for name, value in found.items() if value}


async def test_steps_of_plans_are_counted_and_an_overdue_one_is_told(
    store: SqliteStore, clock: StandingClock, town: Town
) -> None:
    house = await furnish_planned(store, clock, town)
    metrics = Metrics("1.2.3")
    store.subscribe(metrics.on_change)
    zero = house.outbox.waiting
    overdue = house.escalations.overdue_seconds
    metrics.read_gauges_from(pending=zero, outbox=zero, notifications=zero, overdue_step=overdue)
    made = await request_of(house)
    await run_to(house, 21)
    [(target,)] = rows(house, "SELECT id FROM step_targets WHERE target = 'thread'")
    await house.step_targets.settle(target, TargetState.FAILED, "is_archived")
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("DELETE FROM outbox")  # as if all were told
    counted = await samples(metrics)
    assert {name: value for name, value in counted.items() if name.startswith("steps")} == {
        'steps_total{state="fired"}': 2,
        'steps_total{state="skipped"}': 1,
        'steps_total{state="failed"}': 1,
    }
    assert "oldest_overdue_step_seconds" not in counted
    house.clock.now = START + timedelta(minutes=27)
    assert (await samples(metrics))["oldest_overdue_step_seconds"] == 120
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE requests SET step_index = 77 WHERE number = ?", (made.number,))
    await house.escalations.sweep()
    assert (await samples(metrics))["plans_stuck_total"] == 1


async def test_each_step_of_a_request_is_counted_once(house: House, metrics: Metrics) -> None:
    instance, _ = await house.instances.create("till", "refund-bot")

    async def make(key: str, tool: str = "issue_refund") -> str:
        request, _ = await house.creation.submit(instance, submission(tool), key)
        return request.id

    approved, denied, expired, cancelled, ruled, _, overdue = [
        await make(f"k{number}", "look_up" if number == 4 else "issue_refund") for number in range(7)
    ]
    await make("k0")  # a repeat is no new request
    await make("k7", "drop_tables")  # no rule: denied at once
    assert (await samples(metrics))["requests_pending"] == 6
    numbers = {request: number for number, request in enumerate((approved, denied, expired, cancelled), start=1)}

    house.clock.advance(seconds=20)
    for request, kind in ((approved, VoteKind.APPROVE), (denied, VoteKind.DENY)):
        await house.decisions.vote(
            numbers[request], Act(request, "U0ALICE", TEAM, "card", "C0REFUNDS", FullView.CARD), kind
        )
    for number in (6, 7):
        await house.decisions.vote(number, _act(f"t{number}"), VoteKind.APPROVE)
    await house.approvals.cancel(instance, cancelled)
    await house.approvals.consume(instance, approved, "c")
    await house.approvals.consume(instance, approved, "c")
    await house.approvals.report_outcome(instance, approved, OutcomeStatus.SUCCEEDED, None)
    await house.approvals.consume(instance, ruled, "c")
    await house.approvals.consume(instance, overdue, "c")
    house.clock.advance(hours=1)
    await house.deadlines.sweep()
    await house.deadlines.sweep()

    waiting = await house.outbox.waiting()
    assert await samples(metrics) == {
        "requests_made_total": 8,
        'requests_decided_total{by="person",status="approved"}': 3,
        'requests_decided_total{by="person",status="denied"}': 1,
        'requests_decided_total{by="agent",status="cancelled"}': 1,
        'requests_decided_total{by="clock",status="expired"}': 1,
        'requests_decided_total{by="rule",status="approved"}': 1,
        'requests_decided_total{by="rule",status="denied"}': 1,
        "decision_seconds_count": 4,
        "decision_seconds_sum": 80,
        "requests_consumed_total": 3,
        'requests_swept_total{state="expired"}': 1,
        'requests_swept_total{state="lapsed"}': 1,
        'requests_swept_total{state="overdue"}': 2,
        "requests_overdue_total": 2,
        "outbox_waiting": waiting,
    }
    lines = [line for line in (await metrics.render()).decode().splitlines() if not line.startswith("#")]
    for private in ("issue_refund", "drop_tables", "U0ALICE", "till", instance.id, "refund-bot"):
        assert not [line for line in lines if private in line]


async def test_slacks_codes_are_a_closed_vocabulary(metrics: Metrics) -> None:
    for code in ("ratelimited", "ratelimited", "is_archived", "U0ALICE", 'x"}\nforged 1', "", "a" * 65):
        metrics.slack_fault(code)
    assert await samples(metrics) == {
        'slack_faults_total{code="ratelimited"}': 2,
        'slack_faults_total{code="is_archived"}': 1,
        'slack_faults_total{code="other"}': 4,
    }
    for number in range(1_000):
        metrics.slack_fault(f"code_{number}")
    faults = {name: value for name, value in (await samples(metrics)).items() if name.startswith("slack_faults")}
    assert len(faults) <= 101
    assert sum(faults.values()) == 1_007


async def test_answers_are_counted_by_pattern_and_class(metrics: Metrics) -> None:
    for route, status in (("/aap/v1/requests/{id}", 200), ("/aap/v1/requests/{id}", 204), (None, 404)):
        metrics.http_response(route, status)
    assert await samples(metrics) == {
        'http_responses_total{route="/aap/v1/requests/{id}",status="2xx"}': 2,
        'http_responses_total{route="none",status="4xx"}': 1,
    }


async def test_the_middleware_counts_what_is_sent(metrics: Metrics) -> None:
    hanging = asyncio.Event()

    async def answer(http_request: web.Request) -> web.Response:
        match http_request.match_info["what"]:
            case "conflict":
                raise web.HTTPConflict
            case "crash":
                raise ZeroDivisionError
            case "hang":
                hanging.set()
                await asyncio.Event().wait()
        return web.Response(status=201)

    app = web.Application(logger=logging.getLogger("tests.silent"))
    count_answers(app, metrics)
    logging.getLogger("tests.silent").setLevel(logging.CRITICAL)
    app.router.add_get("/x/{what}", answer)
    async with running(app, handler_cancellation=True) as url, ClientSession(url) as client:
        for path in ("/x/secret", "/x/other", "/x/conflict", "/x/crash", "/secret"):
            async with client.get(path):
                pass
        async with client.post("/x/secret"):
            pass
        impatient = asyncio.create_task(client.get("/x/hang"))
        await hanging.wait()
        impatient.cancel()
    assert await samples(metrics) == {
        'http_responses_total{route="/x/{what}",status="2xx"}': 2,
        'http_responses_total{route="/x/{what}",status="4xx"}': 1,
        'http_responses_total{route="/x/{what}",status="5xx"}': 1,
        'http_responses_total{route="none",status="4xx"}': 2,
    }


async def test_held_polls_are_counted_while_they_last(metrics: Metrics) -> None:
    with metrics.waiting_poll(), metrics.waiting_poll():
        assert await samples(metrics) == {"waiting_polls": 2}
    with pytest.raises(TimeoutError), metrics.waiting_poll():
        raise TimeoutError
    assert await samples(metrics) == {}


async def test_a_database_that_is_away_does_not_take_the_other_metrics_along(metrics: Metrics) -> None:
    async def away() -> int:
        raise StoreUnavailable("gone")

    async def three() -> int:
        return 3

    metrics.read_gauges_from(pending=three, outbox=three, notifications=three, overdue_step=three)
    assert (await samples(metrics))["requests_pending"] == 3
    metrics.read_gauges_from(pending=away, outbox=three, notifications=three, overdue_step=three)
    text = (await metrics.render()).decode()
    assert "signoff_requests_pending NaN" in text  # not the 3 of before
    assert "signoff_outbox_waiting 3.0" in text
    assert "signoff_gauge_failures_total 1.0" in text


def test_two_services_in_one_process_do_not_mix() -> None:
    one, other = Metrics("1"), Metrics("1")
    one.http_response("/x", 200)
    assert other.registry.get_sample_value("signoff_http_responses_total", {"route": "/x", "status": "2xx"}) is None


@asynccontextmanager
async def running(app: web.Application, **settings: Any) -> AsyncIterator[str]:
    runner = web.AppRunner(app, **settings)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def served(server: ServerSettings, token: str | None) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([metrics_route(Metrics("1.2.3"), server, SecretStr(token) if token else None)])
    async with running(app) as url:
        yield f"{url}/metrics"


async def ask(url: str, *authorizations: str) -> tuple[int, str]:
    async with (
        ClientSession() as client,
        client.get(url, headers=[("Authorization", value) for value in authorizations]) as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_on_loopback_alone_metrics_are_open(token: str | None) -> None:
    async with served(LOCAL, token) as url:
        status, text = await ask(url)
    assert status == 200
    assert 'signoff_build_info{version="1.2.3"} 1.0' in text
    assert "_created" not in text


WRONG: list[list[str]] = [
    [],
    ["Bearer"],
    ["Bearer nearly"],
    [f"Basic {TOKEN}"],
    [TOKEN],
    [f"Bearer {TOKEN}x"],
    ["Bearer é"],
    [f"Bearer {TOKEN}", "Bearer other"],
]


@pytest.mark.parametrize("server", [PUBLIC, OPEN])
async def test_elsewhere_metrics_want_the_token_though_the_peer_is_local(server: ServerSettings) -> None:
    async with served(server, TOKEN) as url:
        assert (await ask(url, f"Bearer {TOKEN}"))[0] == 200
        assert (await ask(url, f"bearer {TOKEN}"))[0] == 200
        for wrong in WRONG:
            status, text = await ask(url, *wrong)
            assert status == 401, wrong
            assert "signoff_build" not in text


@pytest.mark.parametrize("server", [PUBLIC, OPEN])
async def test_without_a_token_metrics_are_closed_and_say_why(server: ServerSettings) -> None:
    async with served(server, None) as url:
        for given in ([], ["Bearer "], ["Bearer None"]):
            status, text = await ask(url, *given)
            assert status == 403
            assert "SIGNOFF_METRICS_TOKEN" in text
            assert "signoff_build" not in text


def test_decision_times_cover_the_longest_timeout() -> None:
    metrics = Metrics("1")
    bounds = [
        sample.labels["le"]
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "signoff_decision_seconds_bucket"
    ]
    assert float(bounds[-2]) == timedelta(hours=168).total_seconds()
