"""Rounds in which Slack fails while people decide: three calls in ten, or its lines, with payloads that come twice.

A Slack that fails loses no decision and makes none; cards are there once, and true in the end.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from bot.clock import MovableClock, monotonic_clock
from playground import Fault, Playground, PlaygroundSettings
from playground.faults import Kind
from store.opening import Database
from tests.conftest import SAMPLE
from tests.faults.stage import POSTGRESQL, Stage, assert_whole
from tests.scenario.service_support import STILL_TO_SEND, Workplace, cards, payload_of, playing, serving, until

TROUBLES: tuple[Kind, ...] = ("429", "500", "drop", "lost", "slow")
_SHARE = 0.3  # of the calls to Slack that fail
REFUNDS = 6
REFUND = {"tool": "issue_refund", "timeout": "1h"}
CHANNEL = "C0REFUNDS"
_MOST_STEPS = 300  # of moved time: 40 minutes, which no request outlives undecided
_STEP_SECONDS = 8
_BREATH_SECONDS = 0.01

CARDS = 8
_MOST_AGAIN = 20
TIMES = 4  # that each press is delivered, at the most
BOTH = SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nquorum = 2')


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


async def lines_fail(stage: Stage, kind: str, seed: int) -> None:
    """Lines are cut and renewed, and each press comes up to four times, in any order: it counts once.

    On PostgreSQL two replicas have a line each, and a payload may come to either.
    """
    chance = random.Random(f"lines {seed}")
    database = stage.database(kind, stage.folder())
    async with playing(PlaygroundSettings(ack_seconds=30)) as slack, serving(slack, database, text=BOTH) as work:
        if kind == POSTGRESQL:
            async with serving(slack, database, text=BOTH, token=work.token):
                await _press_over_lines(slack, work, chance)
        else:
            await _press_over_lines(slack, work, chance)
    await assert_whole(database)


async def _press_over_lines(slack: Playground, work: Workplace, chance: random.Random) -> None:
    for at in range(CARDS):
        await work.send("POST", "/v1/requests", REFUND | {"arguments": {"at": at}}, key=f"k{at}")
    await slack.until(lambda: len(cards(slack, CHANNEL)) == CARDS, 20)
    await work.until_delivered()
    presses = [
        slack.click_payload(user, card.channel, card.ts, action)
        for card in cards(slack, CHANNEL)
        for user, action in (("U0ALICE", "approve"), ("U0BOB", "approve"), ("U0OWNER", "approve"), ("U0SAM", "approve"))
    ]
    deliveries = [press for press in presses for _ in range(chance.randint(2, TIMES))]
    chance.shuffle(deliveries)
    breaks: list[Callable[[], Awaitable[None]]] = [
        slack.drop_sockets,
        lambda: slack.disconnect("refresh_requested"),
        lambda: slack.disconnect("warning"),
    ]
    while deliveries:
        await slack.until(lambda: slack.connections, 20)
        some = [deliveries.pop() for _ in range(min(len(deliveries), chance.randint(10, 60)))]
        under_way = asyncio.gather(*(slack.deliver(press) for press in some))
        for _ in range(chance.randint(0, 20)):
            await asyncio.sleep(0)
        await chance.choice(breaks)()
        acks = await under_way
        failed = [ack for ack in acks if not ack.ok]
        assert {ack.error for ack in failed} <= {"not_connected"}
        deliveries += [ack.sent for ack in failed if ack.sent is not None]  # Slack told them: they press again
    for _ in range(_MOST_AGAIN):
        # Who was told that it did not work (a machine too busy to ask Slack who they are) presses once more.
        if _undecided(work) == 0:
            break
        for card in cards(slack, CHANNEL):
            for user in ("U0ALICE", "U0BOB"):
                if "approve" in card.action_ids():
                    await slack.click(user, card.channel, card.ts, "approve")
    votes = work.rows("SELECT request_number, user_id, count(*) FROM votes GROUP BY 1, 2 ORDER BY 1, 2")
    assert [row[1:] for row in votes] == [("U0ALICE", 1), ("U0BOB", 1)] * CARDS, votes
    assert work.rows("SELECT status, count(*) FROM requests GROUP BY 1") == [("approved", CARDS)]
    assert work.rows("SELECT count(*) FROM events WHERE type = 'request.decided'") == [(CARDS,)]
    await until(lambda: not any("approve" in card.action_ids() for card in cards(slack, CHANNEL)))
    await work.until_delivered()
    assert len(cards(slack, CHANNEL)) == CARDS
