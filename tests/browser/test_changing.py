"""Approve with changes, reopen, and the thread that counts the tries: in the browser."""

from playwright.async_api import expect

from tests.browser.browser_support import Window
from tests.browser.conftest import OpenWindow

CALL = '{"order": "A-1", "amount": 4900.1, "note": "a\\u200bb"}'


async def test_a_call_is_changed_in_its_form(window: Window) -> None:
    await window.open()
    run = await window.ask_freely(CALL)
    card = await window.card()
    await card.press("change")
    form = await window.modal("Approve with changes")
    await form.says("This call is denied, and the agent is told the call as you change it.", "order")
    fields = form.there.get_by_test_id("field-value")
    await expect(fields).to_have_count(3)
    await expect(fields.nth(0)).to_have_value("4900.1")
    await expect(fields.nth(1)).to_have_value('"a\\u200bb"')
    await fields.nth(0).fill("49,00")
    await window.at("modal-submit").click()
    await expect(form.there.locator(".b-error")).to_contain_text("Write a number such as 4900.10")
    await expect(fields.nth(0)).to_have_value("49,00")
    await fields.nth(0).fill("49.00")
    await window.at("modal-submit").click()
    told = await window.modal("Approved with changes")
    await told.says("#1 is denied", "~ amount: 49.00 (was 4900.1)", "Your approval waits for exactly that call")
    await window.at("modal-close").click()
    await run.ends("Denied", "asked", "waiting", "denied")
    await run.step_says("denied", "Approved with changes.", '"amount":49.00')
    await card.says("Denied: approved with changes by @Alice Moreau", "~ amount: 49.00 (was 4900.1)")
    again = await window.ask_freely('{"order": "A-1", "amount": 49, "note": "a\\u200bb"}')
    await again.ends("Ran", "asked", "approved", "consumed", "ran", "reported")
    await card.says("approval was counted on #2")


async def test_a_phone_changes_a_call(open_window: OpenWindow) -> None:
    phone = await open_window(width=390, height=844, is_phone=True)
    await phone.open()
    await phone.at("tab-agent").tap()
    run = await phone.ask("refund")
    await phone.at("tab-chat").tap()
    card = await phone.card()
    await card.button("change").tap()
    form = await phone.modal("Approve with changes")
    await form.there.get_by_role("textbox", name="amount").fill("12.90")
    await form.there.get_by_role("checkbox", name="customer").check()  # to be left out
    await phone.at("modal-submit").tap()
    await (await phone.modal("Approved with changes")).says("amount: 12.90 (was 129.9", "- customer:")
    wide = await phone.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide
    await phone.at("modal-close").tap()
    await phone.at("tab-agent").tap()
    await run.ends("Denied", "asked", "waiting", "denied")


async def test_a_denied_call_is_counted_in_its_thread_until_it_is_reopened(window: Window) -> None:
    await window.open()
    await window.ask_freely('{"order": "A-1", "amount": 20}')
    card = await window.card()
    await card.press("deny")
    await window.modal("Deny #1")
    await window.at("option-reason-wrong_target").check()
    await window.at("modal-submit").click()
    await window.no_modal()
    await card.has_buttons("details", "reverse", "more", "reopen")
    again = await window.ask_freely('{"order": "A-1", "amount": 20}')
    await again.ends("Denied", "asked", "denied")
    ts = await card.there.get_attribute("data-ts")
    await window.at(f"thread-{ts}").click()
    thread = window.at("thread")
    await expect(thread).to_contain_text("Asked again once")
    await window.ask_freely('{"order": "A-1", "amount": 20.0}')
    await expect(thread).to_contain_text("Asked again 2 times")
    await expect(thread.locator(".msg")).to_have_count(2)  # the card and one reply
    near = await window.ask_freely('{"order": "A-1", "amount": 21}')
    await near.is_waiting()
    await expect(window.cards()).to_have_count(2)
    await (await window.card()).says("Like #1, denied by @Alice Moreau", "~ amount: 21 (was 20)")
    await card.press("reopen")
    await card.says("Reopened by @Alice Moreau")
    await card.has_buttons("details", "reverse", "more")
    fresh = await window.ask_freely('{"order": "A-1", "amount": 20}')
    await fresh.is_waiting()
