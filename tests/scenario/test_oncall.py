"""Who is on call, from users, user groups and calendars that are well, slow, broken, huge and gone."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.calendars import MAX_CALENDAR_BYTES
from bot.config import BadConfig, OnCall, SlackSettings
from bot.config_plans import feed_address
from bot.named_secrets import NamedSecrets
from bot.oncall import OnCallNow, OnCallSource, OnCallTrouble
from handlers.address_book import AddressBook
from handlers.calendar_feeds import THREAD, CalendarReader, FeedTrouble, expand_within
from handlers.oncall import CalendarState, OnCallSources
from handlers.outbound import OperatorOutbound, Outbound
from handlers.slack.client import SlackClient
from handlers.slack.directory import SlackDirectory
from playground import Fault, Playground, PlaygroundSettings
from playground.sample import fill_sample
from tests.conftest import SAMPLE, StandingClock, sample_settings
from tests.scenario.oncall_support import CalendarServer, offering
from tests.unit.calendar_samples import GRAFANA, OPSGENIE, PAGERDUTY, calendar

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)  # a Sunday
SECRET = "a-secret-path"


@dataclass
class Duty:
    """The sources in a company's Slack, beside a server of calendars."""

    slack: Playground
    server: CalendarServer
    clock: StandingClock
    tables: dict[str, OnCall] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def build(self, client: SlackClient, patience: timedelta) -> None:
        self.env: dict[str, str] = {}
        self.secrets = NamedSecrets(self.env)
        self.sources = OnCallSources(
            lambda: self.tables,
            SlackDirectory(client, self.clock),
            AddressBook(client, self.clock),
            CalendarReader(OperatorOutbound(patience=patience), Outbound(patience=patience), self.secrets),
            self.clock,
            self.failed.append,
        )

    def configure(self, name: str = "finance", **keys: object) -> None:
        self.tables[name] = OnCall.model_validate({"name": name, **keys})

    def read_secret(self, value: str) -> None:
        """Take a file that names FINANCE_ICAL, which holds ``value``."""
        self.env["FINANCE_ICAL"] = value
        self.secrets.read(sample_settings(SAMPLE + '[oncall.finance]\nical_env = "FINANCE_ICAL"\n'))

    async def now(self, name: str = "finance") -> OnCallNow:
        return await self.sources.on_call(name, self.clock())

    @property
    def state(self) -> CalendarState:
        return self.sources.calendars()["finance"]


@asynccontextmanager
async def duty_with(patience: timedelta = timedelta(seconds=5)) -> AsyncIterator[Duty]:
    async with Playground(PlaygroundSettings()) as slack, offering() as server:
        fill_sample(slack.workspace)
        duty = Duty(slack, server, StandingClock(NOW))
        client = SlackClient(SlackSettings(api_url=slack.api_url), SecretStr(slack.bot_token))
        duty.build(client, patience)
        try:
            yield duty
        finally:
            await duty.sources.stop()
            await client.close()


@pytest.fixture
async def duty() -> AsyncIterator[Duty]:
    async with duty_with() as duty:
        yield duty


# --- users and user groups ---


async def test_users_are_as_configured(duty: Duty) -> None:
    duty.configure(users=["U0CAROL", "U0BOB"])
    assert await duty.now() == OnCallNow(users=("U0CAROL", "U0BOB"), source=OnCallSource.USERS)
    assert await duty.sources.next_on_call("finance", NOW) is None


async def test_an_unknown_name_is_told(duty: Duty) -> None:
    assert (await duty.now("finence")).trouble is OnCallTrouble.UNKNOWN_NAME
    assert await duty.sources.next_on_call("finence", NOW) is None


async def test_a_user_group_is_its_members_and_the_last_known_ones_where_slack_does_not_say(duty: Duty) -> None:
    duty.configure(usergroup="S0FINANCE")
    members = ("U0ALICE", "U0BOB", "U0CAROL")
    assert await duty.now() == OnCallNow(members, ("S0FINANCE",), None, OnCallSource.USERGROUP, timedelta(0))
    duty.clock.advance(minutes=10)
    duty.slack.faults.add(Fault("500", methods="usergroups.users.list"))
    now = await duty.now()
    assert (now.users, now.age, now.trouble) == (members, timedelta(minutes=10), OnCallTrouble.GROUP_UNAVAILABLE)


async def test_a_user_group_that_was_never_read_and_an_empty_one(duty: Duty) -> None:
    duty.configure(usergroup="S0NOBODY")
    assert (await duty.now()).trouble is OnCallTrouble.GROUP_UNAVAILABLE
    duty.slack.workspace.add_usergroup("S0EMPTY", handle="empty", name="Empty", users=[])
    duty.configure(usergroup="S0EMPTY")
    assert (await duty.now()).trouble is OnCallTrouble.NO_ONE


