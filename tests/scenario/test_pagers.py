"""handlers.pagers against stand-ins of PagerDuty and of a webhook's receiver: what they are told, what they answer."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from structlog.testing import capture_logs

from bot.call import parse_submission
from bot.config import Settings
from bot.decisions import Act
from bot.drawings import Drawing
from bot.named_secrets import NamedSecrets
from bot.outbox import Job
from handlers.delivery import NotNow
from handlers.outbound import OperatorOutbound
from handlers.pagers import MOST_SUMMARY, TELL_FOR, PageEnds, Pagers, PagerTrouble
from store.compiled import changed_record
from store.engine import SqliteStore
from store.escalation_tables import TakenStep
from store.tables import Instance, IntentKind, Request, Status, VoteKind
from tests.conftest import SAMPLE, START, House, StandingClock, Town, furnish, sample_settings
from tests.scenario.escalation_support import act_of, load, rows
from tests.scenario.pager_support import StandIn, standing_in

ROUTING_KEY = "c4n4ry0123456789abcdef0123456789"
WHSEC = "whsec_" + "c4n4ry0w" * 4
CARD = "https://example.slack.com/archives/C0REFUNDS/p1"
PLANS = """
[pagers.main]
kind = "pagerduty"
url = "{url}/v2/enqueue"
secret_env = "PAGER_KEY"
[pagers.hook]
kind = "webhook"
url = "{url}/hook"
secret_env = "HOOK_SECRET"
[plans.loud]
repeat = 1
before_deadline = "2m"
[[plans.loud.steps]]
after = "5m"
notify = ["pager:main", "pager:hook", "thread"]
[[plans.loud.steps]]
after = "5m"
notify = ["pager:main"]
"""


@dataclass
class Desk:
    """A house whose plan calls pagers, the pagers, and what answers in their place."""

    house: House
    settings: Settings
    outside: StandIn
    now: datetime = START
    link: str | None = CARD
    counted: list[str] = field(default_factory=list)
    instance: Instance | None = None
    secrets: NamedSecrets = field(
        default_factory=lambda: NamedSecrets({"PAGER_KEY": ROUTING_KEY, "HOOK_SECRET": WHSEC})
    )

    def pagers(self, patience: float = 5) -> Pagers:
        self.secrets.read(self.settings)

        async def link_to(request: Request) -> str | None:
            return self.link

        outbound = OperatorOutbound(patience=timedelta(seconds=patience))
        return Pagers(
            lambda: self.settings, self.secrets, outbound, link_to, self.counted.append, wall_clock=lambda: self.now
        )

    async def ask(self, key: str = "k", tool: str = "issue_refund") -> Request:
        made, _ = await self.house.instances.create(f"till-{key}", "refund-bot")
        call = {
            "tool": tool,
            "arguments": {"note": "c4n4ry-argument"},
            "agent_reasoning": "c4n4ry-reasoning",
            "timeout": "1h",
        }
        self.instance = made
        request, _ = await self.house.creation.submit(made, parse_submission(json.dumps(call).encode()), key)
        return request

    async def step(self, request: Request, minutes: float) -> tuple[Drawing, TakenStep]:
        """Let the time pass until the step that is due then is taken, and load what it takes to carry it out."""
        self.house.clock.now = START + timedelta(minutes=minutes)
        (taken,) = (await self.house.escalations.sweep()).steps
        return await self.drawing(request), taken

    async def drawing(self, request: Request) -> Drawing:
        """What the outbox gives whoever carries an intent of the request out."""
        for intent in await self.house.outbox.claim(100):
            job = await self.house.outbox.load(intent)
            if isinstance(job, Job) and job.drawing.request.number == request.number:
                return job.drawing
        raise AssertionError("the outbox has nothing of this request")

    async def vote(self, request: Request, kind: VoteKind = VoteKind.APPROVE) -> None:
        act: Act = act_of("U0ALICE", request.id)
        await self.house.decisions.vote(request.number, act, kind, "no" if kind is VoteKind.DENY else None)


@pytest.fixture
async def desk(store: SqliteStore, clock: StandingClock, town: Town) -> AsyncIterator[Desk]:
    async with standing_in() as outside:
        text = SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nplan = "loud"')
        settings = sample_settings(text + PLANS.replace("{url}", outside.url))
        yield Desk(await furnish(store, clock, town, settings), settings, outside)


# --- what they are told ---


async def test_pagerduty_is_told_what_waits_and_nothing_private(desk: Desk) -> None:
    request = await desk.ask()
    await desk.pagers().page("main", *await desk.step(request, 5))
    (got,) = desk.outside.got
    assert (got.method, got.path, got.headers["Content-Type"]) == ("POST", "/v2/enqueue", "application/json")
    assert got.json == {
        "routing_key": ROUTING_KEY,
        "event_action": "trigger",
        "dedup_key": f"signoff/main/{request.id}",
        "client": "Signoff",
        "links": [{"href": CARD, "text": f"The card of #{request.number} in Slack"}],
        "payload": {
            "summary": f"#{request.number}: agent refund-bot waits for a decision on issue_refund, "
            "until 22 Nov 2026 10:00 UTC (step 1 of 2)",
            "source": "127.0.0.1:8080",
            "severity": "error",
            "timestamp": "2026-11-22T09:05:00+00:00",
            "component": "refund-bot",
            "class": "approval",
            "custom_details": {
                "request": f"#{request.number}",
                "agent": "refund-bot",
                "tool": "issue_refund",
                "deadline": "2026-11-22T10:00:00+00:00",
                "rule": "refunds",
                "step": "step 1 of 2",
            },
        },
    }
    assert desk.counted == ["called"]


async def test_a_webhook_is_told_the_same_and_signed(desk: Desk) -> None:
    desk.now = datetime.now(UTC)  # the verifier goes by the machine's watch
    request = await desk.ask()
    await desk.pagers().page("hook", *await desk.step(request, 5))
    (got,) = desk.outside.got
    assert got.path == "/hook"
    assert Webhook(WHSEC).verify(got.body, dict(got.headers)) == {
        "type": "request.page",
        "timestamp": "2026-11-22T09:05:00+00:00",
        "data": {
            "pager": "hook",
            "request": {"id": request.id, "number": request.number},
            "agent": "refund-bot",
            "tool": "issue_refund",
            "deadline": "2026-11-22T10:00:00+00:00",
            "rule": "refunds",
            "step": "step 1 of 2",
            "url": CARD,
        },
    }
    with pytest.raises(WebhookVerificationError):
        Webhook(WHSEC).verify(got.body.replace(b"refund-bot", b"report-bot"), dict(got.headers))


async def test_what_is_repeated_is_known_again_and_a_further_step_is_not_taken_for_it(desk: Desk) -> None:
    request, pagers = await desk.ask(), desk.pagers()
    first = await desk.step(request, 5)
    desk.outside.answers(500)
    for name in ("main", "main", "hook", "hook"):
        with pytest.raises(PagerTrouble):
            await pagers.page(name, *first)
    desk.outside.answers(202)
    second = await desk.step(request, 10)
    await pagers.page("main", *second)
    await pagers.page("hook", *second)
    await pagers.resolve("main", request)
    await pagers.resolve("hook", request)
    other = await desk.ask("other")
    await pagers.resolve("main", other)
    alerts = [got.json["dedup_key"] for got in desk.outside.got if got.path != "/hook"]
    ids = [got.headers["webhook-id"] for got in desk.outside.got if got.path == "/hook"]
    assert alerts == [f"signoff/main/{request.id}"] * 4 + [f"signoff/main/{other.id}"]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(one.isascii() and "." not in one for one in ids)


async def test_the_place_in_the_plan_is_said(desk: Desk) -> None:
    request, pagers = await desk.ask(), desk.pagers()
    for minutes in (5, 10, 15, 20, 58):
        await pagers.page("main", *await desk.step(request, minutes))
    assert [got.json["payload"]["custom_details"]["step"] for got in desk.outside.got] == [
        "step 1 of 2", "step 2 of 2", "step 1 of 2, round 2", "step 2 of 2, round 2", "last reminder",
    ]  # fmt: skip


async def test_the_end_is_told_without_saying_what_was_decided(desk: Desk) -> None:
    desk.now = datetime.now(UTC)
    request, pagers = await desk.ask(), desk.pagers()
    await desk.vote(request)
    request = await load(desk.house, request)
    await pagers.resolve("main", request)
    await pagers.resolve("hook", request)
    main, hook = desk.outside.got
    assert main.json == {
        "routing_key": ROUTING_KEY, "event_action": "resolve", "dedup_key": f"signoff/main/{request.id}",
    }  # fmt: skip
    assert Webhook(WHSEC).verify(hook.body, dict(hook.headers)) == {
        "type": "request.page_ended",
        "timestamp": "2026-11-22T09:00:00+00:00",
        "data": {"pager": "hook", "request": {"id": request.id, "number": request.number}},
    }
    assert desk.counted == ["ended", "ended"]


async def test_without_a_card_there_is_no_link(desk: Desk) -> None:
    request, pagers = await desk.ask(), desk.pagers()
    desk.link = None
    step = await desk.step(request, 5)
    await pagers.page("main", *step)
    await pagers.page("hook", *step)
    assert "links" not in desk.outside.got[0].json
    assert "url" not in desk.outside.got[1].json["data"]


@pytest.mark.parametrize("tool", ["issue\u202e_refund", "issue refund " * 19, "\u202e" * 255, "x" * 255])
async def test_a_name_that_an_agent_wrote_is_shown_whole_or_cut_and_the_deadline_stays(desk: Desk, tool: str) -> None:
    request = await desk.ask()
    drawing, step = await desk.step(request, 5)
    request = changed_record(request, tool=tool)
    await desk.pagers().page("main", replace(drawing, request=request), step)
    payload = desk.outside.got[0].json["payload"]
    assert len(payload["summary"]) <= MOST_SUMMARY
    assert "until 22 Nov 2026 10:00 UTC" in payload["summary"]
    assert "\u202e" not in json.dumps(payload, ensure_ascii=False)


# --- what they answer ---


@pytest.mark.parametrize("name", ["main", "hook"])
@pytest.mark.parametrize(
    ("status", "headers", "is_final", "seconds"),
    [
        (400, {}, True, None),
        (401, {}, True, None),
        (403, {}, True, None),
        (404, {}, True, None),
        (302, {"Location": "/elsewhere"}, True, None),
        (408, {}, False, None),
        (429, {"Retry-After": "7"}, False, 7),
        (429, {"Retry-After": "Sun, 22 Nov 2026 09:01:00 GMT"}, False, 60),
        (429, {"Retry-After": "soon"}, False, None),
        (429, {"Retry-After": "99999999"}, False, 86_400),
        (429, {}, False, None),
        (500, {"Retry-After": "7"}, False, None),
        (502, {}, False, None),
        (503, {"Retry-After": "30"}, False, 30),
    ],
)
async def test_an_answer_says_whether_it_is_worth_another_try(
    desk: Desk, name: str, status: int, headers: dict[str, str], is_final: bool, seconds: int | None
) -> None:
    request = await desk.ask()
    step = await desk.step(request, 5)
    desk.outside.status, desk.outside.headers, desk.outside.body = status, headers, b"<html>garbage"
    with pytest.raises(PagerTrouble) as trouble:
        await desk.pagers().page(name, *step)
    assert (trouble.value.code, trouble.value.is_final) == (f"http_{status}", is_final)
    assert trouble.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))
    assert len(desk.outside.got) == 1  # and a redirect leads nowhere
    assert desk.counted == [f"http_{status}"]


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_garbage_in_an_answer_that_accepts_changes_nothing(desk: Desk, status: int) -> None:
    request = await desk.ask()
    step = await desk.step(request, 5)
    desk.outside.answers(status, b"" if status == 204 else b"\xff" * 100_000)
    await desk.pagers().page("main", *step)
    assert desk.counted == ["called"]


async def test_no_answer_is_tried_again(desk: Desk) -> None:
    request = await desk.ask()
    step = await desk.step(request, 5)
    desk.outside.hangs = True
    with pytest.raises(PagerTrouble) as trouble:
        await desk.pagers(patience=0.1).page("main", *step)
    assert (trouble.value.code, trouble.value.is_final) == ("timeout", False)


@pytest.mark.parametrize("speech", [b"", b"HTTP/1.1 banana\r\n\r\n", None])
async def test_what_is_no_http_and_nobody_there_are_tried_again(desk: Desk, speech: bytes | None) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(speech or b"")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if speech is None:
        server.close()
        await server.wait_closed()
    main = desk.settings.pagers["main"].model_copy(update={"url": f"http://127.0.0.1:{port}/"})
    desk.settings = replace(desk.settings, pagers={**desk.settings.pagers, "main": main})
    request = await desk.ask()
    step = await desk.step(request, 5)
    with pytest.raises(PagerTrouble) as trouble:
        await desk.pagers().page("main", *step)
    assert trouble.value.is_final is False
    assert trouble.value.code == ("not_connected" if speech is None else "broken_answer")
    server.close()


async def test_a_pager_that_the_file_no_longer_has_is_not_called(desk: Desk) -> None:
    request, pagers = await desk.ask(), desk.pagers()
    step = await desk.step(request, 5)
    desk.settings = replace(desk.settings, pagers={})
    for call in (pagers.page("main", *step), pagers.resolve("main", request)):
        with pytest.raises(PagerTrouble) as trouble:
            await call
        assert (trouble.value.code, trouble.value.is_final) == ("pager_unknown", True)
    assert desk.outside.got == []


async def test_a_pager_whose_secret_was_never_read_is_not_called(desk: Desk) -> None:
    request, pagers = await desk.ask(), desk.pagers()
    step = await desk.step(request, 5)
    for change in ({"secret_env": "ANOTHER"}, {"kind": "webhook"}):  # a routing key signs nothing
        main = desk.settings.pagers["main"].model_copy(update=change)
        desk.settings = replace(desk.settings, pagers={"main": main})
        with pytest.raises(PagerTrouble) as trouble:
            await pagers.page("main", *step)
        assert (trouble.value.code, trouble.value.is_final) == ("pager_secret_missing", True)
    assert desk.outside.got == []


# --- the end of what they were called for ---


class Others:
    """Whoever carries the other intents out: here nobody does."""

    async def carry_out(self, job: object) -> None:
        return None


async def ends(desk: Desk) -> list[Job]:
    """The intents to tell pagers of the end that may be carried out now."""
    jobs = [await desk.house.outbox.load(intent) for intent in await desk.house.outbox.claim(100)]
    return [job for job in jobs if isinstance(job, Job) and job.intent.kind is IntentKind.END_PAGE]


def end_rows(desk: Desk) -> list[tuple[str, str]]:
    return rows(desk.house, "SELECT lane, about FROM outbox WHERE kind = 'end_page' ORDER BY id")


def settle(desk: Desk, target: str, state: str = "notified") -> None:
    with closing(sqlite3.connect(desk.house.store.path)) as connection, connection:
        connection.execute("UPDATE step_targets SET state = ? WHERE target = ?", (state, target))
        connection.execute("DELETE FROM outbox WHERE kind = 'notify'")


@pytest.mark.parametrize("end", ["approved", "denied", "expired", "cancelled"])
async def test_however_a_request_ends_its_pagers_are_told_once_each(desk: Desk, end: str) -> None:
    request = await desk.ask()
    for minutes in (5, 10):
        await desk.step(request, minutes)
    settle(desk, "pager:main")
    settle(desk, "pager:hook", "failed")  # it may have got it all the same
    if end == "expired":
        desk.house.clock.now = START + timedelta(hours=1)
        await desk.house.deadlines.sweep()
    elif end == "cancelled":
        assert desk.instance is not None
        await desk.house.approvals.cancel(desk.instance, request.id)
    else:
        await desk.vote(request, VoteKind.APPROVE if end == "approved" else VoteKind.DENY)
    assert (await load(desk.house, request)).status is Status(end)
    assert [json.loads(about) for _, about in end_rows(desk)] == [{"pager": "hook"}, {"pager": "main"}]
    carrier = PageEnds(Others(), desk.pagers(), desk.house.outbox, desk.house.clock)
    for job in await ends(desk):
        await carrier.carry_out(job)
    assert sorted(got.path for got in desk.outside.got) == ["/hook", "/v2/enqueue"]
    assert end_rows(desk) == []


async def test_the_end_waits_behind_the_call_that_is_under_way(desk: Desk) -> None:
    request = await desk.ask()
    await desk.step(request, 5)
    await desk.vote(request)
    assert len(end_rows(desk)) == 2
    assert await ends(desk) == []  # the calls stand first in their lanes
    settle(desk, "pager:main")
    assert len(await ends(desk)) == 2


async def test_a_request_that_called_no_pager_tells_none(desk: Desk) -> None:
    request = await desk.ask()
    await desk.vote(request)
    assert end_rows(desk) == []


async def one_end(desk: Desk) -> Job:
    request = await desk.ask()
    await desk.step(request, 5)
    settle(desk, "pager:main")
    await desk.vote(request)
    return next(job for job in await ends(desk) if job.intent.about == '{"pager":"main"}')


async def test_an_end_that_cannot_be_told_now_is_told_later_and_not_for_ever(desk: Desk) -> None:
    job = await one_end(desk)
    carrier = PageEnds(Others(), desk.pagers(), desk.house.outbox, desk.house.clock)
    desk.outside.answers(429, Retry_After="7")
    with pytest.raises(NotNow) as later:
        await carrier.carry_out(job)
    assert later.value.delay == timedelta(seconds=7)
    desk.house.clock.now = job.intent.created_at + TELL_FOR
    await carrier.carry_out(job)
    assert len(end_rows(desk)) == 1  # that of the other pager


async def test_an_end_that_is_refused_for_good_is_on_record(desk: Desk) -> None:
    job = await one_end(desk)
    desk.outside.answers(400)
    await PageEnds(Others(), desk.pagers(), desk.house.outbox, desk.house.clock).carry_out(job)
    (body,) = rows(desk.house, "SELECT body FROM events WHERE type = 'notification.failed'")
    assert json.loads(body[0])["code"] == "http_400"
    assert json.loads(body[0])["kind"] == "end_page"


# --- canaries ---


async def test_no_secret_and_nothing_private_is_left_anywhere(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with capture_logs() as logged:
        request, pagers = await desk.ask(), desk.pagers()
        step = await desk.step(request, 5)
        for status in (202, 302, 400, 403, 429, 500):
            desk.outside.answers(status, b"c4n4ry of theirs")
            for name in ("main", "hook"):
                try:
                    await pagers.page(name, *step)
                    await pagers.resolve(name, request)
                except PagerTrouble as trouble:
                    said += [str(trouble), repr(trouble), repr(vars(trouble))]
        settle(desk, "pager:main")
        await desk.vote(request)
        desk.outside.answers(400)
        for job in await ends(desk):
            await PageEnds(Others(), pagers, desk.house.outbox, desk.house.clock).carry_out(job)
    told = [got.body.decode() for got in desk.outside.got]
    assert told
    assert not any("c4n4ry-argument" in one or "c4n4ry-reasoning" in one for one in told)
    said += [repr(logged), caplog.text, repr(pagers), repr(desk.secrets), repr(vars(pagers)), repr(desk.counted)]
    said += [repr(rows(desk.house, f"SELECT * FROM {table}")) for table in ("events", "outbox", "step_targets")]
    assert not [one for one in said if ROUTING_KEY in one or WHSEC in one or "c4n4ry" in one]
