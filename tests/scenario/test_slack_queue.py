"""Bursts: cards that come too fast are gathered on one queue card, which works as they do and is never doubled."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from handlers.slack import queue_card, views
from handlers.slack.queue_posting import QUEUE_PACE
from playground import Fault, Playground, PlaygroundSettings
from playground.model import Message
from playground.sample import fill_sample
from store import statements
from store.tables import Card, CardState, Place, Request, Status
from tests.conftest import SAMPLE
from tests.scenario.queue_support import (
    CHANNEL,
    TIGHT,
    TWO_AGENTS,
    burst,
    crowded_bot,
    delivered_in_time,
    listed,
    open_list,
    press,
    queue_cards,
    settled,
    the_queue_card,
)
from tests.scenario.slack_support import Bot, bot_in, long_arguments


async def _cards(bot: Bot, request: Request) -> list[Card]:
    return await bot.store.read(lambda unit: unit.all(statements.CARDS_OF, request_number=request.number))


async def _gathered(bot: Bot, count: int = 12, **how: Any) -> tuple[Message, list[Request]]:
    """Let a burst come; returns the queue card and those on it."""
    requests = await burst(bot, count, **how)
    await bot.deliverer.start()
    return await the_queue_card(bot), requests


# --- gathering ---


async def test_what_comes_too_fast_is_gathered_on_one_card(database: Path) -> None:
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot)
        await settled(bot)
        assert len(bot.slack.messages(CHANNEL)) == 1
        assert [(await _cards(bot, one))[0].place for one in on_it] == [Place.QUEUE] * 12
        assert "12 requests wait" in message.all_text()
        assert "10 of 12 are listed here" in message.all_text()
        assert len(listed(message.blocks)) == 10
        assert "<@U0ALICE>" in message.all_text()
        assert message.text.startswith("12 requests wait for a decision: 12 from refund-bot · the first by ")
        assert "4900" not in message.text


async def test_few_are_not_gathered(database: Path) -> None:
    async with crowded_bot(database) as bot:
        requests = await burst(bot, 2)
        await bot.deliverer.start()
        await settled(bot)
        assert [len(bot.cards(one)) for one in requests] == [1, 1]
        assert queue_cards(bot) == []


async def test_after_the_burst_requests_have_cards_of_their_own_again(database: Path) -> None:
    async with crowded_bot(database) as bot:
        await _gathered(bot)
        await settled(bot)
        later = await bot.submit()
        await settled(bot)
        await bot.advance(minutes=3)
        await bot.card(later)
        assert len(queue_cards(bot)) == 1


async def test_more_of_the_same_burst_joins_without_another_message(database: Path) -> None:
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot)
        await settled(bot)
        later = await burst(bot, 5)
        await settled(bot)
        joined = [one for one in later if (await _cards(bot, one))[0].place is Place.QUEUE]
        assert len(joined) >= 3
        await the_queue_card(bot, f"{len(on_it) + len(joined)} requests wait")
        assert [one.ts for one in queue_cards(bot)] == [message.ts]


async def test_a_later_burst_asks_anew_and_takes_over_what_is_left(database: Path) -> None:
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot, lasts="50m")
        await settled(bot)
        await bot.advance(minutes=6)
        await burst(bot, 5)
        await settled(bot)
        await bot.advance(minutes=1)  # the first two of them took their turn at once
        await bot.slack.until(lambda: len(queue_cards(bot)) == 2)
        newest = await the_queue_card(bot)
        assert newest.ts != message.ts
        await bot.slack.until(lambda: "on a newer list below" in bot.slack.message(CHANNEL, message.ts).all_text())
        await bot.slack.until(lambda: on_it[0].number in listed(queue_cards(bot)[-1].blocks))
        await press(bot, "U0ALICE", await the_queue_card(bot), on_it[0])
        await bot.modal("U0ALICE", f"#{on_it[0].number}")
        assert not await bot.queues.lists(1, on_it[0].number)  # a button of the old one names nothing any more


async def test_a_quiet_agent_is_not_drowned(database: Path) -> None:
    """Its calls stand on the queue card's face, though they are due last."""
    async with crowded_bot(database, text=TWO_AGENTS) as bot:
        quiet, _ = await bot.service.instances.create("post", "mail-bot")
        loud = await burst(bot, 60)
        few = await burst(bot, 5, quiet, "50m")
        await bot.deliverer.start()
        message = await the_queue_card(bot)
        shown = listed(message.blocks)
        assert {one.number for one in few} <= set(shown)
        assert len({one.number for one in loud} & set(shown)) == 5
        assert "60 from refund-bot, 5 from mail-bot" in message.all_text()