# --- calendars ---


@pytest.mark.parametrize(
    ("content", "at", "users", "until"),
    [
        (PAGERDUTY, NOW, ("U0ALICE",), datetime(2026, 11, 23, 8, tzinfo=UTC)),
        (GRAFANA, NOW + timedelta(days=2), ("U0BOB",), datetime(2026, 11, 24, 16, tzinfo=UTC)),
        (OPSGENIE, NOW + timedelta(hours=7), ("U0ALICE", "U0CAROL"), datetime(2026, 11, 22, 20, tzinfo=UTC)),
    ],
    ids=["pagerduty", "grafana", "opsgenie"],
)
async def test_a_calendar_names_people_by_their_addresses(
    duty: Duty, content: bytes, at: datetime, users: tuple[str, ...], until: datetime
) -> None:
    duty.server.content = content
    duty.configure(ical=duty.server.url)
    await duty.sources.refresh()
    now = await duty.sources.on_call("finance", at)
    assert (now.users, now.until, now.source, now.trouble) == (users, until, OnCallSource.CALENDAR, None)


async def test_next_is_who_comes_after(duty: Duty) -> None:
    duty.server.content = PAGERDUTY
    duty.configure(ical=duty.server.url)
    await duty.sources.refresh()
    then = await duty.sources.next_on_call("finance", NOW)
    assert then is not None
    assert (then.users, then.start.day, then.until) == (("U0BOB",), 23, datetime(2026, 11, 27, 8, tzinfo=UTC))


async def test_a_file_is_read_like_an_address(duty: Duty, tmp_path: Path) -> None:
    file = tmp_path / "finance.ics"
    file.write_bytes(PAGERDUTY)
    duty.configure(ical=str(file))
    await duty.sources.refresh()
    assert (await duty.now()).users == ("U0ALICE",)


async def test_a_secret_address_comes_from_a_variable_and_shows_up_nowhere(duty: Duty) -> None:
    secret = duty.server.url.replace("feed.ics", SECRET)
    duty.server.content = PAGERDUTY
    duty.configure(ical_env="FINANCE_ICAL")
    with capture_logs() as logs:
        await duty.sources.refresh()
        assert duty.state.failure == "secret_missing"
        duty.read_secret(secret)
        await duty.sources.refresh()
        assert (await duty.now()).users == ("U0ALICE",)
        for broken in (f"https://127.0.0.1:1/{SECRET}", f"https://no.invalid/{SECRET}?{SECRET}"):
            duty.read_secret(broken)
            await duty.sources.refresh()
            assert duty.state.failure
    assert duty.server.asked == [f"/{SECRET}"]
    assert SECRET not in f"{logs} {await duty.now()} {duty.sources.calendars()}"


def test_feeds_are_often_offered_as_webcal() -> None:
    assert feed_address("webcal://oncall.example.com/a.ics?t=1") == "https://oncall.example.com/a.ics?t=1"


@pytest.mark.parametrize(
    "place",
    [
        "http://oncall.example.com/a.ics",
        "https://me:pass@oncall.example.com/a.ics",
        "ftp://oncall.example.com/a.ics",
        " ",
    ],
)
def test_an_address_that_would_not_do_is_a_fault_of_the_file_and_is_not_repeated(place: str) -> None:
    with pytest.raises(BadConfig) as caught:
        sample_settings(SAMPLE + f'[oncall.finance]\nical = "{place}"\n')
    assert "oncall.finance.ical" in str(caught.value)
    assert "oncall.example.com" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "trouble", "unknown"),
    [
        (calendar(), OnCallTrouble.NO_ONE, ()),
        (
            calendar("UID:1\nDTSTART:20261122T000000Z\nDURATION:P1D\nSUMMARY:zoe@example.com\\, Alice@example.com"),
            OnCallTrouble.PERSON_UNKNOWN,
            ("zoe@example.com",),
        ),
        (
            calendar("UID:1\nDTSTART:20261122T000000Z\nDURATION:P1D\nSUMMARY:gus@example.com"),
            OnCallTrouble.PERSON_UNKNOWN,
            ("gus@example.com",),
        ),
    ],
    ids=["nobody", "one of two", "a guest"],
)
async def test_what_is_wrong_with_the_people_is_named(
    duty: Duty, content: bytes, trouble: OnCallTrouble, unknown: tuple[str, ...]
) -> None:
    duty.server.content = content
    duty.configure(ical=duty.server.url)
    await duty.sources.refresh()
    now = await duty.now()
    assert (now.trouble, now.unknown) == (trouble, unknown)
    assert now.users == (("U0ALICE",) if "zoe@example.com" in unknown else ())


