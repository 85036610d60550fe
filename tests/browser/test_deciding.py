"""Send a call, decide it, see the agent's side change: the main job, in the browser."""

import pytest
from playwright.async_api import expect

from playground import Fault
from tests.browser.browser_support import OPS, REFUNDS, Window, approve_with_reason


async def test_an_approved_call_runs(window: Window) -> None:
    await window.open()
    await expect(window.at("banner")).to_be_visible()
    await expect(window.cards()).to_have_count(0)
    run = await window.ask("refund")
    await run.is_waiting()
    card = await window.card()
    await card.has_buttons("approve", "deny", "details", "change", "more")
    await card.says("issue_refund", "payments", "m.ibrahim@example.com", "129.9", "The agent's claim", "#1")
    await card.press("approve")
    await card.says("Approved by @Alice Moreau", "succeeded")
    await card.has_buttons("details", "report", "more")
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
    await expect(run.there.get_by_test_id("run-result")).to_contain_text("re_20418")
    await window.no_modal()


async def test_a_denial_takes_its_reason_and_note_to_the_agent(window: Window) -> None:
    await window.open()
    run = await window.ask("refund")
    card = await window.card()
    await card.press("deny")
    modal = await window.modal("Deny #1")
    await window.at("modal-submit").click()
    await expect(modal.there.locator(".b-error")).to_be_visible()  # a reason is wanted
    await window.at("option-reason-wrong_target").check()
    await expect(modal.there.locator(".b-error")).to_have_count(0)
    await window.at("field-note").fill("The order was EUR 12.90, <b>not</b> 129.90.")
    await window.at("modal-submit").click()
    await window.no_modal()
    await run.ends("Denied", "asked", "waiting", "denied")
    await run.step_says("denied", "Wrong amount or target", "The order was EUR 12.90, <b>not</b> 129.90.")
    await card.says("Denied by @Alice Moreau", "Wrong amount or target")
    await card.has_buttons("details", "reverse", "more", "reopen")


async def test_two_people_approve_each_with_a_reason(window: Window) -> None:
    await window.open()
    run = await window.ask("payment")
    card = await window.card()
    await card.says("Financial · approving takes 2 people and a reason", "1 of 2: nobody yet", "2 of 2: nobody yet")
    await card.press("approve")
    form = await window.modal("Approve #1")
    await form.says("amount: 48200", "Why is this right?")
    await window.at("modal-submit").click()
    await expect(form.there.locator(".b-error")).to_be_visible()  # a reason is wanted
    await window.at("field-approve_reason").fill("The goods came, <b>all</b> of them")
    await window.at("modal-submit").click()
    await window.no_modal()
    await card.says("1 of 2: @Alice Moreau, ", "2 of 2: nobody yet")
    await card.has_buttons("approve", "deny", "details", "change", "more", "withdraw")
    await run.is_waiting()
    await window.become("U0BOB")
    card = await window.card()
    await approve_with_reason(window, card, "Seen")
    await card.says("Approved by @Alice Moreau and @Bob Okafor", "Seen", "The goods came, <b>all</b> of them")
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")


async def test_a_vote_is_taken_back(window: Window) -> None:
    await window.open()
    run = await window.ask("payment")
    card = await window.card()
    await approve_with_reason(window, card, "The goods came")
    await card.says("1 of 2: @Alice Moreau, ")
    await card.press("withdraw")
    await card.says("1 of 2: nobody yet")
    await expect(card.button("withdraw")).to_have_count(0)
    await run.is_waiting()