async def test_a_quiet_agent_that_comes_later_still_pings_somebody(database: Path) -> None:
    """What joins a posted queue card is an edit, which nobody hears of: the first of an agent is spared that."""
    async with crowded_bot(database, text=TWO_AGENTS) as bot:
        await _gathered(bot)
        await settled(bot)
        quiet, _ = await bot.service.instances.create("post", "mail-bot")
        few = await burst(bot, 4, quiet)
        await burst(bot, 4)
        await settled(bot)
        await bot.advance(minutes=1)
        card = await bot.card(few[0])
        assert "U0ALICE" in card.notified
        assert (await _cards(bot, few[3]))[0].place is Place.QUEUE


# --- deciding ---


async def test_a_request_is_approved_and_denied_from_the_queue_card(database: Path) -> None:
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot)
        assert "approve" not in message.action_ids()
        await press(bot, "U0ALICE", message, on_it[0])
        review = await bot.modal("U0ALICE", f"#{on_it[0].number}")
        assert (await bot.slack.view_click("U0ALICE", review.id, views.REVIEW_APPROVE)).ok
        assert await bot.status(on_it[0]) is Status.APPROVED
        await press(bot, "U0BOB", message, on_it[1])
        review = await bot.modal("U0BOB", f"#{on_it[1].number}")
        assert (await bot.slack.view_click("U0BOB", review.id, views.REVIEW_DENY)).ok
        form = await bot.modal("U0BOB", "Why not?")
        await bot.slack.submit("U0BOB", form.id, {"reason": "too_risky"})
        assert await bot.status(on_it[1]) is Status.DENIED
        await the_queue_card(bot, "10 requests wait")
        assert (await _cards(bot, on_it[0]))[0].state is CardState.GONE


async def test_a_long_call_is_read_to_the_end_before_it_is_approved(database: Path) -> None:
    async with crowded_bot(database) as bot:
        long = await bot.submit(long_arguments(), "9m")
        await burst(bot, 8)
        long_too = await bot.submit(long_arguments(401), "9m")
        await bot.deliverer.start()
        message = await the_queue_card(bot)
        await press(bot, "U0ALICE", message, long_too)
        review = await bot.modal("U0ALICE", f"#{long_too.number}")
        assert views.REVIEW_APPROVE not in review.action_ids()
        assert await bot.status(long) is Status.PENDING


async def test_who_may_not_decide_is_refused_in_the_review(database: Path) -> None:
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot)
        await press(bot, "U0SAM", message, on_it[0])
        review = await bot.modal("U0SAM", f"#{on_it[0].number}")
        await bot.slack.view_click("U0SAM", review.id, views.REVIEW_APPROVE)
        await bot.modal("U0SAM", "lets only its reviewers decide")
        assert await bot.status(on_it[0]) is Status.PENDING


async def test_requests_that_end_leave_it_and_the_last_closes_it(database: Path) -> None:
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot)
        await bot.approvals.cancel(bot.instance, on_it[0].id)
        await the_queue_card(bot, "11 requests wait")
        await settled(bot)
        await bot.advance(minutes=11)
        await bot.slack.until(lambda: "Nothing on this list waits" in bot.slack.message(CHANNEL, message.ts).all_text())
        assert bot.slack.message(CHANNEL, message.ts).action_ids() == []
        await settled(bot)
        assert await bot.queues.at(CHANNEL, message.ts) is None


