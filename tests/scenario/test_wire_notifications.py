"""Notifications: one for each decision, signed, repeated until acknowledged, to the receiver of the moment."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from handlers.webhooks import FIRST_BACKOFF, LONGEST_BACKOFF
from tests.conftest import SAMPLE
from tests.scenario.receiver_support import Platform, Station, platform_of, receiving
from tests.scenario.service_support import Workplace, assert_sound, playing, serving, settings_for
from tests.waiting import until

TEXT = SAMPLE + "\n[delivery]\nallow_loopback = true\n"


@dataclass
class Run:
    """An instance with a receiver, and the ways to make and decide its requests."""

    work: Workplace
    platform: Platform
    station: Station
    made: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/{self.made['instance']['id']}"

    @property
    def token(self) -> str:
        token = self.made["credential"]["token"]
        assert isinstance(token, str)
        return token

    async def ask(
        self, key: str = "r", tool: str = "issue_refund", amount: int = 49, lasts: str = "10m"
    ) -> dict[str, Any]:
        body = {
            "tool": tool, "arguments": {"amount": amount}, "timeout": lasts,
            "context": {"resume": {"framework": "test"}},
        }  # fmt: skip
        status, request = await self.work.send("POST", "/v1/requests", body, key=key, token=self.token)
        assert status == 201
        assert isinstance(request, dict)
        return request

    async def read(self, request: dict[str, Any]) -> dict[str, Any]:
        _, read = await self.work.send("GET", f"/v1/requests/{request['id']}", token=self.token)
        assert isinstance(read, dict)
        return read

    async def cancel(self, request: dict[str, Any]) -> None:
        status, _ = await self.work.send("DELETE", f"/v1/requests/{request['id']}", token=self.token)
        assert status == 200

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        return self.work.rows(f"SELECT {columns} FROM notifications ORDER BY created_at, id")

    async def until_settled(self, attempts: int) -> None:
        """Wait until what came of so many attempts is written down."""
        await until(lambda: sum(row[0] for row in self.rows("attempts")) >= attempts)
        await until(lambda: all(row == (None,) for row in self.rows("leased_until")))


@pytest.fixture
async def run(database: Path) -> AsyncIterator[Run]:
    async with playing() as slack, receiving() as station, serving(slack, database, text=TEXT) as work:
        platform = await platform_of(work)
        yield Run(work, platform, station, await platform.make(station))
    assert_sound(database)


async def _status(status: int, **headers: str) -> web.Response:
    return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


# --- one for each decision --------------------------------------------------------------------------------


async def test_an_approval_in_slack_reaches_the_receiver_signed(run: Run) -> None:
    request = await run.ask()
    card = await run.work.card()
    assert (await run.work.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
    [delivery] = await run.station.until(1)
    message = run.station.proven(delivery)
    decided = await run.read(request)
    assert message == {
        "id": delivery.headers["webhook-id"],
        "type": "request.resolved",
        "instance_id": run.made["instance"]["id"],
        "request_id": request["id"],
        "created_at": decided["decision"]["decided_at"],
    }
    assert abs(int(delivery.headers["webhook-timestamp"]) - time.time()) < 60
    assert run.token not in str(delivery.headers)


async def test_every_way_to_end_is_told_once(run: Run) -> None:
    denied = await run.ask("denied")
    card = await run.work.card()
    await run.work.slack.click("U0ALICE", card.channel, card.ts, "deny")
    modal = await run.work.slack.until(lambda: next(iter(run.work.slack.modals("U0ALICE")), None))
    assert modal is not None
    assert (await run.work.slack.submit("U0ALICE", modal.id, {"reason": "too_risky"})).ok
    by_memory = await run.ask("again")
    by_rule = await run.ask("rule", tool="look_up")
    refused = await run.ask("none", tool="unknown_tool")
    cancelled = await run.ask("cancelled", amount=50)
    await run.cancel(cancelled)
    expired = await run.ask("expired", amount=51, lasts="2m")
    await run.work.advance(minutes=3)
    told = {delivery.message["request_id"] for delivery in await run.station.until(6)}
    ended = (denied, by_memory, by_rule, refused, cancelled, expired)
    assert told == {request["id"] for request in ended}
    await run.until_settled(6)
    assert len(run.station.events) == 6


async def test_what_a_changed_configuration_forbids_is_told_too(run: Run) -> None:
    request = await run.ask()
    await run.work.card()
    text = TEXT.replace('"issue_refund", "send_*"', '"send_*"')
    await run.work.service.reload(lambda: settings_for(run.work.slack, run.work.path, text=text))
    [delivery] = await run.station.until(1)
    assert run.station.proven(delivery)["request_id"] == request["id"]
    assert (await run.read(request))["status"] == "cancelled"


async def test_an_instance_without_a_receiver_is_told_nothing(run: Run) -> None:
    made = await run.platform.make(key="without")
    body = {"tool": "look_up", "arguments": {}, "timeout": "5m"}
    await run.work.send("POST", "/v1/requests", body, key="r", token=made["credential"]["token"])
    assert run.rows("id") == []
    # Nor of what was decided before it had one.
    path = f"/{made['instance']['id']}"
    status, _ = await run.platform.send("PATCH", path, {"delivery": run.station.configuration()}, key="p")
    assert status == 200
    assert run.rows("id") == []


# --- repeated until acknowledged --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410, 429, 500, 503])
async def test_whatever_is_no_2xx_is_tried_again_with_the_same_body(run: Run, status: int) -> None:
    answers = iter([status, status])

    async def answer(http_request: web.Request, body: bytes) -> web.StreamResponse:
        return await _status(next(answers, 202), Location="/elsewhere")

    run.station.answer = answer
    await run.ask(tool="look_up")
    for attempt in (1, 2):
        await run.station.until(attempt)
        await run.until_settled(attempt)
        assert run.rows("last_code, attempts") == [(f"http_{status}", attempt)]
        await run.work.advance(seconds=FIRST_BACKOFF.total_seconds() * 2)
    first, second, third = await run.station.until(3)
    assert first.body == second.body == third.body
    assert len({delivery.headers["webhook-id"] for delivery in (first, second, third)}) == 1
    for delivery in (first, second, third):
        run.station.proven(delivery)
    await until(lambda: run.rows("due_at, last_code") == [(None, None)])
    await run.work.advance(days=1)
    assert len(run.station.events) == 3  # and nothing more
    assert run.station.most_at_once == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
async def test_a_receiver_that_asks_to_be_left_alone_is(run: Run, status: int, as_date: bool) -> None:
    until_then = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True) if as_date else "600"
    run.station.answer = lambda http_request, body: _status(status, Retry_After=until_then)
    await run.ask(tool="look_up")
    await run.station.until(1)
    await run.until_settled(1)
    run.station.answer = None
    await run.work.advance(seconds=590)
    await run.until_settled(1)
    assert len(run.station.events) == 1
    await run.work.advance(seconds=20)
    await run.station.until(2)


async def test_a_receiver_that_is_down_for_a_day_hears_of_it_afterwards(run: Run) -> None:
    run.station.answer = lambda http_request, body: _status(500)
    await run.ask(tool="look_up")
    waits: list[float] = []
    for attempt in range(1, 60):
        await run.station.until(attempt)
        await run.until_settled(attempt)
        [(due,)] = run.rows("due_at")
        wait = (datetime.fromisoformat(due) - run.work.clock()).total_seconds()
        waits.append(wait)
        longest = min(FIRST_BACKOFF * 2 ** (attempt - 1), LONGEST_BACKOFF).total_seconds()
        assert longest / 2 - 2 <= wait <= longest
        await run.work.advance(seconds=wait + 0.01)
        if sum(waits) > 86_400:
            break
    assert sum(waits) > 86_400
    assert len(set(waits)) == len(waits)  # spread
    before = len(run.station.events)
    run.station.answer = None
    await run.work.advance(hours=1)
    await run.station.until(before + 1)
    await until(lambda: run.rows("due_at") == [(None,)])
    assert len({delivery.body for delivery in run.station.events}) == 1


async def test_after_seven_days_it_is_given_up(run: Run) -> None:
    run.station.answer = lambda http_request, body: _status(500)
    await run.ask(tool="look_up")
    await run.station.until(1)
    await run.until_settled(1)
    await run.work.advance(days=7, seconds=1)
    await until(lambda: run.rows("due_at, delivered_at") == [(None, None)])
    [(given_up,)] = run.rows("given_up_at")
    assert given_up is not None
    assert len(run.station.events) == 1


async def test_one_event_is_never_under_way_twice(run: Run) -> None:
    go_on = asyncio.Event()

    async def wait(http_request: web.Request, body: bytes) -> web.StreamResponse:
        await go_on.wait()
        return await _status(204)

    run.station.answer = wait
    await run.ask(tool="look_up")
    await run.station.until(1)
    for _ in range(5):
        await run.work.advance(minutes=2)  # the lease is over by its clock, the attempt is not
        run.work.service.webhooks.wake()
        await run.work.get("/readyz")
    assert run.station.most_at_once == 1
    go_on.set()
    await until(lambda: run.rows("due_at") == [(None,)])


async def test_a_slow_receiver_does_not_hold_up_another(run: Run) -> None:
    never = asyncio.Event()

    async def wait(http_request: web.Request, body: bytes) -> web.StreamResponse:
        await never.wait()
        return await _status(204)

    async with receiving() as quick:
        made = await run.platform.make(quick, key="quick")
        run.station.answer = wait
        for at in range(30):
            await run.ask(f"slow-{at}", tool="look_up")
        body = {"tool": "look_up", "arguments": {}, "timeout": "5m"}
        await run.work.send("POST", "/v1/requests", body, key="r", token=made["credential"]["token"])
        await quick.until(1)
        assert run.station.most_at_once <= 4  # bounded per destination
        never.set()
        await run.station.until(30)


# --- to the receiver of the moment ------------------------------------------------------------------------


async def test_what_waits_moves_to_the_new_receiver(run: Run) -> None:
    run.station.answer = lambda http_request, body: _status(503)
    await run.ask(tool="look_up")
    [first] = await run.station.until(1)
    await run.until_settled(1)
    async with receiving() as other:
        status, _ = await run.platform.send("PATCH", run.path, {"delivery": other.configuration()}, key="p")
        assert status == 200
        [second] = await other.until(1)
        assert second.body == first.body
        other.proven(second)  # signed with the new secret
        with pytest.raises(ValueError, match="signature"):
            run.station.proven(second)
        await until(lambda: run.rows("due_at") == [(None,)])
    assert len(run.station.events) == 1


async def test_what_is_under_way_to_the_old_receiver_goes_to_the_new_one_as_soon_as_it_fails(run: Run) -> None:
    fail = asyncio.Event()

    async def hang(http_request: web.Request, body: bytes) -> web.StreamResponse:
        await fail.wait()
        return await _status(503, Retry_After="3600")

    run.station.answer = hang
    await run.ask(tool="look_up")
    await run.station.until(1)
    async with receiving() as other:
        status, _ = await run.platform.send("PATCH", run.path, {"delivery": other.configuration()}, key="p")
        assert status == 200
        assert other.events == []  # never two at once
        fail.set()
        await other.until(1)  # without waiting as the old receiver asked
        await until(lambda: run.rows("due_at") == [(None,)])
    assert len(run.station.events) == 1


@pytest.mark.parametrize("how", ["removed", "deleted", "revoked"])
async def test_nothing_is_sent_once_delivery_has_ended(run: Run, how: str) -> None:
    run.station.answer = lambda http_request, body: _status(500)
    await run.ask(tool="look_up")
    pending = await run.ask("pending")
    await run.station.until(1)
    await run.until_settled(1)
    if how == "removed":
        await run.platform.send("PATCH", run.path, {"delivery": None}, key="p")
        await run.cancel(pending)
    elif how == "deleted":
        assert await run.platform.send("DELETE", run.path) == (204, None)
    else:
        await run.work.service.instances.revoke(run.made["instance"]["id"])
    [(status,)] = run.work.rows(f"SELECT status FROM requests WHERE id = '{pending['id']}'")
    assert status == "cancelled"
    run.station.answer = None
    await run.work.advance(hours=2)
    await run.work.get("/readyz")
    assert run.rows("due_at, delivered_at") == [(None, None)]
    assert len(run.station.events) == 1


async def test_what_was_not_sent_before_a_stop_is_sent_after_the_next_start(database: Path) -> None:
    async with playing() as slack, receiving() as station:
        station_is_up = asyncio.Event()

        async def hang(http_request: web.Request, body: bytes) -> web.StreamResponse:
            await station_is_up.wait()
            return await _status(500)

        async with serving(slack, database, text=TEXT) as work:
            made = await (await platform_of(work)).make(station)
            station.answer = hang
            body = {"tool": "look_up", "arguments": {}, "timeout": "5m"}
            await work.send("POST", "/v1/requests", body, key="r", token=made["credential"]["token"])
            await station.until(1)
        station_is_up.set()
        station.answer = None
        async with serving(slack, database, text=TEXT, token=made["credential"]["token"]) as work:
            first, second = await station.until(2)
            assert first.body == second.body
            await until(lambda: work.rows("SELECT due_at FROM notifications") == [(None,)])


async def test_a_secret_sealed_under_another_key_is_told_and_nothing_is_sent(run: Run) -> None:
    run.station.answer = lambda http_request, body: _status(500)
    await run.ask(tool="look_up")
    await run.station.until(1)
    await run.until_settled(1)
    with closing(sqlite3.connect(run.work.path)) as connection, connection:
        connection.execute("UPDATE deliveries SET secret = x'00'")
    await run.work.advance(seconds=30)
    await until(lambda: run.rows("last_code") == [("secret_unreadable",)])
    assert len(run.station.events) == 1


# --- retention --------------------------------------------------------------------------------------------


async def test_what_is_settled_is_kept_as_long_as_the_protocol_asks(run: Run) -> None:
    forget = run.work.service.sweeper._deadlines.forget
    await run.ask("delivered", tool="look_up")
    await run.station.until(1)
    await run.until_settled(1)
    await run.platform.send("PATCH", run.path, {"instance_name": "new"}, key="p")
    await run.work.advance(days=6, hours=12)
    run.station.answer = lambda http_request, body: _status(500)
    await run.ask("given-up", tool="look_up")
    await run.station.until(2)
    await run.until_settled(2)
    await run.work.advance(hours=11)
    await forget()
    assert len(run.rows("id")) == 2
    assert run.work.rows("SELECT count(*) FROM instance_updates") == [(1,)]
    await run.work.advance(hours=2)  # more than seven days for the first
    await forget()
    assert len(run.rows("id")) == 1
    assert run.work.rows("SELECT count(*) FROM instance_updates") == [(0,)]
    await run.work.advance(days=6, hours=12)  # seven days for the second, too: it is given up
    await until(lambda: run.rows("due_at") == [(None,)])
    await forget()
    assert len(run.rows("id")) == 1  # a day longer
    await run.work.advance(hours=25)
    await forget()
    assert run.rows("id") == []
    assert run.work.rows("SELECT count(*) FROM requests") == [(2,)]
