"""Time that is made to pass from the console: what people and the agent see follows it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from playwright.async_api import expect

from handlers.demo import Demo
from playground.settings import utc_now
from tests.browser.browser_support import GENERAL, Window
from tests.browser.conftest import OpenWindow

_PARIS = ZoneInfo("Europe/Paris")  # where Alice sits


async def test_what_nobody_answers_expires_and_the_next_call_goes_by_the_new_time(window: Window, demo: Demo) -> None:
    await window.open()
    await expect(window.at("time-note")).to_have_count(0)
    first = await window.ask("refund")
    card = await window.card()
    await card.has_buttons("approve", "deny", "details", "change", "more")

    await window.let_pass("10m", shown="10 min")
    await first.ends("Expired", "asked", "waiting", "expired")
    await first.step_says("expired", "+10 m", "Nobody decided in time.")
    await card.says("Expired", "nobody decided in time")
    await card.has_buttons("details", "reverse", "more")
    assert timedelta(minutes=9, seconds=59) < demo.slack.workspace.now() - utc_now() < timedelta(minutes=11)

    asked = demo.slack.workspace.now()
    second = await window.ask("refund")
    await second.is_waiting()
    await expect(window.cards()).to_have_count(2)
    fresh = await window.card()
    await fresh.has_buttons("approve", "deny", "details", "change", "more")
    deadlines = [asked + timedelta(minutes=10, seconds=late) for late in (0, 30)]
    shown = await fresh.there.text_content() or ""
    assert any(_clock_time(deadline) in shown for deadline in deadlines)
    posted = [float(message.ts) for message in window.posted()]
    assert posted[1] - posted[0] >= 600
    await fresh.press("approve")
    await fresh.says("Approved by @Alice Moreau", "succeeded")
    await second.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")


def _clock_time(at: datetime) -> str:
    """Return a time of day as Alice's Slack writes it."""
    local = at.astimezone(_PARIS)
    return f"{local.hour % 12 or 12}:{local:%M %p}"


async def test_the_clock_is_moved_with_the_keyboard_and_adds_up(window: Window) -> None:
    await window.open(place=GENERAL)
    await window.at("faults-toggle").focus()
    for step in ("1h", "10m", "5m", "1m"):
        await window.page.keyboard.press("Shift+Tab")
        await expect(window.at(f"clock-{step}")).to_be_focused()
    await window.page.keyboard.press("Enter")
    await expect(window.at("clock-ahead")).to_have_text("+1 min")
    for _ in range(3):
        await window.page.keyboard.press("Tab")
    await window.page.keyboard.press("Space")
    await expect(window.at("clock-ahead")).to_have_text("+1 h 1 min")
    await expect(window.at("clock-1h")).to_be_focused()


async def test_everybody_sees_the_same_time(window: Window, open_window: OpenWindow) -> None:
    await window.open()
    run = await window.ask("refund")
    await run.is_waiting()
    phone = await open_window(width=390, height=844, is_phone=True)
    await phone.open("U0BOB")
    await phone.at("tab-agent").tap()
    await phone.at("clock-1m").tap()
    await expect(phone.at("time-note")).to_have_text("1 min ahead")
    await expect(window.at("time-note")).to_have_text("1 min ahead")
    await run.step_says("waiting", "for 1 m")
    await run.is_waiting()  # there are nine minutes left
