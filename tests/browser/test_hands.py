"""The whole job with a thumb on a narrow screen, and with the keyboard alone."""

from playwright.async_api import expect

from tests.browser.browser_support import GENERAL, Window
from tests.browser.conftest import OpenWindow

_THUMB = 40  # px; the least height of what a thumb has to hit


async def test_a_phone_does_the_whole_job(open_window: OpenWindow) -> None:
    phone = await open_window(width=390, height=844, is_phone=True)
    await phone.open()
    await phone.at("tab-agent").tap()
    run = await phone.ask("refund")
    await run.is_waiting()
    await _fits(phone)
    await phone.at("tab-chat").tap()
    card = await phone.card()
    for action in ("approve", "deny"):
        await expect(card.button(action)).to_be_in_viewport(ratio=1)
        box = await card.button(action).bounding_box()
        assert box is not None
        assert box["height"] >= _THUMB
    await _fits(phone)
    await card.button("deny").tap()
    await phone.modal("Deny #1")
    await expect(phone.at("modal-submit")).to_be_in_viewport(ratio=1)
    await _fits(phone)
    await phone.at("modal-close").tap()
    await phone.no_modal()
    await card.button("approve").tap()
    await card.says("Approved by @Alice Moreau")
    await phone.at("tab-agent").tap()
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
    await phone.at("tab-nav").tap()
    await phone.at("nav-home").tap()
    await expect(phone.at("home")).to_contain_text("Nothing waits for you.")
    await _fits(phone)


async def test_a_phone_reviews_a_long_call(open_window: OpenWindow) -> None:
    phone = await open_window(width=390, height=844, is_phone=True)
    await phone.open()
    await phone.at("tab-agent").tap()
    run = await phone.ask("long")
    await phone.at("tab-chat").tap()
    card = await phone.card()
    await card.button("review").tap()
    modal = await phone.modal("Review #1")
    await _fits(phone)
    await modal.button("review_next").tap()
    await modal.button("review_approve").tap()
    await (await phone.modal("Request #1")).says("Approved by @Alice Moreau")
    await phone.at("modal-close").tap()
    await phone.no_modal()
    await phone.at("tab-agent").tap()
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")


async def test_the_console_folds_on_a_middling_window(open_window: OpenWindow) -> None:
    window = await open_window(width=900, height=800)
    await window.open()
    await expect(window.at("agent-console")).not_to_be_in_viewport()
    await window.at("console-toggle").click()
    run = await window.ask("refund")
    await window.page.keyboard.press("Escape")
    await expect(window.at("agent-console")).not_to_be_in_viewport()
    await (await window.card()).press("approve")
    await window.at("console-toggle").click()
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
    await _fits(window)


async def test_the_keyboard_alone_approves(window: Window) -> None:
    await window.open()
    keys = window.page.keyboard
    await keys.press("c")
    await expect(window.at("agent-preset-refund")).to_be_focused()
    await keys.press("Enter")
    card = await window.card()
    await card.has_buttons("approve", "deny", "details", "change", "more")
    await window.at("person-switcher").focus()
    await window.tab_to("button-approve", within="#messages")
    await keys.press("Enter")
    await card.says("Approved by @Alice Moreau", "succeeded")


async def test_the_keyboard_alone_denies_and_escapes(window: Window) -> None:
    await window.open()
    keys = window.page.keyboard
    run = await window.ask("refund")
    card = await window.card()
    await window.at("person-switcher").focus()
    await window.tab_to("button-details", within="#messages")
    await keys.press("Enter")
    await window.modal("Request #1")
    await keys.press("Escape")
    await window.no_modal()
    await expect(card.button("details")).to_be_focused()
    await keys.press("Shift+Tab")
    await expect(card.button("deny")).to_be_focused()
    await keys.press("Space")
    await window.modal("Deny #1")
    await expect(window.at("option-reason-wrong_target")).to_be_focused()
    await keys.press("ArrowDown")
    await expect(window.at("option-reason-too_risky")).to_be_checked()
    await keys.press("Tab")
    await expect(window.at("field-note")).to_be_focused()
    await keys.type("No, thank you.")
    await keys.press("Control+Enter")
    await window.no_modal()
    await run.ends("Denied", "asked", "waiting", "denied")
    await run.step_says("denied", "Too risky: No, thank you.")


async def test_the_keyboard_alone_walks_about(window: Window) -> None:
    await window.open(place=GENERAL)
    keys = window.page.keyboard
    await expect(window.at("messages")).to_contain_text("From today our agents ask")
    await window.at("messages").focus()
    await keys.press("k")
    await expect(window.page.locator(".msg:focus")).to_contain_text("By accident, no.")
    await keys.press("ArrowUp")
    await expect(window.page.locator(".msg:focus")).to_contain_text("on a Friday")
    await keys.press("Alt+ArrowUp")
    await expect(window.at("place-title")).to_have_text("deploys")
    await keys.press("/")
    await expect(window.at("composer")).to_be_focused()
    await keys.type("signoff pending")
    await keys.press("Enter")
    await expect(window.page.locator(".msg-ephemeral")).to_contain_text("Nothing is waiting")
    await window.at("person-switcher").focus()
    await keys.press("Enter")
    await expect(window.at("person-U0ALICE")).to_be_focused()
    await keys.press("ArrowDown")
    await keys.press("Enter")
    await expect(window.at("person-switcher")).to_contain_text("Bob Okafor")


async def test_escape_closes_what_lies_on_top_and_only_that(window: Window) -> None:
    await window.open()
    keys = window.page.keyboard
    run = await window.ask("long")
    await (await window.card()).press("review")
    await (await window.modal("Review #1")).press("review_next")
    await (await window.modal("Review #1")).press("review_deny")
    await window.modal("Deny #1")
    await keys.press("Escape")
    await window.modal("Review #1")
    await keys.press("Escape")
    await window.no_modal()
    await keys.press("?")
    await expect(window.at("help")).to_be_visible()
    await keys.press("Escape")
    await expect(window.at("help")).to_have_count(0)
    await window.at("person-switcher").click()
    await expect(window.at("person-menu")).to_be_visible()
    await keys.press("Escape")
    await expect(window.at("person-menu")).to_have_count(0)
    await run.is_waiting()


async def _fits(window: Window) -> None:
    """Check that nothing makes the page wider or higher than the window."""
    over = await window.page.evaluate(
        "[document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
    )
    assert over == [0, 0]
