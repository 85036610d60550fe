"""What agents and people do all day, for the soak: so many HTTP requests a second, and whatever follows in Slack.

Each story plays one call from its making to its end and says so when it came out otherwise; what was promised is
counted, to be held against the database. Reviewers are slow as Slack is: it takes about fifty redrawings a minute, so
most calls are decided by rule and some twenty a minute by people, the clock or their agent.
"""

import asyncio
import json
import random
import time
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from benchmarks.load import Client, http_request
from playground import Playground
from playground.model import Message, View
from tests.conftest import SAMPLE
from tests.scenario.service_support import payload_of

TEXT = (
    SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nplan = "remind"')
    .replace('min_timeout = "1m"\n', "")
    .replace('"send_*"', '"send_*", "restart"')
    + """
[[rules]]
name = "mails"
agent = "refund-bot"
tool = "send_*"
stage = "approve"
channel = "C0SUPPORT"
reviewers = ["finance"]

[[rules]]
name = "restarts"
agent = "refund-bot"
tool = "restart"
stage = "approve"
channel = "C0OPS"
reviewers = ["finance"]
quorum = 2

[plans.remind]
[[plans.remind.steps]]
after = "50%"
notify = ["thread"]
"""
)
PLACES = {"issue_refund": "C0REFUNDS", "send_mail": "C0SUPPORT", "restart": "C0OPS"}
_IDLE_MOST = 8  # connections that are kept
_WAIT = "25s"
_PATIENCE_SECONDS = 60.0
_NOTE = {"reason": "too_risky", "note": "not today"}
_PERSON, _OTHER = "U0ALICE", "U0BOB"


