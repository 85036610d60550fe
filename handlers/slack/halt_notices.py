"""Writes to those whom it concerns that something was stopped, or goes on: two messages at once, then one a minute.

Who may see nothing of it, by what Slack says of them, hears nothing: guests, other teams, deactivated accounts.
"""

from collections.abc import Callable
from datetime import timedelta

import structlog

from bot.clock import Clock
from bot.errors import FactsUnavailable
from bot.halt_notices import HaltNotice
from bot.outbox import Outbox
from bot.people import Directory
from bot.policy import barred
from handlers.pacing import Pace, Pacer
from handlers.slack.halt_answers import render_notice
from handlers.slack.sending import wait_for_turn
from handlers.slack.telling import Teller

TELL_PACE = Pace(timedelta(minutes=1), burst=2)
"""For each target: who pauses and resumes in turns does not make phones buzz each time."""

log = structlog.get_logger(__name__)


class HaltNotices:
    """Sends them. ``faults`` is called with a code for what failed for good."""

    def __init__(
        self, directory: Directory, outbox: Outbox, teller: Teller, clock: Clock, faults: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self._outbox = outbox
        self._teller = teller
        self._clock = clock
        self._faults = faults
        self._pacer = Pacer(TELL_PACE)

    async def tell(self, notice: HaltNotice) -> None:
        """Tell everybody once. Raises ``NotNow``, ``FactsUnavailable``, ``Temporary`` or ``WorkspaceClosed``."""
        if notice.intent.attempts == 1:
            wait_for_turn(self._pacer, notice.intent.lane, notice.intent, self._clock())
        facts = await self._directory.load_facts(notice.people, ())
        now = self._clock()
        if not facts.are_fresh(now):
            raise FactsUnavailable
        failed: dict[str, str] = {}

        def give_up(code: str, person: str) -> None:
            failed[person] = code
            log.error("undeliverable", code=code, kind=notice.intent.kind.value, target=person)
            self._faults(code)

        for person in notice.people:
            if no := barred(person, facts, now):
                failed[person] = no.code
        if notice.left_out:
            log.warning("halt_untold", scope=notice.target.scope.value, left_out=notice.left_out)
        people = [person for person in notice.people if person not in failed]
        await self._teller.tell(notice.intent, people, render_notice(notice), give_up)
        await self._outbox.told(notice, notice.people, failed)
