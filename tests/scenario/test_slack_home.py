"""The Home tab in Slack: it pauses, resumes and lifts, is drawn anew after each own act, and leads to Review."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.hearings import Act
from handlers.slack.halt_answers import REASON_BLOCK
from handlers.slack.held import LIFT
from handlers.slack.home_sections import PAUSE, RESUME
from handlers.slack.switching import LENGTH_BLOCK
from playground.model import View
from store.tables import FullView, Status
from tests.conftest import SAMPLE
from tests.scenario.slack_support import Bot, running_bot
from tests.stores import rows_at

# A member of the sample company who owns the agent and reviews nothing.
TEXT = (
    SAMPLE.replace('owners = ["U0OWNER"]', 'owners = ["U0OWNER", "U0MIA"]')
    + """
[agents.mail-bot]
owners = ["U0OWNER"]
tools = ["send_*"]
"""
)


@pytest.fixture(params=["socket", "http"])
async def bot(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, mode=request.param, text=TEXT) as bot:
        yield bot


@pytest.fixture
async def one_bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, text=TEXT) as bot:
        yield bot


async def tab(bot: Bot, user: str, shows: Callable[[str], bool]) -> View:
    """Wait for the tab of somebody to show what is wanted."""

    def shown() -> View | None:
        view = bot.slack.home(user)
        return view if view is not None and shows(view.all_text()) else None

    found = await bot.slack.until(shown)
    assert found is not None
    return found


async def opened(bot: Bot, user: str) -> View:
    await bot.slack.open_home(user)
    return await tab(bot, user, lambda text: "Waiting for you" in text)


async def test_pause_and_resume_on_the_tab(bot: Bot) -> None:
    view = await opened(bot, "U0MIA")
    assert "*refund-bot* · yours" in view.all_text()
    assert "look-ups: autonomous · refunds: approve" in view.all_text()
    await bot.slack.home_click("U0MIA", PAUSE)
    form = await bot.modal("U0MIA", "Pause")
    refused = await bot.slack.submit("U0MIA", form.id, {REASON_BLOCK: "\u200b"})
    assert "Say why" in str(refused)
    await bot.slack.submit("U0MIA", form.id, {REASON_BLOCK: "it refunds too much", LENGTH_BLOCK: "4h"})
    assert "is paused" in (await bot.modal("U0MIA", "Done")).all_text()
    paused = await tab(bot, "U0MIA", lambda text: "was paused by <@U0MIA>" in text)
    assert "it refunds too much" in paused.all_text()
    assert (await bot.submit()).decision_code == "agent_paused"
    bot.slack.views.close(bot.slack.modals("U0MIA")[0], all_of_them=True)
    await bot.slack.home_click("U0MIA", RESUME)
    form = await bot.modal("U0MIA", "Resume")
    await bot.slack.submit("U0MIA", form.id, {REASON_BLOCK: "it is repaired"})
    await tab(bot, "U0MIA", lambda text: "was paused" not in text)
    assert (await bot.submit()).status is Status.PENDING


async def test_lift_on_the_tab(bot: Bot) -> None:
    asked = await bot.submit()
    await bot.card(asked)
    act = Act("c", "U0ALICE", "T0PLAYGROUND", "modal", full_view=FullView.FORM)
    await bot.service.standing.approve_with_changes(asked.number, act, '{"amount": 49}', seen=FullView.CARD)
    view = await opened(bot, "U0ALICE")
    assert "Held ahead" in view.all_text()
    assert "1 remembered denial" in view.all_text()
    assert "You decided in the last 7 days" in view.all_text()
    assert "Last overrides" in view.all_text()
    await bot.slack.home_click("U0ALICE", LIFT)
    await tab(bot, "U0ALICE", lambda text: "approves a changed call" not in text)
    assert rows_at(bot.store.path, "SELECT 1 FROM standing_votes WHERE lifted_at IS NULL") == []


async def test_deciding_begins_with_review_and_the_tab_follows(one_bot: Bot) -> None:
    bot = one_bot
    asked = await bot.submit()
    await bot.card(asked)
    view = await opened(bot, "U0ALICE")
    assert not {"approve", "deny"} & set(view.action_ids())
    await bot.slack.home_click("U0ALICE", "review")
    review = await bot.modal("U0ALICE", "Review")
    await bot.slack.view_click("U0ALICE", review.id, "review_approve")
    shown = await tab(bot, "U0ALICE", lambda text: "You decided in the last 7 days" in text)
    assert "Nothing waits for you." in shown.all_text()
    assert await bot.status(asked) is Status.APPROVED


async def test_a_typed_pause_is_on_the_tab_too(one_bot: Bot) -> None:
    bot = one_bot
    await opened(bot, "U0ALICE")
    await bot.slack.slash("U0ALICE", "C0REFUNDS", "/signoff pause all an incident")
    await tab(bot, "U0ALICE", lambda text: "Stopped now" in text and "an incident" in text)
    await bot.slack.home_click("U0ALICE", RESUME)
    form = await bot.modal("U0ALICE", "Resume")
    await bot.slack.submit("U0ALICE", form.id, {REASON_BLOCK: "it is over"})
    await tab(bot, "U0ALICE", lambda text: "Stopped now" not in text)


@pytest.mark.parametrize("value", ["agent:mail-bot", "rule:none", "all:x", "agent:", "x", "", "all:"])
async def test_what_a_button_says_gives_no_right(one_bot: Bot, value: str) -> None:
    """An owner pauses what they own, and nothing by another name in the button."""
    bot = one_bot
    await opened(bot, "U0MIA")
    await bot.slack.home_click("U0MIA", PAUSE, value=value)
    shown = await bot.modal("U0MIA")
    if shown.submit is not None:
        await bot.slack.submit("U0MIA", shown.id, {REASON_BLOCK: "mine now"})
        shown = await bot.modal("U0MIA", "Not possible")
    assert "Not possible" in shown.all_text()
    assert await bot.service.halts.in_force() == []


@pytest.mark.parametrize(
    "carried",
    ["", "{", "[]", "{}", '{"scope": "agent"}', '{"scope": "agent", "name": 7}', '{"scope": "x", "name": "y"}'],
)
async def test_a_forged_form_stops_nothing(one_bot: Bot, carried: str) -> None:
    bot = one_bot
    await opened(bot, "U0MIA")
    await bot.slack.home_click("U0MIA", PAUSE)
    form = await bot.modal("U0MIA", "Pause")
    payload = bot.slack.submit_payload("U0MIA", form.id, {REASON_BLOCK: "why"})
    body = json.loads(json.dumps(payload))
    body["view"]["private_metadata"] = carried
    assert await bot.slack.deliver(body) is not None
    assert await bot.service.halts.in_force() == []


async def test_who_may_see_nothing_has_a_tab_that_says_nothing(one_bot: Bot) -> None:
    await one_bot.submit()
    view = await opened(one_bot, "U0GUEST")
    assert view.all_text() == "Waiting for you\nNothing waits for you."
