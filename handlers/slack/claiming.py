"""*I'm on it*, pressed on a card or on the Home tab: the next step waits for a while. It decides nothing."""

import structlog

from bot.decisions import Act
from bot.escalations import Escalations
from handlers.slack.desk import Desk
from handlers.slack.payloads import Click
from store.tables import ModalKind

log = structlog.get_logger(__name__)


class Claiming:
    """What is pressed to hold a plan up."""

    def __init__(self, desk: Desk, escalations: Escalations) -> None:
        self._desk = desk
        self._escalations = escalations

    async def claim(self, click: Click) -> None:
        """Say that the presser is on it. Who may not say so is told why."""
        desk = self._desk
        number, channel = await desk.request_of(click, ModalKind.DETAILS)
        if click.surface == "home":  # the number is a question only: what is hidden is answered as what is not there
            await desk.drawing_for(click.user_id, number)
        act = Act(click.act_id, click.user_id, click.team_id, click.surface, channel)
        claimed = await self._escalations.claim(number, act)
        log.info("claimed", request=number, user=click.user_id, surface=click.surface, paused=claimed.paused)
        desk.refresh_home(click.user_id)
