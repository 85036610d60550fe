"""The real process is told to take a changed file: by SIGHUP and by ``signoff reload``, on record and in Slack."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.config import load_settings
from handlers.cli import main
from store.lock import ServingLock
from tests.conftest import SAMPLE
from tests.scenario.process_support import Site, Starter, site_at
from tests.scenario.service_support import assert_sound, playing
from tests.waiting import until

LATER = SAMPLE.replace('validity = "5m"', 'validity = "9m"')
WITHOUT_REFUNDS = SAMPLE.replace('"issue_refund", "send_*"', '"send_*"')
BROKEN = SAMPLE.replace('stage = "approve"', 'stage = "guess"')


@pytest.fixture
async def site(starter: Starter, database: Path) -> AsyncIterator[Site]:
    async with playing() as slack, site_at(starter, slack, database) as site:
        await site.start()
        yield site


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


async def reload(site: Site, capfd: pytest.CaptureFixture[str]) -> Said:
    """Run ``signoff reload`` on the site's file."""
    code = await asyncio.to_thread(main, ["reload", "--config", str(site.path.with_name("config.toml"))], {})
    return Said(code, *capfd.readouterr())


def events(site: Site) -> list[dict[str, Any]]:
    return [
        json.loads(body) for (body,) in site.rows("SELECT body FROM events WHERE type LIKE 'config.%' ORDER BY number")
    ]


def digest_of(site: Site) -> str:
    return load_settings(site.path.with_name("config.toml"), {}).digest


async def test_sighup_takes_what_changed_and_keeps_what_was_made(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    before = await site.ask("before")
    site.configure(LATER)
    site.signal(signal.SIGHUP)
    await site.until_logged("config_reloaded")
    after = await site.ask("after")
    versions = dict(site.rows("SELECT id, rule_id FROM requests"))
    assert versions[before] != versions[after]
    loaded, reloaded = events(site)
    assert (loaded["type"], reloaded["type"]) == ("config.loaded", "config.reloaded")
    assert (reloaded["before"], reloaded["digest"]) == (loaded["digest"], digest_of(site))
    await site.until_delivered()
    notice = site.slack.messages("U0ADMIN")[-1]
    assert "took a changed configuration" in notice.all_text()
    assert "refunds" in notice.all_text()

    site.signal(signal.SIGHUP)  # nothing differs any more
    await site.until_logged("config_unchanged")
    said = await reload(site, capfd)
    assert (said.code, len(events(site))) == (0, 2)
    assert said.out == f"Nothing changed: the server goes by this file already ({digest_of(site)}).\n"
    await site.terminate()
    assert_sound(site.path)


async def test_the_command_says_what_was_taken_and_ended(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    pending = await site.ask("k1")
    approved = await site.ask("k2")
    await site.until_delivered()
    await until(lambda: site.rows("SELECT count(*) FROM cards WHERE ts IS NOT NULL") == [(2,)])
    card = await site.card()
    await site.slack.click("U0ALICE", card.channel, card.ts, "approve")
    decided = {status: one for one, status in site.rows("SELECT id, status FROM requests")}
    assert set(decided.values()) == {pending, approved}
    site.configure(WITHOUT_REFUNDS)
    said = await reload(site, capfd)
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        f"The server took the file {digest_of(site)}.\n"
        "  agents changed: refund-bot\n"
        "  pending requests that are forbidden now, and cancelled: 1\n"
        "  approvals that are forbidden now, and revoked: 1\n"
    )
    await site.until_logged("forbidden_ended")
    _, consumed = await site.send("POST", f"/v1/requests/{decided['approved']}/consume", key="c")
    assert consumed["error"]["code"] == "approval_revoked"
    _, cancelled = await site.send("GET", f"/v1/requests/{decided['pending']}")
    assert cancelled["status"] == "cancelled"
    await site.until_delivered()
    cards = [message.all_text() for message in site.slack.messages("C0REFUNDS")]
    assert any("Cancelled" in text and "because the configuration no longer allows it" in text for text in cards)
    assert any("Revoked" in text and "The configuration no longer allows it." in text for text in cards)


async def test_a_fault_is_told_here_or_there_and_the_old_rules_stay(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.configure(BROKEN)
    said = await reload(site, capfd)
    assert (said.code, said.out) == (1, "")
    assert "rules[1].stage" in said.err
    assert len(events(site)) == 1  # the server heard nothing of it
    site.signal(signal.SIGHUP)
    await site.until_logged("config_refused")
    config = site.configure(LATER)
    config.write_text(config.read_text().replace('host = "127.0.0.1"', 'host = "127.0.0.2"'))
    said = await reload(site, capfd)
    assert (said.code, said.out) == (1, "")
    assert "The server refused it and goes on as before. Faults: 1.\n  [server] differs" in said.err
    await site.ask()
    assert site.rows("SELECT count(*) FROM rule_versions") == [(2,)]
    assert [event["type"] for event in events(site)] == ["config.loaded", "config.refused", "config.refused"]
    await site.until_delivered()
    notices = [message.all_text() for message in site.slack.messages("U0ADMIN")]
    assert sum("refused it" in text for text in notices) == 2


async def test_a_file_changed_while_it_was_down_is_taken_at_the_start(site: Site) -> None:
    request = await site.ask()
    await site.kill()
    site.text = WITHOUT_REFUNDS
    await site.start()
    _, cancelled = await site.send("GET", f"/v1/requests/{request}")
    assert (cancelled["status"], cancelled["decision"]["status"]) == ("cancelled", "cancelled")
    assert [event["type"] for event in events(site)] == ["config.loaded", "config.loaded"]
    assert_sound(site.path)


async def test_many_signals_while_calls_come_and_a_kill_in_between(site: Site) -> None:
    """However it ends, the chain is whole and every request is of one file."""
    texts = [SAMPLE, LATER]
    asked = 0
    for turn in range(12):
        site.configure(texts[(turn + 1) % 2])
        site.signal(signal.SIGHUP)
        await asyncio.gather(*(site.ask(f"{turn}-{number}") for number in range(8)))
        asked += 8
    await site.kill()
    assert_sound(site.path)
    await site.start()
    assert site.rows("SELECT count(*) FROM requests") == [(asked,)]
    made = [json.loads(body) for (body,) in site.rows("SELECT body FROM events ORDER BY number")]
    assert {event["rule_version"] for event in made if event["type"] == "request.made"} <= {1, 2, 3}
    assert site.rows("SELECT count(*) FROM rule_versions") == [(3,)]


async def test_the_process_is_found_by_its_lock(site: Site) -> None:
    assert ServingLock.holder(site.path) == site.pid
    await site.terminate()
    assert ServingLock.holder(site.path) is None
