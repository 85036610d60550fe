"""Pausing an agent from the channel's box, and stopping a rule on its gathered notice."""

from playwright.async_api import expect

from bot.clock import MovableClock
from bot.digests import SETTLED
from handlers.slack.digest_card import LIFT, STOP
from tests.browser.browser_support import Surface, Window


async def test_an_agent_is_paused_denied_and_resumed(window: Window) -> None:
    await window.open()
    answer = await window.command("/signoff pause refund-bot for 2h it refunds too much")
    await answer.says("Only visible to you", "Agent refund-bot is paused", "it refunds too much", "/signoff resume")
    await answer.has_buttons()
    run = await window.ask("refund")
    await run.ends("Denied", "asked", "denied")
    await run.step_says("denied", "Agent refund-bot is paused", "it refunds too much")
    await (await window.command("/signoff resume refund-bot it is repaired")).says("Agent refund-bot goes on.")
    await (await window.ask("refund")).is_waiting()
    await (await window.card()).says("issue_refund")


async def test_a_rule_is_stopped_on_its_notice_and_asks_people(window: Window) -> None:
    await window.open()
    for number in (1, 2):
        run = await window.ask_freely(f'{{"order": {number}}}', tool="look_up_order")
        await run.ends("Ran", "asked", "approved", "consumed", "ran", "reported")
    clock = window.demo.service.clock
    assert isinstance(clock, MovableClock)
    clock.advance(SETTLED)
    await window.demo.service.digests.gather()
    notice = Surface(window.page.locator("#messages .msg").filter(has=window.at(f"button-{STOP}")))
    await notice.says("Rule look-ups approved 2 calls by itself", "refund-bot", "look_up_order")
    await notice.press(STOP)
    form = await window.modal("Stop the rule")
    await form.says("asks its reviewers about each call")
    await window.at("field-halt_reason").fill("Look at each of them")
    await window.at("modal-submit").click()
    await (await window.modal("Done")).says("Rule look-ups may not approve by itself")
    await window.at("modal-close").click()
    stopped = Surface(window.page.locator("#messages .msg").filter(has=window.at(f"button-{LIFT}")))
    await stopped.says("Stopped by @Alice Moreau", "it asks people", "Look at each of them")
    await (await window.ask_freely('{"order": 3}', tool="look_up_order")).is_waiting()
    await (await window.card()).says("look_up_order")
    await expect(window.at(f"button-{STOP}")).to_have_count(0)
