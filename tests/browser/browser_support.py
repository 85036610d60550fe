"""One person's window on a running demo, as the browser tests and the pictures use it.

Finds things by the page's test ids and waits for what is to be seen; never for time to pass.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from handlers.demo import Demo
from playground.model import Message

REFUNDS, SUPPORT, OPS, DEPLOYS, GENERAL = "C0REFUNDS", "C0SUPPORT", "C0OPS", "C0DEPLOYS", "C0GENERAL"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--font-render-hinting=none",
    "--hide-scrollbars",
    "--renderer-process-limit=1",  # a new process for each window takes longer than most tests
)


def find_browser() -> str | None:
    """Return the path of an installed Chromium or Chrome."""
    return next((path for path in map(shutil.which, _BROWSERS) if path), None)


@asynccontextmanager
async def open_browser(path: str) -> AsyncIterator[Browser]:
    """Start a headless browser; it and its driver are gone at the end."""
    async with async_playwright() as playwright:
        # Its sandbox cannot be had in containers, and it is shown nothing but our own page.
        browser = await playwright.chromium.launch(
            executable_path=path, headless=True, chromium_sandbox=False, args=_ARGUMENTS
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Window:
    """A window of the playground's page. ``complaints``: what the browser's console, and its network, had to say."""

    page: Page
    demo: Demo
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Take down errors, warnings, and requests to anywhere but the demo itself."""
        home = self.demo.slack.page_url

        def listen(message: Any) -> None:
            if message.type in {"error", "warning"}:
                self.complaints.append(f"console: {message.text}")

        def look(request: Any) -> None:
            if not request.url.startswith((home, "data:", "blob:")):
                self.complaints.append(f"request to {request.url}")

        self.page.on("console", listen)
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("request", look)

    async def open(self, user: str = "U0ALICE", place: str = REFUNDS) -> None:
        """Open the page as a person, in a channel or on the Home tab."""
        await self.page.goto(f"{self.demo.slack.page_url.rstrip('/')}/#/{user}/{place}")
        await expect(self.at("person-switcher")).to_be_attached()

    def at(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    async def become(self, user: str) -> None:
        """Switch to another person."""
        await self.at("person-switcher").click()
        await self.at(f"person-{user}").click()
        person = self.demo.slack.workspace.user(user)
        await expect(self.at("person-switcher")).to_contain_text(person.real_name)

    async def go(self, channel: str) -> None:
        """Open a channel from the sidebar."""
        await self.at(f"channel-{channel}").click()
        await expect(self.at(f"channel-{channel}")).to_have_attribute("aria-current", "page")

    # --- the agent ---

    async def ask(self, preset: str) -> "Run":
        """Send a ready-made call from the agents' console."""
        known = await self._run_ids()
        await self.at(f"agent-preset-{preset}").click()
        return await self._new_run(known)

    async def write_call(self, arguments: str, *, tool: str = "issue_refund", **others: str) -> None:
        """Fill in a call of one's own; ``others`` are its agent, server, reasoning and timeout."""
        if await self.at("free-send").count() == 0:
            await self.at("free-toggle").click()
        if agent := others.pop("agent", None):
            await self.at("free-agent").select_option(label=agent)
        for name, value in {"tool": tool, "args": arguments, **others}.items():
            await self.at(f"free-{name}").fill(value)

    async def ask_freely(self, arguments: str, *, tool: str = "issue_refund", **others: str) -> "Run":
        """Send a call of one's own."""
        known = await self._run_ids()
        await self.write_call(arguments, tool=tool, **others)
        await self.at("free-send").click()
        return await self._new_run(known)

    async def ask_many(self, preset: str) -> Locator:
        """Send a ready-made burst; returns how the console counts what became of its calls."""
        await self.at(f"agent-preset-{preset}").click()
        counted = self.page.locator("[data-testid^=agent-burst-]").first.get_by_test_id("burst-outcomes")
        await expect(counted).to_be_visible()
        return counted

    async def let_pass(self, step: str, *, shown: str) -> None:
        """Move the clock on by a step of the console's ("1m", "5m", "10m", "1h"); ``shown``: how far ahead it is."""
        await self.at(f"clock-{step}").click()
        await expect(self.at("time-note")).to_have_text(f"{shown} ahead")

    async def switch_fault(self, key: str, *, on: bool) -> None:
        """Break something, or mend it."""
        if await self.at(f"fault-{key}").count() == 0:
            await self.at("faults-toggle").click()
        switch = self.at(f"fault-{key}")
        await switch.click()
        await expect(switch).to_have_attribute("aria-checked", "true" if on else "false")

    async def _run_ids(self) -> list[str]:
        runs = self.page.locator("[data-testid^=agent-run-]")
        ids: list[str] = await runs.evaluate_all("all => all.map(one => one.dataset.testid)")
        return ids

    async def _new_run(self, known: list[str]) -> "Run":
        newest = self.page.locator("[data-testid^=agent-run-]").first
        await expect(self.page.locator("[data-testid^=agent-run-]")).to_have_count(len(known) + 1)
        test_id = await newest.get_attribute("data-testid")
        assert test_id is not None
        assert test_id not in known
        return Run(self.at(test_id), test_id.removeprefix("agent-run-"))

    # --- the channel ---

    def cards(self) -> Locator:
        """Return the cards in the open channel, newest last."""
        return self.page.locator("#messages .msg").filter(has=self.at("button-details"))

    async def card(self) -> "Surface":
        """Return the newest card, once it is there."""
        await expect(self.cards().last).to_be_visible()
        ts = await self.cards().last.get_attribute("data-ts")
        return Surface(self.page.locator(f'#messages [data-testid="message-{ts}"]'))

    def posted(self, channel: str = REFUNDS) -> list[Message]:
        """Return the cards that Slack has in a channel."""
        return [one for one in self.demo.slack.messages(channel) if "details" in one.action_ids()]

    async def command(self, text: str) -> "Surface":
        """Type into the open channel's box and send it; returns the answer that only this person sees."""
        answers = self.page.locator("#messages .msg-ephemeral")
        before = await answers.count()
        await self.at("composer").fill(text)
        await self.at("composer").press("Enter")
        await expect(answers).to_have_count(before + 1)
        return Surface(answers.last)

    async def queue_card(self) -> "Surface":
        """Return the newest queue card, once it is there."""
        there = self.page.locator("#messages .msg").filter(has=self.at("button-queue_list")).last
        await expect(there).to_be_visible()
        return Surface(there)

    # --- modals ---

    async def modal(self, title: str) -> "Surface":
        """Return the modal on top, once it has this title."""
        await expect(self.at("modal-title")).to_have_text(title)
        return Surface(self.at("modal"))

    async def no_modal(self) -> None:
        await expect(self.at("modal")).to_have_count(0)

    async def tab_to(self, test_id: str, *, within: str = "body", most: int = 60) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(most):
            await self.page.keyboard.press("Tab")
            if await self.page.locator(f'{within} [data-testid="{test_id}"]:focus').count():
                return
        raise AssertionError(f"{most} times Tab do not lead to {test_id}")


@dataclass(frozen=True)
class Surface:
    """A message or modal."""

    there: Locator

    def button(self, action: str) -> Locator:
        return self.there.get_by_test_id(f"button-{action}")

    async def press(self, action: str) -> None:
        await self.button(action).click()

    async def says(self, *texts: str) -> None:
        for text in texts:
            await expect(self.there).to_contain_text(text)

    async def may_be_decided(self) -> None:
        """Wait for the buttons that decide."""
        for action in ("approve", "deny"):
            await expect(self.button(action)).to_be_visible()

    async def has_buttons(self, *actions: str) -> None:
        """Check which buttons there are, in order, once they are."""
        buttons = self.there.locator("[data-testid^=button-]")
        await expect(buttons).to_have_count(len(actions))
        for at, action in enumerate(actions):
            await expect(buttons.nth(at)).to_have_attribute("data-testid", f"button-{action}")


@dataclass(frozen=True)
class Run:
    """A call as the agents' console shows it."""

    there: Locator
    id: str

    async def visit(self) -> None:
        """Go where it is answered, as somebody who may."""
        await self.there.get_by_test_id(f"agent-visit-{self.id}").click()

    async def is_waiting(self) -> None:
        await expect(self.there.get_by_test_id("run-outcome")).to_have_text("Waiting")
        await expect(self.there.get_by_test_id("step-waiting")).to_be_attached()

    async def ends(self, outcome: str, *steps: str) -> None:
        """Check how it ended, and each step on the way."""
        await expect(self.there).to_have_attribute("data-state", "done")
        await expect(self.there.get_by_test_id("run-outcome")).to_have_text(outcome)
        kinds = await self.there.locator("[data-testid^=step-]").evaluate_all(
            "all => all.map(one => one.dataset.testid.slice(5))"
        )
        assert kinds == list(steps)

    async def step_says(self, kind: str, *texts: str) -> None:
        for text in texts:
            await expect(self.there.get_by_test_id(f"step-{kind}")).to_contain_text(text)


async def is_harmless(there: Locator) -> None:
    """Check that there is no picture or script, no link but to a card, and no mention but of who may decide."""
    found = await there.evaluate(
        """e => ({
          live: e.querySelectorAll("img, script, iframe, object, form, [onclick], [onerror]").length,
          links: [...e.querySelectorAll("a")].map(one => [one.textContent, one.href]),
          mentions: [...e.querySelectorAll(".mention")].map(one => one.textContent),
          unseen: [...e.textContent].filter(one => /[\\u202a-\\u202e\\u2066-\\u2069\\u200b\\u00a0]/.test(one)).length,
        })"""
    )
    assert (found["live"], found["unseen"]) == (0, 0)
    assert all(words.startswith("#") and "/archives/C0" in href for words, href in found["links"]), found["links"]
    assert set(found["mentions"]) <= {"@Alice Moreau", "@finance", "@support", "@infrastructure", "#support"}


async def approve_with_reason(window: Window, card: Surface, reason: str) -> None:
    """Approve on a card whose rule asks for a reason: press, type, send."""
    await card.press("approve")
    await expect(window.at("modal")).to_contain_text("Why is this right?")
    await window.at("field-approve_reason").fill(reason)
    await window.at("modal-submit").click()
    await window.no_modal()
