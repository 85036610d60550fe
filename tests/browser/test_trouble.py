"""Slack in trouble, switched on and off in the agents' console."""

from playwright.async_api import expect

from playground.results import Call
from tests.browser.browser_support import Window


async def test_a_call_made_while_slack_is_down_gets_its_card_afterwards(window: Window) -> None:
    slack = window.demo.slack
    await window.open()
    await window.switch_fault("dead", on=True)
    await expect(window.at("fault-note")).to_contain_text("Slack is down")
    run = await window.ask("refund")
    await run.is_waiting()  # the agent is served all the same
    await slack.until(lambda: any(_is_lost_on_the_way_to_a_card(call) for call in slack.calls))
    await expect(window.cards()).to_have_count(0)
    await window.switch_fault("dead", on=False)
    await expect(window.at("fault-note")).to_have_count(0)
    card = await window.card()
    await slack.until(lambda: slack.connections, timeout=15)
    await card.press("approve")
    await card.says("Approved by @Alice Moreau")
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
    await expect(window.cards()).to_have_count(1)


async def test_a_click_while_slack_is_down_says_so_and_decides_nothing(window: Window) -> None:
    await window.open()
    run = await window.ask("refund")
    card = await window.card()
    await window.switch_fault("dead", on=True)
    await card.press("approve")
    await expect(window.at("act-error")).to_contain_text("Slack is down")
    await run.is_waiting()
    await window.switch_fault("dead", on=False)
    await window.demo.slack.until(lambda: window.demo.slack.connections, timeout=15)
    await card.press("approve")
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")


async def test_lost_answers_double_no_card(window: Window) -> None:
    slack = window.demo.slack
    await window.open()
    await window.switch_fault("lost", on=True)
    run = await window.ask("refund")
    # The bot does not know that its card stands: it looks before it would post again.
    await slack.until(lambda: slack.calls_of("conversations.history"), timeout=15)
    card = await window.card()
    await window.switch_fault("lost", on=False)
    await card.press("approve")
    await card.says("Approved by @Alice Moreau", "succeeded")
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
    await expect(window.cards()).to_have_count(1)
    assert [call.outcome for call in slack.calls_of("chat.postMessage")] == ["fault:lost"]


async def test_a_card_for_an_archived_channel_finds_another_place(window: Window) -> None:
    """The rule's fallback is archived as well, so each reviewer is asked alone."""
    await window.open()
    await window.switch_fault("is_archived", on=True)
    run = await window.ask("refund")
    direct = window.page.locator("[data-testid^=channel-D]").filter(has_text="signoff")
    await expect(direct).to_have_attribute("data-unread", "1")
    await window.switch_fault("is_archived", on=False)
    await direct.click()
    card = await window.card()
    await card.press("approve")
    await card.says("Approved by @Alice Moreau")
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")


def _is_lost_on_the_way_to_a_card(call: Call) -> bool:
    return not call.ok and call.method.startswith(("conversations.", "chat.", "users.", "usergroups."))
