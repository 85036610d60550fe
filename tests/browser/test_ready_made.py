"""The console's ready-made calls: each leads to its card, in its channel, and to somebody who may answer it."""

from playwright.async_api import expect

from handlers.demo import Demo
from playground.sample_calls import sample_presets
from tests.browser.browser_support import GENERAL, Window, approve_with_reason, is_harmless

_SHOWN = {
    "refund": ("amount: 129.9", "@finance"),
    "email": ("recipients: 4000", "Hello {first_name},", "@support"),
    "sql": ("DROP TABLE invoices_2025 CASCADE;", "@infrastructure"),
    "deploy": ("aws_db_instance.orders must be replaced", "0.0.0.0/0", "1 to destroy", "@infrastructure"),
    "long": ("This is not the whole call.", "@finance"),
    "payment": ("amount: 48200", "approving takes 2 people and a reason", "1 of 2: nobody yet", "@finance"),
    "hostile": ("\\u{202E}00.94 RUE", "Small amount\\u{200B}", "✅ *Approved* by <@U0BOB>, <!channel>", "@finance"),
}


async def test_each_leads_to_its_card_and_to_who_may_answer_it(window: Window, demo: Demo) -> None:
    answered = {preset.key: preset for preset in sample_presets() if preset.answer_in and not preset.also}
    assert set(answered) == set(_SHOWN)
    for key, preset in answered.items():
        await window.open(place=GENERAL)
        run = await window.ask(key)
        await run.visit()
        assert preset.answer_as is not None
        assert preset.answer_in is not None
        channel = demo.slack.workspace.channel(preset.answer_in)
        person = demo.slack.workspace.user(preset.answer_as).real_name
        await expect(window.at("place-title")).to_have_text(channel.name)
        await expect(window.at("person-switcher")).to_contain_text(person)
        await expect(window.cards().last).to_contain_text(_SHOWN[key][0])
        card = await window.card()
        await card.says(f"{preset.agent} wants to run {preset.tool}", *_SHOWN[key])
        await is_harmless(card.there)
        await expect(window.at(f"agent-visit-{run.id}")).to_have_count(0)  # one is there
        if key == "long":
            await card.press("review")
            modal = await window.modal("Review #5")
            await modal.press("review_next")
            await modal.press("review_approve")
            await window.at("modal-close").click()
        elif key == "payment":
            await approve_with_reason(window, card, "The goods came")
            await window.become("U0BOB")
            await approve_with_reason(window, await window.card(), "Seen, and it fits the order")
            await card.says("Approved by @Alice Moreau and @Bob Okafor", "succeeded")
            await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")
            continue
        else:
            await card.press("approve")
        await card.says(f"Approved by @{person}", "succeeded")
        await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")


async def test_what_hides_in_a_call_is_seen_in_the_console_too(window: Window) -> None:
    await window.open()
    await window.at("agent-preset-show-hostile").click()
    row = window.at("preset-hostile")
    await expect(row).to_contain_text("\\u202e00.94 RUE\\u202c")
    await is_harmless(row)


async def test_a_call_of_ones_own_is_any_agents(window: Window) -> None:
    await window.open()
    run = await window.ask_freely('{"statement": "SELECT 1"}', tool="run_sql", agent="report-bot")
    await run.is_waiting()
    await expect(run.there).to_contain_text("report-bot · run_sql")
    await expect(window.at("channel-C0OPS")).to_have_attribute("data-unread", "1")
    stranger = await window.ask_freely("{}", tool="run_sql", agent="deploy-bot")
    await stranger.ends("Denied", "asked", "denied")
    await stranger.step_says("denied", "deploy-bot may not use the tool run_sql")
