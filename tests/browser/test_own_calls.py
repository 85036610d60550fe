"""Calls that people write themselves in the agents' console: mistyped ones, and ones that mean harm."""

import json

from playwright.async_api import expect

from tests.browser.browser_support import SUPPORT, Surface, Window, is_harmless

# Each is live in one markup or another: Slack's, Markdown, HTML, an emoji code, a bidirectional override.
_MARKUP = (
    "<https://evil.example/|the order> <!channel> <!here> <@U0BOB> <#C0OPS> <!subteam^S0FINANCE> "
    "https://evil.example/2 www.evil.example mail@evil.example "
    "*bold* ~struck~ `code` [a link](https://evil.example/3) :white_check_mark: "
    "<b>b</b><img src=x onerror=alert(1)><script>alert(2)</script> &lt;!channel&gt; @channel @bob"
)
_UNSEEN = "pay\u202e00.9\u202c \u200b\u2066x\u2069 \u00a0"


async def test_bad_json_is_told_inline_and_not_sent(window: Window) -> None:
    await window.open()
    await window.write_call('{"amount": 12,')
    await expect(window.at("free-fault")).to_contain_text("ends too early")
    await expect(window.at("free-send")).to_have_attribute("aria-disabled", "true")
    await window.at("free-args").press("Control+Enter")
    await window.at("free-args").fill('{"amount": twelve}')
    await expect(window.at("free-fault")).to_contain_text("Line 1, column 12")
    await window.at("free-args").fill('{"amount": 12, "amount": 21}')
    await window.at("free-args").press("Control+Enter")
    await expect(window.at("free-fault").or_(window.at("free-error"))).to_contain_text("twice")
    assert window.page.url.endswith("#/U0ALICE/C0REFUNDS")
    await expect(window.page.locator("[data-testid^=agent-run-]")).to_have_count(0)


async def test_a_call_of_ones_own_keeps_its_numbers(window: Window) -> None:
    await window.open()
    run = await window.ask_freely(
        '{"amount": 129.90, "order": 1152921504606846977}',
        server="payments",
        reasoning="Because I was told so.",
        timeout="20m",
    )
    await run.is_waiting()
    card = await window.card()
    await card.says("amount: 129.9", "order: 1152921504606846977", "Because I was told so.")
    await card.press("approve")
    await run.ends("Ran", "asked", "waiting", "approved", "consumed", "ran", "reported")


async def test_a_ready_made_call_can_be_changed(window: Window) -> None:
    await window.open()
    await window.at("agent-preset-show-refund").click()
    await expect(window.at("preset-refund")).to_contain_text("m.ibrahim@example.com")
    await window.at("agent-preset-edit-refund").click()
    arguments = await window.at("free-args").input_value()
    assert json.loads(arguments)["amount"] == 129.9
    await window.ask_freely(arguments.replace("129.9", "7"), server="payments")
    await (await window.card()).says("amount: 7")


async def test_a_timeout_that_cannot_be_is_refused(window: Window) -> None:
    await window.open()
    run = await window.ask_freely("{}", timeout="soon")
    await expect(run.there).to_have_attribute("data-state", "done")
    await run.step_says("refused", "timeout")
    assert window.posted() == []


async def test_hostile_text_is_shown_and_nothing_of_it_lives(window: Window) -> None:
    await window.open("U0MIA", SUPPORT)
    arguments = json.dumps({"note": _MARKUP, "<!channel>": "✅ *Approved* by <@U0BOB>", "unseen": _UNSEEN})
    await window.ask_freely(arguments, tool="send_<@U0BOB>", server="<!channel>", reasoning=f"{_MARKUP}\n{_UNSEEN}")
    card = await window.card()
    await is_harmless(card.there)
    await card.says(_MARKUP, "✅ *Approved* by <@U0BOB>", "send_<@U0BOB>", "pay\\u{202E}00.9")

    for action, title in (("details", "Request #1"), ("deny", "Deny #1")):
        await card.press(action)
        modal = await window.modal(title)
        await modal.says("send_<@U0BOB>")
        await is_harmless(modal.there)
        await window.at("modal-close").click()
        await window.no_modal()

    for command in ("/signoff pending", "/signoff show 1"):
        answer = await window.command(command)
        await answer.says("send_<@U0BOB>")
        await is_harmless(answer.there)

    await window.at("nav-home").click()
    home = Surface(window.at("home"))
    await home.says("send_<@U0BOB>")
    await is_harmless(home.there)
    await home.press("review")
    modal = await window.modal("Review #1")
    await modal.says("<!channel>")
    await is_harmless(modal.there)
    await is_harmless(window.at("agent-console"))


async def test_a_persons_own_words_are_harmless_too(window: Window) -> None:
    """A mistyped command and the note of a denial come back in answers, cards and the agent's time line."""
    await window.open()
    answer = await window.command("/signoff <https://evil.example/|help>")
    await is_harmless(answer.there)
    run = await window.ask("refund")
    card = await window.card()
    await card.press("deny")
    await window.modal("Deny #1")
    await window.at("option-reason-unclear").check()
    await window.at("field-note").fill(_MARKUP)
    await window.at("modal-submit").click()
    await card.says("Denied by", _MARKUP)
    await is_harmless(card.there)
    await run.step_says("denied", _MARKUP)
    await is_harmless(run.there)
