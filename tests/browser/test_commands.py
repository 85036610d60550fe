"""The slash command, typed into a channel's box."""

from playwright.async_api import expect

from tests.browser.browser_support import GENERAL, Window


async def test_help_lists_the_commands(window: Window) -> None:
    await window.open()
    answer = await window.command("/signoff help")
    await answer.says("Only visible to you", "/signoff pending", "/signoff show ID", "/signoff help")
    await answer.has_buttons()


async def test_pending_lists_what_waits(window: Window) -> None:
    await window.open()
    await (await window.command("/signoff pending")).says("Nothing is waiting that you can see.")
    await window.ask("refund")
    await window.card()
    answer = await window.command("/signoff pending")
    await answer.says("1 request waiting", "#1", "issue_refund", "in #refunds", "you may decide")
    await answer.has_buttons()


async def test_show_tells_how_a_request_stands(window: Window) -> None:
    await window.open()
    await window.ask("refund")
    card = await window.card()
    await (await window.command("/signoff show 1")).says("wants to run", "m.ibrahim@example.com", "#1")
    await card.press("approve")
    await card.says("succeeded")
    await (await window.command("/signoff show 1")).says("Approved by @Alice Moreau", "succeeded")
    await (await window.command("/signoff show 2")).says("There is no request “2” that you can see.")


async def test_who_may_not_see_a_request_is_answered_as_if_there_were_none(window: Window) -> None:
    await window.open("U0GUEST")
    await window.ask("refund")
    await window.card()
    await (await window.command("/signoff pending")).says("Nothing is waiting that you can see.")
    await (await window.command("/signoff show 1")).says("There is no request “1” that you can see.")


async def test_a_mistyped_command_is_helped(window: Window) -> None:
    await window.open(place=GENERAL)
    await (await window.command("/signoff nonsense")).says("There is no command “nonsense”.", "/signoff help")
    await (await window.command("/signoff pendin")).says("Did you mean pending?")


async def test_the_box_offers_the_command_and_refuses_others(window: Window) -> None:
    await window.open()
    await window.at("composer").press_sequentially("/sig")
    await expect(window.at("hints")).to_contain_text("/signoff")
    await window.at("composer").press("Tab")
    await expect(window.at("composer")).to_have_value("/signoff ")
    await window.at("composer").fill("/nothing at all")
    await window.at("composer").press("Enter")
    await expect(window.at("composer-error")).to_contain_text("/nothing is not a valid command")
    await expect(window.at("composer")).to_have_value("/nothing at all")


async def test_answers_are_gone_after_a_reload(window: Window) -> None:
    await window.open()
    await window.command("/signoff help")
    await window.at("composer").fill("Good morning")
    await window.at("composer-send").click()
    await expect(window.at("messages")).to_contain_text("Good morning")
    await window.page.reload()
    await expect(window.at("messages")).to_contain_text("Good morning")
    await expect(window.page.locator(".msg-ephemeral")).to_have_count(0)
