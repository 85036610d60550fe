"""Approve with changes, reopening, near repeats and the thread that counts: as people meet them in Slack."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.drawings import Drawing
from playground.model import Message, View
from store.tables import FullView, Request, Status
from tests.conftest import SAMPLE
from tests.scenario.slack_support import Bot, long_arguments, running_bot

CALL = '{"amount": 4900.10, "to": "Zoë"}'
TWO_ARE_NEEDED = SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nquorum = 2')


@pytest.fixture(params=["socket", "http"])
async def bot(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, mode=request.param) as bot:
        yield bot


@pytest.fixture
async def one(database: Path) -> AsyncIterator[Bot]:
    """A bot where the mode makes no difference."""
    async with running_bot(database) as bot:
        yield bot


async def _form(bot: Bot, user: str, card: Message) -> View:
    await bot.slack.click(user, card.channel, card.ts, "change")
    return await bot.modal(user, "This call is denied")


async def _drawing(bot: Bot, request: Request) -> Drawing:
    drawing = await bot.queries.drawing(request.number)
    assert drawing is not None
    return drawing


async def _deny(bot: Bot, user: str, request: Request) -> None:
    card = await bot.card(request)
    await bot.slack.click(user, card.channel, card.ts, "deny")
    modal = await bot.modal(user, "Why not?")
    await bot.slack.submit(user, modal.id, {"reason": "too_risky"})
    await bot.until_delivered()


# --- approve with changes ---


async def test_the_call_is_denied_and_the_changed_one_told(bot: Bot) -> None:
    asked = await bot.submit(CALL)
    card = await bot.card(asked)
    form = await _form(bot, "U0ALICE", card)
    ack = await bot.slack.submit("U0ALICE", form.id, {"argument_0": "49.00"})
    assert ack.response_action == "update"
    told = (await bot.modal("U0ALICE", "is denied")).all_text()
    assert "the agent is told the call as you changed it" in told
    assert "~ amount: 49.00 (was 4900.10)" in told
    assert "Your approval waits for exactly that call, until" in told
    denied = await bot.load(asked)
    assert (denied.status, denied.decided_by) == (Status.DENIED, "U0ALICE")
    assert (denied.note or "").split("\n")[1] == '{"amount":49.00,"to":"Zoë"}'
    assert {one.full_view for one in (await _drawing(bot, asked)).votes} == {FullView.CARD}
    await bot.until_delivered()
    shown = bot.slack.message(card.channel, card.ts)
    assert "Denied: approved with changes" in shown.text
    assert "~ amount: 49.00 (was 4900.10)" in shown.all_text()
    assert "<@U0ALICE>'s approval waits for exactly that call, until" in shown.all_text()


async def test_what_cannot_be_read_is_told_at_its_field_and_nothing_is_decided(bot: Bot) -> None:
    asked = await bot.submit(CALL)
    form = await _form(bot, "U0ALICE", await bot.card(asked))
    ack = await bot.slack.submit("U0ALICE", form.id, {"argument_0": "4,900"})
    assert (ack.response_action, list(ack.errors)) == ("errors", ["argument_0"])
    assert await bot.status(asked) is Status.PENDING
    ack = await bot.slack.submit("U0ALICE", form.id, {"argument_0": "49"})
    assert ack.response_action == "update"
    assert await bot.status(asked) is Status.DENIED


WITH_SCHEMA = SAMPLE.replace(
    'tool = "issue_refund"',
    'tool = "issue_refund"\nwhen = "arguments.amount >= 10"\nreason = "optional"\n'
    "arguments_schema = { type = 'object', properties = { amount = { type = 'number', maximum = 5000 } } }",
)


async def test_what_does_not_fit_the_schema_or_meets_no_rule_is_told_in_the_form(database: Path) -> None:
    async with running_bot(database, text=WITH_SCHEMA) as bot:
        asked = await bot.submit(CALL)
        form = await _form(bot, "U0ALICE", await bot.card(asked))
        ack = await bot.slack.submit("U0ALICE", form.id, {"argument_0": "9000"})
        assert ack.response_action == "errors"
        assert "/amount: " in ack.errors["argument_0"]
        ack = await bot.slack.submit("U0ALICE", form.id, {"argument_0": "9", "approve_reason": "small"})
        assert ack.response_action == "update"
        again = await bot.modal("U0ALICE", "The changed call would be denied.")
        assert again.values["argument_0"]["value"]["value"] == "9"
        assert again.values["approve_reason"]["approve_reason"]["value"] == "small"
        assert await bot.status(asked) is Status.PENDING
        await bot.slack.submit("U0ALICE", again.id, {"argument_0": "11"})
        denied = await bot.load(asked)
        assert denied.status is Status.DENIED
        assert "Reason: small" in (denied.note or "")


STRICTER_BELOW = SAMPLE.replace(
    "[[rules]]",
    """[[rules]]
