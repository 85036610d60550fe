"""Cards under every kind of trouble: sent once, never lost, elsewhere if need be, with the owners told."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.decisions import wish_to_draw
from handlers.pacing import Pace
from playground import Fault, Playground, PlaygroundSettings
from playground.sample import fill_sample
from store.tables import Request, Status
from tests.conftest import SAMPLE, submission
from tests.scenario.slack_support import Bot, bot_in, running_bot
from tests.waiting import until

PRIVATE_FALLBACK = SAMPLE.replace('"C0OPS"', '"C0VAULT"')
NO_FALLBACK = SAMPLE.replace('fallback_channel = "C0OPS"\n', "")
EXTERNAL = SAMPLE.replace('validity = "5m"', 'validity = "5m"\nexternal = true')


@pytest.fixture
async def bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database) as bot:
        yield bot


async def _retry(bot: Bot) -> None:
    """Let the longest backoff pass, once nothing is under way whose lease would run out by it."""
    await bot.until_idle()
    await bot.advance(minutes=2)


async def _until_fault(bot: Bot, code: str) -> None:
    await until(lambda: code in bot.faults)
    await bot.until_idle()


async def _settled(bot: Bot) -> None:
    """Wait until nothing is under way and nothing is due."""

    async def is_settled() -> bool:
        due = await bot.outbox.next_due()
        return (due is None or due > bot.clock()) and not bot.deliverer.under_way

    await until(is_settled)


# --- once, and not lost ---


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("429", methods="chat.postMessage", times=1), "ratelimited"),
        (Fault("500", methods="chat.postMessage", times=1), "http_500"),
        (Fault("drop", methods="chat.postMessage", times=1), "no_connection"),
        (Fault("lost", methods="chat.postMessage", times=1), "no_connection"),
        (Fault("error", methods="chat.postMessage", times=1, error_code="fatal_error"), "fatal_error"),
        (Fault("error", methods="chat.postMessage", times=1, error_code="a_new_code"), "a_new_code"),
        (Fault("error", methods="chat.postMessage", times=3, error_code="token_revoked"), "token_revoked"),
        (Fault("500", methods="conversations.info", times=1), "slack_unavailable"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else value,
)
async def test_a_card_comes_once_whatever_happens_to_its_posting(bot: Bot, fault: Fault, code: str) -> None:
    fault.struck = 0  # the list of faults is shared by the runs
    bot.slack.faults.add(fault)
    request = await bot.submit()
    for _ in range(fault.times or 1):
        await _until_fault(bot, code)
        bot.faults.remove(code)
        await _retry(bot)
    card = await bot.card(request)
    await bot.until_delivered()
    assert [message.ts for message in bot.cards(request)] == [card.ts]
    assert (await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
    assert await bot.status(request) is Status.APPROVED


async def test_a_lost_answer_is_looked_up_before_anything_is_posted_again(bot: Bot) -> None:
    bot.slack.faults.add(Fault("lost", methods="chat.postMessage", times=1))
    request = await bot.submit()
    await _until_fault(bot, "no_connection")
    await _retry(bot)
    await bot.card(request)
    assert len(bot.slack.calls_of("chat.postMessage")) == 1
    assert len(bot.slack.calls_of("conversations.history")) == 1


async def test_a_refusal_that_certainly_did_nothing_needs_no_look_up(bot: Bot) -> None:
    bot.slack.faults.add(Fault("429", methods="chat.postMessage", times=1, retry_after=9))
    request = await bot.submit()
    await _until_fault(bot, "ratelimited")
    await bot.advance(seconds=8)
    assert bot.cards(request) == []  # as long as Slack said
    await bot.advance(seconds=1)
    await bot.card(request)
    assert bot.slack.calls_of("conversations.history") == []


async def test_what_slack_holds_back_holds_back_the_whole_channel(bot: Bot) -> None:
    bot.slack.faults.add(Fault("429", methods="chat.postMessage", times=1, retry_after=9))
    await bot.submit()
    await _until_fault(bot, "ratelimited")
    later = await bot.submit()
    await _settled(bot)
    assert len(bot.slack.calls_of("chat.postMessage")) == 1  # the other card did not even try
    await bot.advance(seconds=10)
    await bot.card(later)
    await bot.until_delivered()
    assert len(bot.slack.messages("C0REFUNDS")) == 2


async def test_a_card_that_cannot_be_looked_up_is_not_posted_again(bot: Bot) -> None:
    bot.slack.faults.add(Fault("lost", methods="chat.postMessage", times=1))
    blind = bot.slack.faults.add(Fault("500", methods="conversations.history"))
    request = await bot.submit()
    await _until_fault(bot, "no_connection")
    await _retry(bot)
    await _until_fault(bot, "http_500")
    assert len(bot.slack.calls_of("chat.postMessage")) == 1
    bot.slack.faults.remove(blind)
    await _retry(bot)
    await bot.card(request)
    assert len(bot.slack.calls_of("chat.postMessage")) == 1


async def test_a_lost_card_is_found_behind_many_others(database: Path) -> None:
    async with running_bot(database, playground=PlaygroundSettings(page_size=5)) as bot:
        bot.slack.faults.add(Fault("lost", methods="chat.postMessage", times=1))
        request = await bot.submit()
        await _until_fault(bot, "no_connection")
        for number in range(23):
            await bot.slack.say("U0ALICE", "C0REFUNDS", f"chatter {number}")
        await _retry(bot)
        await bot.card(request)
        assert len(bot.cards(request)) == 1


async def test_slack_out_altogether_loses_nothing(bot: Bot) -> None:
    dead = bot.slack.faults.add(Fault("dead"))
    requests = [await bot.submit() for _ in range(3)]
    await until(lambda: len(bot.faults) >= 3)
    assert await bot.outbox.waiting() == 3
    bot.slack.faults.remove(dead)
    await _retry(bot)
    for request in requests:
        await bot.card(request)
    await bot.until_delivered()
    assert len(bot.slack.messages("C0REFUNDS")) == 3


async def test_a_decision_is_drawn_in_the_end(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    trouble = bot.slack.faults.add(Fault("500", methods="chat.update"))
    await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    for _ in range(8):
        await _until_fault(bot, "http_500")
        bot.faults.clear()
        await _retry(bot)
    bot.slack.faults.remove(trouble)
    await _retry(bot)
    await bot.slack.until(lambda: "approve" not in bot.slack.message(card.channel, card.ts).action_ids())


async def test_updates_obey_slack_too(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    bot.slack.faults.add(Fault("429", methods="chat.update", times=1, retry_after=30))
    await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    await _until_fault(bot, "ratelimited")
    other = await bot.submit()
    other_card = await bot.card(other)  # posting goes on meanwhile
    await bot.slack.click("U0ALICE", other_card.channel, other_card.ts, "approve")
    await _settled(bot)
    assert len(bot.slack.calls_of("chat.update")) == 1
    await bot.advance(seconds=31)
    await bot.until_delivered()
    assert all("approve" not in message.action_ids() for message in bot.slack.messages("C0REFUNDS"))


@pytest.mark.parametrize("code", ["cant_update_message", "edit_window_closed", "msg_blocks_too_long", "a_new_code"])
async def test_a_card_that_slack_does_not_let_us_draw_is_let_be(bot: Bot, code: str) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    bot.slack.faults.add(Fault("error", methods="chat.update", error_code=code))
    await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    while await bot.outbox.waiting():
        if not bot.deliverer.under_way:
            await _retry(bot)
    assert code in bot.faults
    ack = await bot.slack.click("U0BOB", card.channel, card.ts, "approve")  # it is still our card
    assert ack.ok
    await bot.modal("U0BOB", "decided before")


# --- restarts ---


async def test_a_restart_loses_and_doubles_nothing(database: Path) -> None:
    async with Playground(PlaygroundSettings()) as slack:
        fill_sample(slack.workspace)
        async with bot_in(slack, database, delivers=False) as bot:
            never_tried = await bot.submit()
            claimed = await bot.submit()
            await bot.outbox.claim(9)
        slack.faults.add(Fault("lost", methods="chat.postMessage", channel="C0REFUNDS", times=1))
        async with bot_in(slack, database) as bot:
            await _until_fault(bot, "no_connection")
        async with bot_in(slack, database) as bot:
            await _retry(bot)
            for request in (never_tried, claimed):
                await bot.card(request)
                assert len(bot.cards(request)) == 1
            await bot.until_delivered()
            card = bot.cards(claimed)[0]
            await slack.click("U0ALICE", card.channel, card.ts, "approve")
            assert await bot.status(claimed) is Status.APPROVED


async def test_a_request_that_ended_before_its_card_needs_none(database: Path) -> None:
    async with running_bot(database, delivers=False) as bot:
        request = await bot.submit()
        await bot.approvals.cancel(bot.instance, request.id)
        await bot.deliverer.start()
        await bot.until_delivered()
        assert bot.slack.calls_of("chat.postMessage") == []
        assert bot.faults == []


async def test_a_request_that_ended_while_its_card_was_under_way_is_drawn(bot: Bot) -> None:
    bot.slack.faults.add(Fault("lost", methods="chat.postMessage", times=1))
    request = await bot.submit()
    await _until_fault(bot, "no_connection")
    await bot.approvals.cancel(bot.instance, request.id)
    await _retry(bot)
    await bot.until_delivered()
    [card] = bot.cards(request)
    assert "approve" not in card.action_ids()


async def test_an_expired_request_s_card_says_so(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.advance(minutes=11)
    await bot.slack.until(lambda: "approve" not in bot.slack.message(card.channel, card.ts).action_ids())
    assert await bot.status(request) is Status.EXPIRED


# --- elsewhere ---


def _archived(slack: Playground) -> None:
    slack.workspace.change_channel("C0REFUNDS", is_archived=True)


def _left(slack: Playground) -> None:
    slack.workspace.kick("C0REFUNDS", slack.bot_user_id)


def _gone(slack: Playground) -> None:
    slack.workspace.remove_channel("C0REFUNDS")


def _shared(slack: Playground) -> None:
    slack.workspace.change_channel("C0REFUNDS", is_ext_shared=True, shared_team_ids=["T0PARTNER"])


def _soon_shared(slack: Playground) -> None:
    slack.workspace.change_channel("C0REFUNDS", is_pending_ext_shared=True)


def _private(slack: Playground) -> None:
    slack.workspace.change_channel("C0REFUNDS", is_private=True)
    slack.workspace.kick("C0REFUNDS", slack.bot_user_id)


@pytest.mark.parametrize(
    ("arrange", "code"),
    [
        (_archived, "is_archived"),
        (_left, "not_in_channel"),
        (_shared, "channel_shared"),
        (_soon_shared, "channel_shared"),
    ],
)
async def test_a_closed_channel_s_card_goes_to_the_fallback(database: Path, arrange: object, code: str) -> None:
    async with running_bot(database, arrange=arrange) as bot:  # type: ignore[arg-type]  # one of the functions above
        request = await bot.submit()
        card = await bot.card(request, "C0OPS")
        await bot.slack.until(lambda: bot.slack.messages("U0OWNER"))
        await bot.until_delivered()
        assert bot.slack.messages("C0REFUNDS") == []
        assert bot.faults == [code]
        [notice] = bot.slack.messages("U0OWNER")
        assert code in notice.all_text()
        assert "4900" not in notice.all_text()
        await bot.slack.click("U0ALICE", "C0OPS", card.ts, "approve")
        assert await bot.status(request) is Status.APPROVED


@pytest.mark.parametrize("code", ["is_archived", "restricted_action", "not_in_channel", "channel_not_found"])
async def test_what_only_the_posting_finds_out_counts_alike(bot: Bot, code: str) -> None:
    bot.slack.faults.add(Fault("error", methods="chat.postMessage", channel="C0REFUNDS", error_code=code))
    request = await bot.submit()
    await bot.card(request, "C0OPS")
    await bot.until_delivered()
    assert bot.faults == [code]


async def test_nothing_is_drawn_in_a_channel_that_was_shared_since(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.until_delivered()
    _shared(bot.slack)
    await bot.advance(minutes=1)  # what was known of the channel is too old to go by
    await bot.approvals.cancel(bot.instance, request.id)
    await bot.until_delivered()
    assert "channel_shared" in bot.faults
    assert bot.slack.message(card.channel, card.ts).edited is None


async def test_a_shared_channel_is_fine_where_the_rule_says_so(database: Path) -> None:
    async with running_bot(database, text=EXTERNAL, arrange=_shared) as bot:
        card = await bot.card(await bot.submit())
        assert card.channel == "C0REFUNDS"


async def test_without_a_fallback_each_reviewer_gets_a_dm(database: Path) -> None:
    def arrange(slack: Playground) -> None:
        _archived(slack)
        slack.workspace.set_usergroup_users("S0FINANCE", ["U0ALICE", "U0BOB", "U0GUEST", "U0OWNER", "U0PAT", "U0CAROL"])
        slack.workspace.change_user("U0CAROL", deleted=True)

    async with running_bot(database, text=NO_FALLBACK, arrange=arrange) as bot:
        request = await bot.submit()
        await bot.card(request, "U0ALICE")
        card = await bot.card(request, "U0BOB")
        await bot.until_delivered()
        for nobody in ("U0GUEST", "U0PAT", "U0CAROL", "U0OWNER"):
            assert bot.cards(request, nobody) == []
        assert len(bot.slack.messages("U0OWNER")) == 1  # the notice
        assert card.channel.startswith("D")
        await bot.slack.click("U0BOB", card.channel, card.ts, "approve")
        assert await bot.status(request) is Status.APPROVED
        await bot.until_delivered()
        for user in ("U0ALICE", "U0BOB"):
            [drawn] = bot.cards(request, user)
            assert "approve" not in drawn.action_ids()


async def test_a_lost_dm_is_found_again(database: Path) -> None:
    async with running_bot(database, text=NO_FALLBACK, arrange=_archived) as bot:
        bot.slack.faults.add(Fault("lost", methods="chat.postMessage", times=3))
        request = await bot.submit()
        await _until_fault(bot, "no_connection")
        await _retry(bot)
        for user in ("U0ALICE", "U0BOB", "U0CAROL"):
            await bot.card(request, user)
            assert len(bot.cards(request, user)) == 1


async def test_a_private_channel_s_card_does_not_go_to_a_public_fallback(database: Path) -> None:
    async with running_bot(database, arrange=_private) as bot:
        request = await bot.submit()
        await bot.card(request, "U0ALICE")
        assert bot.slack.messages("C0OPS") == []


async def test_a_channel_that_is_gone_may_have_been_private(database: Path) -> None:
    async with running_bot(database, arrange=_gone) as bot:
        request = await bot.submit()
        await bot.card(request, "U0ALICE")
        assert bot.slack.messages("C0OPS") == []
        assert bot.faults[0] == "channel_not_found"


async def test_a_private_fallback_takes_a_private_channel_s_card(database: Path) -> None:
    def arrange(slack: Playground) -> None:
        _private(slack)
        slack.workspace.add_channel("C0VAULT", name="vault", members=["U0ALICE", slack.bot_user_id], is_private=True)

    async with running_bot(database, text=PRIVATE_FALLBACK, arrange=arrange) as bot:
        await bot.card(await bot.submit(), "C0VAULT")


@pytest.mark.parametrize("change", [{"is_archived": True}, {"is_ext_shared": True}])
async def test_a_closed_fallback_leads_to_dms(database: Path, change: dict[str, bool]) -> None:
    def arrange(slack: Playground) -> None:
        _archived(slack)
        slack.workspace.change_channel("C0OPS", **change)

    async with running_bot(database, arrange=arrange) as bot:
        request = await bot.submit()
        await bot.card(request, "U0ALICE")
        assert bot.slack.messages("C0OPS") == []


async def test_a_fallback_that_closes_later_leads_to_dms(bot: Bot) -> None:
    for channel in ("C0REFUNDS", "C0OPS"):
        bot.slack.faults.add(
            Fault("error", methods="chat.postMessage", channel=channel, error_code="restricted_action")
        )
    request = await bot.submit()
    await bot.card(request, "U0ALICE")
    await bot.until_delivered()
    assert bot.faults == ["restricted_action", "restricted_action"]


async def test_nobody_left_to_ask_is_a_fault_of_its_own(database: Path) -> None:
    async with running_bot(database, text=NO_FALLBACK, arrange=_archived, delivers=False) as bot:
        request = await bot.submit()
        for user in ("U0ALICE", "U0BOB", "U0CAROL"):
            bot.slack.workspace.change_user(user, deleted=True)
        await bot.advance(seconds=21)
        await bot.deliverer.start()
        await bot.slack.until(lambda: bot.slack.messages("U0OWNER"))
        await bot.until_delivered()
        assert bot.faults == ["is_archived", "nobody_can_be_asked"]
        assert await bot.status(request) is Status.PENDING


async def test_a_plan_without_user_groups_does_not_keep_the_named_reviewers_waiting_for_ever(database: Path) -> None:
    async with running_bot(
        database, text=NO_FALLBACK, arrange=_archived, playground=PlaygroundSettings(free_plan=True)
    ) as bot:
        request = await bot.submit()
        for tries in range(1, 5):
            await until(lambda tries=tries: bot.faults.count("slack_unavailable") >= tries)  # type: ignore[misc]
            await bot.until_idle()
            await _retry(bot)
        await bot.card(request, "U0ALICE")


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_blocks_too_long"])
async def test_content_that_slack_refuses_is_told_to_the_owners_at_once(bot: Bot, code: str) -> None:
    bot.slack.faults.add(Fault("error", methods="chat.postMessage", channel="C0REFUNDS", error_code=code))
    request = await bot.submit()
    await bot.slack.until(lambda: bot.slack.messages("U0OWNER"))
    await bot.until_delivered()
    assert bot.faults == [code]
    assert bot.slack.messages("C0OPS") == []
    assert await bot.status(request) is Status.PENDING  # it can still be decided from the Home tab


async def test_an_unknown_refusal_is_tried_again_and_then_given_up(bot: Bot) -> None:
    bot.slack.faults.add(Fault("error", methods="chat.postMessage", channel="C0REFUNDS", error_code="a_new_code"))
    await bot.submit()
    for tries in range(1, 5):
        await until(lambda tries=tries: bot.faults.count("a_new_code") >= tries)
        await bot.until_idle()
        await _retry(bot)
    await bot.slack.until(lambda: bot.slack.messages("U0OWNER"))


# --- owners ---


async def test_each_owner_is_told_once_though_an_answer_was_lost(database: Path) -> None:
    text = SAMPLE.replace('owners = ["U0OWNER"]', 'owners = ["U0ADMIN", "U0OWNER", "U0SAM"]')

    async with running_bot(database, text=text, arrange=_archived) as bot:
        bot.slack.faults.add(Fault("lost", methods="chat.postMessage", channel="U0OWNER", times=1))
        await bot.submit()
        await _until_fault(bot, "no_connection")
        await _retry(bot)
        await bot.slack.until(lambda: bot.slack.messages("U0SAM"))
        await bot.until_delivered()
        for owner in ("U0ADMIN", "U0OWNER", "U0SAM"):
            assert len(bot.slack.messages(owner)) == 1


async def test_an_owner_who_cannot_be_written_to_does_not_keep_it_from_the_others(database: Path) -> None:
    text = SAMPLE.replace('owners = ["U0OWNER"]', 'owners = ["U0NOBODY", "U0OWNER"]')

    async with running_bot(database, text=text, arrange=_archived) as bot:
        await bot.submit()
        await bot.slack.until(lambda: bot.slack.messages("U0OWNER"))
        await bot.until_delivered()
        assert "channel_not_found" in bot.faults


# --- cards that vanish ---


async def test_a_deleted_card_of_a_pending_request_is_posted_once_more(bot: Bot) -> None:
    request = await bot.submit()
    first = await bot.card(request)
    assert (await bot.slack.delete_message(first.channel, first.ts)).ok
    second = await bot.card(request)
    assert second.ts != first.ts
    await bot.slack.delete_message(second.channel, second.ts)  # once more, and not for ever
    await bot.until_delivered()
    assert bot.cards(request) == []


async def test_a_card_that_is_missing_when_it_is_drawn_is_posted_once_more(database: Path) -> None:
    async with running_bot(database) as bot:
        request = await bot.submit()
        card = await bot.card(request)
        bot.slack.workspace.delete(bot.slack.message(card.channel, card.ts))  # and no event tells of it
        await _wish_to_draw(bot, request)
        again = await bot.card(request)
        assert again.ts != card.ts


async def test_a_deleted_card_of_a_decided_request_stays_deleted(bot: Bot) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    await bot.until_delivered()
    await bot.slack.delete_message(card.channel, card.ts)
    await bot.approvals.consume(bot.instance, request.id, "c")
    await bot.until_delivered()
    assert bot.cards(request) == []
    assert bot.faults == []


async def test_a_pending_card_in_a_channel_that_closed_is_planned_elsewhere(bot: Bot) -> None:
    request = await bot.submit()
    await bot.card(request)
    bot.slack.workspace.change_channel("C0REFUNDS", is_archived=True)
    await _wish_to_draw(bot, request)
    await bot.card(request, "C0OPS")


async def _wish_to_draw(bot: Bot, request: Request) -> None:
    await bot.store.write(lambda unit: wish_to_draw(unit, request, "test", bot.clock()))


# --- pace ---


async def test_cards_come_at_slack_s_pace_and_none_is_lost(database: Path) -> None:
    """Slack's own pace is enforced; the bot keeps to it, so that none is refused."""
    pace = Pace(timedelta(seconds=1))
    async with running_bot(database, playground=PlaygroundSettings(one_message_a_second=True), posts=pace) as bot:
        requests = [await bot.submit() for _ in range(5)]
        for shown in range(1, 6):
            await bot.slack.until(lambda shown=shown: len(bot.slack.messages("C0REFUNDS")) >= shown)  # type: ignore[misc]
            await bot.until_idle()
            assert len(bot.slack.messages("C0REFUNDS")) == shown
            bot.slack.pacing._last.clear()
            await bot.advance(seconds=1)
        assert [bot.cards(request) != [] for request in requests] == [True] * 5
        assert bot.faults == []


async def test_one_channel_s_queue_does_not_hold_up_another(database: Path) -> None:
    two = SAMPLE.replace('tool = "issue_refund"', 'tool = "issue_refund"\nserver = "a"') + SAMPLE[
        SAMPLE.index('[[rules]]\nname = "refunds"') :
    ].replace('"refunds"', '"others"').replace('"C0REFUNDS"', '"C0OTHER"')

    def arrange(slack: Playground) -> None:
        slack.workspace.add_channel("C0OTHER", name="other", members=["U0ALICE", slack.bot_user_id])

    async with running_bot(database, text=two, arrange=arrange, posts=Pace(timedelta(hours=1))) as bot:
        for key in range(20):
            await bot.creation.submit(bot.instance, replace(submission(), server="a"), f"a{key}")
        other = await bot.submit()
        await bot.card(other, "C0OTHER")
        assert len(bot.slack.messages("C0REFUNDS")) <= 1
