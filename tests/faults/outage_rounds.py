"""Rounds in which Slack is dead for two hours of moved clock while agents go on, and comes back at its own pace.

Nothing that was decided is lost and nothing is decided by itself. Then the backlog drains within Slack's limits, what
was decided is drawn without waiting for the new cards, and there is one card at most of each request, which is true.
"""

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations

from bot.clock import MovableClock, monotonic_clock
from handlers.app import Tempo
from handlers.slack.posting import POST_PACE
from playground import Fault, Playground, PlaygroundSettings
from tests.conftest import SAMPLE
from tests.faults.stage import Stage, assert_whole
from tests.scenario.service_support import STILL_TO_SEND, Workplace, cards, payload_of, playing, serving
from tests.waiting import until

CHANNEL = "C0REFUNDS"
TEXT = SAMPLE.replace('max_timeout = "1h"', 'max_timeout = "8h"')
OUT_MINUTES, STEP_MINUTES = 120, 5
DRAWN_WITHIN = timedelta(minutes=3)
"""After Slack is back: what failed is tried again after a minute at the latest, and drawn some fifty a minute."""
_DRAIN_SECONDS = 900
_BREATH_SECONDS = 0.002


@dataclass
class _Asked:
    """What became of the requests so far, as whoever asked and pressed knows it."""

    status: dict[str, str] = field(default_factory=dict)
    deadline: dict[str, datetime] = field(default_factory=dict)

    def now(self, at: datetime) -> dict[str, str]:
        """The statuses that there must be."""
        return {
            one: "expired" if status == "pending" and self.deadline[one] <= at else status
            for one, status in self.status.items()
        }


async def slack_is_out(stage: Stage, kind: str, seed: int) -> None:
    """See the module."""
    database = stage.database(kind, stage.folder())
    clock = MovableClock(monotonic_clock())
    settings = PlaygroundSettings(seed=seed, ack_seconds=20, now=clock)
    async with (
        playing(settings) as slack,
        serving(slack, database, text=TEXT, clock=clock, tempo=Tempo(ping_interval=timedelta(seconds=0.2))) as work,
    ):
        await _Outage(slack, work, random.Random(f"outage {seed}")).play()
    await assert_whole(database)


