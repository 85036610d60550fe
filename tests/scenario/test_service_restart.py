"""What came due while nobody served is done at the next start, once, and everybody concerned hears of it."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from bot.clock import MovableClock, monotonic_clock
from playground import Fault, Playground
from tests.scenario.service_support import MODES, assert_sound, payload_of, serving
from tests.waiting import until, within

REFUND = {"tool": "issue_refund", "arguments": {"amount": 4900}, "timeout": "10m"}


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(monotonic_clock())


@pytest.mark.parametrize("mode", MODES)
async def test_what_came_due_meanwhile_is_done_once(
    slack: Playground, database: Path, clock: MovableClock, mode: str
) -> None:
    """One request expires, an approval lapses, a consumed one is overdue, and a fourth is still waiting."""
    async with serving(slack, database, mode=mode, clock=clock) as work:
        ids = {}
        for fate in ("expired", "lapsed", "overdue", "pending"):
            lasts = "50m" if fate == "pending" else "10m"
            _, request = await work.send("POST", "/v1/requests", REFUND | {"timeout": lasts}, key=fate)
            ids[fate] = request["id"]
        await work.until_delivered()
        by_request = {payload_of(message)["request_id"]: message for message in work.slack.messages("C0REFUNDS")}
        cards = {fate: by_request[request_id] for fate, request_id in ids.items()}
        for fate in ("lapsed", "overdue"):
            assert (await slack.click("U0ALICE", "C0REFUNDS", cards[fate].ts, "approve")).ok
        status, _ = await work.send("POST", f"/v1/requests/{ids['overdue']}/consume", key="c")
        assert status == 200
        await work.until_delivered()
        token = work.token

    clock.advance(timedelta(minutes=16))
    words = {"expired": "expired", "lapsed": "the approval is void", "overdue": "no outcome came"}
    redrawn = []
    for _ in range(2):
        async with serving(slack, database, mode=mode, clock=clock, token=token) as work:
            # Before anybody could ask: the sweep comes first.
            assert work.rows("SELECT create_key, status, lapsed_at IS NULL, overdue_at IS NULL FROM requests") == [
                ("expired", "expired", True, True),
                ("lapsed", "approved", False, True),
                ("overdue", "approved", True, False),
                ("pending", "pending", True, True),
            ]
            _, told = await work.send("GET", f"/v1/requests/{ids['expired']}?wait=30s")
            assert told["status"] == "expired"
            status, refused = await work.send("POST", f"/v1/requests/{ids['lapsed']}/consume", key="c")
            assert (status, refused["error"]["code"]) == (409, "approval_expired")
            await work.until_delivered()
            shown = {fate: slack.message("C0REFUNDS", card.ts) for fate, card in cards.items()}
            for fate, said in words.items():
                assert said in shown[fate].all_text().lower()
                assert "approve" not in shown[fate].action_ids()
            assert "approve" in shown["pending"].action_ids()
            assert len(slack.messages("C0REFUNDS")) == 4
            assert len(slack.messages("U0OWNER")) == 1  # of the overdue one
            redrawn.append([len(card.revisions) for card in shown.values()])
    assert redrawn[0] == redrawn[1]

    async with serving(slack, database, mode=mode, clock=clock, token=token) as work:
        assert (await slack.click("U0ALICE", "C0REFUNDS", cards["pending"].ts, "approve")).ok
        _, told = await work.send("GET", f"/v1/requests/{ids['pending']}")
        assert told["status"] == "approved"
    assert_sound(database)


async def test_what_was_never_shown_and_expired_meanwhile_is_not_shown(
    slack: Playground, database: Path, clock: MovableClock
) -> None:
    fault = slack.faults.add(Fault("429", methods="chat.postMessage"))
    async with serving(slack, database, clock=clock) as work:
        _, request = await work.send("POST", "/v1/requests", REFUND, key="k")
        await slack.until(lambda: fault.struck)
    clock.advance(timedelta(minutes=11))
    slack.faults.clear()
    async with serving(slack, database, clock=clock, token=work.token) as work:
        _, told = await work.send("GET", f"/v1/requests/{request['id']}")
        assert told["status"] == "expired"
        await work.until_delivered()
        assert slack.messages("C0REFUNDS") == []


async def test_deadlines_hold_though_slack_is_dead(slack: Playground, database: Path, clock: MovableClock) -> None:
    """The agent is answered in time; the card is drawn when Slack is back."""
    async with serving(slack, database, clock=clock) as work:
        _, request = await work.send("POST", "/v1/requests", REFUND, key="k")
        card = await work.card()
        slack.faults.add(Fault("dead"))
        polling = asyncio.ensure_future(work.send("GET", f"/v1/requests/{request['id']}?wait=30s"))
        await work.advance(minutes=10)
        assert (await within(polling))[1]["status"] == "expired"
        await slack.until(lambda: any(call.outcome == "fault:dead" for call in slack.calls))
        assert "approve" in slack.message(card.channel, card.ts).action_ids()
        await until(lambda: set(work.rows("SELECT leased_until FROM outbox")) == {(None,)})
        slack.faults.clear()
        await work.advance(minutes=2)  # past what was to be waited for
        await slack.until(lambda: "approve" not in slack.message(card.channel, card.ts).action_ids())


async def test_a_click_on_what_expired_while_nobody_served_is_told_so(
    slack: Playground, database: Path, clock: MovableClock
) -> None:
    async with serving(slack, database, clock=clock) as work:
        await work.send("POST", "/v1/requests", REFUND, key="k")
        card = await work.card()
    clock.advance(timedelta(minutes=11))
    slack.faults.add(Fault("slow", methods="chat.update"))  # so that the card still has its buttons
    async with serving(slack, database, clock=clock, token=work.token) as work:
        assert (await slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
        (modal,) = await slack.until(lambda: slack.modals("U0ALICE"))
        assert "expired" in modal.all_text().lower()
        assert work.rows("SELECT status FROM requests") == [("expired",)]
        slack.faults.clear()
