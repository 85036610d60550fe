"""What is secret is in the store and where people must read it: not in logs, metrics, errors or previews.

Every place of a request, a header, a note and a payload carries a word of its own that nothing else contains. Then
all that the process wrote is searched for all of them. The log is at its most talkative.
"""

import asyncio
import itertools
import json
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from handlers.cli import main
from playground import Playground
from tests.conftest import SAMPLE
from tests.scenario.process_support import Site, Starter, site_at
from tests.scenario.service_support import SECRET_KEY, payload_of
from tests.waiting import until, within

METRICS_TOKEN = secrets.token_hex(20)
HIDING = SAMPLE.replace('name = "refunds"', 'name = "refunds"\nredact = ["arguments.hidden"]')
TAKEN_OUT = (
    "audit export",
    "audit export --format csv",
    "audit show 1",
    "audit verify --stored --json",
    "audit checkpoint -",
)


class Canaries:
    """Words that occur nowhere but where a test put them."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.hidden: list[str] = []

    def __call__(self) -> str:
        self.all.append(f"canary{secrets.token_hex(8)}")
        return self.all[-1]

    def hide(self) -> str:
        """A word for a place that the rule for refunds hides."""
        self.hidden.append(self())
        return self.hidden[-1]

    def found_in(self, text: str) -> list[str]:
        return [canary for canary in self.all if canary in text]


@pytest.fixture(params=["http", "socket"])
async def site(
    request: pytest.FixtureRequest, starter: Starter, slack: Playground, database: Path
) -> AsyncIterator[Site]:
    env = {"SIGNOFF_LOG_LEVEL": "debug", "SIGNOFF_METRICS_TOKEN": METRICS_TOKEN}
    async with site_at(starter, slack, database, mode=request.param, text=HIDING, env=env) as site:
        yield site


async def test_no_secret_is_told_where_it_does_not_belong(
    site: Site, canary: Canaries, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await site.start()
    errors = [
        *await agents_errors(site, canary),
        *await agents_work(site, canary),
        *await people_decide(site, canary),
        *await payloads_are_forged(site, canary),
        *await the_database_is_locked(site, canary),
    ]
    async with site.session.get(f"{site.url}/metrics") as answer:
        metrics = await answer.text()
    async with site.session.get(f"{site.url}/readyz") as answer:
        readiness = await answer.text()
    await site.terminate()

    slack = site.slack
    log = "\n".join(json.dumps(line) for line in site.logged())
    tokens = [site.token, slack.bot_token, slack.app_token, slack.signing_secret, SECRET_KEY.decode(), METRICS_TOKEN]
    assert len(canary.all) >= 200
    assert len(errors) >= 20
    assert all(400 <= status < 600 for status, _ in errors)
    exports, evidence = await asyncio.to_thread(take_out, site, capfd, tmp_path)
    places = {"log": log, "metrics": metrics, "readiness": readiness, "errors": str(errors), **exports}
    for place, text in places.items():
        assert [line for line in text.splitlines() if canary.found_in(line)] == [], place
        assert [token for token in tokens if token in text] == [], place

    everything = [
        message
        for channel in ("C0REFUNDS", "C0OPS", "U0OWNER", "U0ALICE", "U0BOB")
        for message in slack.messages(channel)
        if message.user == slack.bot_user_id
    ]
    assert len(everything) >= 4
    for message in everything:
        previews = [message.text, *(revision.text for revision in message.revisions)]
        assert canary.found_in(str(previews)) == []
        assert canary.found_in(json.dumps(message.metadata)) == []
    # What a rule hides is nowhere but in the store; what it does not hide is in the evidence.
    shown = [json.dumps(message.blocks) for message in everything]
    for text in (*shown, *evidence.values()):
        assert [word for word in canary.hidden if word in text] == []
    assert all(canary.found_in(text) for text in evidence.values())
    for text in evidence.values():
        assert [token for token in tokens if token in text] == []
    # They were there to be found: where people decide, and in the store.
    assert canary.found_in(str([message.blocks for message in everything]))
    stored = str(site.rows("SELECT arguments, note, agent_reasoning FROM requests"))
    assert canary.found_in(stored)
    assert [word for word in canary.hidden if word in stored]


def take_out(site: Site, capfd: pytest.CaptureFixture[str], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Take everything out of the record that can be: what is printed, and the evidence of a request people decided."""
    env = {**site.env, "SIGNOFF_CONFIG": str(site.path.with_name("config.toml"))}
    printed = {}
    for line in TAKEN_OUT:
        capfd.readouterr()
        assert main(line.split(), env) == 0, line
        printed[line] = "".join(capfd.readouterr())
    (number,) = site.rows("SELECT min(number) FROM requests WHERE tool = 'issue_refund' AND status = 'approved'")[0]
    assert main(["evidence", str(number), "--to", str(folder)], env) == 0
    capfd.readouterr()
    written = {path.name: path.read_text() for path in folder.glob("signoff-*.*") if path.suffix in (".json", ".html")}
    assert len(written) == 2
    return printed, written


