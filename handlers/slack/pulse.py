"""Whether Slack as a whole is out, so that escalation can stand still instead of escalating into the void.

Told by every call that the bot makes; where none was made lately, it asks for itself. It decides nothing, and nobody
but escalation heeds it: cards and decisions are tried as ever.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from bot.clock import Clock
from handlers.slack.trouble import SlackTrouble, Temporary, WorkspaceClosed

ANSWER_HOLDS = timedelta(seconds=30)
"""For how long an answer shows that Slack is there."""
ASK_AGAIN = timedelta(seconds=1)
"""At least so long after a question that was not answered."""

log = structlog.get_logger(__name__)


class Pulse:
    """Slack is out unless its last call was answered, no longer than ``ANSWER_HOLDS`` ago.

    Any answer counts, also an error such as `channel_not_found`, and `ratelimited`. What does not: no connection, a
    timeout, an unreadable answer, `internal_error` and its like, a 5xx, and a token or scope that is refused. One
    method may fail so while Slack is there: therefore `auth.test` is asked as soon as somebody wants to know and the
    last call shows nothing; until it answers, Slack counts as out. Times are by ``clock``: what was answered before it
    jumped shows nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answered_at = self._asked_at = clock() - ANSWER_HOLDS * 2
        self._ask: Callable[[], Awaitable[None]] | None = None
        self._on_answer: Callable[[], None] = lambda: None
        self._asking: asyncio.Task[None] | None = None
        self._kept_waiting = False
        self._closed = False

    def watch(self, ask: Callable[[], Awaitable[None]], on_answer: Callable[[], None]) -> None:
        """Say how to ask Slack (``auth.test``), and whom to call when it answers while somebody waits for that."""
        self._ask = ask
        self._on_answer = on_answer

    def heard(self, trouble: SlackTrouble | None) -> None:
        """Take notice of what became of a call to Slack; None: it worked."""
        rate_limited = isinstance(trouble, Temporary) and trouble.retry_after is not None
        if isinstance(trouble, Temporary | WorkspaceClosed) and not rate_limited:
            self._answered_at = self._clock() - ANSWER_HOLDS * 2
            return
        self._answered_at = self._clock()
        if self._kept_waiting:
            self._kept_waiting = False
            log.info("slack_answers")
            self._on_answer()

    def is_out(self) -> bool:
        """Whether Slack as a whole is out, as far as is known; what is not known is asked, see the class."""
        now = self._clock()
        if timedelta(0) <= now - self._answered_at <= ANSWER_HOLDS:
            return False
        self._kept_waiting = True
        if (self._asking is None or self._asking.done()) and abs(now - self._asked_at) >= ASK_AGAIN:
            self._asked_at = now
            if self._ask is not None and not self._closed:
                self._asking = asyncio.get_running_loop().create_task(self._find_out(self._ask), name="pulse")
        return True

    async def close(self) -> None:
        """Ask nothing any more."""
        self._closed = True
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    @staticmethod
    async def _find_out(ask: Callable[[], Awaitable[None]]) -> None:
        try:
            await ask()  # what it says is heard as of any call
        except SlackTrouble as trouble:
            log.warning("slack_is_out", code=trouble.code)
