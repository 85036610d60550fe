"""The page around the cards: Home tab, people, unread marks, threads, colours, a second window."""

from playwright.async_api import expect

from tests.browser.browser_support import GENERAL, REFUNDS, Surface, Window
from tests.browser.conftest import OpenWindow


async def test_the_home_tab_lists_what_waits_and_lets_one_review_it(window: Window) -> None:
    await window.open(place="home")
    home = Surface(window.at("home"))
    await home.says("Waiting for you", "Nothing waits for you.")
    run = await window.ask("refund")
    await window.go(REFUNDS)
    await window.card()
    await window.at("nav-home").click()
    await home.says("issue_refund", "#1")
    await home.has_buttons("review", "details", "home_pause")
    await home.press("review")
    modal = await window.modal("Review #1")
    await modal.says("m.ibrahim@example.com", "The agent's claim")
    await modal.press("review_approve")
    await (await window.modal("Request #1")).says("Approved by @Alice Moreau")
    await window.at("modal-close").click()
    await home.says("Nothing waits for you.")
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")


async def test_a_denial_from_the_review_stacks_on_it_and_closes_both(window: Window) -> None:
    await window.open()
    run = await window.ask("long")
    card = await window.card()
    await card.press("review")
    await (await window.modal("Review #1")).press("review_next")
    await (await window.modal("Review #1")).press("review_deny")
    await window.modal("Deny #1")
    await expect(window.at("modal-under")).to_have_count(1)
    await window.at("modal-close").click()
    await window.modal("Review #1")
    await (await window.modal("Review #1")).press("review_deny")
    await window.modal("Deny #1")
    await window.at("option-reason-too_risky").check()
    await window.at("modal-submit").click()
    await window.no_modal()
    await run.ends("Denied", "asked", "waiting", "denied")


async def test_another_person_decides(window: Window) -> None:
    await window.open()
    await window.ask("refund")
    await window.card()
    await window.become("U0BOB")
    card = await window.card()
    await expect(card.there.locator(".mention-me")).to_have_text("@finance")
    await card.press("approve")
    await card.says("Approved by @Bob Okafor")
    await window.become("U0ALICE")
    await (await window.card()).says("Approved by @Bob Okafor")
    await window.page.reload()
    await expect(window.at("person-switcher")).to_contain_text("Alice Moreau")


async def test_a_second_window_sees_it_happen(window: Window, open_window: OpenWindow) -> None:
    other = await open_window()
    await window.open("U0ALICE")
    await other.open("U0BOB")
    await window.ask("refund")
    theirs = await other.card()
    await theirs.has_buttons("approve", "deny", "details", "change", "more")
    await (await window.card()).press("approve")
    await theirs.says("Approved by @Alice Moreau", "succeeded")
    await theirs.has_buttons("details", "report", "more")


async def test_a_card_elsewhere_leaves_marks_until_it_is_read(window: Window) -> None:
    await window.open(place=GENERAL)
    entry = window.at(f"channel-{REFUNDS}")
    await expect(entry).to_have_attribute("data-unread", "0")
    await window.ask("refund")
    await expect(entry).to_have_attribute("data-unread", "1")
    await expect(entry).to_have_attribute("data-mentions", "1")
    await expect(window.at(f"badge-{REFUNDS}")).to_have_text("1")
    notice = window.at("notification")
    await expect(notice).to_contain_text("refund-bot wants to run issue_refund · #1 · decide by")
    shown = await notice.text_content()
    assert shown is not None
    assert "129" not in shown  # a lock screen shows no arguments
    await expect(window.page).to_have_title("(1) general · Signoff playground")

    await window.become("U0SAM")  # no reviewer: unread, but nobody calls him
    await expect(entry).to_have_attribute("data-unread", "1")
    await expect(entry).to_have_attribute("data-mentions", "0")
    await expect(window.at(f"badge-{REFUNDS}")).to_have_count(0)

    await window.become("U0ALICE")
    await window.go(REFUNDS)
    await expect(entry).to_have_attribute("data-unread", "0")
    await expect(window.page.locator(".msg-notified")).to_have_count(1)
    await window.go(GENERAL)
    await expect(window.at(f"badge-{REFUNDS}")).to_have_count(0)


