"""Rounds in which three of ten calls to Slack fail while people decide. Its lines are in ``lines_rounds``.

A Slack that fails loses no decision and makes none; cards are there once, and true in the end.
"""

import asyncio
import random
from collections import Counter

from bot.clock import MovableClock, monotonic_clock
from playground import Fault, Playground, PlaygroundSettings
from playground.faults import Kind
from store.opening import Database
from tests.faults.stage import Stage, assert_whole
from tests.scenario.service_support import STILL_TO_SEND, Workplace, cards, payload_of, playing, serving

TROUBLES: tuple[Kind, ...] = ("429", "500", "drop", "lost", "slow")
_SHARE = 0.3  # of the calls to Slack that fail
REFUNDS = 6
REFUND = {"tool": "issue_refund", "timeout": "1h"}
CHANNEL = "C0REFUNDS"
_MOST_STEPS = 300  # of moved time: 40 minutes, which no request outlives undecided
_STEP_SECONDS = 8
_BREATH_SECONDS = 0.01


async def slack_fails(stage: Stage, kind: str, seed: int) -> None:
    """Three calls in ten fail, each way as often, and people press until they see that it worked."""
    chance = random.Random(f"slack {seed}")
    database = stage.database(kind, stage.folder())
    async with playing(PlaygroundSettings(seed=seed, ack_seconds=20)) as slack:
        clock = MovableClock(monotonic_clock())
        async with serving(slack, database, clock=clock) as work:
            faults = _begin(slack)
            asked = [
                (await work.send("POST", "/v1/requests", REFUND | {"arguments": {"at": at}}, key=f"k{at}"))[1]["id"]
                for at in range(REFUNDS)
            ]
            for _ in range(_MOST_STEPS):
                await _press(work, chance)
                await asyncio.sleep(_BREATH_SECONDS)
                faults = _again(slack, faults)
                await work.advance(seconds=_STEP_SECONDS)
                if _undecided(work) == 0:
                    break
            assert _undecided(work) == 0, "while three calls in ten failed nobody could decide"
            slack.faults.clear()
            await _deliver(work)
            assert work.rows("SELECT status, count(*) FROM requests GROUP BY 1") == [("approved", REFUNDS)]
            _assert_told(slack, database, work, asked)
        await assert_whole(database)


def _begin(slack: Playground) -> list[Fault]:
    share = _SHARE / len(TROUBLES)
    return [slack.faults.add(Fault(kind, probability=share)) for kind in TROUBLES]


def _again(slack: Playground, faults: list[Fault]) -> list[Fault]:
    """Let go of what is held, and begin anew."""
    for fault in faults:
        slack.faults.remove(fault)
    return _begin(slack)


async def _press(work: Workplace, chance: random.Random) -> None:
    for card in cards(work.slack, CHANNEL):
        if "approve" in card.action_ids() and chance.random() < 0.5:
            await work.slack.click(chance.choice(["U0ALICE", "U0BOB"]), card.channel, card.ts, "approve")


def _undecided(work: Workplace) -> int:
    return int(work.rows("SELECT count(*) FROM requests WHERE status = 'pending'")[0][0])


async def _deliver(work: Workplace) -> None:
    """Let the backlog drain: time passes, for what waits for its next try."""
    for _ in range(_MOST_STEPS):
        if not work.rows(STILL_TO_SEND):
            return
        await work.advance(seconds=_STEP_SECONDS)
        await asyncio.sleep(_BREATH_SECONDS)
    raise AssertionError(f"not sent: {work.rows('SELECT kind, reason, attempts FROM outbox')}")


def _assert_told(slack: Playground, database: Database, work: Workplace, asked: list[str]) -> None:
    """Each request has one card, which says that it was approved; each was decided by one vote."""
    posted = Counter(payload_of(card)["request_id"] for card in cards(slack, CHANNEL))
    assert posted == Counter(asked)
    assert [card.ts for card in cards(slack, CHANNEL) if "approve" in card.action_ids()] == []
    assert work.rows("SELECT count(*) FROM votes") == [(len(asked),)]
