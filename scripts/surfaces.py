"""Draw every surface that people see in Slack into docs/surfaces/, for review: a set of pictures and their index.

    uv run --group test python scripts/surfaces.py [NAME …]

The renderers are the bot's, the page is the playground's, the requests are made up and the clock stands still, so that
a picture changes only where a surface does. Needs Debian's chromium, or another Chromium or Chrome.
"""

import asyncio
import sys
from pathlib import Path

from playwright.async_api import Browser

from tests.browser.browser_support import find_browser, open_browser
from tests.browser.surfaces_base import PHONE, Sample
from tests.browser.surfaces_support import SAMPLES, gallery, put, shown, surface

FOLDER = Path(__file__).parents[1] / "docs" / "surfaces"
MOST_BYTES = 150_000
_TALL = 4000  # higher than any surface: the page scrolls inside itself, and a picture shows what is in the window
_MANY_BLOCKS = 12  # more of them are drawn smaller, for the size of the picture

INDEX = """# What people see in Slack

Every surface of Signoff as the playground draws it on a phone of 390 points, for review. Drawn by
`uv run --group test python scripts/surfaces.py` from made-up requests; `tests/browser/test_surfaces.py` checks that
each is whole. Grey frames hold what an agent wrote, bars what a person wrote; the rest is said by Signoff.

How a call is drawn:

- Short arguments stand first, then the long ones by their length; a small line says so where the order sent was
  another. The details show the JSON text as it was sent.
- Numbers are as they were sent, texts in quotes, empty and `null` told apart. A text of several lines stands as lines
  behind `│`; a tab is `⇥`, a carriage return `␍`, whatever else cannot be seen is its code point, `\\u{…}`.
- A list of rows with the same few keys is a table where it fits a phone; a list of few short values stands on one line.
- Against the last call of the same agent, tool and rule that people approved, what changed is marked `~` with the old
  value, what is new `+`; what is gone is listed below the call.
- A call that does not fit cannot be approved on its card: *Review* shows it in pages, and approving is on the last.
"""


async def draw(browser: Browser, name: str, sample: Sample, *, is_dark: bool) -> None:
    """Write one picture."""
    async with gallery() as slack:
        place, blocks = put(slack, sample)
        scale = 1.5 if len(blocks) < _MANY_BLOCKS else 1
        size = PHONE if sample.end else (PHONE[0], _TALL)
        async with shown(browser, slack, place, size=size, is_dark=is_dark, scale=scale) as page:
            there = surface(page, sample)
            await there.wait_for()
            if sample.kind == "messages":
                await page.locator("#messages [data-block-type]").last.wait_for()
            if sample.end == "bottom":
                await there.locator("[data-block-type]").last.scroll_into_view_if_needed()
            box = None if sample.end else await there.evaluate(_CONTENT_BOX)
            path = FOLDER / f"{name}{'-dark' if is_dark else ''}.png"
            await page.screenshot(path=path, clip=box, animations="disabled", caret="hide")
    written = path.stat().st_size
    print(f"{path.relative_to(FOLDER.parents[1])}  {written // 1024} KB")
    if written > MOST_BYTES:
        sys.exit(f"{path.name} is larger than {MOST_BYTES // 1000} KB")


_CONTENT_BOX = """element => {
  const own = element.getBoundingClientRect();
  const inside = [...element.querySelectorAll("[data-block-type], .msg, .modal-head, .modal-foot, header, footer")]
    .map((one) => one.getBoundingClientRect());
  const margin = element.dataset.testid === "home" ? 12 : 0;
  const top = Math.max(own.top, Math.min(...inside.map((box) => box.top)) - margin);
  const bottom = Math.max(...inside.map((box) => box.bottom)) + 12;
  return { x: own.left, y: top, width: own.width, height: bottom - top };
}"""


def write_index() -> None:
    """List the pictures."""
    lines = [INDEX]
    for name, sample in SAMPLES.items():
        dark = f" ![{sample.title}, dark]({name}-dark.png)" if sample.in_dark else ""
        lines.append(f"## {sample.title}\n\n![{sample.title}]({name}.png){dark}\n")
    (FOLDER / "README.md").write_text("\n".join(lines), encoding="utf-8")


async def main(names: list[str]) -> None:
    """Draw the named surfaces, or all, and the index."""
    path = find_browser()
    if path is None:
        sys.exit("There is no Chromium or Chrome here. On Debian: apt install chromium")
    if unknown := set(names) - set(SAMPLES):
        sys.exit(f"No surface is called {', '.join(sorted(unknown))}; there are {', '.join(SAMPLES)}.")
    FOLDER.mkdir(exist_ok=True)
    async with open_browser(path) as browser:
        for name in names or SAMPLES:
            for is_dark in (False, True) if SAMPLES[name].in_dark else (False,):
                await draw(browser, name, SAMPLES[name], is_dark=is_dark)
    write_index()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
