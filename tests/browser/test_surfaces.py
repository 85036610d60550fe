"""Every surface that people see in Slack, drawn by the playground's page on a phone: whole, readable, nothing alive."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from playground import Playground
from tests.browser.browser_support import Window
from tests.browser.surfaces_base import PHONE
from tests.browser.surfaces_support import SAMPLES, gallery, put, shown, surface

_SHAPES = sorted(name for name, sample in SAMPLES.items() if sample.facts)
_LIVE = 'a[href]:not([href^="https://acme.slack.com/archives/"])'  # our own links lead to cards, and nowhere else
_READABLE = 4.5  # contrast of text and its ground, by WCAG 2 level AA


@pytest_asyncio.fixture(loop_scope="session")
async def slack() -> AsyncIterator[Playground]:
    async with gallery() as slack:
        yield slack


def _words(value: Any) -> Iterator[str]:
    """Every text that is shown to the letter; what Slack reads as markup comes out changed."""
    if isinstance(value, list):
        for item in value:
            yield from _words(item)
    elif isinstance(value, dict) and value.get("type") != "overflow":  # its choices are seen once it is opened
        if value.get("type") in ("text", "plain_text"):
            yield value["text"]
        for name, item in value.items():
            if name != "placeholder":  # stands in the field, not in the page's text
                yield from _words(item)


@pytest.mark.parametrize("name", sorted(SAMPLES))
async def test_a_surface_is_whole_on_a_phone_in_light_and_dark(browser: Browser, slack: Playground, name: str) -> None:
    sample = SAMPLES[name]
    place, blocks = put(slack, sample)
    async with shown(browser, slack, place) as page:
        there = surface(page, sample)
        drawn = there.locator("[data-block-type]")
        await expect(drawn).to_have_count(len(blocks))
        text = " ".join((await there.inner_text()).split())
        for words in _words(blocks):
            assert " ".join(words.split()) in text
        for left, right, width, height in await drawn.evaluate_all(_BOXES):
            assert height > 0
            assert left >= 0
            assert right <= width
        assert (
            await there.locator("pre").evaluate_all("all => all.filter(e => e.scrollWidth > e.clientWidth).length") == 0
        )
        await expect(there.locator(f".unknown-block, .unknown-inline, {_LIVE}")).to_have_count(0)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            for contrast, what in await there.locator("pre, .b-text, .rt-section, .b-context").evaluate_all(_CONTRASTS):
                assert contrast >= _READABLE, f"{scheme}: {what}"


@pytest.mark.parametrize("name", _SHAPES)
async def test_the_deciding_facts_are_on_the_first_screen(browser: Browser, slack: Playground, name: str) -> None:
    sample = SAMPLES[name]
    place, _ = put(slack, sample)
    async with shown(browser, slack, place) as page:
        message = page.locator("#messages .msg").last
        await message.wait_for()
        await message.evaluate("e => e.scrollIntoView({block: 'start'})")
        for fact in sample.facts:
            assert await _is_on_screen(page, fact), fact


async def test_a_card_is_compared_with_what_was_approved_before(window: Window) -> None:
    await window.open()
    first = await window.ask_freely('{"order": "A-1", "amount": 20}')
    await (await window.card()).press("approve")
    await first.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
    await window.ask_freely('{"order": "A-1", "amount": 20.0}')
    await expect(window.cards()).to_have_count(2)
    again = await window.card()
    await again.says("Same call as #1, approved", "by @Alice Moreau")
    await window.ask_freely('{"order": "A-1", "amount": 2000, "express": true}')
    await expect(window.cards()).to_have_count(3)
    other = await window.card()
    await other.says("Differences to #1", "~ amount: 2000 (was 20)", "+ express: true")
    await other.has_buttons("approve", "deny", "details", "change", "more")


async def _is_on_screen(page: Page, words: str) -> bool:
    return bool(await page.evaluate(_ON_SCREEN, [words, PHONE[1]]))


_BOXES = """all => all.map((one) => {
  const box = one.getBoundingClientRect();
  return [box.left, box.right, innerWidth, box.height];
})"""

_CONTRASTS = """all => all.map((one) => {
  const numbers = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) =>
    [r, g, b]
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  let ground = one;
  while (ground && (numbers(getComputedStyle(ground).backgroundColor)[3] ?? 1) === 0) ground = ground.parentElement;
  const [paper, ink] = [getComputedStyle(ground ?? document.body).backgroundColor, getComputedStyle(one).color]
    .map((colour) => light(numbers(colour)));
  return [(Math.max(paper, ink) + 0.05) / (Math.min(paper, ink) + 0.05), one.textContent.slice(0, 40)];
})"""

_ON_SCREEN = """([words, height]) => {
  const texts = document.createTreeWalker(document.querySelector("#messages .msg:last-of-type"), NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const at = text.data.indexOf(words);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(text, at);
    range.setEnd(text, at + words.length);
    const box = range.getBoundingClientRect();
    if (box.height > 0 && box.top >= 0 && box.bottom <= height) return true;
  }
  return false;
}"""
