"""Clicks: who may decide, which cards and forms count, and how somebody is told no."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from playground import Fault, Playground
from store.tables import CardState, Request, Status
from store.unit import StoreUnavailable
from tests.conftest import SAMPLE
from tests.scenario.slack_support import Bot, long_arguments, running_bot
from tests.waiting import until

NAMED_BY_ID = SAMPLE.replace('users = ["U0ALICE"]', 'users = ["U0ALICE", "U0GUEST", "U0PAT", "U0OWNER", "U0GRACE"]')


@pytest.fixture
async def bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database) as bot:
        yield bot


async def _told(bot: Bot, user: str, words: str) -> str:
    """Wait for the small modal that says no, and return all it says."""
    modal = await bot.modal(user, words)
    assert modal.action_ids() == []
    return modal.all_text()


# --- who may not ---


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("U0SAM", "lets only its reviewers decide"),
        ("U0ADMIN", "lets only its reviewers decide"),
        ("U0GUEST", "Guests cannot decide"),
        ("U0OWNER", "owners never decide"),
        ("U0PAT", "Only members of this workspace"),
    ],
)
@pytest.mark.parametrize("action", ["approve", "deny"])
async def test_who_may_not_decide_is_told_why(database: Path, user: str, words: str, action: str) -> None:
    def arrange(slack: Playground) -> None:
        slack.workspace.invite("C0REFUNDS", "U0PAT")

    async with running_bot(database, text=NAMED_BY_ID, arrange=arrange) as bot:
        request = await bot.submit()
        card = await bot.card(request)
        assert (await bot.slack.click(user, card.channel, card.ts, action)).ok
        told = await _told(bot, user, words)
        assert "refund-bot wants to run issue_refund" in told  # with the state of what it was about
        assert await bot.status(request) is Status.PENDING


async def test_somebody_deactivated_since_is_refused(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    click = bot.slack.click_payload("U0ALICE", card.channel, card.ts, "approve")
    bot.slack.workspace.change_user("U0ALICE", deleted=True)
    await bot.advance(seconds=21)
    assert (await bot.slack.deliver(click)).ok
    await _told(bot, "U0ALICE", "deactivated")
    assert await bot.status(request) is Status.PENDING


async def test_somebody_who_left_the_group_is_refused_within_the_directory_s_memory(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    bot.slack.workspace.set_usergroup_users("S0FINANCE", [])
    await bot.advance(seconds=21)
    await bot.slack.click("U0BOB", card.channel, card.ts, "approve")
    await _told(bot, "U0BOB", "lets only its reviewers decide")
    assert await bot.status(request) is Status.PENDING


async def test_a_channel_that_was_shared_since_counts_as_closed(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    bot.slack.workspace.change_channel("C0REFUNDS", is_pending_ext_shared=True)
    await bot.advance(seconds=21)
    for action in ("approve", "deny"):
        await bot.slack.click("U0ALICE", card.channel, card.ts, action)
        modal = await bot.modal("U0ALICE", "shared with another company")
        await bot.slack.close_view("U0ALICE", modal.id)
    assert await bot.status(request) is Status.PENDING


# --- too late ---


async def test_the_second_of_two_is_told_what_the_first_decided(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    first = bot.slack.click_payload("U0ALICE", card.channel, card.ts, "approve")
    second = bot.slack.click_payload("U0BOB", card.channel, card.ts, "approve")
    await bot.slack.deliver(first)
    await bot.slack.deliver(second)
    told = await _told(bot, "U0BOB", "decided before")
    assert "<@U0ALICE>" in told
    assert (await bot.load(request)).decided_by == "U0ALICE"


async def test_a_denial_that_comes_too_late_is_told_in_its_own_form(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.slack.click("U0BOB", card.channel, card.ts, "deny")
    modal = await bot.modal("U0BOB", "Why not?")
    await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    ack = await bot.slack.submit("U0BOB", modal.id, {"reason": "too_risky"})
    assert ack.response_action == "update"
    told = await _told(bot, "U0BOB", "decided before")
    assert "<@U0ALICE>" in told
    assert await bot.status(request) is Status.APPROVED


async def test_after_the_deadline_nothing_is_decided_even_before_the_sweep(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    click = bot.slack.click_payload("U0ALICE", card.channel, card.ts, "approve")
    await bot.sweeper.stop()
    await bot.advance(minutes=10)
    await bot.slack.deliver(click)
    await _told(bot, "U0ALICE", "deadline has passed")
    assert await bot.status(request) is Status.PENDING


async def test_a_click_delivered_twice_is_one_click(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    click = bot.slack.click_payload("U0ALICE", card.channel, card.ts, "approve")
    acks = await asyncio.gather(*(bot.slack.deliver(click) for _ in range(5)))
    assert all(ack.ok for ack in acks)
    assert await bot.status(request) is Status.APPROVED
    await bot.until_delivered()
    assert bot.slack.calls_of("views.open") == []  # a repeat is no second act to be refused


async def test_a_hundred_clicks_at_once_decide_once(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    people = ["U0ALICE", "U0BOB", "U0CAROL", "U0SAM", "U0OWNER"] * 20
    clicks = [bot.slack.click_payload(user, card.channel, card.ts, "approve") for user in people]
    acks = await asyncio.gather(*map(bot.slack.deliver, clicks))
    assert all(ack.ok for ack in acks)
    decided = await bot.load(request)
    assert decided.status is Status.APPROVED
    assert decided.decided_by in ("U0ALICE", "U0BOB", "U0CAROL")


# --- what does not count ---


async def test_a_button_that_speaks_of_another_request_decides_neither(bot: Bot) -> None:
    mine, other = await bot.submit(), await bot.submit()
    card = await bot.card(mine)
    await bot.card(other)
    for value in (str(other.number), "", "0", "x", "9" * 30):
        assert (await bot.slack.click("U0ALICE", card.channel, card.ts, "approve", value=value)).ok
        modal = await bot.modal("U0ALICE", "not a card that Signoff posted")
        await bot.slack.close_view("U0ALICE", modal.id)
    assert [await bot.status(request) for request in (mine, other)] == [Status.PENDING, Status.PENDING]


async def test_a_message_that_looks_like_a_card_is_none(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    _, ts = await bot.client.post("C0REFUNDS", card.text, card.blocks, {"event_type": "x", "event_payload": {}})
    await bot.slack.click("U0ALICE", "C0REFUNDS", ts, "approve")
    await _told(bot, "U0ALICE", "not a card that Signoff posted")
    assert await bot.status(request) is Status.PENDING


async def test_the_card_in_another_channel_is_none(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    click = bot.slack.click_payload("U0ALICE", card.channel, card.ts, "approve")
    click["channel"]["id"] = click["container"]["channel_id"] = "C0OPS"
    await bot.slack.deliver(click)
    await _told(bot, "U0ALICE", "not a card that Signoff posted")
    assert await bot.status(request) is Status.PENDING


async def test_an_unknown_button_is_refused(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    click = bot.slack.click_payload("U0ALICE", card.channel, card.ts, "approve")
    click["actions"][0]["action_id"] = "force"
    assert (await bot.slack.deliver(click)).ok
    await _told(bot, "U0ALICE", "not a card that Signoff posted")


async def test_a_card_whose_answer_was_lost_counts_once_slack_confirms_it(bot: Bot) -> None:
    bot.slack.faults.add(Fault("lost", methods="chat.postMessage", times=1))
    request = await bot.submit()
    await bot.slack.until(lambda: bot.slack.messages("C0REFUNDS"))
    await until(lambda: bot.faults)
    [card] = bot.slack.messages("C0REFUNDS")  # people see it, and the bot does not know
    assert await bot.queries.card_at(card.channel, card.ts) is None
    assert (await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
    assert await bot.status(request) is Status.APPROVED
    await bot.advance(minutes=2)
    await bot.until_delivered()
    assert [message.ts for message in bot.slack.messages("C0REFUNDS")] == [card.ts]
    assert "approve" not in bot.slack.message(card.channel, card.ts).action_ids()


@pytest.mark.parametrize("forgery", ["no metadata", "another request's", "another card's", "another event"])
async def test_while_an_answer_is_lost_no_other_message_passes_for_the_card(bot: Bot, forgery: str) -> None:
    bot.slack.faults.add(Fault("lost", methods="chat.postMessage", times=1))
    request = await bot.submit()
    await bot.slack.until(lambda: bot.slack.messages("C0REFUNDS"))
    await until(lambda: bot.faults)
    [card] = bot.slack.messages("C0REFUNDS")
    assert card.metadata is not None
    payload: dict[str, Any] = dict(card.metadata["event_payload"])
    metadata = {
        "no metadata": {"event_type": "signoff_card", "event_payload": {}},
        "another request's": {"event_type": "signoff_card", "event_payload": payload | {"request_id": "x"}},
        "another card's": {"event_type": "signoff_card", "event_payload": payload | {"card_id": 99}},
        "another event": {"event_type": "signoff_notice", "event_payload": payload},
    }[forgery]
    _, ts = await bot.client.post("C0REFUNDS", card.text, card.blocks, metadata)
    await bot.slack.click("U0ALICE", "C0REFUNDS", ts, "approve")
    await _told(bot, "U0ALICE", "not a card that Signoff posted")
    assert await bot.status(request) is Status.PENDING


async def test_while_slack_cannot_confirm_a_card_it_counts_for_nothing(bot: Bot) -> None:
    bot.slack.faults.add(Fault("lost", methods="chat.postMessage", times=1))
    request = await bot.submit()
    await bot.slack.until(lambda: bot.slack.messages("C0REFUNDS"))
    await until(lambda: bot.faults)
    [card] = bot.slack.messages("C0REFUNDS")
    bot.slack.faults.add(Fault("500", methods="conversations.history"))
    await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    await _told(bot, "U0ALICE", "could not be asked whether this card is ours")
    assert await bot.status(request) is Status.PENDING


@pytest.mark.parametrize(
    "change",
    [
        {"user": "U0CAROL"},
        {"external_id": "invented"},
        {"private_metadata": '{"number": 99}'},
        {"callback_id": "force"},
    ],
)
async def test_a_form_counts_only_as_it_was_opened(bot: Bot, change: dict[str, str]) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.slack.click("U0BOB", card.channel, card.ts, "deny")
    modal = await bot.modal("U0BOB", "Why not?")
    forged = bot.slack.submit_payload("U0BOB", modal.id, {"reason": "too_risky"})
    if "user" in change:
        forged["user"]["id"] = change["user"]
    else:
        forged["view"] |= change
    ack = await bot.slack.deliver(forged)
    assert ack.response_action == "update"
    assert await bot.status(request) is Status.PENDING


async def test_a_details_form_is_no_denial(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.slack.click("U0BOB", card.channel, card.ts, "deny")
    deny = await bot.modal("U0BOB", "Why not?")
    forged = bot.slack.submit_payload("U0BOB", deny.id, {"reason": "too_risky"})
    await bot.slack.click("U0BOB", card.channel, card.ts, "details")
    details = await bot.modal("U0BOB", "Deadline")
    forged["view"] |= {"external_id": details.external_id, "private_metadata": details.private_metadata}
    ack = await bot.slack.deliver(forged)
    assert ack.response_action == "update"
    assert await bot.status(request) is Status.PENDING


@pytest.mark.parametrize("reason", ["made_up", None])
async def test_a_denial_without_one_of_the_reasons_is_refused(bot: Bot, reason: str | None) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.slack.click("U0BOB", card.channel, card.ts, "deny")
    modal = await bot.modal("U0BOB", "Why not?")
    forged = bot.slack.submit_payload("U0BOB", modal.id, {"reason": "too_risky"})
    forged["view"]["state"]["values"]["reason"]["reason"]["selected_option"] = {"value": reason} if reason else None
    ack = await bot.slack.deliver(forged)
    assert ack.response_action == "update"
    assert await bot.status(request) is Status.PENDING


# --- trouble ---


@pytest.mark.parametrize("action", ["approve", "deny", "details"])
async def test_slack_that_cannot_be_asked_is_a_no_that_says_so(bot: Bot, action: str) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.advance(minutes=1)
    bot.slack.faults.add(Fault("500", methods=("users.info", "usergroups.*")))
    await bot.slack.click("U0ALICE", card.channel, card.ts, action)
    await _told(bot, "U0ALICE", "could not be asked")
    assert await bot.status(request) is Status.PENDING


async def test_a_database_that_does_not_take_it_is_a_no_that_says_so(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    request = await bot.submit()
    card = await bot.card(request)

    async def full(*args: object, **named: object) -> Request:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(bot.decisions, "vote", full)
    assert (await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
    await _told(bot, "U0ALICE", "cannot reach its database")
    await bot.slack.close_view("U0ALICE", bot.slack.modals("U0ALICE")[0].id)
    await bot.slack.click("U0ALICE", card.channel, card.ts, "deny")
    modal = await bot.modal("U0ALICE", "Why not?")
    ack = await bot.slack.submit("U0ALICE", modal.id, {"reason": "too_risky"})
    assert ack.response_action == "update"
    await _told(bot, "U0ALICE", "cannot reach its database")


async def test_an_error_of_ours_is_a_no_that_says_so(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    request = await bot.submit()
    card = await bot.card(request)

    async def broken(*args: object, **named: object) -> Request:
        raise ZeroDivisionError

    monkeypatch.setattr(bot.decisions, "vote", broken)
    assert (await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
    await _told(bot, "U0ALICE", "Something went wrong here")


async def test_without_a_trigger_the_no_is_a_message_that_only_they_see(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    click = bot.slack.click_payload("U0SAM", card.channel, card.ts, "approve")
    bot.slack.expire_triggers()
    await bot.slack.deliver(click)
    await bot.slack.until(lambda: bot.slack.ephemerals("U0SAM"))
    [message] = bot.slack.ephemerals("U0SAM")
    assert "lets only its reviewers decide" in message.all_text()
    assert message.action_ids() == []
    assert bot.slack.ephemerals("U0ALICE") == []


async def test_a_form_that_slack_does_not_open_is_told(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    click = bot.slack.click_payload("U0ALICE", card.channel, card.ts, "deny")
    bot.slack.expire_triggers()
    await bot.slack.deliver(click)
    await bot.slack.until(lambda: bot.slack.ephemerals("U0ALICE"))
    assert "did not let Signoff open the form" in bot.slack.ephemerals("U0ALICE")[0].all_text()


async def test_a_form_that_takes_its_time_says_so_first(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.actions.desk, "loading_after", timedelta(milliseconds=20))
    request = await bot.submit()
    card = await bot.card(request)
    await bot.advance(minutes=1)
    slow = bot.slack.faults.add(Fault("slow", methods="users.info"))
    await bot.slack.click("U0ALICE", card.channel, card.ts, "details")
    await bot.modal("U0ALICE", "One moment")
    slow.release()
    await bot.modal("U0ALICE", "Deadline")
    assert len(bot.slack.modals("U0ALICE")) == 1
    assert await bot.status(request) is Status.PENDING


async def test_a_form_that_took_its_time_may_still_be_a_no(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.actions.desk, "loading_after", timedelta(milliseconds=20))
    request = await bot.submit()
    card = await bot.card(request)
    await bot.advance(minutes=1)
    slow = bot.slack.faults.add(Fault("slow", methods="users.info"))
    await bot.slack.click("U0SAM", card.channel, card.ts, "deny")
    await bot.modal("U0SAM", "One moment")
    slow.release()
    await _told(bot, "U0SAM", "lets only its reviewers decide")


# --- review and details ---


async def test_what_does_not_fit_is_approved_on_the_last_page_of_its_review(bot: Bot) -> None:
    request = await bot.submit(long_arguments())
    card = await bot.card(request)
    assert "approve" not in card.action_ids()
    await bot.slack.click("U0ALICE", card.channel, card.ts, "review")
    modal = await bot.modal("U0ALICE", "field_000")
    pages = 1
    while "review_next" in modal.action_ids():
        assert "review_approve" not in modal.action_ids()
        pages += 1
        await bot.slack.view_click("U0ALICE", modal.id, "review_next")
        modal = await bot.modal("U0ALICE", f"Page {pages} of")
    assert pages > 1
    assert "field_399" in modal.all_text()
    await bot.slack.view_click("U0ALICE", modal.id, "review_back")
    await bot.modal("U0ALICE", f"Page {pages - 1} of")
    await bot.slack.view_click("U0ALICE", modal.id, "review_next")
    modal = await bot.modal("U0ALICE", f"Page {pages} of")
    ack = await bot.slack.view_click("U0ALICE", modal.id, "review_approve")
    assert ack.ok
    assert await bot.status(request) is Status.APPROVED
    done = await bot.slack.until(lambda: "review_approve" not in bot.slack.modals("U0ALICE")[-1].action_ids())
    assert done


async def _reviewing(bot: Bot, user: str, request: Request, *, last: bool = True) -> Any:
    card = await bot.card(request)
    await bot.slack.click(user, card.channel, card.ts, "review")
    modal = await bot.modal(user, "Page 1 of")
    page = 1
    while last and "review_next" in modal.action_ids():
        page += 1
        await bot.slack.view_click(user, modal.id, "review_next")
        modal = await bot.modal(user, f"Page {page} of")
    return modal


async def test_a_forged_approval_of_what_was_not_seen_whole_is_refused(bot: Bot) -> None:
    request = await bot.submit(long_arguments())
    card = await bot.card(request)
    click = bot.slack.click_payload("U0ALICE", card.channel, card.ts, "review")
    click["actions"][0]["action_id"] = "approve"
    await bot.slack.deliver(click)
    await _told(bot, "U0ALICE", "approving is on its last page")
    modal = await _reviewing(bot, "U0BOB", request, last=False)
    forged = bot.slack.payloads.view_action(
        user=bot.slack.workspace.user("U0BOB"),
        view=modal,
        actions=[{"type": "button", "action_id": "review_approve", "block_id": "decide", "value": str(request.number)}],
        trigger_id=bot.slack.tickets.issue_trigger("U0BOB", modal.id),
    )
    await bot.slack.deliver(forged)
    await _told(bot, "U0BOB", "approving is on its last page")
    assert await bot.status(request) is Status.PENDING


async def test_a_review_leads_to_a_denial_with_its_reason(bot: Bot) -> None:
    request = await bot.submit(long_arguments())
    modal = await _reviewing(bot, "U0ALICE", request)
    await bot.slack.view_click("U0ALICE", modal.id, "review_deny")
    deny = await bot.modal("U0ALICE", "Why not?")
    assert len(bot.slack.modals("U0ALICE")) == 2
    await bot.slack.submit("U0ALICE", deny.id, {"reason": "unclear"})
    assert await bot.status(request) is Status.DENIED
    assert bot.slack.modals("U0ALICE") == []


async def test_who_may_only_look_is_told_on_the_last_page(bot: Bot) -> None:
    request = await bot.submit(long_arguments())
    for action in ("review_approve", "review_deny"):
        modal = await _reviewing(bot, "U0SAM", request)
        await bot.slack.view_click("U0SAM", modal.id, action)
        await _told(bot, "U0SAM", "lets only its reviewers decide")
        await bot.slack.close_view("U0SAM", bot.slack.modals("U0SAM")[-1].id)
    assert await bot.status(request) is Status.PENDING


@pytest.mark.parametrize("change", [{"external_id": "invented"}, {"private_metadata": "{}"}, {"private_metadata": "x"}])
async def test_a_review_that_we_did_not_open_decides_nothing(bot: Bot, change: dict[str, str]) -> None:
    request = await bot.submit(long_arguments())
    modal = await _reviewing(bot, "U0ALICE", request)
    forged = bot.slack.payloads.view_action(
        user=bot.slack.workspace.user("U0ALICE"),
        view=modal,
        actions=[{"type": "button", "action_id": "review_approve", "block_id": "decide", "value": str(request.number)}],
        trigger_id=bot.slack.tickets.issue_trigger("U0ALICE", modal.id),
    )
    forged["view"] |= change
    await bot.slack.deliver(forged)
    await bot.modal("U0ALICE", "not a")
    assert await bot.status(request) is Status.PENDING


async def test_details_are_for_members_who_see_the_request(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.slack.click("U0SAM", card.channel, card.ts, "details")
    assert request.id in (await bot.modal("U0SAM", "Deadline")).all_text()
    await bot.slack.click("U0GUEST", card.channel, card.ts, "details")
    await _told(bot, "U0GUEST", "may not see this request")


async def test_details_in_pages(bot: Bot) -> None:
    request = await bot.submit(long_arguments(1200))
    card = await bot.card(request)
    await bot.slack.click("U0ALICE", card.channel, card.ts, "details")
    modal = await bot.modal("U0ALICE", "Deadline")
    await bot.slack.view_click("U0ALICE", modal.id, "details_next")
    await bot.modal("U0ALICE", "Page 2 of")
    await bot.slack.view_click("U0ALICE", modal.id, "details_back")
    await bot.modal("U0ALICE", "Page 1 of")


async def test_a_card_of_ours_that_is_gone_decides_nothing(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    click = bot.slack.click_payload("U0ALICE", card.channel, card.ts, "approve")
    await bot.outbox.card_deleted(card.channel, card.ts)
    await bot.slack.deliver(click)
    await _told(bot, "U0ALICE", "not a card that Signoff posted")
    assert await bot.status(request) is Status.PENDING
    assert CardState.GONE in [one.state for one in (await bot.queries.show("U0ALICE", str(request.number))).cards]  # type: ignore[union-attr]  # Alice sees it
