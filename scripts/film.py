"""The short film at the head of the README: an agent asks, a card appears, a person approves, the call runs; another
call that nobody answers goes to whoever is on call.

Its frames are photographs of the playground's page with a line of text below and a drawn pointer (a headless browser
has none). ImageMagick puts them together; Signoff itself never needs it.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Locator

from tests.browser.browser_support import DEPLOYS, Window

SIZE = (1240, 776)
_LINE = 56  # px, the height of the text below the page

# The page's rules allow no inline markup, so everything is made through the document.
_PREPARE = """line => {
  const add = (id, rules) => {
    const one = document.body.appendChild(document.createElement("div"));
    one.id = id;
    Object.assign(one.style, rules);
  };
  add("film-line", {
    position: "fixed", inset: "auto 0 0 0", height: `${line}px`, display: "flex", alignItems: "center",
    justifyContent: "center", background: "#0a1f1c", color: "#fff", fontSize: "21px", fontWeight: "600", zIndex: 90,
  });
  add("film-pointer", {
    position: "fixed", left: "0", top: "0", width: "22px", height: "32px", background: "#111", zIndex: 91,
    clipPath: "polygon(0 0, 0 84%, 27% 64%, 46% 100%, 62% 94%, 44% 59%, 84% 59%)", visibility: "hidden",
    pointerEvents: "none",
  });
  add("film-halo", {
    position: "fixed", width: "60px", height: "60px", margin: "-30px", borderRadius: "50%", zIndex: 89,
    border: "5px solid #e8a33d", visibility: "hidden", pointerEvents: "none",
  });
  new MutationObserver(() => {
    const frame = document.querySelector(".frame");
    if (frame) frame.style.height = `calc(100vh - ${line}px)`;
  }).observe(document.body, { childList: true, subtree: true });
  document.querySelector(".frame").style.height = `calc(100vh - ${line}px)`;
}"""
_WRITE = """([text, at]) => {
  document.getElementById("film-line").textContent = text;
  const [pointer, halo] = ["film-pointer", "film-halo"].map(id => document.getElementById(id));
  for (const one of [pointer, halo]) {
    one.style.visibility = at ? "visible" : "hidden";
    if (at) [one.style.left, one.style.top] = [`${at[0]}px`, `${at[1]}px`];
  }
}"""


@dataclass
class Film:
    """Frames so far, each with how long it stands."""

    window: Window
    folder: Path
    frames: list[tuple[Path, float]] = field(default_factory=list)

    async def shoot(self, text: str, *, seconds: float, pointing: Locator | None = None) -> None:
        """Photograph the page with a line of text, and with the pointer on something."""
        page = self.window.page
        at = None
        if pointing is not None:
            await pointing.hover()
            box = await pointing.bounding_box()
            assert box is not None
            at = [box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.6]
        else:
            await page.mouse.move(0, 0)
        await page.evaluate(_WRITE, [text, at])
        path = self.folder / f"{len(self.frames):02}.png"
        await page.screenshot(path=path, animations="disabled", caret="hide")
        self.frames.append((path, seconds))

    async def write(self, to: Path) -> None:
        """Put the frames together."""
        arguments = ["-loop", "0"]
        for path, seconds in self.frames:
            arguments += ["(", "-delay", str(round(seconds * 100)), str(path), ")"]
        # One small palette and no dots of nearly the same colour: it is the first thing that the README loads.
        arguments += ["-dither", "None", "-colors", "24", "+map", "-fuzz", "5%", "-layers", "OptimizeTransparency"]
        process = await asyncio.create_subprocess_exec("convert", *arguments, str(to))
        if await process.wait():
            raise RuntimeError("ImageMagick could not put the film together")


async def play(film: Film, wait: Callable[..., Awaitable[None]]) -> None:
    """The whole story, once. ``wait`` lets seconds pass."""
    window = film.window
    await window.open()
    await window.page.get_by_label("Hide this hint").click()  # the lines below say more
    await window.page.evaluate(_PREPARE, _LINE)
    ask = window.at("agent-preset-refund")
    await film.shoot("An AI agent wants to pay a customer back. It has to ask first.", seconds=2.2)
    await film.shoot("An AI agent wants to pay a customer back. It has to ask first.", seconds=1.2, pointing=ask)
    run = await window.ask("refund")
    await run.is_waiting()
    card = await window.card()
    await card.may_be_decided()
    await wait(seconds=24)
    await film.shoot("A card appears in Slack, for the people who may decide. The agent waits.", seconds=3.2)
    await film.shoot("Alice looks at the exact call, and approves it.", seconds=2.0, pointing=card.button("approve"))
    await card.press("approve")
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
    await card.says("succeeded")
    await film.shoot("It runs once, as approved. Who decided what, and when, is on record.", seconds=3.6)
    await _escalate(film)


async def _escalate(film: Film) -> None:
    """What nobody answers, until somebody on call has it."""
    window = film.window
    call = '{"workspace": "production-eu", "destroy": 1}'  # a short one: the film is to load fast
    await window.ask_freely(call, tool="terraform_apply", agent="deploy-bot", timeout="30m")
    await window.at("free-toggle").click()
    await window.become("U0IVY")
    await window.go(DEPLOYS)
    card = await window.card()
    await card.may_be_decided()
    await window.let_pass("10m", shown="10 min")
    await card.says("1 reply")
    await window.let_pass("5m", shown="15 min")
    await card.says("@Ada Silva")
    await window.become("U0ADMIN")
    await window.go(window.demo.slack.messages("U0ADMIN")[-1].channel)
    await (await window.card()).may_be_decided()
    words = "Nobody answers a deploy? It goes to whoever is on call, who may then decide too."
    await film.shoot(words, seconds=4.2)


@asynccontextmanager
async def recording(window: Window) -> AsyncIterator[Film]:
    """A film whose frames are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="signoff-film-") as folder:
        yield Film(window, Path(folder))


def can_be_made() -> bool:
    """Whether ImageMagick is there."""
    return shutil.which("convert") is not None
