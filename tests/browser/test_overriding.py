"""People correct the machine: revoke, report, reverse and force, each from the card to what the agent then gets."""

import json

from playwright.async_api import expect

from handlers.demo import Demo
from tests.browser.browser_support import Surface, Window
from tests.conftest import submission


async def say_why(window: Window, title: str, reason: str, *says: str) -> None:
    """Fill in the form that is open; what it then shows is closed."""
    form = await window.modal(title)
    await form.says(*says)
    await window.at("modal-submit").click()
    await expect(form.there.locator(".b-error")).to_be_visible()  # without a reason nothing is taken
    await window.at("field-approve_reason").fill(reason)
    await window.at("modal-submit").click()
    done = await window.modal(title.replace(title.split(" #")[0], "Request"))
    await done.says(reason)
    await window.at("modal-close").click()
    await window.no_modal()


async def card_number(window: Window, count: int) -> Surface:
    await expect(window.cards()).to_have_count(count)
    return await window.card()


async def choose(window: Window, card: Surface, choice: str) -> None:
    await card.press("more")
    await window.page.locator(f'[data-testid^="menu-"][data-testid*="{choice}"]').click()


async def test_report_reverse_force_and_revoke(window: Window, demo: Demo) -> None:
    await window.open()
    await (await window.ask("refund")).is_waiting()
    card = await window.card()
    await card.press("approve")
    await card.says("succeeded")
    await card.press("report")
    await say_why(
        window, "Report #1", "The lid was <b>not</b> broken", "this stops nothing", "Approved by @Alice Moreau"
    )
    await card.says("Reported as wrong by @Alice Moreau", "after it had succeeded", "The lid was <b>not</b> broken")

    call = '{"order": "A-2", "amount": 12}'
    await window.ask_freely(call)
    card = await card_number(window, 2)
    await card.press("deny")
    await window.at("option-reason-too_risky").check()
    await window.at("modal-submit").click()
    await window.no_modal()
    await card.press("reverse")
    await say_why(window, "Reverse #2", "It was right after all", "waits for exactly this call", "Denied by @Alice")
    await card.says("Reversed by @Alice Moreau", "approval waits for exactly that call")
    again = await window.ask_freely(call)
    await again.ends("Ran", "asked", "approved", "consumed", "ran", "reported")
    await card.says("approval was counted on #3")

    await window.become("U0ADMIN")
    forced = await window.ask_freely('{"order": "A-3", "amount": 13}')
    card = await card_number(window, 3)
    await choose(window, card, "force_approve")
    await say_why(window, "Force approve #4", "Everybody is at lunch", "past its reviewers")
    await card.says("Approved by admin @Ada Silva", "Everybody is at lunch")
    await forced.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")

    # An agent that has not used its approval yet: the console's takes it at once.
    instance = (await demo.service.instances.list_all())[0].instance
    arguments = json.dumps({"order": "A-4", "amount": 14})
    asked, _ = await demo.service.creation.submit(instance, submission(arguments=arguments), "later")
    card = await card_number(window, 4)  # what was approved ahead has none
    await window.become("U0ALICE")
    await card.press("approve")
    await card.says("Not used yet")
    await window.become("U0OWNER")
    await card.press("revoke")
    await say_why(window, "Revoke #5", "The customer called", "cannot use this approval")
    await card.says("Revoked by @Oliver Brandt", "The customer called")
    await card.has_buttons("details", "more")
    await choose(window, card, "why")
    await (await window.modal(f"Why? #{asked.number}")).says("Revoked by @Oliver Brandt", "The customer called")
