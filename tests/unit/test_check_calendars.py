"""`signoff check` on calendars of who is on call."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from handlers.findings import Level, render_text
from playground import Fault, Playground
from tests.scenario.oncall_support import CalendarServer, offering
from tests.unit.calendar_samples import calendar
from tests.unit.test_check import KEY, NOW, TABLES, Desk, slack

__all__ = ["slack"]

PART = "oncall nights"
SECRET = "c4n4ry"


@pytest.fixture
async def server() -> AsyncIterator[CalendarServer]:
    async with offering() as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, slack: Playground, server: CalendarServer) -> Desk:
    env = {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SIGNOFF_SECRET_KEY": KEY,
        "NIGHTS_ICAL": f"{server.url}?{SECRET}",
    }
    return Desk(tmp_path, slack, env, tables=TABLES + '[oncall.nights]\nical_env = "NIGHTS_ICAL"\n')


def shift(who: str, days: int = 0) -> str:
    return f"UID:{who}\nDTSTART;VALUE=DATE:{NOW.replace(day=NOW.day + days):%Y%m%d}\nSUMMARY:{who}"


async def found(desk: Desk) -> list[tuple[Level, str]]:
    report = await desk.check()
    assert SECRET not in render_text(report)
    return [(finding.level, finding.text) for finding in report.findings if finding.part == PART]


async def test_a_calendar_that_names_members_is_well(desk: Desk, server: CalendarServer) -> None:
    server.content = calendar(shift("Alice@example.com"), shift("bob@example.com", 2))
    assert await found(desk) == [(Level.OK, "its calendar can be read, and names 2 members for the next week")]


async def test_whom_slack_does_not_know_is_named(desk: Desk, server: CalendarServer) -> None:
    server.content = calendar(shift("alice@example.com"), shift("zoe@example.com"), "UID:3\nDTSTART:soon\nSUMMARY:x")
    assert await found(desk) == [
        (Level.WARNING, "1 event could not be read"),
        (Level.OK, "its calendar can be read, and names 1 member for the next week"),
        (Level.WARNING, "its calendar names somebody who is not reached (zoe@example.com: unknown)"),
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (calendar(), "its calendar names nobody for the next week"),
        (calendar(shift("Nobody")), "its calendar names nobody for the next week"),
        (
            calendar(shift("zoe@example.com")),
            "its calendar names no member of this workspace for the next week (zoe@example.com: unknown)",
        ),
        (b"<html>", "its calendar cannot be read: not_a_calendar"),
    ],
)
async def test_what_is_a_fault(desk: Desk, server: CalendarServer, content: bytes, text: str) -> None:
    server.content = content
    assert await found(desk) == [(Level.FAULT, text)]


async def test_a_calendar_that_is_not_there(desk: Desk, server: CalendarServer) -> None:
    async def missing(http_request: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    server.answer = missing
    assert await found(desk) == [(Level.FAULT, "its calendar cannot be read: http_404")]


async def test_a_missing_scope_is_told(desk: Desk, server: CalendarServer, slack: Playground) -> None:
    server.content = calendar(shift("alice@example.com"))
    slack.faults.add(Fault("error", methods="users.lookupByEmail", error_code="missing_scope"))
    assert "users.lookupByEmail is refused: missing_scope" in [fault.text for fault in await desk.faults()]


async def test_a_missing_variable_is_a_fault_of_the_secrets(desk: Desk) -> None:
    del desk.env["NIGHTS_ICAL"]
    assert any(fault.part == "secrets" and "NIGHTS_ICAL" in fault.text for fault in await desk.faults())
