"""``/signoff oncall``, ``away`` and ``back``, typed in Slack."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.oncall import OnCallNow, OnCallSource, OnCallTrouble
from bot.reload import Result
from handlers.oncall import CalendarState
from handlers.slack.oncall import ON_A_PAGE, Duty, render_duties
from playground import Fault
from tests.conftest import SAMPLE
from tests.scenario.oncall_support import CalendarServer, offering
from tests.scenario.service_support import settings_for
from tests.scenario.slack_support import Bot, running_bot
from tests.unit.calendar_samples import calendar

TABLES = """
[oncall.finance]
usergroup = "S0FINANCE"

[oncall.support]
users = ["U0MIA"]
"""


def shift(start: datetime, hours: int, who: str) -> str:
    return f"UID:{who}{start}\nDTSTART:{start:%Y%m%dT%H%M%SZ}\nDURATION:PT{hours}H\nSUMMARY:{who}@example.com"


async def answer(bot: Bot, user: str, text: str) -> str:
    before = len(bot.slack.ephemerals(user))
    assert (await bot.slack.slash(user, "C0REFUNDS", f"/signoff {text}")).ok
    await bot.slack.until(lambda: len(bot.slack.ephemerals(user)) > before)
    return bot.slack.ephemerals(user)[-1].all_text()


@pytest.fixture
async def bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, text=SAMPLE + TABLES) as bot:
        yield bot


@asynccontextmanager
async def with_calendar(database: Path, *events: str) -> AsyncIterator[tuple[Bot, CalendarServer]]:
    async with offering(calendar(*events)) as server:
        text = SAMPLE + TABLES + f'[oncall.nights]\nical = "{server.url}"\n'
        async with running_bot(database, text=text) as bot:
            await bot.service.oncall.refresh()
            yield bot, server


async def test_help_lists_them(bot: Bot) -> None:
    told = await answer(bot, "U0ALICE", "help")
    assert all(f"/signoff {word}" in told for word in ("oncall [NAME]", "away [until TIME @PERSON]", "back"))


async def test_who_is_on_call_and_where_that_is_from(bot: Bot) -> None:
    told = await answer(bot, "U0ALICE", "oncall")
    assert re.search(r"finance.*<@U0ALICE>, <@U0BOB>, <@U0CAROL>.*user group.*read just now", told, re.DOTALL)
    assert re.search(r"support.*<@U0MIA>.*configuration", told, re.DOTALL)
    assert "support" not in await answer(bot, "U0ALICE", "oncall finance")


@pytest.mark.parametrize(("typed", "name"), [("fin", "finance"), ("suport", "support"), ("FINANCE", "finance")])
async def test_the_nearest_name_is_taken_and_said(bot: Bot, typed: str, name: str) -> None:
    told = await answer(bot, "U0ALICE", f"oncall {typed}")
    assert name in told
    assert f"There is no “{typed}”" in told


async def test_a_name_that_is_near_none_is_told_which_there_are(bot: Bot) -> None:
    assert "The names are finance and support." in await answer(bot, "U0ALICE", "oncall zzz")


async def test_a_calendar_says_now_and_next_and_how_old_it_is(database: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    later = now + timedelta(hours=2)
    async with with_calendar(database, shift(now, 2, "alice"), shift(later, 4, "bob")) as (bot, server):
        told = await answer(bot, "U0ALICE", "oncall nights")
        assert f"Now: <@U0ALICE>, until <!date^{int(later.timestamp())}^" in told
        assert f"Next: <@U0BOB> from <!date^{int(later.timestamp())}^" in told
        assert "From a calendar, read just now." in told
        assert "127.0.0.1" not in told
        bot.clock.advance(timedelta(minutes=30))
        assert "read 30 minutes ago" in await answer(bot, "U0ALICE", "oncall nights")
        server.content = b"nothing"
        bot.clock.advance(timedelta(hours=25))
        await bot.service.oncall.refresh()
        told = await answer(bot, "U0ALICE", "oncall nights")
        assert "This is old" in told
        assert "The last try failed: not_a_calendar." in told


async def test_who_is_unknown_is_named_and_inert(database: Path) -> None:
    now = datetime.now(UTC)
    async with with_calendar(database, shift(now, 2, "zoe"), shift(now, 2, "alice")) as (bot, _):
        told = await answer(bot, "U0ALICE", "oncall nights")
    assert "Now: <@U0ALICE>" in told
    assert "zoe@example.com" in told


@pytest.mark.parametrize("user", ["U0GUEST", "U0PAT"])
@pytest.mark.parametrize("text", ["oncall", "away", "away until tomorrow <@U0BOB>"])
async def test_only_members_are_answered(bot: Bot, user: str, text: str) -> None:
    await bot.slack.slash(user, "C0REFUNDS" if user == "U0GUEST" else "C0PARTNERS", f"/signoff {text}")
    told = "".join(message.all_text() for message in bot.slack.ephemerals(user))
    assert "<@" not in told
    assert (await bot.service.oncall.on_call("support", bot.clock())).users == ("U0MIA",)


async def test_without_any_the_configuration_is_named(database: Path) -> None:
    async with running_bot(database) as bot:
        assert "[oncall.NAME]" in await answer(bot, "U0ALICE", "oncall")


async def test_slack_out_of_reach_is_said(bot: Bot) -> None:
    bot.slack.faults.add(Fault("500", methods="users.info"))
    assert "could not be asked" in await answer(bot, "U0ALICE", "oncall")


# --- away ---


async def test_away_shows_and_back_ends(bot: Bot) -> None:
    assert "You are not away." in await answer(bot, "U0ALICE", "away")
    told = await answer(bot, "U0ALICE", "away until tomorrow 9:00 <@U0BOB>")
    assert re.search(r"You are away until <!date\^\d+\^.*<@U0BOB> as well", told)
    assert "You are away until" in await answer(bot, "U0ALICE", "away")
    assert "You stand in for <@U0ALICE>" in await answer(bot, "U0BOB", "away")
    assert "You are back. <@U0BOB>" in await answer(bot, "U0ALICE", "back")
    assert "You were not away." in await answer(bot, "U0ALICE", "back")


@pytest.mark.parametrize(("user", "zone"), [("U0SAM", "Asia/Tokyo"), ("U0CAROL", "America/New_York")])
async def test_the_time_is_that_of_the_askers_own_zone(bot: Bot, user: str, zone: str) -> None:
    told = await answer(bot, user, "away until tomorrow 10:30 @bob")
    (moment,) = re.findall(r"<!date\^(\d+)\^", told)
    assert f"{datetime.fromtimestamp(int(moment), ZoneInfo(zone)):%H:%M}" == "10:30"


async def test_a_chain_is_said_not_to_be_followed(bot: Bot) -> None:
    await answer(bot, "U0BOB", "away for 3d <@U0CAROL>")
    told = await answer(bot, "U0ALICE", "away for 3d <@U0BOB>")
    assert "<@U0BOB> is away too" in told
    assert "not told in your place" in told


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("away until tomorrow", "Name one person"),
        ("away until tomorrow @nobody", "Pick them from Slack's list"),
        ("away until tomorrow <@U0BOB> <@U0CAROL>", "Name one person"),
        ("away <@U0BOB>", "Say until when"),
        ("away until whenever <@U0BOB>", "no time that I understand"),
        ("away until tomorrow <@U0ALICE>", "Nobody stands in for themselves"),
        ("away until tomorrow <@U0GUEST>", "Guests cannot stand in"),
        ("away until tomorrow <@U0SIGNOFF>", "cannot stand in"),
        ("away for 61d <@U0BOB>", "more than 60 days"),
    ],
)
async def test_what_is_refused_says_why(bot: Bot, typed: str, said: str) -> None:
    assert said in await answer(bot, "U0ALICE", typed)
    assert "You are not away." in await answer(bot, "U0ALICE", "away")


# --- words ---


def test_many_names_come_in_pages() -> None:
    duties = [Duty(f"n{number}", OnCallNow(("U0MIA",), source=OnCallSource.USERS)) for number in range(ON_A_PAGE)]
    message = render_duties(duties, 2, 3)
    assert len(message.blocks) <= 50
    assert "Page 2 of 3" in str(message.blocks[-1])
    assert "oncall page 3" in str(message.blocks[-1])
    assert "shows the next" not in str(render_duties(duties, 3, 3).blocks[-1])


@pytest.mark.parametrize("trouble", OnCallTrouble)
def test_every_trouble_has_words(trouble: OnCallTrouble) -> None:
    duty = Duty(
        "finance", OnCallNow(trouble=trouble, source=OnCallSource.CALENDAR), None, CalendarState(None, "http_404")
    )
    assert ":warning:" in str(render_duties([duty]).blocks)


async def test_pages_are_asked_for_by_number(database: Path) -> None:
    tables = "".join(f'[oncall.team-{at:02}]\nusers = ["U0MIA"]\n' for at in range(ON_A_PAGE + 1))
    async with running_bot(database, text=SAMPLE + tables) as bot:
        first, second = await answer(bot, "U0ALICE", "oncall"), await answer(bot, "U0ALICE", "oncall page 2")
    assert "team-00" in first
    assert f"team-{ON_A_PAGE}" not in first
    assert f"team-{ON_A_PAGE}" in second
    assert "Page 2 of 2" in second


# --- reloads ---


async def test_a_reload_takes_a_calendar_in_and_drops_it_again(database: Path) -> None:
    async with offering(calendar(shift(datetime.now(UTC), 2, "alice"))) as server, running_bot(database) as bot:
        feed = f'[oncall.nights]\nical = "{server.url}"\n'
        assert "[oncall.NAME]" in await answer(bot, "U0ALICE", "oncall")
        await take(bot, database, SAMPLE + feed)
        assert "Now: <@U0ALICE>" in await answer(bot, "U0ALICE", "oncall nights")
        assert b'signoff_oncall_calendar_age_seconds{name="nights"}' in await bot.service.metrics.render()
        await take(bot, database, SAMPLE)
        assert "[oncall.NAME]" in await answer(bot, "U0ALICE", "oncall")
        assert b'name="nights"' not in await bot.service.metrics.render()


async def test_a_reload_that_names_a_variable_which_is_not_there_is_refused(database: Path) -> None:
    async with running_bot(database, text=SAMPLE + TABLES) as bot:
        with pytest.raises(AssertionError):
            await take(bot, database, SAMPLE + '[oncall.nights]\nical_env = "NIGHTS_ICAL"\n')
        assert bot.service.oncall.names() == ["finance", "support"]


async def take(bot: Bot, database: Path, text: str) -> None:
    reload = await bot.service.reload(lambda: settings_for(bot.slack, database, text=text))
    assert reload is not None
    assert reload.result is Result.TAKEN
