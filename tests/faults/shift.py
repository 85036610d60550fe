"""Agents and people at work while processes die around them, who remember each thing that they were promised.

Every step is repeated under its key until it is answered, as the agents' client does it, and an answer once given must
be given again. What they were promised is held against the database at the end.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from playground import Playground
from playground.model import Message
from tests.scenario.process_support import Site
from tests.scenario.service_support import cards, payload_of
from tests.waiting import until

REVIEWERS = ("U0ALICE", "U0BOB")
CHANNEL = "C0REFUNDS"
_AGAIN_SECONDS = 0.005
_UNANSWERED = (aiohttp.ClientError, OSError)


class Gone(Exception):
    """Nobody serves any more."""


@dataclass
class Work:
    """One call, and what its agent was promised."""

    key: str
    body: dict[str, Any]
    is_given_up: bool
    """Whether its agent cancels it, about when people decide it."""
    id: str | None = None
    status: str | None = None
    consumed_with: set[str] = field(default_factory=set)
    is_reported: bool = False


class Shift:
    """Some calls of each kind, and two people who approve whatever they see."""

    def __init__(self, slack: Playground, sites: Sequence[Site], chance: random.Random, ruled: int, asked: int) -> None:
        self._slack, self._sites, self._chance = slack, list(sites), chance
        self.calls = [self._call(at, "look_up") for at in range(ruled)]
        self.calls += [self._call(at, "issue_refund") for at in range(asked)]
        self.acknowledged: set[str] = set()
        """The requests that somebody approved and was not told otherwise."""
        self._pressed: set[tuple[str, str]] = set()
        self._acknowledged_presses: dict[str, dict[str, tuple[str, str]]] = {}
        self.taken_back = 0
        self.answers = 0

    def _call(self, at: int, tool: str) -> Work:
        key = f"{tool}-{at}"
        body = {"tool": tool, "arguments": {"key": key}, "timeout": "10m"}
        return Work(key, body, tool == "issue_refund" and self._chance.random() < 0.2)

    async def run(self) -> None:
        """Work until all is done, or nobody serves any more."""
        people = asyncio.ensure_future(self._press_all())
        try:
            await asyncio.gather(*(self._work(call) for call in self.calls))
        finally:
            people.cancel()
            await asyncio.gather(people, return_exceptions=True)

    # --- an agent ---

    async def _work(self, call: Work) -> None:
        try:
            await self._make(call)
            if call.is_given_up:
                await asyncio.sleep(self._chance.uniform(0, 0.1))
                await self._send(call, "DELETE", f"/v1/requests/{call.id}")  # 409 where people were faster
            while call.status == "pending":
                was_acknowledged = call.id in self.acknowledged
                self._note(call, await self._send(call, "GET", f"/v1/requests/{call.id}?wait=1s"))
                if call.status == "pending" and was_acknowledged:
                    await self._take_back(call)
            if call.status == "approved":
                await self._use(call)
        except Gone:
            pass

    async def _make(self, call: Work) -> None:
        status, answer = await self._send(call, "POST", "/v1/requests", call.body, key=call.key)
        assert status in (200, 201), answer
        assert call.id in (None, answer["id"]), "another request under the same key"
        assert status == 200 or call.id is None, "made twice"
        call.id = answer["id"]
        self._note(call, (status, answer))

    def _note(self, call: Work, said: tuple[int, Any]) -> None:
        status, answer = said
        assert status in (200, 201), answer
        assert call.status in (None, "pending", answer["status"]), f"{call.status} became {answer['status']}"
        call.status = answer["status"]

    async def _use(self, call: Work) -> None:
        async def consume(key: str) -> None:
            status, answer = await self._send(call, "POST", f"/v1/requests/{call.id}/consume", key=key)
            if status == 200:
                call.consumed_with.add(key)
            else:
                assert answer["error"]["code"] == "already_consumed", answer
                assert key not in call.consumed_with, "consumed, and then not"

        await asyncio.gather(*(consume(f"{call.key}-{rival}") for rival in "ab"))
        assert len(call.consumed_with) == 1, "consumed twice, or by nobody"
        report = {"status": "succeeded"}
        status, answer = await self._send(call, "POST", f"/v1/requests/{call.id}/outcome", report)
        assert status == 200, answer
        call.is_reported = True

    async def _send(self, call: Work, method: str, path: str, body: object = None, *, key: str | None = None) -> Any:
        """Ask any who serve until one answers; 503 is no answer. Raises ``Gone`` when all have died."""
        while not all(site.has_died for site in self._sites):
            site = self._chance.choice(self._sites)
            if not site.has_died:
                try:
                    status, answer = await site.send(method, path, body, key=key)
                except _UNANSWERED:
                    pass
                else:
                    if status != 503:
                        self.answers += 1
                        return status, answer
            await asyncio.sleep(_AGAIN_SECONDS)
        raise Gone

    # --- people ---

    async def _press_all(self) -> None:
        """Press *Approve* on each card, both people at once and one of them twice, as Slack may deliver it."""
        pressing: list[asyncio.Future[None]] = []
        try:
            while True:
                for card in cards(self._slack, CHANNEL):
                    request = payload_of(card)["request_id"]
                    for user in REVIEWERS:
                        if "approve" in card.action_ids() and (card.ts, user) not in self._pressed:
                            self._pressed.add((card.ts, user))
                            pressing.append(asyncio.ensure_future(self._press(user, card, request)))
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            for one in pressing:
                one.cancel()
            await asyncio.gather(*pressing, return_exceptions=True)

    async def _press(self, user: str, card: Message, request: str) -> None:
        payload = self._slack.click_payload(user, card.channel, card.ts, "approve")
        acks = []
        try:
            acks = await asyncio.gather(*(self._slack.deliver(payload) for _ in range(1 + (user == REVIEWERS[0]))))
        finally:
            if any(ack.ok for ack in acks):
                self.acknowledged.add(request)
                self._acknowledged_presses.setdefault(request, {})[payload["trigger_id"]] = (card.ts, user)
            else:
                self._pressed.discard((card.ts, user))  # it seems not to have worked: they press again

    async def _take_back(self, call: Work) -> None:
        """Have people press again, who were all told in a modal that it did not work, after the acknowledgement.

        Raises ``AssertionError`` where one was not: what was acknowledged is lost.
        """
        presses = self._acknowledged_presses.pop(str(call.id))

        def is_told() -> bool:
            opened = {one.params.get("trigger_id") for one in self._slack.calls_of("views.open")}
            return opened >= presses.keys()

        try:
            await until(is_told)
        except TimeoutError as error:
            raise AssertionError("an acknowledged decision is lost") from error
        self.taken_back += 1
        self.acknowledged.discard(str(call.id))
        self._pressed.difference_update(presses.values())

    # --- the end ---

    async def settle(self, site: Site) -> None:
        """Wait until cards are drawn and nothing is left to send."""
        await site.until_delivered()
        decided = {call.id for call in self.calls if call.status not in (None, "pending")}

        def is_true(card: Message) -> bool:
            return payload_of(card)["request_id"] not in decided or "approve" not in card.action_ids()

        await until(lambda: all(is_true(card) for card in cards(self._slack, CHANNEL)))

    def assert_kept(self, site: Site) -> None:
        """All that was promised is so, once, and each request that asked people has one card."""
        stored = {
            row[0]: row[1:] for row in site.rows("SELECT create_key, id, status, consume_key, outcome FROM requests")
        }
        assert stored.keys() == {call.key for call in self.calls}
        for call in self.calls:
            request, status, consumed_with, outcome = stored[call.key]
            assert (call.id, call.status) == (request, status), call
            assert call.consumed_with == ({consumed_with} if status == "approved" else set()), call
            assert outcome == ("succeeded" if status == "approved" else None), call
            assert status == "approved" or call.is_given_up, call
        voted = Counter(
            row[0] for row in site.rows("SELECT requests.id FROM votes JOIN requests ON number = request_number")
        )
        assert set(voted.values()) <= {1}, "more votes than the one that decides"
        posted = Counter(payload_of(card)["request_id"] for card in cards(self._slack, CHANNEL))
        assert set(posted.values()) <= {1}, f"more than one card of a request: {posted}"
        asked = {call.id for call in self.calls if call.body["tool"] == "issue_refund"}
        assert posted.keys() <= asked
        assert {request for request in asked if request in voted} <= posted.keys(), "decided without a card"