class Pace:
    """Lets so many through a second, evenly. Who comes late does not make up for it: the rate is what was reached."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = time.monotonic()

    async def turn(self) -> None:
        now = time.monotonic()
        at = max(self._next, now - 1)
        self._next = at + self._interval
        if at > now:
            await asyncio.sleep(at - now)


class Mix:
    """The agents of one credential and the people of the sample company, at work for as long as ``run`` is let."""

    def __init__(self, slack: Playground, port: int, token: str, *, per_second: float, expires_in: str) -> None:
        self._slack, self._port = slack, port
        slack.workspace.invite(PLACES["restart"], _OTHER)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._pace = Pace(per_second)
        self._expires_in = expires_in
        self._chance = random.Random("soak")
        self._idle: deque[Client] = deque()  # in turns, so that none is idle until the service closes it
        self._hands = asyncio.Lock()  # a person has one modal open at a time
        self._numbers = iter(range(1, 1 << 60))
        self._stories: set[asyncio.Task[None]] = set()
        self.requests = 0
        """HTTP requests of agents so far."""
        self.ended: Counter[str] = Counter()
        """Stories that came to their end, by name."""
        self.faults: list[str] = []
        """What came out otherwise than it should."""

    async def run(self, stop: asyncio.Event, *, workers: int, seconds_between_cards: float) -> None:
        """Work until ``stop``, then let what was begun come to its end."""
        quick = [self.by_rule, self.by_rule, self.by_rule, self.replayed, self.refused]
        slow = [
            self.expired, self.approved, self.denied, self.by_two, self.cancelled, self.left, self.looked,
            self.approved, self.approved,
        ]  # fmt: skip

        async def calls() -> None:
            while not stop.is_set():
                await self._play(self._chance.choice(quick))

        async def cards() -> None:
            for story in (slow[at % len(slow)] for at in range(1 << 60)):
                self._begin(story)
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds_between_cards):
                        await stop.wait()
                if stop.is_set():
                    break

        await asyncio.gather(cards(), *(calls() for _ in range(workers)))
        while self._stories:
            await asyncio.gather(*self._stories)
        for client in self._idle:
            client.close()

    def _begin(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.ensure_future(self._play(story))
        self._stories.add(task)
        task.add_done_callback(self._stories.discard)

    async def _play(self, story: Callable[[], Awaitable[None]]) -> None:
        name = story.__name__  # type: ignore[attr-defined]  # a method's
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await story()
            self.ended[name] += 1
        except Exception as error:
            self.faults.append(f"{name}: {error!r}")
            await asyncio.sleep(0.1)  # a service that is gone is not asked thousands of times

    # --- calls decided by rule ---

    async def by_rule(self) -> None:
        call = await self._make("look_up")
        await self._use(call)

    async def replayed(self) -> None:
        """Each step twice, under the same key."""
        key, number = uuid.uuid4().hex, next(self._numbers)
        first = await self._make("look_up", key=key, number=number)
        again = await self._make("look_up", key=key, number=number, status=200)
        assert first == again, "another request under the same key"
        await self._use(first, times=2)

    async def refused(self) -> None:
        await self._send("POST", "", {"tool": "look_up"}, key=uuid.uuid4().hex, status=400)
        await self._send("GET", f"/{uuid.uuid4()}", status=404)
        await self._send("POST", "", {}, status=401, headers={"Authorization": "Bearer nobody's"})

    # --- calls that people see ---

    async def approved(self) -> None:
        tool = self._chance.choice(["issue_refund", "send_mail"])
        call = await self._make(tool)

        async def press() -> None:
            await self._press(_PERSON, await self._card(call, PLACES[tool]), "approve")

        assert await self._told(call, press()) == "approved"
        await self._use(call)

    async def by_two(self) -> None:
        call = await self._make("restart")

        async def press() -> None:
            card = await self._card(call, PLACES["restart"])
            payload = self._slack.click_payload(_PERSON, card.channel, card.ts, "approve")
            for _ in range(2):  # Slack delivers it again
                assert (await self._slack.deliver(payload)).ok
            await self._press(_OTHER, card, "approve")

        assert await self._told(call, press()) == "approved"
        await self._use(call)

    async def denied(self) -> None:
        """And the same call again, which is denied from memory."""
        number = next(self._numbers)
        call = await self._make("issue_refund", number=number)

        async def press() -> None:
            card = await self._card(call, PLACES["issue_refund"])
            async with self._modal(card, "deny") as view:
                assert (await self._slack.submit(_PERSON, view.id, _NOTE)).ok

        assert await self._told(call, press()) == "denied"
        again = await self._send("POST", "", self._body("issue_refund", number), key=uuid.uuid4().hex, status=201)
        assert again["status"] == "denied"

    async def expired(self) -> None:
        call = await self._make("issue_refund", lasts=self._expires_in)
        assert await self._poll(call) == "expired"

    async def cancelled(self) -> None:
        call = await self._make("send_mail")

        async def give_up() -> None:
            await self._card(call, PLACES["send_mail"])
            await self._send("DELETE", f"/{call}")

        assert await self._told(call, give_up()) == "cancelled"

    async def left(self) -> None:
        """An agent that breaks its connections off while it waits, comes back and gives up."""
        call = await self._make("send_mail")
        for _ in range(3):
            client = await Client.connect("127.0.0.1", self._port)
            waiting = client.send(http_request("GET", f"/aap/v1/requests/{call}?wait={_WAIT}", self._headers))
            await asyncio.sleep(0.05)
            client.close()
            with suppress(ConnectionError):
                await waiting
        await self._send("DELETE", f"/{call}")

    async def looked(self) -> None:
        """A person who looks and does nothing: a command, the Home tab, a modal; and what operators read."""
        call = await self._make("send_mail")
        card = await self._card(call, PLACES["send_mail"])
        for text in ("/signoff pending", "/signoff help", "/signoff overrides 7d"):
            assert (await self._slack.slash(_PERSON, card.channel, text)).ok
        assert (await self._slack.open_home(_PERSON)).ok
        async with self._modal(card, "details") as view:
            await self._slack.close_view(_PERSON, view.id)
        await self._send("DELETE", f"/{call}")

    # --- steps ---

    def _body(self, tool: str, number: int, lasts: str = "10m") -> dict[str, object]:
        return {"tool": tool, "arguments": {"number": number, "to": "Zoë"}, "timeout": lasts}

    async def _make(
        self, tool: str, *, key: str | None = None, number: int | None = None, lasts: str = "10m", status: int = 201
    ) -> str:
        body = self._body(tool, next(self._numbers) if number is None else number, lasts)
        made = await self._send("POST", "", body, key=key or uuid.uuid4().hex, status=status)
        return str(made["id"])

    async def _use(self, call: str, times: int = 1) -> None:
        key = uuid.uuid4().hex
        for _ in range(times):
            await self._send("POST", f"/{call}/consume", key=key)
        for _ in range(times):
            await self._send("POST", f"/{call}/outcome", {"status": "succeeded"})

    async def _told(self, call: str, act: Coroutine[Any, Any, None]) -> str:
        """Hold a long poll while ``act`` is done; returns the status that it ends with."""
        async with asyncio.TaskGroup() as together:
            poll = together.create_task(self._poll(call))
            together.create_task(act)
        return poll.result()

    async def _poll(self, call: str) -> str:
        while True:
            found = await self._send("GET", f"/{call}?wait={_WAIT}")
            if found["status"] != "pending":
                return str(found["status"])

    async def _card(self, call: str, channel: str) -> Message:
        def find() -> Message | None:
            messages = reversed(self._slack.messages(channel))
            return next((one for one in messages if payload_of(one).get("request_id") == call), None)

        card = await self._slack.until(find, timeout=_PATIENCE_SECONDS)
        assert card is not None
        return card

    @asynccontextmanager
    async def _modal(self, card: Message, action: str) -> AsyncIterator[View]:
        """Open a modal from a card."""
        async with self._hands:
            await self._press(_PERSON, card, action)
            view = await self._slack.until(lambda: next(iter(self._slack.modals(_PERSON)), None))
            assert view is not None
            yield view

    async def _press(self, user: str, card: Message, action: str) -> None:
        ack = await self._slack.click(user, card.channel, card.ts, action)
        assert ack.ok, ack.error

    async def _send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Any:
        await self._pace.turn()
        self.requests += 1
        headers = {**self._headers, **(headers or {}), **({"Idempotency-Key": key} if key else {})}
        client = self._idle.popleft() if self._idle else await Client.connect("127.0.0.1", self._port)
        said = http_request(
            method, f"/aap/v1/requests{path}", headers, b"" if body is None else json.dumps(body).encode()
        )
        try:
            answer = await client.send(said)
        except BaseException:
            client.close()
            raise
        if len(self._idle) < _IDLE_MOST:
            self._idle.append(client)
        else:
            client.close()
        if answer.status != status:
            raise AssertionError(f"{method} {path}: {answer.status} in place of {status}: {answer.body[:200]!r}")
        return json.loads(answer.body)