async def test_people_stay_known_while_slack_cannot_be_asked(duty: Duty) -> None:
    duty.server.content = PAGERDUTY
    duty.configure(ical=duty.server.url)
    duty.slack.faults.add(Fault("500", methods="users.lookupByEmail", times=1))
    await duty.sources.refresh()
    assert (await duty.now()).trouble is OnCallTrouble.PEOPLE_UNAVAILABLE
    await duty.sources.refresh()
    assert (await duty.now()).users == ("U0ALICE",)
    duty.clock.advance(hours=13)
    duty.slack.faults.add(Fault("500", methods="users.lookupByEmail"))
    await duty.sources.refresh()
    assert (await duty.now()).users == ("U0ALICE",)


# --- what goes wrong with calendars ---


async def _page(http_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Log in</html>", content_type="text/html")


async def _missing(http_request: web.Request) -> web.StreamResponse:
    return web.Response(status=404)


async def _huge(http_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"BEGIN:VCALENDAR\r\n" + b"X" * MAX_CALENDAR_BYTES)


async def _elsewhere(http_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "file:///etc/passwd"})


async def _in_circles(http_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/again"})


async def _cut(http_request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(http_request)
    await response.write(b"BEGIN:VCALENDAR")
    assert http_request.transport is not None
    http_request.transport.close()
    return response


FAULTS = [
    (_page, "not_a_calendar"),
    (_missing, "http_404"),
    (_huge, "calendar_too_large"),
    (_elsewhere, "bad_redirect"),
    (_in_circles, "too_many_redirects"),
    (_cut, "broken_answer"),
]


@pytest.mark.parametrize(("answer", "code"), FAULTS, ids=[code for _, code in FAULTS])
async def test_the_last_good_copy_is_kept(duty: Duty, answer: web.Response, code: str) -> None:
    duty.server.content = PAGERDUTY
    duty.configure(ical=duty.server.url)
    await duty.sources.refresh()
    duty.server.answer = answer  # type: ignore[assignment]  # a handler
    duty.clock.advance(minutes=5)
    await duty.sources.refresh()
    now = await duty.now()
    assert (now.users, now.age, now.trouble) == (("U0ALICE",), timedelta(minutes=5), None)
    assert duty.state == CalendarState(timedelta(minutes=5), code)
    assert duty.failed == ["finance"]
    duty.server.answer = None
    await duty.sources.refresh()
    assert duty.state == CalendarState(timedelta(0), None)


async def test_without_a_copy_the_calendar_is_said_to_be_unavailable(duty: Duty) -> None:
    duty.server.answer = _missing
    duty.configure(ical=duty.server.url)
    await duty.sources.refresh()
    now = await duty.now()
    assert (now.users, now.trouble, now.age) == ((), OnCallTrouble.CALENDAR_UNAVAILABLE, None)
    assert await duty.sources.next_on_call("finance", NOW) is None


async def test_a_redirect_to_another_place_of_the_same_scheme_is_followed(duty: Duty) -> None:
    async def redirect(http_request: web.Request) -> web.StreamResponse:
        if http_request.path == "/new/feed.ics":
            return web.Response(body=PAGERDUTY)
        return web.Response(status=308, headers={"Location": "/new/feed.ics"})

    duty.server.answer = redirect
    duty.configure(ical=duty.server.url)
    await duty.sources.refresh()
    assert (await duty.now()).users == ("U0ALICE",)


@pytest.mark.parametrize(
    "target",
    ["{other}", "http://127.0.0.2:1/feed.ics", "http://[::1]:1/feed.ics", "//localhost:1/", "http://127.0.0.1:1/x?y#z"],
)
async def test_a_redirect_leads_no_further_inward_than_the_operator_said(duty: Duty, target: str) -> None:
    """A private address that the operator names is theirs to name; one that a calendar's server names is not."""
    async with offering(PAGERDUTY) as other:

        async def redirect(http_request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": target.format(other=other.url)})

        duty.server.answer = redirect
        duty.configure(ical=duty.server.url)
        await duty.sources.refresh()
        assert duty.state == CalendarState(None, "unsafe_redirect")
        assert other.asked == []


async def test_an_address_that_slack_refuses_hides_no_other(duty: Duty) -> None:
    both = "UID:1\nDTSTART:20261122T000000Z\nDURATION:P1D\nSUMMARY:a..b@example.com\\, alice@example.com"
    duty.server.content = calendar(both)
    duty.configure(ical=duty.server.url)
    duty.slack.faults.add(Fault("error", error_code="invalid_arguments", methods="users.lookupByEmail", times=1))
    await duty.sources.refresh()
    now = await duty.now()
    assert (now.users, now.unknown) == (("U0ALICE",), ("a..b@example.com",))


def test_after_a_failure_it_is_tried_again_sooner(duty: Duty) -> None:
    duty.configure(ical=duty.server.url)
    duty.sources.follow()
    feed = duty.sources._feeds["finance"]
    told = (True, False, False, False, False, False, True, False)
    assert [feed.pause_after(is_well=well).total_seconds() for well in told] == [300, 30, 60, 120, 240, 300, 300, 30]


async def test_a_slow_calendar_is_given_up_and_holds_nobody_up() -> None:
    async with duty_with(patience=timedelta(milliseconds=50)) as duty:
        silence = asyncio.Event()

        async def silent(http_request: web.Request) -> web.StreamResponse:
            await silence.wait()
            return web.Response()

        duty.server.answer = silent
        duty.configure(ical=duty.server.url)
        duty.configure("support", users=["U0MIA"])
        refreshing = asyncio.create_task(duty.sources.refresh())
        assert (await duty.now("support")).users == ("U0MIA",)
        await refreshing
        silence.set()
        assert duty.state.failure == "timeout"


async def test_a_rule_that_never_comes_true_is_given_up_with_its_thread() -> None:
    never = calendar(
        "UID:1\nDTSTART:20260101T000000Z\nRRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30\nSUMMARY:a@example.com"
    )
    with pytest.raises(FeedTrouble) as caught:
        await expand_within(never, NOW, timedelta(milliseconds=50))
    assert caught.value.code == "calendar_too_slow"
    for thread in threading.enumerate():
        if thread.name == THREAD:
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("place", "code"), [("gone.ics", "file_missing"), (".", "file_unreadable"), ("/dev/zero", "file_unreadable")]
)
async def test_a_file_that_cannot_be_read(duty: Duty, tmp_path: Path, place: str, code: str) -> None:
    duty.configure(ical=str(tmp_path / place))
    await duty.sources.refresh()
    assert duty.state.failure == code


async def test_an_old_copy_is_used_and_said_to_be_old(duty: Duty) -> None:
    weekly = "UID:1\nDTSTART:20261101T000000Z\nDURATION:P1D\nRRULE:FREQ=DAILY\nSUMMARY:alice@example.com"
    duty.server.content = calendar(weekly)
    duty.configure(ical=duty.server.url)
    await duty.sources.refresh()
    duty.server.answer = _missing
    duty.clock.advance(hours=24)
    await duty.sources.refresh()
    assert not (await duty.now()).is_old
    for _ in range(10):  # far past what the copy was expanded to at first
        duty.clock.advance(days=2)
        await duty.sources.refresh()
    now = await duty.now()
    assert (now.users, now.is_old, now.trouble) == (("U0ALICE",), True, OnCallTrouble.CALENDAR_UNAVAILABLE)
    assert now.age == timedelta(days=21)


# --- the background, and reloads ---


async def test_it_reads_at_once_when_it_starts(duty: Duty) -> None:
    duty.server.content = PAGERDUTY
    duty.configure(ical=duty.server.url)
    duty.sources.start()
    assert (await duty.now()).users == ("U0ALICE",)  # it waits for the first try


async def test_a_changed_table_is_followed_and_a_removed_one_forgotten(duty: Duty) -> None:
    duty.server.content = PAGERDUTY
    duty.configure(ical=duty.server.url)
    duty.sources.start()
    await duty.now()
    duty.configure(ical=duty.server.url + "?other")
    duty.sources.follow()
    assert (await duty.now()).users == ("U0ALICE",)
    assert duty.server.asked == ["/feed.ics", "/feed.ics?other"]
    duty.tables.clear()
    assert (await duty.now()).trouble is OnCallTrouble.UNKNOWN_NAME
    assert duty.sources.calendars() == {}


async def test_a_calendar_that_did_not_change_is_not_expanded_again(
    duty: Duty, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty.server.content = PAGERDUTY
    duty.configure(ical=duty.server.url)
    await duty.sources.refresh()
    monkeypatch.setattr("handlers.calendar_feeds.expand_calendar", None)
    duty.clock.advance(minutes=5)
    await duty.sources.refresh()
    assert duty.state == CalendarState(timedelta(0), None)