class _Outage:
    """One outage, with what comes before and after."""

    def __init__(self, slack: Playground, work: Workplace, chance: random.Random) -> None:
        self._slack, self._work, self._chance = slack, work, chance
        self._asked = _Asked()

    async def play(self) -> None:
        for _ in range(self._chance.randint(5, 9)):
            await self._ask()
        await self._drain()
        await self._decide_at_the_last_moment()
        self._slack.faults.add(Fault("dead"))
        decided = {one for one, status in self._asked.status.items() if status == "approved"}
        await self._use(self._chance.choice(sorted(decided)))
        for _ in range(OUT_MINUTES // STEP_MINUTES):
            for _ in range(self._chance.choice([0, 0, 1, 4])):
                await self._ask()
            if self._chance.random() < 0.2:
                await self._cancel()
            await self._pass(minutes=STEP_MINUTES)
        await self._assert_nothing_else_decided()
        self._slack.faults.clear()
        back, before = self._work.clock(), len(self._slack.calls)
        await self._drain()
        self._assert_paced(before)
        self._assert_drawn(decided, back, before)
        self._assert_true()
        await self._decide_the_rest()
        await self._assert_nothing_else_decided()

    # --- what happens ---

    async def _ask(self) -> None:
        lasts = self._chance.choice(["30m", "90m", "6h", "6h", "6h"])
        body = {"tool": "issue_refund", "arguments": {"at": len(self._asked.status)}, "timeout": lasts}
        status, made = await self._work.send("POST", "/v1/requests", body, key=f"k{len(self._asked.status)}")
        assert status == 201, made
        self._asked.status[made["id"]] = "pending"
        self._asked.deadline[made["id"]] = datetime.fromisoformat(made["deadline_at"])

    async def _decide_at_the_last_moment(self) -> None:
        """Some decide while the answers to that do not get through any more; then all is dark."""
        self._slack.faults.add(Fault("drop", methods="chat.*"))
        pending = cards(self._slack, CHANNEL)
        for card in self._chance.sample(pending, self._chance.randint(2, len(pending) - 1)):
            ack = await self._slack.click("U0ALICE", card.channel, card.ts, "approve")
            assert ack.ok, ack.error
            self._asked.status[payload_of(card)["request_id"]] = "approved"
        await self._cancel()

    async def _cancel(self) -> None:
        now = self._asked.now(self._work.clock())
        pending = [one for one, status in now.items() if status == "pending"]
        if pending:
            one = self._chance.choice(pending)
            status, answer = await self._work.send("DELETE", f"/v1/requests/{one}")
            assert (status, answer["status"]) == (200, "cancelled")
            self._asked.status[one] = "cancelled"

    async def _use(self, one: str) -> None:
        """An agent needs no Slack to use what was approved."""
        status, answer = await self._work.send("POST", f"/v1/requests/{one}/consume", key="use")
        assert status == 200, answer

    async def _decide_the_rest(self) -> None:
        """People go on."""
        for card in cards(self._slack, CHANNEL):
            if "approve" in card.action_ids():
                assert (await self._slack.click("U0BOB", card.channel, card.ts, "approve")).ok
                self._asked.status[payload_of(card)["request_id"]] = "approved"

    async def _pass(self, **by: float) -> None:
        """Let time pass, and let what comes due of it be begun and ended."""
        await self._work.advance(**by)
        for _ in range(3):
            await asyncio.sleep(_BREATH_SECONDS)
        await until(lambda: not self._work.service.deliverer.under_way)

    async def _drain(self) -> None:
        """Let a second pass at a time until nothing is left to send."""
        for _ in range(_DRAIN_SECONDS):
            await self._pass(seconds=1)
            if not self._work.rows(STILL_TO_SEND):
                return
        raise AssertionError(f"not sent: {self._work.rows('SELECT kind, reason, attempts, due_at FROM outbox')}")

    # --- what must hold ---

    async def _assert_nothing_else_decided(self) -> None:
        def is_so() -> bool:
            stored = dict(self._work.rows("SELECT id, status FROM requests"))
            return stored == self._asked.now(self._work.clock())

        with contextlib.suppress(TimeoutError):
            await until(is_so)  # a deadline may just have passed
        self._asked.status = self._asked.now(self._work.clock())
        assert dict(self._work.rows("SELECT id, status FROM requests")) == self._asked.status

    def _assert_paced(self, before: int) -> None:
        """In no span of time more messages to a channel than Slack takes."""
        posted = defaultdict(list)
        for call in self._slack.calls[before:]:
            if call.method == "chat.postMessage":
                posted[call.params["channel"]].append(call.at)
        for times in posted.values():
            for (first, one), (last, other) in combinations(enumerate(times), 2):
                most = POST_PACE.burst + (other - one) / POST_PACE.interval + 1  # it passes a second at a time
                assert last - first + 1 <= most, f"{last - first + 1} messages within {other - one}"

    def _assert_drawn(self, decided: set[str], back: datetime, before: int) -> None:
        """What people had decided is on its card soon, however much else waits."""
        drawn = {
            call.params["ts"]: call.at
            for call in reversed(self._slack.calls[before:])
            if call.method == "chat.update" and call.ok
        }
        for card in cards(self._slack, CHANNEL):
            if payload_of(card)["request_id"] in decided:
                assert drawn[card.ts] - back <= DRAWN_WITHIN, f"drawn after {drawn[card.ts] - back}"

    def _assert_true(self) -> None:
        """One card at most of each request, and none says otherwise than it is; what is pending can be found."""
        now = self._asked.now(self._work.clock())
        posted = Counter(payload_of(card)["request_id"] for card in cards(self._slack, CHANNEL))
        assert set(posted.values()) <= {1}, posted
        for card in cards(self._slack, CHANNEL):
            assert ("approve" in card.action_ids()) == (now[payload_of(card)["request_id"]] == "pending")
        live = self._work.rows(
            "SELECT requests.id FROM cards JOIN requests ON number = request_number WHERE state = 'live'"
        )
        assert {one for one, status in now.items() if status == "pending"} <= {row[0] for row in live}
        assert max(Counter(live).values()) == 1
        assert sum("queue_list" in message.action_ids() for message in self._slack.messages(CHANNEL)) <= 1
