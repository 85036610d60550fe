"""The slash command and the Home tab: what one is shown, and what one is not."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from handlers.slack.afterwards import Afterwards
from handlers.slack.blocks import Message
from handlers.slack.commands import Commands, Subcommand
from handlers.slack.payloads import Command
from playground import Fault
from store.tables import Status
from store.unit import StoreUnavailable
from tests.scenario.slack_support import SHORT, Bot, long_arguments, running_bot


@pytest.fixture(params=["socket", "http"])
async def bot(database: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bot]:
    async with running_bot(database, mode=request.param) as bot:
        yield bot


async def _answer(bot: Bot, user: str, text: str, channel: str = "C0REFUNDS") -> str:
    before = len(bot.slack.ephemerals(user))
    assert (await bot.slack.slash(user, channel, f"/signoff {text}")).ok
    await bot.slack.until(lambda: len(bot.slack.ephemerals(user)) > before)
    return bot.slack.ephemerals(user)[-1].all_text()


async def test_help_lists_every_command(bot: Bot) -> None:
    for text in ("help", "", "  HELP  "):
        told = await _answer(bot, "U0SAM", text)
        assert all(f"/signoff {usage}" in told for usage in ("help", "pending", "show ID"))
    assert bot.slack.messages("C0REFUNDS") == []  # nobody else sees it
    for text in ("help show", "show help", "show ?"):
        told = await _answer(bot, "U0SAM", text)
        assert "/signoff show ID" in told
        assert "/signoff pending" not in told


@pytest.mark.parametrize(("typed", "meant"), [("pend", "pending"), ("shwo", "show"), ("hlep", "help")])
async def test_a_mistyped_command_is_guessed(bot: Bot, typed: str, meant: str) -> None:
    assert f"Did you mean `{meant}`" in await _answer(bot, "U0SAM", typed)


async def test_what_is_no_command_is_said_to_be_none(bot: Bot) -> None:
    told = await _answer(bot, "U0SAM", "<!channel> & *x*")
    assert "There is no command" in told
    assert "<!channel>" not in told
    told = await _answer(bot, "U0SAM", "blah")  # "back" is not near it
    assert "Did you mean" not in told
    assert "The commands are pending" in told


async def test_who_was_named_in_the_wrong_place_is_repeated_as_typed(bot: Bot) -> None:
    """Slack hands a name over as a mention; what repeats it must be readable, and ping nobody."""
    for typed in ("{}", "show {}", "pending mine {}", "stats {}", "pause {} too much"):
        told = await _answer(bot, "U0ALICE", typed.format("<@U0SAM|sam>"))
        assert "“@sam”" in told or "“mine @sam”" in told
        assert "<@" not in told


async def test_pending_lists_what_one_may_see(bot: Bot) -> None:
    request = await bot.submit()
    await bot.card(request)
    assert "you may decide" in await _answer(bot, "U0ALICE", "pending")
    told = await _answer(bot, "U0SAM", "pending")
    assert f"#{request.number}" in told
    assert "you may decide" not in told
    assert "Nothing is waiting" in await _answer(bot, "U0GUEST", "pending")
    ack = await bot.slack.slash("U0PAT", "C0PARTNERS", "/signoff pending")
    assert "Nothing is waiting" in str(ack.text)


async def test_show_shows_one_request_by_number_or_id(bot: Bot) -> None:
    request = await bot.submit('{"amount": 4900, "note": "visible-to-members"}')
    await bot.card(request)
    for reference in (str(request.number), f"#{request.number}", request.id):
        assert "visible-to-members" in await _answer(bot, "U0SAM", f"show {reference}")


async def test_hidden_and_unknown_are_answered_alike(bot: Bot) -> None:
    request = await bot.submit()
    await bot.card(request)
    hidden = await _answer(bot, "U0GUEST", f"show {request.number}")
    unknown = await _answer(bot, "U0GUEST", f"show {request.number + 7}")
    assert hidden.replace(str(request.number), "N") == unknown.replace(str(request.number + 7), "N")
    assert "Say which" in await _answer(bot, "U0SAM", "show")


async def test_slack_that_cannot_be_asked_is_said(bot: Bot) -> None:
    await bot.submit()
    await bot.advance(seconds=21)
    bot.slack.faults.add(Fault("500", methods="users.info"))
    assert "could not be asked" in await _answer(bot, "U0ALICE", "pending")


@pytest.mark.parametrize(
    ("error", "words"), [(StoreUnavailable("locked"), "cannot reach its database"), (ZeroDivisionError(), "its log")]
)
async def test_trouble_of_ours_is_said(bot: Bot, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(bot.queries, "waiting", fail)
    assert words in await _answer(bot, "U0ALICE", "pending")


async def test_an_answer_that_takes_its_time_comes_later_to_the_same_person(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.commands, "_within", timedelta(milliseconds=10))
    slow = bot.slack.faults.add(Fault("slow", methods="users.info"))
    ack = await bot.slack.slash("U0ALICE", "C0REFUNDS", "/signoff pending")
    assert ack.ok
    assert ack.body is None
    slow.release()
    await bot.slack.until(lambda: bot.slack.ephemerals("U0ALICE"))
    assert "Nothing is waiting" in bot.slack.ephemerals("U0ALICE")[0].all_text()
    assert bot.slack.messages("C0REFUNDS") == []


async def test_a_late_answer_goes_nowhere_but_to_slack(bot: Bot) -> None:
    gate = asyncio.Event()

    async def later(command: Command, rest: str) -> Message:
        await gate.wait()
        return Message("late", [])

    afterwards = Afterwards()
    within = timedelta(milliseconds=1)
    commands = Commands(bot.client, afterwards, [Subcommand("later", "later", "", later)], within=within)
    with capture_logs() as logged:
        for url in ("https://example.com/1", "http://169.254.169.254/", "https://hooks.slack.com.example.com/"):
            typed = Command("U0ALICE", "T0PLAYGROUND", None, "C0REFUNDS", "later", "t", url)
            assert await commands.answer(typed) is None
        gate.set()
        await afterwards.drain(SHORT)
    unanswered = [entry["code"] for entry in logged if entry["event"] == "command_unanswered"]
    assert unanswered == ["foreign_response_url"] * 3
    assert bot.slack.calls_of("response_url") == []


async def test_later_commands_join_the_table(bot: Bot) -> None:
    async def audit(command: Command, rest: str) -> Message:
        return Message(f"audited {rest}", [])

    bot.commands.add(Subcommand("audit", "audit DAYS", "who decided what", audit))
    assert "`/signoff audit DAYS` who decided what" in await _answer(bot, "U0SAM", "help")
    assert await _answer(bot, "U0SAM", "audit 7d") == "audited 7d"
    with pytest.raises(ValueError, match="audit"):
        bot.commands.add(Subcommand("audit", "audit", "", audit))


# --- the Home tab ---


async def test_the_home_tab_lists_what_waits_and_leads_to_a_decision(bot: Bot) -> None:
    request = await bot.submit()
    await bot.card(request)
    assert (await bot.slack.open_home("U0ALICE")).ok
    await bot.slack.until(lambda: bot.slack.home("U0ALICE"))
    home = bot.slack.home("U0ALICE")
    assert home is not None
    assert "issue_refund" in home.all_text()
    await bot.slack.home_click("U0ALICE", "review")
    modal = await bot.modal("U0ALICE", "refund-bot")
    await bot.slack.view_click("U0ALICE", modal.id, "review_approve")
    assert await bot.status(request) is Status.APPROVED
    assert (await bot.load(request)).decided_by == "U0ALICE"
    await bot.slack.until(lambda: "Nothing waits for you" in bot.slack.home("U0ALICE").all_text())  # type: ignore[union-attr]  # published above


async def test_the_home_tab_s_review_of_a_long_call_leads_through_all_pages(bot: Bot) -> None:
    request = await bot.submit(long_arguments())
    await bot.card(request)
    await bot.slack.open_home("U0ALICE")
    await bot.slack.until(lambda: bot.slack.home("U0ALICE"))
    await bot.slack.home_click("U0ALICE", "review")
    assert "review_approve" not in (await bot.modal("U0ALICE", "Page 1 of")).action_ids()


async def test_a_denial_redraws_the_home_tab_too(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.slack.open_home("U0BOB")
    await bot.slack.until(lambda: bot.slack.home("U0BOB"))
    await bot.slack.click("U0BOB", card.channel, card.ts, "deny")
    modal = await bot.modal("U0BOB", "Why not?")
    await bot.slack.submit("U0BOB", modal.id, {"reason": "not_needed"})
    await bot.slack.until(lambda: "Nothing waits for you" in bot.slack.home("U0BOB").all_text())  # type: ignore[union-attr]  # published above


async def test_the_number_on_a_home_tab_s_button_opens_nothing_hidden(bot: Bot) -> None:
    request = await bot.submit()
    await bot.card(request)
    await bot.slack.open_home("U0ALICE")
    await bot.slack.until(lambda: bot.slack.home("U0ALICE"))
    home = bot.slack.home("U0ALICE")
    assert home is not None
    for user, value in (("U0GUEST", str(request.number)), ("U0ALICE", "99"), ("U0ALICE", "x")):
        forged = bot.slack.payloads.view_action(
            user=bot.slack.workspace.user(user),
            view=home,
            actions=[{"type": "button", "action_id": "review", "block_id": "b", "value": value}],
            trigger_id=bot.slack.tickets.issue_trigger(user),
        )
        await bot.slack.deliver(forged)
        modal = await bot.modal(user, "Not possible")
        await bot.slack.close_view(user, modal.id)


async def test_guests_and_strangers_have_an_empty_home_tab(bot: Bot) -> None:
    await bot.card(await bot.submit())
    await bot.slack.open_home("U0GUEST")
    await bot.slack.until(lambda: bot.slack.home("U0GUEST"))
    home = bot.slack.home("U0GUEST")
    assert home is not None
    assert "Nothing waits for you" in home.all_text()
    assert home.action_ids() == []


async def test_a_home_tab_that_cannot_be_looked_up_says_so(bot: Bot) -> None:
    bot.slack.faults.add(Fault("500", methods="users.info"))
    assert (await bot.slack.open_home("U0ALICE")).ok
    await bot.slack.until(lambda: bot.slack.home("U0ALICE"))
    assert "cannot be shown right now" in bot.slack.home("U0ALICE").all_text()  # type: ignore[union-attr]  # published above