async def test_many_ends_are_few_edits(database: Path) -> None:
    async with crowded_bot(database, queue_draws=QUEUE_PACE) as bot:
        _, on_it = await _gathered(bot, 30)
        before = len(bot.slack.calls_of("chat.update"))
        await settled(bot)
        await asyncio.gather(*(bot.approvals.cancel(bot.instance, one.id) for one in on_it[:25]))
        await bot.advance(seconds=4)
        await the_queue_card(bot, "5 requests wait")
        assert len(bot.slack.calls_of("chat.update")) - before <= 3


# --- the list ---


async def test_the_list_has_everything_in_pages(database: Path) -> None:
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot, 100)
        view = await open_list(bot, "U0ALICE", message)
        found = listed(view.blocks)
        assert "1 to 40 of 100, by deadline · page 1 of 3" in view.all_text()
        for page in ("41 to 80", "81 to 100"):
            await bot.slack.view_click("U0ALICE", view.id, queue_card.NEXT)
            view = await bot.modal("U0ALICE", page)
            found += listed(view.blocks)
        assert sorted(found) == [one.number for one in on_it]
        await bot.slack.view_click("U0ALICE", view.id, queue_card.BACK)
        view = await bot.modal("U0ALICE", "41 to 80")
        number = listed(view.blocks)[3]
        await bot.slack.view_click("U0ALICE", view.id, queue_card.REVIEW, block_id=f"row_{number}")
        review = await bot.modal("U0ALICE", f"Review #{number}")
        assert (await bot.slack.view_click("U0ALICE", review.id, views.REVIEW_APPROVE)).ok
        decided = next(one for one in on_it if one.number == number)
        assert await bot.status(decided) is Status.APPROVED
        await bot.slack.close_view("U0ALICE", review.id)
        await bot.slack.view_click("U0ALICE", view.id, queue_card.AGAIN)
        view = await bot.modal("U0ALICE", "41 to 80 of 99")
        assert number not in listed(view.blocks)


async def test_the_list_is_for_those_who_may_see_it(database: Path) -> None:
    def arrange(slack: Playground) -> None:
        slack.workspace.invite(CHANNEL, "U0GUEST")

    async with crowded_bot(database, arrange=arrange) as bot:
        message, _ = await _gathered(bot)
        await bot.slack.click("U0GUEST", message.channel, message.ts, queue_card.LIST)
        await bot.modal("U0GUEST", "You may not see this request")


# --- what does not count ---


async def test_forged_numbers_do_not_count(database: Path) -> None:
    """A button of the queue card names a request that is not on it: one with a card, one decided, none at all."""
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot)
        await bot.approvals.cancel(bot.instance, on_it[3].id)
        own = await bot.submit()
        await bot.card(own)
        for value in (str(own.number), str(on_it[3].number), "999", "0", "x", "-1", ""):
            ack = await bot.slack.click(
                "U0ALICE", message.channel, message.ts, queue_card.REVIEW, block_id=listed_block(message), value=value
            )
            assert ack.ok
            modal = await bot.modal("U0ALICE", "Not possible")
            assert views.REVIEW_APPROVE not in modal.action_ids()
            await bot.slack.close_view("U0ALICE", modal.id)


def listed_block(message: Message) -> str:
    return f"row_{listed(message.blocks)[0]}"


async def test_a_button_of_a_card_does_not_count_on_it(database: Path) -> None:
    """However the payload is changed: nobody approves a call there that the message does not show."""
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot)
        own = await bot.submit()
        card = await bot.card(own)
        for action in ("approve", "deny", "details", "review", "withdraw", "change"):
            payload = bot.slack.click_payload(
                "U0ALICE", CHANNEL, message.ts, queue_card.REVIEW, block_id=f"row_{on_it[0].number}"
            )
            payload["actions"][0]["action_id"] = action
            assert (await bot.slack.deliver(payload)).ok
            modal = await bot.modal("U0ALICE", "Not possible")
            await bot.slack.close_view("U0ALICE", modal.id)
        payload = bot.slack.click_payload("U0ALICE", CHANNEL, card.ts, "approve")
        payload["actions"][0]["action_id"] = queue_card.REVIEW  # nor do its buttons on a card
        await bot.slack.deliver(payload)
        await bot.modal("U0ALICE", "Not possible")
        assert {await bot.status(one) for one in [*on_it, own]} == {Status.PENDING}