@pytest.fixture
def canary() -> Canaries:
    return Canaries()


def call(canary: Canaries, tool: object = "look_up", **more: Any) -> dict[str, Any]:
    secret = {canary(): canary(), "list": [canary(), {"deep": canary()}], "card": "4111 " + canary()}
    return {
        "tool": tool,
        "arguments": secret,
        "timeout": "10m",
        "agent_reasoning": canary(),
        "context": {"session": canary(), canary(): None},
    } | more


async def agents_errors(site: Site, canary: Canaries) -> list[tuple[int, str]]:
    """Send what is refused, a secret in every part of it."""
    good = json.dumps(call(canary))
    bodies: list[object] = [
        good[:-1],
        good + canary(),
        good.replace('"timeout"', f'"{canary()}": NaN, "timeout"'),
        f'{{"tool": "look_up", "arguments": {{"{canary()}": 1, "k": 2, "k": "{canary()}"}}, "timeout": "1m"}}',
        call(canary, timeout=canary()),
        call(canary, tool={"name": canary()}),
        call(canary, arguments=canary()),
        call(canary, server=["a", canary()]),
        call(canary, agent_reasoning=None),
        call(canary, arguments={"text": canary() + "x" * 70_000}),
        [canary()],
        f'"{canary()}'.encode() + b"\xff",
    ]
    exchanges: list[tuple[str, str, object, dict[str, str]]] = [
        ("POST", "/aap/v1/requests", body, {"Idempotency-Key": canary()}) for body in bodies
    ]
    exchanges += [
        ("POST", "/aap/v1/requests", call(canary), {"Idempotency-Key": canary() + "ü"}),
        ("POST", "/aap/v1/requests", call(canary), {"Idempotency-Key": canary() * 20}),
        ("POST", "/aap/v1/requests", call(canary), {"Idempotency-Key": "k", "Content-Type": f"text/{canary()}"}),
        ("POST", "/aap/v1/requests", call(canary), {"Authorization": f"Bearer {canary()}"}),
        ("POST", "/aap/v1/requests", call(canary), {"Authorization": f"Bearer {site.token[:-4]}{canary()}"}),
        ("POST", "/aap/v1/requests", call(canary), {"Authorization": f"Basic {canary()}"}),
        ("GET", f"/aap/v1/requests/{canary()}", None, {}),
        ("GET", f"/aap/v1/{canary()}?{canary()}={canary()}", None, {}),
        ("GET", f"/{canary()}?token={canary()}", None, {"Cookie": f"a={canary()}", "Referer": f"http://{canary()}/"}),
        ("PATCH", f"/aap/v1/requests/{canary()}", call(canary), {}),
        (canary().upper(), "/aap/v1/requests", None, {}),
    ]
    answers = []
    for method, path, body, headers in exchanges:
        sent = {"Authorization": f"Bearer {site.token}", "Content-Type": "application/json", **headers}
        data = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        async with site.session.request(method, site.url + path, data=data, headers=sent) as answer:
            answers.append((answer.status, await answer.text() + str(answer.headers)))
    return answers


async def agents_work(site: Site, canary: Canaries) -> list[tuple[int, str]]:
    """Go through a request's life, and through what is refused in it."""
    errors = []
    for at in range(8):
        body = call(canary)
        _, request = await site.send("POST", "/v1/requests", body, key=f"k{at}")
        path = f"/v1/requests/{request['id']}"
        steps: list[tuple[str, str, object, str | None]] = [
            ("POST", "/v1/requests", call(canary), f"k{at}"),  # the same key for another call
            ("GET", f"{path}?wait={canary()}", None, None),
            ("POST", f"{path}/outcome", {"status": "failed", "note": canary()}, None),
            ("POST", f"{path}/consume", None, canary()),
            ("POST", f"{path}/consume", None, canary()),
            ("POST", f"{path}/outcome", {"status": canary(), "note": canary()}, None),
            ("POST", f"{path}/outcome", {"status": "failed", "note": canary()}, None),
            ("POST", f"{path}/outcome", {"status": "failed", "note": canary()}, None),
            ("DELETE", path, None, None),
        ]
        for method, where, sent, key in steps:
            status, answer = await site.send(method, where, sent, key=key)
            if status >= 400:
                errors.append((status, str(answer)))
    return errors


