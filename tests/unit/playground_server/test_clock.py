"""The clock that the page moves: what people see follows it, what is signed and stamped for delivery never does."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from playground import Playground
from playground.agent import BadCall
from playground.connected import MOST_AHEAD, MOST_STEP, ClockHand, Connected
from playground.page_acts import PageActs
from playground.settings import utc_now
from tests.unit.playground_server.conftest import Opener, ToyApp
from tests.unit.playground_server.shapes import actions, button
from tests.unit.playground_server.test_page import OpenWindow, open_window

__all__ = ["open_window"]


class Hands:
    """A clock, and how it was moved."""

    def __init__(self) -> None:
        self.steps: list[timedelta] = []

    def now(self) -> datetime:
        return utc_now() + sum(self.steps, timedelta())

    def advance(self, by: timedelta) -> None:
        self.steps.append(by)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def slack(open_playground: Opener, hands: Hands) -> Playground:
    slack = await open_playground(now=hands.now)
    slack.connect_clock(hands.advance)
    return slack


async def test_it_moves_what_people_see(slack: Playground, hands: Hands, open_window: OpenWindow) -> None:
    window = await open_window()
    other = await open_window("U0BOB")
    assert window.state["clock"] == {"ahead_seconds": 0}
    before = await slack.say("U0ALICE", "C0REFUNDS", "before")
    assert await window.act("advance", seconds=600) == {"type": "done", "id": 1, "ok": True}
    assert (await window.act("advance", seconds=60))["ok"]
    assert hands.steps == [timedelta(minutes=10), timedelta(minutes=1)]
    state = await other.look(lambda s: s["clock"]["ahead_seconds"] == 660)
    ahead = datetime.fromisoformat(state["now"]) - utc_now()
    assert timedelta(seconds=655) < ahead <= timedelta(seconds=660)
    after = await slack.say("U0ALICE", "C0REFUNDS", "after")
    assert 660 <= float(after.ts) - float(before.ts) < 670


@pytest.mark.parametrize("seconds", [0, -60, 90_000, 1.5, "60", True, None, 10**30])
async def test_what_is_no_step_forward_is_refused(
    hands: Hands, slack: Playground, open_window: OpenWindow, seconds: object
) -> None:
    window = await open_window()
    answer = await window.act("advance", seconds=seconds)
    assert not answer["ok"]
    assert answer["error"].endswith(".")
    assert hands.steps == []
    assert window.state["clock"] == {"ahead_seconds": 0}


def test_it_goes_no_further_than_a_month() -> None:
    hands = Hands()
    clock = ClockHand(hands.advance)
    for _ in range(MOST_AHEAD // MOST_STEP):
        clock.move(MOST_STEP)
    with pytest.raises(BadCall, match="30 days in all"):
        clock.move(timedelta(seconds=1))
    assert clock.ahead == sum(hands.steps, timedelta()) == MOST_AHEAD


async def test_a_clock_that_nobody_gave_stays(open_playground: Opener) -> None:
    slack = await open_playground()
    acts = PageActs(slack, slack.workspace.user("U0ALICE"), Connected())
    answer = await acts.run({"act": "advance", "seconds": 60})
    assert answer == {"ok": False, "error": "The clock of this playground cannot be moved."}


async def test_signatures_and_stamps_are_of_the_wall_clock(
    slack: Playground, hands: Hands, make_app: Callable[[Playground], ToyApp], open_window: OpenWindow
) -> None:
    """A receiver refuses what is more than 300 s off: the real one takes clicks, commands and repeated events."""
    toy = make_app(slack)
    stamps: list[str] = []

    @toy.app.middleware
    async def look(req, next):  # type: ignore[no-untyped-def]  # Bolt goes by these names
        stamps.extend(req.headers["x-slack-request-timestamp"])
        await next()

    @toy.app.action("go")
    @toy.app.command("/signoff")
    async def take(ack):  # type: ignore[no-untyped-def]  # as above
        await ack()

    await toy.listen()
    await (await open_window()).act("advance", seconds=86_400)
    posted = await toy.app.client.chat_postMessage(channel="C0REFUNDS", text="?", blocks=[actions(button("go"))])
    ts = str(posted["ts"])
    assert float(ts) > time.time() + 86_000
    assert (await slack.click("U0ALICE", "C0REFUNDS", ts, "go")).ok
    assert (await slack.slash("U0ALICE", "C0REFUNDS", "/signoff pending")).ok

    await slack.until(lambda: len(slack.deliveries) == 3)  # and the bot's own message, as an event

    url, slack.request_url = slack.request_url, "http://127.0.0.1:1/gone"
    await slack.say("U0ALICE", "C0REFUNDS", "Is anybody there?")
    await slack.until(lambda: [one.tries for one in slack.events.undelivered] == [1])
    slack.request_url = url
    (repeated,) = await slack.events.redeliver()
    assert repeated.ok
    assert len(stamps) == 4
    assert all(abs(int(stamp) - time.time()) < 30 for stamp in stamps)
    assert abs(int(slack.sign(b"")["X-Slack-Request-Timestamp"]) - time.time()) < 30
