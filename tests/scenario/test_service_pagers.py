"""Pagers and the heartbeat in the real service: secrets at the start and in a changed file, the way to a pager."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.config import BadConfig, Settings
from bot.named_secrets import NamedSecrets
from bot.reload import Result
from handlers.slack.links import CardLinks
from playground import Fault, Playground
from store.tables import Request
from tests.conftest import SAMPLE
from tests.scenario.pager_support import StandIn, standing_in
from tests.scenario.service_support import Workplace, rows, secrets_for, serving, settings_for
from tests.waiting import until

ROUTING_KEY = "c4n4ry0123456789abcdef0123456789"
PAGER = """
[pagers.main]
kind = "pagerduty"
url = "{url}/v2/enqueue"
secret_env = "PAGER_KEY"
[plans.loud]
[[plans.loud.steps]]
after = "5m"
notify = ["pager:main"]
"""
PLANNED = SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nplan = "loud"')
HEARTBEAT = '\n[escalation]\nheartbeat_env = "HEARTBEAT_URL"\n'


@pytest.fixture
async def outside() -> AsyncIterator[StandIn]:
    async with standing_in() as outside:
        yield outside


def loader(slack: Playground, path: Path, text: str) -> Callable[[], Settings]:
    return lambda: settings_for(slack, path, text=text)


async def test_a_start_without_a_pagers_secret_is_refused_and_leaves_nothing(
    slack: Playground, database: Path, outside: StandIn
) -> None:
    text = PLANNED + PAGER.format(url=outside.url)
    with pytest.raises(BadConfig) as refused:
        async with serving(slack, database, text=text):
            raise AssertionError("it started")
    assert [fault.key_path for fault in refused.value.faults] == ["PAGER_KEY"]
    async with serving(slack, database):  # nothing holds the database
        pass


async def test_a_changed_file_may_name_a_new_pager_whose_secret_is_read_then(
    slack: Playground, database: Path, outside: StandIn, tmp_path: Path
) -> None:
    key = tmp_path / "pager-key"
    secrets = replace(secrets_for(slack), named=NamedSecrets({"PAGER_KEY_FILE": str(key)}))
    changed = PLANNED + PAGER.format(url=outside.url)
    async with serving(slack, database, secrets=secrets) as work:
        with capture_logs() as logged:
            refused = await work.service.reload(loader(slack, database, changed))
        assert refused is not None
        assert refused.result is Result.REFUSED
        assert refused.faults[0].startswith("PAGER_KEY_FILE: names no file")
        assert "plan" not in work.service.settings.rules[1].model_fields_set
        key.write_text("short and malformed c4n4ry")
        refused = await work.service.reload(loader(slack, database, changed))
        assert refused is not None
        assert refused.faults[0].startswith("PAGER_KEY: does not hold what pagers.main.secret_env needs")
        key.write_text(ROUTING_KEY)
        taken = await work.service.reload(loader(slack, database, changed))
        assert taken is not None
        assert taken.result is Result.TAKEN
        assert work.service.secrets.named.get("PAGER_KEY") == ROUTING_KEY
    assert "c4n4ry" not in repr(logged) + repr(rows(database, "SELECT body FROM events"))


async def test_the_heartbeat_begins_with_the_service_and_is_measured(
    slack: Playground, database: Path, outside: StandIn
) -> None:
    named = NamedSecrets({"HEARTBEAT_URL": f"{outside.url}/ping/c4n4ry"})
    secrets = replace(secrets_for(slack), named=named)
    async with serving(slack, database, text=SAMPLE + HEARTBEAT, secrets=secrets) as work:
        await until(lambda: bool(outside.got))
        assert (outside.got[0].method, outside.got[0].path) == ("GET", "/ping/c4n4ry")
        assert await work.service.heartbeat.beat() is None
        _, metrics = await work.get("/metrics")
        (line,) = (line for line in metrics.splitlines() if line.startswith("signoff_heartbeat_success_"))
        assert float(line.split()[1]) > 1_700_000_000
        assert "c4n4ry" not in metrics


async def ask(work: Workplace) -> Request:
    instance = await work.service.instances.authenticate(work.token)
    status, made = await work.send(
        "POST", "/v1/requests", {"tool": "issue_refund", "arguments": {"n": "c4n4ry"}, "timeout": "1h"}, key="k"
    )
    assert status == 201, made
    return await work.service.approvals.read(instance, made["id"])


async def test_the_link_leads_to_the_card_and_is_done_without_where_slack_does_not_say(
    slack: Playground, database: Path
) -> None:
    async with serving(slack, database) as work:
        request = await ask(work)
        card = await work.card()
        links = CardLinks(work.service.client, work.service.outbox)
        link = await links.link_to(request)
        assert link is not None
        assert link.endswith(f"/archives/C0REFUNDS/p{card.ts.replace('.', '')}")
        slack.faults.add(Fault("500", methods="chat.getPermalink"))
        assert await links.link_to(request) is None


async def test_a_step_calls_the_pager_and_the_decision_ends_the_call(
    slack: Playground, database: Path, outside: StandIn
) -> None:
    named = NamedSecrets({"PAGER_KEY": ROUTING_KEY})
    secrets = replace(secrets_for(slack), named=named)
    async with serving(slack, database, text=PLANNED + PAGER.format(url=outside.url), secrets=secrets) as work:
        request = await ask(work)
        card = await work.card()
        await work.advance(minutes=5)
        await until(lambda: bool(outside.got))
        await until(lambda: rows(database, "SELECT state FROM step_targets") == [("notified",)])
        assert (await slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
        await until(lambda: len(outside.got) > 1)
        await work.until_delivered()
    trigger, resolve = outside.got
    assert (trigger.json["event_action"], resolve.json["event_action"]) == ("trigger", "resolve")
    assert trigger.json["dedup_key"] == resolve.json["dedup_key"] == f"signoff/main/{request.id}"
    assert trigger.json["links"][0]["href"].endswith(f"/archives/C0REFUNDS/p{card.ts.replace('.', '')}")
    assert b"c4n4ry" not in trigger.body.replace(ROUTING_KEY.encode(), b"") + resolve.body.replace(
        ROUTING_KEY.encode(), b""
    )
    assert ROUTING_KEY not in repr(rows(database, "SELECT * FROM events, outbox"))
    assert ROUTING_KEY not in repr(rows(database, "SELECT body FROM events"))


async def test_a_pager_that_refuses_for_good_is_on_record_and_the_plan_goes_on(
    slack: Playground, database: Path, outside: StandIn
) -> None:
    secrets = replace(secrets_for(slack), named=NamedSecrets({"PAGER_KEY": ROUTING_KEY}))
    outside.answers(400, b'{"status":"invalid event"}')
    more = '[[plans.loud.steps]]\nafter = "20m"\nnotify = ["pager:main"]\n'
    async with serving(slack, database, text=PLANNED + PAGER.format(url=outside.url) + more, secrets=secrets) as work:
        await ask(work)
        await work.card()
        await work.advance(minutes=5)
        # The second step became due at once, as the first had nobody else.
        await until(
            lambda: rows(database, "SELECT state, code FROM step_targets ORDER BY id") == [("failed", "http_400")] * 2
        )
        assert rows(database, "SELECT state FROM taken_steps") == [("failed",)] * 2