name = "small refunds"
stage = "approve"
agent = "refund-bot"
tool = "issue_*"
when = "arguments.amount < 100"
channel = "C0REFUNDS"
reviewers = ["finance"]
reason = "required"

[[rules]]""",
    1,
)


async def test_a_rule_that_asks_more_of_the_changed_call_is_met_in_the_form(database: Path) -> None:
    async with running_bot(database, text=STRICTER_BELOW) as bot:
        asked = await bot.submit(CALL)
        form = await _form(bot, "U0ALICE", await bot.card(asked))
        assert "approve_reason" not in form.values
        ack = await bot.slack.submit("U0ALICE", form.id, {"argument_0": "9"})
        assert ack.response_action == "update"
        again = await bot.modal("U0ALICE", "asks for a reason")
        assert again.values["argument_0"]["value"]["value"] == "9"
        await bot.slack.submit("U0ALICE", again.id, {"approve_reason": "as agreed"})
        assert await bot.status(asked) is Status.DENIED
        await bot.modal("U0ALICE", "is denied")
        drawing = await bot.queries.drawing(asked.number)
        assert drawing is not None
        assert [one.note for one in drawing.granted] == ["as agreed"]


async def test_a_form_without_a_change_comes_again_with_what_was_put_in(one: Bot) -> None:
    asked = await one.submit(CALL)
    form = await _form(one, "U0ALICE", await one.card(asked))
    ack = await one.slack.submit("U0ALICE", form.id, {"argument_0": "4900.1"})
    assert ack.response_action == "update"
    again = await one.modal("U0ALICE", "as the agent sent them")
    assert again.values["argument_0"]["value"]["value"] == "4900.1"
    assert await one.status(asked) is Status.PENDING
    assert (await one.slack.submit("U0ALICE", again.id, {"argument_0": "5"})).response_action == "update"
    assert await one.status(asked) is Status.DENIED


async def test_what_nobody_could_decide_is_not_changed_either(one: Bot) -> None:
    asked = await one.submit(CALL)
    card = await one.card(asked)
    for user, words in (("U0SAM", "only its reviewers"), ("U0OWNER", "owners never decide"), ("U0GUEST", "Guests")):
        await one.slack.click(user, card.channel, card.ts, "change")
        assert (await one.modal(user, words)).action_ids() == []
    assert await one.status(asked) is Status.PENDING


async def test_the_form_counts_for_nobody_else(one: Bot) -> None:
    asked = await one.submit(CALL)
    form = await _form(one, "U0ALICE", await one.card(asked))
    payload = one.slack.submit_payload("U0ALICE", form.id, {"argument_0": "1"})
    payload["user"]["id"] = "U0BOB"
    assert (await one.slack.deliver(payload)).response_action == "update"
    assert await one.status(asked) is Status.PENDING


async def test_somebody_was_faster(one: Bot) -> None:
    asked = await one.submit(CALL)
    card = await one.card(asked)
    form = await _form(one, "U0ALICE", card)
    await one.slack.click("U0BOB", card.channel, card.ts, "approve")
    ack = await one.slack.submit("U0ALICE", form.id, {"argument_0": "1"})
    assert ack.response_action == "update"
    assert "decided before" in (await one.modal("U0ALICE", "decided before")).all_text()
    assert await one.status(asked) is Status.APPROVED


async def test_slack_s_repeat_of_a_form_changes_nothing(one: Bot) -> None:
    asked = await one.submit(CALL)
    form = await _form(one, "U0ALICE", await one.card(asked))
    payload = one.slack.submit_payload("U0ALICE", form.id, {"argument_0": "49"})
    for _ in range(2):
        assert (await one.slack.deliver(payload)).response_action == "update"
    assert len((await _drawing(one, asked)).granted) == 1


async def test_what_does_not_fit_its_card_is_changed_from_the_last_page_of_its_review(one: Bot) -> None:
    arguments = '{"amount": 4900, "body": "%s"}' % ("line of a letter\\n" * 90)
    asked = await one.submit(arguments)
    card = await one.card(asked)
    await one.slack.click("U0ALICE", card.channel, card.ts, "change")
    refused = await one.modal("U0ALICE", "Open Review first")
    await one.slack.close_view("U0ALICE", refused.id)
    await one.slack.click("U0ALICE", card.channel, card.ts, "review")
    review = await one.modal("U0ALICE", "issue_refund")
    while "review_change" not in review.action_ids():
        await one.slack.view_click("U0ALICE", review.id, "review_next")
        review = await one.modal("U0ALICE", "Page")
    await one.slack.view_click("U0ALICE", review.id, "review_change")
    form = await one.modal("U0ALICE", "This call is denied")
    await one.slack.submit("U0ALICE", form.id, {"argument_0": "49"})
    assert await one.status(asked) is Status.DENIED
    assert {vote.full_view for vote in (await _drawing(one, asked)).votes} == {FullView.PAGES}


async def test_a_call_that_no_form_holds_says_so(one: Bot) -> None:
    asked = await one.submit(long_arguments(41).replace("value number", "v"))
    card = await one.card(asked)
    await one.slack.click("U0ALICE", card.channel, card.ts, "change")
    told = (await one.modal("U0ALICE", "")).all_text()
    assert "with a note" in told or "Review first" in told
    assert await one.status(asked) is Status.PENDING


async def test_a_near_repeat_says_what_differs(one: Bot) -> None:
    asked = await one.submit('{"amount": 4900, "to": "Zoë"}')
    await _deny(one, "U0ALICE", asked)
    one.clock.advance(timedelta(minutes=5))
    card = await one.card(await one.submit('{"amount": 4899, "to": "Zoë"}'))
    assert f"Like #{asked.number}, denied by <@U0ALICE>" in card.all_text()
    assert "~ amount: 4899 (was 4900)" in card.all_text()


HIDDEN = SAMPLE.replace('tool = "issue_refund"', 'tool = "issue_refund"\nredact = ["card_number"]')


async def test_what_a_rule_hides_stays_as_it_is_and_is_not_told(database: Path) -> None:
    async with running_bot(database, text=HIDDEN) as bot:
        asked = await bot.submit('{"card_number": "4111 1111 1111 1111", "amount": 4900}')
        card = await bot.card(asked)
        form = await _form(bot, "U0ALICE", card)
        assert "Not shown to anybody, and kept as they are: card_number." in form.all_text().replace("\n", "")
        assert "argument_1" not in form.values
        assert (await bot.slack.submit("U0ALICE", form.id, {"argument_0": "49"})).response_action == "update"
        await bot.until_delivered()
        for shown in (bot.slack.message(card.channel, card.ts), await bot.modal("U0ALICE", "is denied")):
            assert "~ amount: 49 (was 4900)" in shown.all_text()
            assert "4111" not in shown.all_text()
            assert "as you sent it" not in shown.all_text()
        again = await bot.submit('{"card_number": "4111 1111 1111 1111", "amount": 49}')
        assert again.status is Status.APPROVED


WITH_PASSCODE = SAMPLE.replace('tool = "issue_refund"', 'tool = "issue_refund"\nstep_up = "totp"')


async def test_a_passcode_that_is_none_is_told_at_its_field(database: Path) -> None:
    async with running_bot(database, text=WITH_PASSCODE) as bot:
        asked = await bot.submit(CALL)
        form = await _form(bot, "U0ALICE", await bot.card(asked))
        for typed in ("12", "123456"):  # no passcode at all; and nobody has set up a device
            ack = await bot.slack.submit("U0ALICE", form.id, {"argument_0": "49", "passcode": typed})
            assert (ack.response_action, list(ack.errors)) == ("errors", ["passcode"])
        assert await bot.status(asked) is Status.PENDING
        assert (await _drawing(bot, asked)).granted == ()