async def test_a_list_of_somebody_else_does_not_count(database: Path) -> None:
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot)
        mine = await open_list(bot, "U0BOB", message)
        view = await open_list(bot, "U0ALICE", message)
        await bot.slack.view_click("U0ALICE", view.id, queue_card.REVIEW, block_id=f"row_{on_it[0].number}")
        await bot.modal("U0ALICE", "Review")
        assert await bot.queues.opened(mine.external_id, "U0ALICE") is None
        assert await bot.queues.opened(mine.external_id, "U0BOB") is not None


# --- posted once, and not lost ---


@pytest.mark.parametrize("fault", ["lost", "429", "500", "drop"])
async def test_it_comes_once_whatever_happens_to_its_posting(database: Path, fault: Any) -> None:
    async with crowded_bot(database) as bot:
        bot.slack.faults.add(Fault(fault, methods="chat.postMessage", times=2))
        requests = await burst(bot, 12)
        await bot.deliverer.start()
        await delivered_in_time(bot)
        assert len(queue_cards(bot)) == 1
        assert len(bot.slack.messages(CHANNEL)) == 1
        assert {await bot.status(one) for one in requests} == {Status.PENDING}


async def test_a_press_on_one_whose_answer_was_lost_counts(database: Path) -> None:
    async with crowded_bot(database) as bot:
        bot.slack.faults.add(Fault("lost", methods="chat.postMessage"))
        requests = await burst(bot, 12)
        await bot.deliverer.start()
        await bot.slack.until(lambda: queue_cards(bot))
        (message,) = queue_cards(bot)
        on_it = next(one for one in requests if one.number in listed(message.blocks))
        await press(bot, "U0ALICE", message, on_it)
        await bot.modal("U0ALICE", f"Review #{on_it.number}")


async def test_a_restart_loses_and_doubles_nothing(database: Path) -> None:
    async with Playground(PlaygroundSettings()) as slack:
        fill_sample(slack.workspace)
        async with bot_in(slack, database, posts=TIGHT, delivers=False) as bot:
            slack.faults.add(Fault("lost", methods="chat.postMessage"))
            requests = await burst(bot, 12)
            await bot.deliverer.start()
            await slack.until(lambda: queue_cards(bot))
        slack.faults.clear()
        async with bot_in(slack, database, posts=TIGHT) as again:
            message = await the_queue_card(again)
            await delivered_in_time(again)
            assert len(slack.messages(CHANNEL)) == 1
            on_it = next(one for one in requests if one.number in listed(message.blocks))
            await press(again, "U0ALICE", message, on_it)
            await again.modal("U0ALICE", f"Review #{on_it.number}")


async def test_a_deleted_one_is_posted_anew_once(database: Path) -> None:
    async with crowded_bot(database) as bot:
        message, on_it = await _gathered(bot)
        await settled(bot)
        await bot.slack.delete_message(CHANNEL, message.ts)
        await settled(bot)
        await bot.advance(minutes=2)
        again = await the_queue_card(bot, "12 requests wait")
        assert again.ts != message.ts
        await press(bot, "U0ALICE", again, on_it[0])
        await bot.modal("U0ALICE", f"Review #{on_it[0].number}")
        await bot.slack.delete_message(CHANNEL, again.ts)
        await settled(bot)
        await bot.advance(minutes=2)
        await settled(bot)
        assert queue_cards(bot) == []
        assert {await bot.status(one) for one in on_it} == {Status.PENDING}


# --- elsewhere ---


