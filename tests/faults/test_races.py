"""Many at once on the service as it is wired: one outcome, told alike to everybody, and nothing in between."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from playground import Playground, PlaygroundSettings
from tests.conftest import SAMPLE
from tests.faults.rounds import seeds
from tests.replay import assert_events_agree
from tests.scenario.service_support import MODES, assert_sound, playing, serving
from tests.waiting import within

FINANCE = {"U0ALICE", "U0BOB", "U0CAROL"}
REFUND = {"tool": "issue_refund", "arguments": {"amount": 4900}, "timeout": "10m"}


@pytest.fixture
async def slack() -> AsyncIterator[Playground]:
    # Its own work for a thousand clicks, in this same process, counts against the seconds it leaves for an answer.
    async with playing(PlaygroundSettings(ack_seconds=100)) as slack:
        yield slack


@pytest.mark.parametrize(("mode", "clicks", "quorum"), [("socket", 1000, 1), ("http", 200, 2)])
@seeds(1)
async def test_many_clicks_on_one_card_decide_once(
    slack: Playground, database: Path, mode: str, clicks: int, quorum: int, seed: int
) -> None:
    """Three reviewers and others at once, each press with a trigger of its own; every one is acknowledged."""
    chance = random.Random(seed)
    text = SAMPLE.replace('reviewers = ["finance"]', f'reviewers = ["finance"]\nquorum = {quorum}')
    async with serving(slack, database, mode=mode, text=text) as work:
        await work.send("POST", "/v1/requests", REFUND, key="k")
        card = await work.card()
        payloads = [
            slack.click_payload(chance.choice([*sorted(FINANCE), "U0OWNER", "U0SAM"]), card.channel, card.ts, "approve")
            for _ in range(clicks)
        ]
        acks = await within(asyncio.gather(*(slack.deliver(payload) for payload in payloads)), seconds=100)
        assert [ack.error for ack in acks if not ack.ok] == []
        assert work.rows("SELECT status FROM requests") == [("approved",)]
        (told,) = assert_events_agree(database).values()  # which knows of no second decision, and of no vote after it
        assert len(told.at_decision) == quorum
        assert told.at_decision <= FINANCE
        await work.until_delivered()
        (shown,) = slack.messages("C0REFUNDS")
        assert "approve" not in shown.action_ids()
    assert_sound(database)


@seeds(12)
async def test_whoever_is_first_decides_and_everybody_hears_the_same(
    slack: Playground, database: Path, seed: int
) -> None:
    """An approval, a denial, a cancellation, a revocation's cancellation and the deadline, all at the same moment."""
    chance = random.Random(seed)
    async with serving(slack, database, mode=chance.choice(MODES)) as work:
        _, request = await work.send("POST", "/v1/requests", REFUND, key="k")
        path = f"/v1/requests/{request['id']}"
        card = await work.card()
        await slack.click("U0BOB", card.channel, card.ts, "deny")
        # On a busy machine a modal that says so comes before the form.
        (modal,) = await slack.until(lambda: [one for one in slack.modals("U0BOB") if "Why not?" in one.all_text()])
        # As they were seen just before: the card may be redrawn by the time that somebody presses.
        approval = slack.click_payload("U0ALICE", card.channel, card.ts, "approve")
        denial = slack.submit_payload("U0BOB", modal.id, {"reason": "unclear", "note": "no"})
        polls = [asyncio.ensure_future(work.send("GET", f"{path}?wait=30s")) for _ in range(3)]
        work.clock.advance(timedelta(minutes=9, seconds=59))

        async def sweep() -> None:
            await work.advance(seconds=2)

        acts: list[Callable[[], Awaitable[Any]]] = [
            lambda: slack.deliver(approval),
            lambda: slack.deliver(denial),
            lambda: work.send("DELETE", path),
            lambda: work.send("POST", f"{path}/consume", key="early"),
            sweep,
        ]
        chance.shuffle(acts)
        running = []
        for act in acts[: chance.randint(2, len(acts))]:
            running.append(asyncio.ensure_future(act()))
            for _ in range(chance.choice([0, 5, 20, 60, 150])):
                await asyncio.sleep(0)
        await within(asyncio.gather(*running))
        await work.advance(seconds=2)  # whatever ran: now it is over
        answers = await within(asyncio.gather(*polls))
        await work.until_delivered()

        (outcome,) = work.rows("SELECT status, decided_by_kind, decided_by FROM requests")
        assert work.rows("SELECT count(*) FROM events WHERE type = 'request.decided'") == [(1,)]
        (status, by_kind, by) = outcome
        deciders: dict[str, tuple[str, str | None]] = {
            "approved": ("person", "U0ALICE"),
            "denied": ("person", "U0BOB"),
            "cancelled": ("agent", None),
            "expired": ("clock", None),
        }
        assert (by_kind, by if by_kind == "person" else None) == deciders[status]
        _, now = await work.send("GET", path)
        for code, answer in answers:
            assert code == 200
            assert answer["status"] == status
            assert answer["decision"] == now["decision"]
        assert now["decision"]["decided_at"] <= now["deadline_at"] or status == "expired"
        shown = slack.message(card.channel, card.ts)
        assert {"approve", "deny"}.isdisjoint(shown.action_ids())
        assert_events_agree(database)
        assert (now.get("consumption") is not None) <= (status == "approved")
    assert_sound(database)
