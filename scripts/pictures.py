"""Draw the pictures of the README and the documentation: the playground's page, photographed in a headless browser.

    uv run --group test python scripts/pictures.py [NAME …]

It plays each scene on a demo of its own, by a clock that stands still, so that a picture changes only where the page or
a card does (and in the random end of a request's id). Needs Debian's chromium, or another Chromium or Chrome; the film
of the README (``film``) also needs ImageMagick.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.async_api import Browser, expect

from bot.clock import MovableClock
from handlers.demo import running_demo
from scripts import film
from tests.browser.browser_support import DEPLOYS, REFUNDS, SUPPORT, Surface, Window, find_browser, open_browser

FOLDER = Path(__file__).parents[1] / "docs" / "images"
MORNING = datetime(2026, 11, 23, 8, 12, 20, tzinfo=UTC)
DESK = (1440, 900)
PHONE = (390, 844)
FILM = "film.gif"


@dataclass(frozen=True)
class Scene:
    """Something to photograph. ``play`` leaves the window as the picture is to show it."""

    play: Callable[["Stage"], Awaitable[None]]
    size: tuple[int, int] = DESK
    is_dark: bool = False


@dataclass(frozen=True)
class Stage:
    """A window on a demo, and the clock they go by."""

    window: Window
    clock: MovableClock

    async def wait(self, **by: float) -> None:
        """Let time pass for the demo and for the page."""
        self.clock.advance(timedelta(**by))
        await self.window.page.clock.set_fixed_time(self.clock())
        await self.window.page.evaluate("dispatchEvent(new Event('resize'))")  # so that it draws waiting times anew

    async def show_runs(self) -> None:
        """Scroll the agent's console to its calls."""
        await self.window.at("free-toggle").evaluate("one => one.scrollIntoView({block: 'start'})")


async def playground(stage: Stage) -> None:
    """One refund approved and done, one waiting, and what the agent saw of both."""
    window = stage.window
    await window.open()
    first = await window.ask("refund")
    card = await window.card()
    await stage.wait(seconds=38)
    await card.press("approve")
    await card.says("succeeded")
    await first.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
    await stage.wait(minutes=3, seconds=5)
    second = await window.ask_freely(
        '{"order": "A-10497", "customer": "j.castillo@example.com", "amount": 48.5, "currency": "EUR"}',
        server="payments",
        reasoning="Delivered nine days late; our terms promise the shipping cost back.",
    )
    await second.is_waiting()
    await window.at("free-toggle").click()
    await stage.wait(seconds=12)
    await stage.show_runs()


async def dark(stage: Stage) -> None:
    """An e-mail that many would get waits, in the dark."""
    window = stage.window
    await window.open("U0MIA", SUPPORT)
    await window.ask("email")
    await (await window.card()).may_be_decided()
    await stage.wait(seconds=25)


async def denying(stage: Stage) -> None:
    """The reason of a denial."""
    window = stage.window
    await window.open()
    await window.ask("refund")
    await (await window.card()).press("deny")
    await window.modal("Deny #1")
    await window.at("option-reason-wrong_target").check()
    await window.at("field-note").fill("The order was EUR 12.90. Please check the ticket again.")


async def reviewing(stage: Stage) -> None:
    """The last page of a long call."""
    window = stage.window
    await window.open()
    await window.ask("long")
    await (await window.card()).press("review")
    modal = await window.modal("Review #1")
    await modal.press("review_next")
    await modal.says("Page 2 of 2")
    await modal.button("review_approve").scroll_into_view_if_needed()


async def refused(stage: Stage) -> None:
    """Somebody who may not decide, and why."""
    window = stage.window
    await window.open("U0OWNER")
    await window.ask("refund")
    await (await window.card()).press("approve")
    await window.modal("Not possible")


async def home(stage: Stage) -> None:
    """What waits for one person."""
    window = stage.window
    await window.open()
    for preset in ("refund", "long", "hostile", "email"):
        run = await window.ask(preset)
        await run.is_waiting()
        await stage.wait(seconds=20)
    await window.demo.slack.until(lambda: window.posted(SUPPORT) and len(window.posted(REFUNDS)) == 3)
    await window.at("nav-home").click()
    await expect(Surface(window.at("home")).button("review")).to_have_count(3)


async def hostile(stage: Stage) -> None:
    """A call that means harm, shown as what it is."""
    window = stage.window
    await window.open()
    await window.ask("hostile")
    await (await window.card()).may_be_decided()