async def test_what_an_archived_channel_does_not_take_goes_where_its_cards_would(database: Path) -> None:
    async with crowded_bot(database) as bot:
        requests = await burst(bot, 12)
        bot.slack.workspace.channel(CHANNEL).is_archived = True
        await bot.deliverer.start()
        message = await the_queue_card(bot, channel="C0OPS")
        assert bot.slack.messages(CHANNEL) == []
        on_it = next(one for one in requests if one.number in listed(message.blocks))
        await press(bot, "U0ALICE", message, on_it)
        await bot.modal("U0ALICE", f"Review #{on_it.number}")


async def test_a_channel_archived_later_sends_them_elsewhere_too(database: Path) -> None:
    async with crowded_bot(database) as bot:
        _, on_it = await _gathered(bot)
        await settled(bot)
        bot.slack.workspace.channel(CHANNEL).is_archived = True
        await bot.advance(minutes=2)  # longer than what is remembered of a channel
        await bot.approvals.cancel(bot.instance, on_it[0].id)
        message = await the_queue_card(bot, channel="C0OPS")
        assert listed(message.blocks)
        assert set(listed(message.blocks)) <= {one.number for one in on_it[1:]}


async def test_a_shared_channel_keeps_only_those_whose_rule_allows_it(database: Path) -> None:
    text = TWO_AGENTS.replace('name = "mails"', 'name = "mails"\nexternal = true')

    async with crowded_bot(database, text=text) as bot:
        open_to_others, _ = await bot.service.instances.create("post", "mail-bot")
        closed = await burst(bot, 6)
        outside = await burst(bot, 6, open_to_others)
        bot.slack.workspace.channel(CHANNEL).is_ext_shared = True
        await bot.deliverer.start()
        message = await the_queue_card(bot)
        assert set(listed(message.blocks)) <= {one.number for one in outside}
        assert set(listed(message.blocks))
        await bot.advance(minutes=2)
        elsewhere = await the_queue_card(bot, channel="C0OPS")
        assert set(listed(elsewhere.blocks)) <= {one.number for one in closed}


# --- told elsewhere ---


async def test_pending_and_show_say_where_it_is(database: Path) -> None:
    async with crowded_bot(database) as bot:
        _, on_it = await _gathered(bot)
        seen = await bot.queries.show("U0ALICE", str(on_it[0].number))
        assert seen is not None
        ack = await bot.slack.slash("U0ALICE", CHANNEL, f"/signoff show {on_it[0].number}")
        assert f"On the list in <#{CHANNEL}>" in str(ack.body)
        ack = await bot.slack.slash("U0ALICE", CHANNEL, "/signoff pending")
        assert f"on the list in <#{CHANNEL}>" in str(ack.body)
        await bot.slack.open_home("U0ALICE")
        await bot.slack.until(
            lambda: (home := bot.slack.home("U0ALICE")) and f"On the list in <#{CHANNEL}>" in home.all_text()
        )


@pytest.mark.parametrize("text", [SAMPLE.replace('stage = "approve"', 'stage = "approve"\nquorum = 2')])
async def test_a_vote_that_does_not_decide_is_counted_on_its_line(database: Path, text: str) -> None:
    async with crowded_bot(database, text=text) as bot:
        message, on_it = await _gathered(bot)
        await press(bot, "U0ALICE", message, on_it[0])
        review = await bot.modal("U0ALICE", f"#{on_it[0].number}")
        await bot.slack.view_click("U0ALICE", review.id, views.REVIEW_APPROVE)
        await the_queue_card(bot, "1 of 2 approved")
        assert await bot.status(on_it[0]) is Status.PENDING


async def test_decisions_are_drawn_while_new_cards_wait(database: Path) -> None:
    async with crowded_bot(database) as bot:
        first = await bot.submit()
        await bot.deliverer.start()
        card = await bot.card(first)
        await burst(bot, 40)
        assert (await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
        await bot.slack.until(lambda: "approve" not in bot.slack.message(card.channel, card.ts).action_ids())
        assert bot.clock() - first.created_at < timedelta(seconds=30)