async def test_a_notice_leads_to_its_card(window: Window) -> None:
    await window.open(place=GENERAL)
    await window.ask("refund")
    await window.at("notification").get_by_role("button").first.click()
    await expect(window.at("place-title")).to_have_text("refunds")
    await (await window.card()).has_buttons("approve", "deny", "details", "change", "more")


async def test_a_thread_opens_beside_the_card(window: Window) -> None:
    await window.open()
    await window.ask("refund")
    card = await window.card()
    ts = await card.there.get_attribute("data-ts")
    await card.there.hover()
    await window.at(f"reply-{ts}").click()
    thread = window.at("thread")
    await expect(thread).to_contain_text("No replies yet")
    await window.at("reply").fill("Did anyone see the photo?")
    await window.at("reply-send").click()
    await expect(thread).to_contain_text("1 reply")
    await expect(thread).to_contain_text("Did anyone see the photo?")
    await expect(window.at("messages")).not_to_contain_text("Did anyone see the photo?")
    # The card can be decided from its thread just as well.
    await thread.get_by_test_id("button-approve").click()
    await expect(thread).to_contain_text("Approved by @Alice Moreau")
    await window.at("thread-close").click()
    await expect(thread).to_have_count(0)
    await window.at(f"thread-{ts}").click()
    await expect(thread).to_contain_text("Did anyone see the photo?")
    await window.page.reload()
    await expect(thread).to_be_visible()


async def test_a_deleted_card_is_posted_once_more(window: Window) -> None:
    await window.open()
    run = await window.ask("refund")
    first = await window.card()
    ts = await first.there.get_attribute("data-ts")
    await first.there.hover()
    await window.at(f"delete-{ts}").click()
    await window.at("confirm-yes").click()
    await expect(first.there).to_have_count(0)
    second = await window.card()
    await second.press("approve")
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
    assert len(window.posted()) == 1


async def test_light_and_dark(window: Window) -> None:
    await window.open()
    await window.ask("refund")
    card = await window.card()
    theme = window.page.locator("html")

    async def brightness() -> tuple[int, int]:
        """Of the paper and of the ink, 0 to 765, as they are drawn."""
        paper, ink = await card.there.evaluate(
            "e => [getComputedStyle(e.closest('.main')).backgroundColor, getComputedStyle(e).color]"
            ".map(colour => colour.match(/\\d+/g).slice(0, 3).reduce((sum, one) => sum + Number(one), 0))"
        )
        return paper, ink

    paper, ink = await brightness()
    assert paper > 700
    assert ink < 150
    await window.page.emulate_media(color_scheme="dark")  # as the system says, unless told otherwise
    paper, ink = await brightness()
    assert paper < 150
    assert ink > 600
    await window.at("theme").click()
    await expect(theme).to_have_attribute("data-theme", "light")
    assert (await brightness())[0] > 700
    await window.at("theme").click()
    await expect(theme).to_have_attribute("data-theme", "dark")
    await window.page.emulate_media(color_scheme="light")
    await window.page.reload()
    await expect(theme).to_have_attribute("data-theme", "dark")
    await expect(card.there).to_be_visible()
    assert (await brightness())[0] < 150


async def test_first_sight_explains_itself_until_it_is_told_enough(window: Window) -> None:
    await window.page.goto(window.demo.slack.page_url)
    banner = window.at("banner")
    await expect(banner).to_have_text(
        "AI agents ask, people decide: press Ask in the console, then Approve or Deny the card that appears."
    )
    await expect(window.at("place-title")).to_have_text("refunds")
    await expect(window.at("person-switcher")).to_contain_text("Alice Moreau")
    await banner.get_by_role("button").click()
    await expect(banner).to_have_count(0)
    await window.page.reload()
    await expect(window.at("person-switcher")).to_be_attached()
    await expect(banner).to_have_count(0)
