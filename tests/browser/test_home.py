"""The Home tab: what waits is decided from there, agents are paused and resumed, votes ahead are lifted; and *Why?*."""

from playwright.async_api import expect

from tests.browser.browser_support import Surface, Window


async def test_the_home_tab_pauses_lifts_and_why_is_told(window: Window) -> None:
    await window.open()
    await window.ask_freely('{"amount": 4900.10, "order": "A-1"}')
    card = await window.card()
    await card.press("change")
    form = await window.modal("Approve with changes")
    await form.there.get_by_test_id("field-value").first.fill("49.00")
    await window.at("modal-submit").click()
    await window.modal("Approved with changes")
    await window.at("modal-close").click()
    await card.press("more")
    await window.page.locator('[data-testid^="menu-"][data-testid*="why"]').click()
    why = await window.modal("Why? #1")
    await why.says("Rule refunds asks people.", "Asked by refund-bot", "@Alice Moreau approved a changed call")
    await window.at("modal-close").click()

    await window.open(place="home")
    tab = Surface(window.at("home"))
    await tab.says("Waiting for you", "Agents that you can pause", "Held ahead", "You decided in the last 7 days")
    await tab.says("Last overrides", "1 remembered denial")
    await tab.there.get_by_test_id("button-standing_lift").click()
    await expect(tab.there.get_by_test_id("button-standing_lift")).to_have_count(0)
    await tab.there.get_by_test_id("button-home_pause").first.click()
    await window.modal("Pause")
    await window.at("field-halt_reason").fill("It refunds too much")
    await window.at("modal-submit").click()
    await (await window.modal("Done")).says("is paused", "It refunds too much")
    await window.at("modal-close").click()
    await tab.says("was paused by @Alice Moreau", "It refunds too much")
    await expect(tab.there.get_by_test_id("button-home_resume")).to_have_count(1)
