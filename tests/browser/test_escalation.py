"""Nobody answers, and calls that come too fast: a card that escalates by its plan, and a queue card."""

from playwright.async_api import expect

from handlers.demo import Demo
from playground.model import Message
from tests.browser.browser_support import DEPLOYS, OPS, Surface, Window, is_harmless


async def test_a_card_escalates_until_it_expires(window: Window, demo: Demo) -> None:
    await window.open("U0IVY", DEPLOYS)
    run = await window.ask("deploy")
    card = await window.card()
    await card.has_buttons("approve", "deny", "details", "claim", "change", "more")
    await card.says("In 7 minutes (today at ", "): reminds the reviewers.")

    await window.let_pass("10m", shown="10 min")
    await card.says("asks infrastructure on call (who may then decide too) and asks in #ops.")
    await card.there.get_by_text("1 reply").click()
    await expect(window.at("thread")).to_contain_text("#1 still waits for a decision: @infrastructure")
    await expect(window.at(f"channel-{OPS}")).not_to_have_attribute("data-mentions", "1")

    await window.let_pass("5m", shown="15 min")
    await card.says("May decide: @Ada Silva @infrastructure", "tells the agent's owners and reminds the reviewers.")
    await window.become("U0ADMIN")
    for place in (_dm(demo, "U0ADMIN"), OPS):
        await window.go(place)
        copy = await window.card()
        await copy.has_buttons("approve", "deny", "details", "claim", "change", "more")
        await copy.says("May decide: @Ada Silva @infrastructure")
    await copy.press("claim")
    await copy.says("@Ada Silva is on it until today at ", "tells the agent's owners")

    await window.let_pass("10m", shown="25 min")
    await window.become("U0DAN")
    await window.go(_dm(demo, "U0DAN"))
    notice = Surface(window.page.locator("#messages .msg").last)
    await notice.says("#1 still waits for a decision. You own the agent that asks. You may not decide it yourself.")
    await notice.has_buttons()
    await window.let_pass("5m", shown="30 min")
    await run.ends("Expired", "asked", "waiting", "expired")
    await window.let_pass("5m", shown="35 min")
    await Surface(window.page.locator("#messages .msg").last).says("#1 of deploy-bot expired: nobody decided in time.")
    await window.go(OPS)
    await (await window.card()).says("Expired", "Nothing was approved.")
    await (await window.card()).has_buttons("details", "reverse", "more")


async def test_a_burst_is_gathered_and_decided_from_its_list(window: Window, demo: Demo) -> None:
    await window.open()
    await window.switch_fault("pace", on=True)
    await window.at("faults-toggle").click()
    counted = await window.ask_many("burst")
    card = await window.queue_card()
    await card.says("requests wait for a decision", "from refund-bot", "@finance")
    await is_harmless(card.there)
    assert len(demo.slack.messages("C0REFUNDS")) <= 4

    await card.press("queue_list")
    listed = await window.modal("Waiting")
    await listed.says("page 1 of 2")
    await listed.button("queue_next").click()
    await listed.says("page 2 of 2")
    await listed.button("queue_review").last.click()
    review = await window.modal("Review #60")
    await review.says("A-105")
    await review.press("review_approve")
    await review.says("Approved by @Alice Moreau")
    await expect(counted).to_have_text("59 waiting1 ran")
    await window.at("modal-close").click()
    listed = await window.modal("Waiting")
    await listed.press("queue_again")
    await expect(listed.there).not_to_contain_text("#60")
    await window.at("modal-close").click()
    await window.no_modal()


def _dm(demo: Demo, user: str) -> str:
    messages: list[Message] = demo.slack.messages(user)
    return messages[-1].channel
