"""Rounds in which Slack's lines fail: a hundred deliveries each, of presses and forms that come up to four times.

Lines are cut, renewed, break before an envelope is sent or before its acknowledgement arrives, and hold envelopes back
so that others overtake them. On PostgreSQL two replicas have a line each. Whatever comes how often in whatever order:
each act is taken once.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from playground import Ack, Fault, Playground, PlaygroundSettings
from playground.faults import SOCKET
from playground.model import Json, View
from tests.conftest import SAMPLE
from tests.faults.stage import POSTGRESQL, Stage, assert_whole
from tests.replay import assert_events_agree
from tests.scenario.service_support import BRISK, Workplace, cards, payload_of, playing, serving
from tests.waiting import until

DELIVERIES = 100
CARDS = 6
CHANNEL = "C0REFUNDS"
REFUND = {"tool": "issue_refund", "timeout": "1h"}
TEXT = SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nquorum = 3')
REVIEWERS = ("U0ALICE", "U0BOB", "U0CAROL")
DENIAL = {"reason": "too_risky", "note": "not today"}
_TEMPO = replace(BRISK, ping_interval=timedelta(seconds=0.15))  # after which a line that broke is made anew
_MOST_AGAIN = 20
_TROUBLES = {"drop": 0.08, "lost": 0.12, "slow": 0.15}


async def lines_fail(stage: Stage, kind: str, seed: int) -> None:
    """See the module."""
    chance = random.Random(f"lines {seed}")
    database = stage.database(kind, stage.folder())
    settings = PlaygroundSettings(seed=seed, ack_seconds=30)
    async with contextlib.AsyncExitStack() as stack:
        slack = await stack.enter_async_context(playing(settings))
        work = await stack.enter_async_context(serving(slack, database, text=TEXT, tempo=_TEMPO))
        if kind == POSTGRESQL:
            other = serving(slack, database, text=TEXT, tempo=_TEMPO, token=work.token)
            await stack.enter_async_context(other)
            await slack.until(lambda: slack.connections == 2)
        await _Round(slack, work, chance).play()
    await assert_whole(database)


class _Round:
    """Some cards, what people do to them, and what came of it."""

    def __init__(self, slack: Playground, work: Workplace, chance: random.Random) -> None:
        self._slack, self._work, self._chance = slack, work, chance

    async def play(self) -> None:
        for at in range(CARDS):
            await self._work.send("POST", "/v1/requests", REFUND | {"arguments": {"at": at}}, key=f"k{at}")
        await self._slack.until(lambda: len(cards(self._slack, CHANNEL)) == CARDS)
        await self._work.until_delivered()
        acts = await self._acts()
        deliveries = [act for act in acts for _ in range(2)]
        deliveries += self._chance.choices(acts, k=DELIVERIES - len(deliveries))
        self._chance.shuffle(deliveries)
        await self._deliver(deliveries)
        await self._finish()
        self._assert_taken_once(Counter(map(_act_of, acts)))
        await self._assert_told()

    async def _acts(self) -> list[Json]:
        """What people will do, one payload for each act: presses, forms, and votes taken back and given again."""
        found = []
        for at, card in enumerate(cards(self._slack, CHANNEL)):
            users = [*REVIEWERS, "U0OWNER", "U0SAM"]
            if at in (0, 1):  # a vote that was given, is taken back and given again, whatever the order
                found.append(self._slack.click_payload("U0ALICE", card.channel, card.ts, "approve"))
                await self._press(found[-1])
                view = await self._open("U0ALICE", card.ts, "details")
                found.append(self._slack.view_click_payload("U0ALICE", view.id, "withdraw"))
                await self._slack.close_view("U0ALICE", view.id)
            if at == 2:  # a denial that may come before, between or after the approvals
                view = await self._open("U0CAROL", card.ts, "deny")
                found.append(self._slack.submit_payload("U0CAROL", view.id, DENIAL))
                users.remove("U0CAROL")
            found += [self._slack.click_payload(user, card.channel, card.ts, "approve") for user in users]
        return found

    async def _open(self, user: str, ts: str, action: str) -> View:
        await self._press(self._slack.click_payload(user, CHANNEL, ts, action))
        view = await self._slack.until(lambda: next(iter(self._slack.modals(user)), None))
        assert view is not None
        await self._slack.until(lambda: view.submit is not None or "withdraw" in view.action_ids())
        return view

    async def _press(self, payload: Json) -> None:
        """Deliver until it is acknowledged: on a slow machine a line may be given up for dead at any time."""
        for _ in range(_MOST_AGAIN):
            await self._slack.until(lambda: self._slack.connections)
            if (await self._slack.deliver(payload)).ok:
                return
        raise AssertionError("no line stays open")

    # --- delivering ---

    async def _deliver(self, deliveries: list[Json]) -> None:
        """Deliver everything, some at once, while the lines fail. What was not acknowledged is pressed again."""
        slack, chance = self._slack, self._chance
        breaks: list[Callable[[], Awaitable[None]]] = [
            slack.drop_sockets,
            lambda: slack.disconnect("refresh_requested"),
            lambda: slack.disconnect("warning"),
        ]
        while deliveries:
            await slack.until(lambda: slack.connections)
            some = [deliveries.pop() for _ in range(min(len(deliveries), chance.randint(20, 50)))]
            faults = [
                slack.faults.add(Fault(kind, methods=SOCKET, probability=share))  # type: ignore[arg-type]  # of its kinds
                for kind, share in _TROUBLES.items()
            ]
            under_way = [asyncio.ensure_future(slack.deliver(press)) for press in some]
            for _ in range(chance.randint(0, 40)):
                await asyncio.sleep(0)
            await chance.choice(breaks)()
            await slack.until(lambda: slack.connections)
            for fault in faults:
                slack.faults.remove(fault)
            acks = await asyncio.gather(*under_way)
            failed = [ack for ack in acks if not ack.ok]
            assert {ack.error for ack in failed} <= {"not_connected"}, failed
            self._assert_committed([ack for ack in acks if ack.ok])
            deliveries += [ack.sent for ack in failed if ack.sent is not None]

    def _assert_committed(self, acks: list[Ack]) -> None:
        """What a reviewer's act was acknowledged for is in the database, or nothing was left to decide."""
        taken = {row[0] for row in self._work.rows("SELECT id FROM acts")}
        pending = {row[0] for row in self._work.rows("SELECT id FROM requests WHERE status = 'pending'")}
        told = len(self._refusals())
        lost = [
            ack.sent
            for ack in acks
            if ack.sent is not None
            and ack.sent["user"]["id"] in REVIEWERS
            and _act_of(ack.sent)[0] not in taken
            and _request_of(ack.sent) in pending
        ]
        assert len(lost) <= told, lost

    def _refusals(self) -> list[Any]:
        """What the bot told people that it did not do."""
        return [
            call
            for call in self._slack.calls
            if call.method in ("views.open", "views.push", "chat.postEphemeral", "response_url")
        ]

    async def _finish(self) -> None:
        """Decide what is left: acts that were taken back, and people who were told that it did not work."""
        for _ in range(_MOST_AGAIN):
            pending = {row[0] for row in self._work.rows("SELECT id FROM requests WHERE status = 'pending'")}
            if not pending:
                return
            for card in cards(self._slack, CHANNEL):
                for user in REVIEWERS:
                    # The card may be drawn anew meanwhile.
                    if payload_of(card)["request_id"] in pending and "approve" in card.action_ids():
                        await self._press(self._slack.click_payload(user, card.channel, card.ts, "approve"))

    # --- what must hold ---

    def _assert_taken_once(self, acts: "Counter[tuple[str, str]]") -> None:
        delivered = {_act_of(ack.sent) for ack in self._slack.deliveries if ack.sent is not None and "user" in ack.sent}
        assert acts.keys() <= delivered
        taken = self._work.rows("SELECT id, user_id FROM acts")
        assert set(taken) <= delivered, "an act that nobody did"
        assert {user for _, user in taken} <= set(REVIEWERS)
        effects = self._work.rows("SELECT body FROM events WHERE type IN ('vote.cast', 'vote.withdrawn')")
        assert len(effects) == len(taken), "an act without its effect, or with two"
        for number, history in assert_events_agree(self._work.path).items():
            decided = history.decided
            assert decided is not None, f"request {number} was not decided"
            assert decided["by"] in REVIEWERS
            if decided["status"] == "approved":
                assert history.at_decision == set(REVIEWERS)
            else:
                assert (decided["status"], history.denying) == ("denied", {"U0CAROL"})

    async def _assert_told(self) -> None:
        """One card of each request, which is true."""
        try:
            await self._work.until_delivered()
        except TimeoutError as error:
            left = self._work.rows("SELECT kind, attempts, due_at, leased_by, leased_until FROM outbox")
            raise TimeoutError(f"not sent: {left}") from error
        await until(lambda: not any("approve" in card.action_ids() for card in cards(self._slack, CHANNEL)))
        posted = Counter(payload_of(card)["request_id"] for card in cards(self._slack, CHANNEL))
        assert posted.keys() == {row[0] for row in self._work.rows("SELECT id FROM requests")}
        assert set(posted.values()) == {1}


def _act_of(payload: Json) -> tuple[str, str]:
    """The id that an act has, and whose it is."""
    view = payload["view"] if payload["type"] == "view_submission" else None
    return (f"{view['id']}:{view['hash']}" if view else payload["trigger_id"]), payload["user"]["id"]


def _request_of(payload: Json) -> str | None:
    """The id of the request on whose card a button was pressed."""
    metadata = payload.get("message", {}).get("metadata") or {}
    found = metadata.get("event_payload", {}).get("request_id")
    return str(found) if found else None