async def waiting(stage: Stage) -> None:
    """A call that nobody answered in time, and the next one, by a clock that was moved on."""
    window = stage.window
    await window.open()
    run = await window.ask("refund")
    await (await window.card()).may_be_decided()
    await window.let_pass("10m", shown="10 min")
    await run.ends("Expired", "asked", "waiting", "expired")
    await (await window.card()).says("Expired")


async def deploy(stage: Stage) -> None:
    """A Terraform plan, before the people who answer for production."""
    window = stage.window
    await window.open()
    run = await window.ask("deploy")
    await run.visit()
    await (await window.card()).may_be_decided()


async def escalated(stage: Stage) -> None:
    """A deploy that nobody answered: the reminder in the thread, more people who may decide, and somebody on it."""
    window = stage.window
    await window.open("U0IVY", DEPLOYS)
    await window.page.get_by_label("Hide this hint").click()
    await window.ask("deploy")
    await (await window.card()).may_be_decided()
    await window.let_pass("10m", shown="10 min")
    await window.let_pass("5m", shown="15 min")
    card = await window.card()
    await card.says("@Ada Silva")
    await card.press("claim")
    await card.says("is on it")
    await card.there.get_by_text("1 reply").click()
    await expect(window.at("thread")).to_contain_text("still waits")


async def burst(stage: Stage) -> None:
    """Sixty calls at once, gathered on one message."""
    window = stage.window
    await window.open()
    await window.ask_many("burst")
    card = await window.queue_card()
    await card.says("60 requests wait")


async def phone(stage: Stage) -> None:
    """A card on a narrow screen."""
    window = stage.window
    await window.open()
    await window.at("tab-agent").click()
    await window.ask("refund")
    await window.at("tab-chat").click()
    await (await window.card()).may_be_decided()


SCENES: dict[str, Scene] = {
    "playground": Scene(playground),
    "dark": Scene(dark, is_dark=True),
    "denying": Scene(denying),
    "reviewing": Scene(reviewing),
    "refused": Scene(refused),
    "home": Scene(home),
    "hostile": Scene(hostile),
    "waiting": Scene(waiting),
    "deploy": Scene(deploy),
    "escalated": Scene(escalated),
    "burst": Scene(burst),
    "phone": Scene(phone, PHONE),
}


async def draw(browser: Browser, name: str, scene: Scene) -> None:
    """Play a scene and write its picture."""
    async with _stage(browser, scene) as stage:
        await scene.play(stage)
        path = FOLDER / f"{name}.png"
        await stage.window.page.mouse.move(0, 0)
        await stage.window.page.screenshot(path=path, animations="disabled", caret="hide")
        _tell(path)


async def make_film(browser: Browser) -> None:
    """Play the README's film and write it."""
    async with _stage(browser, Scene(playground, film.SIZE)) as stage, film.recording(stage.window) as reel:
        await film.play(reel, stage.wait)
        await reel.write(FOLDER / FILM)
        _tell(FOLDER / FILM)


def _tell(path: Path) -> None:
    print(f"{path.relative_to(FOLDER.parents[1])}  {path.stat().st_size // 1024} KB")


@asynccontextmanager
async def _stage(browser: Browser, scene: Scene) -> AsyncIterator[Stage]:
    clock = MovableClock(lambda: MORNING)
    async with running_demo(clock=clock) as demo:
        context = await browser.new_context(
            viewport={"width": scene.size[0], "height": scene.size[1]},
            is_mobile=scene.size == PHONE,
            has_touch=scene.size == PHONE,
            device_scale_factor=2 if scene.size == PHONE else 1,
            color_scheme="dark" if scene.is_dark else "light",
            reduced_motion="reduce",
            locale="en-GB",
        )
        page = await context.new_page()
        await page.clock.set_fixed_time(clock())
        yield Stage(Window(page, demo), clock)
        await context.close()


async def main(names: list[str]) -> None:
    """Draw the named pictures, or all."""
    path = find_browser()
    if path is None:
        sys.exit("There is no Chromium or Chrome here. On Debian: apt install chromium")
    if unknown := set(names) - {*SCENES, "film"}:
        sys.exit(f"No picture is called {', '.join(sorted(unknown))}; there are {', '.join(SCENES)} and film.")
    if (not names or "film" in names) and not film.can_be_made():
        sys.exit("The film needs ImageMagick. On Debian: apt install imagemagick")
    FOLDER.mkdir(exist_ok=True)
    async with open_browser(path) as browser:
        for name in names or [*SCENES, "film"]:
            if name == "film":
                await make_film(browser)
            else:
                await draw(browser, name, SCENES[name])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
