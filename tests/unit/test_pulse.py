"""Whether Slack as a whole is out: heard from every call, asked where none tells."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from handlers.slack.pulse import ANSWER_HOLDS, ASK_AGAIN, Pulse
from handlers.slack.trouble import SlackTrouble, Temporary, trouble_of
from tests.conftest import StandingClock


class Slack:
    """``auth.test``, which a test lets answer or not."""

    def __init__(self, clock: StandingClock) -> None:
        self.trouble: SlackTrouble | None = None
        self.asked = 0
        self.woken = 0
        self.pulse = Pulse(clock)
        self.pulse.watch(self.check, self.wake)

    async def check(self) -> None:
        self.asked += 1
        self.pulse.heard(self.trouble)
        if self.trouble is not None:
            raise self.trouble

    def wake(self) -> None:
        self.woken += 1

    async def find_out(self) -> bool:
        """Whether it is out, once it was asked if it had to be."""
        self.pulse.is_out()
        await asyncio.sleep(0)
        return self.pulse.is_out()


@pytest.fixture
async def slack(clock: StandingClock) -> AsyncIterator[Slack]:
    slack = Slack(clock)
    yield slack
    await slack.pulse.close()


GONE = Temporary("auth.test", "no_connection", had_no_effect=True)


async def test_nothing_is_known_until_slack_answered(slack: Slack) -> None:
    assert slack.pulse.is_out()
    assert not await slack.find_out()
    assert (slack.asked, slack.woken) == (1, 1)


async def test_an_answer_holds_for_a_while_and_is_asked_for_again_after_it(slack: Slack, clock: StandingClock) -> None:
    slack.pulse.heard(None)
    clock.now += ANSWER_HOLDS
    assert not slack.pulse.is_out()
    clock.advance(seconds=1)
    slack.trouble = GONE
    assert await slack.find_out()
    assert slack.asked == 1


@pytest.mark.parametrize("jump", [timedelta(hours=2), timedelta(hours=-2)])
async def test_what_was_answered_before_a_jump_of_the_clock_shows_nothing(
    slack: Slack, clock: StandingClock, jump: timedelta
) -> None:
    slack.pulse.heard(None)
    clock.now += jump
    assert slack.pulse.is_out()


@pytest.mark.parametrize(
    ("status", "code", "is_answer"),
    [
        (200, "channel_not_found", True),
        (200, "some_new_error", True),
        (429, "ratelimited", True),
        (200, "rate_limited", True),
        (500, None, False),
        (503, None, False),
        (200, "internal_error", False),
        (200, "invalid_auth", False),
        (200, "token_revoked", False),
    ],
)
async def test_what_is_an_answer(slack: Slack, status: int, code: str | None, is_answer: bool) -> None:
    slack.pulse.heard(None)
    slack.pulse.heard(trouble_of("chat.postMessage", status, code, "1"))
    slack.trouble = GONE
    assert await slack.find_out() is not is_answer


async def test_one_method_that_fails_is_not_all_of_slack(slack: Slack) -> None:
    slack.pulse.heard(trouble_of("chat.postMessage", 500, None, None))
    assert not await slack.find_out()


async def test_it_asks_one_question_at_a_time_and_none_that_was_just_not_answered(
    slack: Slack, clock: StandingClock
) -> None:
    slack.trouble = GONE
    for _ in range(3):
        assert await slack.find_out()
    assert slack.asked == 1
    clock.now += ASK_AGAIN
    slack.trouble = None
    assert not await slack.find_out()
    assert (slack.asked, slack.woken) == (2, 1)


async def test_any_call_that_is_answered_wakes_whoever_waits_for_that_once(slack: Slack) -> None:
    slack.trouble = GONE
    assert await slack.find_out()
    slack.pulse.heard(None)
    slack.pulse.heard(None)
    assert slack.woken == 1


async def test_nothing_is_asked_once_it_is_closed(slack: Slack) -> None:
    await slack.pulse.close()
    assert await slack.find_out()
    assert slack.asked == 0
