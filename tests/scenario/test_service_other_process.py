"""What another process writes (the command line's) is heard by the one that serves, within a second."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.approvals import Approvals
from bot.instances import Instances
from store.engine import SqliteStore
from store.tables import Status
from tests.conftest import StandingClock, Town, furnish, sample_settings, submission
from tests.scenario.service_support import SECRET_KEY, Workplace, config_for, playing, serving
from tests.waiting import until, within

SIGNOFF = Path(sys.executable).with_name("signoff")


@pytest.fixture
async def work(database: Path) -> AsyncIterator[Workplace]:
    async with playing() as slack, serving(slack, database) as work:
        yield work


async def run_command(work: Workplace, *arguments: str) -> str:
    """Run ``signoff`` as an operator would, beside the service; returns its stdout."""
    config = work.path.with_name("config.toml")
    config.write_text(config_for(work.slack, work.path))
    process = await asyncio.create_subprocess_exec(
        SIGNOFF,
        *arguments,
        "--config",
        config,
        env={**os.environ, "SIGNOFF_SECRET_KEY": SECRET_KEY.decode()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await within(process.communicate())
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_an_instance_made_rotated_and_revoked_by_the_command_line(work: Workplace) -> None:
    """Revoking ends the polls of the instance within a second, and refuses its tokens; another's go on."""
    token = (await run_command(work, "instance", "create", "desk", "--agent", "refund-bot")).strip()
    body = {"tool": "issue_refund", "arguments": {}, "timeout": "10m"}
    status, request = await work.send("POST", "/v1/requests", body, key="k", token=token)
    assert status == 201
    await work.card()
    _, other = await work.send("POST", "/v1/requests", body, key="k")
    path = f"/v1/requests/{request['id']}?wait=30s"
    polls = [asyncio.ensure_future(work.send("GET", path, token=token)) for _ in range(5)]
    others = asyncio.ensure_future(work.send("GET", f"/v1/requests/{other['id']}?wait=30s"))
    await until(lambda: len(work.service.approvals._waiters._waiting.get(request["id"], ())) == 5)

    said = await run_command(work, "instance", "revoke", "desk")
    revoked = time.monotonic()
    answers = await within(asyncio.gather(*polls))
    assert time.monotonic() - revoked < 1
    assert "1 pending request" in said
    assert {(status, answer["status"]) for status, answer in answers} == {(200, "cancelled")}
    status, refused = await work.send("GET", path, token=token)
    assert (status, refused["error"]["type"]) == (401, "authentication")
    assert not others.done()
    await work.slack.until(lambda: "approve" not in work.slack.messages("C0REFUNDS")[0].action_ids())
    await work.send("DELETE", f"/v1/requests/{other['id']}")
    await within(others)


class SlowReader(SqliteStore):
    """A store whose answers can be held back after they were read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = asyncio.Event()
        self.gate.set()
        self.held = 0

    async def read(self, work: Any) -> Any:
        answer = await super().read(work)
        if not self.gate.is_set():
            self.held += 1
            await self.gate.wait()
        return answer


async def test_a_change_elsewhere_during_a_look_at_an_earlier_one_is_not_missed(
    database: Path, clock: StandingClock, town: Town
) -> None:
    store = await SlowReader.open(database)
    assert isinstance(store, SlowReader)
    house = await furnish(store, clock, town, sample_settings())
    instance, _ = await house.instances.create("till", "refund-bot")
    first, second = [(await house.creation.submit(instance, submission(), key))[0] for key in ("a", "b")]
    beside = await SqliteStore.open(database)
    waits = [
        asyncio.ensure_future(house.approvals.wait(instance, request.id, timedelta(seconds=30)))
        for request in (first, second)
    ]
    await until(lambda: len(house.approvals._waiters.awaited()) == 2)
    store.gate.clear()
    await Instances(beside, clock, SECRET_KEY).rotate("till")
    await until(lambda: store.held == 1)  # what it has read is from before the next change
    heard = asyncio.Event()
    store.subscribe(lambda change: heard.set())
    await Approvals(beside, clock, house.rulebook).cancel(instance, second.id)
    await within(heard.wait())
    store.gate.set()
    assert (await within(waits[1])).status is Status.CANCELLED
    assert not waits[0].done()
    house.approvals.stop_waiting()
    await waits[0]
    await beside.close()
    await store.close()


async def test_a_provisioner_made_and_revoked_by_the_command_line(work: Workplace) -> None:
    """What it makes is the agent's at once; revoked it does nothing more within a second, and what it made lives on."""
    token = (await run_command(work, "provisioner", "create", "fleet", "--agent", "refund-bot")).strip()
    status, made = await work.send("POST", "/v1/instances", {"instance_name": "till-9"}, key="k", token=token)
    assert status == 201
    its_token = made["credential"]["token"]
    body = {"tool": "look_up", "arguments": {}, "timeout": "10m"}
    assert (await work.send("POST", "/v1/requests", body, key="k", token=its_token))[0] == 201
    assert "till-9" in await run_command(work, "instance", "list")
    listed = await run_command(work, "provisioner", "list", "--json")
    assert '"fleet"' in listed
    assert token not in listed

    await run_command(work, "provisioner", "revoke", "fleet")
    began = time.monotonic()
    path = f"/v1/instances/{made['instance']['id']}"
    while (await work.send("GET", path, token=token))[0] != 401:
        assert time.monotonic() - began < 1
    assert (await work.send("POST", "/v1/instances", {}, key="more", token=token))[0] == 401
    assert (await work.send("POST", "/v1/requests", body, key="k2", token=its_token))[0] == 201

    await run_command(work, "instance", "revoke", "till-9")
    began = time.monotonic()
    while (await work.send("POST", "/v1/requests", body, key="k3", token=its_token))[0] != 401:
        assert time.monotonic() - began < 1