async def test_a_long_call_is_approved_on_the_last_page(window: Window) -> None:
    await window.open()
    run = await window.ask("long")
    card = await window.card()
    await card.has_buttons("review", "deny", "details", "change", "more")
    await card.says("This is not the whole call.")
    await card.press("review")
    modal = await window.modal("Review #1")
    await modal.says("Page 1 of", "A-10500")
    pages = 1
    while await modal.button("review_next").count():
        await expect(modal.button("review_approve")).to_have_count(0)
        await modal.press("review_next")
        pages += 1
        await modal.says(f"Page {pages} of")
    assert pages > 1
    await modal.says("A-10699")
    await modal.press("review_back")
    await modal.says(f"Page {pages - 1} of")
    await modal.press("review_next")
    await modal.press("review_approve")
    await (await window.modal("Request #1")).says("Approved by @Alice Moreau")
    await window.at("modal-close").click()
    await window.no_modal()
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
    await card.says("Approved by @Alice Moreau")


async def test_pressing_next_twice_approves_nothing(window: Window) -> None:
    """The second press of a double click must not meet Approve where Next was."""
    await window.open()
    await window.ask("long")
    card = await window.card()
    await card.press("review")
    modal = await window.modal("Review #1")
    forth = modal.button("review_next")
    await forth.scroll_into_view_if_needed()
    box = await forth.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    await window.page.mouse.click(x, y)
    await modal.says("Page 2 of")
    await window.page.mouse.click(x, y)
    await window.at("modal-close").click()
    await window.no_modal()
    await card.says("May decide")
    await card.has_buttons("review", "deny", "details", "change", "more")


async def test_what_no_rule_allows_is_denied_at_once(window: Window) -> None:
    await window.open()
    run = await window.ask("forbidden")
    await run.ends("Denied", "asked", "denied")
    await run.step_says("denied", "may not use the tool delete_customer")
    assert window.posted(REFUNDS) == window.posted(OPS) == []
    await expect(window.cards()).to_have_count(0)


async def test_the_agent_withdraws_its_request(window: Window) -> None:
    await window.open()
    run = await window.ask("refund")
    card = await window.card()
    await card.has_buttons("approve", "deny", "details", "change", "more")
    await window.at(f"agent-cancel-{run.id}").click()
    await run.ends("Cancelled", "asked", "waiting", "cancelled")
    await card.says("Cancelled", "by the agent")
    await card.has_buttons("details", "more")
    await expect(window.at(f"agent-cancel-{run.id}")).to_have_count(0)


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ("U0OWNER", "owners never decide for their own agent"),
        ("U0GUEST", "Guests cannot decide"),
        ("U0SAM", "lets only its reviewers decide: finance"),
    ],
)
async def test_who_may_not_decide_is_told_why(window: Window, person: str, why: str) -> None:
    await window.open(person)
    run = await window.ask("refund")
    card = await window.card()
    for action in ("approve", "deny"):
        await card.press(action)
        modal = await window.modal("Not possible")
        await modal.says(why)
        await window.at("modal-close").click()
        await window.no_modal()
    await card.has_buttons("approve", "deny", "details", "change", "more")
    await run.is_waiting()


async def test_who_comes_late_is_told_how_it_stands(window: Window) -> None:
    """Bob's screen still shows the buttons of a card that has been decided: Slack draws cards anew a moment later."""
    await window.open("U0BOB")
    await window.ask("refund")
    card = await window.card()
    slow = window.demo.slack.faults.add(Fault("slow", methods="chat.update"))
    assert (await window.demo.slack.click("U0ALICE", REFUNDS, window.posted()[0].ts, "approve")).ok
    await card.press("approve")
    await (await window.modal("Not possible")).says("decided before", "Approved by @Alice Moreau")
    window.demo.slack.faults.remove(slow)
    await window.at("modal-close").click()
    await card.has_buttons("details", "report", "more")


async def test_details_show_everything(window: Window) -> None:
    await window.open()
    await window.ask("refund")
    card = await window.card()
    await card.press("details")
    modal = await window.modal("Request #1")
    await modal.says("issue_refund", '"amount":129.9', "console", "refunds", "The photo shows the broken lid")
    await window.at("modal-x").click()
    await window.no_modal()
    await card.has_buttons("approve", "deny", "details", "change", "more")