async def people_decide(site: Site, canary: Canaries) -> list[tuple[int, str]]:
    """Have cards approved, denied with a note, refused to somebody, and looked at; a long one and one gone astray."""
    slack = site.slack
    refunds = [call(canary, "issue_refund") for _ in range(2)]
    for refund in refunds:
        refund["arguments"]["hidden"] = canary.hide()
    refunds.append(call(canary, "issue_refund", arguments={canary(): canary() * 4 for _ in range(60)}))
    ids = [(await site.send("POST", "/v1/requests", body, key=canary()))[1]["id"] for body in refunds]
    await slack.until(lambda: len(slack.messages("C0REFUNDS")) == 3)
    await site.until_delivered()
    cards = {payload_of(message)["request_id"]: message for message in slack.messages("C0REFUNDS")}
    first, second, third = (cards[request_id] for request_id in ids)

    await slack.click("U0GUEST", "C0REFUNDS", first.ts, "approve")
    await slack.click("U0ALICE", "C0REFUNDS", first.ts, "details")
    await slack.click("U0ALICE", "C0REFUNDS", first.ts, "approve", value=canary())
    await slack.click("U0ALICE", "C0REFUNDS", first.ts, "approve")
    await slack.click("U0BOB", "C0REFUNDS", second.ts, "deny")
    (modal,) = await slack.until(lambda: slack.modals("U0BOB"))
    await slack.submit("U0BOB", modal.id, {"reason": "too_risky", "note": canary()})
    await slack.click("U0CAROL", "C0REFUNDS", third.ts, "review")
    await slack.until(lambda: slack.modals("U0CAROL"))
    for text in ("pending", "show 1", f"show {canary()}", f"{canary()} {canary()}", "help"):
        await slack.slash("U0ALICE", "C0REFUNDS", f"/signoff {text}")
    await slack.open_home("U0ALICE")

    slack.workspace.change_channel("C0REFUNDS", is_archived=True)
    await site.send("POST", "/v1/requests", call(canary, "issue_refund"), key=canary())
    await slack.until(lambda: slack.messages("C0OPS") and slack.messages("U0OWNER"), timeout=10)
    return []


async def payloads_are_forged(site: Site, canary: Canaries) -> list[tuple[int, str]]:
    """Send what Slack would not: unsigned, and signed but wrong."""
    if site.mode != "http":
        return []
    slack = site.slack
    card = slack.messages("C0OPS")[0]
    answers = []
    for at in itertools.count():
        payload = slack.click_payload("U0ALICE", "C0OPS", card.ts, "approve", value=canary())
        payload |= {"type": "unheard_of"} if at == 1 else {"user": canary()} if at == 2 else {"actions": [canary()]}
        content_type, body = slack.encode(payload)
        headers = slack.sign(body) if at else {"X-Slack-Signature": f"v0={canary()}"}
        async with site.session.post(
            f"{site.url}/slack/events", data=body, headers={"Content-Type": content_type, **headers}
        ) as answer:
            if answer.status >= 400:
                answers.append((answer.status, await answer.text()))
        if at == 4:
            return answers
    return answers


async def the_database_is_locked(site: Site, canary: Canaries) -> list[tuple[int, str]]:
    """Let everything that is written fail, with its exception in the log. Takes the two seconds that are waited."""
    if site.mode == "http":
        return []
    with closing(sqlite3.connect(site.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asking = [
            asyncio.ensure_future(site.send("POST", "/v1/requests", call(canary), key=canary())) for _ in range(3)
        ]
        answers = await within(asyncio.gather(*asking))
        other.execute("ROLLBACK")
    assert {status for status, _ in answers} == {503}
    await until(lambda: any(line["event"] == "store_unavailable" for line in site.logged()))
    return [(status, str(answer)) for status, answer in answers]
