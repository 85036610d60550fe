"""A browser for the whole run; a demo and a window of one's own for each test.

Any error or warning in the browser's console fails the test, and so does a request to anywhere but the demo. Without a
browser these tests are skipped, and fail instead where ``SIGNOFF_REQUIRE_BROWSER=1`` says that there must be one.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, expect

from handlers.demo import Demo, running_demo
from tests.browser.browser_support import Window, find_browser, open_browser

_HERE = Path(__file__).parent
_WAIT_MS = 15_000  # for what takes milliseconds; a busy machine may take longer

expect.set_options(timeout=_WAIT_MS)


OpenContext = Callable[[int, int, bool, int], Awaitable[BrowserContext]]


class OpenWindow(Protocol):
    """Opens one more window, of another size or with a touch screen if asked."""

    async def __call__(self, *, width: int = ..., height: int = ..., is_phone: bool = ...) -> Window: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let these tests share one event loop: a browser belongs to the loop it was started in."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = find_browser()
    if path is None:
        reason = "no Chromium or Chrome is installed (on Debian: apt install chromium)"
        if os.environ.get("SIGNOFF_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    async with open_browser(path) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def demo() -> AsyncIterator[Demo]:
    async with running_demo() as demo:
        yield demo


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def open_context(browser: Browser) -> AsyncIterator[OpenContext]:
    """Contexts are kept for the next window of their kind, which saves time; each of a test's windows has its own,
    because a browser neglects tabs that lie behind another.

    Windows share nothing all the same: each demo has a port of its own, and what a browser keeps is kept by address.
    """
    contexts: dict[tuple[int, int, bool, int], BrowserContext] = {}

    async def open_one(width: int, height: int, is_phone: bool, at: int) -> BrowserContext:
        kind = width, height, is_phone, at
        if kind not in contexts:
            contexts[kind] = await browser.new_context(
                viewport={"width": width, "height": height},
                is_mobile=is_phone,
                has_touch=is_phone,
                color_scheme="light",
                reduced_motion="reduce",
                locale="en-GB",
            )
            contexts[kind].set_default_timeout(_WAIT_MS)
        return contexts[kind]

    yield open_one
    for context in contexts.values():
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_window(open_context: OpenContext, demo: Demo) -> AsyncIterator[OpenWindow]:
    windows: list[Window] = []

    async def open_one(*, width: int = 1440, height: int = 900, is_phone: bool = False) -> Window:
        context = await open_context(width, height, is_phone, len(windows))
        window = Window(await context.new_page(), demo)
        windows.append(window)
        window.watch()
        return window

    yield open_one
    for window in windows:
        await window.page.close()
    assert [complaint for window in windows for complaint in window.complaints] == []


@pytest_asyncio.fixture(loop_scope="session")
async def window(open_window: OpenWindow) -> Window:
    return await open_window()
